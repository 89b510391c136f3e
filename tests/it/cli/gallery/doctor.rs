//! What `doctor` finds.

use provider_host::mock::{Model, Options};
use serde_json::{Value, json};

use super::canned::{Canned, closed_port, http, json as answer};
use super::scene::{Case, Scene};
use crate::cli::process::{Home, KEY, WRONG_KEY};
use crate::cli::server::Server;

const DOCTOR: &[&str] = &["doctor"];

/// A mock server that differs in one respect.
fn differing(change: impl FnOnce(&mut Options)) -> Server {
    let mut options = Options {
        models: vec![Model::new("tiny", 4_096)],
        ..Options::default()
    };
    change(&mut options);
    Server::start(options)
}

/// Discovery at this URL.
fn discovering(url: &str) -> Value {
    json!({
        "models": {"providers": {"vllm": {"baseUrl": url}}},
        "agents": {"defaults": {"model": "vllm/tiny", "models": {"vllm/*": {}}}},
    })
}

/// `doctor` with a base URL.
fn at(title: &str, url: impl FnOnce() -> String + Send + 'static) -> Case {
    Case::new(title, move || {
        Scene::configured(&discovering(&url()), DOCTOR)
    })
}

/// `doctor` at a server that answers all requests with this.
fn raw(title: &str, answer: Vec<u8>) -> Case {
    Case::new(title, move || {
        let server = Canned::raw(answer);
        Scene::configured(&discovering(&server.url("http")), DOCTOR).with(server)
    })
}

/// `doctor` at a mock server whose configuration differs in one respect.
fn set(title: &str, change: impl FnOnce(&mut Value) + Send + 'static) -> Case {
    Case::new(title, move || {
        let server = Server::tiny();
        let mut configuration = server.configuration();
        change(&mut configuration);
        Scene::configured(&configuration, DOCTOR).with(server)
    })
}

fn first_steps() -> Vec<Case> {
    vec![
        Case::new("A configuration file that is not JSON5", || {
            Scene::given("{\n  models: [}\n", DOCTOR)
        }),
        Case::new("A plugin that is none", || {
            Scene::new(Home::new(), &["--plugin", "p.wasm", "doctor"]).file("p.wasm", "hello")
        }),
        Case::new("A setting of the wrong type", || {
            Scene::given(
                "{models: {providers: {vllm: {timeoutSeconds: 'long'}}}}",
                DOCTOR,
            )
        }),
        Case::new("A file of key profiles that is broken", || {
            Scene::new(Home::new(), DOCTOR)
                .file("config/provider-host/auth-profiles.json", "{\"profiles\": ")
        }),
        at("A base URL without its scheme", || {
            "127.0.0.1:8000/v1".to_owned()
        }),
        Case::new("No key for a server that wants one", || {
            Scene::at(Server::guarded(KEY), DOCTOR)
        }),
        Case::new("A key that the server does not know", || {
            let server = Server::guarded(KEY);
            let mut configuration = server.configuration();
            configuration["models"]["providers"]["vllm"]["apiKey"] = json!(WRONG_KEY);
            Scene::configured(&configuration, DOCTOR).with(server)
        }),
        Case::new("A proxy that is not used", || {
            Scene::configured(&discovering("http://nowhere.invalid:8000/v1"), DOCTOR)
                .env("HTTPS_PROXY", "http://proxy:3128")
        }),
    ]
}

fn network() -> Vec<Case> {
    let page = "<html><head><title>Grafana</title></head><body></body></html>";
    vec![
        at("Nothing listens on the port", closed_port),
        Case::new("https to a server that speaks plain HTTP", || {
            let server = Server::tiny();
            let url = server.base_url().replace("http:", "https:");
            Scene::configured(&discovering(&url), DOCTOR).with(server)
        }),
        Case::new("http to a server that speaks TLS", || {
            let server = Canned::tls("127.0.0.1");
            Scene::configured(&discovering(&server.url("http")), DOCTOR).with(server)
        }),
        Case::new("A certificate that nobody vouches for", || {
            let server = Canned::tls("127.0.0.1");
            Scene::configured(&discovering(&server.url("https")), DOCTOR).with(server)
        }),
        Case::new("A port of something else: SSH", || {
            let server = Canned::greeting("SSH-2.0-OpenSSH_9.6\r\n");
            Scene::configured(&discovering(&server.url("http")), DOCTOR).with(server)
        }),
        raw(
            "A port of something else: a web page",
            http("200 OK", &["content-type: text/html"], page),
        ),
        raw(
            "A port of something else: another API",
            answer(r#"{"version":"0.6.2"}"#),
        ),
        Case::new("A base URL without /v1", || {
            let server = Server::tiny();
            let url = server.base_url().replace("/v1", "");
            Scene::configured(&discovering(&url), DOCTOR).with(server)
        }),
    ]
}

fn models() -> Vec<Case> {
    vec![
        raw(
            "A server that serves no model",
            answer(r#"{"object":"list","data":[]}"#),
        ),
        set("A model that is not served", |configuration| {
            configuration["agents"]["defaults"]["model"] = json!("vllm/tinny");
        }),
        set("No default model", |configuration| {
            configuration["agents"]["defaults"]["model"] = Value::Null;
        }),
        set(
            "A model with limits that the server does not have",
            |configuration| {
                configuration["models"]["providers"]["vllm"]["models"] =
                    json!([{"id": "tiny", "contextWindow": 32_768}]);
            },
        ),
        set("A time-out that is too short", |configuration| {
            configuration["models"]["providers"]["vllm"]["timeoutSeconds"] = json!(5);
        }),
        Case::new("A server that lists its models and does not answer", || {
            let server = Server::with_faults(&["silent"]);
            let mut configuration = server.configuration();
            configuration["models"]["providers"]["vllm"]["timeoutSeconds"] = json!(1);
            Scene::configured(&configuration, DOCTOR).with(server)
        }),
        Case::new("A server without a tool parser", || {
            Scene::at(differing(|options| options.tool_parser = false), DOCTOR)
        }),
        Case::new("A reasoning parser that takes the whole answer", || {
            Scene::at(differing(|options| options.closes_thinking = false), DOCTOR)
        }),
    ]
}

pub(super) fn cases() -> Vec<Case> {
    let whole = vec![
        Case::new("All is well", || Scene::at(Server::tiny(), DOCTOR)),
        Case::new("Nothing is set up", || Scene::new(Home::new(), DOCTOR)),
    ];
    let found = [first_steps(), network(), models()].into_iter().flatten();
    whole
        .into_iter()
        .chain(found.map(|case| case.changed(Scene::findings)))
        .collect()
}
