//! Inline thinking: `<think>…</think>` at the start of the content.
//!
//! A server without a reasoning parser sends the model's thinking as content.
//! Where the model is known to think, that is split off here. Tags may be cut
//! anywhere between two deltas; no more is held back than what could still be
//! the beginning of one.

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
}

#[derive(PartialEq, Eq)]
enum State {
    /// Content passes through.
    Off,
    /// The content may begin with the tag.
    Opening,
    /// Between the tags.
    Inside,
}

impl Think {
    /// `expected`: the model is known to think.
    pub(super) fn new(expected: bool) -> Self {
        Self {
            state: if expected { State::Opening } else { State::Off },
            held: String::new(),
        }
    }

    /// Takes a piece of content that is not empty.
    pub(super) fn push(&mut self, text: Cow<'_, str>, out: &mut Vec<Event>) {
        if self.state == State::Off {
            out.push(Event::Text(text.into_owned()));
            return;
        }
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
                        self.state = State::Off;
                        out.push(Event::Text(text.into_owned()));
                        return;
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
                self.state = State::Off;
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
