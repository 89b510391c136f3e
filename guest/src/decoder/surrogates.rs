//! Halves of surrogate pairs in JSON strings.
//!
//! JSON escapes a character beyond U+FFFF as two UTF-16 units (`\\ud83d\\ude00`). Some servers cut
//! their text between the two, so that one half ends a piece and the other begins the next one.
//! No Rust string can hold a half, so the halves are looked for in the JSON text of a piece that
//! does not parse.

use alloc::string::String;

use crate::number::parse_hex;
use crate::text;

/// The JSON text of a piece in which each lone half became the escape of U+FFFD.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mended {
    pub text: String,
    /// The first half of a pair that stood at the end of a string, if exactly one did.
    pub first: Option<u32>,
    /// The second half of the pair that was begun before stood at the start of a string, and the
    /// whole character is there now.
    pub is_joined: bool,
}

/// Mends a text; `None` when it holds no lone half. `begun`: the first half at the end of the piece
/// before.
pub(super) fn mend(text: &str, begun: Option<u32>) -> Option<Mended> {
    let unit = |at: usize| -> Option<u32> {
        let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
        parse_hex(digits)
    };
    let bytes = text.as_bytes();
    let is_quote = |at: usize| bytes.get(at) == Some(&b'"');
    let mut begun = begun;
    let mut mended = Mended {
        text: String::new(),
        first: None,
        is_joined: false,
    };
    let (mut at, mut copied, mut at_ends) = (0, 0, 0);
    while let Some(step) = memchr::memchr(b'\\', bytes.get(at..).unwrap_or_default()) {
        at += step;
        match unit(at) {
            Some(0xD800..=0xDBFF) if matches!(unit(at + 6), Some(0xDC00..=0xDFFF)) => at += 12,
            Some(half @ 0xD800..=0xDFFF) => {
                mended.text.push_str(text::between(text, copied, at));
                let is_second = half >= 0xDC00;
                let starts =
                    at > 0 && is_quote(at - 1) && bytes.get(at.wrapping_sub(2)) != Some(&b'\\');
                let whole = begun.filter(|_| is_second && starts).and_then(|first| {
                    char::from_u32(0x1_0000 + ((first - 0xD800) << 10) + (half - 0xDC00))
                });
                if let Some(whole) = whole {
                    mended.text.push(whole);
                    mended.is_joined = true;
                    begun = None;
                } else {
                    mended.text.push_str("\\ufffd");
                }
                at += 6;
                copied = at;
                if !is_second && is_quote(at) {
                    at_ends += 1;
                    mended.first = Some(half).filter(|_| at_ends == 1);
                }
            }
            // Past the backslash and what it escapes: both are ASCII, or the
            // text is no JSON and only has to survive this.
            _ => at = (at + 2).min(bytes.len()),
        }
    }
    if copied == 0 {
        return None;
    }
    mended.text.push_str(text::from(text, copied));
    Some(mended)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mended(text: &str, begun: Option<u32>) -> Option<(String, Option<u32>, bool)> {
        let mended = mend(text, begun)?;
        Some((mended.text, mended.first, mended.is_joined))
    }

    #[test]
    fn lone_halves_of_a_pair_are_mended() {
        for (text, expected) in [
            (r#""\ud83d""#, Some(r#""\ufffd""#)),
            (r#""a\ude00b\uD83Dc""#, Some(r#""a\ufffdb\ufffdc""#)),
            (r#""\ud83d\ud83d\ude00""#, Some(r#""\ufffd\ud83d\ude00""#)),
            (r#""\ud83d\ude00""#, None),
            (r#""\\ud83d""#, None),
            (r#""é\n€""#, None),
            ("\\", None),
            ("\\é\\u", None),
            ("\\ud83", None),
        ] {
            let text_of = mended(text, None).map(|(text, ..)| text);
            assert_eq!(text_of.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_pair_is_joined_over_two_pieces_only_at_their_edges() {
        let half = Some(0xD83D);
        for (text, begun, expected, first, is_joined) in [
            (r#""a\ud83d""#, None, r#""a\ufffd""#, half, false),
            (
                r#"["\ud83d","\ud83d"]"#,
                None,
                r#"["\ufffd","\ufffd"]"#,
                None,
                false,
            ),
            (r#""\ude00b""#, half, r#""😀b""#, None, true),
            (r#""\ude00\ud83d""#, half, r#""😀\ufffd""#, half, true),
            (
                r#"["\ude00","\ude00"]"#,
                half,
                r#"["😀","\ufffd"]"#,
                None,
                true,
            ),
            (r#""b\ude00""#, half, r#""b\ufffd""#, None, false),
            (r#""\"\ude00""#, half, r#""\"\ufffd""#, None, false),
            (r#""\ude00""#, None, r#""\ufffd""#, None, false),
        ] {
            let expected = Some((expected.to_owned(), first, is_joined));
            assert_eq!(mended(text, begun), expected, "{text}");
        }
    }
}
