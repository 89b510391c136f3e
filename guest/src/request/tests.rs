#![allow(clippy::unwrap_used)]
use super::*;
use crate::types::*;
use serde_json::{Value, json};

mod anything;
mod conversation;
mod fields;
mod openclaw;
mod thinking;

fn settings(config: Value) -> Settings {
    Settings {
        config: Some(config.to_string()),
        api_key: Some("sk-1".to_owned()),
        ..Settings::default()
    }
}

fn model(id: &str) -> Model {
    Model {
        id: id.to_owned(),
        name: id.to_owned(),
        reasoning: false,
        input: vec![Modality::Text],
        cost: Cost::default(),
        context_window: 128_000,
        max_tokens: 8_192,
        parent: None,
        source: ModelSource::Discovered,
    }
}

fn said(text: &str) -> Message {
    Message::User(vec![ContentPart::Text(text.to_owned())])
}

fn hello() -> ChatRequest {
    ChatRequest {
        messages: vec![said("hello")],
        ..ChatRequest::default()
    }
}

fn sent(settings: &Settings, model: &Model, request: &ChatRequest) -> Value {
    serde_json::from_slice(&build(settings, model, request).unwrap().body).unwrap()
}

#[test]
fn the_smallest_request_says_no_more_than_it_must() {
    let request = build(&settings(json!({})), &model("m"), &hello()).unwrap();
    assert_eq!(request.method, "POST");
    assert_eq!(request.url, "http://127.0.0.1:8000/v1/chat/completions");
    assert_eq!(
        request.headers,
        [
            ("content-type", "application/json"),
            ("accept", "text/event-stream"),
            ("user-agent", crate::config::USER_AGENT),
            ("authorization", "Bearer sk-1"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
    assert_eq!(
        String::from_utf8(request.body).unwrap(),
        r#"{"model":"m","messages":[{"role":"user","content":"hello"}],"stream":true,"stream_options":{"include_usage":true},"max_completion_tokens":8192}"#
    );
}

fn image(bytes: &[u8]) -> ContentPart {
    ContentPart::Image(Image {
        media_type: "image/png".to_owned(),
        data: bytes.to_vec(),
    })
}

fn text(text: &str) -> ContentPart {
    ContentPart::Text(text.to_owned())
}

fn vision() -> Model {
    let mut model = model("m");
    model.input.push(Modality::Image);
    model
}

#[test]
fn compat_flags_change_what_they_name() {
    let with = |compat: Value| settings(json!({"models": [{"id": "m", "compat": compat}]}));
    let mut request = hello();
    request.messages.insert(0, Message::System("s".to_owned()));
    request.tools = vec![tool("t", "{}")];
    request.parallel_tool_calls = Some(false);

    let body = sent(&with(json!({})), &model("m"), &request);
    assert_eq!(body["messages"][0]["role"], "system");
    assert_eq!(body["parallel_tool_calls"], false);

    let body = sent(
        &with(json!({"supportsDeveloperRole": true})),
        &model("m"),
        &request,
    );
    assert_eq!(body["messages"][0]["role"], "developer");
    let body = sent(
        &with(json!({"supportsUsageInStreaming": false})),
        &model("m"),
        &request,
    );
    assert!(body.get("stream_options").is_none());
    assert_eq!(body["stream"], true);
    let body = sent(
        &with(json!({"maxTokensField": "max_tokens"})),
        &model("m"),
        &request,
    );
    assert_eq!(body["max_tokens"], 8192);
    assert!(body.get("max_completion_tokens").is_none());
    let body = sent(
        &with(json!({"supportsTools": false})),
        &model("m"),
        &request,
    );
    assert!(body.get("tools").is_none() && body.get("parallel_tool_calls").is_none());

    request.messages = vec![Message::User(vec![text("a"), image(&[1])])];
    let body = sent(
        &with(json!({"requiresStringContent": true})),
        &vision(),
        &request,
    );
    assert!(body["messages"][0]["content"].is_string());
}

fn tool(name: &str, parameters: &str) -> Tool {
    Tool {
        name: name.to_owned(),
        description: None,
        parameters: parameters.to_owned(),
    }
}

#[test]
fn the_context_of_errors_shows_no_query() {
    let settings = settings(json!({"baseUrl": "https://h/api?key=secret", "auth": "none"}));
    let chat = prepare(&settings, &model("m"), &hello()).unwrap();
    let context = chat.decoding.context;
    assert_eq!(context.method, "POST");
    assert_eq!(context.url, "https://h/api/chat/completions");
    assert_eq!(context.model.as_deref(), Some("m"));
    assert!(!context.base_has_v1);
}
