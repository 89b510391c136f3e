//! Tool calls, put together from their pieces.
//!
//! A piece is classified by what it carries and by what is still open. Its place is its `index`,
//! else its `id`, else that of the newest call. Without a name it goes on with the call at its
//! place; where there is none, with the newest call, while the arguments of that are no whole JSON
//! value. With a name it goes on with the call at its place too, as long as nothing says that
//! another call begins: the same name again while the arguments are not whole is a repetition, and
//! another one before the arguments begin is a part of the name or a longer form of it. Another
//! name, and arguments that begin behind whole ones, begin a call. So servers may repeat id and
//! name with every piece, make up an id for every piece, count the index up, give every call index
//! 0, or send no index at all. Calls may interleave. What the model wrote is passed on as it is,
//! and never repaired.

use alloc::borrow::Cow;
use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use super::{chunk, surrogates};
use crate::number::push_integer;
use crate::raw_json::Raw;
use crate::text;
use crate::types::Event;

mod progress;
#[cfg(test)]
mod tests;

use progress::Progress;

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
    /// A call has a name and no arguments, and the caller was not told of it: the name may go on.
    waits: bool,
    /// Halves of surrogate pairs are marked in the piece that is taken.
    pub marked: bool,
    /// A call ended without a name.
    pub nameless: bool,
    /// Pieces came for a call that had ended.
    pub late: bool,
    /// Two calls came with one id.
    pub shared_id: bool,
    /// Names of the calls whose arguments are no JSON.
    pub invalid: Vec<String>,
    /// Names of the calls whose arguments came as JSON that is neither text nor an object.
    pub foreign: Vec<String>,
}

struct Call {
    /// The server's own position and id, to find the call by.
    position: Option<u64>,
    server_id: Option<String>,
    /// What the caller was told, or will be.
    id: String,
    name: String,
    arguments: String,
    /// The first half of a surrogate pair that the arguments ended with.
    half: Option<u32>,
    /// How far the arguments are.
    progress: Progress,
    /// A piece that went on with it had the name again, or another id: the server does that with
    /// every piece.
    repeats: bool,
    /// It came behind a whole call with that call's name, place and id, and perhaps without
    /// arguments of its own: then it is that call's name once more.
    echoes: bool,
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

    /// There are calls, and the arguments of each are JSON.
    pub(super) fn are_valid(&self) -> bool {
        let is_echo = |call: &Call| call.echoes && call.arguments.is_empty();
        let valid =
            |call: &Call| call.ended || is_echo(call) || Raw::parse(&call.arguments).is_ok();
        !self.calls.is_empty() && self.invalid.is_empty() && self.calls.iter().all(valid)
    }

    /// Of the calls, all of which have ended, one has JSON for arguments, or none.
    pub(super) fn any_valid(&self) -> bool {
        self.calls.len() > self.invalid.len()
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
        let mut id = piece.id.0;
        let mut name = piece.function.name.0;
        let arguments = piece.function.arguments.0;
        if self.marked {
            for text in [&mut id, &mut name].into_iter().flatten() {
                *text = Cow::Owned(surrogates::join_whole(text));
            }
        }

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

        let texts = (id.as_deref(), name.as_deref(), arguments.as_deref());
        let index = match self.find(position, texts) {
            Some(index) => index,
            None if self.calls.len() >= MAX_CALLS => {
                return Err(TooMuch("more than 1,024 tool calls in one answer"));
            }
            None => {
                let echoes = self.echoes(position, texts);
                self.calls.push(Call {
                    position,
                    server_id: None,
                    id: String::new(),
                    name: String::new(),
                    arguments: String::new(),
                    half: None,
                    progress: Progress::default(),
                    repeats: false,
                    echoes,
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
        match name {
            // Told already: the end of the call has the whole of it.
            Some(name) if call.number.is_some() && name == call.name => {}
            Some(name) => call.take_name(&name),
            None => {}
        }
        if piece.function.is_foreign {
            self.foreign.push(call.name.clone());
        }
        let arguments = match arguments {
            Some(text) if self.marked || call.half.is_some() => {
                let joined = surrogates::join(&text, &mut call.half);
                Some(Cow::Owned(joined)).filter(|text: &Cow<'_, str>| !text.is_empty())
            }
            arguments => arguments,
        };
        let Some(arguments) = arguments else {
            if call.number.is_none() && !call.name.is_empty() {
                match call.arguments.is_empty() {
                    true => self.waits = true,
                    false => self.start(index, answer, out),
                }
            }
            return Ok(());
        };
        call.arguments.push_str(&arguments);
        if let Some(index) = call.number {
            out.push(Event::ToolCallArguments {
                index,
                delta: arguments.into_owned(),
            });
        } else if !call.name.is_empty() {
            if self.waits {
                // In the server's order.
                self.tell_before(index, answer, out);
                self.waits = self.calls.iter().skip(index + 1).any(Call::waits);
            }
            self.start(index, answer, out);
        }
        Ok(())
    }

    /// Tells of the calls whose names may have gone on until now, because something else comes.
    pub(super) fn tell(&mut self, answer: &str, out: &mut Vec<Event>) {
        if core::mem::take(&mut self.waits) {
            self.tell_before(self.calls.len(), answer, out);
        }
    }

    /// Tells of those before a call.
    fn tell_before(&mut self, end: usize, answer: &str, out: &mut Vec<Event>) {
        for index in 0..end {
            if self.calls.get(index).is_some_and(Call::waits) {
                self.start(index, answer, out);
            }
        }
    }

    /// Whether a piece that begins a new call says no more than the newest one did.
    fn echoes(
        &mut self,
        position: Option<u64>,
        texts: (Option<&str>, Option<&str>, Option<&str>),
    ) -> bool {
        let (id, name, arguments) = texts;
        let Some(newest) = self.calls.last_mut() else {
            return false;
        };
        newest.is_whole()
            && name == Some(&newest.name)
            && (position.is_some() || id.is_some())
            && position == newest.position
            && (id.is_none() || id == newest.server_id.as_deref())
            && arguments.is_none()
    }

    /// Ends the calls that are open, in order. `valid_only`: those whose arguments are JSON.
    pub(super) fn end(&mut self, valid_only: bool, answer: &str, out: &mut Vec<Event>) {
        self.tell(answer, out);
        for index in 0..self.calls.len() {
            let Some(call) = self.calls.get_mut(index) else {
                return;
            };
            if call.ended {
                continue;
            }
            if !valid_only && call.half.take().is_some() {
                call.arguments.push(char::REPLACEMENT_CHARACTER);
                out.extend(call.number.map(|index| Event::ToolCallArguments {
                    index,
                    delta: String::from(char::REPLACEMENT_CHARACTER),
                }));
            }
            let mut valid = Raw::parse(&call.arguments).is_ok();
            if valid_only && !valid {
                continue;
            }
            if call.number.is_none() && call.echoes && call.arguments.is_empty() {
                call.ended = true;
                continue;
            }
            if call.number.is_none() {
                self.start(index, answer, out);
            }
            let Some(call) = self.calls.get_mut(index) else {
                return;
            };
            let Some(number) = call.number else {
                return;
            };
            call.ended = true;
            self.nameless |= call.name.is_empty();
            let mut arguments = core::mem::take(&mut call.arguments);
            self.bytes -= arguments.len();
            if arguments.trim_ascii().is_empty() {
                arguments = "{}".to_owned();
                valid = true;
            }
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

    /// The call that a piece goes on with; `None`: it begins a new one. `texts`: id, name and
    /// arguments.
    fn find(
        &mut self,
        position: Option<u64>,
        texts: (Option<&str>, Option<&str>, Option<&str>),
    ) -> Option<usize> {
        let (id, name, arguments) = texts;
        let newest = self.calls.len().checked_sub(1)?;
        // From the end: where positions repeat, the newest call goes on.
        let here = match (position, id) {
            (Some(_), _) => self.last(|call| call.position == position),
            (None, Some(_)) => self.last(|call| call.server_id.as_deref() == id),
            (None, None) => Some(newest),
        };
        let Some(index) = here else {
            // A place that is new. The newest call may go on there: with the same name, or none.
            let call = self.calls.get_mut(newest)?;
            let goes_on = match name {
                None => !call.name.is_empty(),
                Some(name) => {
                    name == call.name
                        && !call.arguments.is_empty()
                        && arguments.is_some_and(|arguments| !progress::begins(arguments))
                }
            };
            let goes_on = goes_on && !call.is_whole();
            call.repeats |= goes_on;
            return goes_on.then_some(newest);
        };
        let call = self.calls.get(index)?;
        let other_id = id.is_some() && call.server_id.is_some() && call.server_id.as_deref() != id;
        let known = |one: &Call| one.position == position && one.server_id.as_deref() == id;
        if other_id && let Some(known) = self.last(known) {
            // Of calls that share a position, the id says which goes on.
            return Some(known);
        }
        let call = self.calls.get_mut(index)?;
        let goes_on = match name {
            // An id alone is one that the server makes up for every piece.
            None => true,
            Some(_) if call.name.is_empty() => true,
            Some(name) => {
                let same = name == call.name;
                match (call.is_whole(), arguments) {
                    // Nothing of the arguments is there: the name again, or more of it.
                    (false, _) if call.arguments.is_empty() => {
                        // Where there are no ids, a name with whole arguments is a call.
                        let no_ids = id.is_none() && call.server_id.is_none();
                        let whole = |text: &str| Progress::default().is_whole(text);
                        let is_call = no_ids && arguments.is_some_and(whole);
                        same || (!other_id && call.number.is_none() && !is_call)
                    }
                    // The same place and the same id: more of the name came late.
                    (false, _) => same || id.is_some() && !other_id && position.is_some(),
                    (true, _) if call.ended => false,
                    (true, Some(more)) => {
                        same && !progress::begins(more) && (!other_id || call.repeats)
                    }
                    (true, None) => same && call.repeats,
                }
            }
        };
        call.repeats |= goes_on && (other_id || name.is_some());
        goes_on.then_some(index)
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
        let taken = |id: &String| self.calls.iter().any(|call| call.id == *id);
        let shared = known.as_ref().is_some_and(taken);
        self.shared_id |= shared;
        let id = known
            .filter(|_| !shared)
            .unwrap_or_else(|| self.unused_id(index, answer));
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

impl Call {
    /// It has a name that may go on, and the caller was not told of it.
    fn waits(&self) -> bool {
        self.number.is_none()
            && !self.name.is_empty()
            && self.arguments.is_empty()
            && !self.ended
            && !self.echoes
    }

    /// The arguments are a whole JSON value. None at all are not: they may still come.
    fn is_whole(&mut self) -> bool {
        self.ended || self.progress.is_whole(&self.arguments)
    }

    /// Takes the name, more of it, a longer form of it, or the same again.
    fn take_name(&mut self, name: &str) {
        if self.name.is_empty() || name.starts_with(&self.name) {
            self.name = name.to_owned();
        } else {
            self.name.push_str(name);
        }
    }
}
