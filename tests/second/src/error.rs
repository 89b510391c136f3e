//! Whatever went wrong with an exchange → one typed error.
//!
//! A caller acts on `kind`, `retryable` and `request_sent`, and shows `message`: what was tried, what came back, what to do.
//! The server's words are untrusted: no more than a few of them are quoted, and none that could drive a terminal.

use serde::Deserialize;
use wasip2::http::types::ErrorCode;

use crate::bindings::llm::provider::types::{Error, ErrorKind};

/// Most characters of the server's words in a message; the contract allows 4 KiB.
const QUOTED: usize = 500;

/// The head of an answer.
pub(crate) struct Head {
    /// What was asked, such as `GET http://host/api/tags`.
    pub(crate) exchange: String,
    pub(crate) status: u16,
    /// How long the server asks to wait.
    pub(crate) retry_after_ms: Option<u64>,
}

/// An error with nothing but its kind and its words.
pub(crate) fn plain(kind: ErrorKind, message: impl Into<String>) -> Error {
    Error {
        kind,
        message: message.into(),
        status: None,
        code: None,
        retryable: false,
        retry_after_ms: None,
        request_sent: false,
        limit: None,
        requested: None,
    }
}

/// The settings can't be used: where, and what would do.
pub(crate) fn config(path: &str, why: &str) -> Error {
    let message = format!("models.providers.ollama{path} {why}");
    plain(ErrorKind::InvalidConfig, message)
}

/// An answer that is no success.
pub(crate) fn status(head: &Head, body: &[u8]) -> Error {
    let words = words(body);
    let (kind, retryable, advice) = match head.status {
        401 => (
            ErrorKind::Authentication,
            false,
            "set OLLAMA_API_KEY or models.providers.ollama.apiKey to a key that the server knows",
        ),
        403 => (
            ErrorKind::Permission,
            false,
            "the server does not allow this, or not with this key",
        ),
        404 if words.contains("model") => (
            ErrorKind::ModelNotFound,
            false,
            "pull the model, or ask the server for its list",
        ),
        300..=399 | 404 => (
            ErrorKind::InvalidConfig,
            false,
            "there is nothing at this address; check the base URL",
        ),
        408 => (ErrorKind::Timeout, true, "try again"),
        429 => (ErrorKind::RateLimited, true, "wait, then try again"),
        502..=504 => (
            ErrorKind::Overloaded,
            true,
            "the server has no room, or a proxy has no server; try again",
        ),
        500..=599 => (ErrorKind::Server, true, "the server's log says why"),
        400..=499 => (
            ErrorKind::InvalidRequest,
            false,
            "the server refused the request as it is",
        ),
        _ => (
            ErrorKind::Protocol,
            false,
            "no status that the protocol knows",
        ),
    };
    let message = format!("{}: {}: {words} ({advice})", head.exchange, head.status);
    Error {
        status: Some(head.status),
        retryable,
        retry_after_ms: head.retry_after_ms,
        request_sent: true,
        ..plain(kind, message)
    }
}

/// An answer that broke off or makes no sense, or an error that the server told in its midst.
pub(crate) fn broken(head: &Head, kind: ErrorKind, why: &str) -> Error {
    Error {
        status: Some(head.status),
        request_sent: true,
        ..plain(kind, format!("{}: {why}", head.exchange))
    }
}

/// An exchange that the host ended.
pub(crate) fn transport(exchange: &str, status: Option<u16>, code: &ErrorCode) -> Error {
    use ErrorCode as Code;
    let (kind, sent, retryable) = match code {
        Code::DnsError(_)
        | Code::DnsTimeout
        | Code::ConnectionRefused
        | Code::DestinationUnavailable => (ErrorKind::Unreachable, false, true),
        Code::DestinationIpProhibited
        | Code::HttpRequestDenied
        | Code::TlsCertificateError
        | Code::TlsAlertReceived(_)
        | Code::TlsProtocolError => (ErrorKind::Unreachable, false, false),
        Code::ConnectionTimeout => (ErrorKind::Timeout, false, true),
        Code::HttpResponseTimeout | Code::ConnectionReadTimeout => (ErrorKind::Timeout, true, true),
        Code::ConnectionTerminated | Code::HttpResponseIncomplete => {
            (ErrorKind::Interrupted, true, true)
        }
        Code::ConnectionLimitReached | Code::HttpRequestBodySize(_) => {
            (ErrorKind::InvalidRequest, false, false)
        }
        Code::ConfigurationError => (ErrorKind::InvalidConfig, false, false),
        _ => (ErrorKind::Protocol, true, false),
    };
    Error {
        status,
        request_sent: sent,
        // Once an answer was begun, the same request would give its beginning again.
        retryable: retryable && status.is_none(),
        ..plain(kind, format!("{exchange}: {}", quoted(&code.to_string())))
    }
}

/// What the server says in an answer that is an error: `{"error": "…"}`, or whatever else came, shortened.
fn words(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Told {
        error: String,
    }
    match serde_json::from_slice::<Told>(body) {
        Ok(told) => quoted(&told.error),
        Err(_) => quoted(&String::from_utf8_lossy(body)),
    }
}

/// A few words of the server, on one line.
pub(crate) fn quoted(words: &str) -> String {
    let clean = words
        .chars()
        .map(|one| if one.is_control() { ' ' } else { one });
    clean.take(QUOTED).collect::<String>().trim().into()
}
