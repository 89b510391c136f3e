//! The lines of a recording, as they stand in the file.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::failure::Failure;

/// What the first line calls the file.
pub(super) const MAGIC: &str = "provider-host";

/// The version that is written, and the only one that is read.
pub(super) const VERSION: u64 = 1;

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Title {
    pub(super) recording: String,
    pub(super) version: u64,
}

/// Any other line: an exchange, a moment, and one thing that happened.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Line {
    pub(super) exchange: u64,
    pub(super) at_us: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) request: Option<Request>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) response: Option<Response>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) data: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) data_latin1: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) trailers: Option<Fields>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) end: Option<EndWord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) failure: Option<Failure>,
}

/// Header fields: name and value, a character for each byte.
pub(super) type Fields = Vec<(String, String)>;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Request {
    pub(super) begun_us: u64,
    pub(super) method: String,
    pub(super) uri: String,
    pub(super) headers: Fields,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) body: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) body_latin1: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Response {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sent_us: Option<u64>,
    pub(super) status: u16,
    pub(super) headers: Fields,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum EndWord {
    Complete,
    Failed,
    Dropped,
}

/// Bytes as text where they are text, else a character for each byte: the first or the second of the pair.
pub(super) fn spelled(bytes: Cow<'_, [u8]>) -> (Option<String>, Option<String>) {
    match String::from_utf8(bytes.into_owned()) {
        Ok(text) => (Some(text), None),
        Err(error) => (None, Some(to_latin1(error.as_bytes()))),
    }
}

/// The bytes of such a pair; none if there are none of both, an error if there are two.
pub(super) fn unspelled(
    text: Option<String>,
    latin1: Option<&str>,
) -> Result<Option<Vec<u8>>, String> {
    match (text, latin1) {
        (None, None) => Ok(None),
        (Some(text), None) => Ok(Some(text.into_bytes())),
        (None, Some(text)) => from_latin1(text).map(Some),
        (Some(_), Some(_)) => Err("the same bytes stand there in two spellings".to_owned()),
    }
}

/// A character for each byte.
pub(super) fn to_latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// A byte for each character.
pub(super) fn from_latin1(text: &str) -> Result<Vec<u8>, String> {
    let byte = |one: char| {
        u8::try_from(one)
            .map_err(|_| format!("the character {one:?} is no byte (U+0000 to U+00FF)"))
    };
    text.chars().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_from_either_spelling() {
        for bytes in [&b""[..], b"plain", "漢".as_bytes(), b"\xe6\xbc", b"\0\xff"] {
            let (text, latin1) = spelled(Cow::Borrowed(bytes));
            assert_eq!(text.is_some(), std::str::from_utf8(bytes).is_ok());
            let back = unspelled(text, latin1.as_deref()).unwrap();
            assert_eq!(back.as_deref(), Some(bytes));
        }
        assert!(from_latin1("漢").is_err());
        assert!(unspelled(Some(String::new()), Some("")).is_err());
    }
}
