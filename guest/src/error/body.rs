//! The bodies that errors come in.
//!
//! One vLLM server uses four shapes: `{"error":{…}}` for most,
//! `{"error":"text"}` from its authentication and scaling layers,
//! `{"detail":…}` from FastAPI, and the flat `{"object":"error",…}` of versions
//! up to 0.9. Proxies add HTML and plain text.

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
}

/// Reads an error's body.
pub(super) fn read(body: &[u8]) -> Words {
    let mut text = body.trim_ascii();
    // Some proxies wrap the error of a streaming request in one event.
    if let Some(event) = text.strip_prefix(b"data:") {
        let end = memchr::memchr(b'\n', event).unwrap_or(event.len());
        text = event.get(..end).unwrap_or(event).trim_ascii();
    }
    let value = core::str::from_utf8(text).ok();
    let value = value.and_then(|text| Raw::parse(text).ok());
    if let Some(value) = value {
        if let Some(fields) = value.as_object() {
            return from_object(value, &fields);
        }
        if let Some(text) = value.as_string() {
            return from_text(&text);
        }
    }
    Words {
        message: page_or_text(body),
        ..Words::default()
    }
}

fn from_object(object: Raw<'_>, fields: &Fields<'_>) -> Words {
    if let Some(error) = fields.get("error") {
        if let Some(fields) = error.as_object() {
            return from_fields(error, &fields);
        }
        if let Some(text) = error.as_string() {
            return Words {
                from_api: true,
                ..from_text(&text)
            };
        }
    }
    if fields.get("message").and_then(Raw::as_string).is_some() {
        return from_fields(object, fields);
    }
    let Some(detail) = fields.get("detail") else {
        return from_text(object.text());
    };
    if let Some(fields) = detail.as_object() {
        return from_fields(detail, &fields);
    }
    match (detail.as_string(), detail.as_array()) {
        (Some(text), _) => from_text(&text),
        (_, Some(problems)) => from_text(&join(&problems)),
        _ => from_text(object.text()),
    }
}

/// `object` is the text of `fields`, for want of a message.
fn from_fields(object: Raw<'_>, fields: &Fields<'_>) -> Words {
    let string = |name: &str| {
        let text = fields.get(name)?.as_string()?;
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    };
    let code = string("code");
    let numeric = fields
        .get("code")
        .filter(|code| code.kind() == Kind::Number);
    let numeric = numeric.map(|code| code.text().to_owned());
    let number = code.as_deref().or(numeric.as_deref());
    let number = number.and_then(parse_integer);
    let message = string("message").or_else(|| string("msg"));
    Words {
        message: quote::quote(
            message.as_deref().unwrap_or(object.text()),
            quote::MAX_WORDS,
        ),
        code: code
            .or_else(|| string("type"))
            .or(numeric)
            .map(|name| quote::quote(&name, quote::MAX_SNIPPET)),
        number: match number {
            Some(number @ 400..600) => Some(number as u16),
            _ => None,
        },
        param: string("param"),
        from_api: true,
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
        match fields.get("msg").and_then(Raw::as_string) {
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
                None,
                None,
                false,
            ),
            (r#"{"detail":{"message":"m"}}"#, "m", None, None, None, true),
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
