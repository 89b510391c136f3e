//! Text, searched, cut and put together.
//!
//! The standard library's ways are generic over patterns and iterators, so each
//! use becomes code of its own, and its slices can panic. These are one
//! function each, whoever calls them.

use alloc::borrow::Cow;
use alloc::string::String;

/// Where `words` stand first.
pub(crate) fn find(text: &str, words: &str) -> Option<usize> {
    let (text, words) = (text.as_bytes(), words.as_bytes());
    (0..text.len()).find(|&at| text.get(at..).is_some_and(|rest| rest.starts_with(words)))
}

/// Whether `words` stand anywhere.
pub(crate) fn has(text: &str, words: &str) -> bool {
    find(text, words).is_some()
}

/// What stands before and behind the first `words`.
pub(crate) fn split<'t>(text: &'t str, words: &str) -> Option<(&'t str, &'t str)> {
    let at = find(text, words)?;
    Some((text.get(..at)?, text.get(at + words.len()..)?))
}

/// The text up to a place, and from there on; all of it in front where the
/// place is no boundary.
pub(crate) fn cut(text: &str, at: usize) -> (&str, &str) {
    text.split_at_checked(at).unwrap_or((text, ""))
}

/// The text between two places; empty where they are no boundaries.
pub(crate) fn between(text: &str, from: usize, to: usize) -> &str {
    text.get(from..to).unwrap_or_default()
}

/// The text from a place on; empty where it is no boundary.
pub(crate) fn from(text: &str, from: usize) -> &str {
    text.get(from..).unwrap_or_default()
}

/// Where the first of some ASCII characters stands, or the end.
pub(crate) fn first_of(text: &str, bytes: &[u8]) -> usize {
    let found = text.bytes().position(|byte| bytes.contains(&byte));
    found.unwrap_or(text.len())
}

/// What stands between some ASCII characters; may be empty.
pub(crate) fn pieces<'t>(text: &'t str, bytes: &'t [u8]) -> Pieces<'t> {
    Pieces {
        rest: Some(text),
        bytes,
    }
}

/// See [`pieces`].
pub(crate) struct Pieces<'t> {
    rest: Option<&'t str>,
    bytes: &'t [u8],
}

impl<'t> Iterator for Pieces<'t> {
    type Item = &'t str;

    fn next(&mut self) -> Option<&'t str> {
        let rest = self.rest?;
        let end = first_of(rest, self.bytes);
        self.rest = rest.get(end + 1..);
        Some(between(rest, 0, end))
    }
}

/// Bytes as text; what is not UTF-8 becomes U+FFFD, as WHATWG's decoder has it.
pub(crate) fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    let mut text = String::new();
    let mut rest = bytes;
    loop {
        let error = match core::str::from_utf8(rest) {
            Ok(all) if text.is_empty() => return Cow::Borrowed(all),
            Ok(all) => {
                text.push_str(all);
                return Cow::Owned(text);
            }
            Err(error) => error,
        };
        let (valid, behind) = rest
            .split_at_checked(error.valid_up_to())
            .unwrap_or_default();
        text.push_str(core::str::from_utf8(valid).unwrap_or_default());
        text.push(char::REPLACEMENT_CHARACTER);
        let broken = error.error_len().unwrap_or(behind.len());
        rest = behind.get(broken..).unwrap_or_default();
    }
}

/// The pieces, one behind the other.
pub(crate) fn concat(pieces: &[&str]) -> String {
    let mut text = String::new();
    for piece in pieces {
        text.push_str(piece);
    }
    text
}

/// A number that hardly any two texts share (FNV-1a): for tables, not against anybody who wants
/// them to.
pub(crate) fn hash(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_where_the_standard_library_finds_them() {
        for (text, words) in [
            ("", "a"),
            ("a", "a"),
            ("aab", "ab"),
            ("abab", "ab"),
            ("xé://é", "://"),
            ("</thin</think>", "</think>"),
            ("short", "longer than it"),
            ("no", "x"),
        ] {
            assert_eq!(find(text, words), text.find(words), "{text} {words}");
            assert_eq!(has(text, words), text.contains(words));
            assert_eq!(split(text, words), text.split_once(words));
        }
    }

    #[test]
    fn bytes_become_the_text_that_the_standard_library_makes_of_them() {
        for bytes in [
            &b""[..],
            b"plain",
            b"\xff",
            b"a\xffb\xfe\xfd",
            b"\xe2\x82",
            b"\xe2\x82x\xf0\x9f\x98",
            b"\xed\xa0\x80",
            b"\xc3\xa9\xc3",
            b"\xf0\x9f\x98\x80",
        ] {
            assert_eq!(lossy(bytes), String::from_utf8_lossy(bytes), "{bytes:?}");
        }
    }

    #[test]
    fn a_cut_in_a_character_gives_nothing_and_no_panic() {
        assert_eq!(between("aéb", 1, 3), "é");
        assert_eq!(between("aéb", 1, 2), "");
        assert_eq!(between("aéb", 3, 9), "");
        assert_eq!(from("aéb", 3), "b");
        assert_eq!(from("aéb", 2), "");
        assert_eq!(cut("aéb", 3), ("aé", "b"));
        assert_eq!(cut("aéb", 2), ("aéb", ""));
        assert_eq!(first_of("aé/b?", b"?/"), 3);
        assert_eq!(first_of("aé", b"?/"), 3);
        for (text, expected) in [
            ("", vec![""]),
            ("é", vec!["é"]),
            ("a b/", vec!["a", "b", ""]),
            (" /a", vec!["", "", "a"]),
        ] {
            assert_eq!(pieces(text, b" /").collect::<Vec<_>>(), expected);
        }
        assert_eq!(concat(&["a", "", "é"]), "aé");
    }
}
