//! The same chat by the command line, as a script would have it.

use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine as _;
use provider_host::types::{
    AssistantMessage, ChatRequest, ContentPart, Message, ReasoningEffort, ToolChoice,
};
use serde_json::{Value, json};

/// Runs `provider-host chat --json` with this configuration and key, and
/// returns its last line, which is the result or the error.
pub(super) async fn chat(
    configuration: &Value,
    key: Option<&'static str>,
    model: &str,
    request: &ChatRequest,
) -> Value {
    let (configuration, file) = (configuration.to_string(), file(request).to_string());
    let reference = format!("vllm/{model}");
    let run = move || run(&configuration, key, &reference, &file);
    tokio::task::spawn_blocking(run).await.expect("the command")
}

fn run(configuration: &str, key: Option<&str>, reference: &str, request: &str) -> Value {
    let home = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &str| {
        let path = home.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path
    };
    let configuration = write("openclaw.json", configuration);
    let request = write("request.json", request);
    let mut command = Command::new(env!("CARGO_BIN_EXE_provider-host"));
    command
        .arg("--config")
        .arg(configuration)
        .args(["chat", "--json", "--model", reference, "--request"])
        .arg(request)
        .env_clear()
        .env("HOME", home.path())
        .env("XDG_CONFIG_HOME", home.path())
        .env(
            "XDG_CACHE_HOME",
            Path::new(env!("CARGO_TARGET_TMPDIR")).join("cli-cache"),
        )
        .stdin(Stdio::null());
    if let Some(key) = key {
        command.env("VLLM_API_KEY", key);
    }
    let output = command.output().expect("a process");
    let stdout = String::from_utf8_lossy(&output.stdout);
    let last = stdout
        .lines()
        .last()
        .unwrap_or_else(|| panic!("{output:?}"));
    serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// A request as a file for `--request`.
fn file(request: &ChatRequest) -> Value {
    let json = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
    let sampling = &request.sampling;
    let tools = request.tools.iter().map(|tool| {
        json!({"name": tool.name, "description": tool.description,
            "parameters": json(&tool.parameters)})
    });
    json!({
        "messages": request.messages.iter().map(message).collect::<Value>(),
        "tools": tools.collect::<Value>(),
        "tool_choice": request.tool_choice.as_ref().map(|choice| match choice {
            ToolChoice::Auto => json!("auto"),
            ToolChoice::None => json!("none"),
            ToolChoice::Required => json!("required"),
            ToolChoice::Named(name) => json!({"name": name}),
        }),
        "parallel_tool_calls": request.parallel_tool_calls,
        "max_tokens": request.max_tokens,
        "prompt_tokens": request.prompt_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "min_p": sampling.min_p,
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
        "repetition_penalty": sampling.repetition_penalty,
        "seed": sampling.seed,
        "stop": request.stop,
        "response_format": request.response_format.as_ref().map(|format| {
            json!({"name": format.name, "schema": json(&format.schema), "strict": format.strict})
        }),
        "reasoning": request.reasoning.as_ref().map(level),
        "priority": request.priority,
        "extra": request.extra.as_deref().map(json),
    })
}

fn level(level: &ReasoningEffort) -> &str {
    match level {
        ReasoningEffort::Off => "off",
        ReasoningEffort::Minimal => "minimal",
        ReasoningEffort::Low => "low",
        ReasoningEffort::Medium => "medium",
        ReasoningEffort::High => "high",
        ReasoningEffort::Xhigh => "xhigh",
        ReasoningEffort::Other(word) => word,
    }
}

fn message(message: &Message) -> Value {
    match message {
        Message::System(text) => json!({"role": "system", "content": text}),
        Message::User(parts) => json!({"role": "user", "content": content(parts)}),
        Message::Assistant(turn) => assistant(turn),
        Message::Tool(result) => json!({"role": "tool", "tool_call_id": result.call_id,
            "name": result.name, "content": content(&result.content),
            "is_error": result.is_error}),
    }
}

fn assistant(turn: &AssistantMessage) -> Value {
    let calls = turn
        .tool_calls
        .iter()
        .map(|call| json!({"id": call.id, "name": call.name, "arguments": call.arguments}));
    json!({"role": "assistant", "content": content(&turn.content), "reasoning": turn.reasoning,
        "tool_calls": calls.collect::<Value>()})
}

fn content(parts: &[ContentPart]) -> Value {
    parts
        .iter()
        .map(|part| match part {
            ContentPart::Text(text) => json!({"type": "text", "text": text}),
            ContentPart::Image(image) => json!({"type": "image", "media_type": image.media_type,
                "data": base64::engine::general_purpose::STANDARD.encode(&image.data)}),
        })
        .collect()
}
