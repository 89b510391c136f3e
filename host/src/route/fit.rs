//! Answers that fit into what the context leaves.
//!
//! A context is shared by prompt and answer. vLLM up to 0.30 refuses a request
//! whose prompt and limit are together more than it; later versions cut the
//! limit down, but refuse one that alone is larger than the context. So a limit
//! that might not fit is fitted before it is sent, and one that was refused is
//! fitted afterwards, once.

use std::time::Duration;

use crate::bindings::TokenCount;
use crate::bindings::types::{ChatRequest, ContentPart, Message, Model};
use crate::error::{Error, ErrorKind};

/// Longest time that counting a prompt may take before the chat goes on without
/// it: it is a help, not a condition.
pub(super) const COUNT_TIMEOUT: Duration = Duration::from_secs(5);

/// Tokens that a template may put around a message, generously.
const PER_MESSAGE: u64 = 16;
/// Tokens that a template may put before and after the conversation: some have a
/// whole system prompt of their own (gpt-oss a hundred tokens, Mistral Small 3
/// several hundred).
const PER_CHAT: u64 = 1_024;
/// Tokens of the instructions that a template writes where there are tools.
const PER_TOOLS: u64 = 512;

/// Whether the size of a prompt is counted before the request is sent, so that
/// the limit of the answer fits into what the context leaves. Counting is one
/// more request to the server, which generates nothing. A request that names its
/// `prompt_tokens` is never counted, and neither is one to a provider that does
/// not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Fit {
    /// If prompt and answer might be more than the context: a token has at
    /// least one byte, so that most chats are known to fit without asking.
    /// Images have no size that is known beforehand, and are counted.
    #[default]
    WhenItMatters,
    /// Always.
    Always,
    /// Never. A limit that is refused is still fitted once.
    Never,
}

impl Fit {
    /// Whether to count.
    pub(super) fn wants(self, model: &Model, request: &ChatRequest) -> bool {
        if request.prompt_tokens.is_some() {
            return false;
        }
        match self {
            Self::Never => false,
            Self::Always => true,
            Self::WhenItMatters => {
                let answer = u64::from(request.max_tokens.unwrap_or(model.max_tokens));
                match most_tokens(request) {
                    None => true,
                    Some(prompt) => prompt.saturating_add(answer) > u64::from(model.context_window),
                }
            }
        }
    }
}

/// More tokens than the prompt has; none if that can't be told.
fn most_tokens(request: &ChatRequest) -> Option<u64> {
    let mut bytes = PER_CHAT;
    let mut add = |length: usize| bytes = bytes.saturating_add(length as u64);
    let mut messages = 0_u64;
    for message in &request.messages {
        messages += 1;
        let parts = match message {
            Message::System(text) => {
                add(text.len());
                continue;
            }
            Message::User(parts) => parts,
            Message::Assistant(turn) => {
                add(turn.reasoning.as_ref().map_or(0, String::len));
                for call in &turn.tool_calls {
                    add(call.id.len() + call.name.len() + call.arguments.len());
                    messages += 1;
                }
                &turn.content
            }
            Message::Tool(result) => {
                add(result.call_id.len());
                &result.content
            }
        };
        for part in parts {
            match part {
                ContentPart::Text(text) => add(text.len()),
                ContentPart::Image(_) => return None,
            }
        }
    }
    for tool in &request.tools {
        add(tool.name.len() + tool.parameters.len());
        add(tool.description.as_ref().map_or(0, String::len));
        messages += 1;
    }
    if !request.tools.is_empty() {
        add(PER_TOOLS as usize);
    }
    Some(bytes.saturating_add(messages.saturating_mul(PER_MESSAGE)))
}

/// Puts a count into the request, and the server's own context, where it is
/// smaller than the one configured, into the model.
pub(super) fn apply(count: &TokenCount, model: &mut Model, request: &mut ChatRequest) {
    request.prompt_tokens = Some(count.prompt);
    if let Some(window) = count.context_window.filter(|window| *window > 0) {
        model.context_window = model.context_window.min(window);
        model.max_tokens = model.max_tokens.min(model.context_window);
    }
}

/// Whether a failure says that the limit of the answer was too large, and for
/// what context.
pub(super) fn too_large(error: &Error) -> Option<u64> {
    let oversize = matches!(error.kind(), ErrorKind::InvalidRequest) && error.retryable();
    error.limit().filter(|_| oversize)
}

/// The limit that fits into a context of `window` tokens, or into an answer of as many. `counted`
/// is the size of the prompt; without it, it is what the server said, and without that the most that
/// it can have. At least 1: what then still does not fit is the prompt, and the server says so.
pub(super) fn refitted(
    window: u64,
    counted: Option<u32>,
    model: &Model,
    request: &ChatRequest,
    error: &Error,
) -> u32 {
    let asked = u64::from(request.max_tokens.unwrap_or(model.max_tokens));
    let most = most_tokens(request);
    // What is left of the sum without the limit. It may be more than the text of the request can
    // have: a template of the server's may add to it.
    let said = error
        .requested()
        .and_then(|sum| sum.checked_sub(asked))
        .filter(|prompt| *prompt > 0 && *prompt < window);
    let counted = counted.map(u64::from);
    let room = match (counted.or(said), most) {
        // A prompt that alone fills the context would be what the server refused: this is the most
        // that it allows any answer.
        (Some(prompt), _) if prompt >= window && asked > window => window,
        (Some(prompt), _) => window.saturating_sub(prompt),
        (None, Some(most)) if most < window => window - most,
        // A prompt of many bytes is far fewer tokens; half of what there is
        // leaves it room, and the answer too.
        (None, _) => window / 2,
    };
    u32::try_from(room.min(asked)).unwrap_or(u32::MAX).max(1)
}
