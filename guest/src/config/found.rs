//! Errors of the configuration: where, what was found, what is allowed.
//!
//! A value is quoted only where it can't be a secret: numbers, booleans, and
//! short strings of fields that hold none. Header values, keys and tokens are
//! named by their kind alone.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use crate::error::quote::harmless;
use crate::number::push_integer;
use crate::raw_json::{Kind, Raw, push_string};
use crate::text;
use crate::types::{Error, ErrorKind};

/// Where a value stands: `models.providers.vllm.models[0].id`. Each step knows
/// the one before it; it becomes text only for a message.
#[derive(Clone, Copy)]
pub(crate) struct Path<'p> {
    parent: Option<&'p Path<'p>>,
    step: Step<'p>,
}

#[derive(Clone, Copy)]
enum Step<'p> {
    Provider,
    AgentParams(&'p str),
    Key(&'p str),
    Index(usize),
}

impl Path<'_> {
    /// The provider's entry.
    pub(crate) fn provider() -> Path<'static> {
        Path {
            parent: None,
            step: Step::Provider,
        }
    }

    /// The agent's parameters for one model.
    pub(crate) fn agent_params(id: &str) -> Path<'_> {
        Path {
            parent: None,
            step: Step::AgentParams(id),
        }
    }

    #[inline(never)]
    pub(crate) fn key<'s>(&'s self, key: &'s str) -> Path<'s> {
        Path {
            parent: Some(self),
            step: Step::Key(key),
        }
    }

    pub(crate) fn index(&self, index: usize) -> Path<'_> {
        Path {
            parent: Some(self),
            step: Step::Index(index),
        }
    }

    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        self.push(&mut out);
        // Names are the user's, or of whoever wrote the file.
        out.chars().map(harmless).collect()
    }

    fn push(&self, out: &mut String) {
        if let Some(parent) = self.parent {
            parent.push(out);
        }
        match self.step {
            Step::Provider => out.push_str("models.providers.vllm"),
            Step::AgentParams(id) => {
                for piece in ["agents.defaults.models[\"vllm/", id, "\"].params"] {
                    out.push_str(piece);
                }
            }
            Step::Key(key) if is_plain(key) => {
                out.push('.');
                out.push_str(key);
            }
            Step::Key(key) => {
                out.push('[');
                push_string(out, key);
                out.push(']');
            }
            Step::Index(index) => {
                out.push('[');
                push_integer(out, index as u64);
                out.push(']');
            }
        }
    }

    /// `<path> <what>`, as an error.
    pub(crate) fn error(&self, what: &str) -> Box<Error> {
        let message = text::concat(&[&self.text(), " ", what]);
        let message = message.chars().map(harmless).collect::<String>();
        Box::new(Error::new(ErrorKind::InvalidConfig, message))
    }

    /// `<path> is <found>, but must be <allowed>`.
    pub(crate) fn refuse(&self, found: Raw<'_>, allowed: &str) -> Box<Error> {
        self.error(&text::concat(&[
            "is ",
            &show(found),
            ", but must be ",
            allowed,
        ]))
    }

    /// The same for a value which may be a secret.
    pub(crate) fn refuse_secret(&self, found: Raw<'_>, allowed: &str) -> Box<Error> {
        let kind = found.kind().name();
        self.error(&text::concat(&["is ", kind, ", but must be ", allowed]))
    }
}

/// Whether a key needs no quotes in a path.
fn is_plain(key: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    !key.is_empty() && key.bytes().all(plain)
}

fn show(found: Raw<'_>) -> String {
    const SHOWN: usize = 64;
    let kind = found.kind();
    match kind {
        Kind::Null => "null".to_owned(),
        Kind::Bool | Kind::Number | Kind::String if found.text().len() <= SHOWN => {
            text::concat(&[found.text(), " (", kind.name(), ")"])
        }
        _ => kind.name().to_owned(),
    }
}

/// The reading of single values, each with its own error.
impl Path<'_> {
    pub(crate) fn bool(&self, value: Raw<'_>) -> Result<bool, Box<Error>> {
        value
            .as_bool()
            .ok_or_else(|| self.refuse(value, "true or false"))
    }

    /// A string that is not blank.
    pub(crate) fn string(&self, value: Raw<'_>) -> Result<String, Box<Error>> {
        match value.as_string() {
            Some(text) if !text.trim().is_empty() => Ok(text),
            _ => Err(self.refuse(value, "a string that is not blank")),
        }
    }

    /// A count from 1 to 4294967295; a fraction is cut off.
    pub(crate) fn count(&self, value: Raw<'_>) -> Result<u32, Box<Error>> {
        match value.as_f64() {
            // In range by the guard, and cut off by the cast.
            Some(number) if (1.0..4_294_967_296.0).contains(&number) => Ok(number as u32),
            _ => Err(self.refuse(value, "a number from 1 to 4294967295")),
        }
    }

    pub(crate) fn object<'a>(
        &self,
        value: Raw<'a>,
    ) -> Result<crate::raw_json::Fields<'a>, Box<Error>> {
        value
            .as_object()
            .ok_or_else(|| self.refuse_secret(value, "an object"))
    }

    pub(crate) fn array<'a>(&self, value: Raw<'a>) -> Result<Vec<Raw<'a>>, Box<Error>> {
        value
            .as_array()
            .ok_or_else(|| self.refuse_secret(value, "an array"))
    }

    /// One of some words.
    pub(crate) fn word<'w>(
        &self,
        value: Raw<'_>,
        words: &[&'w str],
    ) -> Result<&'w str, Box<Error>> {
        let text = value.as_string();
        let found = words.iter().find(|word| text.as_deref() == Some(**word));
        found.copied().ok_or_else(|| {
            let mut allowed = String::from(if words.len() > 1 { "one of " } else { "" });
            for (at, word) in words.iter().enumerate() {
                allowed.push_str(if at > 0 { ", " } else { "" });
                push_string(&mut allowed, word);
            }
            self.refuse(value, &allowed)
        })
    }
}
