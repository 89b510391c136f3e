//! An answer put together: events in, the whole out.

use std::future::poll_fn;
use std::pin::Pin;

use futures_core::Stream as _;

use crate::bindings::types::{
    AssistantMessage, ContentPart, Event, FinishReason, Message, Note, ToolCall, TurnStatus, Usage,
};
use crate::chat::{BATCH, Chat};
use crate::error::Result;
use crate::route::{RoutedChat, Step};

/// What events add up to, at any moment: whole when it has a [`finish`](Answer::finish).
///
/// ```
/// use provider_host::Answer;
/// use provider_host::types::{Event, FinishReason};
///
/// let mut answer = Answer::new();
/// answer.extend([Event::Text("Hel".into()), Event::Text("lo".into())]);
/// assert_eq!(answer.text, "Hello");
/// answer.add(Event::Finish(FinishReason::Stop));
/// assert!(answer.is_finished());
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Answer {
    /// The server's id of the answer; empty if it gave none.
    pub id: String,
    /// The model that answers, in the server's words.
    pub model: String,
    /// The text.
    pub text: String,
    /// The thinking.
    pub reasoning: String,
    /// The calls that the model wants run, in their order. The arguments are JSON text as the model wrote it.
    pub tool_calls: Vec<ToolCall>,
    /// What it took, if the server said so.
    pub usage: Option<Usage>,
    /// Why it ended; none if it has not.
    pub finish: Option<FinishReason>,
    /// What else a user should be told.
    pub notes: Vec<Note>,
}

impl Answer {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next event in.
    pub fn add(&mut self, event: Event) {
        match event {
            Event::Start(start) => {
                self.id = start.id;
                self.model = start.model;
            }
            Event::Text(text) => self.text.push_str(&text),
            Event::Reasoning(text) => self.reasoning.push_str(&text),
            // Calls are numbered from 0 without gaps; the grammar sees to it.
            Event::ToolCallStart(call) => self.tool_calls.push(ToolCall {
                id: call.id,
                name: call.name,
                arguments: String::new(),
            }),
            Event::ToolCallArguments(piece) => {
                if let Some(call) = self.tool_calls.get_mut(piece.index as usize) {
                    call.arguments.push_str(&piece.delta);
                }
            }
            Event::ToolCallEnd(end) => {
                if let Some(call) = self.tool_calls.get_mut(end.index as usize) {
                    *call = ToolCall {
                        id: end.id,
                        name: end.name,
                        arguments: end.arguments,
                    };
                }
            }
            Event::Usage(usage) => self.usage = Some(usage),
            Event::Note(note) => {
                Self::split_reasoning(&note, &mut self.text, &mut self.reasoning);
                self.notes.push(note);
            }
            Event::Finish(reason) => self.finish = Some(reason),
            Event::Other(_) => {}
        }
    }

    /// Moves the thinking at the start of `text` into `reasoning`, if `note` says that there is some.
    ///
    /// A server without a reasoning parser sends thinking as text. Where the model's template opens
    /// the thinking itself, nothing tells it from the answer before `</think>` comes, and by then
    /// its pieces were given out as text. The provider says so with a note of the code
    /// `reasoning-as-text`, only for models that are known to reason. Of the text collected so far,
    /// what stands before the tag is the thinking.
    pub fn split_reasoning(note: &Note, text: &mut String, reasoning: &mut String) {
        const TAG: &str = "</think>";
        if note.code != "reasoning-as-text" {
            return;
        }
        let Some(at) = text.find(TAG) else {
            return;
        };
        let rest = text.split_off(at);
        reasoning.push_str(text);
        rest[TAG.len()..].clone_into(text);
    }

    /// Whether it has come to its end.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.finish.is_some()
    }

    /// The assistant's turn, for the next request of the conversation. One that is not finished is marked as stopped
    /// by the user, and a provider leaves such a turn out.
    #[must_use]
    pub fn message(&self) -> Message {
        let text = Some(&self.text).filter(|text| !text.is_empty());
        Message::Assistant(AssistantMessage {
            content: text.cloned().map(ContentPart::Text).into_iter().collect(),
            reasoning: Some(self.reasoning.clone()).filter(|text| !text.is_empty()),
            tool_calls: self.tool_calls.clone(),
            status: match self.is_finished() {
                true => TurnStatus::Completed,
                false => TurnStatus::Aborted,
            },
        })
    }
}

impl Extend<Event> for Answer {
    fn extend<T: IntoIterator<Item = Event>>(&mut self, events: T) {
        for event in events {
            self.add(event);
        }
    }
}

impl Chat {
    /// The next event; none at the end.
    ///
    /// Dropping the future is safe: no event is lost.
    ///
    /// # Errors
    ///
    /// As [`Chat::next_batch`].
    pub async fn next_event(&mut self) -> Result<Option<Event>> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx))
            .await
            .transpose()
    }

    /// Waits for the whole answer.
    ///
    /// # Errors
    ///
    /// As [`Chat::next_batch`]. What came before is lost then; [`Chat::collect_into`] keeps it.
    pub async fn collect(mut self) -> Result<Answer> {
        let mut answer = Answer::new();
        self.collect_into(&mut answer).await?;
        Ok(answer)
    }

    /// Waits for the end of the answer, and takes into `answer` what comes until then.
    ///
    /// # Errors
    ///
    /// As [`Chat::next_batch`].
    pub async fn collect_into(&mut self, answer: &mut Answer) -> Result<()> {
        loop {
            let batch = self.next_batch(BATCH).await?;
            if batch.is_empty() {
                return Ok(());
            }
            answer.extend(batch);
        }
    }
}

impl RoutedChat {
    /// Waits for the whole answer, whatever it takes. Steps beside it are passed over.
    ///
    /// # Errors
    ///
    /// As [`RoutedChat::next_batch`]. What came before is lost then; [`RoutedChat::collect_into`] keeps it.
    pub async fn collect(mut self) -> Result<Answer> {
        let mut answer = Answer::new();
        self.collect_into(&mut answer).await?;
        Ok(answer)
    }

    /// Waits for the end of the answer, and takes into `answer` what comes until then.
    ///
    /// # Errors
    ///
    /// As [`RoutedChat::next_batch`].
    pub async fn collect_into(&mut self, answer: &mut Answer) -> Result<()> {
        loop {
            let batch = self.next_batch(BATCH).await?;
            if batch.is_empty() {
                return Ok(());
            }
            for step in batch {
                if let Step::Event(event) = step {
                    answer.add(event);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bindings::types::{StreamStart, ToolCallArguments, ToolCallEnd, ToolCallStart};

    fn start(index: u32) -> Event {
        Event::ToolCallStart(ToolCallStart {
            index,
            id: format!("call-{index}"),
            name: "f".into(),
        })
    }

    fn piece(index: u32, delta: &str) -> Event {
        Event::ToolCallArguments(ToolCallArguments {
            index,
            delta: delta.into(),
        })
    }

    #[test]
    fn thinking_that_came_as_text_is_told_apart_by_the_note() {
        let note = |code: &str| {
            Event::Note(Note {
                code: code.into(),
                path: None,
                message: "why".into(),
            })
        };
        let text = || Event::Text("hm</think>\n\nyes</think>".into());
        let mut answer = Answer::new();
        answer.extend([text(), note("closing-think-tag")]);
        assert_eq!(answer.text, "hm</think>\n\nyes</think>");
        let mut answer = Answer::new();
        answer.extend([text(), note("reasoning-as-text"), note("other")]);
        assert_eq!(answer.text, "\n\nyes</think>");
        assert_eq!(answer.reasoning, "hm");
        assert_eq!(answer.notes.len(), 2);
    }

    #[test]
    fn events_add_up_whatever_interleaves() {
        let mut answer = Answer::new();
        answer.extend([
            Event::Start(StreamStart {
                id: "c".into(),
                model: "m".into(),
            }),
            Event::Reasoning("think".into()),
            start(0),
            start(1),
            piece(0, "{\"a\""),
            piece(1, "{"),
            piece(0, ":1}"),
            piece(7, "nobody's"),
            Event::ToolCallEnd(ToolCallEnd {
                index: 1,
                id: "call-1".into(),
                name: "g".into(),
                arguments: "{}".into(),
                valid: true,
            }),
        ]);
        assert!(!answer.is_finished());
        let Message::Assistant(half) = answer.message() else {
            panic!("a turn of somebody else");
        };
        assert_eq!(half.status, TurnStatus::Aborted);
        answer.add(Event::Finish(FinishReason::ToolCalls));
        let Message::Assistant(turn) = answer.message() else {
            panic!("a turn of somebody else");
        };
        assert_eq!(turn.status, TurnStatus::Completed);
        assert_eq!(turn.reasoning.as_deref(), Some("think"));
        assert!(turn.content.is_empty());
        let calls: Vec<(&str, &str)> = turn
            .tool_calls
            .iter()
            .map(|call| (call.name.as_str(), call.arguments.as_str()))
            .collect();
        assert_eq!(calls, [("f", "{\"a\":1}"), ("g", "{}")]);
    }
}
