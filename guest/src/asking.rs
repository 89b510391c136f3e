//! A question to the server that has one short answer, beside the chat and the
//! discovery: how long a prompt is, which version the server has.
//!
//! In goes the answer as the transport read it, out comes its JSON object or
//! the typed error that a chat to the same server would end in.

use alloc::string::String;
use alloc::vec::Vec;

use crate::config::Config;
use crate::error::{self, Context};
use crate::types::{Error, HttpRequest, TransportFailure};

/// Most bytes of an answer that are looked at. What else there is (a token list
/// of a long prompt has megabytes) is read and passed over.
pub const KEPT_BYTES: usize = 64 << 10;

/// Most bytes of an answer that are passed over: a list of ten million tokens.
pub const MAX_BYTES: usize = 64 << 20;

/// Time for the whole exchange, in milliseconds, where the user sets none. A
/// server that is busy generating takes seconds to tokenize a long prompt.
pub const TIMEOUT_MS: u64 = 30_000;

/// A question, ready to be sent.
#[derive(Debug, Clone)]
pub struct Asking {
    /// What is sent.
    pub http: HttpRequest,
    /// What its answer is judged with.
    pub context: Context,
    /// Time for the whole exchange, in milliseconds.
    pub timeout_ms: u64,
}

impl Asking {
    /// A question to what lies at the server's root, beside `/v1`: a `GET`, or a
    /// `POST` where there is a body.
    pub(crate) fn root(
        config: &Config,
        resource: &str,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    ) -> Self {
        let base = config.base_url();
        let root = base.root();
        let method = if body.is_empty() { "GET" } else { "POST" };
        Self {
            http: HttpRequest {
                method,
                url: root.join(resource),
                headers,
                body,
            },
            context: Context {
                method,
                url: root.display(resource),
                model: None,
                base_has_v1: base.has_v1(),
                has_key: config.sends_key(),
            },
            timeout_ms: config.timeout_ms().unwrap_or(TIMEOUT_MS),
        }
    }

    /// The error of a question that got no answer.
    pub fn failed(&self, failure: &TransportFailure) -> Error {
        error::from_transport(&self.context, failure)
    }
}
