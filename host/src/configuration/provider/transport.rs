//! What an entry says about the transport: certificates and proxies.
//!
//! Taken out before the plugin gets the entry: private keys and proxy passwords
//! are not its business. What is not followed gets a note.

use std::path::Path;

use serde_json::{Map, Value};

use super::super::environment::{Environment, home};
use super::super::error::ConfigError;
use super::super::interpolation::interpolate_plain;
use super::super::secret::from_reference;
use super::super::{document, path};
use super::Note;

/// Largest certificate file that is read; the bundle of all public
/// authorities is a quarter of that.
const LARGEST_CERTIFICATES: u64 = 1024 * 1024;

/// What the entry says about the transport, taken out of it.
pub(super) struct Transport {
    tls: Map<String, Value>,
    proxy: Option<Value>,
}

impl Transport {
    pub(super) fn take(entry: &mut Map<String, Value>, at: &str) -> Result<Self, ConfigError> {
        // A `request` of another type is refused with the rest of it, later.
        let (tls, proxy) = match entry.get_mut("request") {
            Some(Value::Object(request)) => (request.remove("tls"), request.remove("proxy")),
            _ => (None, None),
        };
        let tls = match tls {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(tls)) => tls,
            Some(other) => {
                let at = path::member(&path::member(at, "request"), "tls");
                return Err(ConfigError::wrong_secret(
                    &at,
                    &other,
                    "an object, such as { ca: \"ca.pem\" }",
                ));
            }
        };
        let proxy = proxy.filter(|value| !value.is_null());
        Ok(Self { tls, proxy })
    }

    /// The certificates of `request.tls.ca`, with a note for each setting that
    /// is not followed.
    pub(super) fn certificates(
        mut self,
        file: Option<&Path>,
        at: &str,
        environment: &Environment<'_>,
        notes: &mut Vec<Note>,
    ) -> Result<Option<String>, ConfigError> {
        let request = path::member(at, "request");
        let tls_at = path::member(&request, "tls");
        let ca = self.tls.remove("ca");
        let mut unsupported = |path: String, message: &str| {
            notes.push(Note {
                code: "unsupported-setting",
                path: Some(path),
                message: message.to_owned(),
            });
        };
        for (key, value) in &self.tls {
            let message = match (key.as_str(), value) {
                (_, Value::Null | Value::Bool(false)) => continue,
                ("insecureSkipVerify", _) => {
                    "not followed: certificates are always verified; \
                     put the server's authority into request.tls.ca"
                }
                ("cert" | "key" | "passphrase", _) => {
                    "not followed: client certificates are not supported"
                }
                _ => "not followed: of request.tls only ca is supported",
            };
            unsupported(path::member(&tls_at, key), message);
        }
        if self.proxy.is_some() {
            unsupported(
                path::member(&request, "proxy"),
                "not followed: proxies are not supported, the server is dialled itself",
            );
        }
        let at = path::member(&tls_at, "ca");
        let text = match ca {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(text)) => interpolate_plain(&text, &at, environment)?,
            Some(Value::Object(reference)) => from_reference(&reference, &at, environment)?,
            Some(other) => return Err(ConfigError::wrong_type(&at, &other, CERTIFICATES)),
        };
        if text.trim().is_empty() {
            return Ok(None);
        }
        read_certificates(&text, file, &at, environment).map(Some)
    }
}

const CERTIFICATES: &str = "certificates as PEM text, or the name of a file that holds them";
const PEM: &str = "-----BEGIN CERTIFICATE-----";

/// PEM text stands for itself, as in OpenClaw; anything else is a file,
/// relative to the configuration file.
fn read_certificates(
    text: &str,
    file: Option<&Path>,
    at: &str,
    environment: &Environment<'_>,
) -> Result<String, ConfigError> {
    if text.contains(PEM) {
        return Ok(text.to_owned());
    }
    if text.contains("-----BEGIN") || text.contains('\n') {
        // Perhaps a private key: it is not quoted.
        let found = Value::String(String::new());
        return Err(ConfigError::wrong_secret(at, &found, CERTIFICATES));
    }
    let name = path::expand_home(text.trim(), home(environment).as_deref());
    let name = match file.and_then(Path::parent) {
        Some(directory) => directory.join(name),
        None => name,
    };
    let pem = document::read(&name, LARGEST_CERTIFICATES)?;
    if pem.contains(PEM) {
        return Ok(pem);
    }
    Err(ConfigError::Read {
        file: name,
        cause: format!("it holds no certificate (no {PEM:?}), and {at} names it"),
    })
}
