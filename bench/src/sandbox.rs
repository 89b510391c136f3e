//! The provider in its sandbox, over a network that is memory.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::Frame;
use provider_host::egress::{Exchange, ResponseBody, Timing, Transport, TransportError};
use provider_host::policy::{Binding, Grant, Origin, Secret, Secrets};
use provider_host::types::{ChatRequest, Event, Model, Settings};
use provider_host::{Engine, EngineOptions, Plugin, Provider, ProviderOptions};

use crate::answer::Read;

/// A server whose answers are in memory.
#[derive(Debug)]
pub struct Memory {
    frames: Arc<[Bytes]>,
    /// Before each frame the body says once that it has none: what a network does that is slower than its reader.
    suspends: bool,
}

impl Memory {
    /// Answers everything with these frames.
    #[must_use]
    pub fn new(frames: Vec<Bytes>, suspends: bool) -> Self {
        Self {
            frames: frames.into(),
            suspends,
        }
    }
}

impl Transport for Memory {
    fn send(&self, request: http::Request<Bytes>, _: Timing) -> Exchange<'_> {
        let content_type = match *request.method() {
            http::Method::GET => "application/json",
            _ => "text/event-stream; charset=utf-8",
        };
        let body = Body {
            frames: self.frames.iter().cloned().collect(),
            suspends: self.suspends,
            ready: false,
        };
        Box::pin(async move {
            let mut response = http::Response::new(ResponseBody::stream(body));
            let value = http::HeaderValue::from_static(content_type);
            response
                .headers_mut()
                .insert(http::header::CONTENT_TYPE, value);
            Ok(response)
        })
    }
}

struct Body {
    frames: VecDeque<Bytes>,
    suspends: bool,
    ready: bool,
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        if self.suspends && !self.ready {
            self.ready = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.ready = false;
        Poll::Ready(self.frames.pop_front().map(|frame| Ok(Frame::data(frame))))
    }
}

/// An engine as a host has it.
///
/// # Panics
///
/// The machine can't have one.
#[must_use]
pub fn engine() -> Engine {
    let mut options = EngineOptions::default();
    options.cache_dir = provider_host::default_cache_dir();
    // A pool of the usual size has more address space than some profilers can follow.
    if let Ok(chats) = std::env::var("BENCH_MAX_CHATS") {
        options.max_chats = chats.parse().expect("a number");
    }
    Engine::new(options).expect("an engine")
}

/// The plugin of this build, or the file that `BENCH_PLUGIN` names: for comparing two builds of the guest.
///
/// # Panics
///
/// It can't be loaded.
#[must_use]
pub fn plugin(engine: &Engine) -> Plugin {
    let plugin = match std::env::var_os("BENCH_PLUGIN") {
        Some(file) => Plugin::from_file(engine, file.as_ref()),
        None => Plugin::embedded(engine),
    };
    plugin.expect("a plugin")
}

/// A provider over memory.
///
/// # Panics
///
/// The plugin of this build can't be loaded.
#[must_use]
pub fn provider(plugin: &Plugin, memory: Memory) -> Provider {
    let base_url = "http://127.0.0.1:8000/v1";
    let mut secrets = Secrets::new();
    let key = Secret::new("sk-proj-0123456789abcdefghijklmnopqrstuvwxyzABCD").expect("a key");
    let key = secrets
        .mint(key, Binding::api_key())
        .expect("a placeholder");
    let grant = Grant::new(Origin::parse(base_url).expect("an origin")).with_secrets(secrets);
    let settings = Settings::at(base_url).with_api_key(key.as_str());
    let options = ProviderOptions::new(settings, grant);
    Provider::with_transport(plugin, options, Arc::new(memory))
}

/// Settings that name the server and nothing else.
#[must_use]
pub fn settings(base_url: &str) -> Settings {
    Settings::at(base_url).with_api_key("EMPTY")
}

/// A model of an ordinary size.
#[must_use]
pub fn model() -> Model {
    Model::new("Qwen/Qwen3-8B", 40_960, 8_192)
}

/// One short question.
#[must_use]
pub fn request() -> ChatRequest {
    ChatRequest::user("Say hello.")
}

/// A whole chat: everything from the instance to its end.
///
/// # Panics
///
/// The answer is honest, and does not come whole.
pub async fn chat(provider: &Provider, model: &Model, request: &ChatRequest) -> Read {
    let mut chat = provider.chat(model, request).await.expect("a chat");
    let mut read = Read::default();
    loop {
        let batch = chat.next_batch(256).await.expect("an honest answer");
        if batch.is_empty() {
            return read;
        }
        for event in batch {
            match event {
                Event::Text(text) | Event::Reasoning(text) => read.add(&text),
                Event::ToolCallArguments(call) => read.add(&call.delta),
                _ => {}
            }
        }
    }
}
