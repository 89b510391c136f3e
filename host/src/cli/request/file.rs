//! A request file: the documented JSON to the contract's types.

use std::collections::HashMap;

use base64::Engine as _;
use provider_host::types;
use serde_json::Value;

use super::fields::{self, Fields, Refusal, refuse};

/// Parses the text of a request file.
pub(super) fn parse(
    text: &str,
    warn: &mut dyn FnMut(String),
) -> Result<types::ChatRequest, Refusal> {
    let value: Value =
        serde_json::from_str(text).map_err(|error| format!("not valid JSON: {error}"))?;
    let mut fields = Fields::new(value, "", warn)?;
    let messages = fields.list("messages")?;
    let messages = fields.required("messages", messages)?;
    let request = types::ChatRequest {
        messages: parse_messages(messages, fields.warn())?,
        tools: tools(&mut fields)?,
        tool_choice: tool_choice(&mut fields)?,
        parallel_tool_calls: fields.flag("parallel_tool_calls")?,
        max_tokens: at_least_one(&mut fields, "max_tokens")?,
        prompt_tokens: at_least_one(&mut fields, "prompt_tokens")?,
        sampling: types::Sampling {
            temperature: fields.number("temperature")?,
            top_p: fields.number("top_p")?,
            top_k: fields.whole("top_k", "a whole number")?,
            min_p: fields.number("min_p")?,
            presence_penalty: fields.number("presence_penalty")?,
            frequency_penalty: fields.number("frequency_penalty")?,
            repetition_penalty: fields.number("repetition_penalty")?,
            seed: fields.whole("seed", "a whole number")?,
        },
        stop: stop(&mut fields)?,
        response_format: response_format(&mut fields)?,
        reasoning: fields.read(
            "reasoning",
            "off, minimal, low, medium, high, xhigh, or a word of the server's own",
            |value| fields::reasoning(value.as_str()?),
        )?,
        priority: fields.whole("priority", "a whole number of 32 bits")?,
        extra: fields.object("extra")?,
    };
    fields.finish();
    Ok(request)
}

fn at_least_one(fields: &mut Fields<'_>, key: &str) -> Result<Option<u32>, Refusal> {
    const ALLOWED: &str = "a whole number of at least 1";
    match fields.whole(key, ALLOWED)? {
        Some(0) => Err(refuse(&fields.at(key), &Value::from(0), ALLOWED)),
        other => Ok(other),
    }
}

fn parse_messages(
    list: Vec<(String, Value)>,
    warn: &mut dyn FnMut(String),
) -> Result<Vec<types::Message>, Refusal> {
    // Some servers want the tool's name beside its result; the call has it.
    let mut names: HashMap<String, String> = HashMap::new();
    let mut messages = Vec::with_capacity(list.len());
    for (path, value) in list {
        let mut fields = Fields::new(value, &path, warn)?;
        let role = fields.text("role")?;
        let message = match fields.required("role", role)?.as_str() {
            "system" => types::Message::System(system(&mut fields)?),
            "user" => types::Message::User(content(&mut fields, true)?),
            "assistant" => {
                let message = assistant(&mut fields)?;
                for call in &message.tool_calls {
                    names.insert(call.id.clone(), call.name.clone());
                }
                types::Message::Assistant(message)
            }
            "tool" => {
                let call_id = fields.text("tool_call_id")?;
                let call_id = fields.required("tool_call_id", call_id)?;
                types::Message::Tool(types::ToolResult {
                    name: fields
                        .text("name")?
                        .or_else(|| names.get(&call_id).cloned()),
                    call_id,
                    content: content(&mut fields, true)?,
                    is_error: fields.flag("is_error")?.unwrap_or(false),
                })
            }
            other => {
                return Err(refuse(
                    &fields.at("role"),
                    &Value::from(other),
                    "system, user, assistant or tool",
                ));
            }
        };
        fields.finish();
        messages.push(message);
    }
    Ok(messages)
}

fn system(fields: &mut Fields<'_>) -> Result<String, Refusal> {
    let mut texts = Vec::new();
    for part in content(fields, true)? {
        match part {
            types::ContentPart::Text(text) => texts.push(text),
            types::ContentPart::Image(_) => {
                return Err(format!(
                    "{} holds an image; allowed is text, for a system message",
                    fields.at("content")
                ));
            }
        }
    }
    Ok(texts.join("\n"))
}

fn assistant(fields: &mut Fields<'_>) -> Result<types::AssistantMessage, Refusal> {
    let reasoning = fields.text("reasoning")?;
    let mut tool_calls = Vec::new();
    for (path, value) in fields.list("tool_calls")?.unwrap_or_default() {
        let mut call = Fields::new(value, &path, fields.warn())?;
        let id = call.text("id")?;
        let name = call.text("name")?;
        let arguments = call.read("arguments", "JSON as a text, such as \"{}\"", |value| {
            value.as_str().map(str::to_owned)
        })?;
        tool_calls.push(types::ToolCall {
            id: call.required("id", id)?,
            name: call.required("name", name)?,
            arguments: call.required("arguments", arguments)?,
        });
        call.finish();
    }
    let required = tool_calls.is_empty() && reasoning.is_none();
    Ok(types::AssistantMessage {
        content: content(fields, required)?,
        reasoning,
        tool_calls,
        status: types::TurnStatus::Completed,
    })
}

fn content(fields: &mut Fields<'_>, required: bool) -> Result<Vec<types::ContentPart>, Refusal> {
    let at = fields.at("content");
    let parts = match fields.take("content") {
        None if required => return Err(format!("{at} is missing")),
        None => return Ok(Vec::new()),
        Some(Value::String(text)) => return Ok(vec![types::ContentPart::Text(text)]),
        Some(Value::Array(parts)) => parts,
        Some(other) => return Err(refuse(&at, &other, "a text or a list of parts")),
    };
    parts
        .into_iter()
        .enumerate()
        .map(|(index, value)| part(value, &format!("{at}[{index}]"), fields.warn()))
        .collect()
}

fn part(
    value: Value,
    path: &str,
    warn: &mut dyn FnMut(String),
) -> Result<types::ContentPart, Refusal> {
    let mut fields = Fields::new(value, path, warn)?;
    let kind = fields.text("type")?;
    let part = match fields.required("type", kind)?.as_str() {
        "text" => {
            let text = fields.text("text")?;
            types::ContentPart::Text(fields.required("text", text)?)
        }
        "image" => {
            let media_type = fields.text("media_type")?;
            // The data is not quoted: it is long, and nobody reads it.
            let data = fields.text("data")?;
            let data = fields.required("data", data)?;
            let data = base64::engine::general_purpose::STANDARD
                .decode(data.trim())
                .map_err(|error| {
                    let error = error.to_string();
                    let error = error.trim_end_matches('.');
                    format!(
                        "{} is not base64 ({error}); allowed is the image's bytes in base64, with \
                         padding and without line breaks",
                        fields.at("data")
                    )
                })?;
            types::ContentPart::Image(types::Image {
                media_type: fields.required("media_type", media_type)?,
                data,
            })
        }
        other => {
            return Err(refuse(
                &fields.at("type"),
                &Value::from(other),
                "text or image",
            ));
        }
    };
    fields.finish();
    Ok(part)
}

fn tools(fields: &mut Fields<'_>) -> Result<Vec<types::Tool>, Refusal> {
    let mut tools = Vec::new();
    for (path, value) in fields.list("tools")?.unwrap_or_default() {
        let mut tool = Fields::new(value, &path, fields.warn())?;
        let name = tool.text("name")?;
        tools.push(types::Tool {
            name: tool.required("name", name)?,
            description: tool.text("description")?,
            parameters: tool
                .object("parameters")?
                .unwrap_or_else(|| String::from(r#"{"type":"object","properties":{}}"#)),
        });
        tool.finish();
    }
    Ok(tools)
}

fn tool_choice(fields: &mut Fields<'_>) -> Result<Option<types::ToolChoice>, Refusal> {
    const ALLOWED: &str = "\"auto\", \"none\", \"required\" or {\"name\": …}";
    let at = fields.at("tool_choice");
    let Some(value) = fields.take("tool_choice") else {
        return Ok(None);
    };
    Ok(Some(match &value {
        Value::String(word) => match word.as_str() {
            "auto" => types::ToolChoice::Auto,
            "none" => types::ToolChoice::None,
            "required" => types::ToolChoice::Required,
            _ => return Err(refuse(&at, &value, ALLOWED)),
        },
        Value::Object(_) => {
            let mut choice = Fields::new(value, &at, fields.warn())?;
            let name = choice.text("name")?;
            let name = choice.required("name", name)?;
            choice.finish();
            types::ToolChoice::Named(name)
        }
        _ => return Err(refuse(&at, &value, ALLOWED)),
    }))
}

fn stop(fields: &mut Fields<'_>) -> Result<Vec<String>, Refusal> {
    let stop = fields.read("stop", "a text or a list of texts", |value| match value {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Array(list) => list
            .iter()
            .map(|text| text.as_str().map(str::to_owned))
            .collect(),
        _ => None,
    })?;
    Ok(stop.unwrap_or_default())
}

fn response_format(fields: &mut Fields<'_>) -> Result<Option<types::ResponseFormat>, Refusal> {
    let at = fields.at("response_format");
    let Some(value) = fields.take("response_format") else {
        return Ok(None);
    };
    let mut format = Fields::new(value, &at, fields.warn())?;
    let name = format.text("name")?;
    let schema = format.object("schema")?;
    let parsed = types::ResponseFormat {
        name: format.required("name", name)?,
        schema: format.required("schema", schema)?,
        strict: format.flag("strict")?,
    };
    format.finish();
    Ok(Some(parsed))
}

#[cfg(test)]
mod tests;
