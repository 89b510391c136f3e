//! Text to values: JSON5 with a bound on nesting.
//!
//! The parser of the `json5` crate recurses as deep as its input does, and a
//! stack overflow is not an error that anybody can catch. The seed below counts
//! levels and stops at [`DEEPEST`]. It also refuses `Infinity` and `NaN`, which
//! JSON5 can write and JSON (what the plugin gets) cannot.

use std::fmt;
use std::path::Path;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::error::ConfigError;
use crate::file::{self, Links};

/// Deepest nesting that is read; the same as serde_json's own.
const DEEPEST: usize = 128;

/// Reads a file of at most `largest` bytes as UTF-8.
pub(super) fn read(path: &Path, largest: u64) -> Result<String, ConfigError> {
    file::read_text(path, largest, Links::Followed).map_err(|error| ConfigError::Read {
        file: path.to_owned(),
        cause: format!("{error}{}", error.remedy()),
    })
}

/// Parses JSON5.
pub(super) fn parse(text: &str, origin: &str) -> Result<Value, ConfigError> {
    // The crate parses a whole document only through `Deserialize`, which has
    // no room for a depth; the newtype starts the count.
    struct Document(Value);
    impl<'de> serde::Deserialize<'de> for Document {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            Level(0).deserialize(deserializer).map(Document)
        }
    }
    match json5::from_str::<Document>(text) {
        Ok(Document(value)) => Ok(value),
        Err(error) => {
            let whole = error.to_string();
            let end = json5::Position::from_offset(text.len(), text);
            let position = error.position().unwrap_or(end);
            let suffix = format!(" at {position}");
            let message = whole.strip_suffix(&suffix).unwrap_or(&whole);
            // For a text that ends too early the crate names the start of the
            // outermost value; what is missing is missing at the end.
            let (position, message) = match message.strip_prefix("EOF parsing ") {
                Some(what) => (end, format!("the text ends before the {what} does")),
                None => (position, message.to_owned()),
            };
            Err(ConfigError::Syntax {
                origin: origin.to_owned(),
                line: position.line + 1,
                column: position.column + 1,
                message,
            })
        }
    }
}

/// A value at some depth of nesting.
#[derive(Clone, Copy)]
struct Level(usize);

impl Level {
    fn below<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.0 >= DEEPEST {
            return Err(E::custom(format_args!(
                "nested more than {DEEPEST} levels deep"
            )));
        }
        Ok(Self(self.0 + 1))
    }
}

impl<'de> DeserializeSeed<'de> for Level {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON5 value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        // JavaScript has one kind of number: `128000.0` and `1e5` are whole.
        // Exact for whole numbers up to 2^53.
        if value.fract() == 0.0 && value.abs() <= 9_007_199_254_740_992.0 {
            return Ok((value as i64).into());
        }
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom(format_args!("{value} is not a number that can be used")))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let level = self.below()?;
        let mut list = Vec::new();
        while let Some(value) = access.next_element_seed(level)? {
            list.push(value);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let level = self.below()?;
        let mut object = Map::new();
        while let Some(key) = access.next_key::<String>()? {
            // As in JavaScript, the last of equal keys stands.
            let value = access.next_value_seed(level)?;
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_json5_adds_is_read() {
        let text = "\u{feff}// a comment\n{ unquoted: 'single', /* and */ list: [1, .5, +2, 0x10,], \
                    \"a\": 1, a: 128000.0, big: 1e400000 > 0, }";
        assert!(parse(text, "f").is_err(), "an expression is not JSON5");
        let text = text.replace("big: 1e400000 > 0, ", "");
        assert_eq!(
            parse(&text, "f").unwrap(),
            json!({"unquoted": "single", "list": [1, 0.5, 2, 16], "a": 128_000})
        );
    }

    #[test]
    fn an_error_says_file_line_and_column() {
        let cases = [
            (
                "{\n  a: 1\n  b: 2\n}",
                "f.json:3:3: not valid JSON5: expected comma",
            ),
            (
                "{ a: ",
                "f.json:1:6: not valid JSON5: the text ends before the value does",
            ),
            (
                "",
                "f.json:1:1: not valid JSON5: the text ends before the value does",
            ),
            ("{} x", "f.json:1:4: not valid JSON5: trailing characters"),
            (
                "{ a: Infinity }",
                "f.json:1:6: not valid JSON5: inf is not a number that can be used",
            ),
            (
                "{ a: NaN }",
                "f.json:1:6: not valid JSON5: NaN is not a number that can be used",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(
                parse(text, "f.json").unwrap_err().to_string(),
                expected,
                "{text:?}"
            );
        }
    }

    #[test]
    fn nesting_is_bounded_and_a_bomb_is_an_error() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(&nested(DEEPEST), "f").is_ok());
        for depth in [DEEPEST + 1, 200_000] {
            let error = parse(&nested(depth), "f").unwrap_err().to_string();
            assert!(error.contains("nested more than 128 levels"), "{error}");
        }
        let objects = "{a:".repeat(200_000);
        assert!(parse(&objects, "f").is_err());
    }

    #[test]
    fn a_file_that_is_too_large_or_not_text_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("c.json");
        std::fs::write(&path, "{}   ").unwrap();
        assert_eq!(read(&path, 5).unwrap(), "{}   ");
        assert!(
            read(&path, 4)
                .unwrap_err()
                .to_string()
                .contains("at most 4 are read")
        );
        std::fs::write(&path, b"{\xff}").unwrap();
        assert!(
            read(&path, 5)
                .unwrap_err()
                .to_string()
                .contains("not UTF-8 text (byte 1)")
        );
    }
}
