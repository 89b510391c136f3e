//! Every key of OpenClaw's configuration that concerns a vLLM server, and what
//! becomes of it here.
//!
//! A key is set in a small configuration, and a conversation that has
//! everything in it is held with and without it. What a key changes is seen in
//! what is sent, in the model, in the usage or in what the host made of it; a
//! key without effect must change none of them, and say so where a user would
//! expect one.

mod table;

use std::fmt::Write as _;

use provider_host::Wiring;
use provider_host::configuration::Configuration;
use provider_host::credentials::{ProfileFile, Profiles};
use provider_host::types::{
    AssistantMessage, ChatRequest, ContentPart, Event, Image, Message, ReasoningEffort, Tool,
    ToolCall, ToolResult, TurnStatus,
};
use serde_json::{Value, json};

use super::page;
use super::recorded;
use super::server::Server;
use crate::support::{ask, plugin, run};
use table::Seen::{Effect, Nothing, Refusal, Warning};
use table::{Key, keys};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_configuration_key_does_what_the_page_says() {
    let server = Server::start();
    let keys = keys(server.port);
    let mut wrong = Vec::new();
    for key in &keys {
        let without = configuration(server.port, &key.with);
        let mut with = without.clone();
        set(&mut with, key.path, &key.value);
        let without = observe(&server, &without)
            .await
            .expect("the small configuration");
        let found = observe(&server, &with).await;
        let named = full(key.path);
        let as_said = match (&found, key.seen) {
            (Err(error), Refusal) => error.contains(&named),
            (Err(_), _) | (Ok(_), Refusal) => false,
            (Ok(found), Effect) => found.facts != without.facts && !found.warned.contains(&named),
            (Ok(found), Warning) => found.facts == without.facts && found.warned.contains(&named),
            (Ok(found), Nothing) => found.facts == without.facts && found.warned == without.warned,
        };
        if !as_said {
            let found = match &found {
                Err(error) => error.clone(),
                Ok(found) => format!(
                    "changed: {}, warned of {:?}",
                    found.facts != without.facts,
                    found.warned
                ),
            };
            wrong.push(format!(
                "{} = {}: {}: {found}",
                key.path,
                key.value,
                key.verdict()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    write(&keys);
}

/// The page's table.
fn write(keys: &[Key]) {
    let mut text = String::from("| key | here | |\n|---|---|---|\n");
    for key in keys {
        let said = key.text.strip_prefix("differently: ").unwrap_or(key.text);
        let _ = writeln!(
            text,
            "| `{}` | {} | {said} |",
            shown(key.path),
            key.verdict()
        );
    }
    page::block("keys", &text);
}

fn shown(path: &str) -> String {
    path.replace("models.vllm/*", "models[\"vllm/*\"]")
        .replace("models.vllm/m", "models[\"vllm/…\"]")
}

/// Where a key stands, as messages name it.
fn full(path: &str) -> String {
    match is_of_the_root(path) {
        true => path.to_owned(),
        false => format!("models.providers.vllm.{}", path.replace("[]", "[0]")),
    }
}

fn is_of_the_root(path: &str) -> bool {
    path.starts_with("agents.") || path.starts_with('$')
}

fn configuration(port: u16, with: &[(&'static str, Value)]) -> Value {
    let base = format!("http://127.0.0.1:{port}/v1");
    let mut root = json!({
        "models": {"providers": {"vllm": {"baseUrl": base, "models": [{"id": "m"}]}}},
        "agents": {"defaults": {"model": {"primary": "vllm/m"}}},
    });
    for (path, value) in with {
        set(&mut root, path, value);
    }
    root
}

fn set(root: &mut Value, path: &str, value: &Value) {
    let mut at = match is_of_the_root(path) {
        true => root,
        false => &mut root["models"]["providers"]["vllm"],
    };
    for step in path.split('.') {
        at = match step {
            "models[]" => &mut at["models"][0],
            step => &mut at[step],
        };
    }
    *at = value.clone();
}

struct Observed {
    /// Everything that a key may change.
    facts: String,
    /// The paths that warnings name.
    warned: Vec<String>,
}

/// Lists, resolves and talks. An error of the configuration is the error; one
/// of the exchange is a fact.
async fn observe(server: &Server, configuration: &Value) -> Result<Observed, String> {
    server.play(&recorded::load("20-agent-explicit"));
    let environment = |name: &str| (name == "OTHER").then(|| "other-key".to_owned());
    let configuration = Configuration::parse(&configuration.to_string(), "openclaw.json")
        .map_err(|error| error.to_string())?;
    let profiles = Profiles::empty();
    let wiring = Wiring::new(&configuration, plugin(), &environment, &profiles)
        .map_err(|error| error.message().to_owned())?;
    let settings = wiring.settings();
    let provider = wiring
        .provider(plugin(), settings)
        .map_err(|error| error.message().to_owned())?;
    let notes = provider.check_settings().await;
    let notes = notes.map_err(|error| error.message().to_owned())?;
    let host = wiring.resolved.notes.iter().map(|note| note.path.clone());
    let warned = host
        .chain(notes.into_iter().map(|note| note.path))
        .flatten();
    let warned = warned.collect();

    let resolved = &wiring.resolved;
    let mut facts = format!(
        "{:?} {:?} {:?} {:?} {:?} {:?} {:?}\n",
        resolved.timeout,
        resolved.allow_private,
        resolved.ca_pem,
        resolved.server_name,
        resolved.client_identity,
        resolved.proxy,
        configuration.default_model(&environment)
    );
    let _ = writeln!(
        facts,
        "{:?}",
        provider.list_models().await.map(|c| c.models)
    );
    match provider.resolve_model("m").await {
        Err(error) => facts.push_str(error.message()),
        Ok(model) => {
            let (events, error) = run(&provider, &model, &everything()).await;
            let usage = events.iter().find(|event| matches!(event, Event::Usage(_)));
            let _ = writeln!(facts, "{model:?} {usage:?} {error:?}");
        }
    }
    for sent in server.take() {
        let _ = writeln!(
            facts,
            "{} {} {:?} {}",
            sent.method, sent.path, sent.headers, sent.body
        );
    }
    Ok(Observed { facts, warned })
}

/// A conversation with everything in it that a key can change.
fn everything() -> ChatRequest {
    let text = |text: &str| ContentPart::Text(text.to_owned());
    let image = || {
        ContentPart::Image(Image {
            media_type: "image/png".to_owned(),
            data: b"\x89PNG".to_vec(),
        })
    };
    let mut request = ask("");
    request.messages = vec![
        Message::System("be brief".to_owned()),
        Message::User(vec![text("one"), text("two"), image()]),
        Message::Assistant(AssistantMessage {
            content: vec![text("let me see")],
            reasoning: Some("a thought".to_owned()),
            tool_calls: vec![ToolCall {
                id: "call_1".to_owned(),
                name: "look".to_owned(),
                arguments: "{}".to_owned(),
            }],
            status: TurnStatus::Completed,
        }),
        Message::Tool(ToolResult {
            call_id: "call_1".to_owned(),
            name: Some("look".to_owned()),
            content: vec![text("seen")],
            is_error: false,
        }),
        Message::User(vec![text("and?")]),
    ];
    request.tools = vec![Tool {
        name: "look".to_owned(),
        description: None,
        parameters: r#"{"type":"object"}"#.to_owned(),
    }];
    request.reasoning = Some(ReasoningEffort::Medium);
    request.prompt_tokens = Some(1_000);
    request
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_variable_in_the_headers_of_one_model_stops_that_model_alone() {
    let server = Server::start();
    server.play(&recorded::load("20-agent-explicit"));
    let text = format!(
        "{{models: {{providers: {{vllm: {{baseUrl: 'http://127.0.0.1:{}/v1', models: [
            {{id: 'm', headers: {{'X-Team': '${{GONE}}'}}}}, {{id: 'n'}}]}}}}}}}}",
        server.port
    );
    let configuration = Configuration::parse(&text, "openclaw.json").expect("JSON5");
    let nothing = |_: &str| None;
    let profiles = Profiles::empty();
    let wiring = Wiring::new(&configuration, plugin(), &nothing, &profiles);
    let wiring = wiring.expect("a configuration that can be used");
    let provider = wiring
        .provider(plugin(), wiring.settings())
        .expect("a provider");
    let ids = provider.list_models().await.expect("a list").models;
    assert_eq!(
        ids.iter().map(|m| m.id.as_str()).collect::<Vec<_>>(),
        ["m", "n"]
    );

    let model = provider.resolve_model("m").await.expect("the model");
    let (_, error) = run(&provider, &model, &ask("hi")).await;
    let error = error.expect("no chat with it");
    assert_eq!(error.kind_name(), "invalid-config");
    for words in ["GONE", "models.providers.vllm.models[0].headers.X-Team"] {
        assert!(error.message().contains(words), "{error:?}");
    }
    assert!(server.take().is_empty(), "nothing was sent");

    let model = provider.resolve_model("n").await.expect("the model");
    let (_, error) = run(&provider, &model, &ask("hi")).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(server.take().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openclaws_own_profile_file_gives_the_key_that_is_sent() {
    let server = Server::start();
    let file = json!({
        "version": 1,
        "profiles": {
            "vllm:default": {"type": "api_key", "provider": "vllm", "key": "k-default"},
            "vllm:old": {"type": "token", "provider": "vllm", "token": "t-old", "expires": 1},
            "vllm:work": {"type": "token", "provider": "vllm", "token": "t-work"},
        },
        "order": {"vllm": ["vllm:old", "vllm:work", "vllm:default"]},
        "lastGood": {"vllm": "vllm:default"},
        "usageStats": {"vllm:work": {"cooldownUntil": 8_000_000_000_000_u64, "errorCount": 4}},
    });
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("auth-profiles.json");
    std::fs::write(&path, file.to_string()).expect("a file");
    let profiles = ProfileFile::at(path).load().expect("profiles");

    server.play(&recorded::load("20-agent-explicit"));
    let root = configuration(server.port, &[]);
    let configuration = Configuration::parse(&root.to_string(), "openclaw.json").expect("JSON5");
    let environment = |name: &str| (name == "VLLM_API_KEY").then(|| "variable".to_owned());
    let wiring = Wiring::new(&configuration, plugin(), &environment, &profiles);
    let wiring = wiring.expect("a configuration that can be used");
    let provider = wiring
        .provider(plugin(), wiring.settings())
        .expect("a provider");
    let model = provider.resolve_model("m").await.expect("the model");
    let (_, error) = run(&provider, &model, &ask("hi")).await;
    assert!(error.is_none(), "{error:?}");
    let sent = server.take();
    let key = sent[0]
        .headers
        .iter()
        .find(|(name, _)| name == "authorization");
    assert_eq!(key.expect("a key").1, "Bearer t-work");
    let notes: Vec<_> = wiring.resolved.notes.iter().map(|n| &n.message).collect();
    assert_eq!(
        notes,
        ["key profile vllm:old is not used: its token has expired"]
    );
}
