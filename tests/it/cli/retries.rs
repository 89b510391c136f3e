//! What `chat` does about failures that another try, another limit or another
//! model may not have, and how it tells of them.

use serde_json::{Value, json};

use super::answer::Answer;
use super::process::{Home, Outcome};
use super::server::Server;

fn chat(home: &Home, arguments: &[&str]) -> (Answer, Outcome) {
    let outcome = home.run(&[&["chat", "--json"], arguments].concat());
    let answer = Answer::of(&outcome).unwrap_or_else(|why| panic!("{why}: {outcome:#?}"));
    (answer, outcome)
}

/// Action, model and kind of the retries of a last line.
fn retries(answer: &Answer) -> Vec<[&str; 3]> {
    let told = answer.last["retries"].as_array();
    told.into_iter()
        .flatten()
        .map(|retry| ["action", "model", "kind"].map(|name| retry[name].as_str().expect("a text")))
        .collect()
}

/// A configuration with models to fall back to.
fn falling_back(server: &Server, primary: &str, fallbacks: Value) -> Home {
    let mut configuration = server.configuration();
    configuration["agents"]["defaults"]["model"] =
        json!({"primary": primary, "fallbacks": fallbacks});
    Home::configured(&configuration)
}

#[test]
fn a_server_without_room_is_asked_again_and_each_retry_is_told() {
    let server = Server::with_faults(&["overloaded", "overloaded", "none"]);
    let (answer, outcome) = chat(&server.home(), &["Say hello."]);
    assert_eq!(answer.last["text"], "Hello! How can I help you today?");
    let expected = ["retry", "vllm/tiny", "overloaded"];
    assert_eq!(retries(&answer), [expected, expected]);
    assert_eq!(answer.last["retries"][0]["status"], 503);
    let told: Vec<&str> = outcome.stderr.lines().collect();
    assert_eq!(told.len(), 2, "{}", outcome.stderr);
    for (line, number) in told.iter().zip(["retry 1 of 3 in", "retry 2 of 3 in"]) {
        assert!(
            line.starts_with("note: vllm/tiny: ") && line.contains("503") && line.contains(number),
            "{line}"
        );
    }
    assert_eq!(server.chats().len(), 3);
}

#[test]
fn people_are_told_of_retries_on_stderr() {
    let server = Server::with_faults(&["overloaded", "none"]);
    let outcome = server.home().run(&["chat", "Say hello."]).exits(0);
    assert_eq!(outcome.stdout, "Hello! How can I help you today?\n");
    assert!(
        outcome.stderr.contains("retry 1 of 3 in"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn the_wait_that_the_server_asks_for_is_kept() {
    let server = Server::with_faults(&["rate-limited:1", "none"]);
    let (answer, _) = chat(&server.home(), &["Say hello."]);
    assert_eq!(retries(&answer), [["retry", "vllm/tiny", "rate-limited"]]);
    let waited = answer.last["retries"][0]["delay_ms"].as_u64();
    assert!(waited >= Some(1000), "{waited:?}");
    assert!(answer.last["timing"]["total_ms"].as_f64() >= Some(1000.0));
}

#[test]
fn a_wait_that_is_too_long_is_not_waited_for() {
    let server = Server::with_faults(&["rate-limited:3600"]);
    let (answer, _) = chat(&server.home(), &["Say hello."]);
    let error = answer.error().expect("an error");
    assert_eq!(error["kind"], "rate-limited");
    assert_eq!(error["retry_after_ms"], 3_600_000);
    assert!(retries(&answer).is_empty());
    assert_eq!(server.chats().len(), 1);
}

#[test]
fn retries_can_be_turned_off_and_end_by_themselves() {
    let server = Server::with_faults(&["overloaded"]);
    let (answer, _) = chat(&server.home(), &["--max-retries", "0", "Say hello."]);
    assert_eq!(answer.error().expect("an error")["kind"], "overloaded");
    assert!(answer.last.get("retries").is_none(), "{}", answer.last);
    assert_eq!(server.chats().len(), 1);

    let (answer, _) = chat(&server.home(), &["--max-retries", "1", "Say hello."]);
    assert_eq!(answer.error().expect("an error")["kind"], "overloaded");
    assert_eq!(retries(&answer).len(), 1);
    assert_eq!(server.chats().len(), 3);
}

#[test]
fn a_connection_that_breaks_before_the_first_event_is_made_again() {
    let server = Server::with_faults(&["reset-before-first-event", "none"]);
    let (answer, _) = chat(&server.home(), &["Say hello."]);
    assert_eq!(answer.last["type"], "result");
    assert_eq!(retries(&answer), [["retry", "vllm/tiny", "interrupted"]]);
}

#[test]
fn an_answer_that_has_begun_is_never_asked_for_again() {
    for fault in [
        "reset-mid-stream:3",
        "error-in-stream:3",
        "close-mid-stream:1",
    ] {
        let server = Server::with_faults(&[fault]);
        let home = falling_back(&server, "vllm/tiny", json!(["vllm/other"]));
        let (answer, _) = chat(&home, &["Say hello."]);
        assert!(answer.error().is_some(), "{fault}");
        assert!(retries(&answer).is_empty(), "{fault}: {}", answer.last);
        assert_eq!(server.chats().len(), 1, "{fault}");
    }
}

#[test]
fn what_no_retry_can_mend_is_not_retried() {
    for (fault, kind) in [
        ("unauthorized", "authentication"),
        ("not-found", "model-not-found"),
    ] {
        let server = Server::with_faults(&[fault]);
        let (answer, _) = chat(&server.home(), &["Say hello."]);
        assert_eq!(answer.error().expect("an error")["kind"], kind);
        assert_eq!(server.chats().len(), 1, "{fault}");
    }
}

#[test]
fn a_limit_that_the_server_refuses_is_refitted_once() {
    let server = Server::tiny();
    // Declared without its context: 128,000 are assumed, and 8,192 for an answer.
    let home = Home::configured(&server.declaring(&json!([{"id": "tiny"}])));
    let (answer, outcome) = chat(&home, &["Say hello."]);
    assert_eq!(answer.last["text"], "Hello! How can I help you today?");
    assert_eq!(
        retries(&answer),
        [["refit", "vllm/tiny", "invalid-request"]]
    );
    let limits: Vec<u64> = server
        .chats()
        .iter()
        .map(|chat| {
            let body: Value = serde_json::from_slice(&chat.body).expect("a body of JSON");
            body["max_completion_tokens"].as_u64().expect("a limit")
        })
        .collect();
    let prompt = answer.last["usage"]["input"].as_u64().expect("a count");
    assert!(
        matches!(limits[..], [8192, fitted] if fitted > 3500 && fitted + prompt <= 4096),
        "{limits:?} with {prompt}"
    );
    assert!(
        outcome.stderr.contains("a limit that fits"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn without_retries_a_limit_is_not_refitted() {
    let server = Server::tiny();
    let home = Home::configured(&server.declaring(&json!([{"id": "tiny"}])));
    let (answer, _) = chat(&home, &["--max-retries", "0", "Say hello."]);
    let error = answer.error().expect("an error");
    assert_eq!(error["kind"], "invalid-request");
    assert_eq!(
        (&error["limit"], &error["requested"]),
        (&json!(4096), &json!(8192))
    );
    assert_eq!(server.chats().len(), 1);
}

#[test]
fn a_prompt_that_is_too_long_is_no_limit_to_refit() {
    let server = Server::tiny();
    let (answer, _) = chat(&server.home(), &[&"word ".repeat(5000)]);
    let error = answer.error().expect("an error");
    assert_eq!(error["kind"], "context-overflow");
    assert!(retries(&answer).is_empty(), "{}", answer.last);
}

#[test]
fn fallbacks_are_tried_in_their_order() {
    let server = Server::tiny();
    let home = falling_back(&server, "vllm/gone", json!(["vllm/away", "vllm/tiny"]));
    let (answer, outcome) = chat(&home, &["Say hello."]);
    assert_eq!(answer.last["model"], "tiny");
    assert_eq!(
        retries(&answer),
        [
            ["fallback", "vllm/gone", "model-not-found"],
            ["fallback", "vllm/away", "model-not-found"]
        ]
    );
    for line in ["falling back to vllm/away", "falling back to vllm/tiny"] {
        assert!(outcome.stderr.contains(line), "{}", outcome.stderr);
    }
}

#[test]
fn a_model_named_on_the_command_line_has_no_fallback() {
    let server = Server::tiny();
    let home = falling_back(&server, "vllm/tiny", json!(["vllm/tiny"]));
    let (answer, _) = chat(&home, &["--model", "vllm/gone", "Say hello."]);
    assert_eq!(answer.error().expect("an error")["kind"], "model-not-found");

    let home = falling_back(&server, "vllm/gone", json!(["vllm/tiny"]));
    let (answer, _) = chat(&home, &["--no-fallback", "Say hello."]);
    assert_eq!(answer.error().expect("an error")["kind"], "model-not-found");
    assert!(retries(&answer).is_empty());
}

#[test]
fn a_fallback_of_another_provider_is_skipped_with_a_warning() {
    let server = Server::tiny();
    let home = falling_back(&server, "vllm/gone", json!(["ollama/x", "vllm/tiny"]));
    let (answer, outcome) = chat(&home, &["Say hello."]);
    assert_eq!(answer.last["model"], "tiny");
    assert!(
        outcome.stderr.contains("fallbacks[0] is skipped") && outcome.stderr.contains("ollama"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn if_no_model_answers_the_error_tells_of_each() {
    let server = Server::tiny();
    let home = falling_back(&server, "vllm/gone", json!(["vllm/away"]));
    let (answer, _) = chat(&home, &["Say hello."]);
    let error = answer.error().expect("an error");
    assert_eq!(error["kind"], "model-not-found");
    let message = error["message"].as_str().expect("a text");
    assert!(
        message.contains("vllm/gone") && message.contains("vllm/away"),
        "{message}"
    );
}

#[test]
fn an_interrupt_during_a_wait_ends_the_chat_at_once() {
    let server = Server::with_faults(&["rate-limited:60"]);
    let home = server.home();
    let running = home.command(&["chat", "--json", "Say hello."]).start();
    server.eventually("the first request is refused", |mock| {
        mock.requests()
            .iter()
            .any(|request| request.path == "/v1/chat/completions")
    });
    std::thread::sleep(std::time::Duration::from_millis(200));
    running.interrupt();
    running.finish().exits(130);
    assert_eq!(server.chats().len(), 1);
}
