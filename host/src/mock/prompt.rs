//! The chat template: messages and tools become one text.
//!
//! Its tokens are what `usage.prompt_tokens` counts, what the prefix cache
//! stores and what `return_prompt_text` shows. It follows the Qwen3 template.

use super::json::spaced;
use super::request::{Chat, Message};
use serde_json::Value;

/// Renders the prompt of a chat.
pub(crate) fn render(chat: &Chat) -> String {
    let mut out = String::new();
    let mut messages = chat.messages.as_slice();
    let system = match messages.split_first() {
        Some((first, rest)) if first.role == "system" => {
            messages = rest;
            Some(first.content.as_str())
        }
        _ => None,
    };
    if !chat.tools.is_empty() {
        out.push_str("<|im_start|>system\n");
        if let Some(system) = system {
            out.push_str(system);
            out.push_str("\n\n");
        }
        out.push_str("# Tools\n\nYou may call one or more functions to assist with the user query.\n\nYou are provided with function signatures within <tools></tools> XML tags:\n<tools>");
        for tool in &chat.tools {
            out.push('\n');
            out.push_str(&spaced(tool));
        }
        out.push_str("\n</tools>\n\nFor each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:\n<tool_call>\n{\"name\": <function-name>, \"arguments\": <args-json-object>}\n</tool_call><|im_end|>\n");
    } else if let Some(system) = system {
        turn(&mut out, "system", system);
    }
    for (i, message) in messages.iter().enumerate() {
        let tool_beside = |other: Option<&Message>| other.is_some_and(|m| m.role == "tool");
        match message.role.as_str() {
            "user" | "system" => turn(&mut out, &message.role, &message.content),
            "assistant" => turn(&mut out, "assistant", &spoken(message)),
            "tool" => {
                if !tool_beside(i.checked_sub(1).and_then(|i| messages.get(i))) {
                    out.push_str("<|im_start|>user");
                }
                out.push_str("\n<tool_response>\n");
                out.push_str(&message.content);
                out.push_str("\n</tool_response>");
                if !tool_beside(messages.get(i + 1)) {
                    out.push_str("<|im_end|>\n");
                }
            }
            // The template drops roles that it does not know.
            _ => {}
        }
    }
    out.push_str("<|im_start|>assistant\n");
    if !chat.thinking {
        out.push_str("<think>\n\n</think>\n\n");
    }
    out
}

fn turn(out: &mut String, role: &str, text: &str) {
    for part in ["<|im_start|>", role, "\n", text, "<|im_end|>\n"] {
        out.push_str(part);
    }
}

/// What an assistant said, its calls written out.
fn spoken(message: &Message) -> String {
    let mut out = message.content.clone();
    for call in &message.tool_calls {
        let function = call.get("function").unwrap_or(call);
        let name = function.get("name").and_then(Value::as_str).unwrap_or("");
        let arguments = match function.get("arguments") {
            Some(Value::String(text)) => text.clone(),
            Some(value) => spaced(value),
            None => String::new(),
        };
        if !out.is_empty() {
            out.push('\n');
        }
        out.push_str(&format!(
            "<tool_call>\n{{\"name\": \"{name}\", \"arguments\": {arguments}}}\n</tool_call>"
        ));
    }
    out
}
