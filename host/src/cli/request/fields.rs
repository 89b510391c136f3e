//! Typed reading of a JSON object: what is there, at which path, and which
//! keys nobody asked for.

use provider_host::types;
use serde_json::{Map, Value};

/// Why a file is not understood: `messages[0].role is the number 3; allowed is …`.
pub(super) type Refusal = String;

/// An object being read. Keys are taken out; what is left was not known.
pub(super) struct Fields<'a> {
    path: String,
    object: Map<String, Value>,
    warn: &'a mut dyn FnMut(String),
}

impl<'a> Fields<'a> {
    pub(super) fn new(
        value: Value,
        path: &str,
        warn: &'a mut dyn FnMut(String),
    ) -> Result<Self, Refusal> {
        match value {
            Value::Object(object) => Ok(Self {
                path: path.to_owned(),
                object,
                warn,
            }),
            other => Err(refuse(path, &other, "an object")),
        }
    }

    /// Where a key of this object stands.
    pub(super) fn at(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    /// Who is told of what is ignored.
    pub(super) fn warn(&mut self) -> &mut dyn FnMut(String) {
        self.warn
    }

    /// The value of a key; none if it is absent or null.
    pub(super) fn take(&mut self, key: &str) -> Option<Value> {
        self.object.remove(key).filter(|value| !value.is_null())
    }

    /// The value of a key, read by `read`, which says none to a value that it
    /// can't use.
    pub(super) fn read<T>(
        &mut self,
        key: &str,
        allowed: &str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<Option<T>, Refusal> {
        let Some(value) = self.take(key) else {
            return Ok(None);
        };
        match read(&value) {
            Some(read) => Ok(Some(read)),
            None => Err(refuse(&self.at(key), &value, allowed)),
        }
    }

    pub(super) fn text(&mut self, key: &str) -> Result<Option<String>, Refusal> {
        self.read(key, "a text", |value| value.as_str().map(str::to_owned))
    }

    pub(super) fn flag(&mut self, key: &str) -> Result<Option<bool>, Refusal> {
        self.read(key, "true or false", Value::as_bool)
    }

    pub(super) fn number(&mut self, key: &str) -> Result<Option<f64>, Refusal> {
        self.read(key, "a number", Value::as_f64)
    }

    /// A whole number that fits `T`.
    pub(super) fn whole<T: TryFrom<i64>>(
        &mut self,
        key: &str,
        allowed: &str,
    ) -> Result<Option<T>, Refusal> {
        self.read(key, allowed, |value| T::try_from(whole(value)?).ok())
    }

    /// A JSON object, as text.
    pub(super) fn object(&mut self, key: &str) -> Result<Option<String>, Refusal> {
        self.read(key, "an object", |value| {
            value.is_object().then(|| value.to_string())
        })
    }

    /// A list, each element with its path; none if absent.
    pub(super) fn list(&mut self, key: &str) -> Result<Option<Vec<(String, Value)>>, Refusal> {
        let at = self.at(key);
        match self.take(key) {
            None => Ok(None),
            Some(Value::Array(list)) => Ok(Some(
                list.into_iter()
                    .enumerate()
                    .map(|(index, value)| (format!("{at}[{index}]"), value))
                    .collect(),
            )),
            Some(other) => Err(refuse(&at, &other, "a list")),
        }
    }

    /// A value that must be there.
    pub(super) fn required<T>(&self, key: &str, value: Option<T>) -> Result<T, Refusal> {
        value.ok_or_else(|| format!("{} is missing", self.at(key)))
    }

    /// Warns of the keys that are left.
    pub(super) fn finish(self) {
        for (key, value) in &self.object {
            if !value.is_null() {
                let at = if self.path.is_empty() {
                    key.clone()
                } else {
                    format!("{}.{key}", self.path)
                };
                (self.warn)(format!("{at} is not known and not sent"));
            }
        }
    }
}

/// A whole number, however it is written: `5` or `5.0`.
fn whole(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| {
        let number = value.as_f64()?;
        // Exact for whole numbers up to 2^53.
        (number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0).then_some(number as i64)
    })
}

/// How hard to think; none for a blank word.
pub(super) fn reasoning(word: &str) -> Option<types::ReasoningEffort> {
    use types::ReasoningEffort as E;
    Some(match word.trim() {
        "" => return None,
        "off" | "none" => E::Off,
        "minimal" => E::Minimal,
        "low" => E::Low,
        "medium" => E::Medium,
        "high" => E::High,
        "xhigh" => E::Xhigh,
        other => E::Other(other.to_owned()),
    })
}

/// Levels of reasoning by their words. `max` is one that vLLM has beside the contract's.
const LEVELS: [&str; 7] = ["off", "minimal", "low", "medium", "high", "xhigh", "max"];

/// A warning of a word for a level of reasoning that only the server can know. `path`: where it
/// stands.
pub(super) fn odd_level(path: &str, level: &types::ReasoningEffort) -> Option<String> {
    let types::ReasoningEffort::Other(word) = level else {
        return None;
    };
    if LEVELS.contains(&word.as_str()) {
        return None;
    }
    let lower = word.to_lowercase();
    let near = LEVELS
        .iter()
        .find(|level| strsim::osa_distance(level, &lower) <= 1);
    let near = near.map_or_else(String::new, |near| format!("; did you mean {near}?"));
    Some(format!(
        "{path} is {word:?}, which is none of {}: it is sent as it is{near}",
        LEVELS.join(", ")
    ))
}

/// What was found where something else is allowed.
pub(super) fn refuse(path: &str, found: &Value, allowed: &str) -> Refusal {
    let path = if path.is_empty() { "the request" } else { path };
    format!("{path} is {}; allowed is {allowed}", describe(found))
}

/// A value in words; a text is quoted, cut short.
pub(super) fn describe(value: &Value) -> String {
    match value {
        Value::Null => String::from("null"),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) => {
            let mut short: String = text.chars().take(60).collect();
            if short.len() < text.len() {
                short.push('…');
            }
            format!("the text {}", Value::from(short))
        }
        Value::Array(_) => String::from("a list"),
        Value::Object(_) => String::from("an object"),
    }
}
