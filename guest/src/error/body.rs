//! The bodies that errors come in.
//!
//! One vLLM server uses four shapes: `{"error":{…}}` for most,
//! `{"error":"text"}` from its authentication and scaling layers,
//! `{"detail":…}` from FastAPI, and the flat `{"object":"error",…}` of versions
//! up to 0.9. Gateways and other servers have more names for the same, put an
//! error into a choice, or put what the server behind them said into one field
//! as text ([`INSIDE`]). Proxies add HTML and plain text.

use alloc::borrow::ToOwned;
use alloc::string::String;

use super::quote;
use crate::number::parse_integer;
use crate::raw_json::{Fields, Kind, Raw};
use crate::text;

/// What a body says, whatever its shape.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Words {
    /// The server's own words, quoted. May be empty.
    pub message: String,
    /// Its name for the error.
    pub code: Option<String>,
    /// A code that reads as an HTTP status.
    pub number: Option<u16>,
    /// The parameter it concerns.
    pub param: Option<String>,
    /// The words came in a shape that an OpenAI-compatible API uses for its
    /// own errors. False: a router, a proxy or something else spoke.
    pub from_api: bool,
    /// Tokens of the context and of the prompt, where fields of their own tell (llama.cpp).
    pub limit: Option<u64>,
    pub requested: Option<u64>,
}

/// Names of the message.
const MESSAGE: [&str; 4] = ["message", "msg", "error_message", "errorMessage"];

/// Names of the error's name.
const CODE: [&str; 4] = ["code", "type", "error_type", "error_code"];

/// Where an error stands inside of what is sent.
const OUTER: [&str; 3] = ["error", "errors", "detail"];

/// Where a gateway puts what the server behind it said.
const INSIDE: &str = "raw";

/// How deep errors are looked for in each other.
const MAX_DEPTH: u8 = 4;

/// Whether a body whose status is a success says that it is an error. `has_answer`: what was asked
/// for is in it, so that a message beside it is none.
pub(crate) fn says_error(value: Raw<'_>, has_answer: bool) -> bool {
    let Some(fields) = value.as_object() else {
        return false;
    };
    let is = |name: &str, word: &str| fields.get(name).is_some_and(|value| value.text() == word);
    OUTER
        .iter()
        .filter_map(|name| fields.get(name))
        .any(is_error)
        || !has_answer
            && MESSAGE
                .iter()
                .any(|name| fields.get(name).is_some_and(is_error))
        || ["object", "type", "status"]
            .iter()
            .any(|name| is(name, "\"error\""))
        || is("success", "false")
}

/// Reads an error's body.
pub(super) fn read(body: &[u8]) -> Words {
    let mut text = body.trim_ascii();
    text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
    // Some proxies wrap the error of a streaming request in one event.
    if let Some(event) = text.strip_prefix(b"data:") {
        let end = memchr::memchr(b'\n', event).unwrap_or(event.len());
        text = event.get(..end).unwrap_or(event).trim_ascii();
    }
    let value = core::str::from_utf8(text).ok();
    let value = value.and_then(|text| Raw::parse(text).ok());
    value
        .and_then(|value| from_value(value, 0))
        .unwrap_or_else(|| Words {
            message: page_or_text(body),
            ..Words::default()
        })
}

/// The words of an object or a text; none of anything else.
fn from_value(value: Raw<'_>, depth: u8) -> Option<Words> {
    if let Some(fields) = value.as_object() {
        return Some(from_object(value, &fields, depth));
    }
    value.as_string().map(|text| from_text(&text))
}

fn from_object(object: Raw<'_>, fields: &Fields<'_>, depth: u8) -> Words {
    let has_message = MESSAGE
        .iter()
        .any(|name| fields.get(name).and_then(Raw::as_string).is_some());
    let outer = OUTER.iter().find_map(|name| {
        let value = fields.get(name).filter(|value| is_error(*value))?;
        let counts = depth < MAX_DEPTH && (*name == "error" || !has_message);
        counts.then_some((*name, value))
    });
    if let Some((name, value)) = outer {
        if let Some(fields) = value.as_object() {
            return from_object(value, &fields, depth + 1);
        }
        let problems = value.as_array();
        let is_validation = name == "detail" && problems.is_some();
        let mut text = match problems {
            Some(problems) => join(&problems),
            None => value.as_string().unwrap_or_else(|| value.text().to_owned()),
        };
        let mut words = from_fields(object, fields);
        if has_message && text::has(&words.message, &text) {
            text = words.message;
        } else if has_message {
            // The name of the status, mostly, and a message of its own.
            text.push_str(": ");
            text.push_str(&words.message);
        }
        words.message = from_text(&text).message;
        words.from_api = name == "error";
        // FastAPI's status for a list of what is wrong with a request.
        words.number = words.number.or(is_validation.then_some(422));
        return words;
    }
    // An error inside a choice.
    let choices = fields.get("choices").and_then(Raw::as_array);
    for choice in choices.unwrap_or_default() {
        let choice = choice.as_object().unwrap_or_default();
        let delta = choice
            .get("delta")
            .and_then(Raw::as_object)
            .unwrap_or_default();
        let error = choice.get("error").or_else(|| delta.get("error"));
        if let Some(words) = error
            .filter(|_| depth < MAX_DEPTH)
            .and_then(|error| from_value(error, depth + 1))
        {
            return words;
        }
    }
    let mut words = from_fields(object, fields);
    words.from_api = has_message || depth > 0;
    if depth >= MAX_DEPTH {
        return words;
    }
    // What the server behind a gateway said, as JSON or as its text.
    let metadata = fields.get("metadata").and_then(Raw::as_object);
    let inside = metadata.as_ref().unwrap_or(fields).get(INSIDE);
    // What a message sums up.
    let listed = OUTER.iter().filter_map(|name| fields.get(name));
    for more in inside
        .into_iter()
        .chain(listed.filter(|value| is_error(*value)))
    {
        let inner = from_part(more, depth + 1);
        if !text::has(&words.message, &inner.message) {
            words.message = quote::quote(
                &text::concat(&[&words.message, ": ", &inner.message]),
                quote::MAX_WORDS,
            );
        }
        words.limit = words.limit.or(inner.limit);
        words.requested = words.requested.or(inner.requested);
    }
    words
}

/// The words of anything inside of an error: an object, the text of one, a list, or words.
fn from_part(value: Raw<'_>, depth: u8) -> Words {
    if let Some(problems) = value.as_array() {
        return from_text(&join(&problems));
    }
    let text = value.as_string().unwrap_or_else(|| value.text().to_owned());
    let nested = Raw::parse(&text).ok();
    nested
        .and_then(|value| from_value(value, depth))
        .unwrap_or_else(|| from_text(&text))
}

/// Whether the value of a field for errors says anything.
fn is_error(value: Raw<'_>) -> bool {
    match value.kind() {
        Kind::Null | Kind::Bool | Kind::Number => false,
        _ => !matches!(value.text(), "\"\"" | "{}" | "[]"),
    }
}

/// `object` is the text of `fields`, for want of a message.
fn from_fields(object: Raw<'_>, fields: &Fields<'_>) -> Words {
    let string = |name: &&str| {
        let text = fields.get(name)?.as_string()?;
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    };
    let number = |name: &str| {
        let value = fields.get(name)?;
        (value.kind() == Kind::Number).then(|| value.text().to_owned())
    };
    let count = |name: &str| {
        let text = number(name).or_else(|| string(&name))?;
        parse_integer(&text)
    };
    const STATUS: [&str; 4] = ["code", "status", "statusCode", "status_code"];
    let numeric = STATUS.iter().find_map(|name| number(name));
    let is_number = |text: &String| parse_integer(text).is_some();
    let code = STATUS
        .iter()
        .find_map(|name| string(name).filter(is_number));
    let status = numeric.as_deref().or(code.as_deref());
    let status = status.and_then(parse_integer);
    let message = MESSAGE.iter().find_map(string);
    Words {
        message: quote::quote(
            message.as_deref().unwrap_or(object.text()),
            quote::MAX_WORDS,
        ),
        code: CODE
            .iter()
            .find_map(string)
            .or(numeric)
            .map(|name| quote::quote(&name, quote::MAX_SNIPPET)),
        number: match status {
            Some(number @ 400..600) => Some(number as u16),
            _ => None,
        },
        param: string(&"param"),
        from_api: true,
        limit: count("n_ctx"),
        requested: count("n_prompt_tokens"),
    }
}

fn from_text(text: &str) -> Words {
    Words {
        message: quote::quote(text, quote::MAX_WORDS),
        ..Words::default()
    }
}

/// FastAPI's list of problems, in one line.
fn join(problems: &[Raw<'_>]) -> String {
    let mut joined = String::new();
    for problem in problems {
        if !joined.is_empty() {
            joined.push_str("; ");
        }
        let fields = problem.as_object().unwrap_or_default();
        let words = MESSAGE
            .iter()
            .find_map(|name| fields.get(name)?.as_string());
        match words.or_else(|| problem.as_string()) {
            Some(text) => joined.push_str(&text),
            None => joined.push_str(problem.text()),
        }
    }
    joined
}

fn page_or_text(body: &[u8]) -> String {
    if body.trim_ascii_start().starts_with(b"<")
        && let Some(title) = quote::html_title(&text::lossy(body))
    {
        return title;
    }
    quote::quote_bytes(body, quote::MAX_WORDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_gives_its_words() {
        // body, message, code, number, param, from the API
        for (body, message, code, number, param, from_api) in [
            (
                r#"{"error":{"message":"no","type":"NotFoundError","param":"model","code":404}}"#,
                "no",
                Some("NotFoundError"),
                Some(404),
                Some("model"),
                true,
            ),
            (
                r#"{"error":{"message":"no","type":null,"code":429}}"#,
                "no",
                Some("429"),
                Some(429),
                None,
                true,
            ),
            (
                r#"{"error":{"message":"no","type":"t","code":"context_length_exceeded"}}"#,
                "no",
                Some("context_length_exceeded"),
                None,
                None,
                true,
            ),
            (
                r#"{"error":{"message":"no","type":"","code":"400"}}"#,
                "no",
                Some("400"),
                Some(400),
                None,
                true,
            ),
            (
                r#"{"error":{"message":"no","code":-1}}"#,
                "no",
                Some("-1"),
                None,
                None,
                true,
            ),
            (
                r#"{"error":{"message":"no","code":7}}"#,
                "no",
                Some("7"),
                None,
                None,
                true,
            ),
            (
                r#"{"error":{"kind":"odd"}}"#,
                r#"{"kind":"odd"}"#,
                None,
                None,
                None,
                true,
            ),
            (
                r#"{"error":"Unauthorized"}"#,
                "Unauthorized",
                None,
                None,
                None,
                true,
            ),
            (
                r#"{"detail":"Not Found"}"#,
                "Not Found",
                None,
                None,
                None,
                false,
            ),
            (
                r#"{"detail":[{"loc":["body"],"msg":"a"},{"x":1}]}"#,
                r#"a; {"x":1}"#,
                None,
                Some(422),
                None,
                false,
            ),
            (r#"{"detail":{"message":"m"}}"#, "m", None, None, None, true),
            (
                r#"{"statusCode":404,"message":"Cannot POST /x","error":"Not Found"}"#,
                "Not Found: Cannot POST /x",
                Some("404"),
                Some(404),
                None,
                true,
            ),
            (
                r#"{"success":false,"message":"m","errors":[{"code":7003,"message":"e"},"f"]}"#,
                "m: e; f",
                None,
                None,
                None,
                true,
            ),
            (
                r#"{"message":"m","detail":"d"}"#,
                "m: d",
                None,
                None,
                None,
                true,
            ),
            (
                r#"{"object":"error","message":"flat","type":"BadRequestError","param":null,"code":400}"#,
                "flat",
                Some("BadRequestError"),
                Some(400),
                None,
                true,
            ),
            (
                r#"{"message":"gateway"}"#,
                "gateway",
                None,
                None,
                None,
                true,
            ),
            (r#"{"what":1}"#, r#"{"what":1}"#, None, None, None, false),
            (
                r#"{"error":null,"detail":"d"}"#,
                "d",
                None,
                None,
                None,
                false,
            ),
            (
                "data: {\"error\":{\"message\":\"in an event\"}}\n\n",
                "in an event",
                None,
                None,
                None,
                true,
            ),
            (
                r#""just a string""#,
                "just a string",
                None,
                None,
                None,
                false,
            ),
            (
                "<html><title>502 Bad Gateway</title>",
                "502 Bad Gateway",
                None,
                None,
                None,
                false,
            ),
            (
                "upstream \x1b[1m down",
                "upstream \u{fffd}[1m down",
                None,
                None,
                None,
                false,
            ),
            ("", "", None, None, None, false),
            ("[1]", "[1]", None, None, None, false),
        ] {
            let expected = Words {
                message: message.to_owned(),
                code: code.map(str::to_owned),
                number,
                param: param.map(str::to_owned),
                from_api,
                ..Words::default()
            };
            assert_eq!(read(body.as_bytes()), expected, "{body}");
        }
    }

    #[test]
    fn a_body_that_is_nothing_is_quoted_and_cut() {
        let words = read("é".repeat(5000).as_bytes());
        assert_eq!(words.message.len(), quote::MAX_WORDS + '…'.len_utf8());
        assert_eq!(read(&[0xff, 0xfe]).message, "\u{fffd}\u{fffd}");
    }
}
