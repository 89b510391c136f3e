//! Failures of discovery, and why a model is not known.

use std::time::Duration;

use provider_host::Error;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::answer::Answer;
use super::server::Server;
use super::user::User;

/// An address at which nobody listens.
async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    format!("http://{address}/v1")
}

fn at(base_url: &str, entry: Value) -> User {
    let mut entry = entry;
    entry["baseUrl"] = json!(base_url);
    User::of(&json!({
        "models": {"providers": {"vllm": entry}},
        "agents": {"defaults": {"models": {"vllm/*": {}}}},
    }))
}

async fn failure(answer: Answer) -> Error {
    let server = Server::listing(answer).await;
    let user = User::discovering(&server, json!({})).env("VLLM_API_KEY", "key");
    let error = user.catalog().await.expect_err("no list");
    assert!(error.message().contains(&server.base_url()), "{error:?}");
    error
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreachable_server_is_told_with_its_cause() {
    let plain = Server::start().await;
    for (base_url, entry, retryable, cause) in [
        (nobody().await, json!({}), true, "refused"),
        (
            "http://vllm.invalid/v1".to_owned(),
            json!({"auth": "none"}),
            true,
            "vllm.invalid",
        ),
        (
            plain.base_url().replace("http:", "https:"),
            json!({}),
            false,
            "TLS",
        ),
    ] {
        let error = at(&base_url, entry).catalog().await.expect_err("nobody");
        assert_eq!(error.kind_name(), "unreachable", "{error:?}");
        assert_eq!(
            (error.retryable(), error.request_sent()),
            (retryable, false),
            "{error:?}"
        );
        assert!(error.message().contains(cause), "no {cause}: {error:?}");
        assert!(error.message().contains(&base_url), "no URL: {error:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_failure_of_a_list_keeps_its_own_kind() {
    let json = Answer::json;
    for (answer, kind) in [
        (
            json(401, &json!({"error": "Unauthorized"})),
            "authentication",
        ),
        (json(403, &json!({})), "permission"),
        (json(404, &json!({"detail": "Not Found"})), "invalid-config"),
        (json(500, &json!({})), "server"),
        (json(503, &json!({})), "overloaded"),
        (
            Answer::status(200).bytes("<html><title>Sign in</title></html>"),
            "protocol",
        ),
        (Answer::status(200).bytes(""), "protocol"),
        (
            Answer::status(200).bytes("{\"data\": [{\"id\": "),
            "protocol",
        ),
        (json(200, &json!({"hosts": ["m"]})), "protocol"),
        (
            json(200, &json!({"error": "Unexpected endpoint"})),
            "invalid-config",
        ),
        (json(200, &json!({"data": {"id": "m"}})), "protocol"),
        (json(200, &json!({"data": null})), "protocol"),
        (json(200, &json!("m")), "protocol"),
        (Answer::none(), "interrupted"),
        (
            Answer::status(200)
                .bytes("{\"data\":")
                .pause(Duration::from_millis(20))
                .cut(),
            "interrupted",
        ),
    ] {
        let what = format!("{answer:?}");
        let error = failure(answer).await;
        assert_eq!(error.kind_name(), kind, "{what}: {error:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_list_is_no_failure_and_is_told() {
    let server = Server::listing(Answer::json(200, &json!({"data": []}))).await;
    let catalog = User::discovering(&server, json!({}))
        .catalog()
        .await
        .expect("a list");
    assert_eq!(catalog.models, []);
    assert_eq!(catalog.notes[0].code, "no-models-served");
    assert!(
        catalog.notes[0].message.contains(&server.base_url()),
        "{:?}",
        catalog.notes
    );
}

/// Why `tinny` is not known to a user.
async fn why(user: User) -> Error {
    let error = user.model("tinny").await.expect_err("no such model");
    assert!(error.message().contains("tinny"), "{error:?}");
    error
}

#[track_caller]
fn says(error: &Error, kind: &str, words: &[&str], not: &[&str]) {
    assert_eq!(error.kind_name(), kind, "{error:?}");
    for words in words {
        assert!(error.message().contains(words), "no {words}: {error:?}");
    }
    for words in not {
        assert!(!error.message().contains(words), "{words}: {error:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_model_without_any_key_is_told_to_set_one() {
    let error = why(User::of(&json!({}))).await;
    says(
        &error,
        "model-not-found",
        &[
            "no API key is set",
            "VLLM_API_KEY",
            "http://127.0.0.1:8000/v1",
        ],
        &[],
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_model_behind_a_refused_key_is_told_that_the_key_is_refused() {
    let server = Server::listing(Answer::json(401, &json!({"error": "Unauthorized"}))).await;
    let user = User::discovering(&server, json!({})).env("VLLM_API_KEY", "wrong");
    let error = why(user).await;
    says(
        &error,
        "authentication",
        &["401", "Unauthorized", &server.base_url()],
        &["wrong"],
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_model_at_a_dead_server_is_told_where_nobody_listens() {
    let base_url = nobody().await;
    let error = why(at(&base_url, json!({})).env("VLLM_API_KEY", "key")).await;
    // Setting a key would not help.
    says(
        &error,
        "unreachable",
        &[&base_url, "refused"],
        &["VLLM_API_KEY"],
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_model_at_a_server_is_told_what_it_serves_nearest_first() {
    let rows = json!({"data": [{"id": "Qwen/Qwen3-8B"}, {"id": "org/tiny"}, {"id": "other"}]});
    let server = Server::listing(Answer::json(200, &rows)).await;
    let user = User::discovering(&server, json!({})).env("VLLM_API_KEY", "key");
    let error = why(user).await;
    says(
        &error,
        "model-not-found",
        &[
            "serves only org/tiny, ",
            "Qwen/Qwen3-8B",
            &server.base_url(),
        ],
        &["VLLM_API_KEY"],
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_model_beside_declared_ones_is_told_to_be_declared() {
    let server = Server::start().await;
    let error = why(User::declaring(&server, &json!({"id": "mine"}))).await;
    says(
        &error,
        "model-not-found",
        &["declares only mine", "\"vllm/*\""],
        &["VLLM_API_KEY"],
    );
    let error = why(User::entry(
        &json!({"baseUrl": server.base_url(), "models": []}),
    ))
    .await;
    says(
        &error,
        "model-not-found",
        &["declares no models", "\"vllm/*\""],
        &["VLLM_API_KEY"],
    );
    assert_eq!(server.requests().len(), 0);
}
