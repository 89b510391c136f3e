//! The guest's own core, compiled natively: what decoding and preparing cost without a sandbox.

use bytes::Bytes;
use vllm_provider::decoder::{Decoder, Options};
use vllm_provider::error::Context;
use vllm_provider::types::{
    ChatRequest, ContentPart, Cost, Event, Message, Modality, Model, ModelSource, Sampling,
    Settings,
};

use crate::answer::Read;

/// Decodes an answer.
#[must_use]
pub fn decode(frames: &[Bytes]) -> Read {
    let mut decoder = Decoder::new(Options {
        context: Context {
            method: "POST",
            url: "http://127.0.0.1:8000/v1/chat/completions".to_owned(),
            model: None,
            base_has_v1: true,
            has_key: false,
        },
        cost: None,
        reasoning: false,
        many_choices: false,
        notes: Vec::new(),
    });
    let mut read = Read::default();
    let mut events = Vec::new();
    decoder.head(
        200,
        &[("content-type".to_owned(), b"text/event-stream".to_vec())],
    );
    for frame in frames {
        let outcome = decoder.feed(frame, &mut events);
        debug_assert!(outcome.is_ok(), "an honest answer");
        for event in events.drain(..) {
            match event {
                Event::Text(text) | Event::Reasoning(text) => read.add(&text),
                Event::ToolCallArguments { delta, .. } => read.add(&delta),
                _ => {}
            }
        }
    }
    read
}

/// Makes the request of a chat; its size in bytes.
///
/// # Panics
///
/// The settings are honest, and not taken.
pub fn prepare() -> usize {
    let settings = Settings {
        config: Some(r#"{"baseUrl":"http://127.0.0.1:8000/v1"}"#.into()),
        api_key: Some("EMPTY".into()),
        discover: true,
        models: Vec::new(),
    };
    let model = Model {
        id: "Qwen/Qwen3-8B".into(),
        name: "Qwen/Qwen3-8B".into(),
        reasoning: false,
        input: vec![Modality::Text],
        cost: Cost::default(),
        context_window: 40_960,
        max_tokens: 8_192,
        parent: None,
        source: ModelSource::Discovered,
    };
    let request = ChatRequest {
        messages: vec![Message::User(vec![ContentPart::Text("Say hello.".into())])],
        tools: Vec::new(),
        tool_choice: None,
        parallel_tool_calls: None,
        max_tokens: None,
        prompt_tokens: None,
        sampling: Sampling::default(),
        stop: Vec::new(),
        response_format: None,
        reasoning: None,
        priority: None,
        extra: None,
    };
    let chat = vllm_provider::request::prepare(&settings, &model, &request).expect("a request");
    chat.http.body.len()
}
