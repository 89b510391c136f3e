//! Recorded exchanges, and what they must decode to where somebody wrote that down.

use std::path::Path;

use serde_json::Value;

use crate::bindings::types::Event;
use crate::error::{Error, ErrorKind, Result};
use crate::exercise::{BASE_URL, End, Exchange, Failure, Outcome};

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
    /// It is built in, and the answer holds no error.
    known_good: bool,
}

impl From<Exchange> for Recorded {
    fn from(exchange: Exchange) -> Self {
        Self {
            exchange,
            expected: None,
            known_good: false,
        }
    }
}

/// The built-in recordings whose answers have an error where the status promises none.
const FAIL_LATER: &[&str] = &[
    "93-engine-dies-during-stream",
    "v0.11.0-26-tool-required-stream",
];

impl Recorded {
    /// The recordings that are built in. What they decode to depends on the plugin, whether they
    /// decode does not.
    #[must_use]
    pub fn built_in() -> Vec<Self> {
        let mut all: Vec<Self> = Exchange::built_in().into_iter().map(Self::from).collect();
        for one in &mut all {
            one.known_good = !FAIL_LATER.contains(&one.exchange.name.as_str());
        }
        all
    }

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
                known_good: false,
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

    /// Whether it may decode without an error: it came whole, and `expected.json` does not say
    /// otherwise. Without an `expected.json` it may still hold an error, such as one in the middle
    /// of a stream, so that a check compares with what a plain run of it gives.
    pub(super) fn may_end_well(&self) -> bool {
        self.is_good() && self.expected_error().is_none_or(Value::is_null)
    }

    /// Whether it is known to decode without an error.
    pub(super) fn ends_well(&self) -> bool {
        let written = self.expected_error().is_some_and(Value::is_null);
        self.is_good() && (written || self.known_good)
    }

    fn expected_error(&self) -> Option<&Value> {
        let expected = self.expected.as_ref()?;
        Some(&expected.0["error"])
    }

    /// An explanation, if `difference` quotes the address that the exchange was recorded at.
    pub(super) fn names_its_server(&self, difference: &str) -> Option<String> {
        let host = self.exchange.host.as_deref()?;
        difference.contains(host).then(|| {
            format!(
                "it was recorded at {host}, and this check answers at {BASE_URL}, which is what a \
                 message names: leave the address out of message_contains in {EXPECTED}"
            )
        })
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
    fn a_built_in_recording_ends_well_if_its_expectation_says_so() {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/vllm");
        let mut compared = 0;
        for one in Recorded::built_in() {
            let file = fixtures.join(&one.exchange.name).join(EXPECTED);
            let Ok(text) = std::fs::read(file) else {
                continue;
            };
            let expected: Value = serde_json::from_slice(&text).expect("JSON");
            let well = expected["error"].is_null();
            assert_eq!(one.ends_well(), well, "{}", one.exchange.name);
            compared += 1;
        }
        assert!(compared > 10, "{compared}");
    }

    #[test]
    fn a_recording_without_expectations_is_not_known_to_end_well() {
        let all = Exchange::built_in().into_iter().map(Recorded::from);
        let mut whole = all.filter(Recorded::is_good).peekable();
        assert!(whole.peek().is_some());
        assert!(whole.all(|one| one.may_end_well() && !one.ends_well()));
    }

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
