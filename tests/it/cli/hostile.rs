//! The command line with a plugin that means it ill: what it says must neither drive the terminal of whoever reads it nor
//! bring the command down.

use provider_host::policy::visible::is_hidden;
use serde_json::{Value, json};

use super::process::{Home, KEY, Outcome};
use super::server::Server;
use crate::hostile::file;

/// What drives a terminal, turns its text round or is not seen on it.
fn drives_a_terminal(character: char) -> bool {
    character != '\n' && is_hidden(character)
}

#[track_caller]
fn harmless(text: &str) {
    let found = text.chars().find(|one| drives_a_terminal(*one));
    assert_eq!(found, None, "{text:?}");
}

/// A user who was talked into a hostile plugin, with a server and a key.
struct Victim {
    home: Home,
    plugin: String,
    _server: Server,
}

impl Victim {
    fn of(attack: &str, at: &str) -> Self {
        let server = Server::tiny();
        let home = Home::configured(&json!({
            "models": {"providers": {"hostile": {
                "baseUrl": server.base_url(), "apiKey": KEY, "attack": attack, "at": at,
            }}},
            "agents": {"defaults": {"model": "hostile/hostile", "models": {"hostile/*": {}}}},
        }));
        let plugin = home.write("hostile.wasm", std::fs::read(file()).expect("the plugin"));
        Self {
            home,
            plugin,
            _server: server,
        }
    }

    fn run(&self, arguments: &[&str]) -> Outcome {
        let mut all = vec!["--plugin", &self.plugin];
        all.extend(arguments);
        self.home.run(&all)
    }
}

#[test]
fn nothing_that_a_plugin_says_drives_a_terminal() {
    let victim = Victim::of("escape-sequences", "next");
    for arguments in [
        &["models", "list"][..],
        &["models", "list", "--json"],
        &["chat", "--json", "hi"],
        &["doctor"],
    ] {
        let outcome = victim.run(arguments);
        assert!(matches!(outcome.status, Some(0 | 1)), "{outcome:#?}");
        assert!(outcome.stdout.contains("owned"), "{outcome:#?}");
        harmless(&outcome.stdout);
        harmless(&outcome.stderr);
    }
    // The answer itself goes into a pipe as it is; what is said beside it does not.
    let outcome = victim.run(&["chat", "hi"]).exits(0);
    let beside = outcome
        .stderr
        .lines()
        .filter(|line| line.starts_with("note") || line.starts_with("usage"));
    let beside: Vec<&str> = beside.collect();
    assert!(
        beside.iter().any(|line| line.contains("owned")),
        "{outcome:#?}"
    );
    harmless(&beside.join("\n"));
}

#[test]
fn an_error_of_a_mebibyte_is_cut_and_shown_as_text() {
    for (at, arguments) in [
        ("list-models", &["models", "list"][..]),
        ("next", &["chat", "hi"]),
        ("list-models", &["doctor"]),
    ] {
        let outcome = Victim::of("giant-error", at).run(arguments).exits(1);
        harmless(&outcome.stderr);
        harmless(&outcome.stdout);
        let told = outcome.stderr.len() + outcome.stdout.len();
        assert!(told < 64 << 10, "{told} bytes");
        assert!(!outcome.stderr.contains("placeholder-"), "{outcome:#?}");
    }
    let outcome = Victim::of("giant-error", "next")
        .run(&["chat", "--json", "hi"])
        .exits(1);
    let error = &outcome.json_lines().pop().expect("a line")["error"];
    assert!(
        error["message"]
            .as_str()
            .is_some_and(|text| text.len() <= 8 << 10)
    );
    harmless(&outcome.stdout);
}

#[test]
fn numbers_that_are_none_bring_no_command_down() {
    let victim = Victim::of("lying-usage", "next");
    victim
        .run(&["chat", "hi"])
        .exits(0)
        .complains(&["18,446,744,073,709,551,615"]);
    let outcome = victim.run(&["chat", "--json", "hi"]).exits(0);
    let result = outcome.json_lines().pop().expect("a result");
    assert_eq!(result["usage"]["total"], u64::MAX);
    assert_eq!(result["cost"]["input"], Value::Null);

    let victim = Victim::of("lying-models", "next");
    victim.run(&["models", "list"]).exits(0);
    let outcome = victim.run(&["models", "list", "--json"]).exits(0);
    assert_eq!(
        outcome.json_lines()[0]["models"][1]["context_window"],
        u32::MAX
    );
    victim.run(&["chat", "hi"]).exits(0);

    let victim = Victim::of("lying-count", "next");
    victim.run(&["chat", "hi"]).exits(0);
}

#[test]
fn a_manifest_cannot_drive_a_terminal() {
    let mut bytes = std::fs::read(file()).expect("the plugin");
    let label = br#""label":"Hostile""#;
    let at = bytes
        .windows(label.len())
        .position(|part| part == label)
        .expect("its label");
    bytes[at..at + label.len()].copy_from_slice(br#""label":"\u001b.""#);
    let home = Home::new();
    let file = home.write("hostile.wasm", bytes);
    for arguments in [
        &["plugin", "inspect", &file][..],
        &["plugin", "inspect", "--json", &file],
    ] {
        let outcome = home.run(arguments).exits(0);
        harmless(&outcome.stdout);
        harmless(&outcome.stderr);
    }
}
