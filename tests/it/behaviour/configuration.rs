//! Every field of the configuration, and what it does.

use std::time::{Duration, Instant};

use provider_host::configuration::Configuration;
use provider_host::types::{ChatRequest, Cost, Modality, Model, ModelSource};
use serde_json::{Value, json};

use super::answer::Answer;
use super::server::Server;
use super::user::User;
use crate::support::ask;

/// The model `m` as it is when nothing but its id is said.
fn defaults() -> Model {
    crate::support::model("m")
}

async fn declared(model: &Value) -> Model {
    let user = User::entry(&json!({"models": [model]}));
    user.model("m")
        .await
        .unwrap_or_else(|error| panic!("{model}: {error:?}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_file_is_json5_in_openclaws_shape() {
    let server = Server::start().await;
    let text = format!(
        "// what people write\n{{\n  gateway: {{ mode: 'local' }},\n  models: {{ mode: 'merge', providers: {{\n    \
         vllm: {{\n      baseUrl: '{}', /* here */\n      api: \"openai-completions\",\n      \
         models: [{{ id: 'm', contextWindow: 0x8000, maxTokens: +4096, cost: {{ input: .5, output: 1., }}, }},],\n    \
         }},\n  }} }},\n}}\n",
        server.base_url()
    );
    let user = User::with_text(&text);
    let model = user.model("m").await.expect("a model");
    assert_eq!((model.context_window, model.max_tokens), (32_768, 4_096));
    assert_eq!((model.cost.input, model.cost.output), (0.5, 1.0));
    user.sends(&server, "m", &ask("hi")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_with_nothing_but_an_id_has_every_default() {
    let expected = Model {
        id: "m".into(),
        name: "m".into(),
        reasoning: false,
        input: vec![Modality::Text],
        cost: Cost {
            input: 0.0,
            output: 0.0,
            cache_read: 0.0,
            cache_write: 0.0,
        },
        context_window: 128_000,
        max_tokens: 8_192,
        parent: None,
        source: ModelSource::Declared,
    };
    assert_eq!(declared(&json!({"id": "m"})).await, expected);
    // And the API is the only one there is.
    assert_eq!(
        declared(&json!({"id": "m", "api": "openai-completions"})).await,
        expected
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_field_of_a_declared_model_is_taken() {
    let full = json!({"id": "m", "name": "Mine", "reasoning": true, "input": ["text", "image"],
        "cost": {"input": 1, "output": 2.5, "cacheRead": 0.1, "cacheWrite": 0.2},
        "contextWindow": 40_960, "maxTokens": 1_000});
    let expected = Model {
        name: "Mine".into(),
        reasoning: true,
        input: vec![Modality::Text, Modality::Image],
        cost: Cost {
            input: 1.0,
            output: 2.5,
            cache_read: 0.1,
            cache_write: 0.2,
        },
        context_window: 40_960,
        max_tokens: 1_000,
        ..defaults()
    };
    assert_eq!(declared(&full).await, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_default_limit_is_8192_or_the_whole_of_a_smaller_context() {
    for (window, limit) in [
        (128_000, 8_192),
        (8_193, 8_192),
        (8_192, 8_192),
        (4_096, 4_096),
        (1, 1),
    ] {
        let model = declared(&json!({"id": "m", "contextWindow": window})).await;
        assert_eq!((model.context_window, model.max_tokens), (window, limit));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_base_url_may_be_left_out_or_blank() {
    for entry in [json!({}), json!({"baseUrl": ""}), json!({"baseUrl": "  "})] {
        let user = User::entry(&entry);
        assert_eq!(user.notes().await, [], "{entry}");
        let wiring = user.wiring().expect("settings");
        assert_eq!(
            wiring.resolved.base_url, "http://127.0.0.1:8000/v1",
            "{entry}"
        );
        let origin = wiring.origin().expect("an origin");
        assert_eq!(origin.authority(), "127.0.0.1:8000");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn configured_headers_are_sent_and_the_nearer_to_the_request_wins() {
    let server = Server::start().await;
    let entry = json!({
        "baseUrl": server.base_url(),
        "headers": {"X-Provider": "p", "X-Both": "p", "X-All": "p", "User-Agent": "mine/1"},
        "request": {"headers": {"X-Request": "r", "x-all": "r"}},
        "models": [{"id": "m", "headers": {"X-Model": "m", "x-both": "m", "X-All": "m"}}, {"id": "n"}],
    });
    let user = User::entry(&entry);
    let request = user.sends(&server, "m", &ask("hi")).await;
    for (name, value) in [
        ("x-provider", Some("p")),
        ("x-model", Some("m")),
        ("x-request", Some("r")),
        ("x-both", Some("m")),
        ("x-all", Some("r")),
        ("user-agent", Some("mine/1")),
    ] {
        assert_eq!(request.header(name), value, "{name}");
    }
    // A model's headers are its own.
    let request = user.sends(&server, "n", &ask("hi")).await;
    assert_eq!(
        (request.header("x-model"), request.header("x-both")),
        (None, Some("p"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configured_authorization_goes_before_the_key_unless_auth_header_says_otherwise() {
    let server = Server::start().await;
    for (auth_header, configured, sent) in [
        (Value::Null, None, "Bearer key"),
        (Value::Null, Some("Token mine"), "Token mine"),
        (json!(false), Some("Token mine"), "Token mine"),
        (json!(true), Some("Token mine"), "Bearer key"),
        (json!(true), None, "Bearer key"),
    ] {
        let mut entry = json!({"baseUrl": server.base_url(), "models": [{"id": "m"}]});
        if let Some(value) = configured {
            entry["headers"] = json!({"AUTHORIZATION": value});
        }
        if !auth_header.is_null() {
            entry["authHeader"] = auth_header.clone();
        }
        let user = User::entry(&entry).env("VLLM_API_KEY", "key");
        let request = user.sends(&server, "m", &ask("hi")).await;
        assert_eq!(
            request.header("authorization"),
            Some(sent),
            "{auth_header} {configured:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn request_auth_makes_the_credential() {
    let server = Server::start().await;
    for (auth, name, sent) in [
        (
            json!({"mode": "provider-default"}),
            "authorization",
            Some("Bearer key"),
        ),
        (
            json!({"mode": "authorization-bearer", "token": "other"}),
            "authorization",
            Some("Bearer other"),
        ),
        (
            json!({"mode": "header", "headerName": "X-Api-Key", "value": "v"}),
            "x-api-key",
            Some("v"),
        ),
        (
            json!({"mode": "header", "headerName": "Authorization", "value": "v", "prefix": "Token "}),
            "authorization",
            Some("Token v"),
        ),
        // Another header is instead of the key, not beside it.
        (
            json!({"mode": "header", "headerName": "X-Api-Key", "value": "v"}),
            "authorization",
            None,
        ),
    ] {
        let entry = json!({"baseUrl": server.base_url(), "request": {"auth": auth},
            "models": [{"id": "m"}]});
        let user = User::entry(&entry).env("VLLM_API_KEY", "key");
        let request = user.sends(&server, "m", &ask("hi")).await;
        assert_eq!(request.header(name), sent, "{auth}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn timeout_seconds_bounds_the_wait_for_a_silent_server() {
    let server = Server::answering([Answer::status(200).silent()]).await;
    let entry = json!({"baseUrl": server.base_url(), "timeoutSeconds": 0.4,
        "models": [{"id": "m"}]});
    let start = Instant::now();
    let (_, error) = User::entry(&entry).chat("m", &ask("hi")).await;
    let error = error.expect("silence");
    assert_eq!(error.kind_name(), "timeout", "{error:?}");
    let waited = start.elapsed();
    assert!(waited >= Duration::from_millis(400), "{waited:?}");
    assert!(waited < Duration::from_secs(30), "{waited:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn context_tokens_caps_what_a_prompt_leaves() {
    let server = Server::start().await;
    let model = json!({"id": "m", "contextWindow": 10_000, "contextTokens": 2_000});
    let request = ChatRequest {
        prompt_tokens: Some(1_900),
        ..ask("hi")
    };
    let body = User::declaring(&server, &model)
        .says(&server, &request)
        .await;
    assert_eq!(body["max_completion_tokens"], 100);
}

#[test]
fn the_agents_default_model_and_its_fallbacks_are_read() {
    let choice = |model: Value| {
        let text = json!({"agents": {"defaults": {"model": model}}}).to_string();
        let configuration = Configuration::parse(&text, "openclaw.json").expect("an object");
        let choice = configuration.default_model(&|_| None).expect("references");
        let names = |one: &provider_host::configuration::ModelReference| one.to_string();
        (
            choice.primary.as_ref().map(names),
            choice.fallbacks.iter().map(names).collect::<Vec<_>>(),
        )
    };
    let full = json!({"primary": "vllm/Qwen/Qwen3-8B", "fallbacks": ["VLLM/b", "other/c"]});
    assert_eq!(
        choice(full),
        (
            Some("vllm/Qwen/Qwen3-8B".into()),
            vec!["vllm/b".into(), "other/c".into()]
        )
    );
    assert_eq!(choice(json!("vllm/a")), (Some("vllm/a".into()), vec![]));
    assert_eq!(choice(json!({})), (None, vec![]));
}
