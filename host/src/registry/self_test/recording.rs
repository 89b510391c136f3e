//! Recorded answers, and the events that they are.

use bytes::Bytes;
use http::{HeaderValue, StatusCode};

use super::BASE_URL;
use crate::bindings::types::{
    ChatRequest, Event, FinishReason, Model, StreamStart, Usage, UsageSource,
};

/// The answer of vLLM 0.32 to "Say hello.", with usage, without its framing: `12-chat-stream-usage` of the recordings.
const HELLO: &[u8] = include_bytes!("hello.sse");

/// How many events a plugin may give for each that is expected: it may cut texts otherwise.
const CUTS: usize = 64;

/// A recorded answer to a chat.
#[derive(Debug, Clone)]
pub struct Exchange {
    provider: String,
    name: String,
    config: String,
    model: Model,
    request: ChatRequest,
    status: StatusCode,
    content_type: HeaderValue,
    body: Bytes,
    events: Vec<Event>,
}

impl Exchange {
    /// A streamed answer of the server of a provider: the body of a response with status 200 and the type
    /// `text/event-stream`, without its framing, and the events that it has to give.
    ///
    /// Neighbouring pieces of a text may be cut otherwise, and notes, extensions and prices make no difference.
    ///
    /// `provider` is the provider's id: plugins of others are not asked. `name` stands in messages.
    #[must_use]
    pub fn streamed(
        provider: impl Into<String>,
        name: impl Into<String>,
        body: impl Into<Bytes>,
        events: Vec<Event>,
    ) -> Self {
        Self {
            provider: provider.into(),
            name: name.into(),
            config: serde_json::json!({ "baseUrl": BASE_URL }).to_string(),
            model: model("model"),
            request: ChatRequest::user("Say hello."),
            status: StatusCode::OK,
            content_type: HeaderValue::from_static("text/event-stream; charset=utf-8"),
            body: body.into(),
            events,
        }
    }

    /// Replaces the configuration that the plugin is given: a JSON object. It has to name [`BASE_URL`] as its server, as
    /// the default, `{"baseUrl": …}`, does.
    #[must_use]
    pub fn with_config(mut self, config: impl Into<String>) -> Self {
        self.config = config.into();
        self
    }

    /// Replaces model and request. The default is a model of text that is asked to say hello.
    #[must_use]
    pub fn with_request(mut self, model: Model, request: ChatRequest) -> Self {
        self.model = model;
        self.request = request;
        self
    }

    /// Replaces the answer's type.
    #[must_use]
    pub fn with_content_type(mut self, content_type: HeaderValue) -> Self {
        self.content_type = content_type;
        self
    }

    /// The recordings that this host brings along.
    pub(in crate::registry) fn built_in() -> Vec<Self> {
        let usage = Usage {
            input: 14,
            output: 15,
            cache_read: 0,
            cache_write: 0,
            reasoning: None,
            total: 29,
            cost: None,
            source: UsageSource::Final,
        };
        let events = vec![
            Event::Start(StreamStart {
                id: "chatcmpl-a1c6e4e7714d6617".into(),
                model: "tiny".into(),
            }),
            Event::Text("Hello! How can I help you today?".into()),
            Event::Usage(usage),
            Event::Finish(FinishReason::Stop),
        ];
        let hello = Self::streamed("vllm", "vLLM says hello", HELLO, events);
        vec![hello.with_request(model("tiny"), ChatRequest::user("Say hello."))]
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn is_for(&self, provider: &str) -> bool {
        self.provider == provider
    }

    pub(super) fn config(&self) -> String {
        self.config.clone()
    }

    pub(in crate::registry) fn model(&self) -> &Model {
        &self.model
    }

    pub(in crate::registry) fn request(&self) -> &ChatRequest {
        &self.request
    }

    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    pub(super) fn content_type(&self) -> HeaderValue {
        self.content_type.clone()
    }

    pub(super) fn body(&self) -> Bytes {
        self.body.clone()
    }

    pub(super) fn events(&self) -> &[Event] {
        &self.events
    }

    pub(super) fn most_events(&self) -> usize {
        self.events.len().saturating_mul(CUTS)
    }
}

fn model(id: &str) -> Model {
    Model::new(id, 40_960, 8_192)
}

#[cfg(all(test, feature = "check"))]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_answer_is_the_recorded_one() {
        let recorded = crate::exercise::Exchange::built_in();
        let recorded = recorded
            .iter()
            .find(|one| one.name == "12-chat-stream-usage");
        assert_eq!(recorded.expect("the recording").body, HELLO);
    }
}
