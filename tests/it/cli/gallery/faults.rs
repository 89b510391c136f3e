//! The faults of the mock server.

use provider_host::mock::{FaultKind, Model, Options};

use super::scene::{Case, Scene};
use crate::cli::server::Server;

fn server(fault: &str) -> Server {
    Server::start(Options {
        models: vec![Model::new("tiny", 4_096)],
        faults: vec![fault.parse().expect("a fault")],
        ..Options::default()
    })
}

/// A home that does not wait long for a server that says nothing, and long
/// enough for one that does, however busy this machine is.
fn scene(fault: &str, arguments: &[&str]) -> Scene {
    let server = server(fault);
    let mut configuration = server.configuration();
    configuration["models"]["providers"]["vllm"]["timeoutSeconds"] =
        if fault.starts_with("silent") { 1 } else { 30 }.into();
    Scene::configured(&configuration, arguments).with(server)
}

/// What is no failure: nothing, an answer that comes slowly, and two small
/// breaches of the protocol that a good client forgives.
const HARMLESS: [FaultKind; 3] = [
    FaultKind::None,
    FaultKind::SlowDrip,
    FaultKind::WrongContentType,
];

pub(super) fn cases() -> Vec<Case> {
    let chats = FaultKind::ALL
        .iter()
        .filter(|kind| !HARMLESS.contains(kind))
        .map(|kind| {
            let name = kind.name();
            let title = format!("`{name}`: {}", kind.describe().trim_end_matches('.'));
            Case::new(title, move || scene(name, &["chat", "Say hello."]))
        });
    let lists = [
        "close-before-headers@models",
        "silent@models",
        "garbage@models",
        "huge-body@models",
        "lying-content-length@models",
        "empty-body@models",
        "html@models",
        "rate-limited:30@models",
        "overloaded@models",
        "server-error@models",
    ]
    .into_iter()
    .map(|fault| {
        Case::new(format!("`{fault}`"), move || {
            scene(fault, &["models", "list"])
        })
    });
    let waits = [Case::new(
        "`rate-limited:90`: a server that says how long to wait",
        || scene("rate-limited:90", &["chat", "Say hello."]),
    )];
    chats.chain(lists).chain(waits).collect()
}
