//! The exit status and the words for it: 0 done, 1 the provider or the server
//! failed, 2 wrong usage or configuration. (130 is in [`super::interrupt`].)

use serde_json::json;

use super::answer::Answer;
use super::process::Home;
use super::server::Server;

/// Arguments, and words that stderr must have.
type Wrong = (&'static [&'static str], &'static [&'static str]);

#[test]
fn what_was_asked_for_and_done_ends_with_0() {
    let server = Server::tiny();
    let home = server.home();
    let lines: [(&[&str], &str); 5] = [
        (&["--help"], "Usage: provider-host"),
        (&["chat", "--help"], "--request <FILE.json>"),
        (&["--version"], "provider-host "),
        (&["models", "list"], "vllm/tiny"),
        (&["chat", "Say hello."], "Hello!"),
    ];
    for (arguments, words) in lines {
        let outcome = home.run(arguments).exits(0);
        assert!(outcome.stdout.contains(words), "{outcome:#?}");
    }
}

#[test]
fn wrong_usage_ends_with_2_and_says_what_is_wrong() {
    let server = Server::tiny();
    let home = server.home();
    let wrong: [Wrong; 19] = [
        (&[], &["Usage"]),
        (&["bogus"], &["bogus"]),
        (&["models"], &["list"]),
        (&["chat", "--bogus", "x"], &["--bogus"]),
        (&["--log-level", "loud", "doctor"], &["loud", "trace"]),
        (&["chat", "--max-tokens", "0", "x"], &["--max-tokens"]),
        (&["chat", "--max-tokens", "many", "x"], &["--max-tokens"]),
        (&["chat", "--temperature", "hot", "x"], &["--temperature"]),
        (
            &["chat", "--request", "r.json", "x"],
            &["cannot be used with"],
        ),
        (&["chat", "--request", "r.json"], &["cannot read r.json"]),
        (&["chat", "--image", "i.png", "x"], &["cannot read i.png"]),
        (
            &["chat", "--extra", "[1]", "x"],
            &["--extra is a list", "JSON object"],
        ),
        (&["chat", "--extra", "{", "x"], &["--extra is not JSON"]),
        (
            &["chat", "--reasoning", " ", "x"],
            &["--reasoning is blank"],
        ),
        (&["chat", " "], &["the prompt is empty"]),
        (
            &["chat", "--model", "tiny", "x"],
            &["--model is \"tiny\"", "provider/model"],
        ),
        (
            &["chat", "--model", "vllm/", "x"],
            &["--model is \"vllm/\""],
        ),
        (
            &["chat", "--model", "acme/m", "x"],
            &["\"acme\"", "\"vllm\""],
        ),
        (
            &["models", "list", "--provider", "acme"],
            &["\"acme\"", "\"vllm\""],
        ),
    ];
    for (arguments, words) in wrong {
        let outcome = home.run(arguments).exits(2).complains(words);
        assert_eq!(outcome.stdout, "", "{arguments:?}");
    }
    assert_eq!(server.chats().len(), 0, "nothing of this was sent");
}

#[test]
fn a_chat_that_cannot_begin_is_an_error_line_with_the_same_exit_status() {
    let server = Server::tiny();
    let home = server.home();
    let wrong: [(&[&str], &str, &str); 5] = [
        (
            &["--extra", "[1]", "x"],
            "invalid-request",
            "--extra is a list",
        ),
        (
            &["--request", "r.json"],
            "invalid-request",
            "cannot read r.json",
        ),
        (
            &["--model", "tiny", "x"],
            "invalid-config",
            "--model is \"tiny\"",
        ),
        (&["--model", "acme/m", "x"], "invalid-config", "\"acme\""),
        (&["--config", "c.json", "x"], "invalid-config", "c.json"),
    ];
    for (arguments, kind, words) in wrong {
        let arguments = [&["chat", "--json"], arguments].concat();
        let outcome = home.run(&arguments).exits(2);
        let answer = Answer::of(&outcome).expect("an error line");
        let error = answer.error().expect("an error");
        assert_eq!(error["kind"], kind, "{error}");
        assert!(
            error["message"].as_str().expect("words").contains(words),
            "{error}"
        );
        assert_eq!(error["request_sent"], false, "{error}");
        assert!(answer.last["partial"].is_null(), "{}", answer.last);
        assert_eq!(outcome.stderr, "", "the error line says it all");
    }
}

#[test]
fn a_configuration_that_was_named_must_be_there() {
    let home = Home::new();
    home.run(&["--config", "c.json", "models", "list"])
        .exits(2)
        .complains(&["no configuration file at c.json", "--config"]);
    home.command(&["models", "list"])
        .env("OPENCLAW_CONFIG_PATH", "v.json")
        .run()
        .exits(2)
        .complains(&["no configuration file at v.json", "OPENCLAW_CONFIG_PATH"]);
    // At the default place it may be missing.
    home.run(&["models", "list"]).exits(0);
}

#[test]
fn the_configuration_is_the_flags_then_the_variables_then_the_homes() {
    let server = Server::tiny();
    let named = |id: &str| server.declaring(&json!([{"id": id}])).to_string();
    let home = Home::new();
    let (flag, variable) = (
        home.write("f.json", named("flag")),
        home.write("v.json", named("variable")),
    );
    home.write(".openclaw/openclaw.json", named("home"));
    let list = ["models", "list"];
    let by_flag = ["models", "list", "--config", &flag];
    for (arguments, variable, model) in [
        (&by_flag[..], variable.as_str(), "vllm/flag"),
        (&list, &variable, "vllm/variable"),
        (&list, "~/v.json", "vllm/variable"),
        (&list, "", "vllm/home"),
    ] {
        let command = home
            .command(arguments)
            .env("OPENCLAW_CONFIG_PATH", variable);
        let outcome = command.run().exits(0);
        assert!(outcome.stdout.contains(model), "{outcome:#?}");
    }
}

#[test]
fn a_configuration_that_is_wrong_is_shown_where_it_is() {
    let home = Home::new();
    let wrong = [
        ("{\n  models: {\n    x: ]\n}", "c.json:3:"),
        ("{\n\n\n", "c.json:"),
        ("[]", "c.json is a list"),
        ("{models: 5}", "models is "),
        (
            "{models: {providers: {vllm: []}}}",
            "models.providers.vllm is ",
        ),
        (
            "{models: {providers: {vllm: {baseUrl: 5}}}}",
            "models.providers.vllm.baseUrl is ",
        ),
        (
            "{models: {providers: {vllm: {timeoutSeconds: -1}}}}",
            "models.providers.vllm.timeoutSeconds is ",
        ),
        (
            "{models: {providers: {vllm: {models: {}}}}}",
            "models.providers.vllm.models",
        ),
        (
            "{models: {providers: {vllm: {models: [{name: 'x'}]}}}}",
            "models.providers.vllm.models[0].id",
        ),
        (
            "{models: {providers: {vllm: {baseUrl: 'ftp://h/v1'}}}}",
            "ftp",
        ),
    ];
    for (text, words) in wrong {
        let file = home.write("c.json", text);
        home.run(&["models", "list", "--config", &file])
            .exits(2)
            .complains(&[words]);
    }
}

#[test]
fn no_model_to_use_is_a_configuration_to_be_completed() {
    Home::new().run(&["chat", "x"]).exits(2).complains(&[
        "no model",
        "--model",
        "agents.defaults.model.primary",
    ]);
}

#[test]
fn a_request_file_that_is_wrong_is_shown_where_it_is() {
    let server = Server::tiny();
    let home = server.home();
    let user = r#"{"role": "user", "content": "x"}"#;
    let with = |more: &str| format!(r#"{{"messages": [{user}], {more}}}"#);
    let wrong = [
        (String::from("{"), "not valid JSON"),
        (String::from("[]"), "the request is a list"),
        (String::from("{}"), "messages is missing"),
        (String::from(r#"{"messages": {}}"#), "messages is an object"),
        (
            format!(r#"{{"messages": [{user}, {{"role": "wizard"}}]}}"#),
            "messages[1].role is the text \"wizard\"",
        ),
        (
            String::from(r#"{"messages": [{"role": "user"}]}"#),
            "messages[0].content is missing",
        ),
        (
            String::from(
                r#"{"messages": [{"role": "user", "content": [{"type": "image", "media_type": "image/png", "data": "§"}]}]}"#,
            ),
            "messages[0].content[0].data is not base64",
        ),
        (
            String::from(r#"{"messages": [{"role": "tool", "content": "x"}]}"#),
            "messages[0].tool_call_id is missing",
        ),
        (
            String::from(
                r#"{"messages": [{"role": "assistant", "tool_calls": [{"id": "a", "name": "f", "arguments": {}}]}]}"#,
            ),
            "messages[0].tool_calls[0].arguments is an object",
        ),
        (
            with(r#""tools": [{"description": "d"}]"#),
            "tools[0].name is missing",
        ),
        (
            with(r#""tool_choice": "maybe""#),
            "tool_choice is the text \"maybe\"",
        ),
        (with(r#""max_tokens": 0"#), "max_tokens is the number 0"),
        (
            with(r#""temperature": "hot""#),
            "temperature is the text \"hot\"",
        ),
        (with(r#""seed": 1.5"#), "seed is the number 1.5"),
        (with(r#""stop": [1]"#), "stop is a list"),
        (
            with(r#""response_format": {"name": "n"}"#),
            "response_format.schema is missing",
        ),
        (with(r#""extra": []"#), "extra is a list"),
    ];
    for (text, words) in &wrong {
        let file = home.write("r.json", text);
        home.run(&["chat", "--request", &file])
            .exits(2)
            .complains(&["r.json: ", words]);
    }
    assert_eq!(server.chats().len(), 0, "nothing of this was sent");
}

#[test]
fn an_unknown_key_of_a_request_file_is_told_and_not_sent() {
    let server = Server::tiny();
    let home = server.home();
    let request = r#"{"messages": [{"role": "user", "content": "Say hello."}], "max_tokns": 5}"#;
    let file = home.write("r.json", request);
    home.run(&["chat", "--request", &file])
        .exits(0)
        .complains(&["warning: max_tokns is not known and not sent"]);
    assert_eq!(server.last_body().get("max_tokns"), None);
}

#[test]
fn a_server_or_provider_that_refuses_or_fails_ends_with_1() {
    for (fault, kind) in [
        ("refuse", "unreachable"),
        ("unauthorized", "authentication"),
        ("not-found", "model-not-found"),
        ("server-error", "server"),
        ("overloaded", "overloaded"),
        ("rate-limited", "rate-limited"),
        ("html", "protocol"),
        ("empty-body", "interrupted"),
        ("error-in-stream", "server"),
    ] {
        let server = Server::with_faults(&[fault]);
        let home = server.home();
        let once = ["chat", "--max-retries", "0", "Say hello."];
        let outcome = home.run(&once).exits(1);
        assert!(
            outcome.stderr.starts_with("error: "),
            "{fault}: {outcome:#?}"
        );
        let outcome = home.run(&[&once[..], &["--json"]].concat()).exits(1);
        let answer = Answer::of(&outcome).expect("lines");
        assert_eq!(answer.error().expect("an error")["kind"], kind, "{fault}");
    }
    let server = Server::tiny();
    server
        .home()
        .run(&["chat", "--model", "vllm/tinny", "x"])
        .exits(1)
        .complains(&["unknown model vllm/tinny", "tiny", "models list"]);
}
