//! Models that are not there.

use provider_host::mock::{Model, Options};
use serde_json::json;

use super::canned::{Canned, closed_port, json as answer};
use super::scene::{Case, Scene};
use crate::cli::process::{Home, KEY, WRONG_KEY};
use crate::cli::server::Server;

fn served() -> Server {
    Server::start(Options {
        models: vec![
            Model::new("Qwen/Qwen3-8B", 40_960),
            Model::new("tiny", 4_096),
        ],
        ..Options::default()
    })
}

fn chat(model: &'static str) -> [&'static str; 4] {
    ["chat", "--model", model, "Hello"]
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("A model that the server does not serve", || {
            Scene::at(served(), &chat("vllm/Qwen/Qwen3-8b"))
        }),
        Case::new("A model that is not declared", || {
            let server = served();
            let configuration = server.declaring(&json!([{"id": "tiny"}, {"id": "small"}]));
            Scene::configured(&configuration, &chat("vllm/tinny")).with(server)
        }),
        Case::new("A model where the entry declares none", || {
            let server = served();
            let configuration =
                json!({"models": {"providers": {"vllm": {"baseUrl": server.base_url()}}}});
            Scene::configured(&configuration, &chat("vllm/tiny")).with(server)
        }),
        Case::new(
            "A list where the entry declares none (the list is empty)",
            || {
                let server = served();
                let configuration =
                    json!({"models": {"providers": {"vllm": {"baseUrl": server.base_url()}}}});
                Scene::configured(&configuration, &["models", "list"]).with(server)
            },
        ),
        Case::new(
            "An image for a model that takes none (the chat goes on without it)",
            || {
                let server = Server::tiny();
                let configuration = server.declaring(&json!([{"id": "tiny"}]));
                Scene::configured(
                    &configuration,
                    &[
                        "chat",
                        "--model",
                        "vllm/tiny",
                        "--image",
                        "photo.png",
                        "What is this?",
                    ],
                )
                .file("photo.png", b"\x89PNG\r\n\x1a\n")
                .with(server)
            },
        ),
        Case::new("A model while the provider is off", || {
            Scene::new(Home::new(), &chat("vllm/tiny"))
        }),
        Case::new("A model while the key is refused", || {
            let server = Server::guarded(KEY);
            let mut configuration = server.configuration();
            configuration["models"]["providers"]["vllm"]["apiKey"] = json!(WRONG_KEY);
            Scene::configured(&configuration, &chat("vllm/tiny")).with(server)
        }),
        Case::new("A model while the server is down", || {
            let configuration = json!({
                "models": {"providers": {"vllm": {"baseUrl": closed_port()}}},
                "agents": {"defaults": {"models": {"vllm/*": {}}}},
            });
            Scene::configured(&configuration, &chat("vllm/tiny"))
        }),
        Case::new("A model of a server that serves none", || {
            let server = Canned::raw(answer(r#"{"object":"list","data":[]}"#));
            let configuration = json!({
                "models": {"providers": {"vllm": {"baseUrl": server.url("http")}}},
                "agents": {"defaults": {"models": {"vllm/*": {}}}},
            });
            Scene::configured(&configuration, &chat("vllm/tiny")).with(server)
        }),
        Case::new("A declared model that the server does not serve", || {
            let server = served();
            let configuration = server.declaring(&json!([{"id": "qwen3"}]));
            Scene::configured(&configuration, &["chat", "Hello"]).with(server)
        }),
        Case::new("A model without its provider", || {
            Scene::at(served(), &chat("tiny"))
        }),
        Case::new("A model's own id, which looks like a reference", || {
            Scene::at(served(), &chat("Qwen/Qwen3-8B"))
        }),
        Case::new("A provider without its model", || {
            Scene::at(served(), &chat("vllm/"))
        }),
        Case::new("A model of another provider", || {
            Scene::at(served(), &chat("openai/gpt-5"))
        }),
    ]
}
