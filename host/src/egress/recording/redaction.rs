//! What must not be seen, taken out of bytes that come in pieces.
//!
//! A server may return a key in the middle of a body, and a network may cut it anywhere. So a piece
//! whose end may be the beginning of a secret is held back until the next ones decide ([`Pieces`]).
//! It is the writing that waits, and never the answer itself.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;

use super::strings::Strings;
use crate::policy::Secrets;
use crate::policy::search::{Found, Matcher, merged, without};

/// Pieces that are held back for a secret that may go on in another string. More are not, so that
/// a recording of a chat that is killed lacks little.
const HELD_PIECES: usize = 1024;

/// Bytes that are held back for it.
const HELD_BYTES: usize = 16 << 10;

/// What a recording must not hold.
pub(super) struct Redaction(Arc<Matcher>);

impl Redaction {
    pub(super) fn new(secrets: &Secrets) -> Self {
        Self(Arc::clone(secrets.shown()))
    }

    /// A text without it.
    pub(super) fn text(&self, text: &str) -> String {
        self.0.text(text).into_owned()
    }

    /// Bytes without it.
    pub(super) fn bytes<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        self.0.bytes(bytes)
    }

    /// A whole body without it, also where it is spread over strings.
    pub(super) fn body<'a>(&self, body: &'a Bytes) -> Cow<'a, [u8]> {
        if self.0.is_empty() {
            return Cow::Borrowed(body);
        }
        let mut pieces = Pieces::default();
        let mut all = pieces.push(0, body.clone(), self);
        all.extend(pieces.finish(self));
        Cow::Owned(all.into_iter().flat_map(|(_, bytes)| bytes).collect())
    }
}

/// A body as it comes: pieces in, and the same pieces out without secrets, as soon as it is known
/// what belongs to one.
#[derive(Default)]
pub(super) struct Pieces {
    held: Vec<(u64, Bytes)>,
    /// Where what is held begins in the body.
    base: usize,
    /// Bytes at the beginning of what is held that belong to a secret which was replaced already.
    replaced: usize,
    strings: Strings,
}

impl Pieces {
    /// Takes a piece and its time; gives out what is decided.
    pub(super) fn push(
        &mut self,
        at_us: u64,
        piece: Bytes,
        redaction: &Redaction,
    ) -> Vec<(u64, Vec<u8>)> {
        if redaction.0.is_empty() {
            return vec![(at_us, piece.into())];
        }
        self.strings.read(&piece, &redaction.0);
        self.held.push((at_us, piece));
        self.decide(redaction, false)
    }

    /// Gives out the rest: nothing more will come.
    pub(super) fn finish(&mut self, redaction: &Redaction) -> Vec<(u64, Vec<u8>)> {
        self.strings.end(&redaction.0);
        self.decide(redaction, true)
    }

    fn decide(&mut self, redaction: &Redaction, whole: bool) -> Vec<(u64, Vec<u8>)> {
        let joined: Cow<'_, [u8]> = match self.held.as_slice() {
            [(_, only)] => Cow::Borrowed(only),
            several => Cow::Owned(
                several
                    .iter()
                    .flat_map(|(_, piece)| piece)
                    .copied()
                    .collect(),
            ),
        };
        let Found {
            mut spans,
            mut decided,
        } = redaction.0.find(&joined, whole);
        let bounded = self.held.len() <= HELD_PIECES && joined.len() <= HELD_BYTES;
        if let (false, true, Some(from)) = (whole, bounded, self.strings.undecided()) {
            decided = decided.min(from.saturating_sub(self.base));
        }
        self.strings.forget_before(self.base);
        let spread = self.strings.spans().iter();
        spans.extend(spread.map(|span| {
            // What was given out already is past mending.
            span.start.saturating_sub(self.base)..span.end - self.base
        }));
        if self.replaced > 0 {
            // It began in a piece that is gone.
            spans.push(0..self.replaced);
        }
        let spans = merged(spans);
        let mut out = Vec::new();
        let (mut start, mut gone) = (0, 0);
        for (at_us, piece) in &self.held {
            let end = start + piece.len();
            if end > decided {
                break;
            }
            let bytes = without(&joined, start..end, &spans, self.replaced);
            out.push((*at_us, bytes.into_owned()));
            (start, gone) = (end, gone + 1);
        }
        if gone > 0 {
            let crossing = spans
                .iter()
                .find(|span| span.start < start && span.end > start);
            self.replaced = crossing.map_or(0, |span| span.end - start);
        }
        self.base += start;
        self.held.drain(..gone);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Binding, Secret};

    const KEY: &str = "sk-0123456789abcdef";

    fn redaction(secrets: &[&str]) -> Redaction {
        let mut all = Secrets::new();
        for secret in secrets {
            all.mint(Secret::new(*secret).unwrap(), Binding::Nowhere)
                .unwrap();
        }
        Redaction::new(&all)
    }

    fn in_pieces(
        redaction: &Redaction,
        text: &[u8],
        sizes: impl Iterator<Item = usize>,
    ) -> Vec<Vec<u8>> {
        let mut pieces = Pieces::default();
        let mut out = Vec::new();
        let (mut rest, mut count) = (Bytes::copy_from_slice(text), 0);
        for size in sizes {
            if rest.is_empty() {
                break;
            }
            let piece = rest.split_to(size.min(rest.len()));
            out.extend(pieces.push(count, piece, redaction));
            count += 1;
        }
        out.extend(pieces.finish(redaction));
        let times: Vec<u64> = out.iter().map(|(at, _)| *at).collect();
        assert_eq!(
            times,
            (0..count).collect::<Vec<_>>(),
            "each piece keeps its time"
        );
        out.into_iter().map(|(_, bytes)| bytes).collect()
    }

    #[test]
    fn a_secret_is_found_however_it_is_cut() {
        let redaction = redaction(&[KEY, "sk-0123", "aaaaaa", "ключ\"ключ"]);
        let texts = [
            ("nothing here, s, sk, sk-", "nothing here, s, sk, sk-"),
            ("a sk-0123456789abcdef b sk-0123 c", "a *** b *** c"),
            ("sk-0123456789abcdefsk-0123456789abcdef", "******"),
            ("aaaaaaaaaaaaaa", "***"),
            ("half: sk-0123456789…", "half: ***…"),
            (r#"{"key":"ключ\"ключ"}"#, r#"{"key":"***"}"#),
            (
                r#""\u043a\u043b\u044e\u0447\"\u043a\u043b\u044e\u0447""#,
                r#""***""#,
            ),
        ];
        for (text, expected) in texts {
            let all = text.as_bytes();
            assert_eq!(redaction.text(text), expected);
            for first in 1..=all.len() {
                for then in [1, 2, 7, all.len()] {
                    let sizes = std::iter::once(first).chain(std::iter::repeat(then));
                    let found = in_pieces(&redaction, all, sizes).concat();
                    let found = String::from_utf8(found).unwrap();
                    assert_eq!(
                        found, expected,
                        "{text:?} cut at {first}, then every {then}"
                    );
                }
            }
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_searched_as_well() {
        let redaction = redaction(&[KEY]);
        let bytes = [b"\xff\xfe", KEY.as_bytes(), b"\x80"].concat();
        assert_eq!(redaction.bytes(&bytes).as_ref(), b"\xff\xfe***\x80");
    }

    #[test]
    fn a_piece_without_secrets_is_given_out_at_once_and_little_is_held() {
        let redaction = redaction(&[KEY, "aaaaaa"]);
        let mut pieces = Pieces::default();
        assert_eq!(pieces.push(0, "data: x\n\n".into(), &redaction).len(), 1);
        for at in 0..5000 {
            // A line without an end may be the beginning of a spread secret, for a while.
            pieces.push(at, Bytes::from_static(b"a"), &redaction);
            assert!(pieces.held.len() <= HELD_PIECES, "{}", pieces.held.len());
        }
    }

    #[test]
    fn without_secrets_nothing_is_touched() {
        let redaction = redaction(&[]);
        assert!(matches!(redaction.bytes(b"abc"), Cow::Borrowed(_)));
    }
}
