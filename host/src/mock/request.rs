//! The chat request: bytes to a checked value, or a refusal in vLLM's words.
//!
//! Two passes, as in vLLM: first the types of the fields (`Bad Request`, with
//! the validator's lines), then their meaning (`BadRequestError`). Fields that
//! are not looked at here are accepted and ignored, as vLLM does with fields it
//! does not know; `logprobs` and token ids are accepted and not produced.

mod checks;

use super::refusal::{Problem, Refusal};
use checks::{integer, meaning, short, types};
use serde_json::{Map, Value};

/// One message, as the chat template sees it.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) role: String,
    pub(crate) content: String,
    pub(crate) tool_calls: Vec<Value>,
}

/// What the model may do with the tools.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Choice {
    /// No tools, or tools that it may not call.
    None,
    /// As it likes.
    Auto,
    /// At least one call.
    Required,
    /// A call of this function.
    Named(String),
}

/// A request that passed all checks that need no prompt.
#[derive(Clone, Debug)]
pub(crate) struct Chat {
    pub(crate) model: Option<String>,
    pub(crate) messages: Vec<Message>,
    pub(crate) tools: Vec<Value>,
    pub(crate) choice: Choice,
    pub(crate) parallel: bool,
    pub(crate) schema: Option<Value>,
    pub(crate) thinking: bool,
    pub(crate) include_reasoning: bool,
    pub(crate) stream: bool,
    pub(crate) include_usage: bool,
    pub(crate) continuous_usage: bool,
    pub(crate) max_tokens: Option<u64>,
    pub(crate) stops: Vec<String>,
    pub(crate) keep_stop: bool,
    pub(crate) ignore_eos: bool,
    pub(crate) request_id: Option<String>,
    pub(crate) cache_salt: String,
    pub(crate) return_prompt_text: bool,
    pub(crate) after_tool: bool,
}

impl Chat {
    /// The text that decides the answer: the tool's result if that is last,
    /// else what the user said last.
    pub(crate) fn last_text(&self) -> String {
        let wanted = if self.after_tool { "tool" } else { "user" };
        let last = self.messages.iter().rev().find(|m| m.role == wanted);
        last.map(|m| m.content.clone()).unwrap_or_default()
    }
}

/// Whether the server was started with a tool parser.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Served {
    pub(crate) tool_parser: bool,
}

/// Reads a chat request.
pub(crate) fn parse(
    content_type: Option<&str>,
    body: &[u8],
    served: Served,
) -> Result<Chat, Refusal> {
    let body = object(content_type, body)?;
    types(&body)?;
    let mut chat = read(&body, served)?;
    meaning(&body)?;
    thinking(&body, &mut chat)?;
    Ok(chat)
}

/// The body as a JSON object.
pub(crate) fn object(
    content_type: Option<&str>,
    body: &[u8],
) -> Result<Map<String, Value>, Refusal> {
    let media = content_type
        .unwrap_or("")
        .split(';')
        .next()
        .unwrap_or("")
        .trim();
    let problem = |kind, at: String, message: &str, input: String, context| {
        Err(Refusal::invalid(&[Problem {
            kind,
            at,
            message: message.into(),
            input,
            context,
        }]))
    };
    if body.is_empty() {
        return problem(
            "missing",
            "body".into(),
            "Field required",
            "None".into(),
            None,
        );
    }
    if !media.eq_ignore_ascii_case("application/json") {
        return Err(Refusal::media_type());
    }
    let Ok(text) = std::str::from_utf8(body) else {
        return Err(Refusal::undecodable());
    };
    match serde_json::from_str(text) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(other) => problem(
            "model_attributes_type",
            "body".into(),
            "Input should be a valid dictionary or object to extract fields from",
            short(&other),
            None,
        ),
        Err(error) => problem(
            "json_invalid",
            format!("body.{}", error.column()),
            "JSON decode error",
            "<dict of 0 items>".into(),
            Some(("error", "Expecting value".to_owned())),
        ),
    }
}

fn read(body: &Map<String, Value>, served: Served) -> Result<Chat, Refusal> {
    let flag = |name: &str, default| body.get(name).and_then(Value::as_bool).unwrap_or(default);
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    let stream = flag("stream", false);
    let stream_options = body.get("stream_options").filter(|v| !v.is_null());
    if stream_options.is_some() && !stream {
        return Err(Refusal::bad(
            "Stream options can only be defined when `stream=True`. (parameter=stream_options)",
            Some("stream_options"),
        ));
    }
    let option = |name: &str| {
        stream_options
            .and_then(|o| o.get(name))
            .and_then(Value::as_bool)
            .unwrap_or(false)
    };
    let (tools, choice) = tools(body, served)?;
    let mut messages = Vec::new();
    for message in list(body, "messages") {
        messages.push(self::message(message, text("model").as_deref())?);
    }
    if messages.is_empty() {
        return Err(Refusal::bad("list object has no element 0", None));
    }
    let max_tokens = body
        .get("max_completion_tokens")
        .and_then(integer)
        .or_else(|| body.get("max_tokens").and_then(integer));
    let include_usage = option("include_usage");
    Ok(Chat {
        model: text("model"),
        after_tool: messages.last().is_some_and(|m| m.role == "tool"),
        messages,
        tools,
        choice,
        parallel: flag("parallel_tool_calls", true),
        schema: schema(body)?,
        thinking: true,
        include_reasoning: flag("include_reasoning", true),
        stream,
        include_usage,
        continuous_usage: include_usage && option("continuous_usage_stats"),
        max_tokens: max_tokens.and_then(|m| u64::try_from(m).ok()),
        stops: stops(body),
        keep_stop: flag("include_stop_str_in_output", false),
        ignore_eos: flag("ignore_eos", false),
        request_id: text("request_id"),
        cache_salt: text("cache_salt").unwrap_or_default(),
        return_prompt_text: flag("return_prompt_text", false),
    })
}

fn message(message: &Value, model: Option<&str>) -> Result<Message, Refusal> {
    let role = message.get("role").and_then(Value::as_str).unwrap_or("");
    let mut parts = Vec::new();
    match message.get("content") {
        Some(Value::String(text)) => parts.push(text.clone()),
        Some(Value::Array(items)) => {
            for part in items {
                let kind = part.get("type").and_then(Value::as_str).unwrap_or("text");
                match kind {
                    "text" | "input_text" | "output_text" | "refusal" | "thinking" => {
                        parts.extend(part.get("text").and_then(Value::as_str).map(str::to_owned));
                    }
                    "image_url" | "input_image" | "input_audio" | "audio_url" | "video_url" => {
                        let model = model.unwrap_or("the model");
                        return Err(Refusal::bad(
                            &format!("{model} is not a multimodal model"),
                            None,
                        ));
                    }
                    other => {
                        return Err(Refusal::bad(
                            &format!(
                                "Unsupported chat content part type: '{other}'. Supported types: audio_embeds, audio_url, image_embeds, image_pil, image_url, input_audio, input_image, input_text, output_text, prompt_embeds, refusal, text, thinking, tool_reference, video_embeds, video_url. (parameter=type, value={other})"
                            ),
                            Some("type"),
                        ));
                    }
                }
            }
        }
        _ => {}
    }
    Ok(Message {
        // vLLM renders `developer` as `system`.
        role: if role == "developer" { "system" } else { role }.to_owned(),
        content: parts.join("\n"),
        tool_calls: message
            .get("tool_calls")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default(),
    })
}

fn tools(body: &Map<String, Value>, served: Served) -> Result<(Vec<Value>, Choice), Refusal> {
    let tools = list(body, "tools").to_vec();
    let asked = body.get("tool_choice").filter(|v| !v.is_null());
    if tools.is_empty() {
        if body.get("tools").is_some_and(Value::is_array) {
            return Err(Refusal::bad(
                "`tools` must not be an empty array. Either provide at least one tool or omit the field entirely. (parameter=tools)",
                Some("tools"),
            ));
        }
        return match asked.and_then(Value::as_str) {
            None if asked.is_none() => Ok((tools, Choice::None)),
            Some("none") => Ok((tools, Choice::None)),
            _ => Err(Refusal::bad(
                "When using `tool_choice`, `tools` must be set. (parameter=tool_choice)",
                Some("tool_choice"),
            )),
        };
    }
    let choice = match asked {
        None => Choice::Auto,
        Some(Value::String(word)) => match word.as_str() {
            "none" => Choice::None,
            "auto" => Choice::Auto,
            "required" => Choice::Required,
            other => {
                return Err(Refusal::bad(
                    &format!(
                        "Invalid value for `tool_choice`: {other}! Only named tools, \"none\", \"auto\" or \"required\" are supported. (parameter=tool_choice)"
                    ),
                    Some("tool_choice"),
                ));
            }
        },
        Some(named) => {
            let name = named
                .pointer("/function/name")
                .and_then(Value::as_str)
                .unwrap_or("");
            if !tools
                .iter()
                .any(|tool| tool.pointer("/function/name").and_then(Value::as_str) == Some(name))
            {
                return Err(Refusal::bad(
                    "The tool specified in `tool_choice` does not match any of the specified `tools` (parameter=tool_choice)",
                    Some("tool_choice"),
                ));
            }
            Choice::Named(name.to_owned())
        }
    };
    if !served.tool_parser {
        let refused = |message: &str| Err(Refusal::bad(message, None));
        match &choice {
            Choice::None => {}
            Choice::Auto => {
                return refused(
                    "\"auto\" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set",
                );
            }
            Choice::Required => {
                return refused("tool_choice=\"required\" requires --tool-call-parser to be set");
            }
            Choice::Named(name) => {
                return refused(&format!(
                    "tool_choice=function \"{name}\" requires --tool-call-parser to be set"
                ));
            }
        }
    }
    Ok((tools, choice))
}

/// The schema that the answer is held to, from `response_format` or
/// `structured_outputs`.
fn schema(body: &Map<String, Value>) -> Result<Option<Value>, Refusal> {
    let any_object = || Value::Object(Map::from_iter([("type".to_owned(), Value::from("object"))]));
    if let Some(schema) = body
        .get("structured_outputs")
        .and_then(|s| s.get("json"))
        .filter(|s| s.is_object())
    {
        return Ok(Some(schema.clone()));
    }
    let Some(format) = body.get("response_format").filter(|v| !v.is_null()) else {
        return Ok(None);
    };
    match format.get("type").and_then(Value::as_str) {
        Some("json_schema") => match format.get("json_schema") {
            Some(given) if !given.is_null() => Ok(Some(
                given.get("schema").cloned().unwrap_or_else(any_object),
            )),
            _ => Err(Refusal::bad(
                "When response_format type is 'json_schema', the 'json_schema' field must be provided. (parameter=response_format)",
                Some("response_format"),
            )),
        },
        Some("json_object") => Ok(Some(any_object())),
        _ => Ok(None),
    }
}

/// Whether the model thinks: `reasoning_effort` first, the template's own
/// switch last.
fn thinking(body: &Map<String, Value>, chat: &mut Chat) -> Result<(), Refusal> {
    if let Some(effort) = body.get("reasoning_effort").and_then(Value::as_str) {
        chat.thinking = effort != "none";
    }
    if let Some(on) = body
        .get("chat_template_kwargs")
        .and_then(|k| k.get("enable_thinking"))
        .and_then(Value::as_bool)
    {
        chat.thinking = on;
    }
    Ok(())
}

fn list<'a>(body: &'a Map<String, Value>, name: &str) -> &'a [Value] {
    body.get(name)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn stops(body: &Map<String, Value>) -> Vec<String> {
    match body.get("stop") {
        Some(Value::String(stop)) => vec![stop.clone()],
        Some(Value::Array(stops)) => stops
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        _ => Vec::new(),
    }
}
