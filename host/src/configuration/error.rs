//! What can be wrong with a configuration. Every message names the place; none
//! holds the text of a secret.

use std::path::PathBuf;

use serde_json::Value;

use super::secret::looks_like_a_key;
use crate::credentials::CredentialError;

/// Why a configuration can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The named file does not exist.
    #[error("there is no configuration file at {} (named by {named_by})", file.display())]
    Missing {
        /// The file.
        file: PathBuf,
        /// `--config`, or the variable that named it.
        named_by: String,
    },
    /// A file can't be read.
    #[error("cannot read {}: {cause}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// The system's words.
        cause: String,
    },
    /// The text is not JSON5.
    #[error("{origin}:{line}:{column}: not valid JSON5: {message}")]
    Syntax {
        /// File name.
        origin: String,
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
        /// What is wrong there.
        message: String,
    },
    /// A variable that is used is not set.
    #[error(
        "environment variable {variable} is not set, and {path} uses it: \
         set it, or write $${{{variable}}} if the text itself is meant"
    )]
    MissingVariable {
        /// Name of the variable.
        variable: String,
        /// Where it is used.
        path: String,
    },
    /// A variable is used in a field that the plugin reads.
    #[error(
        "{path} uses the environment variable {variable}, and the plugin reads this field; a \
         variable may hold a secret, and secrets may stand only in apiKey, in headers and in \
         request.auth: write the value itself, or $${{{variable}}} if the text itself is meant"
    )]
    VariableNotAllowed {
        /// Name of the variable.
        variable: String,
        /// Where it is used.
        path: String,
    },
    /// A value is not of the kind that is allowed there.
    #[error("{path} is {found}; allowed is {allowed}")]
    WrongType {
        /// Where it stands.
        path: String,
        /// What stands there.
        found: String,
        /// What may stand there.
        allowed: String,
    },
    /// A value, or a combination of values, can't be used. The value is not quoted: it may be a
    /// secret.
    #[error("{path} can't be used: {why}")]
    Unusable {
        /// Where it stands, with the variable that it came from.
        path: String,
        /// Why, and what to do.
        why: String,
    },
    /// A header value or a key holds a character that HTTP cannot carry.
    #[error("{path} holds a line break or a control character, which an HTTP header cannot carry")]
    NotAHeaderValue {
        /// Where it stands, with the variable that it came from.
        path: String,
    },
    /// A model reference is not `provider/model`.
    #[error(
        "{path} is {found:?}, which is no model reference: \
         write provider/model, such as vllm/Qwen/Qwen3-8B"
    )]
    NotAReference {
        /// Where it stands, such as `--model`.
        path: String,
        /// What stands there.
        found: String,
    },
    /// The user names no base URL, and the plugin may not choose one.
    #[error("provider {provider} has no base URL: set {path}{}", suggestion(suggested.as_deref()))]
    NoBaseUrl {
        /// Provider id.
        provider: String,
        /// Where to set it.
        path: String,
        /// The URL that the plugin's manifest names. Plugins that are not built in do not choose
        /// the server that the user's keys go to, so it is not used.
        suggested: Option<String>,
    },
    /// A plugin that nobody approved names the id of the built-in provider.
    #[error(
        "the plugin says that it is the provider {id:?}, which is built into this host; a plugin \
         file gets that id, with its configuration and keys, only if you approve it"
    )]
    IdNotApproved {
        /// The id.
        id: String,
    },
    /// The key profiles can't be used.
    #[error(transparent)]
    Credentials(#[from] CredentialError),
}

impl ConfigError {
    /// The configuration path that the error is about, if it is about one.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        match self {
            Self::MissingVariable { path, .. }
            | Self::VariableNotAllowed { path, .. }
            | Self::WrongType { path, .. }
            | Self::Unusable { path, .. }
            | Self::NotAHeaderValue { path }
            | Self::NotAReference { path, .. }
            | Self::NoBaseUrl { path, .. } => Some(path),
            Self::Missing { .. }
            | Self::IdNotApproved { .. }
            | Self::Read { .. }
            | Self::Syntax { .. }
            | Self::Credentials(_) => None,
        }
    }

    /// An error about a value that is no secret: it is quoted, cut short.
    pub(super) fn wrong_type(path: &str, found: &Value, allowed: &str) -> Self {
        let found = match found {
            // A key at a wrong place is not shown.
            Value::String(text) if looks_like_a_key(text) => String::from("a text"),
            Value::String(text) => {
                let mut short: String = text.chars().take(80).collect();
                if short.len() < text.len() {
                    short.push('…');
                }
                format!("the text {}", Value::from(short))
            }
            other => describe(other),
        };
        Self::WrongType {
            path: path.to_owned(),
            found,
            allowed: allowed.to_owned(),
        }
    }

    /// An error about a value that may be a secret: only its type is told.
    pub(super) fn wrong_secret(path: &str, found: &Value, allowed: &str) -> Self {
        let found = match found {
            Value::Number(_) => String::from("a number"),
            Value::String(_) => String::from("a text"),
            other => describe(other),
        };
        Self::WrongType {
            path: path.to_owned(),
            found,
            allowed: allowed.to_owned(),
        }
    }
}

/// The end of the message about a missing base URL.
fn suggestion(url: Option<&str>) -> String {
    match url {
        Some(url) => format!(" (the plugin suggests {url:?}, which is not used unless you set it)"),
        None => String::new(),
    }
}

/// A value that is not text, in words.
fn describe(value: &Value) -> String {
    match value {
        Value::Null => String::from("null"),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => format!("the number {number}"),
        Value::String(_) => String::from("a text"),
        Value::Array(_) => String::from("a list"),
        Value::Object(_) => String::from("an object"),
    }
}
