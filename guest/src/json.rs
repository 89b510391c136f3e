//! JSON text in, one value at a time out.
//!
//! A reader stands at a place of a text and is asked for what comes next: the
//! names of an object, the items of an array, a string, or nothing but that the
//! value is passed over. It builds no tree and allocates only for strings that
//! have escapes in them. One type reads everything here, the answer's chunks
//! and the user's configuration: serde's generic code for the same was a third
//! of the component.
//!
//! The grammar is RFC 8259's, to the letter. Nothing here panics, and nesting
//! costs no stack.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::number::push_integer;
use crate::text;

/// The kinds of JSON values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    Bool,
    Number,
    String,
    Array,
    Object,
}

impl Kind {
    /// With its article, for messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool => "a boolean",
            Self::Number => "a number",
            Self::String => "a string",
            Self::Array => "an array",
            Self::Object => "an object",
        }
    }
}

/// Why a text is no JSON, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed {
    what: &'static str,
    line: usize,
    column: usize,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl Malformed {
    /// What is wrong, without the place.
    pub(crate) fn what(&self) -> &'static str {
        self.what
    }

    /// `a colon was expected at line 2 column 5`.
    pub(crate) fn text(&self) -> String {
        let mut text = text::concat(&[self.what, " at line "]);
        push_integer(&mut text, self.line as u64);
        text.push_str(" column ");
        push_integer(&mut text, self.column as u64);
        text
    }
}

/// A place in a text.
pub(crate) struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// The object or array was opened just now: no comma comes first.
    fresh: bool,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            fresh: false,
        }
    }

    /// The kind of the value that comes next.
    pub(crate) fn kind(&mut self) -> Result<Kind, Malformed> {
        match self.peek() {
            b'{' => Ok(Kind::Object),
            b'[' => Ok(Kind::Array),
            b'"' => Ok(Kind::String),
            b't' | b'f' => Ok(Kind::Bool),
            b'n' => Ok(Kind::Null),
            b'-' | b'0'..=b'9' => Ok(Kind::Number),
            _ => Err(self.malformed("a value was expected")),
        }
    }

    /// Steps into the object that comes next. False: it is something else, and
    /// was passed over.
    pub(crate) fn object(&mut self) -> Result<bool, Malformed> {
        self.open(b'{')
    }

    /// Steps into the array that comes next. False: it is something else, and
    /// was passed over.
    pub(crate) fn array(&mut self) -> Result<bool, Malformed> {
        self.open(b'[')
    }

    fn open(&mut self, bracket: u8) -> Result<bool, Malformed> {
        if self.peek() != bracket {
            self.skip()?;
            return Ok(false);
        }
        self.at += 1;
        self.fresh = true;
        Ok(true)
    }

    /// The next name of the object; its value comes next. None: the object is
    /// over.
    pub(crate) fn name(&mut self) -> Result<Option<Cow<'a, str>>, Malformed> {
        if !self.more(b'}')? {
            return Ok(None);
        }
        let name = self.string()?;
        self.colon()?;
        Ok(Some(name))
    }

    /// Whether there is another item in the array; it comes next.
    pub(crate) fn item(&mut self) -> Result<bool, Malformed> {
        self.more(b']')
    }

    /// The string that comes next, unescaped. Half a surrogate pair is no text,
    /// and an error.
    pub(crate) fn string(&mut self) -> Result<Cow<'a, str>, Malformed> {
        let (inner, escaped) = self.raw_string()?;
        if !escaped {
            return Ok(Cow::Borrowed(inner));
        }
        match unescape(inner) {
            Some(text) => Ok(Cow::Owned(text)),
            None => Err(self.malformed("half a surrogate pair")),
        }
    }

    /// Passes over the value that comes next, and gives its own text.
    pub(crate) fn value(&mut self) -> Result<&'a str, Malformed> {
        let start = self.place();
        self.skip()?;
        Ok(self.since(start))
    }

    /// Where the value that comes next begins.
    pub(crate) fn place(&mut self) -> usize {
        self.peek();
        self.at
    }

    /// The text from a place to this one.
    pub(crate) fn since(&self, place: usize) -> &'a str {
        text::between(self.text, place, self.at)
    }

    /// Passes over the value that comes next.
    pub(crate) fn skip(&mut self) -> Result<(), Malformed> {
        // What is open, by the bracket that will close it: two places on in ASCII.
        let mut open = Vec::new();
        loop {
            match self.peek() {
                b'"' => {
                    self.raw_string()?;
                }
                bracket @ (b'{' | b'[') => {
                    self.at += 1;
                    self.fresh = true;
                    open.push(bracket + 2);
                }
                b't' => self.word("true")?,
                b'f' => self.word("false")?,
                b'n' => self.word("null")?,
                b'-' | b'0'..=b'9' => self.number()?,
                _ => return Err(self.malformed("a value was expected")),
            }
            // Behind a value or an opening bracket: on to the next value.
            loop {
                let Some(&bracket) = open.last() else {
                    return Ok(());
                };
                if self.more(bracket)? {
                    if bracket == b'}' {
                        self.raw_string()?;
                        self.colon()?;
                    }
                    break;
                }
                open.pop();
            }
        }
    }

    /// Checks that nothing but space is left.
    pub(crate) fn end(&mut self) -> Result<(), Malformed> {
        self.peek();
        if self.at < self.text.len() {
            return Err(self.malformed("something stands behind the value"));
        }
        Ok(())
    }

    /// The next byte that is no space; 0 at the end.
    fn peek(&mut self) -> u8 {
        loop {
            match self.byte() {
                b' ' | b'\n' | b'\r' | b'\t' => self.at += 1,
                byte => return byte,
            }
        }
    }

    /// The byte at this place; 0 at the end.
    fn byte(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or(0)
    }

    /// Whether another member or item comes before `bracket`, which is taken.
    fn more(&mut self, bracket: u8) -> Result<bool, Malformed> {
        let fresh = core::mem::replace(&mut self.fresh, false);
        let byte = self.peek();
        if byte == bracket {
            self.at += 1;
            return Ok(false);
        }
        if !fresh {
            if byte != b',' {
                return Err(self.malformed("a comma or a closing bracket was expected"));
            }
            self.at += 1;
        }
        Ok(true)
    }

    fn colon(&mut self) -> Result<(), Malformed> {
        if self.peek() != b':' {
            return Err(self.malformed("a colon was expected"));
        }
        self.at += 1;
        Ok(())
    }

    /// What stands between the quotes, and whether there are escapes in it.
    fn raw_string(&mut self) -> Result<(&'a str, bool), Malformed> {
        if self.peek() != b'"' {
            return Err(self.malformed("a string was expected"));
        }
        self.at += 1;
        let start = self.at;
        match inside(self.text.as_bytes().get(start..).unwrap_or_default()) {
            Ok(Inside { length, escaped }) => {
                self.at += length + 1;
                Ok((text::between(self.text, start, start + length), escaped))
            }
            Err((at, what)) => {
                self.at += at;
                Err(self.malformed(what))
            }
        }
    }

    fn word(&mut self, word: &str) -> Result<(), Malformed> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        if !rest.starts_with(word.as_bytes()) {
            return Err(self.malformed("a value was expected"));
        }
        self.at += word.len();
        Ok(())
    }

    /// A number; whether it is in any range is not asked.
    fn number(&mut self) -> Result<(), Malformed> {
        if self.byte() == b'-' {
            self.at += 1;
        }
        match self.byte() {
            b'0' => self.at += 1,
            _ => self.digits()?,
        }
        if self.byte() == b'.' {
            self.at += 1;
            self.digits()?;
        }
        if let b'e' | b'E' = self.byte() {
            self.at += 1;
            if let b'+' | b'-' = self.byte() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Malformed> {
        if !self.byte().is_ascii_digit() {
            return Err(self.malformed("a digit was expected"));
        }
        while self.byte().is_ascii_digit() {
            self.at += 1;
        }
        Ok(())
    }

    /// An error at this place.
    #[cold]
    pub(crate) fn malformed(&self, what: &'static str) -> Malformed {
        let (mut line, mut column) = (1, 1);
        for byte in self.text.bytes().take(self.at) {
            column += 1;
            if byte == b'\n' {
                (line, column) = (line + 1, 1);
            }
        }
        Malformed { what, line, column }
    }
}

/// The inside of a string.
pub(crate) struct Inside {
    /// Bytes before the closing quote.
    pub(crate) length: usize,
    /// There are escapes among them, each well-formed by itself.
    pub(crate) escaped: bool,
}

/// Reads on from behind an opening quote to the closing one. Else where the string is broken, and how.
pub(crate) fn inside(bytes: &[u8]) -> Result<Inside, (usize, &'static str)> {
    let mut at = 0;
    let mut escaped = false;
    loop {
        at += plain(bytes.get(at..).unwrap_or_default());
        match bytes.get(at) {
            Some(b'"') => {
                return Ok(Inside {
                    length: at,
                    escaped,
                });
            }
            Some(b'\\') => {
                escaped = true;
                at += 1;
                match bytes.get(at) {
                    Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {}
                    Some(b'u') if code_unit(bytes, at + 1).is_some() => at += 4,
                    _ => return Err((at, "an escape that JSON does not have")),
                }
                at += 1;
            }
            None => return Err((at, "a string without an end")),
            Some(_) => return Err((at, "a control character in a string")),
        }
    }
}

/// How many bytes stand before the first quote, backslash or control character.
pub(crate) fn plain(bytes: &[u8]) -> usize {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let mut length = 0;
    let mut rest = bytes;
    // Eight at a time. Each term marks the high bit of the bytes it looks for;
    // a borrow can mark a wrong one only behind a right one.
    while let Some((eight, behind)) = rest.split_first_chunk::<8>() {
        let eight = u64::from_le_bytes(*eight);
        let quote = eight ^ (EACH * b'"' as u64);
        let backslash = eight ^ (EACH * b'\\' as u64);
        let found = (quote.wrapping_sub(EACH) & !quote)
            | (backslash.wrapping_sub(EACH) & !backslash)
            | (eight.wrapping_sub(EACH * 0x20) & !eight);
        let found = found & HIGH;
        if found != 0 {
            return length + found.trailing_zeros() as usize / 8;
        }
        length += 8;
        rest = behind;
    }
    for &byte in rest {
        if byte == b'"' || byte == b'\\' || byte < 0x20 {
            break;
        }
        length += 1;
    }
    length
}

/// The four hexadecimal digits at a place.
fn code_unit(bytes: &[u8], at: usize) -> Option<u32> {
    let mut unit = 0;
    for &byte in bytes.get(at..at + 4)? {
        unit = unit << 4 | char::from(byte).to_digit(16)?;
    }
    Some(unit)
}

/// The text of a string whose escapes are well-formed; none if one of them is
/// half a surrogate pair.
pub(crate) fn unescape(inner: &str) -> Option<String> {
    let bytes = inner.as_bytes();
    let mut text = String::with_capacity(inner.len());
    let (mut at, mut done) = (0, 0);
    while let Some(step) = memchr::memchr(b'\\', bytes.get(at..)?) {
        at += step;
        text.push_str(inner.get(done..at)?);
        let mut length = 2;
        text.push(match *bytes.get(at + 1)? {
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                length = 6;
                let mut code = code_unit(bytes, at + 2)?;
                if let 0xD800..=0xDBFF = code {
                    let second = match bytes.get(at + 6..at + 8)? {
                        b"\\u" => code_unit(bytes, at + 8)?,
                        _ => return None,
                    };
                    let low = second.checked_sub(0xDC00).filter(|low| *low < 0x400)?;
                    code = 0x10000 + ((code - 0xD800) << 10 | low);
                    length = 12;
                }
                char::from_u32(code)?
            }
            // A quote, a slash or a backslash.
            other => char::from(other),
        });
        at += length;
        done = at;
    }
    text.push_str(inner.get(done..)?);
    Some(text)
}

#[cfg(test)]
mod tests;
