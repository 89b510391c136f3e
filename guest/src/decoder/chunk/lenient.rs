//! Values that are read as what they should be, and are absent otherwise.
//!
//! An answer must not be lost over a null, a number in the place of a string,
//! or a name that comes twice, so every value is asked what it is, and what
//! does not fit is passed over.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use crate::json::{Kind, Malformed, Reader};
use crate::number;
use crate::text;

/// A string that is not empty, or nothing.
#[derive(Default)]
pub(in crate::decoder) struct Text<'a>(pub Option<Cow<'a, str>>);

/// Some values. The first is kept without an allocation, because hardly any
/// array has a second.
pub(in crate::decoder) struct List<T> {
    pub first: Option<T>,
    pub rest: Vec<T>,
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self {
            first: None,
            rest: Vec::new(),
        }
    }
}

impl<T> List<T> {
    pub(super) fn push(&mut self, value: T) {
        match self.first {
            None => self.first = Some(value),
            Some(_) => self.rest.push(value),
        }
    }

    /// All of them, in order.
    pub(in crate::decoder) fn into_iter(self) -> impl Iterator<Item = T> {
        self.first.into_iter().chain(self.rest)
    }

    /// There is none.
    pub(in crate::decoder) fn is_empty(&self) -> bool {
        self.first.is_none()
    }
}

impl<'a> Text<'a> {
    pub(in crate::decoder) fn of(text: Cow<'a, str>) -> Self {
        Self((!text.is_empty()).then_some(text))
    }

    /// Takes the text out.
    pub(in crate::decoder) fn take(&mut self) -> Option<Cow<'a, str>> {
        self.0.take()
    }

    /// Whether it is exactly `word`.
    pub(in crate::decoder) fn is(&self, word: &str) -> bool {
        self.0.as_deref() == Some(word)
    }
}

/// A string that names something, or nothing.
pub(super) fn string<'a>(json: &mut Reader<'a>) -> Result<Text<'a>, Malformed> {
    if json.kind()? == Kind::String {
        return Ok(Text::of(json.string()?));
    }
    json.skip()?;
    Ok(Text(None))
}

/// What the model said, if it is no string: a number or a truth value is its JSON text, an object is
/// a part of the text, and an array is parts. Apart from it the thinking, which some servers put into
/// parts of their own (`{"type": "thinking", "thinking": [{"type": "text", "text": …}]}`, Mistral).
#[cold]
pub(super) fn parts<'a>(json: &mut Reader<'a>) -> Result<(Text<'a>, Text<'a>), Malformed> {
    if matches!(json.kind()?, Kind::Number | Kind::Bool) {
        return Ok((Text::of(Cow::Borrowed(json.value()?)), Text(None)));
    }
    let (mut said, mut thought) = (String::new(), String::new());
    part(json, &mut said, &mut thought, 0)?;
    Ok((Text::of(Cow::Owned(said)), Text::of(Cow::Owned(thought))))
}

/// How deep parts are read in each other: those of the content, the thinking in one, its texts.
const MAX_DEPTH: u8 = 4;

fn part(
    json: &mut Reader<'_>,
    said: &mut String,
    thought: &mut String,
    depth: u8,
) -> Result<(), Malformed> {
    match json.kind()? {
        Kind::String => said.push_str(&json.string()?),
        Kind::Array if depth < MAX_DEPTH => {
            json.array()?;
            while json.item()? {
                part(json, said, thought, depth + 1)?;
            }
        }
        Kind::Object if depth < MAX_DEPTH => {
            json.object()?;
            while let Some(name) = json.name()? {
                match &*name {
                    "text" | "content" | "refusal" => part(json, said, thought, depth + 1)?,
                    "thinking" => {
                        let mut nested = String::new();
                        part(json, thought, &mut nested, depth + 1)?;
                        thought.push_str(&nested);
                    }
                    _ => json.skip()?,
                }
            }
        }
        _ => json.skip()?,
    }
    Ok(())
}

/// A string, or something else as its JSON text. Arguments come so from servers that do not write
/// them as a string. True: it is neither a string nor an object.
pub(super) fn raw_text<'a>(json: &mut Reader<'a>) -> Result<(Text<'a>, bool), Malformed> {
    match json.kind()? {
        Kind::String => Ok((Text::of(json.string()?), false)),
        Kind::Null => {
            json.skip()?;
            Ok((Text(None), false))
        }
        kind => Ok((Text::of(Cow::Borrowed(json.value()?)), kind != Kind::Object)),
    }
}

/// A number that counts something, which some servers write as a string: not negative, fractions
/// dropped, at most `u64::MAX`.
pub(super) fn count(json: &mut Reader<'_>) -> Result<Option<u64>, Malformed> {
    let kind = json.kind()?;
    let mut text = json.value()?;
    if kind == Kind::String {
        text = text.trim_matches('"').trim_ascii();
        if !text.starts_with(|first: char| first.is_ascii_digit()) {
            return Ok(None);
        }
    } else if kind != Kind::Number {
        return Ok(None);
    }
    if let Some(count) = number::parse_integer(text) {
        return Ok(Some(count));
    }
    let count = number::parse(text).filter(|number| *number >= 0.0);
    // `as` saturates.
    Ok(count.map(|number| number as u64))
}

/// The position of a call, which some servers name by a word: a number that stands for it.
pub(super) fn place(json: &mut Reader<'_>) -> Result<Option<u64>, Malformed> {
    if json.kind()? != Kind::String {
        return count(json);
    }
    let text = json.string()?;
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    // In the upper half, where no position is.
    let of_word = || u64::from(text::hash(text)) | 1 << 63;
    Ok(Some(number::parse_integer(text).unwrap_or_else(of_word)))
}

/// Whether there is anything: not null, false, zero or empty.
pub(super) fn present(json: &mut Reader<'_>) -> Result<bool, Malformed> {
    let kind = json.kind()?;
    let text = json.value()?;
    Ok(match kind {
        Kind::Null => false,
        Kind::Bool => text == "true",
        Kind::Number => number::parse(text) != Some(0.0),
        Kind::String => text != "\"\"",
        Kind::Array | Kind::Object => {
            let inner = text.get(1..text.len() - 1).unwrap_or_default();
            !inner.trim_ascii().is_empty()
        }
    })
}
