//! Somebody else's words, made safe to show.
//!
//! What a server says ends up in terminals and logs. It must not be able to
//! move a cursor, hide text, flood the reader or give away a key that it
//! echoes.

use alloc::borrow::Cow;
use alloc::string::String;

use crate::text;

/// Most bytes of a server's own words in a message.
pub(crate) const MAX_WORDS: usize = 4096;

/// Most bytes quoted of something that is not a message at all.
pub(crate) const MAX_SNIPPET: usize = 200;

/// `text` on one line, without control characters, without anything that looks
/// like a key, and cut to `limit` bytes at a character boundary. An ellipsis
/// beyond the limit says that there was more.
pub(crate) fn quote(text: &str, limit: usize) -> String {
    let text = text.trim();
    // Nothing behind this can get into the result, whatever is left out.
    let window = cut(text, limit.saturating_mul(4).saturating_add(64));
    let mut quoted = String::with_capacity(window.len().min(limit));
    let mut space = false;
    for word in text::pieces(window, b" \n\r\t\x0c") {
        if word.is_empty() {
            continue;
        }
        if space {
            quoted.push(' ');
        }
        space = true;
        let hidden = quoted.ends_with("Bearer ") || looks_like_key(word);
        if hidden && word.len() > 8 {
            quoted.push_str("[hidden]");
        } else {
            for c in word.chars() {
                quoted.push(harmless(c));
            }
        }
        if quoted.len() > limit {
            break;
        }
    }
    let shown = cut(&quoted, limit).len();
    let more = shown < quoted.len() || window.len() < text.len();
    quoted.truncate(shown);
    if more {
        quoted.push('…');
    }
    quoted
}

/// The same for bytes that should have been UTF-8.
pub(crate) fn quote_bytes(bytes: &[u8], limit: usize) -> String {
    if let Some(name) = compression(bytes) {
        return text::concat(&[
            "bytes compressed by ",
            name,
            ", which no content-encoding says and nobody asked for",
        ]);
    }
    // A cut in the middle of a code point costs one character, not the text.
    let bytes = bytes
        .get(..limit.saturating_mul(4).saturating_add(64))
        .unwrap_or(bytes);
    quote(&text::lossy(bytes), limit)
}

/// How compressed bytes begin. Some gateways compress an answer that they do not name as such.
const COMPRESSED: [(&[u8], &str); 3] = [
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x78\x9c", "deflate"),
];

/// What compressed bytes are. `None`: they are not compressed, as far as their beginning tells.
fn compression(bytes: &[u8]) -> Option<&'static str> {
    let mut known = COMPRESSED.iter();
    let found = known.find(|(beginning, _)| bytes.starts_with(beginning));
    found.map(|(_, name)| *name)
}

/// Whether bytes are compressed. `None`: there are too few of them to tell.
pub(crate) fn is_compressed(bytes: &[u8]) -> Option<bool> {
    let mut known = COMPRESSED.iter();
    match compression(bytes) {
        Some(_) => Some(true),
        None if known.any(|(beginning, _)| beginning.starts_with(bytes)) => None,
        None => Some(false),
    }
}

/// The URL without what may be secret in it: user information, query, fragment.
pub(crate) fn address(url: &str) -> Cow<'_, str> {
    let url = text::between(url, 0, text::first_of(url, b"?#"));
    let Some((scheme, rest)) = text::split(url, "://") else {
        return Cow::Borrowed(url);
    };
    let authority = text::between(rest, 0, text::first_of(rest, b"/"));
    match authority.bytes().rposition(|byte| byte == b'@') {
        Some(at) => Cow::Owned(text::concat(&[scheme, "://", text::from(rest, at + 1)])),
        None => Cow::Borrowed(url),
    }
}

/// The title of an HTML page, quoted; `None` when it has none.
pub(crate) fn html_title(page: &str) -> Option<String> {
    // ASCII lower-casing keeps every byte offset.
    let lower = page.to_ascii_lowercase();
    let open = text::find(&lower, "<title")?;
    let start = open + text::find(text::from(&lower, open), ">")? + 1;
    let inside = text::from(page, start);
    let end = text::find(text::from(&lower, start), "</title").unwrap_or(inside.len());
    let title = quote(text::between(inside, 0, end), MAX_SNIPPET);
    (!title.is_empty()).then_some(title)
}

/// The longest beginning of at most `limit` bytes that ends at a boundary.
pub(crate) fn cut(text: &str, limit: usize) -> &str {
    let mut end = limit.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text::between(text, 0, end)
}

/// Replaces what is not seen: controls, marks that turn the direction of
/// writing, and what is ignored by default. The same set as that of the host's
/// `policy::visible`, whose tests compare both.
pub(crate) fn harmless(c: char) -> char {
    match c {
        '\u{0}'..='\u{1f}'
        | '\u{7f}'..='\u{9f}'
        | '\u{ad}'
        | '\u{34f}'
        | '\u{61c}'
        | '\u{115f}'..='\u{1160}'
        | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}'
        | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}'
        | '\u{13430}'..='\u{1343f}'
        | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}' => char::REPLACEMENT_CHARACTER,
        _ => c,
    }
}

/// OpenAI's keys, which its servers and their imitators echo, begin so.
fn looks_like_key(word: &str) -> bool {
    let start = word.bytes().position(|byte| byte.is_ascii_alphanumeric());
    text::from(word, start.unwrap_or(word.len())).starts_with("sk-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_cut_at_a_character_boundary() {
        assert_eq!(quote("aé", 2), "a…");
        assert_eq!(quote("aé", 3), "aé");
        assert_eq!(quote("😀😀", 7), "😀…");
        let long = quote(&"é".repeat(10_000), MAX_WORDS);
        assert_eq!(long.len(), MAX_WORDS + '…'.len_utf8());
    }

    #[test]
    fn nothing_that_a_terminal_acts_on_gets_through() {
        let quoted = quote("a\x1b[31mb\u{9b}2Jc\u{202e}d\0e\u{7f}", 100);
        assert_eq!(
            quoted,
            "a\u{fffd}[31mb\u{fffd}2Jc\u{fffd}d\u{fffd}e\u{fffd}"
        );
        assert_eq!(quote(" one\r\n\ttwo \n", 100), "one two");
    }

    #[test]
    fn echoed_keys_are_hidden() {
        for (text, expected) in [
            (
                "Incorrect API key provided: sk-proj-abcdef.",
                "Incorrect API key provided: [hidden]",
            ),
            ("key 'sk-1234567' is bad", "key [hidden] is bad"),
            ("got Bearer abcdefghijk here", "got Bearer [hidden] here"),
            ("a task-force of sk-8", "a task-force of sk-8"),
        ] {
            assert_eq!(quote(text, 100), expected);
        }
    }

    #[test]
    fn an_address_shows_no_secret() {
        for (url, expected) in [
            ("http://h:1/v1/models", "http://h:1/v1/models"),
            ("http://u:p@h:1/v1?key=s", "http://h:1/v1"),
            ("http://h/a@b", "http://h/a@b"),
            ("http://u@h#f", "http://h"),
            ("nonsense", "nonsense"),
        ] {
            assert_eq!(address(url), expected);
        }
    }

    #[test]
    fn a_page_is_told_by_its_title() {
        for (page, expected) in [
            (
                "<html><head><TITLE lang=en>502 Bad\nGateway</Title>",
                Some("502 Bad Gateway"),
            ),
            ("<title>open end", Some("open end")),
            ("<title></title>", None),
            ("<title", None),
            ("<p>no", None),
        ] {
            assert_eq!(html_title(page).as_deref(), expected, "{page}");
        }
    }
}
