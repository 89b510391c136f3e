//! Header fields: what a configuration may set, and who wins.
//!
//! Names are kept in lower case, as HTTP compares them. Values are opaque (they
//! may be the host's stand-ins for secrets) and never quoted in a message.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use super::found::Path;
use crate::raw_json::Raw;
use crate::types::Error;

/// Fields in order, each name once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Headers(pub(crate) Vec<(String, String)>);

/// Fields that describe the connection or the coding of the body (RFC 9110
/// §7.6.1). They belong to the transport: a request that set them could be read
/// in two ways, or answered in a coding that nobody here undoes.
const RESERVED: &[&str] = &[
    "accept-encoding",
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

impl Headers {
    /// Reads `{name: value}`.
    pub(crate) fn read(path: &Path<'_>, value: Raw<'_>) -> Result<Self, Box<Error>> {
        let mut headers = Self::default();
        for (key, value) in &path.object(value)?.0 {
            let path = path.key(key);
            let name = name(&path, key)?;
            headers.set(&name, field_value(&path, *value)?);
        }
        Ok(headers)
    }

    /// Sets a field; one that is there keeps its place. `name` is in lower
    /// case.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<String>) {
        let value = value.into();
        match self.0.iter_mut().find(|(key, _)| key == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(key, _)| key == name)
    }

    pub(crate) fn merge(&mut self, other: &Headers) {
        for (name, value) in &other.0 {
            self.set(name, value.as_str());
        }
    }
}

/// A field name (RFC 9110 §5.1) in lower case.
pub(crate) fn name(path: &Path<'_>, text: &str) -> Result<String, Box<Error>> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if text.is_empty() || !text.bytes().all(token) {
        return Err(path.error("is no header name: letters, digits and !#$%&'*+-.^_`|~ are"));
    }
    let name = text.to_ascii_lowercase();
    if RESERVED.contains(&name.as_str()) {
        return Err(path.error("can't be set: this header belongs to the transport"));
    }
    Ok(name)
}

/// A field value (RFC 9110 §5.5) without the space around it.
pub(crate) fn field_value(path: &Path<'_>, value: Raw<'_>) -> Result<String, Box<Error>> {
    let Some(text) = value.as_string() else {
        return Err(path.refuse_secret(value, "a string"));
    };
    let text = text.trim_matches([' ', '\t']);
    if !is_field_value(text) {
        return Err(path.error("holds a control character, which no header value can carry"));
    }
    Ok(text.to_owned())
}

/// Whether a header can carry the text.
pub(crate) fn is_field_value(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f))
}
