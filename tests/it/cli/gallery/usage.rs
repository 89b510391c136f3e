//! What is wrong on the command line or in a file that it names.

use super::scene::{Case, Scene};
use crate::cli::process::{Home, WRONG_KEY};
use crate::cli::server::Server;

/// A line that is refused before anything is sent.
fn line(title: &str, arguments: &'static [&'static str]) -> Case {
    Case::new(title, || Scene::at(Server::tiny(), arguments))
}

/// A request file with this text.
fn request(title: &str, text: &'static str) -> Case {
    Case::new(title, move || {
        Scene::at(Server::tiny(), &["chat", "--request", "r.json"]).file("r.json", text)
    })
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        line("A command that does not exist", &["chats", "Hello"]),
        line(
            "An option that does not exist",
            &["chat", "--modle", "vllm/tiny", "Hello"],
        ),
        line(
            "A log level that does not exist",
            &["--log-level", "loud", "doctor"],
        ),
        line("No prompt", &["chat"]),
        line("A blank prompt", &["chat", " "]),
        line("A session that watches nothing", &["chat", "--watch"]),
        line(
            "A limit of no tokens",
            &["chat", "--max-tokens", "0", "Hello"],
        ),
        line(
            "A temperature that is no number",
            &["chat", "--temperature", "hot", "Hello"],
        ),
        line(
            "A blank reasoning level",
            &["chat", "--reasoning", " ", "Hello"],
        ),
        line(
            "A reasoning level that nobody knows (the chat goes on)",
            &["chat", "--reasoning", "hihg", "Hello"],
        ),
        line(
            "A reasoning level for a model that is not known to reason (the chat goes on)",
            &["chat", "--reasoning", "off", "Hello"],
        ),
        line(
            "Extra fields that are not JSON",
            &["chat", "--extra", "{top_k: 5", "Hello"],
        ),
        line(
            "Extra fields that are no object",
            &["chat", "--extra", "[1]", "Hello"],
        ),
        line(
            "An image that is not there",
            &["chat", "--image", "photo.png", "What is this?"],
        ),
        Case::new("An image that is none", || {
            Scene::at(
                Server::tiny(),
                &["chat", "--image", "notes.png", "What is this?"],
            )
            .file("notes.png", "plain text")
        }),
        line(
            "A prompt beside a request file",
            &["chat", "--request", "r.json", "Hello"],
        ),
        line(
            "A request file that is not there",
            &["chat", "--request", "r.json"],
        ),
        request(
            "A request file that is not JSON",
            "{\n  \"messages\": [,]\n}",
        ),
        request("A request file without messages", "{}"),
        request(
            "A role that does not exist",
            r#"{"messages": [{"role": "wizard", "content": "Hello"}]}"#,
        ),
        request(
            "A field of the wrong type in a request file",
            r#"{"messages": [{"role": "user", "content": "Hello"}], "temperature": "hot"}"#,
        ),
        request(
            "An image in a request file that is not base64",
            r#"{"messages": [{"role": "user", "content": [{"type": "image", "media_type": "image/png", "data": "§"}]}]}"#,
        ),
        request(
            "A misspelt field in a request file (the chat goes on without it)",
            r#"{"messages": [{"role": "user", "content": "Say hello."}], "max_tokns": 5}"#,
        ),
        line(
            "A provider that the plugin is not",
            &["models", "list", "--provider", "openai"],
        ),
        Case::new("A key in the place of the provider", || {
            Scene::new(Home::new(), &["auth", "set", WRONG_KEY]).hiding(WRONG_KEY, "sk-…")
        }),
        Case::new("A key behind the provider", || {
            Scene::new(Home::new(), &["auth", "set", "vllm", WRONG_KEY]).hiding(WRONG_KEY, "sk-…")
        }),
        Case::new("No key on stdin", || {
            Scene::new(Home::new(), &["auth", "set", "vllm"]).input("")
        }),
        Case::new("A key that cannot be sent", || {
            Scene::new(Home::new(), &["auth", "set", "vllm"]).input(b"abc\x07def".to_vec())
        }),
        Case::new("A key that is not text", || {
            Scene::new(Home::new(), &["auth", "set", "vllm"]).input(b"\xff\xfe".to_vec())
        }),
        Case::new("No key to remove", || {
            Scene::new(Home::new(), &["auth", "remove", "vllm"])
        }),
    ]
}
