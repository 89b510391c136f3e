//! A subscriber that keeps what it is told.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, OnceLock};

use serde_json::{Value, json};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

pub(crate) type Fields = BTreeMap<String, Value>;

/// One span, as it was told of.
#[derive(Debug, Clone, Default)]
pub(crate) struct Span {
    pub(crate) fields: Fields,
    /// `otel.name` of the span it is in.
    pub(crate) parent: Option<String>,
    /// What happened in it.
    pub(crate) events: Vec<Fields>,
    /// How often something was recorded after its beginning.
    pub(crate) records: usize,
    pub(crate) closed: bool,
    /// All that it could tell.
    pub(crate) known: Vec<String>,
}

impl Span {
    /// What it calls itself.
    pub(crate) fn name(&self) -> &str {
        self.fields["otel.name"].as_str().expect("a name")
    }

    pub(crate) fn get(&self, field: &str) -> Option<&Value> {
        self.fields.get(field)
    }
}

/// Spans of this library by their ids, in the order they began.
#[derive(Clone, Default)]
pub(crate) struct Spans(Arc<Mutex<Vec<(u64, Span)>>>);

impl Spans {
    /// A subscriber for this thread, until the guard is dropped.
    pub(crate) fn collect() -> (Self, tracing::subscriber::DefaultGuard) {
        // While a process has one subscriber, a callsite that another thread comes to first is switched off for all.
        static OTHERS: OnceLock<[Dispatch; 2]> = OnceLock::new();
        OTHERS.get_or_init(|| [(); 2].map(|()| Dispatch::new(tracing_subscriber::registry())));
        let spans = Self::default();
        // Below that wasmtime tells of each call of a guest.
        let registry = tracing_subscriber::registry()
            .with(LevelFilter::DEBUG)
            .with(spans.clone());
        (spans, tracing::subscriber::set_default(registry))
    }

    pub(crate) fn all(&self) -> Vec<Span> {
        let spans = self.0.lock().expect("the spans");
        spans.iter().map(|(_, span)| span.clone()).collect()
    }

    /// The one span whose name begins so.
    pub(crate) fn one(&self, name: &str) -> Span {
        let all = self.all();
        let mut named = all.iter().filter(|span| span.name().starts_with(name));
        let one = named
            .next()
            .unwrap_or_else(|| panic!("no {name}: {all:#?}"));
        assert!(named.next().is_none(), "more than one {name}: {all:#?}");
        one.clone()
    }

    fn with(&self, id: &Id, f: impl FnOnce(&mut Span)) {
        let mut spans = self.0.lock().expect("the spans");
        // An id is used again after its span was closed: the last one is meant.
        let span = spans
            .iter_mut()
            .rev()
            .find(|(one, _)| *one == id.into_u64());
        if let Some((_, span)) = span {
            f(span);
        }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Spans {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if !attributes.metadata().target().starts_with("provider_host") {
            return;
        }
        let known = attributes.metadata().fields().iter();
        let mut span = Span {
            known: known.map(|field| field.name().to_owned()).collect(),
            ..Span::default()
        };
        attributes.record(&mut Into(&mut span.fields));
        if let Some(parent) = context.current_span().id() {
            self.with(parent, |parent| {
                span.parent = Some(parent.name().to_owned())
            });
        }
        self.0
            .lock()
            .expect("the spans")
            .push((id.into_u64(), span));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, S>) {
        self.with(id, |span| {
            values.record(&mut Into(&mut span.fields));
            span.records += 1;
        });
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::new();
        event.record(&mut Into(&mut fields));
        if let Some(id) = context.current_span().id() {
            self.with(id, |span| span.events.push(fields));
        }
    }

    fn on_close(&self, id: Id, _: Context<'_, S>) {
        self.with(&id, |span| span.closed = true);
    }
}

/// Writes values down as they are.
struct Into<'a>(&'a mut Fields);

impl Into<'_> {
    fn insert(&mut self, field: &Field, value: Value) {
        self.0.insert(field.name().to_owned(), value);
    }
}

impl Visit for Into<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.insert(field, json!(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.insert(field, json!(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.insert(field, json!(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.insert(field, json!(value));
    }

    /// A text, as `tracing-opentelemetry` makes of it: OpenTelemetry's numbers are signed.
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.insert(field, json!(value.to_string()));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.insert(field, json!(value));
    }
}
