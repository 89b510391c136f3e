#![allow(clippy::unwrap_used)]
use super::*;
use crate::types::ModelSettings;
use serde_json::{Value, json};

fn settings(config: Value) -> Settings {
    Settings {
        config: Some(config.to_string()),
        ..Settings::default()
    }
}

fn read(config: Value) -> (Config, Vec<Note>) {
    Config::from_settings(&settings(config)).unwrap()
}

fn headers_of(settings: &Settings) -> Result<Vec<(String, String)>, Error> {
    let (config, _) = Config::from_settings(settings).unwrap();
    let model = config.declared("m").cloned();
    Ok(config.headers(&[("accept", "*/*")], model.as_ref())?)
}

fn header(headers: &[(String, String)], name: &str) -> Vec<String> {
    let found = headers.iter().filter(|(key, _)| key == name);
    found.map(|(_, value)| value.clone()).collect()
}

#[test]
fn a_wrong_value_is_told_with_its_path_what_was_found_and_what_is_allowed() {
    let of_model = |model: Value| json!({"models": [{"id": "ok"}, model]});
    for (config, path, found, allowed) in [
        (json!([]), "models.providers.vllm", "an array", "an object"),
        (json!(null), "models.providers.vllm", "null", "an object"),
        (json!({"baseUrl": 5}), ".baseUrl", "a number", "a string"),
        (
            json!({"baseUrl": "h:1"}),
            ".baseUrl",
            "begin with",
            "http://127.0.0.1:8000/v1",
        ),
        (
            json!({"apiKey": 5}),
            ".apiKey",
            "a number",
            "secret reference",
        ),
        (
            json!({"auth": "oauth"}),
            ".auth",
            "\"oauth\"",
            "\"api-key\", \"token\", \"none\"",
        ),
        (
            json!({"api": "openai-responses"}),
            ".api",
            "\"openai-responses\"",
            "\"openai-completions\"",
        ),
        (
            json!({"authHeader": "yes"}),
            ".authHeader",
            "\"yes\" (a string)",
            "true or false",
        ),
        (json!({"headers": []}), ".headers", "an array", "an object"),
        (
            json!({"headers": {"X-A": 1}}),
            ".headers.X-A",
            "a number",
            "a string",
        ),
        (
            json!({"headers": {"X A": "1"}}),
            ".headers[\"X A\"]",
            "no header name",
            "letters",
        ),
        (
            json!({"headers": {"": "1"}}),
            ".headers[\"\"]",
            "no header name",
            "letters",
        ),
        (
            json!({"headers": {"X-A": "a\r\nb"}}),
            ".headers.X-A",
            "control character",
            "no header",
        ),
        (
            json!({"headers": {"X-A": "a\u{0}b"}}),
            ".headers.X-A",
            "control character",
            "no header",
        ),
        (
            json!({"headers": {"Host": "h"}}),
            ".headers.Host",
            "can't be set",
            "transport",
        ),
        (
            json!({"headers": {"Transfer-Encoding": "chunked"}}),
            ".headers.Transfer-Encoding",
            "can't be set",
            "transport",
        ),
        (
            json!({"timeoutSeconds": 0}),
            ".timeoutSeconds",
            "0 (a number)",
            "above 0",
        ),
        (
            json!({"timeoutSeconds": -1}),
            ".timeoutSeconds",
            "-1 (a number)",
            "above 0",
        ),
        (
            json!({"timeoutSeconds": "5"}),
            ".timeoutSeconds",
            "\"5\" (a string)",
            "above 0",
        ),
        (json!({"params": 1}), ".params", "a number", "an object"),
        (
            json!({"params": {"temperature": "hot"}}),
            ".params.temperature",
            "\"hot\"",
            "a number",
        ),
        (
            json!({"params": {"topK": 1.5}}),
            ".params.topK",
            "1.5",
            "a whole number",
        ),
        (
            json!({"params": {"maxTokens": 0}}),
            ".params.maxTokens",
            "0",
            "from 1 to 4294967295",
        ),
        (
            json!({"params": {"stop": [1]}}),
            ".params.stop",
            "an array",
            "array of strings",
        ),
        (
            json!({"params": {"parallel_tool_calls": 1}}),
            ".params.parallel_tool_calls",
            "1",
            "true or false",
        ),
        (
            json!({"params": {"thinking": true}}),
            ".params.thinking",
            "true",
            "a string",
        ),
        (
            json!({"params": {"qwenThinkingFormat": "x"}}),
            ".params.qwenThinkingFormat",
            "\"x\"",
            "\"chat-template\", \"top-level\"",
        ),
        (
            json!({"params": {"chat_template_kwargs": 1}}),
            ".params.chat_template_kwargs",
            "a number",
            "an object",
        ),
        (
            json!({"params": {"extra_body": []}}),
            ".params.extra_body",
            "an array",
            "an object",
        ),
        (
            json!({"params": {"extra_body": {"stream": false}}}),
            ".params.extra_body.stream",
            "can't be set",
            "exchange",
        ),
        (
            json!({"params": {"extraBody": {"messages": []}}}),
            ".params.extraBody.messages",
            "can't be set",
            "exchange",
        ),
        (
            json!({"params": {"extra_body": {"chat_template_kwargs": 1}}}),
            ".params.extra_body.chat_template_kwargs",
            "a number",
            "an object",
        ),
        (json!({"request": 1}), ".request", "a number", "an object"),
        (
            json!({"request": {"headers": 1}}),
            ".request.headers",
            "a number",
            "an object",
        ),
        (
            json!({"request": {"tls": 1}}),
            ".request.tls",
            "a number",
            "an object",
        ),
        (
            json!({"request": {"allowPrivateNetwork": 1}}),
            ".request.allowPrivateNetwork",
            "1",
            "true or false",
        ),
        (
            json!({"request": {"auth": 1}}),
            ".request.auth",
            "a number",
            "an object",
        ),
        (
            json!({"request": {"auth": {}}}),
            ".request.auth.mode",
            "missing",
            "needs it",
        ),
        (
            json!({"request": {"auth": {"mode": "x"}}}),
            ".request.auth.mode",
            "\"x\"",
            "\"header\"",
        ),
        (
            json!({"request": {"auth": {"mode": "authorization-bearer"}}}),
            ".request.auth.token",
            "missing",
            "needs it",
        ),
        (
            json!({"request": {"auth": {"mode": "header"}}}),
            ".request.auth.headerName",
            "missing",
            "needs it",
        ),
        (
            json!({"request": {"auth": {"mode": "header", "headerName": "a b", "value": "v"}}}),
            ".request.auth.headerName",
            "no header name",
            "letters",
        ),
        (
            json!({"request": {"auth": {"mode": "header", "headerName": "x", "value": "v", "prefix": "\n"}}}),
            ".request.auth.prefix",
            "a string",
            "control",
        ),
        (json!({"models": {}}), ".models", "an object", "an array"),
        (of_model(json!(1)), ".models[1]", "a number", "an object"),
        (
            of_model(json!({})),
            ".models[1].id",
            "missing",
            "the id under which",
        ),
        (
            of_model(json!({"id": " "})),
            ".models[1].id",
            "\" \"",
            "not blank",
        ),
        (
            of_model(json!({"id": 1})),
            ".models[1].id",
            "1",
            "not blank",
        ),
        (
            of_model(json!({"id": "a", "name": ""})),
            ".models[1].name",
            "\"\"",
            "not blank",
        ),
        (
            of_model(json!({"id": "a", "api": "x"})),
            ".models[1].api",
            "\"x\"",
            "openai-completions",
        ),
        (
            of_model(json!({"id": "a", "reasoning": 1})),
            ".models[1].reasoning",
            "1",
            "true or false",
        ),
        (
            of_model(json!({"id": "a", "input": "text"})),
            ".models[1].input",
            "a string",
            "an array",
        ),
        (
            of_model(json!({"id": "a", "input": ["smell"]})),
            ".models[1].input[0]",
            "\"smell\"",
            "\"image\"",
        ),
        (
            of_model(json!({"id": "a", "cost": 1})),
            ".models[1].cost",
            "a number",
            "an object",
        ),
        (
            of_model(json!({"id": "a", "cost": {"input": -1}})),
            ".models[1].cost.input",
            "-1",
            "0 or more",
        ),
        (
            of_model(json!({"id": "a", "cost": {"cacheRead": "1"}})),
            ".models[1].cost.cacheRead",
            "\"1\"",
            "US dollars",
        ),
        (
            of_model(json!({"id": "a", "contextWindow": "big"})),
            ".models[1].contextWindow",
            "\"big\" (a string)",
            "from 1 to 4294967295",
        ),
        (
            of_model(json!({"id": "a", "contextWindow": 0})),
            ".models[1].contextWindow",
            "0",
            "from 1",
        ),
        (
            of_model(json!({"id": "a", "contextWindow": 4294967296_u64})),
            ".models[1].contextWindow",
            "4294967296",
            "to 4294967295",
        ),
        (
            of_model(json!({"id": "a", "contextTokens": null})),
            ".models[1].contextTokens",
            "null",
            "from 1",
        ),
        (
            of_model(json!({"id": "a", "maxTokens": 0.5})),
            ".models[1].maxTokens",
            "0.5",
            "from 1",
        ),
        (
            of_model(json!({"id": "a", "headers": {"a": null}})),
            ".models[1].headers.a",
            "null",
            "a string",
        ),
        (
            of_model(json!({"id": "a", "params": {"seed": "x"}})),
            ".models[1].params.seed",
            "\"x\"",
            "whole number",
        ),
        (
            of_model(json!({"id": "a", "compat": []})),
            ".models[1].compat",
            "an array",
            "an object",
        ),
        (
            of_model(json!({"id": "a", "compat": {"supportsTools": 0}})),
            ".models[1].compat.supportsTools",
            "0",
            "true or false",
        ),
        (
            of_model(json!({"id": "a", "compat": {"supportsReasoningEffort": 0}})),
            ".compat.supportsReasoningEffort",
            "0",
            "true or false",
        ),
        (
            of_model(json!({"id": "a", "compat": {"maxTokensField": "tokens"}})),
            ".compat.maxTokensField",
            "\"tokens\"",
            "\"max_tokens\"",
        ),
        (
            of_model(json!({"id": "a", "compat": {"thinkingFormat": "x"}})),
            ".compat.thinkingFormat",
            "\"x\"",
            "\"qwen-chat-template\"",
        ),
    ] {
        let error = Config::from_settings(&settings(config.clone())).unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidConfig, "{config}");
        let whole = format!("{path} ");
        assert!(
            error.message.contains(&whole),
            "{config}: no path in {}",
            error.message
        );
        assert!(
            error.message.starts_with("models.providers.vllm"),
            "{}",
            error.message
        );
        assert!(
            error.message.contains(found),
            "{config}: no {found} in {}",
            error.message
        );
        assert!(
            error.message.contains(allowed),
            "{config}: no {allowed} in {}",
            error.message
        );
    }
}

#[test]
fn text_that_is_not_json_is_told_with_its_place() {
    let mut broken = settings(json!({}));
    broken.config = Some("{\"baseUrl\": }".to_owned());
    let error = Config::from_settings(&broken).unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidConfig);
    assert!(
        error
            .message
            .starts_with("models.providers.vllm is not JSON"),
        "{}",
        error.message
    );
    assert!(error.message.contains("column 13"), "{}", error.message);

    let broken = Settings {
        models: vec![ModelSettings {
            id: "a/b".to_owned(),
            params: "[".to_owned(),
        }],
        ..Settings::default()
    };
    let error = Config::from_settings(&broken).unwrap_err();
    assert!(
        error
            .message
            .starts_with("agents.defaults.models[\"vllm/a/b\"].params is not JSON"),
        "{}",
        error.message
    );
}

#[test]
fn no_error_quotes_a_secret() {
    for config in [
        json!({"apiKey": ["sk-secret"]}),
        json!({"headers": "sk-secret"}),
        json!({"headers": {"Authorization": ["sk-secret"]}}),
        json!({"headers": {"Authorization": "sk-secret\n"}}),
        json!({"baseUrl": "http://me:sk-secret@h/v1"}),
        json!({"baseUrl": "h/v1?key=sk-secret"}),
        json!({"request": {"auth": {"mode": "authorization-bearer", "token": {"k": "sk-secret"}}}}),
        json!({"request": {"auth": {"mode": "header", "headerName": "x", "value": ["sk-secret"]}}}),
    ] {
        let error = Config::from_settings(&settings(config.clone())).unwrap_err();
        assert!(
            !error.message.contains("secret\"") && !error.message.contains("sk-"),
            "{config}: {}",
            error.message
        );
    }
    let mut key = settings(json!({}));
    key.api_key = Some("sk-secret\u{7}".to_owned());
    let error = Config::from_settings(&key).unwrap_err();
    assert!(!error.message.contains("sk-"), "{}", error.message);
}

#[test]
fn the_name_of_a_key_can_drive_no_terminal() {
    let evil = "zz\u{1b}[31m\r\n\u{9b}\u{202e}";
    let (_, notes) = read(json!({evil: 1}));
    assert!(!notes[0].message.contains(char::is_control), "{notes:?}");
    let wrong = settings(json!({"models": [{"id": "m", "api": evil}]}));
    let error = Config::from_settings(&wrong).unwrap_err();
    assert!(!error.message.contains(char::is_control), "{error:?}");
    let mut odd = settings(json!({}));
    odd.models.push(ModelSettings {
        id: evil.to_owned(),
        params: "1".to_owned(),
    });
    let error = Config::from_settings(&odd).unwrap_err();
    assert!(!error.message.contains(char::is_control), "{error:?}");
}

#[test]
fn an_unknown_key_is_a_note_with_the_nearest_known_name() {
    for (config, code, path, near) in [
        (
            json!({"baseURL": "x"}),
            "unknown-key",
            "models.providers.vllm.baseURL",
            Some("baseUrl"),
        ),
        (
            json!({"zebra": 1}),
            "unknown-key",
            "models.providers.vllm.zebra",
            None,
        ),
        (
            json!({"localService": {}}),
            "ignored-key",
            "models.providers.vllm.localService",
            None,
        ),
        (
            json!({"request": {"proxy": {}}}),
            "ignored-key",
            "models.providers.vllm.request.proxy",
            None,
        ),
        (
            json!({"models": [{"id": "a", "contextwindow": 1}]}),
            "unknown-key",
            "models.providers.vllm.models[0].contextwindow",
            Some("contextWindow"),
        ),
        (
            json!({"models": [{"id": "a", "baseUrl": "x"}]}),
            "ignored-key",
            "models.providers.vllm.models[0].baseUrl",
            None,
        ),
        (
            json!({"models": [{"id": "a", "compat": {"supportTools": true}}]}),
            "unknown-key",
            "models.providers.vllm.models[0].compat.supportTools",
            Some("supportsTools"),
        ),
        (
            json!({"models": [{"id": "a", "cost": {"cache_read": 1}}]}),
            "unknown-key",
            "models.providers.vllm.models[0].cost.cache_read",
            Some("cacheRead"),
        ),
        (
            json!({"params": {"temprature": 1}}),
            "unknown-key",
            "models.providers.vllm.params.temprature",
            Some("temperature"),
        ),
        (
            json!({"models": [{"id": "a"}, {"id": "a"}]}),
            "duplicate-model",
            "models.providers.vllm.models[1]",
            None,
        ),
        (
            json!({"models": [{"id": "a", "contextWindow": 100, "maxTokens": 101}]}),
            "max-tokens-fitted",
            "models.providers.vllm.models[0].maxTokens",
            None,
        ),
        (
            json!({"models": [{"id": "a", "compat": {"thinkingFormat": "zai"}}]}),
            "ignored-value",
            "models.providers.vllm.models[0].compat.thinkingFormat",
            None,
        ),
    ] {
        let (_, notes) = read(config.clone());
        assert_eq!(notes.len(), 1, "{config}: {notes:?}");
        assert_eq!(notes[0].code, code, "{config}");
        assert_eq!(notes[0].path.as_deref(), Some(path), "{config}");
        match near {
            Some(near) => assert!(
                notes[0].message.ends_with(&format!("did you mean {near}?")),
                "{notes:?}"
            ),
            None => assert!(!notes[0].message.contains("did you mean"), "{notes:?}"),
        }
    }
}

#[test]
fn what_openclaw_writes_itself_draws_no_note() {
    let (_, notes) = read(json!({
        "baseUrl": "http://127.0.0.1:8000/v1", "apiKey": "VLLM_API_KEY", "api": "openai-completions",
        "headers": {"X-Team": "research"}, "authHeader": false, "timeoutSeconds": 300, "auth": "api-key",
        "request": {"allowPrivateNetwork": true, "tls": {"ca": "pem"}, "headers": {}, "auth": {"mode": "provider-default"}},
        "params": {"temperature": 0.5, "cacheRetention": "short", "transport": "sse"},
        "models": [{"id": "a", "name": "A", "api": "openai-completions", "reasoning": false, "input": ["text"],
            "cost": {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0}, "contextWindow": 128000,
            "contextTokens": 100000, "maxTokens": 8192, "headers": {}, "params": {}, "metadataSource": "models-add",
            "compat": {"supportsStore": false, "supportsStrictMode": false, "supportsDeveloperRole": false}}],
    }));
    assert_eq!(notes, []);
}

#[test]
fn a_model_with_nothing_but_an_id_has_the_documented_defaults() {
    let (config, _) =
        read(json!({"models": [{"id": " a/b "}, {"id": "small", "contextWindow": 4096.9}]}));
    let model = &config.models()[0].model;
    assert_eq!((model.id.as_str(), model.name.as_str()), ("a/b", "a/b"));
    assert!(!model.reasoning);
    assert_eq!(model.input, [crate::types::Modality::Text]);
    assert_eq!(model.cost, crate::types::Cost::default());
    assert_eq!((model.context_window, model.max_tokens), (128_000, 8_192));
    let small = &config.models()[1].model;
    assert_eq!((small.context_window, small.max_tokens), (4_096, 4_096));
}

#[test]
fn time_is_read_in_seconds() {
    for (seconds, ms) in [
        (json!(300), 300_000),
        (json!(0.5), 500),
        (json!(1e3), 1_000_000),
    ] {
        let (config, _) = read(json!({"timeoutSeconds": seconds}));
        assert_eq!(config.timeout_ms(), Some(ms));
    }
    assert_eq!(read(json!({})).0.timeout_ms(), None);
}

#[test]
fn the_credential_is_the_one_that_the_configuration_means() {
    const BEARER: &str = "Bearer k";
    let here = "http://127.0.0.1:8000/v1";
    let there = "https://llm.example/v1";
    for (config, key, authorization) in [
        (json!({"baseUrl": here}), Some("k"), Ok(Some(BEARER))),
        (json!({"baseUrl": here}), Some(" k\r\n"), Ok(Some(BEARER))),
        (json!({"baseUrl": here}), Some(" \n"), Ok(None)),
        (json!({"baseUrl": here}), None, Ok(None)),
        (json!({"baseUrl": there}), Some("k"), Ok(Some(BEARER))),
        (json!({"baseUrl": there}), None, Err(())),
        (json!({"baseUrl": there, "auth": "none"}), None, Ok(None)),
        (
            json!({"baseUrl": there, "auth": "none"}),
            Some("k"),
            Ok(None),
        ),
        (
            json!({"baseUrl": there, "auth": "none", "authHeader": true}),
            Some("k"),
            Ok(None),
        ),
        (
            json!({"baseUrl": there, "headers": {"authorization": "Basic x"}}),
            Some("k"),
            Ok(Some("Basic x")),
        ),
        (
            json!({"baseUrl": there, "headers": {"AUTHORIZATION": "Basic x"}}),
            None,
            Ok(Some("Basic x")),
        ),
        (
            json!({"baseUrl": there, "headers": {"Authorization": "Basic x"}, "authHeader": true}),
            Some("k"),
            Ok(Some(BEARER)),
        ),
        (
            json!({"baseUrl": there, "headers": {"Authorization": "Basic x"}, "authHeader": true}),
            None,
            Ok(Some("Basic x")),
        ),
        (
            json!({"baseUrl": there, "request": {"auth": {"mode": "authorization-bearer", "token": "t"}}}),
            Some("k"),
            Ok(Some("Bearer t")),
        ),
        (
            json!({"baseUrl": there, "request": {"auth": {"mode": "provider-default"}}}),
            Some("k"),
            Ok(Some(BEARER)),
        ),
        (
            json!({"baseUrl": there, "request": {"auth": {"mode": "header", "headerName": "X-Key", "value": "v"}}}),
            Some("k"),
            Ok(None),
        ),
        (
            json!({"baseUrl": there, "request": {"auth": {"mode": "header", "headerName": "Authorization", "value": "v", "prefix": "Token "}}}),
            None,
            Ok(Some("Token v")),
        ),
    ] {
        let mut settings = settings(config.clone());
        settings.api_key = key.map(str::to_owned);
        match (headers_of(&settings), authorization) {
            (Ok(headers), Ok(expected)) => {
                let found = header(&headers, "authorization");
                assert_eq!(found, Vec::from_iter(expected), "{config} {key:?}");
            }
            (Err(error), Err(())) => {
                assert_eq!(error.kind, ErrorKind::Authentication);
                assert!(!error.request_sent && !error.retryable);
                for word in ["https://llm.example", "VLLM_API_KEY", "\"none\""] {
                    assert!(error.message.contains(word), "{}", error.message);
                }
            }
            (found, expected) => panic!("{config} {key:?}: {found:?}, not {expected:?}"),
        }
    }
}

#[test]
fn of_configured_headers_the_nearer_to_the_request_wins() {
    let headers = headers_of(&settings(json!({
        "headers": {"X-Provider": "p", "X-Model": "p", "X-Request": "p"},
        "request": {"headers": {"x-request": "r", "User-Agent": "mine"}},
        "models": [{"id": "m", "headers": {"x-model": "m", "X-REQUEST": "m"}}],
    })))
    .unwrap();
    let expected = [
        ("accept", "*/*"),
        ("user-agent", "mine"),
        ("x-model", "m"),
        ("x-provider", "p"),
        ("x-request", "r"),
    ];
    assert_eq!(headers, expected.map(|(n, v)| (n.to_owned(), v.to_owned())));
}

/// Every text of the table of known keys is in the manifest's schema, and the
/// other way round.
#[test]
fn the_schema_of_the_manifest_names_the_keys_that_are_read() {
    let manifest: Value = serde_json::from_str(crate::manifest::MANIFEST_JSON).unwrap();
    let schema = &manifest["config_schema"];
    for (keys, properties) in [
        (&keys::PROVIDER, &schema["properties"]),
        (
            &keys::REQUEST,
            &schema["properties"]["request"]["properties"],
        ),
        (
            &keys::REQUEST_AUTH,
            &schema["properties"]["request"]["properties"]["auth"]["properties"],
        ),
        (&keys::MODEL, &schema["$defs"]["model"]["properties"]),
        (
            &keys::COST,
            &schema["$defs"]["model"]["properties"]["cost"]["properties"],
        ),
        (
            &keys::COMPAT,
            &schema["$defs"]["model"]["properties"]["compat"]["properties"],
        ),
    ] {
        let mut known = keys.known.to_vec();
        known.sort_unstable();
        let mut named: Vec<&str> = properties
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        named.sort_unstable();
        assert_eq!(known, named);
    }
    let params = schema["$defs"]["params"]["properties"].as_object().unwrap();
    for name in params.keys() {
        let (_, notes) = read(json!({"params": {name.as_str(): sample(name)}}));
        assert_eq!(notes, [], "{name}");
    }
    assert_eq!(params.len(), keys::PARAMS.len());
}

fn sample(param: &str) -> Value {
    match param {
        "stop" => json!("x"),
        "parallel_tool_calls" => json!(true),
        "thinking" => json!("low"),
        "qwen_thinking_format" => json!("top-level"),
        "chat_template_kwargs" | "extra_body" | "thinking_budgets" => json!({}),
        _ => json!(1),
    }
}
