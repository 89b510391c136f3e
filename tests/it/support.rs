//! What a test needs on the way: an engine, the plugin, a provider, a mock.

use std::sync::OnceLock;
use std::time::Duration;

use provider_host::policy::{Binding, Grant, NetworkLimits, Origin, Secret, Secrets};
use provider_host::types::{ChatRequest, Event, FinishReason, Model, Settings};
use provider_host::{Chat, Engine, EngineOptions, Error, Plugin, Provider, ProviderOptions};
use serde_json::{Value, json};

/// A time within which everything in these tests ends. Reaching it is a
/// failure, so that it may be generous to a busy machine.
pub(crate) const BOUND: Duration = Duration::from_secs(60);

pub(crate) fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| {
        let mut options = EngineOptions::default();
        options.max_chats = 200;
        Engine::new(options).expect("an engine")
    })
}

pub(crate) fn plugin() -> &'static Plugin {
    static PLUGIN: OnceLock<Plugin> = OnceLock::new();
    PLUGIN.get_or_init(|| Plugin::embedded(engine()).expect("the plugin of this build"))
}

/// Time limits short enough for a test that waits for one.
pub(crate) fn short_limits() -> NetworkLimits {
    NetworkLimits::new()
        .with_connect_timeout(Duration::from_secs(5))
        .with_first_byte_timeout(Duration::from_millis(700))
        .with_idle_timeout(Duration::from_millis(700))
        .with_total_timeout(Duration::from_secs(20))
}

/// A provider for a server, with a key and an explicit configuration.
pub(crate) fn provider(base_url: &str, key: &str, limits: NetworkLimits) -> Provider {
    provider_of(plugin(), base_url, key, limits)
}

pub(crate) fn provider_of(
    plugin: &Plugin,
    base_url: &str,
    key: &str,
    limits: NetworkLimits,
) -> Provider {
    Provider::new(plugin, options(base_url, key, limits)).expect("a provider")
}

/// What such a provider runs with.
pub(crate) fn options(base_url: &str, key: &str, limits: NetworkLimits) -> ProviderOptions {
    let mut secrets = Secrets::new();
    let api_key = secrets
        .mint(Secret::new(key).expect("a key"), Binding::api_key())
        .expect("a placeholder");
    let settings = Settings::at(base_url).with_api_key(api_key.as_str());
    let grant = Grant::new(Origin::parse(base_url).expect("an origin"))
        .with_secrets(secrets)
        .with_limits(limits);
    ProviderOptions::new(settings, grant)
}

/// A catalog entry as the expectations of the recordings assume it.
pub(crate) fn model(id: &str) -> Model {
    Model::new(id, 4096, 1024)
}

pub(crate) fn ask(text: &str) -> ChatRequest {
    ChatRequest::user(text)
}

/// All events of a chat, and the error it ended in.
pub(crate) async fn collect(mut chat: Chat, max: u32) -> (Vec<Event>, Option<Error>) {
    let mut events = Vec::new();
    loop {
        match tokio::time::timeout(BOUND, chat.next_batch(max)).await {
            Err(_) => panic!("no event and no end within {BOUND:?}; so far {events:?}"),
            Ok(Err(error)) => return (events, Some(error)),
            Ok(Ok(batch)) if batch.is_empty() => return (events, None),
            Ok(Ok(batch)) => {
                assert!(batch.len() <= max as usize, "more events than asked for");
                events.extend(batch);
            }
        }
    }
}

/// Starts a chat and collects it; an error of the start is an error of the chat.
pub(crate) async fn run(
    provider: &Provider,
    model: &Model,
    request: &ChatRequest,
) -> (Vec<Event>, Option<Error>) {
    match provider.chat(model, request).await {
        Ok(chat) => collect(chat, 64).await,
        Err(error) => (Vec::new(), Some(error)),
    }
}

/// The text of an answer.
pub(crate) fn text(events: &[Event]) -> String {
    events
        .iter()
        .filter_map(|event| match event {
            Event::Text(text) => Some(text.as_str()),
            _ => None,
        })
        .collect()
}

/// An event in the form of `chat --json`; a note by its code.
pub(crate) fn event_json(event: &Event) -> Value {
    match event {
        Event::Start(s) => json!({"type": "start", "id": s.id, "model": s.model}),
        Event::Text(text) => json!({"type": "text", "text": text}),
        Event::Reasoning(text) => json!({"type": "reasoning", "text": text}),
        Event::ToolCallStart(c) => {
            json!({"type": "tool_call_start", "index": c.index, "id": c.id, "name": c.name})
        }
        Event::ToolCallArguments(c) => {
            json!({"type": "tool_call_arguments", "index": c.index, "delta": c.delta})
        }
        Event::ToolCallEnd(c) => json!({"type": "tool_call_end", "index": c.index, "id": c.id,
            "name": c.name, "arguments": c.arguments}),
        Event::Usage(u) => json!({"type": "usage", "input": u.input, "output": u.output,
            "cache_read": u.cache_read, "cache_write": u.cache_write, "reasoning": u.reasoning,
            "total": u.total}),
        Event::Note(note) => json!({"type": "note", "code": note.code}),
        Event::Finish(reason) => json!({"type": "finish", "reason": match reason {
            FinishReason::Stop => "stop",
            FinishReason::Length => "length",
            FinishReason::ToolCalls => "tool_calls",
            FinishReason::ContentFilter => "content_filter",
            FinishReason::Other(word) => word,
        }}),
        Event::Other(extension) => json!({"type": extension.name}),
    }
}

pub(crate) fn error_json(error: &Error) -> Value {
    json!({"kind": error.kind_name(), "message": error.message(), "status": error.status(),
        "code": error.code(), "retryable": error.retryable(),
        "retry_after_ms": error.retry_after().map(|d| d.as_millis()),
        "request_sent": error.request_sent(), "limit": error.limit(),
        "requested": error.requested()})
}
