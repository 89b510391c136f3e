//! Reads what `chat --json` writes, strictly: the line types there are, the
//! fields each of them has, their types and their order.

use serde_json::{Map, Value, json};

use super::process::Outcome;

const CALL: &[(&str, Is)] = &[
    ("id", text),
    ("name", text),
    ("arguments", text),
    ("valid", Value::is_boolean),
];
const PARTIAL_CALL: &[(&str, Is)] = &[("id", text), ("name", text), ("arguments", text)];
const USAGE: &[(&str, Is)] = &[
    ("input", count),
    ("output", count),
    ("cache_read", count),
    ("cache_write", count),
    ("reasoning", count_or_null),
    ("total", count),
];
const COST: &[(&str, Is)] = &[
    ("input", amount),
    ("output", amount),
    ("cache_read", amount),
    ("cache_write", amount),
    ("total", amount),
];
const TIMING: &[(&str, Is)] = &[("first_event_ms", amount), ("total_ms", amount)];
const ERROR: &[(&str, Is)] = &[
    ("kind", text),
    ("message", text),
    ("status", count_or_null),
    ("code", text_or_null),
    ("retryable", Value::is_boolean),
    ("retry_after_ms", count_or_null),
    ("request_sent", Value::is_boolean),
    ("limit", count_or_null),
    ("requested", count_or_null),
];
const PARTIAL: &[(&str, Is)] = &[
    ("text", text),
    ("reasoning", text),
    ("tool_calls", |value| are(value, PARTIAL_CALL)),
    ("usage", usage_or_null),
];
/// Stands in a last line only if there were any.
const RETRY: &[(&str, Is)] = &[
    ("action", |value| {
        ["retry", "refit", "fallback"].contains(&value.as_str().unwrap_or_default())
    }),
    ("model", some_text),
    ("kind", some_text),
    ("status", count_or_null),
    ("message", some_text),
    ("delay_ms", count),
];
const RESULT: &[(&str, Is)] = &[
    ("id", text),
    ("model", text),
    ("text", text),
    ("reasoning", text),
    ("tool_calls", |value| are(value, CALL)),
    ("finish_reason", text),
    ("usage", usage_or_null),
    ("cost", |value| value.is_null() || has(value, COST)),
    ("timing", |value| has(value, TIMING)),
];

/// The fields of a line, without its type; none: there is no such line.
fn fields(kind: &str) -> Option<&'static [(&'static str, Is)]> {
    Some(match kind {
        "start" => &[("id", text), ("model", text)],
        "reasoning" | "text" => &[("text", some_text)],
        "tool_call_start" => &[("index", count), ("id", some_text), ("name", text)],
        "tool_call_arguments" => &[("index", count), ("delta", some_text)],
        "tool_call_end" => &[
            ("index", count),
            ("id", some_text),
            ("name", text),
            ("arguments", text),
            ("valid", Value::is_boolean),
        ],
        "note" => &[
            ("code", some_text),
            ("path", text_or_null),
            ("message", some_text),
        ],
        "usage" => USAGE,
        "finish" => &[("reason", some_text)],
        "result" => RESULT,
        "error" => &[
            ("error", |value| has(value, ERROR)),
            ("partial", |value| value.is_null() || has(value, PARTIAL)),
        ],
        _ => return None,
    })
}

type Is = fn(&Value) -> bool;

fn text(value: &Value) -> bool {
    value.is_string()
}
fn some_text(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.is_empty())
}
fn text_or_null(value: &Value) -> bool {
    value.is_null() || text(value)
}
fn count(value: &Value) -> bool {
    value.is_u64()
}
fn count_or_null(value: &Value) -> bool {
    value.is_null() || count(value)
}
fn amount(value: &Value) -> bool {
    value.as_f64().is_some_and(|number| number >= 0.0)
}
fn usage_or_null(value: &Value) -> bool {
    value.is_null() || has(value, USAGE)
}
fn are(value: &Value, fields: &[(&str, Is)]) -> bool {
    let all = |calls: &Vec<Value>| calls.iter().all(|call| has(call, fields));
    value.as_array().is_some_and(all)
}

/// Whether an object has these fields and no others.
pub(super) fn has(value: &Value, fields: &[(&str, Is)]) -> bool {
    value.as_object().is_some_and(|object| {
        object.len() == fields.len()
            && fields
                .iter()
                .all(|(name, is)| object.get(*name).is_some_and(is))
    })
}

/// What one `chat --json` wrote.
#[derive(Debug)]
pub(super) struct Answer {
    /// The lines of events.
    pub(super) events: Vec<Value>,
    /// The line of type `result` or `error`.
    pub(super) last: Value,
}

impl Answer {
    /// Reads stdout, and holds the exit status against the last line.
    pub(super) fn of(outcome: &Outcome) -> Result<Self, String> {
        let mut events = outcome.json_lines();
        for line in &events {
            let kind = line["type"].as_str().unwrap_or_default();
            let fields = fields(kind).ok_or_else(|| format!("no line is like this: {line}"))?;
            let mut object: Map<String, Value> = line.as_object().cloned().unwrap_or_default();
            object.remove("type");
            if matches!(kind, "result" | "error")
                && let Some(retries) = object.remove("retries")
                && !retries.as_array().is_some_and(|retries| {
                    !retries.is_empty() && retries.iter().all(|retry| has(retry, RETRY))
                })
            {
                return Err(format!("no retries are like these: {retries}"));
            }
            if !has(&Value::Object(object), fields) {
                return Err(format!("other fields than those of {kind}: {line}"));
            }
        }
        let is_last = |line: &Value| line["type"] == "result" || line["type"] == "error";
        let last = events.pop().ok_or("nothing was written")?;
        if !is_last(&last) || events.iter().any(is_last) {
            return Err(format!("not exactly one last line: {}", outcome.stdout));
        }
        let answer = Self { events, last };
        answer.order()?;
        answer.adds_up()?;
        match (answer.error(), outcome.status) {
            (None, Some(0)) | (Some(_), Some(1 | 2 | 130)) => Ok(answer),
            (_, status) => Err(format!("exit status {status:?} for {}", answer.last)),
        }
    }

    /// The error object, if the chat failed.
    pub(super) fn error(&self) -> Option<&Value> {
        (self.last["type"] == "error").then(|| &self.last["error"])
    }

    pub(super) fn texts(&self, kind: &str) -> String {
        self.events
            .iter()
            .filter(|event| event["type"] == kind)
            .map(|event| event["text"].as_str().unwrap_or_default())
            .collect()
    }

    /// `start` first and once; `finish` last and once, with a result behind it
    /// and never with an error; no usage after it.
    fn order(&self) -> Result<(), String> {
        let kinds: Vec<&str> = self
            .events
            .iter()
            .map(|event| event["type"].as_str().unwrap_or_default())
            .collect();
        let number = |kind: &str| kinds.iter().filter(|found| **found == kind).count();
        let finished = kinds.last() == Some(&"finish");
        let holds = [
            kinds.first().is_none_or(|first| *first == "start"),
            number("start") == usize::from(!kinds.is_empty()),
            number("finish") == usize::from(finished),
            finished == self.error().is_none(),
        ];
        if holds.contains(&false) {
            return Err(format!("the order {kinds:?}, then {}", self.last));
        }
        Ok(())
    }

    /// The last line is the sum of the others.
    fn adds_up(&self) -> Result<(), String> {
        let of = |kind: &'static str| {
            self.events
                .iter()
                .filter(move |event| event["type"] == kind)
        };
        let usage = of("usage").next_back().map_or(Value::Null, |usage| {
            let mut usage = usage.clone();
            usage.as_object_mut().map(|object| object.remove("type"));
            usage
        });
        let calls: Vec<Value> = of("tool_call_start").map(|call| self.call(call)).collect();
        let sums = [
            ("text", Value::from(self.texts("text"))),
            ("reasoning", Value::from(self.texts("reasoning"))),
            ("tool_calls", Value::from(calls)),
            ("usage", usage),
        ];
        let (told, more) = match self.error() {
            Some(_) => (&self.last["partial"], Vec::new()),
            None => {
                let start = of("start").next().ok_or("no start")?;
                let finish = of("finish").next().ok_or("no finish")?;
                let more = vec![
                    ("id", start["id"].clone()),
                    ("model", start["model"].clone()),
                    ("finish_reason", finish["reason"].clone()),
                ];
                (&self.last, more)
            }
        };
        if told.is_null() {
            let is_nothing = |event: &Value| event["type"] == "start" || event["type"] == "note";
            let nothing = self.events.iter().all(is_nothing);
            return match nothing {
                true => Ok(()),
                false => Err(String::from("there is no partial answer, and events came")),
            };
        }
        match sums
            .iter()
            .chain(&more)
            .find(|(name, sum)| told[name] != *sum)
        {
            None => self.timing(),
            Some((name, sum)) => Err(format!("{name} is not {sum}: {told}")),
        }
    }

    /// A call as its pieces make it up; the end has the last word.
    fn call(&self, start: &Value) -> Value {
        let mut call = json!({"id": start["id"], "name": start["name"]});
        let mut arguments = String::new();
        for event in &self.events {
            if event["index"] != start["index"] {
                continue;
            }
            if let Some(delta) = event["delta"].as_str() {
                arguments.push_str(delta);
            }
            if event["type"] == "tool_call_end" {
                arguments = event["arguments"].as_str().unwrap_or_default().to_owned();
                if self.error().is_none() {
                    call["valid"] = event["valid"].clone();
                }
            }
        }
        call["arguments"] = Value::from(arguments);
        call
    }

    fn timing(&self) -> Result<(), String> {
        let timing = &self.last["timing"];
        let ordered = timing["first_event_ms"].as_f64() <= timing["total_ms"].as_f64();
        match ordered {
            true => Ok(()),
            false => Err(format!("the first event came after the last: {timing}")),
        }
    }
}
