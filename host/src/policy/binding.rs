//! Where a secret may stand in a request.

use super::quote::quote;
use super::secret::{HEAD_WITH_SECRET_BYTES, Placeholder};
use http::{HeaderName, HeaderValue, header};
use std::fmt;

/// The header fields in which servers and gateways expect an API key.
pub const KEY_HEADERS: [HeaderName; 4] = [
    header::AUTHORIZATION,
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-goog-api-key"),
];

/// The longest scheme before a credential, in bytes. The longest registered one is
/// `SCRAM-SHA-256` (IANA HTTP Authentication Scheme Registry). Without a bound, the scheme could
/// fill a field up to the limit of a server.
const MAX_SCHEME_LEN: usize = 32;

/// Where a secret may stand in a request.
///
/// A plugin chooses neither the field nor the text beside the secret, as far as the configuration
/// says them: `Bearer ${TOKEN}` as the value of a header is one secret, bound to that header.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Binding {
    /// Nowhere. The secret is known so that it can be found in responses, messages and recordings,
    /// and its placeholder is never replaced.
    Nowhere,
    /// In any of these fields, as the whole value or behind a scheme: a token (RFC 9110 §5.6.2) of
    /// at most 32 bytes and one space, as in `Bearer …`.
    Credential(Vec<HeaderName>),
    /// In this field, as the whole value or behind exactly this text.
    Header {
        /// The field.
        name: HeaderName,
        /// The text before the secret; empty for a secret that is the whole value.
        before: String,
    },
}

impl Binding {
    /// The fields for API keys: [`KEY_HEADERS`].
    #[must_use]
    pub fn api_key() -> Self {
        Self::Credential(KEY_HEADERS.to_vec())
    }

    /// The fields for API keys and one more, that the user has named for it.
    #[must_use]
    pub fn api_key_or(name: Option<HeaderName>) -> Self {
        let mut names = KEY_HEADERS.to_vec();
        names.extend(name.filter(|name| !KEY_HEADERS.contains(name)));
        Self::Credential(names)
    }

    /// The whole value of one field.
    #[must_use]
    pub const fn header(name: HeaderName) -> Self {
        Self::Header {
            name,
            before: String::new(),
        }
    }

    /// Whether the placeholder may be replaced in this value of this field. If it may, the value
    /// ends with it and holds it once.
    pub(super) fn allows(
        &self,
        name: &HeaderName,
        value: &HeaderValue,
        placeholder: &Placeholder,
    ) -> bool {
        let Some(before) = value
            .as_bytes()
            .strip_suffix(placeholder.as_str().as_bytes())
        else {
            return false;
        };
        match self {
            Self::Nowhere => false,
            Self::Credential(names) => {
                names.contains(name) && (before.is_empty() || is_scheme(before))
            }
            Self::Header {
                name: bound,
                before: text,
            } => bound == name && (before.is_empty() || before == text.as_bytes()),
        }
    }
}

/// A scheme and the space behind it.
fn is_scheme(before: &[u8]) -> bool {
    let Some(scheme) = before.strip_suffix(b" ") else {
        return false;
    };
    let token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    // No placeholder is that short, so that none is in it.
    (1..=MAX_SCHEME_LEN).contains(&scheme.len()) && scheme.iter().all(token)
}

impl fmt::Display for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nowhere => {
                f.write_str("this secret is kept for redaction and may not be sent at all")
            }
            Self::Credential(names) => {
                f.write_str("it may stand only in ")?;
                for (at, name) in names.iter().enumerate() {
                    let between = match at {
                        0 => "",
                        _ if at + 1 == names.len() => " or ",
                        _ => ", ",
                    };
                    write!(f, "{between}`{}`", quote(name.as_str()))?;
                }
                f.write_str(", as the only value, whole or behind a scheme and one space")
            }
            Self::Header { name, before } => {
                let name = quote(name.as_str());
                write!(f, "it may stand only in `{name}`, as the only value, whole")?;
                match before.as_str() {
                    "" => Ok(()),
                    _ => f.write_str(" or behind the configured text"),
                }
            }
        }
    }
}

/// A part of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// The path or the query.
    Target,
    /// The name of a header field.
    Name,
    /// The value of this header field.
    Header(HeaderName),
    /// The body.
    Body,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Target => f.write_str("the path"),
            Self::Name => f.write_str("the name of a header"),
            Self::Header(name) => write!(f, "the header `{}`", quote(name.as_str())),
            Self::Body => f.write_str("the body"),
        }
    }
}

/// Why the placeholders of a request are not replaced. Neither names a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Misplaced {
    /// A placeholder stands where its secret may not.
    #[error("the placeholder of a secret is misplaced in {place}; {allowed}")]
    Secret {
        /// Where it stands.
        place: Place,
        /// Where it may stand.
        allowed: Binding,
    },
    /// A request that carries a secret has a head larger than
    /// [`HEAD_WITH_SECRET_BYTES`].
    #[error(
        "the headers and the path of a request that carries a secret have more than {} bytes; send \
         fewer or shorter ones",
        HEAD_WITH_SECRET_BYTES
    )]
    HeadTooLarge,
}
