//! What differs between a recorded run and ours, field by field.

use std::collections::BTreeSet;

use serde_json::Value;

use super::product::{Ours, Outcome};
use super::recorded::Recorded;
use super::server::Sent;

/// One difference. What is not there is `absent`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) field: String,
    pub(super) theirs: String,
    pub(super) ours: String,
}

/// The connection's own fields, which the recordings do not keep.
const OF_THE_CONNECTION: [&str; 3] = ["host", "connection", "content-length"];

/// Fields whose value tells of a machine or of a moment.
const VALUE_NOT_SHOWN: [&str; 1] = ["traceparent"];

const ABSENT: &str = "absent";

#[derive(Default)]
struct Comparison {
    found: Vec<Found>,
    points: usize,
}

/// The differences (each once, however many messages have it), and how many
/// points were compared.
pub(super) fn compare(recorded: &Recorded, ours: &Ours) -> (Vec<Found>, usize) {
    let mut all = Comparison::default();
    for method in ["GET", "POST"] {
        let theirs = recorded.sent(method).to_string();
        all.point(
            &format!("requests.{method}"),
            &theirs,
            &ours.count(method).to_string(),
        );
        let own = ours.sent.iter().filter(|s| s.method == method);
        for (theirs, ours) in recorded.requests(method).into_iter().zip(own) {
            all.request(theirs, ours);
        }
    }
    all.outcome(recorded, ours);
    (all.found, all.points)
}

impl Comparison {
    fn point(&mut self, field: &str, theirs: &str, ours: &str) {
        self.points += 1;
        let found = Found {
            field: field.to_owned(),
            theirs: theirs.to_owned(),
            ours: ours.to_owned(),
        };
        if theirs != ours && !self.found.contains(&found) {
            self.found.push(found);
        }
    }

    fn value(&mut self, field: &str, theirs: Option<&Value>, ours: Option<&Value>) {
        // Numbers and objects are compared as values, not as they are written.
        match theirs == ours {
            true => self.points += 1,
            false => self.point(field, &show(theirs), &show(ours)),
        }
    }

    fn request(&mut self, theirs: &Value, ours: &Sent) {
        self.point("method", text(&theirs["method"]), &ours.method);
        self.point("path", text(&theirs["path"]), &ours.path);
        self.headers(&theirs["headers"], &ours.headers);
        let empty = serde_json::Map::new();
        let (theirs, ours) = (
            theirs["body"].as_object().unwrap_or(&empty),
            ours.body.as_object().unwrap_or(&empty),
        );
        for key in theirs.keys().chain(ours.keys()).collect::<BTreeSet<_>>() {
            let (theirs, ours) = (theirs.get(key), ours.get(key));
            match (key.as_str(), theirs, ours) {
                ("messages", Some(theirs), Some(ours)) => self.messages(theirs, ours),
                // The recordings keep a tool's name only.
                ("tools", Some(theirs), Some(ours)) => {
                    let names: Value = list(ours)
                        .iter()
                        .map(|tool| tool["function"]["name"].clone())
                        .collect();
                    self.value("tools", Some(theirs), Some(&names));
                    for tool in list(ours) {
                        let fields: Vec<_> = object_keys(&tool["function"]);
                        self.point(
                            "tools[].function",
                            "description, name, parameters",
                            &fields.join(", "),
                        );
                    }
                }
                _ => self.value(key, theirs, ours),
            }
        }
    }

    fn headers(&mut self, theirs: &Value, ours: &[(String, String)]) {
        let theirs: Vec<(String, String)> = theirs
            .as_object()
            .expect("headers")
            .iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), text(value).to_owned()))
            .collect();
        let of = |all: &[(String, String)], name: &str| {
            all.iter()
                .find(|(own, _)| own == name)
                .map_or(ABSENT.to_owned(), |(_, value)| value.clone())
        };
        let names: BTreeSet<&str> = theirs
            .iter()
            .chain(ours)
            .map(|(name, _)| name.as_str())
            .filter(|name| !OF_THE_CONNECTION.contains(name))
            .collect();
        for name in names {
            let (theirs, ours) = (of(&theirs, name), of(ours, name));
            let version = env!("CARGO_PKG_VERSION");
            let ours = ours.replace(&format!("/{version}"), "/<version>");
            if name.starts_with("x-stainless-") {
                self.point("headers.x-stainless-*", "sent", &ours);
            } else if VALUE_NOT_SHOWN.contains(&name) {
                self.point(&format!("headers.{name}"), "sent", &ours);
            } else {
                self.point(&format!("headers.{name}"), &theirs, &ours);
            }
        }
    }

    fn messages(&mut self, theirs: &Value, ours: &Value) {
        let (theirs, ours) = (list(theirs), list(ours));
        self.point(
            "messages.length",
            &theirs.len().to_string(),
            &ours.len().to_string(),
        );
        for (theirs, ours) in theirs.iter().zip(ours) {
            self.value("messages[].role", theirs.get("role"), ours.get("role"));
            let at = format!("messages[{}]", text(&theirs["role"]));
            let keys: BTreeSet<String> = object_keys(theirs)
                .into_iter()
                .chain(object_keys(ours))
                .collect();
            for key in keys {
                let field = format!("{at}.{key}");
                let (theirs, ours) = (theirs.get(&key), ours.get(&key));
                match (key.as_str(), theirs, ours) {
                    ("role", ..) => {}
                    ("content", Some(theirs), Some(ours)) => self.content(&field, theirs, ours),
                    ("tool_calls", Some(theirs), Some(ours)) => self.calls(&field, theirs, ours),
                    _ => self.value(&field, theirs, ours),
                }
            }
        }
    }

    fn content(&mut self, field: &str, theirs: &Value, ours: &Value) {
        self.point(field, &shape(theirs), &shape(ours));
        self.point(
            &format!("{field}.text"),
            &whole_text(theirs),
            &whole_text(ours),
        );
    }

    fn calls(&mut self, field: &str, theirs: &Value, ours: &Value) {
        let (theirs, ours) = (list(theirs), list(ours));
        self.point(
            &format!("{field}.length"),
            &theirs.len().to_string(),
            &ours.len().to_string(),
        );
        for (theirs, ours) in theirs.iter().zip(ours) {
            for pointer in ["/id", "/type", "/function/name", "/function/arguments"] {
                self.value(
                    &format!("{field}{}", pointer.replace('/', ".")),
                    theirs.pointer(pointer),
                    ours.pointer(pointer),
                );
            }
        }
    }

    fn outcome(&mut self, recorded: &Recorded, ours: &Ours) {
        let shown = recorded.text("/result/text").expect("what was shown");
        match &ours.outcome {
            Outcome::Models(models, _) => self.models(shown, models),
            Outcome::Failed(kind, _) => {
                let theirs = match recorded.failed() {
                    true => format!("error: {shown}"),
                    false => "answer".to_owned(),
                };
                self.point("outcome", &theirs, &format!("error: {kind}"));
            }
            Outcome::Answers(answers) => {
                let last = answers.last().expect("an answer");
                if recorded.failed() {
                    self.point("outcome", &format!("error: {shown}"), "answer");
                    return;
                }
                self.point("outcome", "answer", "answer");
                self.point("answer.text", shown, &last.text);
                let usages = list(&recorded.file["result"]["usage"]);
                // Some recordings keep the usage of the last turn only.
                let own = answers.iter().skip(answers.len() - usages.len());
                for (theirs, ours) in usages.iter().zip(own) {
                    self.usage(theirs, ours.usage.as_ref());
                }
            }
        }
    }

    fn usage(&mut self, theirs: &Value, ours: Option<&provider_host::types::Usage>) {
        let counts = [
            ("input", ours.map(|u| u.input)),
            ("output", ours.map(|u| u.output)),
            ("cacheRead", ours.map(|u| u.cache_read)),
            ("cacheWrite", ours.map(|u| u.cache_write)),
            ("totalTokens", ours.map(|u| u.total)),
        ];
        for (name, ours) in counts {
            let ours = ours.map_or("not known".to_owned(), |n| n.to_string());
            self.point(&format!("usage.{name}"), &theirs[name].to_string(), &ours);
        }
        let dollars = |amount: f64| format!("{amount:.9}");
        let theirs = theirs["cost"]["total"].as_f64().expect("a cost");
        let ours = ours.and_then(|u| u.cost.as_ref()).map(|cost| cost.total);
        let ours = ours.map_or("not known".to_owned(), dollars);
        self.point("usage.cost", &dollars(theirs), &ours);
    }

    /// The table of `models list`, which rounds: 1,024 to the `k` in April,
    /// 1,000 later.
    fn models(&mut self, table: &str, ours: &[(String, u32)]) {
        let rows: Vec<(String, String)> = table
            .lines()
            .filter_map(|line| {
                let mut words = line.split_whitespace();
                let id = words.next()?.strip_prefix("vllm/")?;
                Some((id.to_owned(), words.nth(1)?.to_owned()))
            })
            .collect();
        let sorted = |ids: Vec<&str>| {
            let mut ids = ids;
            ids.sort_unstable();
            ids.join(", ")
        };
        self.point(
            "models",
            &sorted(rows.iter().map(|(id, _)| id.as_str()).collect()),
            &sorted(ours.iter().map(|(id, _)| id.as_str()).collect()),
        );
        for (id, theirs) in &rows {
            let Some((_, tokens)) = ours.iter().find(|(own, _)| own == id) else {
                continue;
            };
            let rounded = format!("{:.0}k", f64::from(*tokens) / 1_000.0);
            match rounded == *theirs {
                true => self.points += 1,
                false => self.point(
                    &format!("models[{id}].context"),
                    theirs,
                    &tokens.to_string(),
                ),
            }
        }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn object_keys(value: &Value) -> Vec<String> {
    let keys = value.as_object().into_iter().flat_map(|o| o.keys());
    let mut keys: Vec<String> = keys.cloned().collect();
    keys.sort_unstable();
    keys
}

fn show(value: Option<&Value>) -> String {
    match value {
        None => ABSENT.to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

fn shape(content: &Value) -> String {
    match content {
        Value::Null => "null".to_owned(),
        Value::String(_) => "a string".to_owned(),
        Value::Array(parts) if parts.len() == 1 => "one text part".to_owned(),
        Value::Array(parts) => format!("{} parts", parts.len()),
        other => other.to_string(),
    }
}

fn whole_text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().map(|part| text(&part["text"])).collect(),
        _ => String::new(),
    }
}
