//! What an entry says about the transport: certificates and proxies.
//!
//! Taken out before the plugin gets the entry: private keys and proxy passwords
//! are not its business. What is not followed gets a note.

use std::path::Path;

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::super::environment::{Environment, home};
use super::super::error::ConfigError;
use super::super::interpolation::interpolate_plain;
use super::super::secret::from_reference;
use super::super::{document, path};
use super::Note;
use super::proxy::{self, ProxyMode};
use crate::policy::origin::Scheme;
use crate::policy::{ClientIdentity, Origin, Proxy};

/// Largest file of certificates or of a key that is read; the bundle of all
/// public authorities is a quarter of that.
const LARGEST_PEM: u64 = 1024 * 1024;

/// What the entry says about the transport, taken out of it.
pub(super) struct Transport {
    tls: Map<String, Value>,
    proxy: Option<Value>,
}

/// The same, resolved.
pub(super) struct Resolved {
    pub(super) ca_pem: Option<String>,
    pub(super) server_name: Option<String>,
    pub(super) client_identity: Option<ClientIdentity>,
    pub(super) proxy_mode: ProxyMode,
    pub(super) proxy: Option<Proxy>,
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

    /// Certificates, the client's key and the proxy for the server at `base_url`,
    /// with a note for each setting that is not followed.
    pub(super) fn resolve(
        self,
        file: Option<&Path>,
        at: &str,
        base_url: &str,
        environment: &Environment<'_>,
        notes: &mut Vec<Note>,
    ) -> Result<Resolved, ConfigError> {
        let request = path::member(at, "request");
        let tls_at = path::member(&request, "tls");
        let reader = Reader {
            tls: &self.tls,
            file,
            at: &tls_at,
            environment,
        };
        let ca_pem = reader.pem("ca", &CERTIFICATES)?;
        let server_name = reader.server_name()?;
        let client_identity = reader.client_identity()?;
        let origin = Origin::parse(base_url);
        let over_tls = origin.is_ok_and(|origin| origin.scheme() == Scheme::Https);
        let mut note = |path: String, message: &str| {
            notes.push(Note {
                code: "unsupported-setting",
                path: Some(path),
                message: message.to_owned(),
            });
        };
        for (key, value) in &self.tls {
            let message = match (key.as_str(), value) {
                ("ca" | "serverName", _) | (_, Value::Null | Value::Bool(false)) => continue,
                ("cert" | "key", _) if client_identity.is_none() => continue,
                ("cert" | "key", _) if over_tls => continue,
                ("cert" | "key", _) => {
                    "not used: a client certificate is presented over TLS, and baseUrl begins \
                     with http://"
                }
                ("insecureSkipVerify", _) => {
                    "not followed: certificates are always verified; \
                     put the server's authority into request.tls.ca"
                }
                ("passphrase", _) => {
                    "not followed: encrypted keys are not supported; decrypt the key with \
                     `openssl pkey -in KEY -out PLAIN-KEY` and name that in request.tls.key"
                }
                _ => "not followed: of request.tls, ca, cert, key and serverName are supported",
            };
            note(path::member(&tls_at, key), message);
        }
        let proxy_at = path::member(&request, "proxy");
        let (proxy_mode, proxy) = match &self.proxy {
            None => (ProxyMode::None, None),
            Some(setting) => proxy::resolve(setting, &proxy_at, base_url, environment, &mut note)?,
        };
        Ok(Resolved {
            ca_pem,
            server_name,
            client_identity,
            proxy_mode,
            proxy,
        })
    }
}

/// A kind of PEM text.
struct Kind {
    /// What may stand in the setting.
    allowed: &'static str,
    /// What the text holds.
    holds: &'static str,
    /// How such a text begins.
    begin: &'static str,
    secret: bool,
}

const CERTIFICATES: Kind = Kind {
    allowed: "certificates as PEM text, or the name of a file that holds them",
    holds: "certificate",
    begin: "-----BEGIN CERTIFICATE-----",
    secret: false,
};

const KEY: Kind = Kind {
    allowed: "a private key as PEM text, or the name of a file that holds one",
    holds: "private key",
    begin: "-----BEGIN PRIVATE KEY-----",
    secret: true,
};

impl Kind {
    fn is_in(&self, text: &str) -> bool {
        match self.secret {
            // `RSA PRIVATE KEY`, `EC PRIVATE KEY`, `ENCRYPTED PRIVATE KEY`.
            true => text.contains("-----BEGIN ") && text.contains("PRIVATE KEY-----"),
            false => text.contains(self.begin),
        }
    }
}

/// Reads the members of `request.tls`.
struct Reader<'a> {
    tls: &'a Map<String, Value>,
    /// The configuration file.
    file: Option<&'a Path>,
    at: &'a str,
    environment: &'a Environment<'a>,
}

impl Reader<'_> {
    /// The text of a setting, or what its variable holds. None: it is not set.
    fn text(&self, key: &str, allowed: &str, secret: bool) -> Result<Option<String>, ConfigError> {
        let at = path::member(self.at, key);
        let wrong = match secret {
            true => ConfigError::wrong_secret,
            false => ConfigError::wrong_type,
        };
        let text = match self.tls.get(key) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(text)) => interpolate_plain(text, &at, self.environment)?,
            Some(Value::Object(reference)) => from_reference(reference, &at, self.environment)?,
            Some(other) => return Err(wrong(&at, other, allowed)),
        };
        Ok(Some(text).filter(|text| !text.trim().is_empty()))
    }

    /// PEM text stands for itself, as in OpenClaw; anything else is a file,
    /// relative to the configuration file.
    fn pem(&self, key: &str, kind: &Kind) -> Result<Option<String>, ConfigError> {
        let Some(text) = self.text(key, kind.allowed, kind.secret)? else {
            return Ok(None);
        };
        if kind.is_in(&text) {
            return Ok(Some(text));
        }
        let at = path::member(self.at, key);
        if text.contains("-----BEGIN") || text.contains('\n') || is_bare_key(&text) {
            // Perhaps a private key: it is not quoted, and is not the name of a file.
            let found = Value::String(String::new());
            return Err(ConfigError::wrong_secret(&at, &found, kind.allowed));
        }
        let name = path::expand_home(text.trim(), home(self.environment).as_deref());
        let name = match self.file.and_then(Path::parent) {
            Some(directory) => directory.join(name),
            None => name,
        };
        let pem = document::read(&name, LARGEST_PEM).map_err(|error| match error {
            ConfigError::Read { file, cause } => {
                let cause = format!("{cause} ({at} names it)");
                ConfigError::Read { file, cause }
            }
            other => other,
        })?;
        if kind.is_in(&pem) {
            return Ok(Some(pem));
        }
        Err(ConfigError::Read {
            file: name,
            cause: format!(
                "it holds no {} (no {:?}), and {at} names it",
                kind.holds, kind.begin
            ),
        })
    }

    fn server_name(&self) -> Result<Option<String>, ConfigError> {
        let allowed = "the name that the server's certificate is for";
        let name = self.text("serverName", allowed, false)?;
        Ok(name.map(|name| name.trim().to_owned()))
    }

    /// Certificate and key. What they hold is looked at when the egress is built.
    fn client_identity(&self) -> Result<Option<ClientIdentity>, ConfigError> {
        let certificates = self.pem("cert", &CERTIFICATES)?;
        let key = self.pem("key", &KEY)?.map(Zeroizing::new);
        let lacks = |set: &str, missing: &str| {
            Err(ConfigError::Unusable {
                path: path::member(self.at, set),
                why: format!(
                    "a client certificate needs both cert and key, and {} is not set (if one \
                     file holds both, name it in both)",
                    path::member(self.at, missing)
                ),
            })
        };
        match (certificates, key) {
            (None, None) => Ok(None),
            (Some(_), None) => lacks("cert", "key"),
            (None, Some(_)) => lacks("key", "cert"),
            (Some(certificates), Some(key)) => {
                Ok(Some(ClientIdentity::from_pem(certificates, key.as_bytes())))
            }
        }
    }
}

/// Whether a text is a key or a certificate without the lines around it: base64 of a DER sequence,
/// longer than the names of files are.
fn is_bare_key(text: &str) -> bool {
    let text = text.trim();
    let coded = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    text.len() >= 60 && text.starts_with('M') && text.bytes().all(coded)
}
