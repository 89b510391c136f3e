//! How long the answer may be.

use alloc::boxed::Box;

use super::invalid;
use crate::config::Declared;
use crate::config::params::Params;
use crate::types::{ChatRequest, Error, Model};

/// The caller's limit, else the parameters', else the model's; where the size
/// of the prompt is known, at most what the context leaves, and never below 1.
///
/// There is no margin: a count of `/tokenize` is exact, and a server that finds
/// the sum too large says by how much. `contextTokens`, OpenClaw's cap on a
/// window, counts where it is the smaller one. With a prompt that fills the
/// context 1 is sent, so that the server words the overflow.
pub(super) fn tokens(
    model: &Model,
    declared: Option<&Declared>,
    params: &Params,
    request: &ChatRequest,
) -> Result<u32, Box<Error>> {
    if request.max_tokens == Some(0) {
        return Err(invalid(
            "max-tokens is 0, but an answer has at least 1 token",
        ));
    }
    let limit = request
        .max_tokens
        .or(params.max_tokens)
        .unwrap_or(model.max_tokens);
    let fitted = match request.prompt_tokens {
        None => limit,
        Some(prompt) => {
            let cap = declared.and_then(|d| d.context_tokens).unwrap_or(u32::MAX);
            let window = model.context_window.min(cap);
            limit.min(window.saturating_sub(prompt))
        }
    };
    Ok(fitted.max(1))
}
