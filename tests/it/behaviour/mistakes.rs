//! What a user is told of a configuration that holds a mistake.

use serde_json::{Value, json};

use super::server::Server;
use super::user::User;
use crate::support::ask;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_value_is_an_error_with_path_finding_and_what_is_allowed() {
    let model =
        |field: &str, value: Value| json!({"models": [{"id": "ok"}, {"id": "m", field: value}]});
    let at = |path: &str| format!("models.providers.vllm.{path}");
    let cases = [
        (json!({"baseUrl": 5}), at("baseUrl"), "5", "URL"),
        (json!({"apiKey": 5}), at("apiKey"), "a number", "text"),
        (json!({"auth": "oauth"}), at("auth"), "oauth", "none"),
        (
            json!({"api": "openai-responses"}),
            at("api"),
            "openai-responses",
            "openai-completions",
        ),
        (
            json!({"authHeader": "yes"}),
            at("authHeader"),
            "yes",
            "true or false",
        ),
        (json!({"headers": []}), at("headers"), "a", "an object"),
        (
            json!({"headers": {"X-A": 1}}),
            at("headers.X-A"),
            "a number",
            "a",
        ),
        (
            json!({"headers": {"Content-Length": "1"}}),
            at("headers.Content-Length"),
            "can't be set",
            "transport",
        ),
        (
            json!({"timeoutSeconds": 0}),
            at("timeoutSeconds"),
            "0",
            "above 0",
        ),
        (
            json!({"params": {"temperature": "hot"}}),
            at("params.temperature"),
            "hot",
            "a number",
        ),
        (
            json!({"params": {"extra_body": {"stream": false}}}),
            at("params.extra_body.stream"),
            "can't be set",
            "exchange",
        ),
        (
            json!({"params": {"extra_body": {"messages": []}}}),
            at("params.extra_body.messages"),
            "can't be set",
            "exchange",
        ),
        (json!({"request": 1}), at("request"), "1", "an object"),
        (
            json!({"request": {"allowPrivateNetwork": "yes"}}),
            at("request.allowPrivateNetwork"),
            "yes",
            "true or false",
        ),
        (
            json!({"request": {"auth": {"mode": "x"}}}),
            at("request.auth.mode"),
            "x",
            "header",
        ),
        (
            json!({"models": {}}),
            at("models"),
            "an object",
            "a list of objects",
        ),
        (
            json!({"models": [{"name": "n"}]}),
            at("models[0].id"),
            "missing",
            "server knows",
        ),
        (
            model("name", json!("")),
            at("models[1].name"),
            "\"\"",
            "not blank",
        ),
        (
            model("reasoning", json!(1)),
            at("models[1].reasoning"),
            "1",
            "true or false",
        ),
        (
            model("input", json!(["smell"])),
            at("models[1].input[0]"),
            "smell",
            "image",
        ),
        (
            model("cost", json!({"input": -1})),
            at("models[1].cost.input"),
            "-1",
            "0 or more",
        ),
        (
            model("contextWindow", json!(0)),
            at("models[1].contextWindow"),
            "0",
            "from 1",
        ),
        (
            model("contextTokens", json!("x")),
            at("models[1].contextTokens"),
            "x",
            "from 1",
        ),
        (
            model("maxTokens", json!(-3)),
            at("models[1].maxTokens"),
            "-3",
            "from 1",
        ),
        (
            model("headers", json!({"a": null})),
            at("models[1].headers.a"),
            "null",
            "a string",
        ),
        (
            model("params", json!({"seed": 1.5})),
            at("models[1].params.seed"),
            "1.5",
            "whole number",
        ),
        (
            model("compat", json!({"supportsTools": 0})),
            at("models[1].compat.supportsTools"),
            "0",
            "true or false",
        ),
        (
            model("compat", json!({"maxTokensField": "n"})),
            at("models[1].compat.maxTokensField"),
            "n",
            "max_tokens",
        ),
    ];
    for (entry, path, found, allowed) in cases {
        let error = User::entry(&entry).refusal().await;
        assert_eq!(error.kind_name(), "invalid-config", "{entry}: {error:?}");
        for words in [path.as_str(), found, allowed] {
            assert!(
                error.message().contains(words),
                "no {words}: {}",
                error.message()
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_value_of_the_agents_settings_is_an_error_with_its_path() {
    for (models, path) in [
        (json!([]), "agents.defaults.models"),
        (json!({"vllm/m": 1}), "agents.defaults.models[\"vllm/m\"]"),
        (
            json!({"vllm/m": {"params": 1}}),
            "agents.defaults.models[\"vllm/m\"].params",
        ),
        (
            json!({"vllm/m": {"params": {"seed": "x"}}}),
            "agents.defaults.models[\"vllm/m\"].params.seed",
        ),
    ] {
        let user = User::of(&json!({"agents": {"defaults": {"models": models}}}));
        let error = user.refusal().await;
        assert_eq!(error.kind_name(), "invalid-config");
        assert!(
            error.message().contains(path),
            "no {path}: {}",
            error.message()
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_key_is_told_with_the_nearest_known_one_and_refuses_nothing() {
    let server = Server::start().await;
    let (url, v) = (server.base_url(), json!("1"));
    let model = |inner: Value| {
        let mut model = json!({"id": "m"});
        model
            .as_object_mut()
            .expect("an object")
            .extend(inner.as_object().expect("an object").clone());
        json!({"baseUrl": server.base_url(), "models": [model]})
    };
    let entry = |key: &str| json!({"baseUrl": url, "models": [{"id": "m"}], key: v});
    let cases = [
        (entry("base_url"), "base_url", Some("baseUrl")),
        (entry("apikey"), "apikey", Some("apiKey")),
        (
            entry("timeoutSecond"),
            "timeoutSecond",
            Some("timeoutSeconds"),
        ),
        (entry("header"), "header", Some("headers")),
        (entry("somethingElse"), "somethingElse", None),
        (
            model(json!({"context_window": 1})),
            "models[0].context_window",
            Some("contextWindow"),
        ),
        (
            model(json!({"maxToken": 1})),
            "models[0].maxToken",
            Some("maxTokens"),
        ),
        (
            model(json!({"cost": {"cache_read": 1}})),
            "models[0].cost.cache_read",
            Some("cacheRead"),
        ),
        (
            model(json!({"compat": {"supportTools": true}})),
            "models[0].compat.supportTools",
            Some("supportsTools"),
        ),
        (
            model(json!({"params": {"temprature": 1}})),
            "models[0].params.temprature",
            Some("temperature"),
        ),
        (
            json!({"baseUrl": url, "models": [{"id": "m"}], "request": {"header": {}}}),
            "request.header",
            Some("headers"),
        ),
    ];
    for (entry, key, near) in cases {
        let user = User::entry(&entry);
        let notes = user.notes().await;
        assert_eq!(notes.len(), 1, "{entry}: {notes:?}");
        let path = format!("models.providers.vllm.{key}");
        assert_eq!(notes[0].code, "unknown-key");
        assert_eq!(notes[0].path.as_deref(), Some(path.as_str()));
        match near {
            Some(near) => {
                let hint = format!("did you mean {near}?");
                assert!(notes[0].message.contains(&hint), "{notes:?}");
            }
            None => assert!(!notes[0].message.contains("did you mean"), "{notes:?}"),
        }
        let body = user.says(&server, &ask("hi")).await;
        assert_eq!(body["model"], "m", "{key} refuses nothing");
    }
}
