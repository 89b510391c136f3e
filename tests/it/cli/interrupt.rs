//! Ctrl-C, and readers that leave: what runs is ended, here and at the server.

use serde_json::Value;

use super::answer::Answer;
use super::server::Server;

/// Long enough not to come to its end by itself while a test looks at it.
const LONG: &str = "Count to 100000.";
const RATE: f64 = 100.0;

#[test]
fn ctrl_c_ends_a_chat_with_130_one_error_line_and_no_request_left_at_the_server() {
    let server = Server::paced(RATE);
    let home = server.home();
    let mut running = home.command(&["chat", "--json", LONG]).start();
    let mut texts = 0;
    while texts < 5 {
        let line: Value = serde_json::from_str(&running.line()).expect("JSON");
        texts += usize::from(line["type"] == "text");
    }
    assert_eq!(server.running(), 1);
    running.interrupt();
    let outcome = running.finish().exits(130);

    let answer = Answer::of(&outcome).expect("lines");
    let error = answer.error().expect("an error");
    assert_eq!(error["kind"], "cancelled");
    assert_eq!(error["retryable"], false);
    assert_eq!(error["request_sent"], true);
    let partial = answer.last["partial"]["text"].as_str().expect("a text");
    assert!(partial.starts_with("1 2 3"), "{partial}");
    server.eventually("the server sees that its client left", |mock| {
        mock.aborted() == 1
    });
    server.eventually("no chat runs at the server", |mock| mock.running() == 0);
}

#[test]
fn ctrl_c_before_the_first_event_ends_the_request_too() {
    let server = Server::with_faults(&["silent-after:0"]);
    let home = server.home();
    let running = home.command(&["chat", "--json", LONG]).start();
    server.eventually("the chat arrives", |mock| mock.running() == 1);
    running.interrupt();
    let answer = Answer::of(&running.finish().exits(130)).expect("lines");
    assert_eq!(answer.error().expect("an error")["kind"], "cancelled");
    assert!(answer.last["partial"].is_null(), "{}", answer.last);
    server.eventually("the server sees that its client left", |mock| {
        mock.aborted() == 1
    });
}

#[test]
fn ctrl_c_ends_whatever_waits_for_a_server() {
    for arguments in [
        &["models", "list"][..],
        &["models", "list", "--json"],
        &["doctor"],
        &["chat", LONG],
    ] {
        let server = Server::with_faults(&["silent@all"]);
        let home = server.home();
        let running = home.command(arguments).start();
        server.eventually("a request arrives", |mock| mock.requests().len() == 1);
        running.interrupt();
        let outcome = running.finish().exits(130);
        assert_eq!(outcome.stderr, "", "{arguments:?}");
        server.eventually("the connection is closed", |mock| {
            mock.open_connections() == 0
        });
    }
}

#[test]
fn ctrl_c_leaves_a_reader_what_came_and_says_nothing() {
    let server = Server::paced(RATE);
    let home = server.home();
    let mut running = home.command(&["chat", LONG]).start();
    running.piece();
    running.interrupt();
    let outcome = running.finish().exits(130);
    assert!(outcome.stdout.starts_with('1'), "{outcome:#?}");
    assert!(outcome.stdout.ends_with('\n'), "{outcome:#?}");
    assert_eq!(outcome.stderr, "");
    server.eventually("the server sees that its client left", |mock| {
        mock.aborted() == 1
    });
}

#[test]
fn a_reader_that_leaves_ends_a_chat_quietly_here_and_at_the_server() {
    for arguments in [&["chat", "--json", LONG][..], &["chat", LONG]] {
        let server = Server::paced(RATE);
        let home = server.home();
        let mut running = home.command(arguments).start();
        running.piece();
        running.close_stdout();
        let outcome = running.finish().exits(0);
        assert_eq!(outcome.stderr, "", "{arguments:?}");
        server.eventually("the server sees that its client left", |mock| {
            mock.aborted() == 1
        });
    }
}

#[test]
fn a_reader_that_was_never_there_ends_each_command_quietly() {
    let server = Server::tiny();
    let home = server.home();
    let plugin = home.write("p.wasm", provider_host::plugin::EMBEDDED);
    for arguments in [
        &["models", "list"][..],
        &["models", "list", "--json"],
        &["chat", "Say hello."],
        &["chat", "--json", "Say hello."],
        &["doctor"],
        &["auth", "list"],
        &["plugin", "inspect", &plugin],
        &["plugin", "inspect", "--json", &plugin],
        &["demo"],
        &["--help"],
    ] {
        let outcome = home.command(arguments).without_reader().run().exits(0);
        assert_eq!(outcome.stderr, "", "{arguments:?}");
    }
}
