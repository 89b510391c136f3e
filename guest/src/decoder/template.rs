//! What the pieces of a stream have in common.
//!
//! From one token to the next a server repeats a whole chunk, two hundred bytes of it, and changes a word. So once a
//! chunk was read that brought one text and nothing else, its bytes before and behind that text are kept. An event that
//! has the same bytes around another JSON string is the same chunk with another text: the object has the same members
//! with the same values, whatever they are, and the string is the only difference. It need not be read again, only
//! compared. Anything else goes the long way, through [`super::chunk`], and what comes out is the same by construction;
//! that it is the same in fact is held by every test that cuts a stream, since an event that is cut is never compared.
//!
//! No shape of any server is written down here.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use super::chunk::Chunk;
use crate::json::{self, Inside};
use crate::sse::MAX_EVENT_BYTES;

/// Longest chunk that is kept, in bytes. vLLM's have some 250.
const MAX_KEPT: usize = 2048;

/// So many chunks are kept in vain, one after the other, before it is given up: a server that counts its tokens in every
/// chunk never repeats one.
const MAX_MISSES: u8 = 16;

/// Where the text of a chunk belongs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Place {
    #[default]
    Content,
    Thinking,
    /// The arguments of the call at this position.
    Arguments(u64),
}

/// The bytes around the text of the last chunk, and what the text was.
#[derive(Default)]
pub(super) struct Template {
    /// From the beginning of the event to the opening quote. Empty: nothing is known.
    before: Vec<u8>,
    /// From the closing quote to the end of the event.
    after: Vec<u8>,
    place: Place,
    /// Chunks kept since one was recognized.
    misses: u8,
}

impl Template {
    /// Where the text of [`Template::read`] belongs.
    pub(super) fn place(&self) -> Place {
        self.place
    }

    /// The text of the event that `input` begins with, and what comes behind the event. None: it is not known, or cut.
    pub(super) fn read<'i>(&mut self, input: &'i [u8]) -> Option<(Cow<'i, str>, &'i [u8])> {
        if self.before.is_empty() {
            return None;
        }
        let rest = strip(input, &self.before)?;
        let Inside { length, escaped } = json::inside(rest).ok()?;
        let (text, rest) = rest.split_at_checked(length)?;
        let rest = strip(rest, &self.after)?;
        // An empty text is none, and the parser has the last word on what is too long.
        if text.is_empty() || text.len() > MAX_EVENT_BYTES - 2 * MAX_KEPT {
            return None;
        }
        let text = core::str::from_utf8(text).ok()?;
        let text = match escaped {
            false => Cow::Borrowed(text),
            true => Cow::Owned(json::unescape(text)?),
        };
        self.misses = 0;
        Some((text, rest))
    }

    /// Keeps what is around the only text of a chunk that was read from `source`, if it has one.
    pub(super) fn learn(&mut self, source: &[u8], chunk: &Chunk<'_>) {
        if self.misses >= MAX_MISSES || source.len() > MAX_KEPT {
            return;
        }
        let Some((place, text)) = only_text(chunk) else {
            return;
        };
        // The text is a part of the source, or was made from it: then it is not found there.
        let start = text.as_ptr().addr().wrapping_sub(source.as_ptr().addr());
        let Some((before, rest)) = source.split_at_checked(start) else {
            return;
        };
        let Some((_, after)) = rest.split_at_checked(text.len()) else {
            return;
        };
        // Arguments may be an object instead of a string.
        if before.last() != Some(&b'"') || after.first() != Some(&b'"') {
            return;
        }
        self.misses += 1;
        self.place = place;
        self.before.clear();
        self.before.extend_from_slice(before);
        self.after.clear();
        self.after.extend_from_slice(after);
    }
}

/// The text of a chunk that brings nothing else, as it stands in the chunk.
fn only_text<'c>(chunk: &'c Chunk<'_>) -> Option<(Place, &'c str)> {
    let choice = chunk.choices.first.as_ref()?;
    let delta = choice.delta.as_ref()?;
    let more = !chunk.choices.rest.is_empty()
        || chunk.usage.is_some()
        || choice.usage.is_some()
        || choice.index.is_some_and(|index| index != 0)
        || choice.finish_reason.0.is_some()
        || delta.refusal.0.is_some()
        || delta.function_call.is_some();
    if more {
        return None;
    }
    let (place, text) = match (&delta.content.0, &delta.thinking.0, &delta.tool_calls[..]) {
        (Some(text), None, []) => (Place::Content, text),
        (None, Some(text), []) => (Place::Thinking, text),
        (None, None, [call]) if call.id.0.is_none() && call.function.name.0.is_none() => {
            let text = call.function.arguments.0.as_ref()?;
            (Place::Arguments(call.index?), text)
        }
        _ => return None,
    };
    match text {
        Cow::Borrowed(text) => Some((place, text)),
        Cow::Owned(_) => None,
    }
}

/// What follows `front`, if `bytes` begin with it.
fn strip<'b>(bytes: &'b [u8], front: &[u8]) -> Option<&'b [u8]> {
    let (begin, rest) = bytes.split_at_checked(front.len())?;
    same(begin, front).then_some(rest)
}

/// Whether two slices are equal. On WebAssembly, `==` compares one byte after the other.
fn same(a: &[u8], b: &[u8]) -> bool {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<16>(), b.as_chunks::<16>());
    let differ = |(a, b): (&[u8; 16], &[u8; 16])| u128::from_le_bytes(*a) ^ u128::from_le_bytes(*b);
    a.iter().zip(b).map(differ).all(|bits| bits == 0) && a.len() == b.len() && a_rest == b_rest
}

#[cfg(test)]
mod tests;
