//! What was asked and answered, as JSON by the conventions' schemas of messages, within a number of bytes.
//!
//! An attribute of a span holds no lists of records in `tracing`, so that it is the JSON text that the conventions allow
//! instead. An image is told of and not shown.

use serde_json::{Value, json};

use crate::bindings::types::{ContentPart, Event, Message, Tool, ToolCall};

/// What a message or a part counts beside its texts: many empty ones must have an end too.
const BASE_BYTES: usize = 64;

/// Redacts a text.
type Redact<'a> = &'a dyn Fn(&str) -> String;

/// Bytes of texts that may still be told.
struct Budget {
    left: usize,
}

impl Budget {
    /// As much of a text as there is room for.
    fn text(&mut self, mut text: String) -> String {
        if text.len() > self.left {
            text.truncate(text.floor_char_boundary(self.left));
            text.push('…');
        }
        self.left = self.left.saturating_sub(text.len());
        text
    }

    fn base(&mut self) {
        self.left = self.left.saturating_sub(BASE_BYTES);
    }
}

/// Words as a JSON list: `tracing` has no lists.
pub(super) fn list(words: &[String]) -> String {
    json!(words).to_string()
}

/// `gen_ai.input.messages`: the newest messages that there is room for, in their order.
pub(super) fn input(messages: &[Message], most: usize, redact: Redact<'_>) -> String {
    let mut budget = Budget { left: most };
    let mut told = Vec::new();
    for message in messages.iter().rev() {
        if budget.left == 0 {
            break;
        }
        budget.base();
        told.push(self::message(message, &mut budget, redact));
    }
    let left_out = messages.len() - told.len();
    told.reverse();
    if left_out > 0
        && let Some(parts) = told
            .first_mut()
            .and_then(|first| first["parts"].as_array_mut())
    {
        parts.insert(0, json!({ "type": "left_out", "messages": left_out }));
    }
    Value::Array(told).to_string()
}

fn message(message: &Message, budget: &mut Budget, redact: Redact<'_>) -> Value {
    let (role, parts) = match message {
        Message::System(text) => {
            let text = budget.text(redact(text));
            ("system", vec![json!({ "type": "text", "content": text })])
        }
        Message::User(parts) => ("user", self::parts(parts, budget, redact)),
        Message::Assistant(message) => {
            let mut told = Vec::new();
            if let Some(text) = &message.reasoning {
                let text = budget.text(redact(text));
                told.push(json!({ "type": "reasoning", "content": text }));
            }
            told.extend(parts(&message.content, budget, redact));
            for call in &message.tool_calls {
                if budget.left == 0 {
                    told.push(left_out());
                    break;
                }
                told.push(tool_call(call, budget, redact));
            }
            ("assistant", told)
        }
        Message::Tool(result) => {
            let id = budget.text(redact(&result.call_id));
            let content = parts(&result.content, budget, redact);
            let part = json!({
                "type": "tool_call_response", "id": id, "response": content,
            });
            ("tool", vec![part])
        }
    };
    json!({ "role": role, "parts": parts })
}

fn parts(parts: &[ContentPart], budget: &mut Budget, redact: Redact<'_>) -> Vec<Value> {
    let mut told = Vec::new();
    for part in parts {
        if budget.left == 0 {
            told.push(left_out());
            break;
        }
        budget.base();
        told.push(match part {
            ContentPart::Text(text) => {
                json!({ "type": "text", "content": budget.text(redact(text)) })
            }
            ContentPart::Image(image) => json!({
                "type": "image", "mime_type": redact(&image.media_type), "bytes": image.data.len(),
            }),
        });
    }
    told
}

/// What stands for parts that there was no room for.
fn left_out() -> Value {
    json!({ "type": "left_out" })
}

fn tool_call(call: &ToolCall, budget: &mut Budget, redact: Redact<'_>) -> Value {
    budget.base();
    let (id, name) = (redact(&call.id), redact(&call.name));
    let (id, name) = (budget.text(id), budget.text(name));
    let arguments = budget.text(redact(&call.arguments));
    // Whole arguments are a value of their own; what was cut or is no JSON is a text.
    let arguments = serde_json::from_str(&arguments).unwrap_or(Value::String(arguments));
    json!({ "type": "tool_call", "id": id, "name": name, "arguments": arguments })
}

/// `gen_ai.tool.definitions`: the required properties only, as the conventions advise.
pub(super) fn tools(tools: &[Tool], most: usize, redact: Redact<'_>) -> String {
    let mut budget = Budget { left: most };
    let mut told = Vec::new();
    for tool in tools {
        if budget.left == 0 {
            break;
        }
        budget.base();
        let name = budget.text(redact(&tool.name));
        told.push(json!({ "type": "function", "name": name }));
    }
    Value::Array(told).to_string()
}

/// An answer as it grows, for `gen_ai.output.messages`.
pub(super) struct Answer {
    pieces: Vec<Piece>,
    budget: Budget,
    left_out: bool,
}

enum Piece {
    Text(String),
    Reasoning(String),
    Call(ToolCall),
}

impl Answer {
    pub(super) fn new(most: usize) -> Self {
        Self {
            pieces: Vec::new(),
            budget: Budget { left: most },
            left_out: false,
        }
    }

    pub(super) fn event(&mut self, event: &Event) {
        match event {
            Event::Text(_) | Event::Reasoning(_) | Event::ToolCallEnd(_)
                if self.budget.left == 0 =>
            {
                self.left_out = true;
            }
            Event::Text(text) => {
                let text = self.budget.text(text.clone());
                match self.pieces.last_mut() {
                    Some(Piece::Text(whole)) => whole.push_str(&text),
                    _ => self.pieces.push(Piece::Text(text)),
                }
            }
            Event::Reasoning(text) => {
                let text = self.budget.text(text.clone());
                match self.pieces.last_mut() {
                    Some(Piece::Reasoning(whole)) => whole.push_str(&text),
                    _ => self.pieces.push(Piece::Reasoning(text)),
                }
            }
            Event::ToolCallEnd(call) => {
                self.budget.base();
                self.pieces.push(Piece::Call(ToolCall {
                    id: self.budget.text(call.id.clone()),
                    name: self.budget.text(call.name.clone()),
                    arguments: self.budget.text(call.arguments.clone()),
                }));
            }
            _ => {}
        }
    }

    /// The answer so far: one message.
    pub(super) fn messages(&self, redact: Redact<'_>) -> String {
        // It was cut as it came.
        let mut all = Budget { left: usize::MAX };
        let parts = self.pieces.iter().map(|piece| match piece {
            Piece::Text(text) => json!({ "type": "text", "content": redact(text) }),
            Piece::Reasoning(text) => json!({ "type": "reasoning", "content": redact(text) }),
            Piece::Call(call) => tool_call(call, &mut all, redact),
        });
        let parts: Vec<_> = parts.chain(self.left_out.then(left_out)).collect();
        json!([{ "role": "assistant", "parts": parts }]).to_string()
    }
}
