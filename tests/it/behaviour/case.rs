//! One configuration and one conversation, and the whole request that must come
//! of them: by the library, and by the command line.

use provider_host::types::ChatRequest;
use serde_json::{Value, json};

use super::command;
use super::server::{Request, Server};
use super::user::User;
use crate::support::ask;

const MODEL: &str = "org/model";

/// A configuration, a conversation, and what must come of them.
pub(super) struct Case {
    pub(super) what: &'static str,
    /// What stands in the entry beside the base URL and the model; `baseUrl` is
    /// its path only.
    pub(super) entry: Value,
    /// What stands in the model beside its id.
    pub(super) model: Value,
    /// `agents.defaults.models["vllm/org/model"].params`.
    pub(super) agent: Value,
    pub(super) key: Option<&'static str>,
    pub(super) request: ChatRequest,
    /// Path and query.
    pub(super) target: &'static str,
    /// Headers beside those of every request.
    pub(super) headers: &'static [(&'static str, &'static str)],
    /// Fields over those of every body; null takes one out.
    pub(super) body: Value,
}

impl Case {
    pub(super) fn new(what: &'static str) -> Self {
        Self {
            what,
            entry: json!({}),
            model: json!({}),
            agent: json!({}),
            key: None,
            request: ask("hi"),
            target: "/v1/chat/completions",
            headers: &[],
            body: json!({}),
        }
    }

    /// Sends it by both doors, and holds what comes to the server against what
    /// must.
    pub(super) async fn hold(self) {
        let server = Server::start().await;
        let configuration = self.configuration(&server);
        let mut user = User::of(&configuration);
        if let Some(key) = self.key {
            user = user.env("VLLM_API_KEY", key);
        }
        let sent = user.sends(&server, MODEL, &self.request).await;
        assert_eq!(chats(&server), 1, "{}: one chat", self.what);
        self.compare(&server, &sent, "the library");

        let last = command::chat(&configuration, self.key, MODEL, &self.request).await;
        assert_eq!(last["type"], "result", "{}: {last}", self.what);
        assert_eq!(chats(&server), 2, "{}: one chat more", self.what);
        self.compare(&server, &server.last(), "the command line");
    }

    fn configuration(&self, server: &Server) -> Value {
        let mut model = json!({"id": MODEL});
        extend(&mut model, &self.model);
        let mut entry = json!({"models": [model]});
        extend(&mut entry, &self.entry);
        let path = entry["baseUrl"].as_str().unwrap_or("/v1").to_owned();
        entry["baseUrl"] = json!(format!("{}{path}", server.origin()));
        let reference = format!("vllm/{MODEL}");
        json!({
            "models": {"providers": {"vllm": entry}},
            "agents": {"defaults": {"models": {reference: {"params": self.agent}}}},
        })
    }

    fn compare(&self, server: &Server, sent: &Request, by: &str) {
        let what = format!("{} by {by}", self.what);
        assert_eq!(
            (sent.method.as_str(), sent.target.as_str()),
            ("POST", self.target),
            "{what}"
        );
        let length = sent.body.len().to_string();
        let host = server.origin().replace("http://", "");
        let mut headers = vec![
            ("accept", "text/event-stream"),
            ("content-length", length.as_str()),
            ("content-type", "application/json"),
            ("host", host.as_str()),
        ];
        let agent = concat!("vllm-provider/", env!("CARGO_PKG_VERSION"));
        if !self.headers.iter().any(|(name, _)| *name == "user-agent") {
            headers.push(("user-agent", agent));
        }
        headers.extend(self.headers);
        headers.sort_unstable();
        let pairs = sent
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let mut found: Vec<(&str, &str)> = pairs.collect();
        found.sort_unstable();
        assert_eq!(found, headers, "{what}");

        let mut body = usual();
        extend(&mut body, &self.body);
        let sent = sent.json();
        for (field, value) in body.as_object().expect("an object") {
            assert_eq!(&sent[field], value, "{what}: {field}");
        }
        assert_eq!(sent, body, "{what}");
    }
}

/// How many chats the server was sent. The command line counts a prompt first
/// where it can't be known to fit.
fn chats(server: &Server) -> usize {
    let requests = server.requests();
    let chats = requests.iter().filter(|r| !r.target.ends_with("/tokenize"));
    chats.count()
}

/// What every body has where nothing else is said.
fn usual() -> Value {
    json!({
        "model": MODEL,
        "messages": [{"role": "user", "content": "hi"}],
        "stream": true,
        "stream_options": {"include_usage": true},
        "max_completion_tokens": 8192,
    })
}

fn extend(object: &mut Value, with: &Value) {
    let object = object.as_object_mut().expect("an object");
    for (key, value) in with.as_object().expect("an object") {
        match value {
            Value::Null => object.remove(key),
            value => object.insert(key.clone(), value.clone()),
        };
    }
}
