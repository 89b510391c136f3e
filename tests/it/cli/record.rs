//! `chat --record FILE` and `chat --replay FILE`.

use provider_host::mock::{Fault, Model, Options};
use serde_json::{Value, json};

use super::answer::Answer;
use super::process::{HEADER_SECRET, Home, KEY};
use super::server::Server;

/// A server that asks for a key, and a home whose configuration takes key and
/// header from the environment.
fn guarded(variable: &str, faults: &[&str]) -> (Server, Home) {
    let server = Server::start(Options {
        models: vec![Model::new("tiny", 4_096)],
        api_keys: vec![KEY.to_owned()],
        faults: faults
            .iter()
            .map(|fault| fault.parse::<Fault>().expect("a fault"))
            .collect(),
        ..Options::default()
    });
    let mut configuration = server.configuration();
    let provider = &mut configuration["models"]["providers"]["vllm"];
    provider["apiKey"] = json!(variable);
    provider["headers"] = json!({"X-Team": "${TEAM}"});
    let home = Home::configured(&configuration);
    (server, home)
}

fn record(home: &Home, variable: &str, more: &[&str]) -> super::process::Outcome {
    let arguments = [&["chat", "--json", "--record", "chat.jsonl"], more].concat();
    let command = home.command(&arguments);
    command
        .env(variable.trim_matches(['$', '{', '}']), KEY)
        .env("TEAM", HEADER_SECRET)
        .run()
}

/// An answer without its times.
fn timeless(answer: Answer) -> (Vec<Value>, Value) {
    let mut last = answer.last;
    if let Some(last) = last.as_object_mut() {
        last.remove("timing");
    }
    (answer.events, last)
}

#[test]
fn a_chat_is_replayed_without_its_server_and_without_its_key() {
    for variable in ["${VLLM_API_KEY}", "${MY_KEY}"] {
        replayed_without(variable);
    }
}

fn replayed_without(variable: &str) {
    let (server, home) = guarded(variable, &[]);
    let recorded = record(&home, variable, &["Think: what is 2 + 2?"]).exits(0);
    assert_eq!(recorded.stderr, "");
    let recorded = timeless(Answer::of(&recorded).expect("an answer"));
    drop(server);

    let file = std::fs::read_to_string(home.path("chat.jsonl")).expect("the recording");
    assert!(file.contains("chat/completions"), "{file}");
    for secret in [KEY, HEADER_SECRET] {
        assert!(
            !file.contains(secret) && !file.contains(&secret[4..16]),
            "{file}"
        );
    }
    for speed in [&[][..], &["--replay-full-speed"]] {
        let arguments = [
            "chat",
            "--json",
            "--replay",
            "chat.jsonl",
            "Think: what is 2 + 2?",
        ];
        let replayed = home.run(&[&arguments, speed].concat()).exits(0);
        assert_eq!(replayed.stderr, "");
        let replayed = timeless(Answer::of(&replayed).expect("an answer"));
        assert_eq!(replayed, recorded, "{speed:?}");
    }
}

#[test]
fn a_retry_is_an_exchange_of_its_own_and_replayed_as_one() {
    let (_server, home) = guarded("${VLLM_API_KEY}", &["overloaded", "none"]);
    let recorded = record(&home, "${VLLM_API_KEY}", &["Say hello."]).exits(0);
    let recorded = timeless(Answer::of(&recorded).expect("an answer"));
    let file = std::fs::read_to_string(home.path("chat.jsonl")).expect("the recording");
    let heads = |status: &str| file.matches(&format!("\"status\":{status}")).count();
    assert!(heads("503") >= 1 && heads("200") >= 1, "{file}");

    let arguments = [
        "chat",
        "--json",
        "--replay",
        "chat.jsonl",
        "--replay-full-speed",
        "Say hello.",
    ];
    let replayed = home.run(&arguments).exits(0);
    let (events, mut last) = timeless(Answer::of(&replayed).expect("an answer"));
    // The waits before a retry are drawn by chance.
    let mut expected = recorded.1;
    for line in [&mut last, &mut expected] {
        for retry in line["retries"].as_array_mut().into_iter().flatten() {
            retry["delay_ms"] = Value::Null;
        }
    }
    assert_eq!((events, last), (recorded.0, expected));
}

#[test]
fn what_was_not_recorded_and_what_is_no_recording_is_told_apart() {
    let (_server, home) = guarded("${VLLM_API_KEY}", &[]);
    record(&home, "${VLLM_API_KEY}", &["Say hello."]).exits(0);
    let again = record(&home, "${VLLM_API_KEY}", &["Say hello."]).exits(2);
    let error = Answer::of(&again).expect("an error").last["error"].clone();
    assert_eq!(error["kind"], "invalid-request");
    let message = error["message"].as_str().unwrap_or_default();
    assert!(message.contains("chat.jsonl is there already"), "{message}");

    let replay = |file: &str, model: &[&str]| {
        let arguments = [
            "chat",
            "--replay",
            file,
            "--replay-full-speed",
            "Say hello.",
        ];
        home.run(&[&arguments, model].concat())
    };
    // Another path than the recorded one.
    let mut elsewhere =
        json!({"models": {"providers": {"vllm": {"baseUrl": "http://127.0.0.1:1/team"}}}});
    elsewhere["agents"]["defaults"] = json!({"model": "vllm/tiny", "models": {"vllm/*": {}}});
    home.configure(&elsewhere);
    replay("chat.jsonl", &[]).exits(2).complains(&[
        "the recording has no answer to GET /team/models",
        "GET /v1/models",
    ]);
    home.write("other.jsonl", "{}\n");
    replay("other.jsonl", &[])
        .exits(2)
        .complains(&["other.jsonl", "no recording that this version can read"]);
    replay("nowhere.jsonl", &[])
        .exits(2)
        .complains(&["nowhere.jsonl"]);
}
