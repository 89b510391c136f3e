//! A provider that attacks its host: what the sandbox is tested with.
//!
//! It is built like any provider, and the host cannot tell it from one before it runs. The settings say which attack it
//! makes, and in which function; without one it behaves. An attack that is stopped by the sandbox never returns. One that
//! is refused step by step returns what became of each step, and the answer of the chat is that list, so that the test
//! sees what the attacker saw.
#![cfg(target_arch = "wasm32")]

mod attacks;
mod bindings;
mod border;
mod http;
mod provider;

use bindings::llm::provider::types::{Error, ErrorKind, Settings};
pub(crate) use provider::{Hostile, Stream};

#[allow(unsafe_code, reason = "the attribute names a section of the file")]
#[unsafe(link_section = "llm-provider-manifest")]
#[used]
static MANIFEST: [u8; JSON.len()] = {
    let mut bytes = [0; JSON.len()];
    bytes.copy_from_slice(JSON);
    bytes
};

const JSON: &[u8] = br#"{"id":"hostile","label":"Hostile","api":"openai-completions","version":"0.1.0","config_schema":{"additionalProperties":true}}"#;

/// What the settings order.
#[derive(Clone)]
pub(crate) struct Orders {
    /// Name of the attack.
    pub(crate) attack: String,
    /// The function that makes it.
    pub(crate) at: String,
    /// The server that the grant names: `host:port`.
    pub(crate) granted: String,
    /// A server that it does not name.
    pub(crate) other: String,
    /// The placeholder of the key.
    pub(crate) key: String,
    /// The request that the attack `one-request` makes: path, header fields as `name=value` with
    /// `|` between them, and body. `KEY` stands for the placeholder of the key, `TEAM` for that of
    /// the header `X-Team`, and `PAD` for as many bytes as `pad` says.
    pub(crate) request: [String; 3],
}

impl Orders {
    pub(crate) fn new(settings: &Settings) -> Self {
        let config = settings.config.as_deref().unwrap_or_default();
        // The test writes them without anything to escape.
        let field = |name: &str| {
            let (_, rest) = config.split_once(&format!("\"{name}\":\""))?;
            rest.split_once('"').map(|(value, _)| value.to_owned())
        };
        let field = |name| field(name).unwrap_or_default();
        Self {
            attack: field("attack"),
            at: field("at"),
            granted: field("granted"),
            other: field("other"),
            key: settings.api_key.clone().unwrap_or_default(),
            request: ["path", "fields", "body"].map(|name| {
                let pad = "p".repeat(field("pad").parse().unwrap_or_default());
                field(name)
                    .replace("KEY", settings.api_key.as_deref().unwrap_or_default())
                    .replace("TEAM", &field("X-Team"))
                    .replace("PAD", &pad)
            }),
        }
    }

    /// Attacks, if this is the place; gives what became of the steps.
    pub(crate) fn follow(&self, at: &str) -> Result<Vec<String>, Error> {
        if self.at != at {
            return Ok(Vec::new());
        }
        match self.attack()? {
            attacks::Attack::Does(attack) => Ok(attack(self)),
            attacks::Attack::Says(_) | attacks::Attack::Returns(_) => Ok(Vec::new()),
        }
    }

    /// The attack that is ordered.
    pub(crate) fn attack(&self) -> Result<&'static attacks::Attack, Error> {
        let found = attacks::ALL.iter().find(|(name, _)| *name == self.attack);
        let none = || error(format!("there is no attack {:?}", self.attack));
        found.map(|(_, attack)| attack).ok_or_else(none)
    }
}

/// An error of the plugin's own.
pub(crate) fn error(message: String) -> Error {
    Error {
        kind: ErrorKind::Other("hostile".into()),
        message,
        status: None,
        code: None,
        retryable: false,
        retry_after_ms: None,
        request_sent: false,
        limit: None,
        requested: None,
    }
}
