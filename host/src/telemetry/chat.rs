//! One chat, watched: its span, and what is measured of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::{Span, field, info_span};

use super::content::{self, Answer};
use super::{End, Labels, Observer, number};
use crate::bindings::types::{
    ChatRequest, ContentPart, Event, FinishReason, Message, Model, Usage,
};
use crate::error::{Error, Result};

/// `gen_ai.operation.name` of a chat.
const CHAT: &str = "chat";

/// Who watches a chat. Dropping it before the chat has ended says that the chat was cancelled.
pub(crate) struct ChatWatch {
    observer: Arc<Observer>,
    span: Span,
    model: Arc<str>,
    /// Whether the prompt holds nothing but text, so that its tokens are tokens of text.
    text_only: bool,
    measured: Measured,
    started: Instant,
    finish: Option<FinishReason>,
    /// The answer, where content is told.
    answer: Option<Answer>,
    over: bool,
}

/// What is measured of a chat.
#[derive(Default)]
pub(super) struct Measured {
    /// From the call to the first piece of content: text, thinking or the start of a tool call.
    pub(super) first: Option<Duration>,
    pub(super) whole: Duration,
    pub(super) usage: Option<Usage>,
}

/// Tells the watch of a batch, and lets go of it at the chat's end.
pub(crate) fn note(watch: &mut Option<Box<ChatWatch>>, batch: &Result<Vec<Event>>) {
    if let Some(watching) = watch {
        match batch {
            Ok(events) if events.is_empty() => watching.end(&End::Whole),
            Ok(events) => watching.events(events),
            Err(error) => watching.failed(error),
        }
        if watching.over {
            *watch = None;
        }
    }
}

impl Observer {
    /// Begins to watch a chat. None: nobody would be told.
    pub(crate) fn chat(
        self: &Arc<Self>,
        model: &Model,
        request: &ChatRequest,
    ) -> Option<Box<ChatWatch>> {
        let sampling = &request.sampling;
        let span = info_span!(
            target: "provider_host::telemetry",
            "chat",
            otel.name = %format_args!("{CHAT} {}", self.word(&model.id)),
            otel.kind = "client",
            otel.status_code = field::Empty,
            otel.status_description = field::Empty,
            error.type = field::Empty,
            http.response.status_code = field::Empty,
            gen_ai.operation.name = CHAT,
            gen_ai.provider.name = &*self.provider,
            gen_ai.request.model = self.word(&model.id),
            server.address = &*self.address,
            server.port = self.port,
            provider_host.plugin.version = &*self.version,
            gen_ai.request.stream = true,
            gen_ai.request.max_tokens = number(request.max_tokens.unwrap_or(model.max_tokens)),
            gen_ai.request.temperature = sampling.temperature,
            gen_ai.request.top_p = sampling.top_p,
            gen_ai.request.top_k = sampling.top_k,
            gen_ai.request.seed = sampling.seed,
            gen_ai.request.frequency_penalty = sampling.frequency_penalty,
            gen_ai.request.presence_penalty = sampling.presence_penalty,
            gen_ai.request.stop_sequences = field::Empty,
            gen_ai.output.type = request.response_format.as_ref().map(|_| "json"),
            gen_ai.response.id = field::Empty,
            gen_ai.response.model = field::Empty,
            gen_ai.response.finish_reasons = field::Empty,
            gen_ai.response.time_to_first_chunk = field::Empty,
            gen_ai.usage.input_tokens = field::Empty,
            gen_ai.usage.output_tokens = field::Empty,
            gen_ai.usage.cache_read.input_tokens = field::Empty,
            gen_ai.usage.cache_write.input_tokens = field::Empty,
            gen_ai.usage.reasoning.output_tokens = field::Empty,
            gen_ai.input.messages = field::Empty,
            gen_ai.output.messages = field::Empty,
            gen_ai.tool.definitions = field::Empty,
        );
        if span.is_disabled() && self.metrics().is_none() {
            return None;
        }
        let content = self.telemetry.content.filter(|_| !span.is_disabled());
        if !span.is_disabled() && !request.stop.is_empty() {
            let stop: Vec<String> = request.stop.iter().map(|text| self.word(text)).collect();
            span.record("gen_ai.request.stop_sequences", content::list(&stop));
        }
        if let Some(most) = content {
            let redact = |text: &str| self.redact(text).into_owned();
            let input = content::input(&request.messages, most, &redact);
            span.record("gen_ai.input.messages", input);
            if !request.tools.is_empty() {
                let tools = content::tools(&request.tools, most, &redact);
                span.record("gen_ai.tool.definitions", tools);
            }
        }
        let watch = ChatWatch {
            observer: self.clone(),
            span,
            model: self.word(&model.id).into(),
            text_only: !request.messages.iter().any(has_image),
            measured: Measured::default(),
            started: Instant::now(),
            finish: None,
            answer: content.map(Answer::new),
            over: false,
        };
        if let Some(metrics) = self.metrics() {
            metrics.chats(&watch.labels(), 1);
        }
        Some(Box::new(watch))
    }
}

fn has_image(message: &Message) -> bool {
    let parts = match message {
        Message::System(_) => return false,
        Message::User(parts) => parts,
        Message::Assistant(message) => &message.content,
        Message::Tool(result) => &result.content,
    };
    let image = |part: &ContentPart| matches!(part, ContentPart::Image(_));
    parts.iter().any(image)
}

impl ChatWatch {
    /// The chat's span, to be entered while something is done for the chat.
    pub(crate) fn span(&self) -> &Span {
        &self.span
    }

    /// Ends in an error.
    pub(crate) fn failed(&mut self, error: &Error) {
        self.end(&End::Failed(error));
    }

    fn labels(&self) -> Labels<'_> {
        Labels {
            operation: CHAT,
            observer: &self.observer,
            model: Some(&self.model),
        }
    }

    fn events(&mut self, events: &[Event]) {
        for event in events {
            match event {
                Event::Start(start) => {
                    for (field, text) in [
                        ("gen_ai.response.id", &start.id),
                        ("gen_ai.response.model", &start.model),
                    ] {
                        if !text.is_empty() && !self.span.is_disabled() {
                            self.span.record(field, self.observer.word(text));
                        }
                    }
                }
                Event::Text(_) | Event::Reasoning(_) | Event::ToolCallStart(_)
                    if self.measured.first.is_none() =>
                {
                    self.measured.first = Some(self.started.elapsed());
                }
                Event::Usage(usage) => self.measured.usage = Some(usage.clone()),
                Event::Finish(reason) => self.finish = Some(reason.clone()),
                _ => {}
            }
            if let Some(answer) = &mut self.answer {
                answer.event(event);
            }
        }
    }

    fn end(&mut self, end: &End<'_>) {
        if std::mem::replace(&mut self.over, true) {
            return;
        }
        self.measured.whole = self.started.elapsed();
        if !self.span.is_disabled() {
            self.record(end);
        }
        if let Some(metrics) = self.observer.metrics() {
            let labels = self.labels();
            metrics.chats(&labels, -1);
            metrics.chat(&labels, &self.measured, self.text_only, end);
        }
    }

    fn record(&self, end: &End<'_>) {
        let span = &self.span;
        end.record(span, Some(&self.observer));
        // The conventions' word where a reason was expected and none came.
        let reason = match (end, &self.finish) {
            (End::Whole, Some(reason)) => self.observer.word(finish_reason(reason)),
            _ => "error".to_owned(),
        };
        span.record("gen_ai.response.finish_reasons", content::list(&[reason]));
        if let Some(first) = self.measured.first {
            let seconds = first.as_secs_f64();
            span.record("gen_ai.response.time_to_first_chunk", seconds);
        }
        if let Some(usage) = &self.measured.usage {
            span.record("gen_ai.usage.input_tokens", number(input_tokens(usage)));
            span.record("gen_ai.usage.output_tokens", number(usage.output));
            let parts = [
                ("gen_ai.usage.cache_read.input_tokens", usage.cache_read),
                ("gen_ai.usage.cache_write.input_tokens", usage.cache_write),
            ];
            // The contract does not tell a cache that gave nothing from a server that has none.
            for (field, tokens) in parts.into_iter().filter(|(_, tokens)| *tokens > 0) {
                span.record(field, number(tokens));
            }
            if let Some(tokens) = usage.reasoning {
                span.record("gen_ai.usage.reasoning.output_tokens", number(tokens));
            }
        }
        if let Some(answer) = &self.answer {
            let redact = |text: &str| self.observer.redact(text).into_owned();
            span.record("gen_ai.output.messages", answer.messages(&redact));
        }
    }
}

impl Drop for ChatWatch {
    fn drop(&mut self) {
        // Who has read the finish has the whole answer, and need not wait for its end.
        let whole = self.finish.is_some();
        self.end(if whole { &End::Whole } else { &End::Dropped });
    }
}

/// Tokens of the prompt. The contract counts cached ones by themselves, the conventions want them in.
pub(super) fn input_tokens(usage: &Usage) -> u64 {
    usage
        .input
        .saturating_add(usage.cache_read)
        .saturating_add(usage.cache_write)
}

/// A finish reason in the words of the OpenAI API.
fn finish_reason(reason: &FinishReason) -> &str {
    match reason {
        FinishReason::Stop => "stop",
        FinishReason::Length => "length",
        FinishReason::ToolCalls => "tool_calls",
        FinishReason::ContentFilter => "content_filter",
        FinishReason::Other(word) => word,
    }
}
