//! Texts from outside, made safe to show.
//!
//! A server, a resolver or a plugin chooses what stands in some messages. It must not be able to move a terminal's cursor,
//! to hide or turn round what stands beside it, or to flood the reader.

/// Most characters that a message shows of a text from outside. The longest name that DNS knows has 255 (RFC 1035 §2.3.4).
const QUOTED_LEN: usize = 255;

/// `text` in at most 255 characters and an ellipsis, each of them visible: what controls a terminal or the direction of
/// writing becomes U+FFFD.
pub(crate) fn quote(text: &str) -> String {
    let mut rest = text.chars();
    let mut quoted: String = rest.by_ref().take(QUOTED_LEN).map(visible).collect();
    if rest.next().is_some() {
        quoted.push('…');
    }
    quoted
}

fn visible(one: char) -> char {
    match one {
        // Zero width, directions, separators of lines and paragraphs, and the byte order mark.
        '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{61c}'
        | '\u{180e}' => char::REPLACEMENT_CHARACTER,
        one if one.is_control() => char::REPLACEMENT_CHARACTER,
        one => one,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_invisible_and_no_flood_gets_into_a_message() {
        assert_eq!(quote("name.example, ключ"), "name.example, ключ");
        let odd = "a\x1b[2J\r\n\u{9b}31m\u{202e}b\u{2028}\0";
        assert_eq!(quote(odd), "a�[2J���31m�b��");
        let long = quote(&"é".repeat(10_000));
        assert_eq!(long.chars().count(), QUOTED_LEN + 1);
        assert!(long.ends_with("é…"));
    }
}
