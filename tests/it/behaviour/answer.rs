//! What a server says, to the byte: head, pieces, pauses, and how it stops.

use std::time::Duration;

use serde_json::{Value, json};

/// How an answer stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// As HTTP says it should.
    Whole,
    /// The connection is closed before that.
    Cut,
    /// Nothing more comes, and the connection stays open.
    Silent,
}

#[derive(Debug, Clone)]
pub(super) enum Step {
    Bytes(Vec<u8>),
    Pause(Duration),
}

/// What the server says to one request.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    /// 0: no head, and nothing at all.
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) steps: Vec<Step>,
    pub(super) ending: Ending,
}

impl Answer {
    pub(super) fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            steps: Vec::new(),
            ending: Ending::Whole,
        }
    }

    /// The connection is closed without an answer.
    pub(super) fn none() -> Self {
        Self::status(0).cut()
    }

    /// A whole JSON answer.
    pub(super) fn json(status: u16, body: &Value) -> Self {
        Self::status(status)
            .header("content-type", "application/json")
            .bytes(body.to_string())
    }

    /// A stream of events, of which `text` is the raw body.
    pub(super) fn stream(text: impl Into<Vec<u8>>) -> Self {
        Self::status(200)
            .header("content-type", "text/event-stream; charset=utf-8")
            .bytes(text)
    }

    /// A stream of these chunks, each an event, and `[DONE]`.
    pub(super) fn chunks(chunks: &[Value]) -> Self {
        Self::stream(events(chunks) + "data: [DONE]\n\n")
    }

    /// A stream of choices: each value is the first choice of a chunk.
    pub(super) fn choices(choices: &[Value]) -> Self {
        let chunks: Vec<Value> = choices.iter().map(chunk).collect();
        Self::chunks(&chunks)
    }

    pub(super) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(super) fn bytes(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.steps.push(Step::Bytes(bytes.into()));
        self
    }

    pub(super) fn pause(mut self, time: Duration) -> Self {
        self.steps.push(Step::Pause(time));
        self
    }

    pub(super) fn cut(mut self) -> Self {
        self.ending = Ending::Cut;
        self
    }

    pub(super) fn silent(mut self) -> Self {
        self.ending = Ending::Silent;
        self
    }

    /// The same with its body in pieces of `size` bytes, each sent by itself.
    pub(super) fn in_pieces(mut self, size: usize) -> Self {
        self.steps = self
            .steps
            .into_iter()
            .flat_map(|step| match step {
                Step::Bytes(bytes) => bytes
                    .chunks(size)
                    .map(|c| Step::Bytes(c.to_vec()))
                    .collect(),
                pause @ Step::Pause(_) => vec![pause],
            })
            .collect();
        self
    }
}

/// Chunks as events.
pub(super) fn events(chunks: &[Value]) -> String {
    chunks
        .iter()
        .map(|chunk| format!("data: {chunk}\n\n"))
        .collect()
}

/// A chunk with this choice as its only one; `index` is 0 unless it says so.
pub(super) fn chunk(choice: &Value) -> Value {
    let mut choice = choice.clone();
    if choice.get("index").is_none() {
        choice["index"] = json!(0);
    }
    json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [choice]})
}

/// A choice that adds to the answer.
pub(super) fn delta(delta: Value) -> Value {
    json!({"delta": delta, "finish_reason": null})
}

/// A choice that ends the answer.
pub(super) fn finish(reason: &str) -> Value {
    json!({"delta": {}, "finish_reason": reason})
}

/// A chunk with nothing but usage.
pub(super) fn usage(counts: &Value) -> Value {
    json!({"id": "chatcmpl-1", "model": "m", "choices": [], "usage": counts})
}

/// The answer of a chat about which nothing matters but that it is one.
pub(super) fn plain() -> Answer {
    Answer::chunks(&[
        chunk(&delta(json!({"role": "assistant", "content": "ok"}))),
        chunk(&finish("stop")),
        usage(&json!({"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6})),
    ])
}
