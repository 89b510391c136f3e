//! The conversation, as chat templates can take it.
//!
//! Templates are strict where the contract is not: each call needs its result,
//! right behind it; a text-only model breaks on an image; a turn that failed
//! would teach the model to fail. So the history is put in order first, and
//! then written, message by message, straight into the body's text. Ids of
//! calls are never touched (OpenClaw strips characters and can make two ids
//! one), and arguments go back as the model wrote them.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use super::{base64, invalid};
use crate::config::compat::Compat;
use crate::raw_json::push_string;
use crate::text;
use crate::types::{
    AssistantMessage, ContentPart, Error, Image, Message, ToolCall, ToolResult, TurnStatus,
};

/// How this model takes messages.
pub(super) struct Form<'a> {
    pub(super) compat: &'a Compat,
    /// Thinking is replayed.
    pub(super) reasoning: bool,
    /// Images are sent.
    pub(super) images: bool,
}

const IMAGE_OMITTED: &str = "(image omitted: model does not support images)";
const NO_RESULT: &str = "No result provided";
const NO_OUTPUT: &str = "(no output)";
const SEE_IMAGE: &str = "(see attached image)";
const IMAGES_FOLLOW: &str = "Attached image(s) from tool result:";
const AFTER_TOOLS: &str = "I have processed the tool results.";

/// The messages as a JSON array.
pub(super) fn json(messages: &[Message], form: &Form<'_>) -> Result<String, Box<Error>> {
    let mut writer = Writer {
        out: String::from("["),
        form,
        behind_result: false,
    };
    let messages = completed(messages);
    let mut rest = messages.as_slice();
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        match first {
            Message::Assistant(turn) => {
                // What stands before the next turn belongs to this one: its
                // results come first, wherever the caller put them.
                let end = behind
                    .iter()
                    .position(|message| matches!(message, Message::Assistant(_)))
                    .unwrap_or(behind.len());
                let (turn_rest, next) = behind.split_at(end);
                writer.assistant(turn);
                if !turn.tool_calls.is_empty() {
                    writer.results(&turn.tool_calls, turn_rest);
                    for message in turn_rest {
                        writer.plain(message);
                    }
                    rest = next;
                }
            }
            Message::Tool(_) => {
                // Results of calls that the caller did not keep.
                let end = rest
                    .iter()
                    .position(|message| !matches!(message, Message::Tool(_)))
                    .unwrap_or(rest.len());
                let (run, next) = rest.split_at(end);
                let run: Vec<&Message> = core::iter::once(*first)
                    .chain(run.iter().copied())
                    .collect();
                writer.results(&[], &run);
                rest = next;
            }
            plain => writer.plain(plain),
        }
    }
    if writer.out.len() == 1 {
        return Err(invalid("there is no message to send"));
    }
    writer.out.push(']');
    Ok(writer.out)
}

/// Leaves out turns that failed or were stopped, and the results of their
/// calls.
fn completed(messages: &[Message]) -> Vec<&Message> {
    let mut kept = Vec::with_capacity(messages.len());
    let mut calls: &[ToolCall] = &[];
    for message in messages {
        let keep = match message {
            Message::Assistant(turn) => {
                let whole = turn.status == TurnStatus::Completed;
                calls = if whole { &[] } else { &turn.tool_calls };
                whole
            }
            Message::Tool(result) => !calls.iter().any(|call| call.id == result.call_id),
            _ => true,
        };
        if keep {
            kept.push(message);
        }
    }
    kept
}

struct Writer<'a> {
    out: String,
    form: &'a Form<'a>,
    /// The last message is a tool's result.
    behind_result: bool,
}

impl Writer<'_> {
    /// Begins a message.
    fn open(&mut self, role: &str) {
        if self.behind_result && role == "user" && self.form.compat.assistant_after_tool_result {
            self.open("assistant");
            self.text_field("content", AFTER_TOOLS);
            self.close();
        }
        self.behind_result = role == "tool";
        if self.out.len() > 1 {
            self.out.push(',');
        }
        self.out.push_str("{\"role\":\"");
        self.out.push_str(role);
        self.out.push('"');
    }

    fn close(&mut self) {
        self.out.push('}');
    }

    fn field(&mut self, name: &str) {
        self.out.push_str(",\"");
        self.out.push_str(name);
        self.out.push_str("\":");
    }

    fn text_field(&mut self, name: &str, text: &str) {
        self.field(name);
        push_string(&mut self.out, text);
    }

    /// A message of the system or the user; others are not written here.
    fn plain(&mut self, message: &Message) {
        match message {
            Message::System(text) if !text.is_empty() => {
                let developer = self.form.compat.developer_role;
                self.open(if developer { "developer" } else { "system" });
                self.text_field("content", text);
                self.close();
            }
            Message::User(parts) if !parts.is_empty() => self.user(parts),
            _ => {}
        }
    }

    fn user(&mut self, parts: &[ContentPart]) {
        self.open("user");
        if self.form.images && has_image(parts) {
            self.parts(parts);
        } else {
            self.text_field("content", &text(parts, "\n"));
        }
        self.close();
    }

    /// Content as an array of parts.
    fn parts(&mut self, parts: &[ContentPart]) {
        self.field("content");
        self.out.push('[');
        let mut first = true;
        for part in parts {
            if matches!(part, ContentPart::Text(text) if text.is_empty()) {
                continue;
            }
            if !first {
                self.out.push(',');
            }
            first = false;
            match part {
                ContentPart::Text(text) => self.text_part(text),
                ContentPart::Image(image) => self.image_part(image),
            }
        }
        self.out.push(']');
    }

    fn text_part(&mut self, text: &str) {
        self.out.push_str(r#"{"type":"text","text":"#);
        push_string(&mut self.out, text);
        self.out.push('}');
    }

    fn image_part(&mut self, image: &Image) {
        let kind = image.media_type.trim();
        let kind = if kind.is_empty() { "image/png" } else { kind };
        self.out
            .push_str(r#"{"type":"image_url","image_url":{"url":"#);
        push_string(&mut self.out, &text::concat(&["data:", kind, ";base64,"]));
        // Base64 needs no escaping: it goes in before the closing quote.
        self.out.pop();
        base64::push(&mut self.out, &image.data);
        self.out.push_str("\"}}");
    }

    fn assistant(&mut self, turn: &AssistantMessage) {
        let images = self.form.images && has_image(&turn.content);
        let mut said = text(&turn.content, "");
        if said.trim().is_empty() {
            said.clear();
        }
        let thought = turn.reasoning.as_deref();
        let thought = thought.filter(|thought| self.form.reasoning && !thought.trim().is_empty());
        let as_text = self.form.compat.thinking_as_text;
        if let (Some(thought), true) = (thought, as_text) {
            let gap = if said.is_empty() { "" } else { "\n\n" };
            said = text::concat(&[thought, gap, &said]);
        }
        if said.is_empty() && !images && turn.tool_calls.is_empty() {
            // Nothing that a template could show.
            return;
        }
        self.open("assistant");
        if images {
            self.parts(&turn.content);
        } else if said.is_empty() {
            self.field("content");
            self.out.push_str("null");
        } else {
            self.text_field("content", &said);
        }
        if let (Some(thought), false) = (thought, as_text) {
            // vLLM up to 0.14 reads `reasoning_content`, from 0.16 on
            // `reasoning`; templates know the one or the other.
            self.text_field("reasoning", thought);
            self.text_field("reasoning_content", thought);
        }
        if !turn.tool_calls.is_empty() {
            self.calls(&turn.tool_calls);
        }
        self.close();
    }

    fn calls(&mut self, calls: &[ToolCall]) {
        self.field("tool_calls");
        for (at, call) in calls.iter().enumerate() {
            self.out.push(if at == 0 { '[' } else { ',' });
            self.out.push_str("{\"id\":");
            push_string(&mut self.out, &call.id);
            self.out
                .push_str(r#","type":"function","function":{"name":"#);
            push_string(&mut self.out, &call.name);
            self.field("arguments");
            let arguments = match call.arguments.trim() {
                "" => "{}",
                _ => call.arguments.as_str(),
            };
            push_string(&mut self.out, arguments);
            self.out.push_str("}}");
        }
        self.out.push(']');
    }

    /// The results among `messages`, then one for each call that has none,
    /// then the images of all of them in one user message.
    fn results(&mut self, calls: &[ToolCall], messages: &[&Message]) {
        let results = || {
            messages.iter().filter_map(|message| match message {
                Message::Tool(result) => Some(result),
                _ => None,
            })
        };
        for result in results() {
            self.result(calls, result);
        }
        for call in calls {
            if !results().any(|result| result.call_id == call.id) {
                self.tool(&call.id, Some(&call.name), NO_RESULT);
            }
        }
        let mut first = true;
        for part in results().flat_map(|result| &result.content) {
            let ContentPart::Image(image) = part else {
                continue;
            };
            if !self.form.images {
                break;
            }
            if first {
                self.open("user");
                self.field("content");
                self.out.push('[');
                self.text_part(IMAGES_FOLLOW);
            }
            first = false;
            self.out.push(',');
            self.image_part(image);
        }
        if !first {
            self.out.push(']');
            self.close();
        }
    }

    fn result(&mut self, calls: &[ToolCall], result: &ToolResult) {
        let call = calls.iter().find(|call| call.id == result.call_id);
        let name = result
            .name
            .as_deref()
            .or(call.map(|call| call.name.as_str()));
        let images = self.form.images && has_image(&result.content);
        let said = match images {
            true => text(result.content.iter().filter(|part| !is_image(part)), "\n"),
            false => text(&result.content, "\n"),
        };
        let said = match (said.is_empty(), images) {
            (false, _) => said.as_str(),
            (true, true) => SEE_IMAGE,
            (true, false) => NO_OUTPUT,
        };
        self.tool(&result.call_id, name, said);
    }

    fn tool(&mut self, id: &str, name: Option<&str>, content: &str) {
        self.open("tool");
        self.text_field("content", content);
        self.text_field("tool_call_id", id);
        if let (Some(name), true) = (name, self.form.compat.tool_result_name) {
            self.text_field("name", name);
        }
        self.close();
    }
}

fn is_image(part: &ContentPart) -> bool {
    matches!(part, ContentPart::Image(_))
}

fn has_image(parts: &[ContentPart]) -> bool {
    parts.iter().any(is_image)
}

/// The texts of the parts, and a word for images that are left out: once for
/// those that stand side by side.
fn text<'p>(parts: impl IntoIterator<Item = &'p ContentPart>, between: &str) -> String {
    let mut out = String::new();
    let mut omitted = false;
    for part in parts {
        let text = match part {
            ContentPart::Text(text) if text.is_empty() => continue,
            ContentPart::Text(text) => text.as_str(),
            ContentPart::Image(_) if omitted => continue,
            ContentPart::Image(_) => IMAGE_OMITTED,
        };
        omitted = is_image(part);
        if !out.is_empty() {
            out.push_str(between);
        }
        out.push_str(text);
    }
    out
}
