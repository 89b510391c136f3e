//! What vLLM's reasoning and tool parsers make of a model's text.
//!
//! Text in, as it is generated; pieces out: reasoning, content, the start of a
//! tool call, its arguments. The model's own tags (`<think>`, `<tool_call>`)
//! never come out where a parser is on. Measured behaviour that looks odd is
//! kept: text after a call is dropped, and with a reasoning parser an output
//! that never closes its thinking is all reasoning.

const THINK: &str = "<think>";
const THINK_END: &str = "</think>";
const CALL: &str = "<tool_call>";
const CALL_END: &str = "</tool_call>";

/// One thing a delta can carry.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Piece {
    /// Thinking.
    Reasoning(String),
    /// The answer.
    Content(String),
    /// A tool call begins; calls count from 0.
    Call {
        /// Position among the calls of this answer.
        index: usize,
        /// The function's name, whole.
        name: String,
    },
    /// A part of the arguments of call `index`, as JSON text.
    Arguments {
        /// Position among the calls of this answer.
        index: usize,
        /// The part.
        text: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    Reasoning,
    Content,
    Call,
    AfterCall,
}

/// Which text a reasoning parser takes for thinking.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Thinking {
    /// None: no parser, or the request turned thinking off.
    Off,
    /// All from the first token until `</think>` (vLLM 0.16 and later).
    FromStart,
    /// What stands between `<think>` and `</think>` (earlier versions).
    WhenOpened,
}

/// The parsers at work on one answer.
#[derive(Debug)]
pub(crate) struct Parser {
    place: Place,
    opens: bool,
    tools: bool,
    carry: String,
    call: Call,
    calls: usize,
}

/// The call being read: its raw JSON and how much was given out.
#[derive(Debug, Default)]
struct Call {
    raw: String,
    named: bool,
    arguments_at: Option<usize>,
    given: usize,
}

impl Parser {
    /// `tools`: calls are looked for.
    pub(crate) fn new(thinking: Thinking, tools: bool) -> Self {
        Parser {
            place: match thinking {
                Thinking::FromStart => Place::Reasoning,
                Thinking::Off | Thinking::WhenOpened => Place::Content,
            },
            opens: thinking == Thinking::WhenOpened,
            tools,
            carry: String::new(),
            call: Call::default(),
            calls: 0,
        }
    }

    /// Whether a tool call was begun.
    pub(crate) fn called(&self) -> bool {
        self.calls > 0
    }

    /// Whether text fed now is thinking.
    pub(crate) fn in_reasoning(&self) -> bool {
        self.place == Place::Reasoning
    }

    /// Takes the text of one step; `last` when no more comes.
    pub(crate) fn feed(&mut self, text: &str, last: bool) -> Vec<Piece> {
        let mut out = Vec::new();
        let mut buffer = std::mem::take(&mut self.carry);
        buffer.push_str(text);
        loop {
            let tags = self.tags();
            let found = tags
                .iter()
                .filter_map(|tag| buffer.find(tag).map(|at| (at, *tag)))
                .min_by_key(|(at, _)| *at);
            let Some((at, tag)) = found else { break };
            self.give(&buffer[..at], &mut out);
            self.pass(tag, &mut out);
            buffer.drain(..at + tag.len());
        }
        let keep = if last {
            0
        } else {
            growing(&buffer, self.tags())
        };
        let (now, later) = buffer.split_at(buffer.len() - keep);
        self.give(now, &mut out);
        self.carry = later.to_owned();
        out
    }

    /// The tags that mean something where the text stands.
    fn tags(&self) -> &'static [&'static str] {
        match (self.place, self.tools) {
            (Place::Reasoning, true) => &[THINK, THINK_END, CALL],
            (Place::Reasoning, false) => &[THINK, THINK_END],
            (Place::Content, true) if self.opens => &[THINK, CALL],
            (Place::Content, false) if self.opens => &[THINK],
            (Place::Content | Place::AfterCall, true) => &[CALL],
            (Place::Content | Place::AfterCall, false) => &[],
            (Place::Call, _) => &[CALL_END],
        }
    }

    /// Goes over a tag.
    fn pass(&mut self, tag: &str, out: &mut Vec<Piece>) {
        match tag {
            THINK => self.place = Place::Reasoning,
            THINK_END => {
                self.place = Place::Content;
                self.opens = false;
            }
            CALL => {
                self.place = Place::Call;
                self.call = Call::default();
            }
            CALL_END => {
                self.arguments(true, out);
                self.place = Place::AfterCall;
            }
            _ => {}
        }
    }

    /// Gives out text that has no tag in it.
    fn give(&mut self, text: &str, out: &mut Vec<Piece>) {
        if text.is_empty() {
            return;
        }
        match self.place {
            Place::Reasoning => out.push(Piece::Reasoning(text.to_owned())),
            Place::Content => out.push(Piece::Content(text.to_owned())),
            Place::AfterCall => {}
            Place::Call => {
                self.call.raw.push_str(text);
                self.name(out);
                self.arguments(false, out);
            }
        }
    }

    /// Gives out the name once its closing quote has come.
    fn name(&mut self, out: &mut Vec<Piece>) {
        if self.call.named {
            return;
        }
        let raw = &self.call.raw;
        let Some(from) = raw.find("\"name\": \"").map(|at| at + 9) else {
            return;
        };
        let Some(to) = raw[from..].find('"') else {
            return;
        };
        out.push(Piece::Call {
            index: self.calls,
            name: raw[from..from + to].to_owned(),
        });
        self.call.named = true;
        self.calls += 1;
    }

    /// Gives out what has come of the arguments. The brace that closes the call
    /// itself, and white space round it, is held back and never given.
    fn arguments(&mut self, ended: bool, out: &mut Vec<Piece>) {
        if !self.call.named {
            return;
        }
        let raw = &self.call.raw;
        if self.call.arguments_at.is_none() {
            let Some(at) = raw.find("\"arguments\":").map(|at| at + 12) else {
                return;
            };
            let blank = raw[at..].len() - raw[at..].trim_start().len();
            if blank == raw[at..].len() {
                return;
            }
            self.call.arguments_at = Some(at + blank);
        }
        let Some(at) = self.call.arguments_at else {
            return;
        };
        let end = at + without_closing(&raw[at..], ended).len();
        let from = at + self.call.given;
        if end > from {
            out.push(Piece::Arguments {
                index: self.calls - 1,
                text: raw[from..end].to_owned(),
            });
            self.call.given = end - at;
        }
    }
}

/// Cuts off the last brace, with the white space round it, or a line end alone.
fn without_closing(text: &str, ended: bool) -> &str {
    let bare = text.trim_end();
    match bare.strip_suffix('}') {
        Some(open) => open.trim_end(),
        None if ended || text[bare.len()..].contains('\n') => bare,
        None => text,
    }
}

/// How many bytes at the end of `text` may be the beginning of a tag.
fn growing(text: &str, tags: &[&str]) -> usize {
    tags.iter()
        .flat_map(|tag| (1..tag.len()).filter(|n| text.ends_with(&tag[..*n])))
        .max()
        .unwrap_or(0)
}

/// An answer read as a whole, as the non-streamed route does it.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Whole {
    /// All reasoning, or none.
    pub(crate) reasoning: Option<String>,
    /// All content, or none.
    pub(crate) content: Option<String>,
    /// Name and arguments of each call.
    pub(crate) calls: Vec<(String, String)>,
}

/// Reads a finished text. Unlike the stream, a call that is cut or is not JSON
/// stays in the content as it was written.
pub(crate) fn whole(text: &str, thinking: Thinking, tools: bool) -> Whole {
    let mut parser = Parser::new(thinking, tools);
    let mut out = Whole::default();
    for piece in parser.feed(text, true) {
        match piece {
            Piece::Reasoning(text) => out.reasoning.get_or_insert_default().push_str(&text),
            Piece::Content(text) => out.content.get_or_insert_default().push_str(&text),
            Piece::Call { name, .. } => out.calls.push((name, String::new())),
            Piece::Arguments { text, .. } => {
                if let Some((_, arguments)) = out.calls.last_mut() {
                    arguments.push_str(&text);
                }
            }
        }
    }
    let started = tools.then(|| text.find(CALL)).flatten();
    if let Some(at) = started {
        let sound = text[at..].split(CALL).skip(1).all(|call| {
            let call = call.split(CALL_END).next().unwrap_or_default();
            serde_json::from_str::<serde_json::Value>(call).is_ok()
        });
        if !sound {
            out.calls.clear();
            out.content.get_or_insert_default().push_str(&text[at..]);
        } else if out.content.as_deref().is_some_and(|c| c.trim().is_empty()) {
            out.content = None;
        }
    }
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn call(index: usize, name: &str) -> Piece {
        Piece::Call {
            index,
            name: name.into(),
        }
    }

    fn joined(pieces: Vec<Piece>) -> Vec<Piece> {
        let mut out: Vec<Piece> = Vec::new();
        for piece in pieces {
            match (out.last_mut(), piece) {
                (Some(Piece::Reasoning(a)), Piece::Reasoning(b))
                | (Some(Piece::Content(a)), Piece::Content(b)) => a.push_str(&b),
                (
                    Some(Piece::Arguments { index: i, text: a }),
                    Piece::Arguments { index: j, text: b },
                ) if *i == j => a.push_str(&b),
                (_, piece) => out.push(piece),
            }
        }
        out
    }

    #[test]
    fn pieces_do_not_depend_on_where_the_text_is_cut() {
        let text = "<think>\nwhy <b>\n</think>\n\nSo:\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": {\"b\": 1}}}\n</tool_call>\n<tool_call>\n{\"name\": \"g\", \"arguments\": {}}\n</tool_call>\nbye";
        let want = vec![
            Piece::Reasoning("\nwhy <b>\n".into()),
            Piece::Content("\n\nSo:\n".into()),
            call(0, "f"),
            Piece::Arguments {
                index: 0,
                text: "{\"a\": {\"b\": 1}}".into(),
            },
            call(1, "g"),
            Piece::Arguments {
                index: 1,
                text: "{}".into(),
            },
        ];
        for size in 1..text.len() {
            let mut parser = Parser::new(Thinking::FromStart, true);
            let mut got = Vec::new();
            for part in text.as_bytes().chunks(size) {
                got.extend(parser.feed(std::str::from_utf8(part).unwrap(), false));
            }
            got.extend(parser.feed("", true));
            assert_eq!(joined(got), want, "cut every {size} bytes");
        }
    }

    #[test]
    fn without_parsers_tags_are_text() {
        let text = "<think>\nx\n</think>\n\n<tool_call>";
        let got = Parser::new(Thinking::Off, false).feed(text, true);
        assert_eq!(got, [Piece::Content(text.into())]);
    }

    #[test]
    fn thinking_that_is_never_closed_is_all_reasoning() {
        assert_eq!(
            whole("Hello!", Thinking::FromStart, true),
            Whole {
                reasoning: Some("Hello!".into()),
                ..Whole::default()
            }
        );
    }

    #[test]
    fn a_cut_call_is_content_when_read_as_a_whole_and_a_call_when_streamed() {
        let text = "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"city";
        let read = whole(text, Thinking::Off, true);
        assert_eq!(read.content.as_deref(), Some(text));
        assert!(read.calls.is_empty());
        assert_eq!(
            Parser::new(Thinking::Off, true).feed(text, true),
            [
                call(0, "f"),
                Piece::Arguments {
                    index: 0,
                    text: "{\"city".into()
                }
            ]
        );
    }
}
