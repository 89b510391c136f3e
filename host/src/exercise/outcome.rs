//! What became of a call, to be compared and printed.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::bindings::types::{self, Event};
use crate::bindings::{ServerHealth, TokenCount};
use crate::egress::TransportError;
use crate::error::Error;
use crate::policy::Denial;

/// What a call gave, and the error that it ended in.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Outcome {
    /// What a call other than a chat returned; none: it failed.
    pub value: Option<Value>,
    /// The events of a chat.
    pub events: Vec<Event>,
    /// What it ended in.
    pub error: Option<Failure>,
    /// The chat gave more than [`super::MAX_EVENTS`] events and was dropped.
    pub endless: bool,
}

/// What a call other than a chat returns.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Value {
    /// `check-settings`.
    Notes(Vec<types::Note>),
    /// `list-models`.
    Catalog(types::Catalog),
    /// `resolve-model`.
    Model(types::Model),
    /// `count-tokens`; none: the plugin does not count.
    Tokens(Option<TokenCount>),
    /// `check-health`; none: the plugin does not tell.
    Health(Option<ServerHealth>),
}

impl PartialEq for Value {
    /// As they are printed: the types of optional interfaces have an equality of their own for floats.
    fn eq(&self, other: &Self) -> bool {
        self.to_json() == other.to_json()
    }
}

impl Value {
    /// The value in JSON.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Notes(notes) => json!({ "type": "notes", "notes": notes }),
            Self::Catalog(catalog) => json!({ "type": "catalog", "catalog": catalog }),
            Self::Model(model) => json!({ "type": "model", "model": model }),
            Self::Tokens(count) => json!({ "type": "tokens", "count": count }),
            Self::Health(health) => json!({ "type": "health", "health": health }),
        }
    }
}

/// An [`Error`] as a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// [`Error::kind_name`].
    pub kind: String,
    /// What happened and what to do.
    pub message: String,
    /// HTTP status.
    pub status: Option<u16>,
    /// The server's own name of the error.
    pub code: Option<String>,
    /// Whether the same request may succeed later.
    pub retryable: bool,
    /// How long the server asks to wait first, in milliseconds.
    pub retry_after_ms: Option<u64>,
    /// Whether the request left.
    pub request_sent: bool,
    /// The limit that was hit, in tokens.
    pub limit: Option<u64>,
    /// What was asked for, in tokens.
    pub requested: Option<u64>,
    /// Where the plugin put a placeholder that may not stand there, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub misplaced: Option<String>,
}

impl Failure {
    /// An error's facts.
    #[must_use]
    pub fn of(error: &Error) -> Self {
        let wait = error.retry_after().map(|wait| wait.as_millis());
        Self {
            kind: error.kind_name().into_owned(),
            message: error.message().to_owned(),
            status: error.status(),
            code: error.code().map(str::to_owned),
            retryable: error.retryable(),
            retry_after_ms: wait.map(|wait| u64::try_from(wait).unwrap_or(u64::MAX)),
            request_sent: error.request_sent(),
            limit: error.limit(),
            requested: error.requested(),
            misplaced: misplaced(error),
        }
    }
}

/// A misplaced secret among the causes of an error. Other denials may be the settings' doing.
fn misplaced(error: &Error) -> Option<String> {
    let cause = std::error::Error::source(error)?;
    match cause.downcast_ref()? {
        TransportError::Denied(Denial::Secret(why)) => Some(why.to_string()),
        _ => None,
    }
}

impl Outcome {
    pub(super) fn of(value: Value) -> Self {
        Self {
            value: Some(value),
            ..Self::default()
        }
    }

    pub(super) fn failed(error: &Error) -> Self {
        Self {
            error: Some(Failure::of(error)),
            ..Self::default()
        }
    }

    /// The text of an answer.
    #[must_use]
    pub fn text(&self) -> String {
        let text = |event: &Event| match event {
            Event::Text(text) => Some(text.clone()),
            _ => None,
        };
        self.events.iter().filter_map(text).collect()
    }

    /// The same with pieces that follow each other put together: text, thinking, the arguments of one call. Where a
    /// plugin cuts its pieces is its own business; what they say is not.
    #[must_use]
    pub fn merged(&self) -> Self {
        let mut events: Vec<Event> = Vec::with_capacity(self.events.len());
        for event in &self.events {
            match (events.last_mut(), event) {
                (Some(Event::Text(before)), Event::Text(piece))
                | (Some(Event::Reasoning(before)), Event::Reasoning(piece)) => {
                    before.push_str(piece);
                }
                (Some(Event::ToolCallArguments(before)), Event::ToolCallArguments(piece))
                    if before.index == piece.index =>
                {
                    before.delta.push_str(&piece.delta);
                }
                _ => events.push(event.clone()),
            }
        }
        Self {
            value: self.value.clone(),
            events,
            error: self.error.clone(),
            endless: self.endless,
        }
    }

    /// One JSON object a line: what was returned or the events in the forms of `chat --json`, then `end` or the error.
    #[must_use]
    pub fn lines(&self) -> Vec<serde_json::Value> {
        let mut lines: Vec<_> = self.value.iter().map(Value::to_json).collect();
        lines.extend(self.events.iter().map(event));
        lines.push(match &self.error {
            Some(error) => json!({ "type": "error", "error": error }),
            None if self.endless => json!({ "type": "endless" }),
            None => json!({ "type": "end" }),
        });
        lines
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in self.lines() {
            writeln!(f, "{line}")?;
        }
        Ok(())
    }
}

fn event(event: &Event) -> serde_json::Value {
    use types::FinishReason as F;
    match event {
        Event::Start(start) => json!({ "type": "start", "id": start.id, "model": start.model }),
        Event::Text(text) => json!({ "type": "text", "text": text }),
        Event::Reasoning(text) => json!({ "type": "reasoning", "text": text }),
        Event::ToolCallStart(call) => json!({
            "type": "tool_call_start", "index": call.index, "id": call.id, "name": call.name,
        }),
        Event::ToolCallArguments(call) => json!({
            "type": "tool_call_arguments", "index": call.index, "delta": call.delta,
        }),
        Event::ToolCallEnd(call) => json!({
            "type": "tool_call_end", "index": call.index, "id": call.id, "name": call.name,
            "arguments": call.arguments, "valid": call.valid,
        }),
        Event::Usage(usage) => json!({
            "type": "usage", "input": usage.input, "output": usage.output,
            "cache_read": usage.cache_read, "cache_write": usage.cache_write,
            "reasoning": usage.reasoning, "total": usage.total,
        }),
        Event::Note(note) => json!({ "type": "note", "code": note.code, "message": note.message }),
        Event::Finish(reason) => json!({ "type": "finish", "reason": match reason {
            F::Stop => "stop",
            F::Length => "length",
            F::ToolCalls => "tool_calls",
            F::ContentFilter => "content_filter",
            F::Other(word) => word,
        }}),
        Event::Other(other) => json!({ "type": other.name, "value": other.value }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::ToolCallArguments;

    #[test]
    fn pieces_that_follow_each_other_are_one_when_merged() {
        let piece = |index, delta: &str| {
            let delta = delta.to_owned();
            Event::ToolCallArguments(ToolCallArguments { index, delta })
        };
        let text = |text: &str| Event::Text(text.to_owned());
        let outcome = Outcome {
            events: vec![
                text("a"),
                text("b"),
                piece(0, "{"),
                piece(0, "}"),
                piece(1, "{"),
                text("c"),
            ],
            ..Outcome::default()
        };
        let merged = outcome.merged();
        assert_eq!(
            merged.events,
            [text("ab"), piece(0, "{}"), piece(1, "{"), text("c")]
        );
        assert_eq!(merged.text(), "abc");
        assert_eq!(merged.lines().len(), 5);
    }
}
