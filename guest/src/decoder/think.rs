//! Inline thinking: `<think>…</think>` at the start of the content.
//!
//! A server without a reasoning parser sends the model's thinking as content.
//! Where the model is known to think, that is split off here. Tags may be cut
//! anywhere between two deltas; no more is held back than what could still be
//! the beginning of one.
//!
//! A template may write the opening tag into the prompt, so that only the
//! closing one comes. By then its thinking was given out as text. It stays
//! text, and that the tag came is kept for a note.

use alloc::borrow::Cow;
use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use crate::text;
use crate::types::Event;

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";

/// Most bytes held back before the opening tag, white space mostly.
const MAX_HELD: usize = 64;

/// Splits the content of one answer.
pub(super) struct Think {
    state: State,
    /// What may be the beginning of a tag.
    held: String,
    /// The model is known to think.
    is_expected: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Content passes through.
    Off,
    /// The content may begin with the tag.
    Opening,
    /// Between the tags.
    Inside,
    /// Content passes through. It did not begin with the tag, and ends in so many bytes of the
    /// closing one and of the opening one.
    Looking { close: usize, open: usize },
    /// Content passes through. A closing tag came, and no opening one.
    Closed,
}

impl Think {
    /// `is_expected`: the model is known to think.
    pub(super) fn new(is_expected: bool) -> Self {
        Self {
            state: match is_expected {
                true => State::Opening,
                false => State::LOOKING,
            },
            held: String::new(),
            is_expected,
        }
    }

    /// The model is known to think.
    pub(super) fn is_expected(&self) -> bool {
        self.is_expected
    }

    /// A closing tag came without an opening one.
    pub(super) fn closed_unopened(&self) -> bool {
        self.state == State::Closed
    }

    /// Thinking and text of a whole content that has only the closing tag, where thinking is
    /// expected.
    pub(super) fn split_whole<'t>(&self, text: &'t str) -> Option<(&'t str, &'t str)> {
        if self.state != State::Opening || text::has(text, OPEN) {
            return None;
        }
        text::split(text, CLOSE).filter(|(thinking, _)| !thinking.is_empty())
    }

    /// Only the closing tag came, and the thinking was split off.
    pub(super) fn close(&mut self) {
        self.state = State::Closed;
    }

    /// Looks for a tag in text that passes through. An opening one is the end of the search: what
    /// is between the tags was meant to be seen so.
    fn look(&mut self, text: &str) {
        let State::Looking { close, open } = &mut self.state else {
            return;
        };
        if *close == 0 && *open == 0 && !text.as_bytes().contains(&b'<') {
            return;
        }
        for byte in text.bytes() {
            *close = grown(CLOSE, *close, byte);
            *open = grown(OPEN, *open, byte);
            if *close == CLOSE.len() {
                self.state = State::Closed;
                return;
            }
            if *open == OPEN.len() {
                self.state = State::Off;
                return;
            }
        }
    }

    /// Takes a piece of content that is not empty.
    pub(super) fn push(&mut self, text: Cow<'_, str>, out: &mut Vec<Event>) {
        match self.state {
            State::Looking { .. } => self.look(&text),
            State::Off | State::Closed => {}
            State::Opening | State::Inside => return self.split(text, out),
        }
        out.push(Event::Text(text.into_owned()));
    }

    /// The same at the start of the content and between the tags.
    fn split(&mut self, text: Cow<'_, str>, out: &mut Vec<Event>) {
        let text = match self.held.is_empty() {
            true => text,
            false => {
                let mut held = core::mem::take(&mut self.held);
                held.push_str(&text);
                Cow::Owned(held)
            }
        };
        let inside = match self.state {
            State::Inside => text,
            _ => {
                let start = text.trim_start();
                match start.strip_prefix(OPEN) {
                    Some(rest) => Cow::Owned(rest.to_owned()),
                    None if OPEN.starts_with(start) && text.len() <= MAX_HELD => {
                        self.held = text.into_owned();
                        return;
                    }
                    None => {
                        self.state = State::LOOKING;
                        return self.push(text, out);
                    }
                }
            }
        };
        self.state = State::Inside;
        if let Some(end) = text::find(&inside, CLOSE) {
            self.state = State::Off;
            give(text::between(&inside, 0, end), Event::Reasoning, out);
            give(text::from(&inside, end + CLOSE.len()), Event::Text, out);
            return;
        }
        let held = (1..CLOSE.len())
            .rev()
            .find(|&length| inside.ends_with(text::between(CLOSE, 0, length)))
            .unwrap_or(0);
        let (thinking, held) = text::cut(&inside, inside.len() - held);
        self.held.push_str(held);
        give(thinking, Event::Reasoning, out);
    }

    /// Lets go of what is held back, because something else comes now or
    /// nothing comes any more.
    pub(super) fn flush(&mut self, out: &mut Vec<Event>) {
        let held = core::mem::take(&mut self.held);
        match self.state {
            State::Inside => give(&held, Event::Reasoning, out),
            _ if held.is_empty() => {}
            _ => {
                if self.state == State::Opening {
                    self.state = State::LOOKING;
                }
                self.look(&held);
                give(&held, Event::Text, out);
            }
        }
    }

    /// The server splits thinking off itself: all content is text.
    pub(super) fn stop(&mut self, out: &mut Vec<Event>) {
        self.flush(out);
        self.state = State::Off;
    }
}

impl State {
    const LOOKING: Self = Self::Looking { close: 0, open: 0 };
}

/// How many bytes of `tag` a text ends in behind which `byte` comes, when it ended in `begun` of
/// them before. A tag's first byte comes only once in it.
fn grown(tag: &str, begun: usize, byte: u8) -> usize {
    match tag.as_bytes().get(begun) {
        Some(next) if *next == byte => begun + 1,
        _ => usize::from(byte == b'<'),
    }
}

fn give(text: &str, event: fn(String) -> Event, out: &mut Vec<Event>) {
    if !text.is_empty() {
        out.push(event(text.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Thinking and text of content that came in `pieces`.
    fn split<'a>(pieces: impl IntoIterator<Item = &'a str>) -> (String, String) {
        let mut think = Think::new(true);
        let mut out = Vec::new();
        for piece in pieces.into_iter().filter(|piece| !piece.is_empty()) {
            think.push(Cow::Borrowed(piece), &mut out);
            assert!(think.held.len() <= MAX_HELD);
        }
        think.flush(&mut out);
        let mut sum = (String::new(), String::new());
        for event in out {
            match event {
                Event::Reasoning(text) => sum.0.push_str(&text),
                Event::Text(text) => sum.1.push_str(&text),
                other => panic!("{other:?}"),
            }
        }
        sum
    }

    #[test]
    fn thinking_is_split_off_wherever_the_content_is_cut() {
        for (content, thinking, text) in [
            ("<think>\na\n</think>\n\nb", "\na\n", "\n\nb"),
            (" \n<think>a</think>b", "a", "b"),
            ("<think></think>b", "", "b"),
            ("<think>a<b</thin></think>c", "a<b</thin>", "c"),
            ("<think>ä€😀", "ä€😀", ""),
            ("<think>a</thi", "a</thi", ""),
            ("<think>", "", ""),
            ("<thin", "", "<thin"),
            ("<thinking>a", "", "<thinking>a"),
            ("hello <think>a</think>", "", "hello <think>a</think>"),
            ("<think>a</think><think>b</think>", "a", "<think>b</think>"),
            ("\n\n", "", "\n\n"),
            ("", "", ""),
        ] {
            let expected = (thinking.to_owned(), text.to_owned());
            assert_eq!(split([content]), expected, "{content:?}");
            for (cut, _) in content.char_indices() {
                let (a, b) = content.split_at(cut);
                assert_eq!(split([a, b]), expected, "{content:?} at {cut}");
            }
            let mut buffer = [0; 4];
            let mut think = Think::new(true);
            let mut out = Vec::new();
            for c in content.chars() {
                think.push(Cow::Borrowed(c.encode_utf8(&mut buffer)), &mut out);
            }
            think.flush(&mut out);
            let length = |event: &Event| match event {
                Event::Reasoning(text) | Event::Text(text) => text.len(),
                _ => 0,
            };
            let total: usize = out.iter().map(length).sum();
            assert_eq!(total, thinking.len() + text.len(), "{content:?}");
        }
    }

    #[test]
    fn white_space_is_not_held_back_for_ever() {
        let (thinking, text) = split([" ".repeat(100).as_str(), "<think>a"]);
        assert_eq!((thinking.len(), text.len()), (0, 108));
    }

    #[test]
    fn without_the_expectation_tags_are_text() {
        let mut think = Think::new(false);
        let mut out = Vec::new();
        think.push(Cow::Borrowed("<think>a"), &mut out);
        assert_eq!(out, [Event::Text("<think>a".to_owned())]);
    }

    #[test]
    fn a_closing_tag_without_an_opening_one_is_noticed_wherever_it_is_cut() {
        for expected in [true, false] {
            for (content, noticed) in [
                ("a</think>b", true),
                ("</think>", true),
                ("a</th</think>", true),
                ("a<</think>", true),
                ("a</thinks>", false),
                ("a</thin", false),
                (" <think>a</think>b</think>", false),
                ("x<think>a</think>b", false),
                ("x<thi</think>b", true),
            ] {
                for (cut, _) in content.char_indices() {
                    let (a, b) = content.split_at(cut);
                    let mut think = Think::new(expected);
                    let mut out = Vec::new();
                    for piece in [a, b].into_iter().filter(|piece| !piece.is_empty()) {
                        think.push(Cow::Borrowed(piece), &mut out);
                    }
                    think.flush(&mut out);
                    assert_eq!(think.closed_unopened(), noticed, "{content:?} at {cut}");
                    if noticed && expected {
                        let texts: Vec<_> = out.iter().map(|event| format!("{event:?}")).collect();
                        assert!(
                            out.iter().all(|event| matches!(event, Event::Text(_))),
                            "{texts:?}"
                        );
                    }
                }
            }
        }
        let mut think = Think::new(true);
        let mut out = Vec::new();
        think.stop(&mut out);
        think.push(Cow::Borrowed("a</think>"), &mut out);
        assert!(!think.closed_unopened());
    }

    #[test]
    fn a_server_that_splits_itself_ends_the_splitting() {
        let mut think = Think::new(true);
        let mut out = Vec::new();
        think.push(Cow::Borrowed("<thi"), &mut out);
        think.stop(&mut out);
        think.push(Cow::Borrowed("<think>a"), &mut out);
        assert_eq!(
            out,
            [
                Event::Text("<thi".to_owned()),
                Event::Text("<think>a".to_owned())
            ]
        );
    }
}
