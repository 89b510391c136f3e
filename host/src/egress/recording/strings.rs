//! A secret that a server spreads over JSON strings, events or lines.
//!
//! A model that repeats a key gives it out token by token, each in an event of its own. What belongs
//! together are the strings that follow each other under one name: `content` behind `content`, in
//! lines with the same `index` (of a choice, or of a call). So the strings of a body are put
//! together by name and index, and searched as if they were one text. A line that is no JSON is a
//! string as well, with or without `data:` before it.
//!
//! What is left of a secret of which a part was found is looked for in every later string, whatever
//! its name.
//!
//! Not found: the first three bytes, where the first part is that short (they are written before
//! anything tells them from ordinary text); parts of fewer than 12 bytes under different names; parts
//! that lie further apart than what is held back ([`super::redaction`]), in bytes or in number; tokens
//! whose `index` counts them, as in the stream of TGI, where each has a name of its own; tokens in
//! plain `data:` lines with lines of other text, such as `event:`, between them.

use std::ops::Range;

use zeroize::Zeroizing;

use crate::policy::search::{Found, Matcher, merged};

/// A beginning of fewer bytes is not waited for: most words end like some part of a key.
const MIN_BEGINNING: usize = 4;

/// The most bytes of one string that are read before they are searched.
const MAX_STRING_BYTES: usize = 16 << 10;

/// From so many bytes on, the strings of a line are searched before the line is at its end, where
/// all of its indices are known.
const MAX_LINE_BYTES: usize = 8 << 10;

/// The most names that are told apart. The one that was used least recently goes.
const MAX_CHANNELS: usize = 64;

/// The most bytes of a name that are compared.
const MAX_NAME_BYTES: usize = 64;

/// The most rests of secrets that are looked for.
const MAX_RESTS: usize = 16;

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// The beginning of a line, up to its first byte that is no space.
    #[default]
    Line,
    /// The beginning of `data:`, of which so many bytes are there.
    Data(usize),
    /// Behind `data:`.
    Payload,
    /// A line that is no JSON.
    Text,
    /// JSON outside of a string.
    Json,
    /// In a string.
    Str,
    /// Behind a backslash in a string.
    Escape,
    /// In `\uXXXX`: digits so far, and their value.
    Unicode(u8, u16),
    /// Behind a string, which may be a name or a value.
    Behind,
}

/// Text whose bytes know where they stood in the body.
#[derive(Default)]
struct Placed {
    text: Zeroizing<Vec<u8>>,
    places: Vec<Range<usize>>,
}

impl Placed {
    fn push(&mut self, bytes: &[u8], place: Range<usize>) {
        self.text.extend_from_slice(bytes);
        let places = std::iter::repeat_n(place, bytes.len());
        self.places.extend(places);
    }

    fn clear(&mut self) {
        self.text.clear();
        self.places.clear();
    }

    /// Where a part of the text stood, as few ranges as there are.
    fn ranges(&self, part: Range<usize>) -> Vec<Range<usize>> {
        let mut ranges: Vec<Range<usize>> = Vec::new();
        for place in &self.places[part] {
            match ranges.last_mut() {
                Some(last) if place.start <= last.end => last.end = last.end.max(place.end),
                _ => ranges.push(place.clone()),
            }
        }
        ranges
    }
}

/// The strings under one name, as far as they may be the beginning of a secret.
struct Channel {
    name: Vec<u8>,
    rest: Placed,
}

/// Reads a body, and finds what is spread over its strings. Places are counted from the body's first
/// byte.
#[derive(Default)]
pub(super) struct Strings {
    state: State,
    /// The place of the next byte.
    at: usize,
    /// Where the present escape began.
    escape: usize,
    name: Vec<u8>,
    /// The digits of each `index` of this line.
    index: Vec<u8>,
    /// Where this line began.
    line: usize,
    /// The strings of this line with their names.
    values: Vec<(Vec<u8>, Placed)>,
    /// The present string.
    string: Placed,
    /// Used least recently first.
    channels: Vec<Channel>,
    rests: Vec<Zeroizing<Vec<u8>>>,
    spans: Vec<Range<usize>>,
}

impl Strings {
    /// Reads the next piece.
    pub(super) fn read(&mut self, piece: &[u8], matcher: &Matcher) {
        for byte in piece {
            self.byte(*byte, matcher);
            self.at += 1;
        }
    }

    /// Nothing comes any more.
    pub(super) fn end(&mut self, matcher: &Matcher) {
        self.value(matcher);
        self.search(matcher);
    }

    /// What was found and not forgotten.
    pub(super) fn spans(&self) -> &[Range<usize>] {
        &self.spans
    }

    /// Forgets what was found before a place.
    pub(super) fn forget_before(&mut self, place: usize) {
        self.spans.retain(|span| span.end > place);
    }

    /// The first place from which on a secret may be spread that goes on.
    pub(super) fn undecided(&self) -> Option<usize> {
        let long = |channel: &&Channel| channel.rest.text.len() >= MIN_BEGINNING;
        let begun = self.channels.iter().filter(long);
        let begun = begun.map(|channel| &channel.rest);
        let waiting = self.values.iter().map(|(_, value)| value);
        let all = begun.chain(waiting).chain([&self.string]);
        let places = all.filter_map(|placed| placed.places.first());
        places.map(|place| place.start).min()
    }

    fn byte(&mut self, byte: u8, matcher: &Matcher) {
        use State::{Behind, Data, Escape, Json, Line, Payload, Str, Text, Unicode};
        if byte == b'\n' {
            // No string goes over a line: this one was never ended, or is no JSON.
            self.value(matcher);
            self.search(matcher);
            self.index.clear();
            self.line = self.at + 1;
            self.state = Line;
            return;
        }
        let place = self.at..self.at + 1;
        self.state = match self.state {
            Line | Payload if matches!(byte, b' ' | b'\t' | b'\r') => self.state,
            Line if byte == b'd' => {
                self.string.push(b"d", place);
                Data(1)
            }
            Line | Payload => match byte {
                b'"' => Str,
                b'{' | b'}' | b'[' | b']' | b',' | b':' => Json,
                _ => self.text(byte, place),
            },
            Data(count) => match b"data:"[count] == byte {
                true if count == 4 => {
                    self.string.clear();
                    Payload
                }
                true => {
                    self.string.push(&[byte], place);
                    Data(count + 1)
                }
                false => self.text(byte, place),
            },
            Text => self.text(byte, place),
            Json => self.json(byte),
            Behind => match byte {
                b' ' | b'\t' | b'\r' => Behind,
                b':' => {
                    self.name.clear();
                    let length = self.string.text.len().min(MAX_NAME_BYTES);
                    self.name.extend_from_slice(&self.string.text[..length]);
                    if self.name == b"index" {
                        self.index.push(b'/');
                    }
                    self.string.clear();
                    Json
                }
                _ => {
                    self.value(matcher);
                    self.json(byte)
                }
            },
            Str => match byte {
                b'"' => Behind,
                b'\\' => {
                    self.escape = self.at;
                    Escape
                }
                _ => {
                    self.string.push(&[byte], place);
                    Str
                }
            },
            Escape if byte == b'u' => Unicode(0, 0),
            Escape => {
                let byte = match byte {
                    b'n' | b'r' | b't' | b'b' | b'f' => b' ',
                    other => other,
                };
                self.string.push(&[byte], self.escape..self.at + 1);
                Str
            }
            Unicode(count, unit) => match char::from(byte).to_digit(16) {
                Some(digit) => {
                    let unit = unit << 4 | digit as u16;
                    if count < 3 {
                        Unicode(count + 1, unit)
                    } else {
                        let text = char::from_u32(u32::from(unit)).unwrap_or('\u{fffd}');
                        let mut bytes = [0; 4];
                        let text = text.encode_utf8(&mut bytes).as_bytes();
                        self.string.push(text, self.escape..self.at + 1);
                        Str
                    }
                }
                // No escape after all.
                None => Str,
            },
        };
        if self.string.text.len() >= MAX_STRING_BYTES {
            self.value(matcher);
        }
    }

    /// A byte of a line that is no JSON. All such lines have one name.
    fn text(&mut self, byte: u8, place: Range<usize>) -> State {
        self.name.clear();
        if byte != b'\r' {
            self.string.push(&[byte], place);
        }
        State::Text
    }

    fn json(&mut self, byte: u8) -> State {
        if byte == b'"' {
            return State::Str;
        }
        if byte.is_ascii_digit() && self.name == b"index" && self.index.len() < MAX_NAME_BYTES {
            self.index.push(byte);
        }
        State::Json
    }

    /// The present string is a value under the present name.
    fn value(&mut self, matcher: &Matcher) {
        if !self.string.text.is_empty() {
            let value = std::mem::take(&mut self.string);
            self.values.push((self.name.clone(), value));
        }
        if self.at - self.line >= MAX_LINE_BYTES {
            self.search(matcher);
        }
    }

    /// Searches the strings that are there.
    fn search(&mut self, matcher: &Matcher) {
        for (name, value) in std::mem::take(&mut self.values) {
            self.search_in(name, value, matcher);
        }
        let spans = std::mem::take(&mut self.spans);
        self.spans = merged(spans);
    }

    /// Puts a string behind those under the same name, and searches them.
    fn search_in(&mut self, mut name: Vec<u8>, mut value: Placed, matcher: &Matcher) {
        for rest in &self.rests {
            for at in memchr::memmem::find_iter(&value.text, rest.as_slice()) {
                let ranges = value.ranges(at..at + rest.len());
                self.spans.extend(ranges);
            }
        }
        name.push(0);
        name.extend_from_slice(&self.index);
        let known = self
            .channels
            .iter()
            .position(|channel| channel.name == name);
        let mut channel = match known {
            Some(at) => self.channels.remove(at),
            None => {
                if self.channels.len() >= MAX_CHANNELS {
                    self.channels.remove(0);
                }
                let rest = Placed::default();
                Channel { name, rest }
            }
        };
        let all = &mut channel.rest;
        all.text.extend_from_slice(&value.text);
        all.places.append(&mut value.places);
        let Found { spans, decided } = matcher.find(&all.text, false);
        for span in spans {
            self.spans.extend(all.ranges(span.clone()));
            for rest in matcher.behind(&all.text[span], MIN_BEGINNING) {
                if self.rests.len() < MAX_RESTS && !self.rests.iter().any(|one| **one == rest) {
                    self.rests.push(Zeroizing::new(rest.to_vec()));
                }
            }
        }
        all.text.drain(..decided);
        all.places.drain(..decided);
        self.channels.push(channel);
    }
}
