//! Tool calls, put together from their pieces.
//!
//! Pieces belong to a call by `index`, else by `id`. Servers differ: vLLM names
//! id and function once and then sends arguments by index; some repeat id and
//! name with every piece, some make up a new id for every piece, some give
//! every call index 0, some send no index at all. Calls may interleave. What
//! the model wrote is passed on as it is, and never repaired.

use alloc::borrow::Cow;
use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use super::chunk;
use crate::number::push_integer;
use crate::raw_json::Raw;
use crate::text;
use crate::types::Event;

#[cfg(test)]
mod tests;

/// Most calls of one answer. vLLM's own parsers stop far below.
pub const MAX_CALLS: usize = 1024;

/// Most bytes of all ids, names and arguments of one answer. A context of a
/// million tokens holds about four megabytes.
pub const MAX_CALL_BYTES: usize = 16 << 20;

/// What a piece costs beside its bytes and one for each call that it is looked up
/// among: pieces with nothing in them come to an end too.
const PIECE_BYTES: usize = 16;

/// A limit of this module was hit; the words name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooMuch(pub &'static str);

/// The calls of one answer.
#[derive(Default)]
pub(super) struct Calls {
    calls: Vec<Call>,
    /// How many of them the caller was told of.
    told: u32,
    /// Bytes held by `calls`.
    bytes: usize,
    /// Pieces came for a call that had ended.
    pub late: bool,
    /// Names of the calls whose arguments are no JSON.
    pub invalid: Vec<String>,
}

struct Call {
    /// The server's own position and id, to find the call by.
    position: Option<u64>,
    server_id: Option<String>,
    /// What the caller was told, or will be.
    id: String,
    name: String,
    arguments: String,
    /// Its number to the caller, once it was told of. Calls are numbered as
    /// they are told of: one may wait for its name while another begins.
    number: Option<u32>,
    ended: bool,
}

impl Calls {
    /// There was no call.
    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Takes one piece. `answer` is the answer's id, of which an id is made for
    /// a call that has none: ids must differ between the turns of a
    /// conversation.
    pub(super) fn piece(
        &mut self,
        piece: chunk::Call<'_>,
        answer: &str,
        out: &mut Vec<Event>,
    ) -> Result<(), TooMuch> {
        let position = piece.index;
        let id = piece.id.0;
        let name = piece.function.name.0;
        let arguments = piece.function.arguments.0;

        let added = [&id, &name, &arguments]
            .iter()
            .map(|text| text.as_ref().map_or(0, |text| text.len()))
            .sum::<usize>()
            + PIECE_BYTES
            + self.calls.len();
        if self.bytes + added > MAX_CALL_BYTES {
            return Err(TooMuch("more than 16 MiB of tool calls in one answer"));
        }
        self.bytes += added;

        let index = match self.find(position, id.as_deref(), name.as_deref()) {
            Some(index) => index,
            None if self.calls.len() >= MAX_CALLS => {
                return Err(TooMuch("more than 1,024 tool calls in one answer"));
            }
            None => {
                self.calls.push(Call {
                    position,
                    server_id: None,
                    id: String::new(),
                    name: String::new(),
                    arguments: String::new(),
                    number: None,
                    ended: false,
                });
                self.calls.len() - 1
            }
        };
        let Some(call) = self.calls.get_mut(index) else {
            return Ok(());
        };
        if call.ended {
            self.late |= arguments.is_some();
            return Ok(());
        }
        if call.server_id.is_none() {
            call.server_id = id.map(Cow::into_owned);
        }
        if call.name.is_empty() {
            call.name = name.map(Cow::into_owned).unwrap_or_default();
        }
        let number = call.number;
        if number.is_none() && !call.name.is_empty() {
            call.arguments
                .push_str(arguments.as_deref().unwrap_or_default());
            self.start(index, answer, out);
        } else if let Some(arguments) = arguments {
            call.arguments.push_str(&arguments);
            if let Some(index) = number {
                out.push(Event::ToolCallArguments {
                    index,
                    delta: arguments.into_owned(),
                });
            }
        }
        Ok(())
    }

    /// Ends every call that is open, in order.
    pub(super) fn end(&mut self, answer: &str, out: &mut Vec<Event>) {
        for index in 0..self.calls.len() {
            match self.calls.get(index) {
                Some(call) if call.ended => continue,
                Some(call) if call.number.is_some() => {}
                _ => self.start(index, answer, out),
            }
            let Some(call) = self.calls.get_mut(index) else {
                return;
            };
            let Some(number) = call.number else {
                return;
            };
            call.ended = true;
            let mut arguments = core::mem::take(&mut call.arguments);
            self.bytes -= arguments.len();
            if arguments.trim_ascii().is_empty() {
                arguments = "{}".to_owned();
            }
            let valid = Raw::parse(&arguments).is_ok();
            if !valid {
                self.invalid.push(call.name.clone());
            }
            out.push(Event::ToolCallEnd {
                index: number,
                id: call.id.clone(),
                name: call.name.clone(),
                arguments,
                valid,
            });
        }
    }

    /// The call that a piece belongs to; `None`: it begins a new one.
    fn find(&self, position: Option<u64>, id: Option<&str>, name: Option<&str>) -> Option<usize> {
        // From the end: where positions repeat, the newest call goes on.
        let index = match (position, id) {
            (Some(_), _) => self.last(|call| call.position == position)?,
            (None, Some(_)) => return self.last(|call| call.server_id.as_deref() == id),
            // Neither: the last call goes on, unless a name begins the next.
            (None, None) if name.is_none() => self.last(|_| true)?,
            (None, None) => return None,
        };
        // Another id and a name: a new call at an old position. Another id
        // alone is a server that makes one up for every piece.
        let call = self.calls.get(index)?;
        let other_id = id.is_some() && call.server_id.is_some() && call.server_id.as_deref() != id;
        if other_id && name.is_some() && !call.name.is_empty() {
            // Of calls that share a position, the id says which goes on.
            return self.last(|call| call.position == position && call.server_id.as_deref() == id);
        }
        Some(index)
    }

    fn last(&self, is_it: impl Fn(&Call) -> bool) -> Option<usize> {
        self.calls.iter().rposition(is_it)
    }

    /// Tells of a call, and of the arguments that waited for its name.
    fn start(&mut self, index: usize, answer: &str, out: &mut Vec<Event>) {
        let known = self
            .calls
            .get(index)
            .and_then(|call| call.server_id.clone());
        let id = known.unwrap_or_else(|| self.unused_id(index, answer));
        let Some(call) = self.calls.get_mut(index) else {
            return;
        };
        call.id = id;
        let index = self.told;
        self.told += 1;
        call.number = Some(index);
        out.push(Event::ToolCallStart {
            index,
            id: call.id.clone(),
            name: call.name.clone(),
        });
        if !call.arguments.is_empty() {
            out.push(Event::ToolCallArguments {
                index,
                delta: call.arguments.clone(),
            });
        }
    }

    fn unused_id(&self, index: usize, answer: &str) -> String {
        let mut number = String::new();
        push_integer(&mut number, index as u64);
        let mut id = match answer.is_empty() {
            true => text::concat(&["call_", &number]),
            false => text::concat(&["call_", answer, "_", &number]),
        };
        while self
            .calls
            .iter()
            .any(|call| call.id == id || call.server_id.as_deref() == Some(&id))
        {
            id.push('_');
        }
        id
    }
}
