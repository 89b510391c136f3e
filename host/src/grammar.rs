//! The order that the events of an answer keep.
//!
//! The contract (`llm:provider/types.event`) promises it to whoever reads an answer: `start (text | reasoning |
//! tool-call-* | note)* usage? note* finish`. A plugin that need not be trusted may break that promise, and an agent that
//! relies on it (a finish that comes once, a call that was begun before it goes on) must not find out the hard way. So
//! the host reads along, and an answer that leaves the grammar ends there, in an error.
//!
//! What is kept for it does not grow with the answer, only with the calls that are open at once, and those are bounded.

use std::collections::BTreeSet;
use std::fmt;

use crate::bindings::types::Event;

/// Most tool calls of one answer that are begun and not yet ended. A model makes a handful at once; this is what keeps
/// the host's own record of an answer small.
pub const MAX_OPEN_CALLS: usize = 4_096;

/// How an answer left the grammar.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    /// Something other than the start came first; the event's name.
    NotStarted(&'static str),
    /// A second start.
    SecondStart,
    /// A piece of text, thinking or arguments without a byte; the event's name.
    Empty(&'static str),
    /// The calls are numbered from 0 without gaps; what stood there and what should have.
    Numbering {
        /// The number that was given.
        index: u32,
        /// The number of the next call.
        expected: u32,
    },
    /// More calls are open than [`MAX_OPEN_CALLS`].
    TooManyOpenCalls,
    /// Arguments or the end of a call that was not begun, or has ended; the event's name and the call's number.
    NoOpenCall(&'static str, u32),
    /// Something that belongs before the usage came after it; the event's name.
    AfterUsage(&'static str),
    /// A finish while a call was open; the call's number.
    OpenCallAtFinish(u32),
    /// An event after the finish; its name.
    AfterFinish(&'static str),
    /// The end without a finish.
    NoFinish,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStarted(event) => write!(f, "`{event}` came before `start`"),
            Self::SecondStart => f.write_str("a second `start`"),
            Self::Empty(event) => write!(f, "a `{event}` without a byte"),
            Self::Numbering { index, expected } => {
                write!(f, "a tool call numbered {index} where {expected} is next")
            }
            Self::TooManyOpenCalls => {
                write!(f, "more than {MAX_OPEN_CALLS} tool calls open at once")
            }
            Self::NoOpenCall(event, index) => {
                write!(f, "`{event}` for tool call {index}, which is not open")
            }
            Self::AfterUsage(event) => write!(f, "`{event}` came after `usage`"),
            Self::OpenCallAtFinish(index) => {
                write!(f, "`finish` came while tool call {index} was open")
            }
            Self::AfterFinish(event) => write!(f, "`{event}` came after `finish`"),
            Self::NoFinish => f.write_str("the answer ended without `finish`"),
        }
    }
}

impl std::error::Error for Violation {}

/// Reads an answer along, event by event.
///
/// # Examples
///
/// ```
/// use provider_host::grammar::{Grammar, Violation};
/// use provider_host::types::{Event, FinishReason, StreamStart};
///
/// let mut grammar = Grammar::new();
/// let start = StreamStart { id: "1".into(), model: "m".into() };
/// grammar.event(&Event::Start(start))?;
/// grammar.event(&Event::Text("Hello".into()))?;
/// assert_eq!(grammar.end(), Err(Violation::NoFinish));
/// grammar.event(&Event::Finish(FinishReason::Stop))?;
/// grammar.end()?;
/// # Ok::<(), Violation>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Grammar {
    stage: Stage,
    /// The number of the next call.
    next_call: u32,
    open: BTreeSet<u32>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Before,
    Content,
    AfterUsage,
    Finished,
}

impl Grammar {
    /// Before the first event.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The next event.
    ///
    /// # Errors
    ///
    /// How it does not fit what came before. The event should not be given on.
    pub fn event(&mut self, event: &Event) -> Result<(), Violation> {
        let name = name(event);
        match (self.stage, event) {
            (Stage::Finished, _) => return Err(Violation::AfterFinish(name)),
            (Stage::Before, Event::Start(_)) => {
                self.stage = Stage::Content;
                return Ok(());
            }
            (Stage::Before, _) => return Err(Violation::NotStarted(name)),
            (_, Event::Start(_)) => return Err(Violation::SecondStart),
            (_, Event::Finish(_)) => {
                if let Some(&index) = self.open.first() {
                    return Err(Violation::OpenCallAtFinish(index));
                }
                self.stage = Stage::Finished;
                return Ok(());
            }
            // An extension says itself what it means, and where.
            (_, Event::Note(_) | Event::Other(_)) => return Ok(()),
            (Stage::AfterUsage, _) => return Err(Violation::AfterUsage(name)),
            (Stage::Content, _) => {}
        }
        self.content(event, name)
    }

    /// What stands between start and usage.
    fn content(&mut self, event: &Event, name: &'static str) -> Result<(), Violation> {
        match event {
            Event::Text(piece) | Event::Reasoning(piece) if piece.is_empty() => {
                Err(Violation::Empty(name))
            }
            Event::ToolCallStart(call) => {
                let (index, expected) = (call.index, self.next_call);
                if index != expected {
                    return Err(Violation::Numbering { index, expected });
                }
                if self.open.len() >= MAX_OPEN_CALLS {
                    return Err(Violation::TooManyOpenCalls);
                }
                self.open.insert(index);
                self.next_call = expected.saturating_add(1);
                Ok(())
            }
            Event::ToolCallArguments(call) if !self.open.contains(&call.index) => {
                Err(Violation::NoOpenCall(name, call.index))
            }
            Event::ToolCallArguments(call) if call.delta.is_empty() => Err(Violation::Empty(name)),
            Event::ToolCallEnd(call) if !self.open.remove(&call.index) => {
                Err(Violation::NoOpenCall(name, call.index))
            }
            Event::Usage(_) => {
                self.stage = Stage::AfterUsage;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The end, which is not the end in an error: that may stand anywhere.
    ///
    /// # Errors
    ///
    /// [`Violation::NoFinish`].
    pub fn end(&self) -> Result<(), Violation> {
        match self.stage {
            Stage::Finished => Ok(()),
            _ => Err(Violation::NoFinish),
        }
    }
}

/// The event's name in the contract.
fn name(event: &Event) -> &'static str {
    match event {
        Event::Start(_) => "start",
        Event::Text(_) => "text",
        Event::Reasoning(_) => "reasoning",
        Event::ToolCallStart(_) => "tool-call-start",
        Event::ToolCallArguments(_) => "tool-call-arguments",
        Event::ToolCallEnd(_) => "tool-call-end",
        Event::Usage(_) => "usage",
        Event::Note(_) => "note",
        Event::Finish(_) => "finish",
        Event::Other(_) => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bindings::types::{
        FinishReason, StreamStart, ToolCallArguments, ToolCallEnd, ToolCallStart, Usage,
        UsageSource,
    };

    /// An answer in shorthand: `s`tart, `t`ext, `r`easoning, `u`sage, `f`inish, and a call's `+0` start, `.0`
    /// arguments and `-0` end; `t'` and `.0'` are pieces without a byte.
    fn read(answer: &str) -> Result<(), Violation> {
        let mut grammar = Grammar::new();
        for word in answer.split_whitespace() {
            grammar.event(&event(word))?;
        }
        grammar.end()
    }

    fn event(word: &str) -> Event {
        let (word, piece) = match word.strip_suffix('\'') {
            Some(word) => (word, String::new()),
            None => (word, "piece".to_owned()),
        };
        let number = || word[1..].parse().expect("a call's number");
        match &word[..1] {
            "s" => Event::Start(StreamStart {
                id: String::new(),
                model: String::new(),
            }),
            "t" => Event::Text(piece),
            "r" => Event::Reasoning(piece),
            "+" => Event::ToolCallStart(ToolCallStart {
                index: number(),
                id: String::new(),
                name: String::new(),
            }),
            "." => Event::ToolCallArguments(ToolCallArguments {
                index: number(),
                delta: piece,
            }),
            "-" => Event::ToolCallEnd(ToolCallEnd {
                index: number(),
                id: String::new(),
                name: String::new(),
                arguments: "{}".into(),
                valid: true,
            }),
            "u" => Event::Usage(Usage {
                input: 0,
                output: 0,
                cache_read: 0,
                cache_write: 0,
                reasoning: None,
                total: 0,
                cost: None,
                source: UsageSource::Final,
            }),
            "f" => Event::Finish(FinishReason::Stop),
            other => panic!("no event is written {other}"),
        }
    }

    #[test]
    fn what_the_grammar_has_is_taken() {
        for answer in [
            "s f",
            "s t t u f",
            "s r t f",
            "s +0 .0 .0 -0 t u f",
            "s +0 +1 .1 .0 -1 -0 f",
            "s +0 -0 +1 -1 u f",
        ] {
            assert_eq!(read(answer), Ok(()), "{answer}");
        }
    }

    #[test]
    fn what_leaves_the_grammar_is_told_by_its_name() {
        use Violation::*;
        let cases = [
            ("", NoFinish),
            ("s t", NoFinish),
            ("t s f", NotStarted("text")),
            ("f", NotStarted("finish")),
            ("s s f", SecondStart),
            ("s t' f", Empty("text")),
            ("s r' f", Empty("reasoning")),
            ("s +0 .0' -0 f", Empty("tool-call-arguments")),
            (
                "s +1 -1 f",
                Numbering {
                    index: 1,
                    expected: 0,
                },
            ),
            (
                "s +0 -0 +0 -0 f",
                Numbering {
                    index: 0,
                    expected: 1,
                },
            ),
            ("s .0 f", NoOpenCall("tool-call-arguments", 0)),
            ("s +0 -0 .0 f", NoOpenCall("tool-call-arguments", 0)),
            ("s +0 -0 -0 f", NoOpenCall("tool-call-end", 0)),
            ("s +0 f", OpenCallAtFinish(0)),
            ("s u t f", AfterUsage("text")),
            ("s u u f", AfterUsage("usage")),
            ("s f f", AfterFinish("finish")),
            ("s f t", AfterFinish("text")),
        ];
        for (answer, violation) in cases {
            assert_eq!(read(answer), Err(violation), "{answer}");
        }
    }

    #[test]
    fn open_calls_are_bounded_and_ended_ones_cost_nothing() {
        let mut grammar = Grammar::new();
        grammar.event(&event("s")).expect("a start");
        let most = u32::try_from(MAX_OPEN_CALLS).expect("a small number");
        for index in 0..most {
            grammar.event(&event(&format!("+{index}"))).expect("room");
        }
        let one_more = event(&format!("+{most}"));
        assert_eq!(grammar.event(&one_more), Err(Violation::TooManyOpenCalls));
        for index in 0..most {
            grammar.event(&event(&format!("-{index}"))).expect("open");
        }
        assert_eq!(grammar.event(&one_more), Ok(()));
        assert_eq!(grammar.open.len(), 1);
    }
}
