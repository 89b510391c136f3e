//! The output for people: the answer on stdout, everything else on stderr, and
//! nothing that a server says drives the terminal.

use std::io::Write as _;

use provider_host::mock::{Model, Options};
use serde_json::json;

use super::process::{Home, Outcome};
use super::server::Server;

const ESCAPE: char = '\u{1b}';

#[test]
fn stdout_has_the_answer_and_stderr_the_rest() {
    let server = Server::tiny();
    let home = server.home();
    let outcome = home.run(&["chat", "Say hello."]).exits(0);
    assert_eq!(outcome.stdout, "Hello! How can I help you today?\n");
    assert!(outcome.stderr.starts_with("usage: "), "{outcome:#?}");
    assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:#?}");

    let outcome = home.run(&["chat", "Think: what is 2 + 2?"]).exits(0);
    assert_eq!(outcome.stdout, "2 + 2 = 4.\n");
    let outcome = outcome.complains(&["Two plus two is four.", "\nusage: ", "thinking"]);
    assert!(!outcome.stdout.contains("usage"), "{outcome:#?}");
}

#[test]
fn the_account_has_tokens_window_and_price() {
    let server = Server::tiny();
    let declared =
        json!([{"id": "tiny", "contextWindow": 4096, "cost": {"input": 1000, "output": 1000}}]);
    Home::configured(&server.declaring(&declared))
        .run(&["chat", "Say hello."])
        .exits(0)
        .complains(&[" in + ", " out = ", " / 4,096 tokens (< 1 %)", " · $0.02"]);
}

#[test]
fn an_answer_that_was_cut_or_failed_keeps_what_came_on_stdout() {
    let server = Server::with_faults(&["none", "close-mid-stream:6"]);
    let home = server.home();
    let outcome = home
        .run(&["chat", "--max-tokens", "2", "Say hello."])
        .exits(0);
    assert_eq!(outcome.stdout, "Hello\n");
    outcome.complains(&["note: the answer was cut at the length limit"]);

    let outcome = home.run(&["chat", "Say hello."]).exits(1);
    assert!(outcome.stdout.starts_with("Hello!"), "{outcome:#?}");
    assert!(outcome.stdout.ends_with('\n'), "{outcome:#?}");
    assert!(outcome.stderr.starts_with("error: "), "{outcome:#?}");
}

#[test]
fn a_tool_call_is_shown_with_its_arguments() {
    let server = Server::tiny();
    let home = server.home();
    let request = json!({
        "messages": [{"role": "user", "content": "Weather in Paris?"}],
        "tools": [{"name": "get_weather"}],
    });
    let file = home.write("r.json", request.to_string());
    let outcome = home.run(&["chat", "--request", &file]).exits(0);
    assert_eq!(
        outcome.stdout,
        "→ get_weather {\"city\": \"Paris\", \"unit\": \"celsius\"}\n"
    );
}

#[test]
fn a_pipe_gets_no_colours() {
    let server = Server::with_faults(&["none", "none", "unauthorized"]);
    let home = server.home();
    let bad = home.write("bad.json", "{");
    for arguments in [
        &["chat", "Think: what is 2 + 2?"][..],
        &["doctor"],
        &["chat", "x"],
        &["models", "list"],
        &["chat", "--config", &bad, "x"],
        &["chat", "--bogus"],
        &["--help"],
        &["demo"],
    ] {
        let outcome = home.command(arguments).env("TERM", "xterm-256color").run();
        let told = format!("{}{}", outcome.stdout, outcome.stderr);
        assert!(!told.is_empty(), "{arguments:?} says something");
        assert!(!told.contains(ESCAPE), "{arguments:?}: {outcome:#?}");
    }
}

#[test]
fn with_json_stdout_has_nothing_but_json() {
    let server = Server::tiny();
    let home = server.home();
    let plugin = home.write("p.wasm", provider_host::plugin::EMBEDDED);
    let outcome = home
        .run(&["--log-level", "trace", "chat", "--json", "Say hello."])
        .exits(0);
    assert!(outcome.stderr.contains("TRACE"), "{}", outcome.stderr);
    assert!(outcome.json_lines().len() > 3);
    let outcome = home
        .run(&["--log-level", "trace", "models", "list", "--json"])
        .exits(0);
    assert_eq!(outcome.json_lines().len(), 1);
    let outcome = home.run(&["plugin", "inspect", "--json", &plugin]).exits(0);
    serde_json::from_str::<serde_json::Value>(&outcome.stdout).expect("JSON");
}

/// Runs a command line on a terminal of its own; what appears there.
fn on_a_terminal(home: &Home, arguments: &[&str], no_colour: bool) -> Option<Outcome> {
    let probe = home.program("sh", &["-c", "script --version"]).run();
    if probe.status != Some(0) {
        // Past the capture of the test harness: a test that did nothing says so.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: nothing was tested on a terminal, the program `script` of util-linux is missing"
        );
        return None;
    }
    let mut line = format!("'{}'", env!("CARGO_BIN_EXE_provider-host"));
    for argument in arguments {
        line.push_str(&format!(" '{argument}'"));
    }
    let mut command = home
        .program("script", &["-qec", &line, "/dev/null"])
        .env("TERM", "xterm-256color")
        .env("SHELL", "/bin/sh");
    if no_colour {
        command = command.env("NO_COLOR", "1");
    }
    Some(command.run().exits(0))
}

#[test]
fn a_terminal_gets_colours_unless_they_are_refused() {
    let server = Server::tiny();
    let home = server.home();
    for (no_colour, coloured) in [(false, true), (true, false)] {
        for arguments in [
            &["chat", "Think: what is 2 + 2?"][..],
            &["doctor"],
            &["models", "list"],
        ] {
            let Some(outcome) = on_a_terminal(&home, arguments, no_colour) else {
                return;
            };
            assert_eq!(
                outcome.stdout.contains(ESCAPE),
                coloured,
                "{arguments:?}: {outcome:#?}"
            );
        }
    }
}

#[test]
fn what_a_server_says_does_not_drive_the_terminal() {
    // Sets the clipboard, moves the cursor, clears the screen, changes colours,
    // rings, turns the direction of writing: the server says it all back, as
    // text and as thinking.
    let hostile = "A\u{1b}]52;c;aGk=\u{7}B\u{1b}[2JC\u{9b}31mD\u{8}\u{7f}E\u{202e}F\u{e0041}";
    let harmless = r"A\u{1b}]52;c;aGk=\u{7}B\u{1b}[2JC\u{9b}31mD\u{8}\u{7f}E\u{202e}F\u{e0041}";
    let server = Server::start(Options {
        models: vec![Model::new("tiny", 4_096), Model::new("m\u{1b}[2J", 4_096)],
        ..Options::default()
    });
    let home = server.home();
    let request = json!({"messages": [{"role": "user", "content": hostile}]});
    let file = home.write("r.json", request.to_string());

    // A pipe gets it as it is.
    let outcome = home.run(&["chat", "--request", &file]).exits(0);
    assert!(outcome.stdout.contains(hostile), "{outcome:#?}");

    let Some(outcome) = on_a_terminal(&home, &["chat", "--request", &file], true) else {
        return;
    };
    let shown = &outcome.stdout;
    assert_eq!(shown.matches(harmless).count(), 2, "{outcome:#?}");
    let drives =
        |one: char| one.is_control() && !matches!(one, '\n' | '\r' | '\t') || one == '\u{202e}';
    assert!(!shown.contains(drives), "{outcome:#?}");

    let outcome = on_a_terminal(&home, &["models", "list"], true).expect("a terminal");
    assert!(outcome.stdout.contains(r"vllm/m\u{1b}[2J"), "{outcome:#?}");
    assert!(!outcome.stdout.contains(drives), "{outcome:#?}");
}
