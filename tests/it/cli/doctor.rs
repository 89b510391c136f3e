//! `doctor`: a line for each check, and what to do where one fails.

use provider_host::mock::{Model, Options};
use serde_json::{Value, json};

use super::process::{Home, KEY, Outcome, WRONG_KEY};
use super::server::Server;

/// The lines as (word, check, text).
fn lines(outcome: &Outcome) -> Vec<(String, String, String)> {
    outcome
        .stdout
        .lines()
        .map(|line| {
            let mut parts = line
                .split("  ")
                .map(str::trim)
                .filter(|part| !part.is_empty());
            let mut part = || {
                parts
                    .next()
                    .unwrap_or_else(|| panic!("{line:?}"))
                    .to_owned()
            };
            (part(), part(), part())
        })
        .collect()
}

/// Holds one line, which is the last, against what it must say.
#[track_caller]
fn ends_with(outcome: &Outcome, word: &str, check: &str, says: &[&str]) {
    let lines = lines(outcome);
    let (found, at, text) = lines.last().expect("a line");
    assert_eq!((found.as_str(), at.as_str()), (word, check), "{outcome:#?}");
    for words in says {
        assert!(text.contains(words), "no {words:?} in {text:?}");
    }
    let others = &lines[..lines.len() - 1];
    assert!(
        others.iter().all(|(word, ..)| word != "fail"),
        "{outcome:#?}"
    );
}

fn with_key(server: &Server, key: &str) -> Value {
    let mut configuration = server.configuration();
    configuration["models"]["providers"]["vllm"]["apiKey"] = key.into();
    configuration
}

#[test]
fn all_is_well() {
    let server = Server::guarded(KEY);
    let home = Home::configured(&with_key(&server, KEY));
    let outcome = home.run(&["doctor"]).exits(0);
    let lines = lines(&outcome);
    assert!(lines.iter().all(|(word, ..)| word == "ok"), "{outcome:#?}");
    let checks: Vec<&str> = lines.iter().map(|(_, check, _)| check.as_str()).collect();
    assert_eq!(
        checks,
        [
            "configuration",
            "plugin",
            "settings",
            "key",
            "base URL",
            "server",
            "model",
            "one token"
        ]
    );
    for (check, words) in [
        ("configuration", "openclaw.json"),
        ("key", "apiKey in the configuration"),
        ("base URL", &server.base_url()),
        ("base URL", "this machine only"),
        ("server", "tiny"),
        ("model", "context 4,096"),
        ("one token", "1 out"),
    ] {
        let found = lines
            .iter()
            .any(|(_, at, text)| at == check && text.contains(words));
        assert!(found, "no {words:?} for {check}: {outcome:#?}");
    }
    assert_eq!(outcome.stderr, "");
}

#[test]
fn without_a_configuration_the_provider_is_off_and_a_key_turns_it_on() {
    // The default server is not ours to know; only what comes before it is.
    let outcome = Home::new().run(&["doctor"]);
    let key = lines(&outcome)
        .into_iter()
        .find(|(_, check, _)| check == "key");
    let (word, _, text) = key.expect("the key's line");
    assert_eq!(word, "warn", "{outcome:#?}");
    assert!(
        text.contains("VLLM_API_KEY") && text.contains("auth set vllm"),
        "{text}"
    );
}

#[test]
fn a_key_that_is_missing_or_wrong_is_told_with_what_to_do() {
    let server = Server::guarded(KEY);
    let outcome = server.home().run(&["doctor"]).exits(1);
    ends_with(&outcome, "fail", "server", &["401", "--api-key"]);
    let (word, ..) = lines(&outcome)
        .into_iter()
        .find(|(_, at, _)| at == "key")
        .expect("a line");
    assert_eq!(word, "ok", "{outcome:#?}");
    assert!(outcome.stdout.contains("auth set vllm"), "{outcome:#?}");

    let home = Home::configured(&with_key(&server, WRONG_KEY));
    let outcome = home.run(&["doctor"]).exits(1);
    ends_with(&outcome, "fail", "server", &["401", "--api-key"]);
}

#[test]
fn a_server_that_is_down_is_told_with_what_to_do() {
    let server = Server::with_faults(&["refuse"]);
    let outcome = server.home().run(&["doctor"]).exits(1);
    let url = server.base_url();
    ends_with(
        &outcome,
        "fail",
        "server",
        &["connection refused", &url, "connection refused"],
    );
}

#[test]
fn a_base_url_without_its_v1_is_told_with_what_to_do() {
    let server = Server::tiny();
    let mut configuration = server.configuration();
    let base = server.base_url();
    let base = base.strip_suffix("/v1").expect("a path");
    configuration["models"]["providers"]["vllm"]["baseUrl"] = base.into();
    let outcome = Home::configured(&configuration).run(&["doctor"]).exits(1);
    ends_with(&outcome, "fail", "server", &["404", "/v1"]);
}

#[test]
fn a_base_url_that_is_none_is_told_with_what_to_do() {
    for url in [
        "127.0.0.1:8000/v1",
        "ftp://127.0.0.1/v1",
        "http://",
        "http://user:pass@h/v1",
    ] {
        let home = Home::configured(&json!({"models": {"providers": {"vllm": {"baseUrl": url}}}}));
        let outcome = home.run(&["doctor"]).exits(1);
        let lines = lines(&outcome);
        let (word, _, text) = lines.last().expect("a line");
        assert_eq!(word, "fail", "{url}: {outcome:#?}");
        assert!(text.contains("URL"), "{url}: {text}");
    }
}

#[test]
fn a_model_that_is_not_served_is_told_with_those_that_are() {
    let server = Server::start(Options {
        models: vec![Model::new("tiny", 4_096), Model::new("small", 4_096)],
        ..Options::default()
    });
    let home = Home::configured(&server.declaring(&json!([{"id": "tinny"}])));
    let outcome = home.run(&["doctor"]).exits(1);
    ends_with(
        &outcome,
        "fail",
        "model",
        &[
            "does not serve tinny",
            "tiny",
            "small",
            "agents.defaults.model.primary",
        ],
    );
}

#[test]
fn no_default_model_is_a_warning_and_another_is_tried() {
    let server = Server::tiny();
    let mut configuration = server.configuration();
    configuration["agents"]["defaults"]["model"] = Value::Null;
    let outcome = Home::configured(&configuration).run(&["doctor"]).exits(0);
    let lines = lines(&outcome);
    let (word, _, text) = lines
        .iter()
        .find(|(_, at, _)| at == "model")
        .expect("a line");
    assert_eq!(word, "warn", "{outcome:#?}");
    assert!(
        text.contains("agents.defaults.model.primary") && text.contains("vllm/tiny"),
        "{text}"
    );
    ends_with(&outcome, "ok", "one token", &["1 out"]);
}

#[test]
fn a_server_that_lists_and_does_not_answer_fails_the_last_check() {
    for (fault, words) in [
        ("overloaded", "503"),
        ("error-in-stream:1", "EngineCore"),
        ("html", "web page"),
        ("no-done", ""),
    ] {
        let server = Server::with_faults(&[fault]);
        let (status, word) = if words.is_empty() {
            (0, "ok")
        } else {
            (1, "fail")
        };
        let outcome = server.home().run(&["doctor"]).exits(status);
        ends_with(&outcome, word, "one token", &[words]);
    }
}

#[test]
fn what_is_wrong_on_disk_is_found_first() {
    let home = Home::new();
    let bad = home.write("bad.json", "{\n ]");
    let outcome = home.run(&["doctor", "--config", &bad]).exits(1);
    ends_with(&outcome, "fail", "configuration", &["bad.json:2:"]);
    let outcome = home.run(&["doctor", "--config", "gone.json"]).exits(1);
    ends_with(&outcome, "fail", "configuration", &["gone.json"]);

    let outcome = home.run(&["doctor", "--plugin", &bad]).exits(1);
    ends_with(&outcome, "fail", "plugin", &["not WebAssembly"]);

    home.configure(&json!({"models": {"providers": {"vllm": {"apiKey": "${NO_SUCH_KEY}"}}}}));
    let outcome = home.run(&["doctor"]).exits(1);
    ends_with(
        &outcome,
        "fail",
        "settings",
        &["NO_SUCH_KEY", "models.providers.vllm.apiKey"],
    );

    home.configure(&json!({"models": {"providers": {"vllm": {"models": [{"name": "x"}]}}}}));
    let outcome = home.run(&["doctor"]).exits(1);
    ends_with(
        &outcome,
        "fail",
        "settings",
        &["models.providers.vllm.models[0].id"],
    );
}

#[test]
fn a_setting_that_is_misspelt_is_a_warning() {
    let server = Server::tiny();
    let mut configuration = server.configuration();
    configuration["models"]["providers"]["vllm"]["timeoutSecond"] = json!(5);
    let outcome = Home::configured(&configuration).run(&["doctor"]).exits(0);
    let found = lines(&outcome).into_iter().any(|(word, check, text)| {
        (word.as_str(), check.as_str()) == ("warn", "settings")
            && text.contains("timeoutSecond")
            && text.contains("timeoutSeconds")
    });
    assert!(found, "{outcome:#?}");
}
