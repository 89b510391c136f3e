#![allow(clippy::unwrap_used)]
use super::*;
use crate::types::{ErrorKind, TransportFailure, TransportFailureKind};

fn settings(base: &str) -> Settings {
    Settings {
        config: Some(alloc::format!("{{\"baseUrl\":\"{base}\"}}")),
        api_key: Some("key".into()),
        ..Settings::default()
    }
}

fn answer(status: u16, body: &str) -> Result<ServerHealth, Error> {
    let asking = prepare(&settings("http://h/v1?k=secret")).unwrap();
    from_answer(&asking, status, &[], body.as_bytes())
}

/// The beginnings of the notes on a version.
fn known(version: &str) -> Vec<String> {
    let body = alloc::format!("{{\"version\":\"{version}\"}}");
    let health = answer(200, &body).unwrap();
    assert_eq!(health.version.as_deref(), Some(version));
    let notes = health.notes.into_iter();
    notes
        .map(|note| {
            assert_eq!((note.code.as_str(), note.path), (KNOWN_LIMIT, None));
            let words: Vec<&str> = note.message.split(' ').take(3).collect();
            words.join(" ")
        })
        .collect()
}

#[test]
fn the_version_is_asked_for_beside_the_api_with_the_headers_of_a_chat() {
    for (base, url) in [
        ("http://h/v1", "http://h/version"),
        ("http://h/vllm/v1/", "http://h/vllm/version"),
        ("http://h/api", "http://h/api/version"),
        ("http://h/v1?k=v", "http://h/version?k=v"),
        ("http://h", "http://h/version"),
    ] {
        let asking = prepare(&settings(base)).unwrap();
        assert_eq!(asking.http.url, url);
        assert_eq!(asking.http.method, "GET");
        assert!(asking.http.body.is_empty());
        let has = |name: &str, value: &str| {
            let headers = asking.http.headers.iter();
            headers.into_iter().any(|(n, v)| n == name && v == value)
        };
        assert!(has("accept", "application/json"));
        assert!(has("authorization", "Bearer key"));
    }
}

#[test]
fn each_version_has_the_limits_that_are_known_of_it() {
    let queue = "vLLM before 0.32";
    let window = "vLLM before 0.31";
    let budget = "vLLM before 0.19";
    let levels = "vLLM 0.10 to";
    let raw_calls = "vLLM 0.11 to";
    let two_fields = "vLLM 0.11.2 to";
    let effort = "vLLM before 0.10";
    let fourteen = &[levels, window, raw_calls, two_fields, budget, queue][..];
    let eleven = &[levels, window, raw_calls, budget, queue][..];
    for (version, notes) in [
        ("0.32.0", &[][..]),
        ("0.32.1.dev5+g0123abc", &[]),
        ("0.33.0", &[]),
        ("1.0.0", &[]),
        ("0.31.0", &[queue]),
        ("0.27.1", &[window, queue]),
        ("0.19.1", &[window, queue]),
        ("0.16.0", &[window, budget, queue]),
        ("0.14.1", fourteen),
        ("v0.14.1", fourteen),
        ("0.11.2", fourteen),
        ("0.11.1", eleven),
        ("0.11.0", eleven),
        ("0.11", eleven),
        ("0.10.2", &[levels, window, budget, queue]),
        ("0.9.2", &[effort, window, budget, queue]),
        ("0.1.dev10000+gabc", &[]),
        ("main", &[]),
        ("", &[]),
        ("0", &[]),
        ("0.999.0", &[]),
        ("-1.2", &[]),
    ] {
        assert_eq!(known(version), notes, "{version}");
    }
}

#[test]
fn every_note_is_one_sentence_that_says_what_to_do_or_that_nothing_is() {
    for limit in LIMITS {
        assert!(limit.from < limit.below);
        assert!(!limit.what.contains("  ") && !limit.what.ends_with('.'));
        let advice = [": ", "; "].iter().any(|sign| limit.what.contains(sign));
        assert!(advice, "{}", limit.what);
    }
}

#[test]
fn a_server_that_tells_no_version_is_none_the_worse() {
    for (status, body) in [
        (404, r#"{"detail":"Not Found"}"#),
        (404, ""),
        (200, "{}"),
        (200, r#"{"version":null}"#),
        (200, r#"{"version":7}"#),
    ] {
        let health = answer(status, body).unwrap();
        assert_eq!((health.version, health.notes.len()), (None, 0), "{body}");
    }
}

#[test]
fn every_other_answer_is_the_error_that_a_discovery_ends_in() {
    for (status, body, kind, words) in [
        (
            401,
            r#"{"error":"Unauthorized"}"#,
            ErrorKind::Authentication,
            "VLLM_API_KEY",
        ),
        (403, "", ErrorKind::Permission, "not allow"),
        (503, "", ErrorKind::Overloaded, "no room"),
        (500, "", ErrorKind::Server, "its log"),
        (
            200,
            "<title>Sign in</title>",
            ErrorKind::Protocol,
            "\"Sign in\"",
        ),
        (200, "hello", ErrorKind::Protocol, "no JSON object"),
        (200, "[]", ErrorKind::Protocol, "no JSON object"),
        (200, "", ErrorKind::Protocol, "no JSON object"),
    ] {
        let error = answer(status, body).unwrap_err();
        assert_eq!(error.kind, kind, "{status} {body}");
        assert_eq!(error.status, Some(status));
        assert!(error.message.starts_with("GET http://h/version: "));
        assert!(error.message.contains(words), "{}", error.message);
        assert!(!error.message.contains("secret"));
    }
    let asking = prepare(&settings("http://h/v1")).unwrap();
    let refused = TransportFailure {
        kind: TransportFailureKind::Unreachable,
        message: "connection refused".into(),
    };
    let error = asking.failed(&refused);
    assert_eq!(error.kind, ErrorKind::Unreachable);
    assert!(
        error
            .message
            .contains("GET http://h/version: connection refused")
    );
}

#[test]
fn a_remote_server_is_not_asked_without_a_key() {
    let mut settings = settings("http://models.example/v1");
    settings.api_key = None;
    let error = prepare(&settings).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Authentication);
    assert!(!error.request_sent);
}
