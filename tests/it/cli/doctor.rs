//! `doctor`: a line for each check, and what to do where one fails.

use provider_host::mock::{Model, Options};
use serde_json::{Value, json};

use super::gallery::canned::{self, Canned};
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

/// Holds the line of one check against what it must say: the only one that
/// failed, or the last of all.
#[track_caller]
fn ends_with(outcome: &Outcome, word: &str, check: &str, says: &[&str]) {
    let lines = lines(outcome);
    let mut made = lines.iter().filter(|(word, ..)| word != "skipped");
    let (found, at, text) = match word {
        "failed" => made.clone().find(|(word, ..)| word == "failed"),
        _ => made.clone().rfind(|(_, at, _)| at == check),
    }
    .expect("a line");
    assert_eq!((found.as_str(), at.as_str()), (word, check), "{outcome:#?}");
    for words in says {
        assert!(text.contains(words), "no {words:?} in {text:?}");
    }
    assert!(
        made.all(|(word, at, _)| word != "failed" || at == check),
        "{outcome:#?}"
    );
}

/// The text of one check's line, which has this word.
#[track_caller]
fn line(outcome: &Outcome, word: &str, check: &str) -> String {
    let found = lines(outcome)
        .into_iter()
        .find(|(found, at, _)| found == word && at == check);
    found
        .unwrap_or_else(|| panic!("no {word} {check}: {outcome:#?}"))
        .2
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
    let well = |word: &str, check: &str| word == "ok" || (word == "skipped" && check == "version");
    assert!(
        lines.iter().all(|(word, check, _)| well(word, check)),
        "{outcome:#?}"
    );
    let checks: Vec<&str> = lines.iter().map(|(_, check, _)| check.as_str()).collect();
    assert_eq!(
        checks,
        [
            "configuration",
            "plugin",
            "settings",
            "key",
            "base URL",
            "proxy",
            "connection",
            "version",
            "server",
            "model",
            "one token",
            "reasoning",
            "time limits",
            "tools"
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
fn without_a_configuration_and_a_key_the_first_step_is_told_and_nothing_is_sent() {
    let outcome = Home::new().run(&["doctor"]).exits(2);
    ends_with(
        &outcome,
        "failed",
        "key",
        &["VLLM_API_KEY", "auth set vllm", "http://127.0.0.1:8000/v1"],
    );
    for check in ["connection", "server", "one token", "tools"] {
        assert!(line(&outcome, "skipped", check).contains("key"));
    }
}

#[test]
fn a_key_that_is_missing_or_wrong_is_told_with_what_to_do() {
    let server = Server::guarded(KEY);
    let outcome = server.home().run(&["doctor"]).exits(1);
    ends_with(
        &outcome,
        "failed",
        "server",
        &["401", "--api-key", "none was sent"],
    );
    let (word, ..) = lines(&outcome)
        .into_iter()
        .find(|(_, at, _)| at == "key")
        .expect("a line");
    assert_eq!(word, "ok", "{outcome:#?}");
    assert!(outcome.stdout.contains("auth set vllm"), "{outcome:#?}");

    let home = Home::configured(&with_key(&server, WRONG_KEY));
    let outcome = home.run(&["doctor"]).exits(1);
    ends_with(
        &outcome,
        "failed",
        "server",
        &[
            "401",
            "does not know the key",
            "apiKey in the configuration",
        ],
    );
}

#[test]
fn a_server_that_is_down_is_told_with_what_to_do() {
    let server = Server::with_faults(&["refuse"]);
    let outcome = server.home().run(&["doctor"]).exits(1);
    let address = server.address().to_string();
    ends_with(
        &outcome,
        "failed",
        "connection",
        &["refused the connection", &address, "start the server"],
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
    let there = format!("there is an API at {}", server.base_url());
    ends_with(&outcome, "failed", "server", &["404", &there]);
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
        let outcome = home.run(&["doctor"]).exits(2);
        ends_with(
            &outcome,
            "failed",
            "base URL",
            &["models.providers.vllm.baseUrl"],
        );
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
        "failed",
        "model",
        &[
            "tinny",
            "serves only tiny,",
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
    assert_eq!(word, "warning", "{outcome:#?}");
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
            (1, "failed")
        };
        let outcome = server.home().run(&["doctor"]).exits(status);
        ends_with(&outcome, word, "one token", &[words]);
    }
}

#[test]
fn what_is_wrong_on_disk_is_found_first() {
    let home = Home::new();
    let bad = home.write("bad.json", "{\n ]");
    let outcome = home.run(&["doctor", "--config", &bad]).exits(2);
    ends_with(&outcome, "failed", "configuration", &["bad.json:2:"]);
    let outcome = home.run(&["doctor", "--config", "gone.json"]).exits(2);
    ends_with(&outcome, "failed", "configuration", &["gone.json"]);

    let outcome = home.run(&["doctor", "--plugin", &bad]).exits(2);
    ends_with(&outcome, "failed", "plugin", &["not WebAssembly"]);

    home.configure(&json!({"models": {"providers": {"vllm": {"apiKey": "${NO_SUCH_KEY}"}}}}));
    let outcome = home.run(&["doctor"]).exits(2);
    ends_with(
        &outcome,
        "failed",
        "settings",
        &["NO_SUCH_KEY", "models.providers.vllm.apiKey"],
    );

    home.configure(&json!({"models": {"providers": {"vllm": {"models": [{"name": "x"}]}}}}));
    let outcome = home.run(&["doctor"]).exits(2);
    ends_with(
        &outcome,
        "failed",
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
        (word.as_str(), check.as_str()) == ("warning", "settings")
            && text.contains("timeoutSecond")
            && text.contains("timeoutSeconds")
    });
    assert!(found, "{outcome:#?}");
}

/// A server of `tiny` that differs in one respect.
fn differing(change: impl FnOnce(&mut Options)) -> Server {
    let mut options = Options {
        models: vec![Model::new("tiny", 4_096)],
        ..Options::default()
    };
    change(&mut options);
    Server::start(options)
}

#[test]
fn the_other_scheme_is_tried_and_named() {
    let server = Server::tiny();
    let mut configuration = server.configuration();
    let url = server.base_url();
    configuration["models"]["providers"]["vllm"]["baseUrl"] = url.replace("http", "https").into();
    let outcome = Home::configured(&configuration).run(&["doctor"]).exits(1);
    let there = format!("a server answers at {url}");
    ends_with(&outcome, "failed", "connection", &["TLS", &there]);
}

#[test]
fn limits_that_the_server_does_not_have_are_told_with_their_places() {
    let server = Server::tiny();
    let models = json!([{"id": "tiny", "contextWindow": 32_768, "maxTokens": 8_192}]);
    let home = Home::configured(&server.declaring(&models));
    let outcome = home.run(&["doctor"]);
    let (window, tokens): (Vec<_>, Vec<_>) = lines(&outcome)
        .into_iter()
        .filter(|(word, check, _)| word == "warning" && check == "model")
        .map(|(.., text)| text)
        .partition(|text| text.contains("contextWindow"));
    assert!(
        window[0].contains("models.providers.vllm.models[0].contextWindow is 32,768")
            && window[0].contains("4,096"),
        "{outcome:#?}"
    );
    assert!(
        tokens[0].contains("models.providers.vllm.models[0].maxTokens is 8,192"),
        "{outcome:#?}"
    );
}

#[test]
fn a_server_without_a_tool_parser_is_told_with_its_flags_and_chats_work() {
    let server = differing(|options| options.tool_parser = false);
    let outcome = server.home().run(&["doctor"]).exits(0);
    let text = line(&outcome, "warning", "tools");
    assert!(
        text.contains("--enable-auto-tool-choice --tool-call-parser"),
        "{text}"
    );
}

#[test]
fn an_answer_that_comes_wholly_as_reasoning_is_told() {
    let server = differing(|options| options.closes_thinking = false);
    let outcome = server.home().run(&["doctor"]).exits(0);
    let text = line(&outcome, "warning", "reasoning");
    assert!(text.contains("--reasoning-parser"), "{text}");
}

#[test]
fn a_time_out_that_is_too_short_is_told_with_what_would_do() {
    let server = Server::tiny();
    for (seconds, word) in [(5, "warning"), (600, "ok")] {
        let mut configuration = server.configuration();
        configuration["models"]["providers"]["vllm"]["timeoutSeconds"] = seconds.into();
        let outcome = Home::configured(&configuration).run(&["doctor"]).exits(0);
        let text = line(&outcome, word, "time limits");
        assert!(
            text.contains(&format!(
                "models.providers.vllm.timeoutSeconds is {seconds} s"
            )),
            "{text}"
        );
    }
    let outcome = server.home().run(&["doctor"]).exits(0);
    let text = line(&outcome, "ok", "time limits");
    assert!(text.contains("300 s to the first token"), "{text}");
}

#[test]
fn proxy_variables_are_told_by_name_and_never_by_value() {
    let server = Server::tiny();
    let command = server.home();
    let outcome = command
        .command(&["doctor"])
        .env("HTTPS_PROXY", "http://me:pass@proxy:3128")
        .run()
        .exits(0);
    assert!(line(&outcome, "ok", "proxy").contains("HTTPS_PROXY is set and not used"));
    assert!(!outcome.stdout.contains("3128"), "{outcome:#?}");

    let far = json!({"models": {"providers": {"vllm": {"baseUrl": "http://nowhere.invalid/v1"}}}});
    let outcome = Home::configured(&far)
        .command(&["doctor"])
        .env("ALL_PROXY", "socks5://me:pass@proxy")
        .run()
        .exits(1);
    let text = line(&outcome, "warning", "proxy");
    assert!(
        text.contains("ALL_PROXY") && text.contains("env-proxy"),
        "{text}"
    );
    assert!(!outcome.stdout.contains("pass@"), "{outcome:#?}");
}

#[test]
fn a_configured_proxy_is_named_without_its_password() {
    let server = Server::tiny();
    let mut configuration = server.configuration();
    let proxy = server.base_url().replace("/v1", "");
    let proxy = proxy.replace("http://", "http://me:open-sesame@");
    configuration["models"]["providers"]["vllm"]["request"] = json!({"proxy": proxy});
    let outcome = Home::configured(&configuration).run(&["doctor"]);
    let text = line(&outcome, "ok", "proxy");
    assert!(
        text.contains("requests go through 127.0.0.1:") && text.contains("(request.proxy)"),
        "{text}"
    );
    assert!(!outcome.stdout.contains("open-sesame"), "{outcome:#?}");

    configuration["models"]["providers"]["vllm"]["request"] =
        json!({"proxy": {"mode": "env-proxy"}});
    let outcome = Home::configured(&configuration).run(&["doctor"]);
    let text = line(&outcome, "ok", "proxy");
    assert!(text.contains("it is dialled itself"), "{text}");
}

#[test]
fn a_server_that_serves_no_model_fails() {
    let server = Canned::raw(canned::json(r#"{"object":"list","data":[]}"#));
    let configuration = json!({"models": {"providers": {"vllm": {"baseUrl": server.url("http")}}}});
    let outcome = Home::configured(&configuration).run(&["doctor"]).exits(1);
    ends_with(&outcome, "failed", "server", &["serves no model"]);
}
