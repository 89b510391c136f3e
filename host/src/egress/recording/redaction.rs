//! What must not be seen, taken out of bytes that come in pieces.
//!
//! A server may say a key back in the middle of a body, and a network may cut it anywhere. So a piece whose end may be
//! the beginning of a secret is held back until the next one decides ([`Pieces`]); it is the writing that waits, and never the
//! answer itself.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use zeroize::Zeroizing;

use crate::policy::Secrets;
use crate::policy::secret::{REDACTED, half};

/// Secrets and placeholders in the spellings that are looked for.
pub(super) struct Redaction {
    /// The longest first.
    words: Vec<Zeroizing<String>>,
    /// Whether a word begins with this byte.
    begins: [bool; 256],
}

impl Redaction {
    pub(super) fn new(secrets: &Secrets) -> Self {
        let mut words = Vec::new();
        for word in secrets.words() {
            for spelling in [json(word), ascii_json(word), word.to_owned()] {
                let spelling = Zeroizing::new(spelling);
                if !words.contains(&spelling) {
                    words.push(spelling);
                }
            }
        }
        words.sort_by_key(|word| std::cmp::Reverse(word.len()));
        let mut begins = [false; 256];
        for word in &words {
            begins[usize::from(word.as_bytes()[0])] = true;
        }
        Self { words, begins }
    }

    /// A text without them.
    pub(super) fn text(&self, text: &str) -> String {
        // Words are cut at characters only, so that what is left is text.
        String::from_utf8_lossy(&self.bytes(text.as_bytes())).into_owned()
    }

    /// Bytes without them.
    pub(super) fn bytes<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let (spans, _) = self.find(bytes, 0, true);
        without(bytes, 0..bytes.len(), &spans, 0)
    }

    /// Where words stand in `bytes` from `at` on, and where one begins that may go on behind the end (the end if none
    /// does). `whole`: nothing comes behind the end.
    fn find(&self, bytes: &[u8], mut at: usize, whole: bool) -> (Vec<Range<usize>>, usize) {
        let mut spans = Vec::new();
        while let Some(next) = self.candidate(bytes, at) {
            at = next;
            let rest = &bytes[at..];
            let mut found = 0;
            for word in &self.words {
                let common = common(word.as_bytes(), rest);
                if common == rest.len() && common < word.len() && !whole {
                    return (spans, at);
                }
                if common == word.len() {
                    found = found.max(common);
                } else if half(word).is_some_and(|half| common >= half) {
                    found = found.max(word.floor_char_boundary(common));
                }
            }
            if found > 0 {
                spans.push(at..at + found);
            }
            at += found.max(1);
        }
        (spans, bytes.len())
    }

    /// The next byte that a word begins with.
    fn candidate(&self, bytes: &[u8], at: usize) -> Option<usize> {
        let rest = bytes.get(at..)?;
        let ahead = rest.iter().position(|byte| self.begins[usize::from(*byte)]);
        ahead.map(|ahead| at + ahead)
    }
}

/// How many bytes two texts have in common at their beginning.
fn common(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// The bytes of a range without spans. What a span is replaced by stands where it begins, if that is not before `fresh`.
fn without<'a>(
    bytes: &'a [u8],
    range: Range<usize>,
    spans: &[Range<usize>],
    fresh: usize,
) -> Cow<'a, [u8]> {
    let touches = |span: &&Range<usize>| span.start < range.end && span.end > range.start;
    let mut touching = spans.iter().filter(touches).peekable();
    if touching.peek().is_none() {
        return Cow::Borrowed(&bytes[range]);
    }
    let mut out = Vec::with_capacity(range.len());
    let mut at = range.start;
    for span in touching {
        if span.start >= range.start {
            out.extend_from_slice(&bytes[at..span.start]);
            if span.start >= fresh {
                out.extend_from_slice(REDACTED.as_bytes());
            }
        }
        at = span.end.min(range.end);
    }
    out.extend_from_slice(&bytes[at..range.end]);
    Cow::Owned(out)
}

/// The word as it stands in JSON text.
fn json(word: &str) -> String {
    let quoted = serde_json::Value::from(word).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// The same by a writer that keeps to ASCII, as Python's does.
fn ascii_json(word: &str) -> String {
    let mut out = String::new();
    for one in json(word).chars() {
        if one.is_ascii() {
            out.push(one);
        } else {
            for unit in one.encode_utf16(&mut [0; 2]) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    out
}

/// A body as it comes: pieces in, and the same pieces out without secrets, as soon as it is known what belongs to one.
#[derive(Default)]
pub(super) struct Pieces {
    held: Vec<(u64, Bytes)>,
    /// Bytes at the beginning of what is held that belong to a word which was replaced already.
    replaced: usize,
}

impl Pieces {
    /// Takes a piece and its time; gives out what is decided.
    pub(super) fn push(
        &mut self,
        at_us: u64,
        piece: Bytes,
        redaction: &Redaction,
    ) -> Vec<(u64, Vec<u8>)> {
        self.held.push((at_us, piece));
        self.decide(redaction, false)
    }

    /// Gives out the rest: nothing more will come.
    pub(super) fn finish(&mut self, redaction: &Redaction) -> Vec<(u64, Vec<u8>)> {
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
        let (mut spans, decided) = redaction.find(&joined, self.replaced, whole);
        if self.replaced > 0 {
            // It began in a piece that is gone.
            spans.insert(0, 0..self.replaced);
        }
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
            let crossing = |span: &&Range<usize>| span.start < start && span.end > start;
            self.replaced = spans
                .iter()
                .find(crossing)
                .map_or(0, |span| span.end - start);
        }
        self.held.drain(..gone);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Secret;

    const KEY: &str = "sk-0123456789abcdef";

    fn redaction(secrets: &[&str]) -> Redaction {
        let mut all = Secrets::new();
        for secret in secrets {
            all.mint(Secret::new(*secret).unwrap()).unwrap();
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
            ("aaaaaaaaaaaaaa", "******aa"),
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
        for at in 0..1000 {
            pieces.push(at, Bytes::from_static(b"a"), &redaction);
            assert!(pieces.held.len() <= 6, "{}", pieces.held.len());
        }
    }

    #[test]
    fn without_secrets_nothing_is_touched() {
        let redaction = redaction(&[]);
        assert!(matches!(redaction.bytes(b"abc"), Cow::Borrowed(_)));
    }
}
