//! The faults of a stream.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;
use wasip2::clocks::monotonic_clock::{now, subscribe_duration};
use wasip2::io::poll::Pollable;

use crate::answer::Decoder;
use crate::bindings::exports::llm::provider::chat;
use crate::bindings::llm::provider::types::{
    ChatRequest, Error, ErrorKind, Event, FinishReason, Model, Note, Settings, StreamStart,
};
use crate::faults::{Fault, endless, trap};
use crate::http::Exchange;
use crate::settings::Config;
use crate::{count, request};

/// A chat failed in this store: what no honest provider remembers.
static FAILED: AtomicBool = AtomicBool::new(false);

/// Text of all chats of this store.
static SHARED: Mutex<String> = Mutex::new(String::new());

/// An answer on its way, with a fault.
pub(crate) struct Stream {
    fault: Fault,
    answer: RefCell<Answer>,
    calls: Cell<u32>,
}

struct Answer {
    exchange: Option<Exchange>,
    decoder: Decoder,
    ready: VecDeque<Event>,
    failure: Option<Error>,
    /// Bytes since the last line's end.
    line: usize,
}

pub(crate) fn start(
    settings: &Settings,
    model: Model,
    mut asked: ChatRequest,
) -> Result<Stream, Error> {
    let fault = Fault::of(settings);
    let (mut config, _) = Config::read(settings)?;
    if fault.is("takes-any-request") {
        asked.extra = None;
        asked.tools.clear();
    }
    if fault.is("sends-no-key") {
        config.key = None;
    }
    if fault.is("hoards") && asked.messages.len() > 100 {
        while std::arch::wasm32::memory_grow(0, 256) != usize::MAX {}
        trap();
    }
    let (body, mut notes) = request::body(&config, &model, &asked)?;
    let mut body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let key = config.key.clone().unwrap_or_default();
    match &fault {
        fault if fault.is("tells-the-time") => body["time"] = turns().into(),
        fault if fault.is("puts-the-key-into-the-body") => body["key"] = key.as_str().into(),
        fault if fault.is("asks-another-server") => {
            let kept = std::mem::replace(&mut config.base.authority, "example.com".into());
            let _ = Exchange::post(&config, "/", b"{}").and_then(|mut exchange| exchange.read());
            config.base.authority = kept;
        }
        _ => {}
    }
    if fault.is("counts-chats") {
        notes.push(note(&format!("this is chat {}", count())));
    }
    if fault.is("holds-a-grudge") && FAILED.load(Ordering::Relaxed) {
        notes.push(note("there was a failure"));
    }
    let path = match fault.is("puts-the-key-into-the-url") {
        true => format!("/api/chat?key={key}"),
        false => "/api/chat".into(),
    };
    let body = body.to_string().into_bytes();
    if fault.is("asks-everything-twice") {
        let _ = Exchange::post(&config, &path, &body)?.read();
    }
    let mut exchange = Exchange::post(&config, &path, &body)?;
    if fault.is("waits-in-start") {
        exchange.subscribe().block();
    }
    if fault.is("reads-in-start") {
        let _ = exchange.read()?;
    }
    let mut unpaid = model;
    if fault.is("makes-up-its-prices") {
        unpaid.cost.output = 1_000.0;
    }
    Ok(Stream {
        fault,
        answer: RefCell::new(Answer {
            exchange: Some(exchange),
            decoder: Decoder::new(&unpaid, notes),
            ready: VecDeque::new(),
            failure: None,
            line: 0,
        }),
        calls: Cell::new(0),
    })
}

/// How often the clock can be asked before it goes on: hardly the same twice.
fn turns() -> u64 {
    let begun = now();
    (1..10_000_000).find(|_| now() != begun).unwrap_or(0)
}

fn note(message: &str) -> Note {
    Note {
        code: "state".into(),
        path: None,
        message: message.into(),
    }
}

impl chat::GuestChatStream for Stream {
    fn next(&self, max: u32) -> Result<Vec<Event>, Error> {
        let fault = &self.fault;
        let mut answer = self.answer.borrow_mut();
        while answer.ready.is_empty() && answer.exchange.is_some() {
            answer.step(fault);
        }
        let calls = self.calls.replace(self.calls.get() + 1);
        if fault.is("traps-in-the-middle") && calls == 1 {
            trap();
        }
        if answer.ready.is_empty() {
            if let Some(failure) = answer.failure.take() {
                FAILED.store(true, Ordering::Relaxed);
                return Err(failure);
            }
            if fault.is("speaks-after-the-end") {
                return Ok(vec![Event::Text("and".into())]);
            }
        }
        let most = match max.max(1) as usize {
            _ if fault.is("more-than-asked") => usize::MAX,
            most => most,
        };
        let count = answer.ready.len().min(most);
        let mut events: Vec<Event> = answer.ready.drain(..count).collect();
        if fault.is("depends-on-the-batch") && max > 1 {
            events.retain(|event| !matches!(event, Event::Usage(_)));
        }
        Ok(events)
    }

    fn subscribe(&self) -> Pollable {
        if self.fault.is("traps-in-subscribe") {
            trap();
        }
        if self.fault.is("is-never-ready") {
            return subscribe_duration(86_400_000_000_000);
        }
        let answer = self.answer.borrow();
        match &answer.exchange {
            Some(exchange) if answer.ready.is_empty() => exchange.subscribe(),
            _ => subscribe_duration(0),
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if self.fault.is("holds-on")
            && let Some(exchange) = self.answer.borrow_mut().exchange.take()
        {
            std::mem::forget(exchange);
        }
    }
}

impl Answer {
    fn step(&mut self, fault: &Fault) {
        let Some(exchange) = &mut self.exchange else {
            return;
        };
        let mut events = Vec::new();
        let read = exchange.read();
        let outcome = match &read {
            Ok(Some(bytes)) => {
                self.line += bytes.len();
                if bytes.contains(&b'\n') {
                    self.line = 0;
                }
                if fault.is("is-slow-with-long-lines") && self.line > 200_000 {
                    endless();
                }
                self.decoder.feed(bytes, &mut events)
            }
            Ok(None) => {
                if fault.is("traps-at-a-broken-end") && !self.decoder.is_done() {
                    trap();
                }
                self.decoder.end(&mut events)
            }
            Err(failure) => Err(failure.clone()),
        };
        if fault.is("shows-the-cuts")
            && let (Ok(Some(bytes)), Some(Event::Text(text))) = (&read, events.last_mut())
        {
            text.push_str(&bytes.len().to_string());
        }
        self.failure = outcome.err().map(|error| worse(error, fault));
        if fault.is("takes-a-cut-for-the-end") && self.failure.take().is_some() {
            events.push(Event::Finish(FinishReason::Stop));
        }
        let done = self.failure.is_some() || self.decoder.is_done() || matches!(read, Ok(None));
        if done {
            match self.exchange.take() {
                Some(exchange) if fault.is("never-lets-go") => std::mem::forget(exchange),
                _ => {}
            }
        }
        self.ready.extend(worsened(events, fault));
    }
}

/// An error with a fault.
fn worse(mut error: Error, fault: &Fault) -> Error {
    match fault {
        _ if fault.is("loses-the-status") => error.status = None,
        _ if fault.is("one-kind-for-all") => error.kind = ErrorKind::Server,
        _ if fault.is("always-again") => error.retryable = true,
        _ if fault.is("forgets-to-wait") => error.retry_after_ms = None,
        _ if fault.is("never-sent") => error.request_sent = !error.request_sent,
        _ if fault.is("passes-escapes-on") => error.message = "\u{1b}[31mno".into(),
        _ if fault.is("parrots") => {
            error.message = format!("\u{1b}[31m{}", "no ".repeat(10_000));
        }
        _ => {}
    }
    error
}

/// Events with a fault.
fn worsened(events: Vec<Event>, fault: &Fault) -> Vec<Event> {
    let mut out = Vec::new();
    for mut event in events {
        match &mut event {
            Event::Start(_) if fault.is("never-starts") => continue,
            Event::Text(text) if fault.is("says-something-else") => *text = text.to_uppercase(),
            Event::Text(text) if fault.is("mixes-chats") => {
                let mut shared = SHARED
                    .lock()
                    .unwrap_or_else(|poisoned| poisoned.into_inner());
                shared.push_str(text);
                *text = shared.clone();
            }
            Event::ToolCallStart(call) if fault.is("numbers-from-1") => call.index += 1,
            Event::ToolCallArguments(call) if fault.is("numbers-from-1") => call.index += 1,
            Event::ToolCallEnd(call) if fault.is("numbers-from-1") => call.index += 1,
            Event::ToolCallEnd(call) if fault.is("mends-arguments") => call.arguments = "{}".into(),
            Event::ToolCallEnd(_) if fault.is("leaves-calls-open") => continue,
            Event::Usage(usage) if fault.is("miscounts") => usage.total += 1,
            Event::Finish(_) if fault.is("never-finishes") => continue,
            _ => {}
        }
        let finish = matches!(event, Event::Finish(_));
        let usage = matches!(event, Event::Usage(_));
        out.push(event.clone());
        match fault {
            _ if fault.is("finishes-twice") && finish => out.push(event),
            _ if fault.is("accounts-twice") && usage => out.push(event),
            _ if fault.is("talks-after-finish") && finish => out.push(Event::Text("and".into())),
            _ if fault.is("starts-twice") && matches!(event, Event::Start(_)) => {
                out.push(Event::Start(StreamStart {
                    id: String::new(),
                    model: String::new(),
                }));
            }
            _ => {}
        }
    }
    out
}
