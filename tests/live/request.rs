//! Requests that the script of the model has an answer for.

use provider_host::types::{
    AssistantMessage, ChatRequest, ContentPart, Message, Tool, ToolCall, ToolResult, TurnStatus,
};
use serde_json::json;

/// Has the chat template close the thinking before it begins.
pub(crate) const NO_THINKING: &str = r#"{"chat_template_kwargs":{"enable_thinking":false}}"#;

/// More than the longest answer of the script, and small beside the context: older releases refuse a limit that the
/// context has no room for.
const LIMIT: u32 = 400;

/// A question, answered greedily: only then does the model keep to its script.
pub(crate) fn ask(question: &str) -> ChatRequest {
    ChatRequest::user(question)
        .with_max_tokens(LIMIT)
        .with_temperature(0.0)
}

/// An answer of `tokens` tokens, whatever the model would say: five milliseconds each.
pub(crate) fn long(tokens: u32) -> ChatRequest {
    let mut request = ask("Count to one hundred.");
    request.max_tokens = Some(tokens);
    request.extra = Some(r#"{"ignore_eos":true}"#.into());
    request
}

/// The assistant's turn that holds only a call.
pub(crate) fn called(call: &ToolCall) -> Message {
    Message::Assistant(AssistantMessage {
        content: Vec::new(),
        reasoning: None,
        tool_calls: vec![call.clone()],
        status: TurnStatus::Completed,
    })
}

/// What the tool said.
pub(crate) fn result(call: &ToolCall, text: &str) -> Message {
    Message::Tool(ToolResult {
        call_id: call.id.clone(),
        name: Some(call.name.clone()),
        content: vec![ContentPart::Text(text.into())],
        is_error: false,
    })
}

/// The tools that the script calls.
pub(crate) fn tools() -> Vec<Tool> {
    let text = json!({"type": "string"});
    let tool = |name: &str, description: &str, parameters: serde_json::Value| Tool {
        name: name.into(),
        description: Some(description.into()),
        parameters: parameters.to_string(),
    };
    vec![
        tool(
            "get_weather",
            "Get the weather",
            json!({"type": "object", "required": ["city"], "additionalProperties": false, "properties": {
                "city": text, "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}}}),
        ),
        tool(
            "get_time",
            "Get the time",
            json!({"type": "object", "properties": {}}),
        ),
        tool(
            "write_file",
            "Write a file",
            json!({"type": "object", "properties": {"path": text, "text": text}, "required": ["path", "text"]}),
        ),
    ]
}
