//! What is told of a chat while it runs: spans and metrics, by OpenTelemetry's conventions for generative AI.
//!
//! The names are those of the [GenAI semantic conventions v0.1.0], the first release after they left the common ones
//! (v1.41.0); `docs/observability.md` lists each. What is the host's own and has no name there begins with
//! `provider_host.`.
//!
//! - **Spans** are `tracing` spans, so that a crate that never heard of OpenTelemetry can log them. `tracing-opentelemetry`
//!   makes OpenTelemetry's of them.
//! - **Metrics** go to the `Meter` that the embedder gives ([`Telemetry::with_meter`], feature `otel`), and nowhere else:
//!   nothing here is global.
//!
//! # What it costs
//!
//! A chat that nobody watches (no subscriber takes its span, and there is no meter) has no watch: one branch a batch is all
//! that is left. A chat that is watched is looked at once a batch, for the start, the first piece of content, the usage and
//! the finish; the clock is read at its start, at that piece and at its end. Everything else is done at the end.
//!
//! # What is not told
//!
//! No prompt, no answer and no tool's arguments unless [`Telemetry::with_content`] asks for them, and so no message of an
//! error either: servers quote the request in it. Never a secret of the grant: each text that came from elsewhere goes
//! through [`Secrets::redact`](crate::policy::Secrets::redact) and is bounded.
//!
//! [GenAI semantic conventions v0.1.0]: https://github.com/open-telemetry/semantic-conventions-genai

mod chat;
mod content;
#[cfg_attr(not(feature = "otel"), path = "telemetry/no_metrics.rs")]
mod metrics;
mod operation;
mod route;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

pub(crate) use self::chat::{ChatWatch, note};
pub(crate) use self::route::RouteWatch;

use self::metrics::Metrics;
use crate::egress::Egress;
use crate::error::{Error, ErrorKind, cut, printable};
use crate::policy::limits::WORD_BYTES;

/// Bytes of content that one attribute holds, unless [`Telemetry::with_content_bytes`] says otherwise.
pub const CONTENT_BYTES: usize = 64 << 10;

/// What an embedder wants to be told of its chats. The default: spans, to whoever takes them; no metrics; no content.
///
/// Given to a provider by [`ProviderOptions::with_telemetry`](crate::ProviderOptions::with_telemetry). Cheap to clone.
#[derive(Clone, Default)]
pub struct Telemetry {
    /// Bytes of content an attribute may hold; none: no content.
    content: Option<usize>,
    metrics: Option<Arc<Metrics>>,
}

impl Telemetry {
    /// The default.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Records metrics with instruments of this meter, which are made here, once.
    ///
    /// ```
    /// use opentelemetry::metrics::{MeterProvider, NoopMeterProvider};
    /// use provider_host::Telemetry;
    ///
    /// // An embedder has the provider of its SDK here.
    /// let meters = NoopMeterProvider::new();
    /// let telemetry = Telemetry::new().with_meter(&meters.meter("provider-host"));
    /// ```
    #[cfg(feature = "otel")]
    #[must_use]
    pub fn with_meter(mut self, meter: &opentelemetry::metrics::Meter) -> Self {
        self.metrics = Some(Arc::new(Metrics::new(meter)));
        self
    }

    /// Whether spans hold what was asked and answered: `gen_ai.input.messages`, `gen_ai.output.messages`,
    /// `gen_ai.tool.definitions`, and the messages of errors. Off by default, as the conventions want it: these are the
    /// users' own words.
    #[must_use]
    pub fn with_content(mut self, content: bool) -> Self {
        self.content = content.then_some(self.content.unwrap_or(CONTENT_BYTES));
        self
    }

    /// The same, and how many bytes of texts one attribute may hold. The newest messages are kept, and the last text that
    /// fits only in part is cut.
    #[must_use]
    pub fn with_content_bytes(mut self, most: usize) -> Self {
        self.content = Some(most);
        self
    }
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry")
            .field("content", &self.content)
            .field("metrics", &self.metrics.is_some())
            .finish()
    }
}

/// A provider as its telemetry knows it.
pub(crate) struct Observer {
    telemetry: Telemetry,
    /// `gen_ai.provider.name`: the manifest's id. The conventions have no name for vLLM, and leave such ones to us.
    provider: Arc<str>,
    /// Version of the plugin, which changes when a newer one takes over.
    version: Arc<str>,
    address: Arc<str>,
    port: i64,
    egress: Egress,
}

impl Observer {
    pub(crate) fn new(
        telemetry: Telemetry,
        manifest: &crate::bindings::types::Manifest,
        egress: &Egress,
    ) -> Self {
        let origin = &egress.grant().origin;
        let address = origin.host_text();
        let bare = address
            .strip_prefix('[')
            .and_then(|address| address.strip_suffix(']'));
        Self {
            telemetry,
            provider: manifest.id.as_str().into(),
            version: word(&manifest.version).into(),
            address: bare.unwrap_or(address).into(),
            port: origin.port().into(),
            egress: egress.clone(),
        }
    }

    fn metrics(&self) -> Option<&Metrics> {
        self.telemetry.metrics.as_deref()
    }

    /// Takes the grant's secrets out of a text.
    fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.egress.grant().secrets.redact(text)
    }

    /// A word that a server, a plugin or a caller chose, as it may be told.
    fn word(&self, text: &str) -> String {
        word(&self.redact(text))
    }

    /// A failure in words, where content is told.
    fn description(&self, error: &Error) -> Option<String> {
        self.telemetry
            .content
            .map(|_| self.redact(error.message()).into_owned())
    }
}

/// What a measurement is of: its attributes, without the kind of its error.
#[cfg_attr(not(feature = "otel"), expect(dead_code, reason = "nobody measures"))]
struct Labels<'a> {
    operation: &'static str,
    observer: &'a Observer,
    model: Option<&'a Arc<str>>,
}

/// A number as OpenTelemetry has them: signed. `tracing-opentelemetry` makes a text of one that is not.
fn number(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

/// A word on one line and not too long.
fn word(text: &str) -> String {
    let mut word = printable(text.to_owned());
    cut(&mut word, WORD_BYTES);
    word
}

/// `error.type`: the kind's name ([`ErrorKind::name`]). A plugin's own word is `_OTHER`: time series must not multiply by
/// what a stranger says.
fn error_type(kind: &ErrorKind) -> Cow<'_, str> {
    match kind {
        ErrorKind::Other(_) => Cow::Borrowed("_OTHER"),
        kind => kind.name(),
    }
}

/// How something that was watched came to its end.
enum End<'a> {
    Whole,
    Failed(&'a Error),
    /// Its caller dropped it.
    Dropped,
}

impl End<'_> {
    fn error_type(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Whole => None,
            Self::Failed(error) => Some(error_type(error.kind())),
            Self::Dropped => Some(ErrorKind::Cancelled.name()),
        }
    }

    /// Writes the end into a span that has the fields for it (Recording errors, semantic conventions v1.45.0).
    fn record(&self, span: &tracing::Span, observer: Option<&Observer>) {
        let Some(kind) = self.error_type() else {
            return;
        };
        span.record("error.type", &*kind);
        span.record("otel.status_code", "ERROR");
        if matches!(self, Self::Dropped) {
            span.record("otel.status_description", "dropped before its end");
        }
        if let Self::Failed(error) = self {
            if let Some(status) = error.status() {
                span.record("http.response.status_code", i64::from(status));
            }
            if let Some(message) = observer.and_then(|observer| observer.description(error)) {
                span.record("otel.status_description", message);
            }
        }
    }
}

#[cfg(test)]
mod tests;
