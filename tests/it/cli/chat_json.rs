//! `chat --json`: lines for scripts.

use provider_host::mock::{Model, Options};
use serde_json::{Value, json};

use super::answer::Answer;
use super::process::{Home, Outcome};
use super::server::Server;

fn chat(home: &Home, arguments: &[&str]) -> (Answer, Outcome) {
    let arguments = [&["chat", "--json"], arguments].concat();
    let outcome = home.run(&arguments);
    let answer = Answer::of(&outcome).unwrap_or_else(|why| panic!("{why}: {outcome:#?}"));
    (answer, outcome)
}

fn weather() -> Value {
    json!([{"name": "get_weather", "description": "The weather in a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}])
}

#[test]
fn an_answer_is_its_events_and_then_the_result() {
    let server = Server::tiny();
    let (answer, outcome) = chat(&server.home(), &["Say hello."]);
    assert_eq!(
        outcome.stderr, "",
        "with --json there is nothing else to say"
    );
    let kinds: Vec<&str> = answer
        .events
        .iter()
        .filter_map(|e| e["type"].as_str())
        .collect();
    let texts = vec!["text"; kinds.len() - 3];
    assert_eq!(
        kinds,
        [&["start"], texts.as_slice(), &["usage", "finish"]].concat()
    );
    assert!(texts.len() > 3, "the text comes in pieces");

    let result = &answer.last;
    assert_eq!(result["text"], "Hello! How can I help you today?");
    assert_eq!(result["model"], "tiny");
    assert_eq!(result["finish_reason"], "stop");
    assert!(
        result["id"]
            .as_str()
            .expect("an id")
            .starts_with("chatcmpl-")
    );
    let usage = &result["usage"];
    assert!(
        usage["input"].as_u64() > Some(0) && usage["output"].as_u64() > Some(0),
        "{usage}"
    );
    let sum = ["input", "cache_read", "cache_write", "output"]
        .iter()
        .map(|part| usage[part].as_u64().expect("a count"))
        .sum::<u64>();
    assert_eq!(usage["total"], sum, "{usage}");
}

#[test]
fn thinking_has_lines_of_its_own() {
    let server = Server::tiny();
    let (answer, _) = chat(&server.home(), &["Think: what is 2 + 2?"]);
    assert!(answer.texts("reasoning").contains("Two plus two is four."));
    assert!(
        answer.texts("text").ends_with("2 + 2 = 4."),
        "{}",
        answer.last
    );
    assert!(
        answer.last["usage"]["reasoning"].as_u64() > Some(0),
        "{}",
        answer.last
    );
}

#[test]
fn tool_calls_come_in_pieces_and_once_whole() {
    let server = Server::tiny();
    let home = server.home();
    let request = json!({
        "messages": [{"role": "user", "content": "Weather in Paris and Tokyo?"}],
        "tools": weather(),
    });
    let file = home.write("r.json", request.to_string());
    let (answer, _) = chat(&home, &["--request", &file]);
    assert_eq!(answer.last["finish_reason"], "tool_calls");
    let calls = answer.last["tool_calls"].as_array().expect("calls");
    let asked: Vec<Value> = calls
        .iter()
        .map(|call| {
            assert_eq!(call["name"], "get_weather");
            let arguments = call["arguments"].as_str().expect("arguments");
            serde_json::from_str::<Value>(arguments).expect("JSON")["city"].clone()
        })
        .collect();
    assert_eq!(asked, ["Paris", "Tokyo"]);
    assert_ne!(calls[0]["id"], calls[1]["id"]);

    for (index, call) in calls.iter().enumerate() {
        let of = |kind: &str| {
            let mut found = answer.events.iter();
            found.position(|event| event["type"] == kind && event["index"] == index)
        };
        let order = [
            of("tool_call_start"),
            of("tool_call_arguments"),
            of("tool_call_end"),
        ];
        assert!(order.is_sorted() && !order.contains(&None), "{order:?}");
        let pieces: String = answer
            .events
            .iter()
            .filter(|event| event["index"] == index)
            .filter_map(|event| event["delta"].as_str())
            .collect();
        assert_eq!(call["arguments"], pieces);
    }
}

#[test]
fn arguments_that_are_no_json_are_given_as_they_came_and_told_on_stderr() {
    let server = Server::tiny();
    let home = server.home();
    let request = json!({
        "messages": [{"role": "user", "content": "Broken call."}],
        "tools": weather(),
    });
    let file = home.write("r.json", request.to_string());
    let (answer, outcome) = chat(&home, &["--request", &file]);
    let arguments = answer.last["tool_calls"][0]["arguments"]
        .as_str()
        .expect("arguments");
    assert!(
        serde_json::from_str::<Value>(arguments).is_err(),
        "{arguments}"
    );
    assert!(outcome.stderr.starts_with("note: "), "{outcome:#?}");
}

#[test]
fn the_cost_is_the_tokens_times_their_prices() {
    let server = Server::tiny();
    let prices = [
        ("input", 0.3),
        ("output", 1.1),
        ("cache_read", 0.05),
        ("cache_write", 0.7),
    ];
    let home = Home::configured(
        &server.declaring(&json!([{"id": "tiny", "contextWindow": 4096, "cost":
        {"input": 0.3, "output": 1.1, "cacheRead": 0.05, "cacheWrite": 0.7}}])),
    );
    let prompt = "Tell me of the sea. ".repeat(100);
    let mut seen = json!({});
    for _ in 0..2 {
        let (answer, _) = chat(&home, &[&prompt]);
        let (usage, cost) = (&answer.last["usage"], &answer.last["cost"]);
        let mut total = 0.0;
        for (part, price) in prices {
            let tokens = usage[part].as_u64().expect("a count") as f64;
            let expected = tokens * price / 1e6;
            let found = cost[part].as_f64().expect("an amount");
            assert!(
                (found - expected).abs() < 1e-12,
                "{part} is {found}, expected {expected}"
            );
            total += expected;
            if tokens > 0.0 {
                seen[part] = json!(tokens);
            }
        }
        let found = cost["total"].as_f64().expect("an amount");
        assert!(
            (found - total).abs() < 1e-12,
            "the total is {found}, expected {total}"
        );
    }
    assert_eq!(
        seen.as_object().map(|parts| parts.len()),
        Some(4),
        "only {seen} was tried"
    );
}

#[test]
fn an_answer_cut_at_the_length_says_so() {
    let server = Server::tiny();
    let (answer, _) = chat(
        &server.home(),
        &["--max-tokens", "3", "Count to one hundred."],
    );
    assert_eq!(answer.last["finish_reason"], "length");
    assert_eq!(answer.last["usage"]["output"], 3);
}

#[test]
fn a_cut_stream_ends_in_one_error_line_with_what_came() {
    let server = Server::with_faults(&["reset-mid-stream:6"]);
    let (answer, outcome) = chat(&server.home(), &["Say hello."]);
    let error = answer.error().expect("an error");
    assert_eq!(error["kind"], "interrupted");
    assert_eq!(
        (&error["request_sent"], &error["retryable"]),
        (&json!(true), &json!(false))
    );
    let partial = answer.last["partial"]["text"].as_str().expect("a text");
    assert!(partial.starts_with("Hello!"), "{partial}");
    assert_eq!(outcome.status, Some(1));
}

#[test]
fn an_error_before_the_first_event_has_no_partial_answer() {
    for (fault, kind) in [
        ("reset-before-first-event", "interrupted"),
        ("close-before-headers", "interrupted"),
        ("overloaded", "overloaded"),
        ("garbage", "protocol"),
    ] {
        let server = Server::with_faults(&[fault]);
        let (answer, _) = chat(&server.home(), &["Say hello."]);
        assert_eq!(answer.error().expect("an error")["kind"], kind, "{fault}");
        assert!(answer.events.is_empty(), "{fault}: {:?}", answer.events);
        assert!(answer.last["partial"].is_null(), "{fault}: {}", answer.last);
    }
}

#[test]
fn token_limits_are_told_in_numbers() {
    let server = Server::start(Options {
        models: vec![Model::new("tiny", 64)],
        ..Options::default()
    });
    let home = Home::configured(&server.declaring(&json!([{"id": "tiny", "contextWindow": 64}])));

    let (answer, _) = chat(&home, &[&"one more word ".repeat(60)]);
    let error = answer.error().expect("an error");
    assert_eq!(error["kind"], "context-overflow");
    assert_eq!(
        (&error["limit"], &error["requested"]),
        (&json!(64), &json!(65))
    );
    assert_eq!(
        (&error["status"], &error["retryable"]),
        (&json!(400), &json!(false))
    );

    // As if its context were not known, so that nothing is fitted beforehand.
    let home = Home::configured(&server.declaring(&json!([{"id": "tiny"}])));
    let arguments = ["--max-retries", "0", "--max-tokens", "5000", "Say hello."];
    let (answer, _) = chat(&home, &arguments);
    let error = answer.error().expect("an error");
    assert_eq!(error["kind"], "invalid-request");
    assert_eq!(
        (&error["limit"], &error["requested"]),
        (&json!(64), &json!(5000))
    );
}

#[test]
fn the_wait_that_a_server_asks_for_is_in_milliseconds() {
    let server = Server::with_faults(&["rate-limited:7"]);
    let (answer, _) = chat(&server.home(), &["Say hello."]);
    let error = answer.error().expect("an error");
    assert_eq!(
        (&error["kind"], &error["status"]),
        (&json!("rate-limited"), &json!(429))
    );
    assert_eq!(
        (&error["retry_after_ms"], &error["retryable"]),
        (&json!(7000), &json!(true))
    );
}

#[test]
fn lines_are_written_as_the_events_come() {
    // As slow as a person reads: the first line must not wait for the last.
    let server = Server::paced(20.0);
    let home = server.home();
    let mut running = home
        .command(&["chat", "--json", "Count to one hundred."])
        .start();
    let first: Value = serde_json::from_str(&running.line()).expect("JSON");
    assert_eq!(first["type"], "start");
    let second: Value = serde_json::from_str(&running.line()).expect("JSON");
    assert_eq!(second["type"], "text");
    assert_eq!(server.running(), 1, "the server has not ended yet");
}

#[test]
fn a_note_is_a_line_and_a_call_says_whether_its_arguments_are_valid() {
    let server = Server::tiny();
    let home = server.home();
    let (answer, outcome) = chat(&home, &["--reasoning", "off", "Say hello."]);
    let note = &answer.events[1];
    assert_eq!(note["type"], "note");
    assert_eq!(note["code"], "reasoning-not-sent");
    assert_eq!(note["path"], Value::Null);
    let message = note["message"].as_str().expect("a message");
    assert!(message.contains("is not known to reason"), "{message}");
    assert_eq!(outcome.stderr, format!("note: {message}\n"));

    let request = json!({
        "messages": [{"role": "user", "content": "Weather in Paris?"}],
        "tools": weather(),
    });
    let file = home.write("r.json", request.to_string());
    let (answer, _) = chat(&home, &["--request", &file]);
    let mut ends = answer.events.iter();
    let end = ends.find(|event| event["type"] == "tool_call_end");
    assert_eq!(end.expect("a call")["valid"], true);
    assert_eq!(answer.last["tool_calls"][0]["valid"], true);

    let request = json!({
        "messages": [{"role": "user", "content": "Broken call."}],
        "tools": weather(),
    });
    let file = home.write("r.json", request.to_string());
    let (answer, _) = chat(&home, &["--request", &file]);
    let mut ends = answer.events.iter();
    let end = ends.find(|event| event["type"] == "tool_call_end");
    assert_eq!(end.expect("a call")["valid"], false);
    assert_eq!(answer.last["tool_calls"][0]["valid"], false);
}
