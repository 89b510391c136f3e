//! JSON and numbers, against serde_json and the standard library.

use crate::number;
use crate::raw_json::{Kind, Raw, string};
use serde::de::IgnoredAny;
use serde_json::Value;

/// serde_json builds no tree that is deeper.
const DEPTH: usize = 120;

/// `[text]`: what is JSON to us is JSON to serde_json, and means the same.
pub(crate) fn json(data: &[u8]) {
    let lossy = String::from_utf8_lossy(data);
    let text: &str = &lossy;
    // Any text can be written as a string, and is read back.
    let written = string(text);
    assert_eq!(
        serde_json::from_str::<String>(&written).ok().as_deref(),
        Some(text)
    );
    let read = Raw::parse(&written).ok().and_then(Raw::as_string);
    assert_eq!(read.as_deref(), Some(text));

    let ours = Raw::parse(text);
    let theirs = serde_json::from_str::<IgnoredAny>(text);
    assert_eq!(
        ours.is_ok(),
        theirs.is_ok(),
        "{text:?}: {ours:?}, {theirs:?}"
    );
    let Ok(raw) = ours else { return };
    assert_eq!(raw.text(), text.trim_matches([' ', '\t', '\n', '\r']));
    // Beyond its depth, its range of numbers and halves of surrogate pairs serde_json has no value.
    if let Ok(value) = serde_json::from_str::<Value>(text) {
        same(raw, &value, DEPTH);
    }
}

fn same(raw: Raw<'_>, value: &Value, depth: usize) {
    if depth == 0 {
        return;
    }
    match value {
        Value::Null => assert_eq!(raw.kind(), Kind::Null),
        Value::Bool(value) => assert_eq!(raw.as_bool(), Some(*value)),
        Value::Number(_) => assert_eq!(raw.kind(), Kind::Number),
        Value::String(value) => assert_eq!(raw.as_string().as_ref(), Some(value)),
        Value::Array(values) => {
            let items = raw.as_array().expect("an array");
            assert_eq!(items.len(), values.len());
            for (item, value) in items.into_iter().zip(values) {
                same(item, value, depth - 1);
            }
        }
        Value::Object(values) => {
            let fields = raw.as_object().expect("an object");
            assert!(fields.0.iter().all(|(name, _)| values.contains_key(name)));
            for (name, value) in values {
                same(fields.get(name).expect("the field"), value, depth - 1);
            }
        }
    }
}

/// `[8 bytes][text]`: any finite number is written so that it is read back, and a text of JSON's grammar is read as the
/// standard library reads it: exactly where few digits are exact, else within what the reader promises.
pub(crate) fn number(data: &[u8]) {
    let (bits, text) = data.split_at(data.len().min(8));
    let mut eight = [0; 8];
    eight[..bits.len()].copy_from_slice(bits);
    let value = f64::from_le_bytes(eight);
    if value.is_finite() {
        let written = number::write(value);
        assert_eq!(written.parse(), Ok(value), "{written}");
        assert!(
            serde_json::from_str::<IgnoredAny>(&written).is_ok(),
            "{written}"
        );
        read(&written);
    }
    if let Ok(text) = std::str::from_utf8(text)
        && let Ok(raw) = Raw::parse(text)
        && raw.kind() == Kind::Number
    {
        read(raw.text());
    }
}

fn read(text: &str) {
    let theirs: f64 = text.parse().expect("JSON's numbers are Rust's");
    let Some(ours) = number::parse(text) else {
        assert!(
            !theirs.is_finite() || theirs.abs() > f64::MAX / 1.000_001,
            "{text}"
        );
        return;
    };
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    if digits <= 15 && !text.contains(['e', 'E']) {
        assert_eq!(ours, theirs, "{text}");
    } else if theirs.is_finite() {
        let off = (ours - theirs).abs();
        let allowed = (theirs.abs() * ALLOWED).max(f64::MIN_POSITIVE * ALLOWED);
        assert!(off <= allowed, "{text}: {ours:e}, {theirs:e}");
    } else {
        assert!(ours.abs() > f64::MAX / 1.000_001, "{text}: {ours:e}");
    }
}

/// Relative error of a number that is not exact: nine units in the last place.
const ALLOWED: f64 = 9.0 * f64::EPSILON;
