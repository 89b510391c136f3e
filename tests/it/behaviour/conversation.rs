//! Conversations to send, in a line each.

use provider_host::types::{
    AssistantMessage, ChatRequest, ContentPart, Image, Message, Tool, ToolCall, ToolResult,
    TurnStatus,
};
use serde_json::Value;

use crate::support::ask;

/// A request for an answer to these messages.
pub(super) fn chat(messages: Vec<Message>) -> ChatRequest {
    ChatRequest {
        messages,
        ..ask("")
    }
}

pub(super) fn text(text: &str) -> ContentPart {
    ContentPart::Text(text.to_owned())
}

/// A PNG of these bytes; its data URL is [`data_url`].
pub(super) fn image(bytes: &[u8]) -> ContentPart {
    ContentPart::Image(Image {
        media_type: "image/png".to_owned(),
        data: bytes.to_vec(),
    })
}

pub(super) fn data_url(bytes: &[u8]) -> String {
    use base64::Engine as _;
    let data = base64::engine::general_purpose::STANDARD.encode(bytes);
    format!("data:image/png;base64,{data}")
}

pub(super) fn system(text: &str) -> Message {
    Message::System(text.to_owned())
}

pub(super) fn user(words: &str) -> Message {
    Message::User(vec![text(words)])
}

/// A turn that said something.
pub(super) fn said(words: &str) -> AssistantMessage {
    AssistantMessage {
        content: if words.is_empty() {
            Vec::new()
        } else {
            vec![text(words)]
        },
        reasoning: None,
        tool_calls: Vec::new(),
        status: TurnStatus::Completed,
    }
}

/// The same with calls of the tool `look`, by their ids.
pub(super) fn calling(words: &str, ids: &[&str]) -> AssistantMessage {
    AssistantMessage {
        tool_calls: ids
            .iter()
            .map(|id| ToolCall {
                id: (*id).to_owned(),
                name: "look".to_owned(),
                arguments: "{}".to_owned(),
            })
            .collect(),
        ..said(words)
    }
}

/// What [`calling`] is on the wire.
pub(super) fn calls_json(ids: &[&str]) -> Value {
    ids.iter()
        .map(|id| {
            serde_json::json!({"id": id, "type": "function",
                "function": {"name": "look", "arguments": "{}"}})
        })
        .collect()
}

pub(super) fn result(id: &str, content: Vec<ContentPart>) -> Message {
    Message::Tool(ToolResult {
        call_id: id.to_owned(),
        name: None,
        content,
        is_error: false,
    })
}

/// A tool without parameters.
pub(super) fn tool(name: &str) -> Tool {
    Tool {
        name: name.to_owned(),
        description: None,
        parameters: "{\"type\":\"object\"}".to_owned(),
    }
}

/// What [`tool`] is on the wire.
pub(super) fn tool_json(name: &str) -> Value {
    serde_json::json!({"type": "function",
        "function": {"name": name, "parameters": {"type": "object"}}})
}
