//! `mock` and `demo`: for those who have no server yet.

use serde_json::{Value, json};

use super::answer::Answer;
use super::process::{Home, KEY, Running};
use crate::recorded;

/// Starts the mock as users do; its base URL is the first line it writes.
fn start(home: &Home, more: &[&str]) -> (Running, String) {
    let arguments = [&["mock", "--listen", "127.0.0.1:0"], more].concat();
    let mut running = home.command(&arguments).start();
    let url = running.line();
    (running, url)
}

fn configuration(url: &str, key: Option<&str>) -> Value {
    json!({
        "models": {"providers": {"vllm": {"baseUrl": url, "apiKey": key}}},
        "agents": {"defaults": {"models": {"vllm/*": {}}}},
    })
}

#[test]
fn the_mock_says_where_it_is_and_serves_what_it_was_told() {
    let home = Home::new();
    let models = ["--model", "Qwen/Qwen3-8B=40960", "--model", "tiny"];
    let (server, url) = start(&home, &[&["--api-key", KEY], &models[..]].concat());
    let port = url
        .strip_prefix("http://127.0.0.1:")
        .and_then(|rest| rest.strip_suffix("/v1"));
    assert!(
        port.is_some_and(|port| port.parse::<u16>().is_ok_and(|port| port > 0)),
        "{url}"
    );

    home.configure(&configuration(&url, None));
    home.run(&["models", "list"]).exits(1).complains(&["401"]);
    home.configure(&configuration(&url, Some(KEY)));
    let outcome = home.run(&["models", "list", "--json"]).exits(0);
    let listed: Vec<(Value, Value)> = outcome.json_lines()[0]["models"]
        .as_array()
        .expect("models")
        .iter()
        .map(|model| (model["id"].clone(), model["context_window"].clone()))
        .collect();
    assert_eq!(
        listed,
        [
            (json!("Qwen/Qwen3-8B"), json!(40_960)),
            (json!("tiny"), json!(32_768))
        ]
    );
    let outcome = home
        .run(&["chat", "--model", "vllm/tiny", "Say hello."])
        .exits(0);
    assert_eq!(outcome.stdout, "Hello! How can I help you today?\n");

    server.interrupt();
    let outcome = server.finish().exits(130);
    assert_eq!(outcome.stdout, format!("{url}\n"), "the log goes to stderr");
}

#[test]
fn faults_take_turns() {
    let home = Home::new();
    let (_server, url) = start(
        &home,
        &[
            "--model",
            "tiny",
            "--fault",
            "overloaded",
            "--fault",
            "none",
        ],
    );
    home.configure(&configuration(&url, None));
    for status in [1, 0, 1] {
        let arguments = ["chat", "--max-retries", "0", "--model", "vllm/tiny"];
        home.run(&[&arguments[..], &["Say hello."]].concat())
            .exits(status);
    }
}

#[test]
fn recordings_are_replayed() {
    let home = Home::new();
    let folder = recorded::fixtures().display().to_string();
    let (_server, url) = start(&home, &["--replay", &folder]);
    home.configure(&configuration(&url, None));
    let model = "vllm/12-chat-stream-usage";
    let outcome = home.run(&["chat", "--json", "--model", model, "x"]);
    let answer = Answer::of(&outcome).expect("lines");
    let recorded = recorded::load("12-chat-stream-usage");
    recorded::compare(&recorded, &answer.events, answer.error()).expect("as recorded");
}

#[test]
fn what_the_mock_cannot_do_is_wrong_usage() {
    let home = Home::new();
    for (arguments, words) in [
        (
            &["--fault", "sulk"][..],
            &["\"sulk\"", "reset-mid-stream", "overloaded"][..],
        ),
        (&["--fault", "silent:x"], &["\"silent:x\"", "NAME:N"]),
        (
            &["--model", "tiny=many"],
            &["--model tiny=many", "ID=CONTEXT"],
        ),
        (&["--model", "=5"], &["ID=CONTEXT"]),
        (&["--rate", "0"], &["--rate"]),
        (&["--rate", "fast"], &["--rate"]),
        (&["--listen", "nowhere"], &["--listen"]),
        (&["--replay", "gone"], &["could not start the mock server"]),
    ] {
        let arguments = [&["mock", "--listen", "127.0.0.1:0"][..], arguments].concat();
        // The last of two is meant, or both are refused: either way it ends.
        let outcome = home.run(&arguments).exits(2).complains(words);
        assert_eq!(outcome.stdout, "", "{arguments:?}");
    }
    let (_server, url) = start(&home, &[]);
    let taken = url.trim_start_matches("http://").trim_end_matches("/v1");
    home.run(&["mock", "--listen", taken])
        .exits(2)
        .complains(&["could not start the mock server", taken]);
}

#[test]
fn the_demo_shows_the_whole_path_and_ends_well() {
    // Whatever is configured, it needs none of it.
    let home = Home::new();
    home.write(".openclaw/openclaw.json", "{ broken");
    let outcome = home
        .command(&["demo"])
        .env("VLLM_API_KEY", KEY)
        .run()
        .exits(0);
    for words in [
        "http://127.0.0.1:",
        "vllm/Qwen/Qwen3-8B",
        "Two plus two is four.",
        "2 + 2 = 4.",
        "→ get_weather {\"city\": \"Oslo\"",
        "… generation 2 serves now: vllm ",
        " 28 29 30\n",
        "usage: ",
        "placeholder-",
    ] {
        assert!(
            outcome.stdout.contains(words),
            "no {words:?} in {outcome:#?}"
        );
    }
    assert_eq!(outcome.stderr, "");
}
