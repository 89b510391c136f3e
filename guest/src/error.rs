//! One typed error from whatever went wrong with an exchange.
//!
//! In go a status, headers and a body, or the transport's complaint, or an
//! error event of a stream; out comes the contract's error, which says all a
//! caller needs: what to do about it, whether to try again and when, and the
//! limit that was hit. Messages quote the server, but never more than 4 KiB of
//! it, never with control characters, and never with a key.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use crate::base_url;
use crate::number::push_integer;
use crate::text;
use crate::types::{Error, ErrorKind, TransportFailure, TransportFailureKind};

mod body;
mod overflow;
pub(crate) mod quote;
#[cfg(test)]
mod recorded_tests;
mod retry_after;
#[cfg(test)]
mod tests;

use body::Words;
pub(crate) use body::says_error;
use overflow::Overflow;

/// What an exchange was, for messages and classification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// `GET` or `POST`.
    pub method: &'static str,
    /// The whole URL. Messages leave out its query and user information.
    pub url: String,
    /// The model that was asked for, where one was.
    pub model: Option<String>,
    /// The base URL's path ends in a `/v1` segment.
    pub base_has_v1: bool,
    /// The request carries a key, or what stands in its place.
    pub has_key: bool,
}

impl Context {
    /// `POST http://host/v1/chat/completions`, to begin a message with.
    pub(crate) fn exchange(&self) -> String {
        text::concat(&[self.method, " ", &quote::address(&self.url)])
    }
}

/// The error of an answer whose status is not a success (2xx).
pub fn from_response(
    context: &Context,
    status: u16,
    headers: &[(String, Vec<u8>)],
    body: &[u8],
) -> Error {
    let words = body::read(body);
    let mut error = if (300..400).contains(&status) {
        redirect(retry_after::header(headers, "location"))
    } else {
        judge(context, status, &words)
    };
    let mut number = String::new();
    push_integer(&mut number, u64::from(status));
    if words.message.starts_with(number.as_str()) {
        // A proxy's page: `502 Bad Gateway`.
        number.clear();
    }
    error.message = say(context, &number, &words.message, &error.message);
    error.status = Some(status);
    error.code = words.code;
    error.request_sent = true;
    error.retry_after_ms = retry_after::wait_ms(headers);
    // As OpenAI's servers tell its clients.
    error.retryable &= retry_after::header(headers, "x-should-retry") != Some("false");
    error
}

/// The error of an error object in the middle of a successful answer: it is
/// judged by its own code as if that were the status. That the same request
/// may succeed later says nothing of the events that were given already: not
/// to repeat those is the host's rule.
pub(crate) fn from_event(context: &Context, status: u16, data: &[u8]) -> Error {
    told(context, status, data, "an error in the stream")
}

/// The same for a whole answer that is an error.
pub(crate) fn in_success(context: &Context, status: u16, body: &[u8]) -> Error {
    let mut result = String::new();
    push_integer(&mut result, u64::from(status));
    result.push_str(", but with an error");
    told(context, status, body, &result)
}

fn told(context: &Context, status: u16, data: &[u8], result: &str) -> Error {
    let words = body::read(data);
    let named = words.code.as_deref().and_then(status_of);
    let as_status = words.number.or(named);
    let as_status = as_status.or_else(|| status_of_words(&words.message));
    let mut error = judge(context, as_status.unwrap_or(500), &words);
    if as_status.is_none() && error.kind == ErrorKind::Server {
        // The server's words are all that is known.
        error.message.clear();
    }
    error.message = say(context, result, &words.message, &error.message);
    error.status = Some(status);
    error.code = words.code;
    error.request_sent = true;
    error
}

/// The status that the name of an error stands for, as APIs and gateways call it: by the words in
/// it, whatever signs and capitals they are written with.
fn status_of(name: &str) -> Option<u16> {
    const WORDS: [(&str, u16); 16] = [
        ("apikey", 401),
        ("authentication", 401),
        ("unauthorized", 401),
        ("unauthenticated", 401),
        ("permission", 403),
        ("forbidden", 403),
        ("notfound", 404),
        ("ratelimit", 429),
        ("toomanyrequests", 429),
        ("resourceexhausted", 429),
        ("overloaded", 503),
        ("unavailable", 503),
        ("badrequest", 400),
        ("invalidrequest", 400),
        ("invalidargument", 400),
        ("validation", 400),
    ];
    let letters = name.chars().filter(char::is_ascii_alphanumeric);
    let plain: String = letters.map(|c| c.to_ascii_lowercase()).collect();
    let found = WORDS.iter().find(|(word, _)| text::has(&plain, word));
    found.map(|(_, status)| *status)
}

/// The error of an exchange that ended before there was an answer.
pub fn from_transport(context: &Context, failure: &TransportFailure) -> Error {
    use TransportFailureKind as Failure;
    let (kind, sent, retryable, advice) = match failure.kind {
        Failure::Unreachable => (
            ErrorKind::Unreachable,
            false,
            true,
            "check that the server runs and that the base URL names its host and port",
        ),
        Failure::Tls => (
            ErrorKind::Unreachable,
            false,
            false,
            "check https against http in the base URL, the certificate and the configured CA",
        ),
        Failure::ConnectTimeout => (
            ErrorKind::Timeout,
            false,
            true,
            "check the base URL, the network and firewalls",
        ),
        Failure::ReadTimeout => (
            ErrorKind::Timeout,
            true,
            true,
            "the server may be loading, busy or gone, or the limit too short",
        ),
        Failure::Closed => (ErrorKind::Interrupted, true, true, "no answer had come"),
        Failure::Protocol => (
            ErrorKind::Protocol,
            true,
            false,
            "check the scheme and the port of the base URL, and proxies",
        ),
        Failure::Denied => (
            ErrorKind::Unreachable,
            false,
            false,
            "the grant is the origin of the base URL",
        ),
    };
    let words = quote::quote(&failure.message, quote::MAX_WORDS);
    Error {
        retryable,
        request_sent: sent,
        ..Error::new(kind, say(context, "", &words, advice))
    }
}

/// A failure of the server to keep to its protocol, in the middle of an
/// answer.
pub(crate) fn protocol(context: &Context, status: u16, what: &str) -> Error {
    Error {
        status: Some(status),
        request_sent: true,
        ..Error::new(ErrorKind::Protocol, say(context, "", "", what))
    }
}

/// A body that is no answer, with a status that says it is one: a web page by
/// its title. None: it is something else.
pub(crate) fn web_page(context: &Context, status: u16, body: &[u8]) -> Option<Error> {
    let title = quote::html_title(&text::lossy(body))?;
    let what = text::concat(&[
        "the server sent a web page (text/html) instead of an answer: \"",
        &title,
        "\"; check the base URL, there may be a proxy or a login page at it",
    ]);
    Some(protocol(context, status, &what))
}

/// The same for a question whose answer is JSON; `what` came instead.
pub(crate) fn no_answer(
    context: &Context,
    status: u16,
    headers: &[(String, Vec<u8>)],
    body: &[u8],
    what: &str,
) -> Error {
    web_page(context, status, body).unwrap_or_else(|| {
        let kind = retry_after::header(headers, "content-type").map_or_else(String::new, |kind| {
            text::concat(&[" (", &quote::quote(kind, 80), ")"])
        });
        let mut answer = text::concat(&["the answer is ", what, &kind]);
        if !body.trim_ascii().is_empty() {
            let quoted = quote::quote_bytes(body, quote::MAX_SNIPPET);
            answer.push_str(&text::concat(&[": \"", &quoted, "\""]));
        }
        answer.push_str("; ");
        answer.push_str(&match endpoint_advice(&context.url) {
            Some(advice) => advice,
            None => "is this the base URL of a vLLM server?".to_owned(),
        });
        protocol(context, status, &answer)
    })
}

/// `EXCHANGE: RESULT: the server's words (advice)`, without what is empty.
pub(crate) fn say(context: &Context, result: &str, words: &str, advice: &str) -> String {
    let mut message = context.exchange();
    for part in [result, words] {
        if !part.is_empty() {
            message.push_str(": ");
            message.push_str(part);
        }
    }
    match (advice.is_empty(), words.is_empty()) {
        (true, _) => {}
        (false, true) => {
            message.push_str(": ");
            message.push_str(advice);
        }
        (false, false) => {
            message.push_str(" (");
            message.push_str(advice);
            message.push(')');
        }
    }
    message
}

/// Kind, retry and limits by status and words. `message` is the advice only.
fn judge(context: &Context, status: u16, words: &Words) -> Error {
    let plain = |kind, retryable, advice: &str| Error {
        retryable,
        ..Error::new(kind, advice)
    };
    // A limit of tokens a minute is another one than that of the context.
    let is_rate = || {
        let said = words.message.to_ascii_lowercase();
        let rates = ["rate limit", "per minute", "per day", "quota", "tpm"];
        rates.iter().any(|rate| text::has(&said, rate))
    };
    if let Some(error) = too_long(words).filter(|_| status != 429 || !is_rate()) {
        return error;
    }
    match status {
        401 => plain(
            ErrorKind::Authentication,
            false,
            match context.has_key {
                true => {
                    "the server does not know the key that was sent; set VLLM_API_KEY or models.providers.vllm.apiKey to one of its --api-key values"
                }
                false => {
                    "the server wants a key, and none was sent; set VLLM_API_KEY or models.providers.vllm.apiKey to one of its --api-key values"
                }
            },
        ),
        403 => plain(
            ErrorKind::Permission,
            false,
            "the server does not allow this, or not with this key",
        ),
        404 => not_found(context, words),
        408 => plain(
            ErrorKind::Timeout,
            true,
            "the server waited too long for the request",
        ),
        425 | 429 => match is_lasting(words) {
            false => plain(ErrorKind::RateLimited, true, "wait, then try again"),
            true => plain(
                ErrorKind::RateLimited,
                false,
                "the same request will be refused again; raise the limit, or send less",
            ),
        },
        502 | 504 => plain(
            ErrorKind::Overloaded,
            true,
            "a proxy answered, whose server did not; check that the server runs",
        ),
        503 | 529 => plain(
            ErrorKind::Overloaded,
            true,
            "the server has no room just now; wait, then try again",
        ),
        500.. => plain(
            ErrorKind::Server,
            true,
            "the server failed; its log says why",
        ),
        400..500 => refused(context, status),
        _ => plain(
            ErrorKind::Protocol,
            false,
            "no status that the protocol knows",
        ),
    }
}

/// Prompt, or prompt and answer, do not fit into the context: by the words, whatever the status.
fn too_long(words: &Words) -> Option<Error> {
    let by_code = || overflow::judge(words.code.as_deref()?);
    let (answer, limit, requested) = match overflow::judge(&words.message).or_else(by_code)? {
        Overflow::Prompt { limit, requested } => (false, limit, requested),
        Overflow::Answer { limit, requested } => (true, limit, requested),
    };
    let (kind, advice) = match answer {
        false => (
            ErrorKind::ContextOverflow,
            "the prompt alone is longer than the model's context; shorten the conversation",
        ),
        true => (
            ErrorKind::InvalidRequest,
            "prompt and answer together are longer than the model's context; ask for fewer tokens",
        ),
    };
    Some(Error {
        limit: limit.or(words.limit),
        requested: requested.or(words.requested),
        retryable: answer,
        ..Error::new(kind, advice)
    })
}

/// Whether a limit of a rate will still be exceeded after a wait: the credit is used up, or the
/// request alone is more than the limit (OpenAI).
fn is_lasting(words: &Words) -> bool {
    let code = words.code.as_deref().unwrap_or_default();
    let said = words.message.to_ascii_lowercase();
    text::has(code, "insufficient_quota") || text::has(&said, "request too large for ")
}

/// The status that an error's words stand for, where no code of it is known.
fn status_of_words(message: &str) -> Option<u16> {
    const KEY: [&str; 4] = [
        "unauthorized",
        "not authenticated",
        "authentication",
        "invalid api key",
    ];
    let said = message.to_ascii_lowercase();
    if KEY.iter().any(|words| text::has(&said, words)) {
        return Some(401);
    }
    (about_model(message) || about_address(message)).then_some(404)
}

/// Whether the words are about a model that the server does not have.
fn about_model(message: &str) -> bool {
    const MISSING: [&str; 4] = ["does not exist", "not found", "not exist", "unknown"];
    let said = message.to_ascii_lowercase();
    text::has(&said, "model") && MISSING.iter().any(|words| text::has(&said, words))
}

/// Whether the words are about a path that the server does not have.
fn about_address(message: &str) -> bool {
    let said = message.to_ascii_lowercase();
    if said == "not found" {
        return true;
    }
    let any = |words: &[&str]| words.iter().any(|words| text::has(&said, words));
    any(&["endpoint", "route", "url", "path"])
        && any(&["unexpected", "unknown", "not found", "no such"])
}

/// The server read the request and does not want it.
fn refused(context: &Context, status: u16) -> Error {
    let advice = match status {
        405 => match endpoint_advice(&context.url) {
            Some(advice) => text::concat(&["the server does not take this method here; ", &advice]),
            None => "the server does not take this method here; check the base URL".to_owned(),
        },
        413 => "the request is too large for the server or a proxy before it".to_owned(),
        _ => "the server refused the request as it is".to_owned(),
    };
    Error::new(ErrorKind::InvalidRequest, advice)
}

/// A model that is not there, or a path that is not.
fn not_found(context: &Context, words: &Words) -> Error {
    let is_model = words.param.as_deref() == Some("model")
        || words.code.as_deref() == Some("model_not_found")
        || about_model(&words.message);
    if words.from_api && is_model {
        return Error::new(
            ErrorKind::ModelNotFound,
            "the server does not serve this model; ask it for its list of models",
        );
    }
    let advice = match context.base_has_v1 {
        true => "check the base URL",
        false => "a vLLM base URL usually ends in /v1",
    };
    let advice = endpoint_advice(&context.url).unwrap_or_else(|| advice.to_owned());
    let what = text::concat(&["there is nothing at this address; ", &advice]);
    Error::new(ErrorKind::InvalidConfig, what)
}

/// What is wrong with a base URL to which an endpoint belongs that `url` names twice.
fn endpoint_advice(url: &str) -> Option<String> {
    let address = quote::address(url);
    let (base, _) = base_url::endpoint(&address)?;
    let (right, endpoint) = base_url::endpoint(base)?;
    let clause = base_url::endpoint_advice(right, endpoint);
    Some(text::concat(&["the base URL ", &clause]))
}

/// Redirects are not followed: the grant is for the configured origin, and a
/// redirected POST would lose its body in most clients.
fn redirect(location: Option<&str>) -> Error {
    let advice = match location {
        Some(target) => {
            let target = quote::quote(&quote::address(target), quote::MAX_SNIPPET);
            text::concat(&[
                "the server points to ",
                &target,
                "; redirects are not followed, set the base URL to where it really is",
            ])
        }
        None => "the server points elsewhere without saying where; check the base URL".to_owned(),
    };
    Error::new(ErrorKind::InvalidConfig, advice)
}
