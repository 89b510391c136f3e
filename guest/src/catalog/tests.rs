#![allow(clippy::unwrap_used)]
use super::*;
use crate::config::DEFAULT_CONTEXT_WINDOW;
use crate::types::ErrorKind;
use crate::types::{Modality, ModelSource, TransportFailureKind};
use serde_json::{Value, json};

fn settings(config: Option<Value>, key: Option<&str>, discover: bool) -> Settings {
    Settings {
        config: config.map(|config| config.to_string()),
        api_key: key.map(str::to_owned),
        discover,
        models: Vec::new(),
    }
}

fn answer(settings: &Settings, body: &str) -> Result<Catalog, Error> {
    from_answer(settings, 200, &[], body.as_bytes())
}

fn with_key() -> Settings {
    settings(None, Some("k"), false)
}

fn rows(rows: Value) -> Catalog {
    answer(
        &with_key(),
        &json!({"object": "list", "data": rows}).to_string(),
    )
    .unwrap()
}

#[test]
fn the_settings_alone_settle_whether_the_server_is_asked() {
    use CatalogSource::{Declared, Disabled};
    let here = "http://127.0.0.1:8000/v1/models";
    let there = "http://127.0.0.1:9/v1/models";
    let base = "http://127.0.0.1:9/v1/";
    let one = json!([{"id": "a"}]);
    for (config, key, discover, expected) in [
        (None, None, false, Err((Disabled, 0))),
        (None, None, true, Err((Disabled, 0))),
        (None, Some(" \n"), false, Err((Disabled, 0))),
        (None, Some("k"), false, Ok(here)),
        (None, Some("k"), true, Ok(here)),
        (
            Some(json!({"models": one})),
            None,
            false,
            Err((Declared, 1)),
        ),
        (
            Some(json!({"models": one})),
            Some("k"),
            false,
            Err((Declared, 1)),
        ),
        (Some(json!({})), Some("k"), false, Err((Declared, 0))),
        (Some(json!({})), None, false, Err((Declared, 0))),
        (
            Some(json!({"models": []})),
            Some("k"),
            false,
            Err((Declared, 0)),
        ),
        (Some(json!({})), None, true, Ok(here)),
        (Some(json!({"baseUrl": base})), Some("k"), true, Ok(there)),
        (
            Some(json!({"baseUrl": base, "models": []})),
            Some("k"),
            true,
            Ok(there),
        ),
        (
            Some(json!({"baseUrl": base, "models": one})),
            None,
            true,
            Ok(there),
        ),
    ] {
        let case = format!("{config:?} {key:?} {discover}");
        match (plan(&settings(config, key, discover)).unwrap(), expected) {
            (Plan::Discover(request), Ok(url)) => {
                assert_eq!(request.url, url, "{case}");
                assert_eq!(request.method, "GET");
                assert!(request.body.is_empty());
            }
            (Plan::Ready(catalog), Err((source, models))) => {
                assert_eq!(catalog.source, source, "{case}");
                assert_eq!(catalog.models.len(), models, "{case}");
                let why = catalog.notes.iter().map(|note| note.code.as_str());
                let expected = match (source, models) {
                    (Disabled, _) => Some("provider-disabled"),
                    (_, 0) => Some("no-models-declared"),
                    _ => None,
                };
                assert_eq!(why.collect::<Vec<_>>(), Vec::from_iter(expected), "{case}");
            }
            (plan, _) => panic!("{case}: {plan:?}"),
        }
    }
}

#[test]
fn the_request_carries_key_and_configured_headers_and_no_more() {
    let config = json!({
        "baseUrl": "https://h/api/?v=2", "headers": {"X-Team": "research"},
        "request": {"headers": {"X-Request": "r"}},
        "models": [{"id": "a", "headers": {"X-Model": "only with that model"}}],
    });
    let Plan::Discover(request) = plan(&settings(Some(config), Some("k"), true)).unwrap() else {
        panic!("nothing is asked");
    };
    assert_eq!(request.url, "https://h/api/models?v=2");
    let expected = [
        ("accept", "application/json"),
        ("user-agent", crate::config::USER_AGENT),
        ("x-team", "research"),
        ("x-request", "r"),
        ("authorization", "Bearer k"),
    ];
    assert_eq!(
        request.headers,
        expected.map(|(n, v)| (n.to_owned(), v.to_owned()))
    );
}

#[test]
fn a_server_elsewhere_is_not_asked_without_a_key() {
    let config = Some(json!({"baseUrl": "https://h/v1"}));
    let error = plan(&settings(config, None, true)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Authentication);
    assert!(!error.request_sent);
}

#[test]
fn the_size_of_the_context_is_the_first_positive_number() {
    for (row, window) in [
        (json!({"max_model_len": 40960}), 40_960),
        (json!({"max_model_len": null}), 128_000),
        (json!({}), 128_000),
        (json!({"max_model_len": "4096"}), 4_096),
        (json!({"max_model_len": true}), 128_000),
        (json!({"max_model_len": [4096]}), 128_000),
        (json!({"max_model_len": 0}), 128_000),
        (json!({"max_model_len": -5}), 128_000),
        (json!({"max_model_len": 0.5}), 128_000),
        (json!({"max_model_len": 4096.9}), 4_096),
        (json!({"max_model_len": 1e30}), u32::MAX),
        (json!({"max_model_len": u64::MAX}), u32::MAX),
        (
            json!({"context_size": 1, "context_window": 2, "context_length": 3}),
            3,
        ),
        (json!({"context_size": 1, "context_window": 2}), 2),
        (json!({"context_size": 1}), 1),
        (json!({"max_model_len": 0, "context_size": 7}), 7),
        (json!({"max_model_len": 5, "context_length": 9}), 5),
    ] {
        let mut whole = row.clone();
        whole["id"] = json!("a");
        let model = &rows(json!([whole])).models[0];
        assert_eq!(model.context_window, window, "{row}");
        assert_eq!(model.max_tokens, window.min(8_192), "{row}");
    }
    // A number beyond every float is no number, and costs nobody the list.
    let catalog = answer(
        &with_key(),
        r#"{"data":[{"id":"a","max_model_len":1e999}]}"#,
    )
    .unwrap();
    assert_eq!(catalog.models[0].context_window, 128_000);
}

#[test]
fn an_adapter_inherits_the_context_of_its_direct_parent_only() {
    let catalog = rows(json!([
        {"id": "child", "parent": " base ", "max_model_len": null},
        {"id": "grandchild", "parent": "child"},
        {"id": "own", "parent": "base", "context_length": 10},
        {"id": "orphan", "parent": "nowhere"},
        {"id": "self", "parent": "self"},
        {"id": "odd", "parent": 5},
        {"id": "base", "max_model_len": 100},
    ]));
    let found: Vec<(&str, u32, Option<&str>)> = catalog
        .models
        .iter()
        .map(|m| (m.id.as_str(), m.context_window, m.parent.as_deref()))
        .collect();
    assert_eq!(
        found,
        [
            ("child", 100, Some("base")),
            ("grandchild", 128_000, Some("child")),
            ("own", 10, Some("base")),
            ("orphan", 128_000, Some("nowhere")),
            ("self", 128_000, Some("self")),
            ("odd", 128_000, None),
            ("base", 100, None),
        ]
    );
}

#[test]
fn a_bad_row_costs_itself_and_the_first_of_equal_ids_stands() {
    let body = r#"{"data":[null, 1, " ", [], {}, {"id":null}, {"id":5}, {"id":"  "}, {"id":"\ud800"},
        {"id":" b ","max_model_len":1}, {"id":"a"}, {"id":"b","max_model_len":2}]}"#;
    let catalog = answer(&with_key(), body).unwrap();
    let found: Vec<(&str, u32)> = catalog
        .models
        .iter()
        .map(|m| (m.id.as_str(), m.context_window))
        .collect();
    assert_eq!(found, [("b", 1), ("a", 128_000)]);
    assert_eq!(catalog.notes.len(), 1);
    assert_eq!(catalog.notes[0].code, "rows-skipped");
    assert!(
        catalog.notes[0].message.starts_with("9 of the rows"),
        "{:?}",
        catalog.notes
    );
}

#[test]
fn a_row_is_mapped_as_documented() {
    let catalog = rows(json!([
        {"id": "Qwen/Qwen3-8B", "object": "model", "created": 1, "owned_by": "vllm",
         "root": "Qwen/Qwen3-8B", "parent": null, "max_model_len": 40960, "permission": []},
        {"id": "chat", "root": "/models/Qwen2.5-VL-7B-Instruct", "max_model_len": 4096},
    ]));
    assert_eq!(catalog.source, CatalogSource::Discovered);
    assert_eq!(
        catalog.models[0],
        Model {
            id: "Qwen/Qwen3-8B".to_owned(),
            name: "Qwen/Qwen3-8B".to_owned(),
            reasoning: true,
            input: vec![Modality::Text],
            cost: crate::types::Cost::default(),
            context_window: 40_960,
            max_tokens: 8_192,
            parent: None,
            source: ModelSource::Discovered,
        }
    );
    // The alias hides the family; what it was loaded from does not.
    assert_eq!(catalog.models[1].input, [Modality::Text, Modality::Image]);
}

#[test]
fn declared_models_override_discovered_ones_by_id() {
    let config = json!({"models": [{"id": "b", "contextWindow": 7}, {"id": "z"}]});
    let settings = settings(Some(config), Some("k"), true);
    let catalog = answer(&settings, r#"{"data":[{"id":"a"},{"id":"b"},{"id":"c"}]}"#).unwrap();
    assert_eq!(catalog.source, CatalogSource::Merged);
    let found: Vec<(&str, ModelSource)> = catalog
        .models
        .iter()
        .map(|m| (m.id.as_str(), m.source))
        .collect();
    use ModelSource::{Declared, Discovered};
    assert_eq!(
        found,
        [
            ("a", Discovered),
            ("b", Declared),
            ("c", Discovered),
            ("z", Declared)
        ]
    );
    assert_eq!(catalog.models[1].context_window, 7);
}

#[test]
fn a_list_is_read_in_the_shapes_of_other_servers() {
    for body in [
        r#"{"models":["a","b"]}"#,
        r#"["a","b"]"#,
        r#"[{"id":"a"},{"id":"b"}]"#,
        r#"{"object":"list","data":["a",{"id":"b"}]}"#,
        r#"{"models":[{"name":"a","model":"a"},{"name":"b"}]}"#,
        r#"{"data":{"models":[{"id":"a"},{"id":"b"}]}}"#,
        r#"{"ok":true,"tags":["x"],"result":[{"id":"a"},{"id":"b"}]}"#,
        r#"{"error":null,"errors":[],"data":[{"id":"a"},{"id":"b"}]}"#,
        r#"{"models":null,"data":[{"id":"a"},{"id":"b"}]}"#,
    ] {
        let catalog = answer(&with_key(), body).unwrap();
        let ids: Vec<&str> = catalog.models.iter().map(|m| m.id.as_str()).collect();
        assert_eq!(ids, ["a", "b"], "{body}");
    }
    let body = r#"{"data":[{"id":"a","max_model_len":" 4096 "},{"id":"b","context_length":"x"}]}"#;
    let catalog = answer(&with_key(), body).unwrap();
    let windows: Vec<u32> = catalog.models.iter().map(|m| m.context_window).collect();
    assert_eq!(windows, [4096, DEFAULT_CONTEXT_WINDOW]);
}

#[test]
fn an_error_with_the_status_of_a_success_is_that_error() {
    for (body, kind, words) in [
        (
            r#"{"error":"Unexpected endpoint or method. (GET /models)"}"#,
            ErrorKind::InvalidConfig,
            "200, but with an error: Unexpected endpoint or method. (GET /models)",
        ),
        (
            r#"{"error":{"message":"who are you?","code":401},"data":[]}"#,
            ErrorKind::Authentication,
            "who are you?",
        ),
        (
            r#"{"success":false,"reason":"closed"}"#,
            ErrorKind::Server,
            "closed",
        ),
        (
            r#"{"status":"error","msg":"loading"}"#,
            ErrorKind::Server,
            "loading",
        ),
        (
            r#"{"detail":"Not Found"}"#,
            ErrorKind::InvalidConfig,
            "Not Found",
        ),
    ] {
        let error = answer(&with_key(), body).unwrap_err();
        assert_eq!(error.kind, kind, "{body}");
        assert_eq!(error.status, Some(200));
        assert!(error.message.contains(words), "{body}: {}", error.message);
    }
}

#[test]
fn a_base_url_that_ends_in_an_endpoint_is_named_with_the_right_one() {
    let mut settings = with_key();
    settings.config = Some(r#"{"baseUrl":"http://h:1/v1/chat/completions"}"#.to_owned());
    settings.discover = true;
    let right = "write http://h:1/v1";
    let (_, notes) = Config::from_settings(&settings).unwrap();
    let note = notes
        .iter()
        .find(|note| note.code == "base-url-endpoint")
        .unwrap();
    assert!(note.message.ends_with(right), "{}", note.message);
    for (status, body) in [
        (404, r#"{"detail":"Not Found"}"#),
        (405, r#"{"detail":"Method Not Allowed"}"#),
        (200, r#"{"what":1}"#),
    ] {
        let error = from_answer(&settings, status, &[], body.as_bytes()).unwrap_err();
        assert!(error.message.contains(right), "{}", error.message);
    }
}

#[test]
fn an_answer_that_is_no_list_is_a_protocol_error_and_an_empty_one_is_not() {
    for (body, what) in [
        ("", "not JSON"),
        ("<html>", "not JSON"),
        ("{\"data\":[", "not JSON"),
        ("{}", "no list of models: \"{}\""),
        ("{\"data\":null}", "no list of models"),
        ("{\"data\":{}}", "no list of models"),
        ("{\"data\":{\"a\":{\"b\":[]}}}", "no list of models"),
        ("{\"hosts\":[\"a\"]}", "no list of models"),
        ("null", "no list of models"),
    ] {
        let error = answer(&with_key(), body).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Protocol, "{body}");
        assert_eq!(error.status, Some(200));
        assert!(error.request_sent);
        assert!(error.message.contains(what), "{body}: {}", error.message);
        assert!(error.message.contains("http://127.0.0.1:8000/v1/models"));
    }
    let html = [("Content-Type".to_owned(), b"text/html".to_vec())];
    let error = from_answer(&with_key(), 200, &html, b"<html>").unwrap_err();
    assert!(error.message.contains("(text/html)"), "{}", error.message);
    let page = b"<!doctype html><html><head><title>Sign in</title></head>";
    let error = from_answer(&with_key(), 200, &html, page).unwrap_err();
    assert!(
        error
            .message
            .contains("a web page (text/html) instead of an answer: \"Sign in\"")
    );

    let catalog = rows(json!([]));
    assert!(catalog.models.is_empty());
    assert_eq!(catalog.notes[0].code, "no-models-served");
    assert!(answer(&with_key(), "\u{feff}{\"data\":[]}").is_ok());
    let bytes = from_answer(&with_key(), 200, &[], b"{\"data\":[{\"id\":\"\xff\"}]}").unwrap();
    assert_eq!(bytes.models[0].id, "\u{fffd}");
}

#[test]
fn an_answer_beyond_the_limit_is_refused() {
    let mut body = b"{\"data\":[]}".to_vec();
    body.resize(DISCOVERY_BODY_LIMIT, b' ');
    assert!(from_answer(&with_key(), 200, &[], &body).is_ok());
    body.push(b' ');
    let error = from_answer(&with_key(), 200, &[], &body).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Protocol);
}

#[test]
fn a_list_without_end_is_refused_and_an_id_that_is_none_is_skipped() {
    let list = |count: usize| {
        let rows: Vec<String> = (0..count)
            .map(|at| format!("{{\"id\":\"{at}\"}}"))
            .collect();
        format!("{{\"data\":[{}]}}", rows.join(","))
    };
    let most = answer(&with_key(), &list(16_384)).expect("within the limit");
    assert_eq!(most.models.len(), 16_384);
    let error = answer(&with_key(), &list(16_385)).expect_err("one too many");
    assert!(
        error.message.contains("more than 16,384 models"),
        "{}",
        error.message
    );

    let long = |length: usize| json!({ "id": "x".repeat(length) });
    let catalog = rows(json!([long(1024), long(1025)]));
    assert_eq!(catalog.models.len(), 1);
    assert_eq!(catalog.notes[0].code, "rows-skipped");
}

#[test]
fn a_status_other_than_success_is_an_error_also_a_redirect() {
    for status in [301, 401, 403, 404, 500, 503] {
        let error = from_answer(&with_key(), status, &[], b"{\"data\":[]}").unwrap_err();
        assert_eq!(error.status, Some(status));
    }
}

#[test]
fn the_hint_on_an_unknown_model_says_which_of_the_causes_it_is() {
    let off = settings(None, None, false);
    let key = with_key();
    let empty = settings(Some(json!({})), None, false);
    let some = settings(
        Some(json!({"models": [{"id": "a"}, {"id": "qwen3-8b"}]})),
        None,
        false,
    );
    let ready = |settings: &Settings| match plan(settings).unwrap() {
        Plan::Ready(catalog) => Ok(catalog),
        Plan::Discover(_) => panic!("asks"),
    };
    let refused = TransportFailure {
        kind: TransportFailureKind::Unreachable,
        message: "connection refused".to_owned(),
    };
    for (settings, catalog, kind, words) in [
        (
            &off,
            ready(&off),
            ErrorKind::ModelNotFound,
            &["no API key is set", "VLLM_API_KEY", "127.0.0.1:8000"][..],
        ),
        (
            &key,
            from_answer(&key, 401, &[], b""),
            ErrorKind::Authentication,
            &["401"],
        ),
        (
            &key,
            Err(discovery_failed(&key, &refused)),
            ErrorKind::Unreachable,
            &["127.0.0.1:8000/v1/models", "connection refused"],
        ),
        (
            &key,
            answer(&key, r#"{"data":[{"id":"other"},{"id":"Qwen/Qwen3-8B"}]}"#),
            ErrorKind::ModelNotFound,
            &[
                "answered at http://127.0.0.1:8000/v1/models",
                "only Qwen/Qwen3-8B, other",
            ],
        ),
        (
            &key,
            answer(&key, r#"{"data":[]}"#),
            ErrorKind::ModelNotFound,
            &["serves no model"],
        ),
        (
            &some,
            ready(&some),
            ErrorKind::ModelNotFound,
            &["declares only qwen3-8b, a", "vllm/*"],
        ),
        (
            &empty,
            ready(&empty),
            ErrorKind::ModelNotFound,
            &["declares no models", "vllm/*"],
        ),
    ] {
        let error = find(settings, catalog, " Qwen3-8b-AWQ ").unwrap_err();
        assert_eq!(error.kind, kind, "{}", error.message);
        // A list that could not be read does not say that the model is unknown.
        let begins = match error.kind {
            ErrorKind::ModelNotFound => "unknown model vllm/Qwen3-8b-AWQ: ",
            _ => "cannot look up vllm/Qwen3-8b-AWQ: ",
        };
        assert!(error.message.starts_with(begins), "{}", error.message);
        for word in words {
            assert!(
                error.message.contains(word),
                "no {word} in: {}",
                error.message
            );
        }
        // Setting a key helps nobody whose key is set, unless it is refused.
        let advised = error.message.contains("VLLM_API_KEY");
        let none = settings.api_key.is_none() && settings.config.is_none();
        assert_eq!(advised, none || kind == ErrorKind::Authentication);
    }
}

#[test]
fn a_long_list_of_ids_is_cut_and_the_nearest_is_on_it() {
    let ids: Vec<Value> = (0..50)
        .map(|n| json!({"id": format!("model-{n}")}))
        .collect();
    let catalog = rows(json!(ids));
    let error = find(&with_key(), Ok(catalog), "model-42b").unwrap_err();
    assert!(
        error.message.contains("only model-42, "),
        "{}",
        error.message
    );
    assert!(error.message.ends_with(" and 42 more"), "{}", error.message);
}

#[test]
fn ids_are_listed_as_other_words_of_the_server_are() {
    let catalog = rows(json!([{"id": "evil\u{1b}[2J\nid"}, {"id": "x".repeat(100_000)}]));
    let error = find(&with_key(), Ok(catalog), "m").unwrap_err();
    assert!(!error.message.contains(char::is_control), "{error:?}");
    assert!(error.message.contains("evil\u{fffd}[2J id"), "{error:?}");
    assert!(error.message.len() < 1_000, "{}", error.message.len());
}

#[test]
fn ids_are_bounded_and_harmless_in_messages_whoever_chose_them() {
    let evil = "zz\u{1b}[31m\u{9b}";
    let long = "x".repeat(100_000);
    let served = rows(json!([{"id": evil}, {"id": long}]));
    let unreachable = discovery_failed(
        &with_key(),
        &TransportFailure {
            kind: TransportFailureKind::Unreachable,
            message: "no".to_owned(),
        },
    );
    for (asked, catalog) in [
        ("zz", Ok(served.clone())),
        (evil, Ok(rows(json!([])))),
        (&long[1..], Ok(served)),
        (evil, Err(unreachable)),
    ] {
        let message = find(&with_key(), catalog, asked).unwrap_err().message;
        assert!(!message.contains(char::is_control), "{message:?}");
        assert!(message.len() < 8 << 10, "{} bytes", message.len());
    }
}

#[test]
fn a_model_that_is_there_is_found() {
    let catalog = rows(json!([{"id": "Qwen/Qwen3-8B"}]));
    assert_eq!(
        find(&with_key(), Ok(catalog), "Qwen/Qwen3-8B").unwrap().id,
        "Qwen/Qwen3-8B"
    );
    let some = settings(Some(json!({"models": [{"id": "a"}]})), None, false);
    assert_eq!(declared(&some, " a ").unwrap().unwrap().id, "a");
    assert_eq!(declared(&some, "b").unwrap(), None);
}

#[test]
fn an_id_that_repeats_the_providers_name_is_found_unless_another_has_the_very_id() {
    let one = json!({"models": [{"id": "vllm/a", "maxTokens": 7}]});
    let both = json!({"models": [{"id": "vllm/a"}, {"id": "a"}]});
    let alone = settings(Some(one.clone()), None, false);
    assert_eq!(declared(&alone, "a").unwrap().unwrap().id, "vllm/a");
    assert_eq!(declared(&alone, "vllm/a").unwrap().unwrap().id, "vllm/a");
    let both = settings(Some(both), None, false);
    assert_eq!(declared(&both, "a").unwrap().unwrap().id, "a");
    // A list that may have the very id is asked first.
    let discovering = settings(Some(one), Some("k"), true);
    assert_eq!(declared(&discovering, "a").unwrap(), None);
    for (listed, expected) in [(r#"{"data":["a"]}"#, "a"), (r#"{"data":["b"]}"#, "vllm/a")] {
        let catalog = answer(&discovering, listed);
        assert_eq!(find(&discovering, catalog, "a").unwrap().id, expected);
    }
}
