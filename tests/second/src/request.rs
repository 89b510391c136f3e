//! A chat request → the JSON of `POST /api/chat`.
//!
//! What the server can't be asked for is refused where the answer would be wrong without it, and else told in a note.

use serde_json::{Map, Value, json};

use crate::bindings::llm::provider::types::{
    AssistantMessage, ChatRequest, ContentPart, Error, ErrorKind, Message, Model, Note,
    ReasoningEffort, ToolChoice, TurnStatus,
};
use crate::error;
use crate::settings::Config;

/// The body of a chat, and what a user should be told of it.
pub(crate) fn body(
    config: &Config,
    model: &Model,
    request: &ChatRequest,
) -> Result<(Vec<u8>, Vec<Note>), Error> {
    let messages = request.messages.iter().filter_map(message);
    let mut body = Map::new();
    body.insert("model".into(), model.id.as_str().into());
    body.insert("messages".into(), messages.collect());
    body.insert("stream".into(), true.into());
    body.insert("options".into(), options(model, request).into());
    match request.tool_choice {
        Some(ToolChoice::Required | ToolChoice::Named(_)) => {
            return Err(refused(
                "Ollama can't be told to call a tool; leave tool-choice out",
            ));
        }
        Some(ToolChoice::None) => {}
        Some(ToolChoice::Auto) | None => {
            if !request.tools.is_empty() {
                body.insert("tools".into(), tools(request)?);
            }
        }
    }
    if let Some(format) = &request.response_format {
        body.insert(
            "format".into(),
            parsed(&format.schema, "the response format")?,
        );
    }
    match &request.reasoning {
        Some(ReasoningEffort::Off) => _ = body.insert("think".into(), false.into()),
        Some(_) if model.reasoning => _ = body.insert("think".into(), true.into()),
        _ => {}
    }
    for (id, params) in &config.params {
        if *id == model.id {
            merge(&mut body, params.clone())?;
        }
    }
    if let Some(extra) = &request.extra {
        match parsed(extra, "extra")? {
            Value::Object(extra) => merge(&mut body, extra)?,
            _ => return Err(refused("extra has to be a JSON object")),
        }
    }
    Ok((Value::Object(body).to_string().into_bytes(), notes(request)))
}

fn message(message: &Message) -> Option<Value> {
    Some(match message {
        Message::System(text) => json!({"role": "system", "content": text}),
        Message::User(parts) => {
            let images: Vec<String> = parts.iter().filter_map(image).collect();
            let mut user = json!({"role": "user", "content": text(parts)});
            if !images.is_empty() {
                user["images"] = images.into();
            }
            user
        }
        Message::Assistant(turn) if turn.status == TurnStatus::Completed => assistant(turn),
        // Turns that failed or were stopped are left out of what is replayed.
        Message::Assistant(_) => return None,
        Message::Tool(result) => {
            let content = match result.is_error {
                true => format!("Error: {}", text(&result.content)),
                false => text(&result.content),
            };
            json!({"role": "tool", "content": content, "tool_name": result.name})
        }
    })
}

fn assistant(turn: &AssistantMessage) -> Value {
    let mut message = json!({"role": "assistant", "content": text(&turn.content)});
    if let Some(thinking) = &turn.reasoning {
        message["thinking"] = thinking.as_str().into();
    }
    if !turn.tool_calls.is_empty() {
        let calls = turn.tool_calls.iter().map(|call| {
            // The server wants an object. Arguments that are none go back as the text that the model wrote.
            let arguments = serde_json::from_str(&call.arguments)
                .unwrap_or_else(|_| Value::from(call.arguments.as_str()));
            json!({"function": {"name": call.name, "arguments": arguments}})
        });
        message["tool_calls"] = calls.collect();
    }
    message
}

fn text(parts: &[ContentPart]) -> String {
    let texts = parts.iter().filter_map(|part| match part {
        ContentPart::Text(text) => Some(text.as_str()),
        ContentPart::Image(_) => None,
    });
    texts.collect::<Vec<_>>().join("\n")
}

fn image(part: &ContentPart) -> Option<String> {
    match part {
        ContentPart::Text(_) => None,
        ContentPart::Image(image) => Some(base64(&image.data)),
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            text.push(match digit <= group.len() {
                true => char::from(DIGITS[(bits >> (18 - 6 * digit)) as usize & 63]),
                false => '=',
            });
        }
    }
    text
}

fn tools(request: &ChatRequest) -> Result<Value, Error> {
    let each = request.tools.iter().map(|tool| {
        let parameters = parsed(&tool.parameters, "a tool's parameters")?;
        Ok(json!({"type": "function", "function": {
            "name": tool.name, "description": tool.description, "parameters": parameters,
        }}))
    });
    each.collect()
}

fn options(model: &Model, request: &ChatRequest) -> Map<String, Value> {
    let sampling = &request.sampling;
    let mut options = Map::new();
    let most = request.max_tokens.unwrap_or(model.max_tokens).max(1);
    options.insert("num_predict".into(), most.into());
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            options.insert(name.into(), value);
        }
    };
    set("temperature", sampling.temperature.map(Value::from));
    set("top_p", sampling.top_p.map(Value::from));
    set("top_k", sampling.top_k.map(Value::from));
    set("min_p", sampling.min_p.map(Value::from));
    set(
        "presence_penalty",
        sampling.presence_penalty.map(Value::from),
    );
    set(
        "frequency_penalty",
        sampling.frequency_penalty.map(Value::from),
    );
    set(
        "repeat_penalty",
        sampling.repetition_penalty.map(Value::from),
    );
    set("seed", sampling.seed.map(Value::from));
    let stop = &request.stop;
    set("stop", (!stop.is_empty()).then(|| stop.clone().into()));
    options
}

/// Sets further fields. The messages and the streaming make the exchange itself, and are not for them to set.
fn merge(body: &mut Map<String, Value>, more: Map<String, Value>) -> Result<(), Error> {
    for (key, value) in more {
        if matches!(key.as_str(), "messages" | "stream") {
            let why = format!("a further field may not set {key}: it makes the exchange itself");
            return Err(refused(&why));
        }
        match (body.get_mut(&key), value) {
            (Some(Value::Object(stands)), Value::Object(more)) => stands.extend(more),
            (_, value) => _ = body.insert(key, value),
        }
    }
    Ok(())
}

fn notes(request: &ChatRequest) -> Vec<Note> {
    let ignored = [
        (
            request.parallel_tool_calls == Some(false),
            "parallel-tool-calls",
        ),
        (request.priority.is_some(), "priority"),
    ];
    let ignored = ignored.iter().filter(|(asked, _)| *asked);
    ignored
        .map(|(_, what)| Note {
            code: "not-supported".into(),
            path: None,
            message: format!("Ollama has no {what}: the request went out without"),
        })
        .collect()
}

fn parsed(text: &str, what: &str) -> Result<Value, Error> {
    serde_json::from_str(text)
        .map_err(|why| refused(&format!("{what} can't be read as JSON: {why}")))
}

fn refused(why: &str) -> Error {
    error::plain(ErrorKind::InvalidRequest, why)
}
