//! What a server must not do to a terminal.

use serde_json::json;

use super::canned::{Canned, http, json as answer};
use super::scene::{Case, Scene};

/// Clears the screen, sets the title, turns the text round.
const HOSTILE: &str = "\\u001b[2J\\u001b]0;owned\\u0007\\u202eabc\\r\\u009b31m";

fn scene(answer: Vec<u8>, arguments: &[&str]) -> Scene {
    let server = Canned::raw(answer);
    let configuration = json!({
        "models": {"providers": {"vllm": {"baseUrl": server.url("http")}}},
        "agents": {"defaults": {"model": "vllm/tiny", "models": {"vllm/*": {}}}},
    });
    Scene::configured(&configuration, arguments).with(server)
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("In the message of an error", || {
            let body = format!(r#"{{"error":{{"message":"no {HOSTILE}","code":400}}}}"#);
            scene(
                http("400 Bad Request", &["content-type: application/json"], body),
                &["models", "list"],
            )
        }),
        Case::new("In the ids of models", || {
            let body = format!(r#"{{"object":"list","data":[{{"id":"a{HOSTILE}"}}]}}"#);
            scene(answer(&body), &["chat", "Hello"])
        }),
        Case::new("In the title of a web page", || {
            let page = b"<html><title>\x1b[2Jowned\x07</title></html>";
            scene(
                http(
                    "500 Internal Server Error",
                    &["content-type: text/html"],
                    page,
                ),
                &["models", "list"],
            )
        }),
        Case::new("In the target of a redirect", || {
            scene(
                http(
                    "307 Temporary Redirect",
                    &["location: http://a/\x1b[2J"],
                    "",
                ),
                &["models", "list"],
            )
        }),
    ]
}
