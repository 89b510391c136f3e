//! JSON as the server writes it: compact, raw UTF-8, keys in a fixed order.
//!
//! `serde_json`'s map sorts its keys and the order is part of what is imitated,
//! so objects are written by format strings and only strings pass through here.

use serde_json::Value;
use std::fmt::Write as _;

/// A JSON string literal.
pub(crate) fn quote(text: &str) -> String {
    Value::from(text).to_string()
}

/// A JSON string literal, or `null`.
pub(crate) fn quote_or_null(text: Option<&str>) -> String {
    text.map_or_else(|| "null".to_owned(), quote)
}

/// JSON as Python's `json.dumps` writes it and language models learned it: a
/// space after each comma and colon.
pub(crate) fn spaced(value: &Value) -> String {
    let mut out = String::new();
    write_spaced(value, &mut out);
    out
}

fn write_spaced(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            out.push('{');
            for (i, (key, value)) in map.iter().enumerate() {
                let comma = if i > 0 { ", " } else { "" };
                // Writing to a String cannot fail.
                let _ = write!(out, "{comma}{}: ", quote(key));
                write_spaced(value, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                out.push_str(if i > 0 { ", " } else { "" });
                write_spaced(item, out);
            }
            out.push(']');
        }
        plain => {
            let _ = write!(out, "{plain}");
        }
    }
}

/// A small instance of a JSON Schema, as a model held to the schema could write
/// it: the required properties only, the first choice of an enumeration, the
/// lowest number. Keywords beyond `type`, `properties`, `required`, `enum`,
/// `const`, `default`, `anyOf`, `oneOf`, `allOf`, `items`, `minItems`,
/// `minimum` and `minLength` are not looked at, nor is `$ref`.
pub(crate) fn instance(schema: &Value) -> Value {
    instance_at(schema, 0)
}

fn instance_at(schema: &Value, depth: usize) -> Value {
    // Deep enough for any real schema; a bound because the client writes it.
    if depth > 32 {
        return Value::Null;
    }
    for given in ["const", "default"] {
        if let Some(value) = schema.get(given) {
            return value.clone();
        }
    }
    if let Some(first) = schema.get("enum").and_then(|e| e.get(0)) {
        return first.clone();
    }
    for choice in ["anyOf", "oneOf", "allOf"] {
        if let Some(first) = schema.get(choice).and_then(|c| c.get(0)) {
            return instance_at(first, depth + 1);
        }
    }
    let kind = match schema.get("type") {
        Some(Value::String(kind)) => kind.as_str(),
        Some(Value::Array(kinds)) => kinds.first().and_then(Value::as_str).unwrap_or("object"),
        _ => "object",
    };
    match kind {
        "string" => {
            let least = schema.get("minLength").and_then(Value::as_u64).unwrap_or(0);
            let text = "text".chars().cycle();
            Value::from(text.take(least.clamp(4, 256) as usize).collect::<String>())
        }
        "integer" => schema.get("minimum").cloned().unwrap_or(Value::from(1)),
        "number" => schema.get("minimum").cloned().unwrap_or(Value::from(1.5)),
        "boolean" => Value::Bool(true),
        "null" => Value::Null,
        "array" => {
            let least = schema.get("minItems").and_then(Value::as_u64).unwrap_or(0);
            let item = schema.get("items").unwrap_or(&Value::Null);
            let item = instance_at(item, depth + 1);
            Value::Array(vec![item; least.min(16) as usize])
        }
        _ => {
            let required = schema.get("required").and_then(Value::as_array);
            let names = required.into_iter().flatten().filter_map(Value::as_str);
            let property = |name: &str| {
                schema
                    .get("properties")
                    .and_then(|p| p.get(name))
                    .map_or(Value::Null, |s| instance_at(s, depth + 1))
            };
            Value::Object(names.map(|n| (n.to_owned(), property(n))).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_instance_has_what_its_schema_requires_and_no_more() {
        let cases = [
            (
                json!({"type": "object", "properties": {"a": {"type": "integer", "minimum": 3}, "b": {}}, "required": ["a"]}),
                json!({"a": 3}),
            ),
            (json!({"enum": ["x", "y"]}), json!("x")),
            (
                json!({"anyOf": [{"type": "array", "items": {"type": "boolean"}, "minItems": 2}]}),
                json!([true, true]),
            ),
            (
                json!({"type": ["string", "null"], "minLength": 6}),
                json!("textte"),
            ),
            (json!("nonsense"), json!({})),
        ];
        for (schema, want) in cases {
            assert_eq!(instance(&schema), want, "{schema}");
        }
    }

    #[test]
    fn spaced_json_is_what_python_writes() {
        let value = json!({"a": [1, "é\n"], "b": {}});
        assert_eq!(spaced(&value), r#"{"a": [1, "é\n"], "b": {}}"#);
    }
}
