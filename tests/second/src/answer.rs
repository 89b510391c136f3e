//! Lines of JSON → events.
//!
//! Bytes come in cut anywhere; a line is looked at when it is whole. The last one says `"done": true`, and an answer that
//! ends without it has broken off.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::bindings::llm::provider::types::{
    Cost, CostBreakdown, Error, ErrorKind, Event, FinishReason, Model, Note, StreamStart,
    ToolCallArguments, ToolCallEnd, ToolCallStart, Usage, UsageSource,
};
use crate::error::{self, Head};

/// Most bytes of one line.
const LINE_LIMIT: usize = 8 << 20;

/// Decodes one answer.
pub(crate) struct Decoder {
    line: Vec<u8>,
    state: State,
    /// Calls that were given.
    calls: u32,
    notes: Vec<Note>,
    prices: Cost,
}

#[derive(PartialEq)]
enum State {
    Before,
    Answering,
    Done,
}

#[derive(Deserialize)]
struct Line<'a> {
    model: Option<String>,
    #[serde(borrow)]
    message: Option<Message<'a>>,
    done: Option<bool>,
    done_reason: Option<String>,
    prompt_eval_count: Option<u32>,
    eval_count: Option<u32>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct Message<'a> {
    content: Option<String>,
    thinking: Option<String>,
    #[serde(borrow)]
    tool_calls: Option<Vec<Call<'a>>>,
}

#[derive(Deserialize)]
struct Call<'a> {
    #[serde(borrow)]
    function: Function<'a>,
}

#[derive(Deserialize)]
struct Function<'a> {
    name: String,
    /// As the model wrote it, to the letter.
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

impl Decoder {
    pub(crate) fn new(model: &Model, notes: Vec<Note>) -> Self {
        Self {
            line: Vec::new(),
            state: State::Before,
            calls: 0,
            notes,
            prices: model.cost,
        }
    }

    /// Whether the answer has been given, whatever the body still holds.
    pub(crate) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// The next bytes of the body, cut anywhere.
    pub(crate) fn feed(&mut self, bytes: &[u8], out: &mut Vec<Event>) -> Result<(), Error> {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(piece);
            if self.line.len() > LINE_LIMIT {
                return Err(broken(ErrorKind::Protocol, "a line of more than 8 MiB"));
            }
            if piece.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                self.take(&line, out)?;
            }
        }
        Ok(())
    }

    /// The body ended as HTTP says it should.
    pub(crate) fn end(&mut self, out: &mut Vec<Event>) -> Result<(), Error> {
        let line = std::mem::take(&mut self.line);
        self.take(&line, out)?;
        match self.state {
            State::Done => Ok(()),
            _ => Err(broken(
                ErrorKind::Interrupted,
                "the answer ended before it was done",
            )),
        }
    }

    fn take(&mut self, line: &[u8], out: &mut Vec<Event>) -> Result<(), Error> {
        // What is not UTF-8 is replaced: text that crosses the contract is.
        let text = String::from_utf8_lossy(line);
        if text.trim().is_empty() || self.state == State::Done {
            return Ok(());
        }
        let line: Line<'_> = serde_json::from_str(&text).map_err(|why| {
            broken(
                ErrorKind::Protocol,
                &format!("a line is not what Ollama sends ({why})"),
            )
        })?;
        if let Some(words) = &line.error {
            let why = format!("an error in the answer: {}", error::quoted(words));
            return Err(broken(ErrorKind::Server, &why));
        }
        if self.state == State::Before {
            self.state = State::Answering;
            out.push(Event::Start(StreamStart {
                id: String::new(),
                model: line.model.clone().unwrap_or_default(),
            }));
            out.extend(self.notes.drain(..).map(Event::Note));
        }
        if let Some(message) = &line.message {
            self.message(message, out);
        }
        if line.done == Some(true) {
            self.state = State::Done;
            out.extend(self.usage(&line).map(Event::Usage));
            out.push(Event::Finish(self.reason(line.done_reason)));
        }
        Ok(())
    }

    fn message(&mut self, message: &Message<'_>, out: &mut Vec<Event>) {
        let pieces = [(&message.thinking, true), (&message.content, false)];
        for (piece, is_thinking) in pieces {
            // An empty piece is no event.
            match piece.as_deref() {
                None | Some("") => {}
                Some(text) if is_thinking => out.push(Event::Reasoning(text.into())),
                Some(text) => out.push(Event::Text(text.into())),
            }
        }
        for call in message.tool_calls.iter().flatten() {
            let index = self.calls;
            self.calls += 1;
            // The server has no ids for calls; whoever reads the answer ties results to them.
            let (id, name) = (format!("call-{index}"), call.function.name.clone());
            let arguments = call.function.arguments.map_or("{}", RawValue::get);
            out.push(Event::ToolCallStart(ToolCallStart {
                index,
                id: id.clone(),
                name: name.clone(),
            }));
            out.push(Event::ToolCallArguments(ToolCallArguments {
                index,
                delta: arguments.into(),
            }));
            out.push(Event::ToolCallEnd(ToolCallEnd {
                index,
                id,
                name,
                arguments: arguments.into(),
                valid: true,
            }));
        }
    }

    fn usage(&self, line: &Line<'_>) -> Option<Usage> {
        // A prompt that the server had in its cache is not counted at all.
        let (input, output) = (line.prompt_eval_count.unwrap_or(0), line.eval_count?);
        let price = |tokens: u32, of_a_million: f64| f64::from(tokens) * of_a_million / 1e6;
        let cost = CostBreakdown {
            input: price(input, self.prices.input),
            output: price(output, self.prices.output),
            cache_read: 0.0,
            cache_write: 0.0,
            total: price(input, self.prices.input) + price(output, self.prices.output),
        };
        Some(Usage {
            input: input.into(),
            output: output.into(),
            cache_read: 0,
            cache_write: 0,
            reasoning: None,
            total: u64::from(input) + u64::from(output),
            cost: Some(cost),
            source: UsageSource::Final,
        })
    }

    fn reason(&self, word: Option<String>) -> FinishReason {
        match word.as_deref() {
            Some("length") => FinishReason::Length,
            None | Some("stop") if self.calls > 0 => FinishReason::ToolCalls,
            None | Some("stop") => FinishReason::Stop,
            Some(other) => FinishReason::Other(error::quoted(other)),
        }
    }
}

fn broken(kind: ErrorKind, why: &str) -> Error {
    let head = Head {
        exchange: "POST /api/chat".into(),
        status: 200,
        retry_after_ms: None,
    };
    error::broken(&head, kind, why)
}
