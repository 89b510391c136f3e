//! Halves of surrogate pairs in JSON strings.
//!
//! JSON escapes a character beyond U+FFFF as two UTF-16 units (`\\ud83d\\ude00`). Some servers cut
//! their text between the two, so that one half ends a piece and the other begins the next one.
//! No Rust string can hold a half. So in the JSON text of a piece that does not parse, each half is
//! replaced by two characters that stand for it ([`mark`]), and where the text of the answer, of its
//! thinking or of a call's arguments is put together, what was marked is joined ([`join`]).

use alloc::string::String;

use crate::number::parse_hex;
use crate::text;

/// Says that the next character stands for half of a pair: no character, and in no text.
const MARK: char = '\u{10FFFE}';

/// The character that stands for the unit 0xD800; those behind it are for the units behind.
const FIRST: u32 = 0xE000;

/// The JSON text of a piece in which each lone half is marked; `None` when it holds none.
pub(super) fn mark(text: &str) -> Option<String> {
    let unit = |at: usize| -> Option<u32> {
        let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
        parse_hex(digits)
    };
    let bytes = text.as_bytes();
    let mut marked = String::new();
    let (mut at, mut copied) = (0, 0);
    while let Some(step) = memchr::memchr(b'\\', bytes.get(at..).unwrap_or_default()) {
        at += step;
        match unit(at) {
            Some(0xD800..=0xDBFF) if matches!(unit(at + 6), Some(0xDC00..=0xDFFF)) => at += 12,
            Some(half @ 0xD800..=0xDFFF) => {
                marked.push_str(text::between(text, copied, at));
                marked.push(MARK);
                marked.extend(char::from_u32(half - 0xD800 + FIRST));
                at += 6;
                copied = at;
            }
            // Past the backslash and what it escapes: both are ASCII, or the
            // text is no JSON and only has to survive this.
            _ => at = (at + 2).min(bytes.len()),
        }
    }
    if copied == 0 {
        return None;
    }
    marked.push_str(text::from(text, copied));
    Some(marked)
}

/// The text with the characters that marked halves make, and U+FFFD for a half without its other
/// one. `half`: the first half that the text before ended with; then the one that this text ends with.
pub(super) fn join(text: &str, half: &mut Option<u32>) -> String {
    let mut joined = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        let unit = match character {
            MARK => characters.next().map(|next| u32::from(next) ^ FIRST),
            _ => None,
        };
        let begun = half.take();
        match (begun, unit) {
            (Some(first), Some(second @ 0x400..0x800)) => {
                joined.extend(char::from_u32(0x1_0000 + (first << 10) + (second - 0x400)));
                continue;
            }
            (Some(_), _) => joined.push(char::REPLACEMENT_CHARACTER),
            (None, _) => {}
        }
        match unit {
            Some(first @ 0..0x400) => *half = Some(first),
            Some(_) => joined.push(char::REPLACEMENT_CHARACTER),
            None => joined.push(character),
        }
    }
    joined
}

/// The same for a text that is whole.
pub(super) fn join_whole(text: &str) -> String {
    let mut half = None;
    let mut joined = join(text, &mut half);
    joined.extend(half.map(|_| char::REPLACEMENT_CHARACTER));
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(pieces: &[&str]) -> String {
        let mut half = None;
        let mut all = String::new();
        for piece in pieces {
            let json = alloc::format!("\"{piece}\"");
            let marked = mark(&json).unwrap_or(json);
            let mut reader = crate::json::Reader::new(&marked);
            let text = reader.string().expect("a string");
            all.push_str(&join(&text, &mut half));
        }
        all.extend(half.map(|_| char::REPLACEMENT_CHARACTER));
        all
    }

    #[test]
    fn halves_are_joined_over_pieces_and_a_lone_one_is_replaced() {
        for (pieces, expected) in [
            (&[r"a\ud83d", r"\ude00b"][..], "a😀b"),
            (&[r"\ud83d", r"\ude00\ud83d", r"\ude01"], "😀😁"),
            (&[r"\ud83d\ude00"], "😀"),
            (&[r"\ud83dx"], "\u{FFFD}x"),
            (&[r"\ud83d", "x"], "\u{FFFD}x"),
            (&[r"\ude00x"], "\u{FFFD}x"),
            (&[r"\ude00\ud83d"], "\u{FFFD}\u{FFFD}"),
            (&[r"\ud83d\ud83d", r"\ude00"], "\u{FFFD}😀"),
            (&[r"\\ud83d", r"\n\ude00"], "\\ud83d\n\u{FFFD}"),
            (&[r"\uD83D", r"\uDE00"], "😀"),
        ] {
            assert_eq!(joined(pieces), expected, "{pieces:?}");
        }
    }

    #[test]
    fn a_text_without_a_lone_half_is_not_marked() {
        for text in ["", r#"{"a":"\ud83d\ude00"}"#, r"\\ud83d", r"\u12", "\\"] {
            assert_eq!(mark(text), None, "{text}");
        }
    }
}
