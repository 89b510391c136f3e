//! What real servers said, replayed.

use provider_host::mock::{Options, Replay};
use serde_json::json;

use super::scene::{Case, Scene};
use crate::cli::server::Server;
use crate::recorded::fixtures;

/// The one that ends in silence, which only a time-out ends.
const SILENT: &str = "92-sigterm-during-stream";

/// The recordings that say something else than the faults of the mock do.
const CASES: [(&str, &str); 17] = [
    ("70b-unknown-model-stream", "A model that is not served"),
    ("71b-bad-key", "A wrong key"),
    (
        "76b-context-overflow-stream",
        "A prompt longer than the context",
    ),
    (
        "75e-max-tokens-too-big-stream",
        "A limit larger than what the context leaves",
    ),
    (
        "v0.11.0-48-context-overflow",
        "A prompt longer than the context, vLLM 0.11.0",
    ),
    ("74-temperature-5", "A temperature out of range"),
    ("74c-temperature-string", "A temperature of the wrong type"),
    (
        "43d-reasoning-effort-bad",
        "A reasoning effort that does not exist",
    ),
    (
        "77n-response-format-bad",
        "A response format that does not exist",
    ),
    ("77o-regex-bad", "A pattern that is none"),
    (
        "80b-image-on-text-model-stream",
        "An image for a model that takes none",
    ),
    (
        "95c-plain-tool-auto-refused",
        "Tools on a server without a tool parser",
    ),
    (
        "95e-plain-tool-required",
        "A required tool on a server without a tool parser",
    ),
    (
        "v0.11.0-26-tool-required-stream",
        "An error in the stream, vLLM 0.11.0",
    ),
    (
        "93-engine-dies-during-stream",
        "The engine dies in the middle of an answer",
    ),
    ("94e-queue-full-503-nonstream", "The server's queue is full"),
    (
        SILENT,
        "The server is told to stop in the middle of an answer",
    ),
];

pub(super) fn cases() -> Vec<Case> {
    let case = |(recording, title): (&'static str, &'static str)| {
        Case::new(title, move || {
            let server = Server::start(Options {
                replay: Some(Replay::new(fixtures())),
                ..Options::default()
            });
            let mut configuration = server.declaring(&json!([{"id": recording}]));
            configuration["models"]["providers"]["vllm"]["timeoutSeconds"] =
                json!(if recording == SILENT { 2 } else { 30 });
            Scene::configured(&configuration, &["chat", "Say hello."]).with(server)
        })
    };
    CASES.into_iter().map(case).collect()
}
