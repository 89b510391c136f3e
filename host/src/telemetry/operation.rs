//! What is asked of a provider beside chats: one question, one answer.

use std::sync::Arc;
use std::time::Instant;

use tracing::{Instrument as _, Span, field, info_span};

use super::{End, Labels, Observer};
use crate::error::Result;

impl Observer {
    /// Watches a question to its end. `name` is its `gen_ai.operation.name`; the conventions have none for these.
    pub(crate) async fn operation<T>(
        self: &Arc<Self>,
        name: &'static str,
        model: Option<&str>,
        answer: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let span = info_span!(
            target: "provider_host::telemetry",
            "operation",
            otel.name = match model {
                Some(model) => format!("{name} {}", self.word(model)),
                None => name.to_owned(),
            },
            otel.kind = "client",
            otel.status_code = field::Empty,
            otel.status_description = field::Empty,
            error.type = field::Empty,
            http.response.status_code = field::Empty,
            gen_ai.operation.name = name,
            gen_ai.provider.name = &*self.provider,
            gen_ai.request.model = model.map(|model| self.word(model)),
            server.address = &*self.address,
            server.port = self.port,
            provider_host.plugin.version = &*self.version,
        );
        if span.is_disabled() && self.metrics().is_none() {
            return answer.await;
        }
        let mut watch = Watch {
            observer: self,
            name,
            model: model.map(|model| self.word(model).into()),
            span: span.clone(),
            started: Instant::now(),
            over: false,
        };
        let result = answer.instrument(span).await;
        match &result {
            Ok(_) => watch.end(&End::Whole),
            Err(error) => watch.end(&End::Failed(error)),
        }
        result
    }
}

/// Who watches a question. Dropping it before the answer says that the question was cancelled.
struct Watch<'a> {
    observer: &'a Observer,
    name: &'static str,
    model: Option<Arc<str>>,
    span: Span,
    started: Instant,
    over: bool,
}

impl Watch<'_> {
    fn end(&mut self, end: &End<'_>) {
        if std::mem::replace(&mut self.over, true) {
            return;
        }
        end.record(&self.span, Some(self.observer));
        if let Some(metrics) = self.observer.metrics() {
            let labels = Labels {
                operation: self.name,
                observer: self.observer,
                model: self.model.as_ref(),
            };
            metrics.operation(&labels, self.started.elapsed(), end);
        }
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.end(&End::Dropped);
    }
}
