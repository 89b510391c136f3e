//! JSON that is read without being rebuilt, and written without a tree.
//!
//! In goes JSON text that belongs to somebody else (the user's configuration,
//! a tool's schema, a server's list), out come borrowed slices of that very
//! text. What passes through to the server is therefore the user's own text:
//! the order of a schema's properties (a chat template prints it, a grammar
//! enforces it), numbers of any size, duplicate keys. It also costs no tree of
//! small allocations, and less code in the component than a value type.
//!
//! Nothing here panics, whatever the text; nesting costs no stack.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

pub(crate) use crate::json::Kind;
use crate::json::{self, Malformed, Reader};
use crate::number;
use crate::text;

/// One JSON value as its own text, valid and without space around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Raw<'a>(&'a str);

impl<'a> Raw<'a> {
    /// Checks that `text` is one JSON value. The error says where it is not.
    pub(crate) fn parse(text: &'a str) -> Result<Self, Malformed> {
        let mut json = Reader::new(text);
        let value = json.value()?;
        json.end()?;
        Ok(Self(value))
    }

    /// The text itself.
    pub(crate) fn text(self) -> &'a str {
        self.0
    }

    pub(crate) fn kind(self) -> Kind {
        match self.0.as_bytes().first() {
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b'"') => Kind::String,
            Some(b't' | b'f') => Kind::Bool,
            Some(b'n') => Kind::Null,
            _ => Kind::Number,
        }
    }

    pub(crate) fn as_bool(self) -> Option<bool> {
        match self.0 {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    /// The number, if it is one and finite as `f64`.
    pub(crate) fn as_f64(self) -> Option<f64> {
        match self.kind() {
            Kind::Number => number::parse(self.0),
            _ => None,
        }
    }

    /// The string, unescaped. None for strings which hold lone surrogates, for
    /// they are no text.
    pub(crate) fn as_string(self) -> Option<String> {
        let text = Reader::new(self.0).string().ok()?;
        Some(text.into_owned())
    }

    pub(crate) fn as_array(self) -> Option<Vec<Raw<'a>>> {
        let mut json = Reader::new(self.0);
        let mut items = Vec::new();
        if !json.array().ok()? {
            return None;
        }
        while json.item().ok()? {
            items.push(Raw(json.value().ok()?));
        }
        Some(items)
    }

    pub(crate) fn as_object(self) -> Option<Fields<'a>> {
        let mut json = Reader::new(self.0);
        let mut fields = Vec::new();
        if !json.object().ok()? {
            return None;
        }
        while let Some(name) = json.name().ok()? {
            fields.push((name.into_owned(), Raw(json.value().ok()?)));
        }
        Some(Fields(fields))
    }
}

/// The fields of an object in their order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields<'a>(pub(crate) Vec<(String, Raw<'a>)>);

impl<'a> Fields<'a> {
    /// The value of a field; of equal names the last one counts, as everywhere
    /// in JSON.
    #[inline(never)]
    pub(crate) fn get(&self, name: &str) -> Option<Raw<'a>> {
        let found = self.0.iter().rev().find(|(key, _)| key == name);
        found.map(|(_, value)| *value)
    }
}

/// An object on its way out: names in the order in which they were first set,
/// and the JSON text of each value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Object(Vec<(String, String)>);

impl Object {
    /// Sets a field; one that is there keeps its place.
    pub(crate) fn set(&mut self, name: &str, json: impl Into<String>) {
        let json = json.into();
        match self.0.iter_mut().find(|(key, _)| key == name) {
            Some((_, value)) => *value = json,
            None => self.0.push((name.to_owned(), json)),
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.0.retain(|(key, _)| key != name);
    }

    /// Leaves out every field but these.
    pub(crate) fn retain(&mut self, names: &[&str]) {
        self.0.retain(|(key, _)| names.contains(&key.as_str()));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sets every field of `other`.
    pub(crate) fn merge(&mut self, other: &Object) {
        for (name, json) in &other.0 {
            self.set(name, json.as_str());
        }
    }

    /// The object as JSON text.
    pub(crate) fn to_json(&self) -> String {
        let size: usize = self.0.iter().map(|(n, v)| n.len() + v.len() + 6).sum();
        let mut out = String::with_capacity(size + 2);
        out.push('{');
        for (position, (name, json)) in self.0.iter().enumerate() {
            if position > 0 {
                out.push(',');
            }
            push_string(&mut out, name);
            out.push(':');
            out.push_str(json);
        }
        out.push('}');
        out
    }
}

impl From<&Fields<'_>> for Object {
    fn from(fields: &Fields<'_>) -> Self {
        let mut object = Self::default();
        for (name, value) in &fields.0 {
            object.set(name, value.text());
        }
        object
    }
}

/// Appends `text` as a JSON string (RFC 8259 §7): only what must be escaped
/// is.
pub(crate) fn push_string(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    loop {
        let (run, behind) = text::cut(rest, json::plain(rest.as_bytes()));
        out.push_str(run);
        let Some(&byte) = behind.as_bytes().first() else {
            break;
        };
        // It is ASCII: behind it another character begins.
        rest = text::from(behind, 1);
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            _ => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.push_str("\\u00");
                out.push(char::from(HEX[usize::from(byte >> 4)]));
                out.push(char::from(HEX[usize::from(byte & 15)]));
            }
        }
    }
    out.push('"');
}

/// `text` as a JSON string.
pub(crate) fn string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    push_string(&mut out, text);
    out
}

/// Whether these bytes are one JSON object and nothing else.
pub(crate) fn is_object(bytes: &[u8]) -> bool {
    let text = text::lossy(bytes);
    matches!(Raw::parse(&text), Ok(value) if value.kind() == Kind::Object)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_string_written_is_the_string_read() {
        for text in [
            "",
            "plain",
            "\"\\/\u{8}\u{c}\n\r\t\0\u{1f}\u{7f}",
            "é𝄞\u{2028}",
        ] {
            let json = string(text);
            assert_eq!(
                serde_json::from_str::<String>(&json).unwrap(),
                text,
                "{json}"
            );
        }
    }

    #[test]
    fn an_object_keeps_the_order_and_the_text_of_its_values() {
        let text = r#" {"b": 1e400, "a" : {"z":1, "y":[ ]}, "b":123456789012345678901234567890} "#;
        let fields = Raw::parse(text).unwrap().as_object().unwrap();
        assert_eq!(fields.get("a").unwrap().text(), r#"{"z":1, "y":[ ]}"#);
        assert_eq!(
            Object::from(&fields).to_json(),
            r#"{"b":123456789012345678901234567890,"a":{"z":1, "y":[ ]}}"#
        );
    }

    #[test]
    fn numbers_out_of_range_are_no_numbers_and_lone_surrogates_no_text() {
        assert_eq!(Raw::parse("1e400").unwrap().as_f64(), None);
        assert_eq!(Raw::parse(r#""\ud800""#).unwrap().as_string(), None);
    }

    #[test]
    fn deep_nesting_costs_no_stack() {
        let text = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
        let raw = Raw::parse(&text).unwrap();
        assert_eq!(raw.as_array().unwrap().len(), 1);
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for text in ["", "{", "{'a':1}", "[1,]", "nul", "1 2", "\u{feff}{}"] {
            assert!(Raw::parse(text).is_err(), "{text:?}");
        }
    }
}
