//! Errors in the server's own words and shapes.
//!
//! vLLM 0.32 has three shapes: `{"error":{"message","type","param","code"}}`
//! from its own handlers, `{"error":"Unauthorized"}` from the key check and
//! `{"detail":…}` from the framework below. Clients match on the texts, so the
//! texts are the recorded ones.

use super::json::{quote, quote_or_null};

/// An answer that is an error.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    /// HTTP status.
    pub(crate) status: u16,
    /// The JSON body.
    pub(crate) body: String,
    /// `allow`, for 405.
    pub(crate) allow: Option<&'static str>,
    /// `retry-after` in seconds; no vLLM sends it, proxies before it do.
    pub(crate) retry_after: Option<u64>,
}

impl Refusal {
    /// The shape of vLLM's own handlers.
    pub(crate) fn new(status: u16, kind: &str, message: &str, param: Option<&str>) -> Self {
        Refusal::bare(
            status,
            format!(
                "{{\"error\":{{\"message\":{},\"type\":{},\"param\":{},\"code\":{status}}}}}",
                quote(message),
                quote(kind),
                quote_or_null(param),
            ),
        )
    }

    fn bare(status: u16, body: String) -> Self {
        Refusal {
            status,
            body,
            allow: None,
            retry_after: None,
        }
    }

    /// A request whose meaning is refused.
    pub(crate) fn bad(message: &str, param: Option<&str>) -> Self {
        Refusal::new(400, "BadRequestError", message, param)
    }

    /// A request of the wrong shape: `problems` are the validator's lines.
    pub(crate) fn invalid(problems: &[Problem]) -> Self {
        let plural = if problems.len() == 1 { "" } else { "s" };
        let lines: Vec<String> = problems.iter().map(Problem::line).collect();
        let message = format!(
            "{} validation error{plural}:\n  {}",
            problems.len(),
            lines.join("\n  ")
        );
        let at = problems.first().map(|p| p.at.as_str());
        Refusal::new(400, "Bad Request", &message, at)
    }

    /// A body that is not `application/json`.
    pub(crate) fn media_type() -> Self {
        Refusal::new(
            400,
            "Bad Request",
            "1 validation error:\n  Unsupported Media Type: Only 'application/json' is allowed",
            None,
        )
    }

    /// A body that is not UTF-8.
    pub(crate) fn undecodable() -> Self {
        Refusal::bare(
            400,
            r#"{"detail":"There was an error parsing the body"}"#.into(),
        )
    }

    /// A missing, wrong or non-Bearer key.
    pub(crate) fn unauthorized() -> Self {
        Refusal::bare(401, r#"{"error":"Unauthorized"}"#.into())
    }

    /// No such route.
    pub(crate) fn no_route() -> Self {
        Refusal::bare(404, r#"{"detail":"Not Found"}"#.into())
    }

    /// A route asked with another method than `allow`.
    pub(crate) fn method(allow: &'static str) -> Self {
        let mut refusal = Refusal::bare(405, r#"{"detail":"Method Not Allowed"}"#.into());
        refusal.allow = Some(allow);
        refusal
    }

    /// A model that is not served; `served` are the names that are.
    pub(crate) fn no_model(asked: &str, served: &[&str]) -> Self {
        // The server scrubs what looks like a path of its own machine.
        let names = if served.iter().any(|name| name.starts_with('/')) {
            "<path>".to_owned()
        } else {
            format!("{}.", served.join(", "))
        };
        let asked = if asked.starts_with('/') {
            "<path>"
        } else {
            asked
        };
        let message = format!("The model `{asked}` does not exist. Valid aliases: {names}");
        Refusal::new(404, "NotFoundError", &message, Some("model"))
    }

    /// The engine behind the server died.
    pub(crate) fn engine_died() -> Self {
        Refusal::new(500, "InternalServerError", ENGINE_DIED, None)
    }

    /// The request queue is full.
    pub(crate) fn busy() -> Self {
        Refusal::new(
            503,
            "Service Unavailable",
            "The engine is currently busy and cannot accept new requests. Please try again later or on a different instance.",
            None,
        )
    }

    /// Too many requests, as a proxy in front of vLLM says it.
    pub(crate) fn rate_limited(seconds: u64) -> Self {
        let mut refusal = Refusal::new(
            429,
            "TooManyRequestsError",
            "Rate limit exceeded, try again later.",
            None,
        );
        refusal.retry_after = Some(seconds);
        refusal
    }
}

/// What vLLM says when its engine process is gone.
const ENGINE_DIED: &str =
    "EngineCore encountered an issue. See stack trace (above) for the root cause.";

/// The event of an error that comes after the stream has begun: written by
/// another serializer, with spaces.
pub(crate) fn engine_died_event() -> String {
    format!(
        "data: {{\"error\": {{\"message\": {}, \"type\": \"InternalServerError\", \"param\": null, \"code\": 500}}}}\n\n",
        quote(ENGINE_DIED)
    )
}

/// One line of the validator.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    /// The validator's name of the problem.
    pub(crate) kind: &'static str,
    /// Where: `body.temperature`.
    pub(crate) at: String,
    /// What should have been.
    pub(crate) message: String,
    /// What was, in short.
    pub(crate) input: String,
    /// The `ctx` entry: its key and value.
    pub(crate) context: Option<(&'static str, String)>,
}

impl Problem {
    /// The problem as the Python dictionary that vLLM prints.
    fn line(&self) -> String {
        let context = self
            .context
            .as_ref()
            .map_or_else(String::new, |(key, value)| {
                format!(", 'ctx': {{'{key}': {}}}", python(value))
            });
        format!(
            "{{'type': '{}', 'loc': '{}', 'msg': {}, 'input': {}{context}}}",
            self.kind,
            self.at,
            python(&self.message),
            python(&self.input)
        )
    }
}

/// A string as Python's `repr` writes it.
fn python(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('\n', "\\n");
    match (text.contains('\''), text.contains('"')) {
        (true, false) => format!("\"{text}\""),
        _ => format!("'{}'", text.replace('\'', "\\'")),
    }
}
