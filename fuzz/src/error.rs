//! Errors from whatever an answer that is none says.

use crate::input::Input;
use crate::shown::{self, SECRET};
use vllm_provider::error::{Context, from_response, from_transport};
use vllm_provider::types::{ErrorKind, TransportFailure, TransportFailureKind};

/// `[choices: 1][status: 2][headers, NUL][body]`: one typed error, which can be shown, and keeps to its status.
pub(crate) fn error(data: &[u8]) {
    let mut input = Input::new(data);
    let choices = input.byte();
    let status = match input.u16() % 700 {
        status @ 100..600 => status,
        odd => odd + 400,
    };
    let headers = input.headers();
    let body = input.rest();
    let context = Context {
        method: "POST",
        url: format!("https://u:{SECRET}@gpu.example.org/v1/chat/completions?key={SECRET}#f"),
        model: (choices & 1 != 0).then(|| "tiny".into()),
        base_has_v1: choices & 2 != 0,
        has_key: choices & 4 != 0,
    };

    let error = from_response(&context, status, &headers, body);
    shown::check(&error, data);
    assert_eq!(error.status, Some(status));
    assert!(error.request_sent);
    // What does not fit is told by its words, whatever the status.
    let prompt_too_long = error.kind == ErrorKind::ContextOverflow;
    let answer_too_long = error.kind == ErrorKind::InvalidRequest && error.retryable;
    match status {
        300..=399 => assert_eq!(error.kind, ErrorKind::InvalidConfig),
        _ if prompt_too_long || answer_too_long => {}
        401 => assert_eq!(error.kind, ErrorKind::Authentication),
        403 => assert_eq!(error.kind, ErrorKind::Permission),
        425 | 429 => assert_eq!(error.kind, ErrorKind::RateLimited),
        500.. => assert!(error.retryable || says_not_to_retry(&headers)),
        _ => {}
    }
    if error.kind == ErrorKind::ContextOverflow {
        assert!(!error.retryable, "the same prompt will be as long again");
    }

    let kind = match choices >> 3 & 7 {
        0 => TransportFailureKind::Unreachable,
        1 => TransportFailureKind::Tls,
        2 => TransportFailureKind::ConnectTimeout,
        3 => TransportFailureKind::ReadTimeout,
        4 => TransportFailureKind::Closed,
        5 => TransportFailureKind::Protocol,
        _ => TransportFailureKind::Denied,
    };
    let message = String::from_utf8_lossy(body).into_owned();
    let error = from_transport(&context, &TransportFailure { kind, message });
    shown::check(&error, data);
    assert_eq!(error.status, None);
    if kind == TransportFailureKind::Denied {
        assert!(!error.retryable && !error.request_sent);
    }
}

/// Whether the server says by a header that the request will fail again.
fn says_not_to_retry(headers: &[(String, Vec<u8>)]) -> bool {
    let found = headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("x-should-retry"));
    let value = found.and_then(|(_, value)| std::str::from_utf8(value).ok());
    value.is_some_and(|value| value.trim() == "false")
}
