//! Recorded exchanges, and what they must decode to where somebody wrote that down.

use std::path::Path;

use serde_json::Value;

use crate::bindings::types::Event;
use crate::error::{Error, ErrorKind, Result};
use crate::exercise::{End, Exchange, Failure, Outcome};

/// The file of a case that says what it must decode to.
const EXPECTED: &str = "expected.json";

/// Most bytes of it: 16 MiB.
const MAX_EXPECTED_BYTES: u64 = 16 << 20;

/// A recorded exchange.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Recorded {
    /// What was asked and what came back.
    pub exchange: Exchange,
    /// What it must decode to.
    pub expected: Option<Expected>,
}

impl From<Exchange> for Recorded {
    fn from(exchange: Exchange) -> Self {
        Self {
            exchange,
            expected: None,
        }
    }
}

impl Recorded {
    /// Reads a folder of recordings in the form of `tests/fixtures/vllm`: a folder a case, `expected.json` where it is
    /// known.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Host`]: the folder can't be read or holds none, or something in it is not what it should be.
    pub fn load(folder: &Path) -> Result<Vec<Self>> {
        let found = Exchange::load_beside(folder, Some((EXPECTED, MAX_EXPECTED_BYTES)))?;
        let all = found.into_iter().map(|(exchange, expected)| {
            let expected = match expected {
                Some(bytes) => Some(serde_json::from_slice(&bytes).map_err(|why| {
                    let case = folder.join(&exchange.name);
                    let why = format!("{EXPECTED} of {} is not JSON: {why}", case.display());
                    Error::new(ErrorKind::Host, why)
                })?),
                None => None,
            };
            Ok(Self {
                exchange,
                expected: expected.map(Expected),
            })
        });
        all.collect()
    }

    /// Whether the answer came whole and is no refusal.
    pub(super) fn is_good(&self) -> bool {
        (200..300).contains(&self.exchange.status)
            && self.exchange.end == End::Complete
            && !self.exchange.body.is_empty()
    }

    /// Whether somebody wrote down that it decodes without an error, or wrote down nothing.
    pub(super) fn decodes(&self) -> bool {
        let error = self.expected.as_ref().map(|expected| &expected.0["error"]);
        self.is_good() && error.is_none_or(Value::is_null)
    }
}

/// Events in the forms of `chat --json` and an error, as `expected.json` has them.
#[derive(Clone, Debug)]
pub struct Expected(Value);

impl Expected {
    /// How an answer differs. Of events and errors those fields count that are written down; of an error's message, that it
    /// holds the texts of `message_contains`.
    ///
    /// # Errors
    ///
    /// The first difference.
    pub fn compare(
        &self,
        events: &[Event],
        error: Option<&Failure>,
    ) -> std::result::Result<(), String> {
        let came = Outcome {
            events: events.to_vec(),
            error: error.cloned(),
            ..Outcome::default()
        };
        let mut came = came.lines();
        let end = came.pop().unwrap_or_default();
        let expected = self.0["events"].as_array().map_or(&[][..], Vec::as_slice);
        for at in 0..expected.len().max(came.len()) {
            let (expected, came) = (expected.get(at), came.get(at));
            let same = expected.is_some_and(|one| came.is_some_and(|came| covers(one, came)));
            if !same {
                let text = |one: Option<&Value>| one.map_or("nothing".into(), Value::to_string);
                return Err(format!(
                    "event {at} is {}, where {} is expected",
                    text(came),
                    text(expected)
                ));
            }
        }
        let (expected, came) = (&self.0["error"], &end["error"]);
        if expected.is_null() || came.is_null() {
            return match expected == came {
                true => Ok(()),
                false => Err(format!(
                    "it ends in {end}, where the error {expected} is expected"
                )),
            };
        }
        let message = came["message"].as_str().unwrap_or_default();
        let parts = expected["message_contains"].as_array();
        let parts = parts.into_iter().flatten().filter_map(Value::as_str);
        match parts.into_iter().find(|part| !message.contains(part)) {
            Some(part) => Err(format!("the message does not say {part:?}: {message}")),
            None if covers(expected, came) => Ok(()),
            None => Err(format!("the error is {came}, where {expected} is expected")),
        }
    }
}

/// Whether each field that is expected is as it came.
fn covers(expected: &Value, came: &Value) -> bool {
    expected.as_object().is_some_and(|fields| {
        let mut fields = fields
            .iter()
            .filter(|(name, _)| *name != "message_contains");
        fields.all(|(name, value)| &came[name] == value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bindings::types::FinishReason;
    use serde_json::json;

    #[test]
    fn what_is_written_down_counts_and_nothing_else() {
        let events = [
            Event::Text("a".to_owned()),
            Event::Finish(FinishReason::Stop),
        ];
        let finish = json!({"type": "finish", "reason": "stop"});
        let cases = [
            (json!([{"type": "text", "text": "a"}, finish]), true),
            (json!([{"type": "text"}, finish]), true),
            (json!([{"type": "text", "text": "b"}, finish]), false),
            (json!([finish]), false),
            (json!([{"type": "text"}, finish, finish]), false),
        ];
        for (expected, same) in cases {
            let found = Expected(json!({"events": expected, "error": null}));
            assert_eq!(found.compare(&events, None).is_ok(), same, "{expected}");
        }
    }

    #[test]
    fn an_error_is_compared_by_its_facts_and_its_words() {
        let failure = Failure {
            kind: "server".into(),
            message: "it failed: exit status 2".into(),
            status: Some(500),
            code: None,
            retryable: true,
            retry_after_ms: None,
            request_sent: true,
            limit: None,
            requested: None,
            misplaced: None,
        };
        for (error, same) in [
            (json!({"kind": "server", "status": 500}), true),
            (
                json!({"kind": "server", "message_contains": ["status 2"]}),
                true,
            ),
            (
                json!({"kind": "server", "message_contains": ["status 3"]}),
                false,
            ),
            (json!({"kind": "protocol"}), false),
            (json!(null), false),
        ] {
            let expected = Expected(json!({"events": [], "error": error}));
            let found = expected.compare(&[], Some(&failure));
            assert_eq!(found.is_ok(), same, "{error}");
        }
    }
}
