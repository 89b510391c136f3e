//! What a recording's `meta.json` says: `note` for people, `timing` of the answer.
//!
//! Only `timing.end` has an effect. The other fields are checked all the same, because a file that
//! somebody wrote by hand is read as something else otherwise. Fields of other names are left alone.

use serde_json::Value;

use crate::policy::visible::escaped;

/// How a recording may have ended, as `timing.end`.
const ENDS: &[&str] = &["complete", "closed", "silent"];

/// The words of the recorder that made `tests/fixtures/vllm`, for the last two.
const RECORDER_ENDS: &[&str] = &[
    "closed by server",
    "client closed on purpose",
    "TimeoutError: timed out",
];

/// Most characters of a value that are quoted.
const QUOTED: usize = 80;

/// What is read of the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Meta {
    /// The server stayed silent, and the connection open.
    pub(super) is_silent: bool,
}

impl Meta {
    /// Reads the file; no bytes say nothing.
    pub(super) fn read(bytes: &[u8]) -> Result<Meta, String> {
        let nothing = Meta { is_silent: false };
        if bytes.is_empty() {
            return Ok(nothing);
        }
        let meta: Value =
            serde_json::from_slice(bytes).map_err(|why| format!("it is not JSON: {why}"))?;
        let fields = meta
            .as_object()
            .ok_or_else(|| wrong("it", &meta, "an object"))?;
        if let Some(note) = fields.get("note").filter(|note| !note.is_string()) {
            return Err(wrong("note", note, "a text"));
        }
        let Some(timing) = fields.get("timing") else {
            return Ok(nothing);
        };
        let fields = timing
            .as_object()
            .ok_or_else(|| wrong("timing", timing, "an object"))?;
        for name in ["recv", "first", "second"] {
            if let Some(pieces) = fields.get(name).filter(|pieces| !are_pieces(pieces)) {
                let allowed = "a list of [milliseconds, bytes]";
                return Err(wrong(&format!("timing.{name}"), pieces, allowed));
            }
        }
        if let Some(idle) = fields.get("idle_s").filter(|idle| !is_amount(idle)) {
            return Err(wrong("timing.idle_s", idle, "a number of seconds"));
        }
        let Some(end) = fields.get("end") else {
            return Ok(nothing);
        };
        let named = end.as_str().and_then(|end| {
            let mut all = ENDS.iter().chain(RECORDER_ENDS);
            all.find(|one| **one == end)
        });
        match named {
            Some(end) => Ok(Meta {
                is_silent: matches!(*end, "silent" | "TimeoutError: timed out"),
            }),
            None => Err(wrong("timing.end", end, &allowed_ends())),
        }
    }
}

fn allowed_ends() -> String {
    let quoted = |ends: &[&str]| {
        let ends: Vec<String> = ends.iter().map(|end| format!("{end:?}")).collect();
        ends.join(", ")
    };
    format!(
        "{}, or the recorder's {}",
        quoted(ENDS),
        quoted(RECORDER_ENDS)
    )
}

fn is_amount(value: &Value) -> bool {
    value.as_f64().is_some_and(|number| number >= 0.0)
}

/// Pairs of when something came and how many bytes it was.
fn are_pieces(value: &Value) -> bool {
    let is_pair = |piece: &Value| {
        let pair = piece.as_array().map(Vec::as_slice);
        matches!(pair, Some([when, bytes]) if is_amount(when) && bytes.is_u64())
    };
    value.as_array().is_some_and(|all| all.iter().all(is_pair))
}

/// A sentence of field, value and what is allowed, in characters that drive no terminal.
fn wrong(field: &str, value: &Value, allowed: &str) -> String {
    let text = value.to_string();
    let mut shown: String = text.chars().take(QUOTED).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    let shown = escaped(&shown);
    format!("{field} is {shown}; allowed is {allowed}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_one_of_those_that_are_named() {
        for (end, is_silent) in [
            ("complete", false),
            ("closed", false),
            ("silent", true),
            ("closed by server", false),
            ("client closed on purpose", false),
            ("TimeoutError: timed out", true),
        ] {
            let meta = serde_json::json!({"note": "n", "timing": {"end": end, "recv": [[0.1, 2]]}});
            let read = Meta::read(meta.to_string().as_bytes());
            assert_eq!(read, Ok(Meta { is_silent }), "{end}");
        }
        for nothing in ["", "{}", "{\"timing\": {}, \"more\": 1}"] {
            let read = Meta::read(nothing.as_bytes());
            assert_eq!(read, Ok(Meta { is_silent: false }), "{nothing}");
        }
    }

    #[test]
    fn what_is_not_allowed_is_named_with_its_field_and_what_is() {
        for (text, words) in [
            ("{", "it is not JSON"),
            ("[]", "it is []; allowed is an object"),
            (r#"{"note": 1}"#, "note is 1; allowed is a text"),
            (
                r#"{"timing": "x"}"#,
                "timing is \"x\"; allowed is an object",
            ),
            (
                r#"{"timing": {"end": "exploded"}}"#,
                "timing.end is \"exploded\"; allowed is \"complete\", \"closed\", \"silent\"",
            ),
            (r#"{"timing": {"end": null}}"#, "timing.end is null;"),
            (
                r#"{"timing": {"end": "Timeout"}}"#,
                "timing.end is \"Timeout\";",
            ),
            (
                r#"{"timing": {"recv": [[1]]}}"#,
                "timing.recv is [[1]]; allowed is a list of [milliseconds, bytes]",
            ),
            (r#"{"timing": {"recv": [["1", 2]]}}"#, "timing.recv is"),
            (r#"{"timing": {"recv": [[1, 2.5]]}}"#, "timing.recv is"),
            (
                r#"{"timing": {"idle_s": "5"}}"#,
                "timing.idle_s is \"5\"; allowed is a number of seconds",
            ),
        ] {
            let why = Meta::read(text.as_bytes()).expect_err(text);
            assert!(why.contains(words), "{text}: {why}");
        }
        let long = format!("{{\"note\": [\"\u{9b}31m{}\"]}}", "x".repeat(9_000));
        let why = Meta::read(long.as_bytes()).expect_err("a list");
        assert!(why.len() < 200 && !why.contains('\u{9b}'), "{why}");
    }
}
