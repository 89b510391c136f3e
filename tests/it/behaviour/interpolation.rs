//! Variables in the configuration: seen where they matter, on the wire.

use serde_json::{Value, json};

use super::server::Server;
use super::user::User;
use crate::support::ask;

/// The header `x-text` of a request whose configuration has this text there.
async fn header(server: &Server, text: &str) -> Option<String> {
    let entry = json!({"baseUrl": server.base_url(), "headers": {"X-Text": text},
        "models": [{"id": "m"}]});
    let user = User::entry(&entry)
        .env("A", "one")
        .env("_B2", "two")
        .env("NESTED", "${A}")
        .env("LONG_NAME_2", "with space");
    let request = user.sends(server, "m", &ask("hi")).await;
    request.header("x-text").map(str::to_owned)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_variable_stands_anywhere_several_times_and_is_put_in_once() {
    let server = Server::start().await;
    for (text, sent) in [
        ("${A}", "one"),
        ("x${A}y${_B2}z${A}", "xoneytwozone"),
        ("${A}${_B2}", "onetwo"),
        ("${LONG_NAME_2}", "with space"),
        // One pass: what a variable holds is not looked into.
        ("${NESTED}", "${A}"),
        ("<${NESTED}${A}>", "<${A}one>"),
    ] {
        assert_eq!(header(&server, text).await.as_deref(), Some(sent), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_dollars_are_the_literal_reference() {
    let server = Server::start().await;
    for (text, sent) in [
        ("$${A}", "${A}"),
        // Not even missed.
        ("$${MISSING}", "${MISSING}"),
        ("a$${A}b${A}c", "a${A}bonec"),
        ("$$${A}", "$${A}"),
    ] {
        assert_eq!(header(&server, text).await.as_deref(), Some(sent), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_no_reference_stays_as_it_is() {
    let server = Server::start().await;
    for text in [
        "$", "$$", "$A", "${a}", "${A-B}", "${A", "${}", "${1A}", "${ A }", "${A:-x}", "$(A)",
        "%A%",
    ] {
        assert_eq!(header(&server, text).await.as_deref(), Some(text), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_and_the_parts_of_an_address_may_come_from_variables() {
    let server = Server::start().await;
    let url = server.base_url();
    let (scheme, rest) = url.split_once("://").expect("a URL");
    let (host, path) = rest.split_once('/').expect("a path");
    let user = User::of(&json!({
        "models": {"providers": {"vllm": {
            "baseUrl": format!("${{SCHEME}}://${{HOST}}/{path}"),
            "apiKey": "${KEY}",
            "headers": {"X-Provider": "p-${V}"},
            "request": {"headers": {"X-Request": "${V}"}},
            "models": [{"id": "org/m", "headers": {"X-Model": "m-${V}"}}],
        }}},
    }))
    .env("SCHEME", scheme)
    .env("HOST", host)
    .env("KEY", "key-9")
    .env("V", "value");
    let request = user.sends(&server, "org/m", &ask("hi")).await;
    assert_eq!(request.header("authorization"), Some("Bearer key-9"));
    assert_eq!(request.header("x-provider"), Some("p-value"));
    assert_eq!(request.header("x-request"), Some("value"));
    assert_eq!(request.header("x-model"), Some("m-value"));

    let whole = User::of(&json!({
        "models": {"providers": {"vllm": {"baseUrl": "${URL}", "models": [{"id": "org/m"}]}}},
    }))
    .env("URL", &url);
    whole.sends(&server, "org/m", &ask("hi")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_variable_in_a_field_that_the_plugin_reads_is_refused_with_its_name_and_path() {
    let entry = |entry: Value| json!({"models": {"providers": {"vllm": entry}}});
    let cases = [
        (
            entry(json!({"baseUrl": "http://h/${V}/v1"})),
            "models.providers.vllm.baseUrl",
        ),
        (
            entry(json!({"params": {"stop": ["a", "${V}"]}})),
            "models.providers.vllm.params.stop[1]",
        ),
        (
            entry(json!({"models": [{"id": "a"}, {"id": "b", "name": "${V}"}]})),
            "models.providers.vllm.models[1].name",
        ),
        (
            json!({"agents": {"defaults": {"models": {"vllm/m": {"params": {"a": "${V}"}}}}}}),
            "agents.defaults.models[\"vllm/m\"].params.a",
        ),
    ];
    for (configuration, path) in cases {
        let user = User::of(&configuration).env("V", "value");
        let error = user.model("m").await.expect_err("a refusal");
        let expected = format!("{path} uses the environment variable V");
        assert!(error.message().starts_with(&expected), "{error}");
        assert!(
            error.message().contains("secrets may stand only in apiKey"),
            "{error}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_or_empty_variable_is_an_error_with_its_name_and_path() {
    let entry = |entry: Value| json!({"models": {"providers": {"vllm": entry}}});
    let cases = [
        (
            entry(json!({"apiKey": "${GONE}"})),
            "models.providers.vllm.apiKey",
        ),
        (
            entry(json!({"baseUrl": "http://${GONE}/v1"})),
            "models.providers.vllm.baseUrl",
        ),
        (
            entry(json!({"headers": {"X-Team": "a${GONE}b"}})),
            "models.providers.vllm.headers.X-Team",
        ),
        (
            entry(
                json!({"request": {"auth": {"mode": "authorization-bearer", "token": "${GONE}"}}}),
            ),
            "models.providers.vllm.request.auth.token",
        ),
        (
            json!({"agents": {"defaults": {"models": {"vllm/m": {"params": {"stop": "${GONE}"}}}}}}),
            "agents.defaults.models[\"vllm/m\"].params.stop",
        ),
    ];
    for (configuration, path) in cases {
        for empty in [false, true] {
            let mut user = User::of(&configuration);
            if empty {
                user = user.env("GONE", "");
            }
            let error = user.refusal().await;
            assert_eq!(error.kind_name(), "invalid-config", "{path}");
            assert!(!error.request_sent());
            for words in ["GONE", path] {
                assert!(
                    error.message().contains(words),
                    "no {words}: {}",
                    error.message()
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_variable_missing_in_what_is_not_used_breaks_nothing() {
    let server = Server::start().await;
    let user = User::of(&json!({
        "models": {"providers": {
            "vllm": {"baseUrl": server.base_url(), "apiKey": "${GONE}", "models": [{"id": "m"}]},
            "other": {"baseUrl": "${GONE}", "apiKey": "${GONE_TOO}", "headers": {"x": "${GONE}"}},
        }},
        "agents": {"defaults": {"models": {"other/m": {"params": {"stop": "${GONE}"}}}}},
        "channels": {"chat": {"token": "${GONE_AS_WELL}"}},
    }))
    // With a key from elsewhere nobody needs the one in the configuration.
    .env("VLLM_API_KEY", "from-variable");
    let request = user.sends(&server, "m", &ask("hi")).await;
    assert_eq!(
        request.header("authorization"),
        Some("Bearer from-variable")
    );
}
