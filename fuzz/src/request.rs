//! Requests of any shape: what goes out is JSON, whatever texts, schemas and settings it is made of.

use crate::config::{check_request, settings};
use crate::input::Input;
use crate::questions::model;
use crate::shown;
use serde::de::IgnoredAny;
use serde_json::Value;
use vllm_provider::types::{
    AssistantMessage, ChatRequest, ContentPart, ErrorKind, Image, Message, ReasoningEffort,
    ResponseFormat, Sampling, Tool, ToolCall, ToolChoice, ToolResult, TurnStatus,
};
use vllm_provider::{request, tokens};

/// Most parts of a request; each takes bytes of the input, of which there is an end.
const MAX_PARTS: usize = 64;

/// `[choices: 1][settings][model, NUL][parts: a byte of what it is, then its texts]`.
pub(crate) fn request(data: &[u8]) {
    let mut input = Input::new(data);
    let choices = input.byte();
    let settings = settings(&mut input);
    let model = model(&input.text(), choices & 1 != 0, choices & 2 != 0);
    let request = chat_request(&mut input);

    let refusals = [
        ErrorKind::InvalidConfig,
        ErrorKind::InvalidRequest,
        ErrorKind::Authentication,
    ];
    match request::prepare(&settings, &model, &request) {
        Err(error) => {
            assert!(refusals.contains(&error.kind), "{error:?}");
            assert!(!error.request_sent);
        }
        Ok(chat) => {
            check_request(&chat.http);
            let body = std::str::from_utf8(&chat.http.body).expect("text");
            assert!(serde_json::from_str::<IgnoredAny>(body).is_ok(), "{body}");
            shown::check_text(&chat.decoding.context.url, data);
            // Numbers and nesting that serde_json has no value for are the user's own.
            if let Ok(value) = serde_json::from_str::<Value>(body) {
                let own = settings.config.is_some() || !settings.models.is_empty();
                hold(&value, &request, own || request.extra.is_some());
            }
        }
    }
    if let Ok(asking) = tokens::prepare(&settings, &model, &request) {
        check_request(&asking.http);
        let body = std::str::from_utf8(&asking.http.body).expect("text");
        assert!(serde_json::from_str::<IgnoredAny>(body).is_ok(), "{body}");
    }
}

/// What the caller said is in the body. `own`: the user may have replaced it by fields of their own.
fn hold(body: &Value, request: &ChatRequest, own: bool) {
    assert!(own || body["stream"].is_boolean(), "{body}");
    let Some(messages) = body["messages"].as_array().filter(|_| !own) else {
        return;
    };
    assert!(!messages.is_empty());
    let mut said: Vec<&str> = Vec::new();
    for content in messages.iter().map(|message| &message["content"]) {
        said.extend(content.as_str());
        let parts = content.as_array().into_iter().flatten();
        said.extend(parts.filter_map(|part| part["text"].as_str()));
    }
    for message in &request.messages {
        let texts: Vec<&str> = match message {
            Message::System(text) => vec![text],
            Message::User(parts) => parts.iter().filter_map(text_of).collect(),
            _ => Vec::new(),
        };
        for text in texts {
            let there = text.is_empty() || said.iter().any(|said| said.contains(text));
            assert!(there, "{text:?} is lost: {body}");
        }
    }
    for message in messages {
        let role = message["role"].as_str().expect("a role");
        assert!(["system", "developer", "user", "assistant", "tool"].contains(&role));
        if role == "tool" {
            assert!(message["tool_call_id"].is_string(), "{message}");
        }
    }
}

fn text_of(part: &ContentPart) -> Option<&str> {
    match part {
        ContentPart::Text(text) => Some(text),
        ContentPart::Image(_) => None,
    }
}

fn chat_request(input: &mut Input<'_>) -> ChatRequest {
    let mut request = ChatRequest::default();
    for _ in 0..MAX_PARTS {
        if input.is_empty() {
            break;
        }
        match input.byte() {
            b's' => request.messages.push(Message::System(input.text())),
            b'u' => request.messages.push(Message::User(content(input))),
            b'a' => {
                let turn = assistant(input);
                request.messages.push(Message::Assistant(turn));
            }
            b't' => request.messages.push(Message::Tool(ToolResult {
                call_id: input.text(),
                name: some(input.text()),
                content: content(input),
                is_error: input.byte() & 1 != 0,
            })),
            b'T' => request.tools.push(Tool {
                name: input.text(),
                description: some(input.text()),
                parameters: input.text(),
            }),
            b'C' => {
                request.tool_choice = Some(match input.byte() % 4 {
                    0 => ToolChoice::Auto,
                    1 => ToolChoice::None,
                    2 => ToolChoice::Required,
                    _ => ToolChoice::Named(input.text()),
                });
            }
            b'P' => request.parallel_tool_calls = Some(input.byte() & 1 != 0),
            b'm' => request.max_tokens = Some(input.u32()),
            b'p' => request.prompt_tokens = Some(input.u32()),
            b'S' => request.sampling = sampling(input),
            b'e' => request.stop.push(input.text()),
            b'f' => {
                request.response_format = Some(ResponseFormat {
                    name: input.text(),
                    schema: input.text(),
                    strict: [None, Some(false), Some(true)][usize::from(input.byte()) % 3],
                });
            }
            b'r' => {
                request.reasoning = Some(match input.byte() % 7 {
                    0 => ReasoningEffort::Off,
                    1 => ReasoningEffort::Minimal,
                    2 => ReasoningEffort::Low,
                    3 => ReasoningEffort::Medium,
                    4 => ReasoningEffort::High,
                    5 => ReasoningEffort::Xhigh,
                    _ => ReasoningEffort::Other(input.text()),
                });
            }
            b'y' => request.priority = Some(input.u32().cast_signed()),
            b'x' => request.extra = Some(input.text()),
            _ => {}
        }
    }
    request
}

/// Texts and images; a byte says how many.
fn content(input: &mut Input<'_>) -> Vec<ContentPart> {
    let part = |input: &mut Input<'_>| match input.byte() {
        b'i' => ContentPart::Image(Image {
            media_type: input.text(),
            data: input.text().into_bytes(),
        }),
        _ => ContentPart::Text(input.text()),
    };
    (0..input.byte() % 4).map(|_| part(input)).collect()
}

fn assistant(input: &mut Input<'_>) -> AssistantMessage {
    AssistantMessage {
        content: content(input),
        reasoning: some(input.text()),
        tool_calls: (0..input.byte() % 4)
            .map(|_| ToolCall {
                id: input.text(),
                name: input.text(),
                arguments: input.text(),
            })
            .collect(),
        status: match input.byte() % 4 {
            0 => TurnStatus::Failed,
            1 => TurnStatus::Aborted,
            _ => TurnStatus::Completed,
        },
    }
}

fn sampling(input: &mut Input<'_>) -> Sampling {
    let which = input.byte();
    let mut number = |bit: u8| {
        let value = f64::from(f32::from_bits(input.u32()));
        (which & bit != 0).then_some(value)
    };
    Sampling {
        temperature: number(1),
        top_p: number(2),
        min_p: number(4),
        presence_penalty: number(8),
        frequency_penalty: number(16),
        repetition_penalty: number(32),
        top_k: (which & 64 != 0).then(|| input.u32().cast_signed()),
        seed: (which & 128 != 0).then(|| i64::from(input.u32()) - (1 << 31)),
    }
}

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}
