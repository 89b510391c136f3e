//! What the pieces of a stream have in common.
//!
//! From one token to the next a server repeats a whole chunk, two hundred bytes of it, and changes a word. So once a
//! chunk was read that brought one text and nothing else, its bytes before and behind that text are kept. An event that
//! has the same bytes around another JSON string is the same chunk with another text: the object has the same members
//! with the same values, whatever they are, and the string is the only difference. It need not be read again, only
//! compared. Anything else goes the long way, through [`super::chunk`], and what comes out is the same by construction;
//! that it is the same in fact is held by every test that cuts a stream, since an event that is cut is never compared.
//!
//! A server may also count its tokens in each chunk. So inside the account of a chunk the digits of a number may differ:
//! with other digits it is the same object with other numbers. The last account is all that an answer needs, and the
//! bytes are kept until somebody asks for it.
//!
//! No shape of any server is written down here.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::vec::Vec;

use super::chunk::{self, Chunk};
use crate::json::{self, Inside, Reader};
use crate::sse::MAX_EVENT_BYTES;
use crate::usage::Counts;

/// Longest chunk that is kept, in bytes. vLLM's have some 250.
const MAX_KEPT: usize = 2048;

/// So many chunks are kept in vain, one after the other, before it is given up: a server may put something else into each,
/// and then never repeats one.
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
    /// Where the account stands: bytes before it and behind it in `after`.
    account: Option<(usize, usize)>,
    /// The account is that of a chunk that was recognized, and nobody has asked for it yet.
    recounted: bool,
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
        // An empty text is none, and the parser has the last word on what is too long.
        if text.is_empty() || text.len() > MAX_EVENT_BYTES - 2 * MAX_KEPT {
            return None;
        }
        let text = core::str::from_utf8(text).ok()?;
        let text = match escaped {
            false => Cow::Borrowed(text),
            true => Cow::Owned(json::unescape(text)?),
        };
        let rest = self.strip_after(rest)?;
        self.misses = 0;
        Some((text, rest))
    }

    /// What follows `after`, with which `bytes` have to begin, but for numbers of the account. They are kept.
    fn strip_after<'b>(&mut self, bytes: &'b [u8]) -> Option<&'b [u8]> {
        if self.account.is_none() {
            self.recounted = false;
            return strip(bytes, &self.after);
        }
        let (mut known, mut given) = (0, 0);
        let mut changed = false;
        loop {
            let same = common(self.after.get(known..)?, bytes.get(given..)?);
            known += same;
            given += same;
            if known == self.after.len() {
                break;
            }
            // They differ in a number, which may have begun before. Behind it something is the same.
            let no_digit = |byte: &u8| !byte.is_ascii_digit();
            let edge = self.after.get(..known)?.iter().rposition(no_digit)?;
            let from = edge + 1;
            let first = given.checked_sub(known - from)?;
            let (old, new) = (digits(&self.after, from), digits(bytes, first));
            let (before, behind) = self.account?;
            let in_account = from > before && from + old < self.after.len() - behind;
            let is_number = matches!(self.after.get(edge)?, b':' | b' ');
            let leading_zero = new > 1 && bytes.get(first) == Some(&b'0');
            if same == 0 || !in_account || !is_number || old == 0 || new == 0 || leading_zero {
                return None;
            }
            (known, given) = (from + old, first + new);
            changed = true;
        }
        let (after, rest) = bytes.split_at_checked(given)?;
        self.recounted = self.account.is_some();
        if changed {
            self.after.clear();
            self.after.extend_from_slice(after);
        }
        Some(rest)
    }

    /// The account of the last chunk that was recognized, once.
    pub(super) fn recount(&mut self) -> Option<Box<Counts>> {
        if !core::mem::take(&mut self.recounted) {
            return None;
        }
        let (before, behind) = self.account?;
        let account = self.after.get(before..self.after.len() - behind)?;
        let mut json = Reader::new(core::str::from_utf8(account).ok()?);
        chunk::counts(&mut json).ok()?
    }

    /// Keeps what is around the only text of a chunk that was read from `source`, if it has one.
    pub(super) fn learn(&mut self, source: &[u8], chunk: &Chunk<'_>) {
        if self.misses >= MAX_MISSES || source.len() > MAX_KEPT {
            return;
        }
        let Some((place, Cow::Borrowed(text))) = only_text(chunk) else {
            return;
        };
        // The next piece of a call that begins here goes on with it, and is no beginning.
        let delta = chunk
            .choices
            .first
            .as_ref()
            .and_then(|choice| choice.delta.as_ref());
        let begins = |call: &chunk::Call<'_>| call.id.0.is_some() || call.function.name.0.is_some();
        if delta.is_some_and(|delta| delta.tool_calls.iter().any(begins)) {
            return;
        }
        // The text is a part of the source, or was made from it: then it is not found there.
        let Some((start, behind)) = around(source, text) else {
            return;
        };
        let (Some(before), Some(after)) =
            (source.get(..start), source.get(source.len() - behind..))
        else {
            return;
        };
        // Arguments may be an object instead of a string.
        if before.last() != Some(&b'"') || after.first() != Some(&b'"') {
            return;
        }
        let account = around(after, chunk.usage_text);
        if chunk.usage.is_some() && account.is_none() {
            return;
        }
        self.misses += 1;
        self.place = place;
        self.account = account.filter(|_| chunk.usage.is_some());
        self.recounted = false;
        self.before.clear();
        self.before.extend_from_slice(before);
        self.after.clear();
        self.after.extend_from_slice(after);
    }
}

/// The text of a chunk that brings nothing else, an account perhaps, as it stands in the chunk.
fn only_text<'c, 'a>(chunk: &'c Chunk<'a>) -> Option<(Place, &'c Cow<'a, str>)> {
    let choice = chunk.choices.first.as_ref()?;
    let delta = choice.delta.as_ref()?;
    let more = !chunk.choices.rest.is_empty()
        || choice.usage.is_some()
        || choice.index.is_some_and(|index| index != 0)
        || choice.finish_reason.0.is_some()
        || delta.refusal.0.is_some()
        || delta.function_call.is_some();
    if more {
        return None;
    }
    match (&delta.content.0, &delta.thinking.0, &delta.tool_calls[..]) {
        (Some(text), None, []) => Some((Place::Content, text)),
        (None, Some(text), []) => Some((Place::Thinking, text)),
        (None, None, [call]) => {
            let text = call.function.arguments.0.as_ref()?;
            Some((Place::Arguments(call.index?), text))
        }
        _ => None,
    }
}

/// How many bytes stand before a part of some bytes, and how many behind it. None: it is no part of them.
fn around(bytes: &[u8], part: &str) -> Option<(usize, usize)> {
    let before = part.as_ptr().addr().wrapping_sub(bytes.as_ptr().addr());
    let behind = bytes.len().checked_sub(before.checked_add(part.len())?)?;
    Some((before, behind))
}

/// What follows `front`, if `bytes` begin with it. The last sixteen bytes are compared at once, too,
/// some of them for the second time.
fn strip<'b>(bytes: &'b [u8], front: &[u8]) -> Option<&'b [u8]> {
    let (found, rest) = bytes.split_at_checked(front.len())?;
    let (mut a, mut b) = (found, front);
    while let (Some((x, behind_x)), Some((y, behind_y))) =
        (a.split_first_chunk(), b.split_first_chunk())
    {
        if u128::from_le_bytes(*x) != u128::from_le_bytes(*y) {
            return None;
        }
        (a, b) = (behind_x, behind_y);
    }
    let is_same = match (found.last_chunk(), front.last_chunk()) {
        (Some(x), Some(y)) => u128::from_le_bytes(*x) == u128::from_le_bytes(*y),
        _ => a == b,
    };
    is_same.then_some(rest)
}

/// With how many equal bytes two slices begin. Sixteen are compared at once: on WebAssembly, `==`
/// takes one after the other.
fn common(a: &[u8], b: &[u8]) -> usize {
    let (a_chunks, b_chunks) = (a.as_chunks::<16>().0, b.as_chunks::<16>().0);
    let mut same = 0;
    while let (Some(a), Some(b)) = (a_chunks.get(same), b_chunks.get(same))
        && u128::from_le_bytes(*a) == u128::from_le_bytes(*b)
    {
        same += 1;
    }
    let mut length = 16 * same;
    while let (Some(a), Some(b)) = (a.get(length), b.get(length))
        && a == b
    {
        length += 1;
    }
    length
}

/// How many digits stand at a place.
fn digits(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

#[cfg(test)]
mod tests;
