//! Keys that are missing, wrong or not enough.

use serde_json::json;

use super::canned::{Canned, http};
use super::scene::{Case, Scene};
use crate::cli::process::{Home, KEY, WRONG_KEY};
use crate::cli::server::Server;

const LIST: &[&str] = &["models", "list"];
const CHAT: &[&str] = &["chat", "--model", "vllm/tiny", "Say hello."];

/// A server that wants a key, its model declared.
fn guarded(key: Option<&str>, arguments: &[&str]) -> Scene {
    let server = Server::guarded(KEY);
    let mut configuration = server.declaring(&json!([{"id": "tiny"}]));
    configuration["models"]["providers"]["vllm"]["apiKey"] = json!(key);
    if arguments == LIST {
        configuration["agents"]["defaults"]["models"] = json!({"vllm/*": {}});
    }
    Scene::configured(&configuration, arguments).with(server)
}

/// A server that answers every request with this.
fn answering(answer: Vec<u8>, arguments: &[&str]) -> Scene {
    let server = Canned::raw(answer);
    let configuration = json!({
        "models": {"providers": {"vllm": {"baseUrl": server.url("http"), "apiKey": WRONG_KEY}}},
        "agents": {"defaults": {"model": "vllm/tiny", "models": {"vllm/*": {}}}},
    });
    Scene::configured(&configuration, arguments).with(server)
}

fn forbidden() -> Vec<u8> {
    http(
        "403 Forbidden",
        &["content-type: application/json"],
        r#"{"error":{"message":"This key may not use the model tiny.","type":"PermissionDeniedError","code":403}}"#,
    )
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("No key, and the server wants one: models", || {
            guarded(None, LIST)
        }),
        Case::new("No key, and the server wants one: a chat", || {
            guarded(None, CHAT)
        }),
        Case::new("No key, and the model has to be discovered", || {
            Scene::at(Server::guarded(KEY), CHAT)
        }),
        Case::new("A key that the server does not know: models", || {
            guarded(Some(WRONG_KEY), LIST)
        }),
        Case::new("A key that the server does not know: a chat", || {
            guarded(Some(WRONG_KEY), CHAT)
        }),
        Case::new("A key that may not do this: models", || {
            answering(forbidden(), LIST)
        }),
        Case::new("A key that may not do this: a chat", || {
            answering(forbidden(), CHAT)
        }),
        Case::new("No key for a server elsewhere", || {
            Scene::given(
                "{models: {providers: {vllm: {baseUrl: 'https://gpu.example/v1'}}}, agents: {defaults: {models: {'vllm/*': {}}}}}",
                LIST,
            )
        }),
        Case::new(
            "No key and no configuration: models (the list is empty)",
            || Scene::new(Home::new(), LIST),
        ),
        Case::new("No key and no configuration: a chat", || {
            Scene::new(Home::new(), CHAT)
        }),
        Case::new(
            "A key in the configuration that another goes before",
            || {
                let server = Server::guarded(KEY);
                let mut configuration = server.declaring(&json!([{"id": "tiny"}]));
                configuration["models"]["providers"]["vllm"]["apiKey"] = json!(KEY);
                Scene::configured(&configuration, CHAT)
                    .env("VLLM_API_KEY", WRONG_KEY)
                    .hiding(WRONG_KEY, "sk-…")
                    .with(server)
            },
        ),
    ]
}
