//! Server-sent events: bytes in, the data of one event at a time out.
//!
//! The parser follows WHATWG HTML § 9.2.5 and § 9.2.6 as far as an answer needs
//! them: lines end in LF, CRLF or CR, one byte order mark at the start is
//! skipped, comments and unknown fields are passed over, the data lines of an
//! event are joined by LF. `id` and `retry` mean nothing to an OpenAI compatible
//! stream, so they are unknown fields here, and so is `event`.
//!
//! Beyond WHATWG, for servers that say in their own way what went wrong, a
//! [lenient](Parser::lenient) parser tells events of the name `error` apart,
//! takes a line `error: …` and a line that is a JSON object for the data of one,
//! and hands out other lines that are no field. It also reads events that have
//! no empty line between them: a data line that is a whole JSON object, or does
//! not begin one, is an event of its own when another data line follows it
//! (joined, the two would be no JSON), and `[DONE]` is one as soon as its line is
//! complete.
//!
//! What comes out must not depend on where the network cut the bytes; that is
//! why nothing is decided before a line is complete. Data is handed out as
//! bytes: a code point may be cut between two reads, and only the caller, who
//! has it whole, can judge it.
//!
//! vLLM sends an event as one `data:` line and an empty line, in one piece.
//! That shape is handed out as a slice of the input itself, without a copy.

use alloc::vec::Vec;

use memchr::memchr2;

use crate::raw_json;

#[cfg(test)]
mod tests;

/// Longest line, and longest data of one event, in bytes.
///
/// vLLM's longest honest line is a chunk that carries the prompt's token ids
/// back (`return_token_ids`): about seven bytes a token, so a prompt of a
/// million tokens still fits. Anything longer is no answer but a flood.
pub const MAX_EVENT_BYTES: usize = 8 << 20;

/// The data of the event that ends a stream.
pub(crate) const DONE: &[u8] = b"[DONE]";

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// A line, or the data of an event, is longer than [`MAX_EVENT_BYTES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLong;

/// What was handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// The data of an event.
    Data,
    /// Those of an error.
    Error,
    /// A line that is no field.
    Stray,
}

/// A parser of one stream. It never holds more than one line and the data of
/// one event, each at most [`MAX_EVENT_BYTES`].
#[derive(Debug, Default)]
pub struct Parser {
    /// The beginning of a line whose end has not come yet.
    line: Vec<u8>,
    /// The data lines of the event so far, joined by LF.
    data: Vec<u8>,
    /// The event has a data line, be it empty.
    has_data: bool,
    /// It has more than one.
    is_joined: bool,
    /// The event is one of the name `error`.
    is_error: bool,
    /// It was one when its first data line came.
    was_error: bool,
    /// The first data line of the next event, which came without an empty line before it.
    next: Option<Vec<u8>>,
    /// Lines that are no data are looked at.
    lenient: bool,
    /// The last line that is no field.
    stray: Vec<u8>,
    /// It is to be handed out next.
    has_stray: bool,
    /// `data` was handed out and is to be forgotten.
    handed_out: bool,
    /// The last line ended in CR: an LF that follows belongs to it.
    skip_line_feed: bool,
    /// The first line is over, and with it the place for a byte order mark.
    past_first_line: bool,
}

impl Parser {
    /// A parser at the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, which also looks for what says in other ways that something went wrong.
    pub fn lenient() -> Self {
        Self {
            lenient: true,
            ..Self::default()
        }
    }

    /// Nothing is held of what came before: the next byte begins an event.
    pub fn is_between_events(&self) -> bool {
        self.line.is_empty()
            && (self.handed_out || !self.has_data)
            && self.next.is_none()
            && !self.skip_line_feed
            && self.past_first_line
    }

    /// Takes bytes off the front of `input` until an event is complete, and
    /// returns its data; `None` when the input is used up.
    ///
    /// # Errors
    /// [`TooLong`]; the stream cannot be read on after that.
    pub fn next<'a, 'i: 'a>(
        &'a mut self,
        input: &mut &'i [u8],
    ) -> Result<Option<&'a [u8]>, TooLong> {
        let event = self.next_event(input)?;
        Ok(event.map(|(data, _)| data))
    }

    /// The same with what it is. Lines that are no fields are handed out by a lenient parser only.
    ///
    /// # Errors
    /// As [`Parser::next`].
    pub fn next_event<'a, 'i: 'a>(
        &'a mut self,
        input: &mut &'i [u8],
    ) -> Result<Option<(&'a [u8], Found)>, TooLong> {
        if self.handed_out {
            self.handed_out = false;
            self.has_data = false;
            self.is_joined = false;
            self.data.clear();
            match self.next.take() {
                None => self.is_error = false,
                Some(next) => {
                    self.add(&next)?;
                    if self.ends_stream() {
                        self.handed_out = true;
                        return Ok(Some((&self.data, Found::Data)));
                    }
                }
            }
        }
        loop {
            let mut bytes = *input;
            if self.skip_line_feed && !bytes.is_empty() {
                self.skip_line_feed = false;
                bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
                *input = bytes;
            }
            let Some(end) = memchr2(b'\n', b'\r', bytes) else {
                if self.line.len() + bytes.len() > MAX_EVENT_BYTES {
                    return Err(TooLong);
                }
                self.line.extend_from_slice(bytes);
                *input = &[];
                return Ok(None);
            };
            if self.line.len() + end > MAX_EVENT_BYTES {
                return Err(TooLong);
            }
            let (found, behind) = bytes.split_at_checked(end).unwrap_or((bytes, &[]));
            let (ending, rest) = behind.split_first().unwrap_or((&b'\n', &[]));
            *input = rest;
            self.skip_line_feed = *ending == b'\r';

            let blank = if self.line.is_empty() {
                let line = self.without_mark(found);
                if !self.has_data
                    && !self.is_error
                    && !self.skip_line_feed
                    && rest.first() == Some(&b'\n')
                    && let Some(value) = data_value(line)
                {
                    // The common shape: the event is complete in the input.
                    *input = rest.get(1..).unwrap_or_default();
                    return Ok(Some((value, Found::Data)));
                }
                self.take_line(line)?
            } else {
                let mut line = core::mem::take(&mut self.line);
                line.extend_from_slice(found);
                let blank = {
                    let line = self.without_mark(&line);
                    self.take_line(line)?
                };
                line.clear();
                self.line = line;
                blank
            };
            let is_split = self.next.is_some();
            if is_split || blank && self.has_data || self.ends_stream() {
                self.handed_out = true;
                let is_error = if is_split {
                    self.was_error
                } else {
                    self.is_error
                };
                let found = if is_error { Found::Error } else { Found::Data };
                return Ok(Some((&self.data, found)));
            }
            if core::mem::take(&mut self.has_stray) {
                return Ok(Some((&self.stray, Found::Stray)));
            }
            if blank {
                self.is_error = false;
            }
        }
    }

    /// Reads one complete line; true when it is the empty one that ends an
    /// event.
    fn take_line(&mut self, line: &[u8]) -> Result<bool, TooLong> {
        let value = match data_value(line) {
            None if self.lenient && !line.is_empty() => self.take_other(line),
            value => value,
        };
        if let Some(value) = value {
            let is_second = self.has_data && !self.is_joined && !self.was_error;
            if is_second && self.lenient && stands_alone(self.data.trim_ascii()) {
                self.next = Some(value.to_vec());
            } else {
                self.add(value)?;
            }
        }
        Ok(line.is_empty())
    }

    /// Adds a data line to the event.
    fn add(&mut self, value: &[u8]) -> Result<(), TooLong> {
        if self.data.len() + value.len() >= MAX_EVENT_BYTES {
            return Err(TooLong);
        }
        if self.has_data {
            self.is_joined = true;
            self.data.push(b'\n');
        } else {
            self.was_error = self.is_error;
        }
        self.has_data = true;
        self.data.extend_from_slice(value);
        Ok(())
    }

    /// The line that ends the stream has come; no server says more in that event.
    fn ends_stream(&self) -> bool {
        self.lenient && self.data == DONE && self.has_data && !self.is_error
    }

    /// Reads a line that is neither data nor empty; its value, if it is the data of an error.
    #[cold]
    fn take_other<'l>(&mut self, line: &'l [u8]) -> Option<&'l [u8]> {
        let end = line.iter().position(|&byte| byte == b':');
        let (name, value) = line.split_at_checked(end.unwrap_or(line.len()))?;
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        match name {
            b"event" => self.is_error = value.eq_ignore_ascii_case(b"error"),
            b"error" => {
                self.is_error = true;
                return Some(value);
            }
            b"" | b"id" | b"retry" => {}
            _ if line.starts_with(b"{") && raw_json::is_object(line) => {
                self.is_error = true;
                return Some(line);
            }
            _ => {
                self.stray.clear();
                self.stray.extend_from_slice(line);
                self.has_stray = true;
            }
        }
        None
    }

    /// The line without the byte order mark that the first one may have.
    fn without_mark<'l>(&mut self, line: &'l [u8]) -> &'l [u8] {
        if self.past_first_line {
            return line;
        }
        self.past_first_line = true;
        line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line)
    }
}

/// Whether the first data line of an event can be no beginning of a longer JSON object.
fn stands_alone(data: &[u8]) -> bool {
    !data.is_empty() && (data.first() != Some(&b'{') || raw_json::is_object(data))
}

/// The value of a `data` field: what follows the colon without one leading
/// space, empty when there is no colon. `None`: the line is something else.
fn data_value(line: &[u8]) -> Option<&[u8]> {
    let rest = line.strip_prefix(b"data")?;
    match rest.split_first() {
        None => Some(&[]),
        Some((b':', value)) => Some(value.strip_prefix(b" ").unwrap_or(value)),
        Some(_) => None,
    }
}
