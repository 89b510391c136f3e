//! Text in, word pieces out.
//!
//! The mock needs tokens for three things: the size of a delta, the numbers in
//! `usage`, and the blocks of the prefix cache. It cuts as the Qwen family's
//! pre-tokenizer does (letters with one leading character, single digits,
//! punctuation with the line ends after it, white space), so that scripted
//! answers arrive in nearly the pieces that a real server sent. It learns no
//! merges: one piece is one token. Characters are never split.

/// Tags that a tokenizer of the Qwen family keeps whole.
const WHOLE: [&str; 8] = [
    "<|im_start|>",
    "<|im_end|>",
    "<think>",
    "</think>",
    "<tool_call>",
    "</tool_call>",
    "<tool_response>",
    "</tool_response>",
];

/// Cuts `text` into tokens. Joined again they are `text`.
pub(crate) fn pieces(text: &str) -> Pieces<'_> {
    Pieces { rest: text }
}

/// The tokens of one text, in order. See [`pieces`].
pub(crate) struct Pieces<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        if self.rest.is_empty() {
            return None;
        }
        let (piece, rest) = self.rest.split_at(first_piece(self.rest));
        self.rest = rest;
        Some(piece)
    }
}

/// Length in bytes of the first token of a text that is not empty.
fn first_piece(text: &str) -> usize {
    if let Some(tag) = WHOLE.iter().find(|tag| text.starts_with(**tag)) {
        return tag.len();
    }
    let mut chars = text.chars();
    let Some(first) = chars.next() else { return 0 };
    let width = first.len_utf8();
    if first.is_numeric() {
        return width;
    }
    // Scripts other than ASCII are rare in a small vocabulary: a character each.
    if !first.is_ascii() && !first.is_whitespace() {
        return width;
    }
    let word = |from: usize| {
        let letters = run(&text[from..], |c| c.is_ascii_alphabetic());
        (letters > 0).then_some(from + letters)
    };
    if first.is_ascii_alphabetic() {
        return word(0).unwrap_or(width);
    }
    if first != '\r'
        && first != '\n'
        && let Some(end) = word(width)
    {
        return end;
    }
    let from = usize::from(first == ' ');
    let marks = run(&text[from..], |c| {
        c.is_ascii() && !c.is_whitespace() && !c.is_ascii_alphanumeric()
    });
    if marks > 0 {
        // A tag ends the run, unless it is where the run begins.
        let marks = (1..marks)
            .find(|at| WHOLE.iter().any(|tag| text[from + at..].starts_with(tag)))
            .unwrap_or(marks);
        let end = from + marks;
        return end + run(&text[end..], |c| c == '\r' || c == '\n');
    }
    let blank = run(text, char::is_whitespace);
    // White space up to the last line end is one token, the rest another.
    match text[..blank].rfind(['\r', '\n']) {
        Some(at) => at + 1,
        None if blank > 0 => blank,
        None => width,
    }
}

/// Length in bytes of the longest prefix whose characters all pass.
fn run(text: &str, pass: impl Fn(char) -> bool) -> usize {
    text.find(|c| !pass(c)).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_those_of_the_recorded_streams() {
        let cases: [(&str, &[&str]); 8] = [
            ("1 2 10", &["1", " ", "2", " ", "1", "0"]),
            ("2 + 2 = 4.", &["2", " +", " ", "2", " =", " ", "4", "."]),
            (
                "four.\n</think>\n\n2",
                &["four", ".\n", "</think>", "\n\n", "2"],
            ),
            (
                "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city",
                &[
                    "<tool_call>",
                    "\n",
                    "{\"",
                    "name",
                    "\":",
                    " \"",
                    "get",
                    "_weather",
                    "\",",
                    " \"",
                    "arguments",
                    "\":",
                    " {\"",
                    "city",
                ],
            ),
            (
                "celsius\"}}\n</tool_call>",
                &["celsius", "\"}}\n", "</tool_call>"],
            ),
            (
                "こん 👨\u{200d}👩",
                &["こ", "ん", " ", "👨", "\u{200d}", "👩"],
            ),
            (
                "{\"a\": 1}<tool_call>",
                &["{\"", "a", "\":", " ", "1", "}", "<tool_call>"],
            ),
            ("", &[]),
        ];
        for (text, want) in cases {
            assert_eq!(pieces(text).collect::<Vec<_>>(), want, "{text:?}");
        }
    }

    #[test]
    fn pieces_joined_are_the_text_whatever_it_is() {
        for text in [
            "\u{3000} \n\t x\r\n<<think>|</",
            "  \u{a0}a",
            "é1\u{0}<|im_",
            "-<tool_call",
        ] {
            assert_eq!(pieces(text).collect::<String>(), text);
        }
    }
}
