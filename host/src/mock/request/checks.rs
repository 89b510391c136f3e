//! The two passes over a chat request: types, then meaning.
//!
//! The body goes in; nothing or the refusal comes out, worded as the validator
//! of vLLM (`types`) or as its own checks (`meaning`) word it.

use super::{list, stops};
use crate::mock::refusal::{Problem, Refusal};
use serde_json::{Map, Value};

/// What a field may be.
#[derive(Clone, Copy)]
enum Type {
    Bool,
    Int,
    Float,
    Text,
    Object,
    List,
}

const FIELDS: [(&str, Type); 25] = [
    ("model", Type::Text),
    ("stream", Type::Bool),
    ("temperature", Type::Float),
    ("top_p", Type::Float),
    ("min_p", Type::Float),
    ("top_k", Type::Int),
    ("n", Type::Int),
    ("max_tokens", Type::Int),
    ("max_completion_tokens", Type::Int),
    ("min_tokens", Type::Int),
    ("seed", Type::Int),
    ("priority", Type::Int),
    ("top_logprobs", Type::Int),
    ("frequency_penalty", Type::Float),
    ("presence_penalty", Type::Float),
    ("repetition_penalty", Type::Float),
    ("logprobs", Type::Bool),
    ("ignore_eos", Type::Bool),
    ("parallel_tool_calls", Type::Bool),
    ("include_reasoning", Type::Bool),
    ("user", Type::Text),
    ("cache_salt", Type::Text),
    ("stream_options", Type::Object),
    ("chat_template_kwargs", Type::Object),
    ("tools", Type::List),
];

/// A value as vLLM prints it in a validator's line.
pub(crate) fn short(value: &Value) -> String {
    match value {
        Value::Null => "None".into(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("<list of {} items>", items.len()),
        Value::Object(map) => format!("<dict of {} items>", map.len()),
    }
}

/// The first pass: types.
pub(crate) fn types(body: &Map<String, Value>) -> Result<(), Refusal> {
    let mut problems = Vec::new();
    let mut wrong = |kind, at: String, message: &str, value: &Value, context| {
        problems.push(Problem {
            kind,
            at,
            message: message.into(),
            input: short(value),
            context,
        });
    };
    match body.get("messages") {
        None => wrong(
            "missing",
            "body.messages".into(),
            "Field required",
            &Value::Object(body.clone()),
            None,
        ),
        Some(Value::Array(messages)) => {
            for (i, message) in messages.iter().enumerate() {
                let at = format!("body.messages.{i}");
                match message {
                    Value::Object(m) => {
                        if !matches!(m.get("role"), Some(Value::String(_))) {
                            wrong(
                                "missing",
                                format!("{at}.role"),
                                "Field required",
                                message,
                                None,
                            );
                        }
                        let optional = m.get("role").and_then(Value::as_str) != Some("user");
                        match m.get("content") {
                            None | Some(Value::String(_) | Value::Array(_)) => {}
                            Some(Value::Null) if optional => {}
                            Some(other) => wrong(
                                "string_type",
                                format!("{at}.content"),
                                "Input should be a valid string",
                                other,
                                None,
                            ),
                        }
                    }
                    other => wrong(
                        "dict_type",
                        at,
                        "Input should be a valid dictionary",
                        other,
                        None,
                    ),
                }
            }
        }
        Some(other) => wrong(
            "list_type",
            "body.messages".into(),
            "Input should be a valid list",
            other,
            None,
        ),
    }
    for (name, expected) in FIELDS {
        let Some(value) = body.get(name).filter(|v| !v.is_null()) else {
            continue;
        };
        let text = value.as_str();
        let problem = match expected {
            Type::Bool if value.is_boolean() => None,
            Type::Bool if text.is_some() => Some((
                "bool_parsing",
                "Input should be a valid boolean, unable to interpret input",
            )),
            Type::Bool => Some(("bool_type", "Input should be a valid boolean")),
            Type::Int if integer(value).is_some() => None,
            Type::Int if text.is_some() => Some((
                "int_parsing",
                "Input should be a valid integer, unable to parse string as an integer",
            )),
            Type::Int if value.is_number() => Some((
                "int_from_float",
                "Input should be a valid integer, got a number with a fractional part",
            )),
            Type::Int => Some(("int_type", "Input should be a valid integer")),
            Type::Float if number(value).is_some() => None,
            Type::Float if text.is_some() => Some((
                "float_parsing",
                "Input should be a valid number, unable to parse string as a number",
            )),
            Type::Float => Some(("float_type", "Input should be a valid number")),
            Type::Text if text.is_some() => None,
            Type::Text => Some(("string_type", "Input should be a valid string")),
            Type::Object if value.is_object() => None,
            Type::Object => Some(("dict_type", "Input should be a valid dictionary")),
            Type::List if value.is_array() => None,
            Type::List => Some(("list_type", "Input should be a valid list")),
        };
        if let Some((kind, message)) = problem {
            wrong(kind, format!("body.{name}"), message, value, None);
        }
    }
    for (i, tool) in list(body, "tools").iter().enumerate() {
        if let Some(kind) = tool.get("type").filter(|kind| *kind != "function") {
            wrong(
                "literal_error",
                format!("body.tools.{i}.type"),
                "Input should be 'function'",
                kind,
                Some(("expected", "'function'".to_owned())),
            );
        }
        if !tool.get("function").is_some_and(Value::is_object) {
            wrong(
                "missing",
                format!("body.tools.{i}.function"),
                "Field required",
                tool,
                None,
            );
        }
    }
    match body.get("stop") {
        None | Some(Value::Null | Value::String(_)) => {}
        Some(Value::Array(stops)) if stops.len() <= 4 && stops.iter().all(Value::is_string) => {}
        Some(stop) => {
            wrong(
                "string_type",
                "body.stop".into(),
                "Input should be a valid string",
                stop,
                None,
            );
            let count = stop.as_array().map_or(0, Vec::len);
            wrong(
                "too_long",
                "body.stop".into(),
                &format!("List should have at most 4 items after validation, not {count}"),
                stop,
                None,
            );
        }
    }
    const EFFORTS: &str = "'none', 'minimal', 'low', 'medium', 'high', 'xhigh' or 'max'";
    if let Some(effort) = body.get("reasoning_effort").filter(|v| !v.is_null())
        && !effort
            .as_str()
            .is_some_and(|e| EFFORTS.contains(&format!("'{e}'")))
    {
        wrong(
            "literal_error",
            "body.reasoning_effort".into(),
            &format!("Input should be {EFFORTS}"),
            effort,
            Some(("expected", EFFORTS.to_owned())),
        );
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(Refusal::invalid(&problems))
    }
}

/// The second pass: numbers out of range and fields that do not go together.
pub(crate) fn meaning(body: &Map<String, Value>) -> Result<(), Refusal> {
    let float = |name: &str| body.get(name).and_then(number);
    let int = |name: &str| body.get(name).and_then(integer);
    if let Some(n) = int("n") {
        if n < 1 {
            return Err(Refusal::bad(
                &format!("n must be at least 1, got {n}."),
                None,
            ));
        }
        if n > 1 {
            return Err(Refusal::bad(
                &match float("temperature") {
                    Some(0.0) => format!("n must be 1 when using greedy sampling, got {n}."),
                    _ => format!(
                        "the mock server gives one choice, n={n} was asked for; use n=1 (parameter=n, value={n})"
                    ),
                },
                None,
            ));
        }
    }
    if let Some(t) = float("temperature").filter(|t| !(0.0..=2.0).contains(t)) {
        return Err(Refusal::bad(
            &format!(
                "temperature must be in [0, 2], got {t:?}. (parameter=temperature, value={t:?})"
            ),
            Some("temperature"),
        ));
    }
    if let Some(p) = float("top_p").filter(|p| !(*p > 0.0 && *p <= 1.0)) {
        return Err(Refusal::bad(
            &format!("top_p must be in (0, 1], got {p:?}. (parameter=top_p, value={p:?})"),
            Some("top_p"),
        ));
    }
    if let Some(most) = int("max_completion_tokens")
        .or_else(|| int("max_tokens"))
        .filter(|m| *m < 1)
    {
        return Err(Refusal::bad(
            &format!(
                "max_tokens must be at least 1, got {most}. (parameter=max_tokens, value={most})"
            ),
            Some("max_tokens"),
        ));
    }
    if let Some(top) = int("top_logprobs").filter(|top| *top > 20) {
        return Err(Refusal::bad(
            &format!(
                "Requested sample logprobs of {top}, which is greater than max allowed: 20 (parameter=logprobs, value={top})"
            ),
            Some("logprobs"),
        ));
    }
    if stops(body).iter().any(String::is_empty) {
        return Err(Refusal::bad("stop cannot contain an empty string.", None));
    }
    let salt = body.get("cache_salt").and_then(Value::as_str).unwrap_or("");
    if salt.chars().count() > 128 || salt.contains(['@', '/', '\\', '\0']) {
        return Err(Refusal::bad(
            "Parameter 'cache_salt' must be at most 128 characters and must not contain '@', '/', '\\\\', or NUL. (parameter=cache_salt)",
            Some("cache_salt"),
        ));
    }
    Ok(())
}

/// A number, or a string that is one, as the validator's lax mode takes it.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::String(text) => text.trim().parse().ok(),
        other => other.as_f64(),
    }
}

pub(crate) fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::String(text) => text.trim().parse().ok(),
        other => other.as_i64().or_else(|| {
            other
                .as_f64()
                .filter(|f| f.fract() == 0.0)
                .map(|f| f as i64)
        }),
    }
}
