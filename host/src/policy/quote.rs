//! Texts from outside, made safe to show.
//!
//! A server, a resolver or a plugin chooses what stands in some messages. It must not be able to move a terminal's cursor,
//! to hide or turn round what stands beside it, or to flood the reader.

use super::visible::is_hidden;

/// Most characters that a message shows of a text from outside. The longest name that DNS knows has 255 (RFC 1035 §2.3.4).
const QUOTED_LEN: usize = 255;

/// `text` in at most 255 characters and an ellipsis. What is [hidden](super::visible) becomes U+FFFD.
pub(crate) fn quote(text: &str) -> String {
    let mut rest = text.chars();
    let mut quoted: String = rest.by_ref().take(QUOTED_LEN).map(shown).collect();
    if rest.next().is_some() {
        quoted.push('…');
    }
    quoted
}

fn shown(one: char) -> char {
    if is_hidden(one) {
        char::REPLACEMENT_CHARACTER
    } else {
        one
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_invisible_and_no_flood_gets_into_a_message() {
        assert_eq!(quote("name.example, ключ"), "name.example, ключ");
        let odd = "a\x1b[2J\r\n\u{9b}31m\u{202e}b\u{2028}\0\u{ad}\u{e0041}";
        assert_eq!(quote(odd), "a�[2J���31m�b����");
        let long = quote(&"é".repeat(10_000));
        assert_eq!(long.chars().count(), QUOTED_LEN + 1);
        assert!(long.ends_with("é…"));
    }
}
