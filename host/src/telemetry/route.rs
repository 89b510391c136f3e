//! A routed chat, watched: one span above those of its exchanges.
//!
//! It has none of the conventions' attributes: each exchange has them, and whoever adds up tokens must not count them
//! twice.

use tracing::{Span, field, info, info_span};

use super::{End, Observer, error_type, number};
use crate::error::{Error, Result};

/// Who watches a routed chat. Dropping it before the end says that the chat was cancelled.
pub(crate) struct RouteWatch {
    span: Span,
    retries: i64,
    refits: i64,
    fallbacks: i64,
}

impl RouteWatch {
    /// Begins with the reference of the model that is wanted.
    pub(crate) fn new(wanted: &str) -> Self {
        let span = info_span!(
            target: "provider_host::telemetry",
            "route",
            otel.name = %format_args!("route {wanted}"),
            otel.kind = "internal",
            otel.status_code = field::Empty,
            otel.status_description = field::Empty,
            error.type = field::Empty,
            http.response.status_code = field::Empty,
            provider_host.route.model = wanted,
            provider_host.route.answered_by = field::Empty,
            provider_host.route.retries = field::Empty,
            provider_host.route.refits = field::Empty,
            provider_host.route.fallbacks = field::Empty,
        );
        Self {
            span,
            retries: 0,
            refits: 0,
            fallbacks: 0,
        }
    }

    pub(crate) fn span(&self) -> Span {
        self.span.clone()
    }

    /// The same request will be sent again.
    pub(crate) fn retry(
        &mut self,
        observer: Option<&Observer>,
        model: &str,
        attempt: u32,
        delay: std::time::Duration,
        error: &Error,
    ) {
        self.retries += 1;
        let (kind, status) = kind_and_status(error);
        let attempt = number(attempt);
        info!(
            model, attempt, delay_ms = number(delay.as_millis()), %kind, status,
            "trying again"
        );
        step(observer, "retry", model, error);
    }

    /// The request will be sent again with a limit that fits.
    pub(crate) fn refit(
        &mut self,
        observer: Option<&Observer>,
        model: &str,
        max_tokens: u32,
        window: u64,
        error: &Error,
    ) {
        self.refits += 1;
        let (kind, status) = kind_and_status(error);
        info!(
            model, max_tokens = number(max_tokens), limit = number(window), %kind, status,
            "trying again with a limit that fits"
        );
        step(observer, "refit", model, error);
    }

    /// The next model's turn.
    pub(crate) fn fallback(
        &mut self,
        observer: Option<&Observer>,
        model: &str,
        to: &str,
        error: &Error,
    ) {
        self.fallbacks += 1;
        let (kind, status) = kind_and_status(error);
        info!(model, to, %kind, status, "falling back to another model");
        step(observer, "fallback", model, error);
    }

    /// The first event came, from this model.
    pub(crate) fn answered_by(&mut self, model: &str) {
        self.span.record("provider_host.route.answered_by", model);
    }

    /// The end; the span is let go.
    pub(crate) fn end(&mut self, result: &Result<()>) {
        self.close(&match result {
            Ok(()) => End::Whole,
            Err(error) => End::Failed(error),
        });
    }

    fn close(&mut self, end: &End<'_>) {
        let span = std::mem::replace(&mut self.span, Span::none());
        end.record(&span, None);
        span.record("provider_host.route.retries", self.retries);
        span.record("provider_host.route.refits", self.refits);
        span.record("provider_host.route.fallbacks", self.fallbacks);
    }
}

impl Drop for RouteWatch {
    fn drop(&mut self) {
        // After the end there is no span any more to be told of this.
        self.close(&End::Dropped);
    }
}

fn kind_and_status(error: &Error) -> (std::borrow::Cow<'_, str>, Option<i64>) {
    (error_type(error.kind()), error.status().map(i64::from))
}

/// Counts a step of a route.
fn step(observer: Option<&Observer>, step: &'static str, model: &str, error: &Error) {
    if let Some((observer, metrics)) = observer.and_then(|it| Some((it, it.metrics()?))) {
        metrics.step(observer, step, model, &error_type(error.kind()));
    }
}
