//! The world `llm:provider/provider` over WASI 0.2.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::Cell;

use super::bindings::exports::llm::provider::{catalog, chat, info};
use super::bindings::llm::provider::types as wit;
use super::convert;
use super::transport::{Exchange, Step, Timeouts};
use crate::catalog as models;
use crate::config::Config;
use crate::decoder::Decoder;
use crate::types::{
    Catalog, ChatRequest, Error, Event, Manifest, Note, Settings, TransportFailure,
};

pub(super) struct Provider;

impl info::Guest for Provider {
    fn get_manifest() -> Manifest {
        crate::manifest::manifest()
    }

    fn check_settings(settings: Settings) -> Result<Vec<Note>, Error> {
        Config::from_settings(&settings).map(|(_, notes)| notes)
    }
}

impl catalog::Guest for Provider {
    fn list_models(settings: Settings) -> Result<wit::Catalog, Error> {
        list(&settings).map(convert::catalog_out)
    }

    fn resolve_model(settings: Settings, id: String) -> Result<wit::Model, Error> {
        resolve(&settings, &id).map(convert::model_out)
    }
}

fn list(settings: &Settings) -> Result<Catalog, Error> {
    let request = match models::plan(settings)? {
        models::Plan::Ready(catalog) => return Ok(catalog),
        models::Plan::Discover(request) => request,
    };
    let failed = |failure: TransportFailure| models::discovery_failed(settings, &failure);
    let timeouts = Timeouts {
        total_ms: Some(models::DISCOVERY_TIMEOUT_MS),
        ..Timeouts::default()
    };
    let mut exchange = Exchange::send(&request, timeouts).map_err(failed)?;
    let (mut status, mut headers, mut body) = (0, Vec::new(), Vec::new());
    loop {
        match exchange.step(true).map_err(failed)? {
            Step::Head {
                status: code,
                headers: fields,
            } => (status, headers) = (code, fields),
            Step::Bytes(bytes) => {
                body.extend(bytes);
                if body.len() > models::DISCOVERY_BODY_LIMIT {
                    break;
                }
            }
            Step::Nothing => {}
            Step::End => break,
        }
    }
    models::from_answer(settings, status, &headers, &body)
}

fn resolve(settings: &Settings, id: &str) -> Result<crate::types::Model, Error> {
    if let Some(model) = models::declared(settings, id)? {
        return Ok(model);
    }
    models::find(settings, list(settings), id)
}

impl chat::Guest for Provider {
    type ChatStream = ChatStream;

    fn start(
        settings: Settings,
        model: wit::Model,
        request: ChatRequest,
    ) -> Result<chat::ChatStream, Error> {
        ChatStream::start(&settings, &convert::model(model), &request).map(chat::ChatStream::new)
    }
}

/// How long the end of a body is waited for after the answer's own end, in
/// milliseconds: vLLM sends it in the same breath.
const DRAIN_MS: u64 = 250;
/// And how many bytes of it are read at the most.
const DRAIN_LIMIT: usize = 64 * 1024;

/// An answer on its way. The component model lets no call in while another is
/// under way, so that what a call takes out of the cell is back for the next.
pub(super) struct ChatStream {
    inner: Cell<Option<Box<Inner>>>,
}

struct Inner {
    /// None: the exchange is over.
    exchange: Option<Exchange>,
    decoder: Decoder,
    ready: Vec<Event>,
    /// Comes after what is ready.
    failure: Option<Error>,
}

impl ChatStream {
    fn start(
        settings: &Settings,
        model: &crate::types::Model,
        request: &ChatRequest,
    ) -> Result<Self, Error> {
        let chat = crate::request::prepare(settings, model, request)?;
        let timeouts = Timeouts {
            silence_ms: chat.timeout_ms,
            total_ms: None,
        };
        let mut inner = Inner {
            exchange: None,
            decoder: Decoder::new(chat.decoding),
            ready: Vec::new(),
            failure: None,
        };
        match Exchange::send(&chat.http, timeouts) {
            Ok(exchange) => inner.exchange = Some(exchange),
            Err(failure) => return Err(inner.decoder.fail(&failure, &mut Vec::new())),
        }
        Ok(Self {
            inner: Cell::new(Some(Box::new(inner))),
        })
    }
}

impl chat::GuestChatStream for ChatStream {
    fn next(&self, max: u32) -> Result<Vec<wit::Event>, Error> {
        let max = usize::try_from(max.max(1)).unwrap_or(usize::MAX);
        match self.inner.take() {
            Some(mut inner) => {
                let events = inner.next(max);
                self.inner.set(Some(inner));
                events
            }
            None => Ok(Vec::new()),
        }
    }

    fn subscribe(&self) -> chat::Pollable {
        let inner = self.inner.take();
        let pollable = match inner.as_deref() {
            Some(Inner {
                exchange: Some(exchange),
                ready,
                ..
            }) if ready.is_empty() => exchange.subscribe(),
            _ => wasip2::clocks::monotonic_clock::subscribe_duration(0),
        };
        self.inner.set(inner);
        pollable
    }
}

impl Inner {
    fn next(&mut self, max: usize) -> Result<Vec<wit::Event>, Error> {
        // What has arrived is taken in one go: a call costs more than a read.
        while self.ready.len() < max && self.failure.is_none() {
            let Some(exchange) = &mut self.exchange else {
                break;
            };
            if self.decoder.is_done() {
                if self.ready.is_empty()
                    && let Some(exchange) = self.exchange.take()
                {
                    exchange.drain(DRAIN_MS, DRAIN_LIMIT);
                }
                break;
            }
            let outcome = match exchange.step(self.ready.is_empty()) {
                Ok(Step::Head { status, headers }) => {
                    self.decoder.head(status, &headers);
                    Ok(())
                }
                Ok(Step::Bytes(bytes)) => self.decoder.feed(&bytes, &mut self.ready),
                Ok(Step::Nothing) => break,
                Ok(Step::End) => {
                    let outcome = self.decoder.finish(&mut self.ready);
                    self.exchange = None;
                    outcome
                }
                Err(failure) => {
                    let error = self.decoder.fail(&failure, &mut self.ready);
                    self.exchange = None;
                    Err(error)
                }
            };
            if let Err(error) = outcome {
                self.failure = Some(error);
                self.exchange = None;
            }
        }
        if self.ready.is_empty()
            && let Some(failure) = self.failure.take()
        {
            return Err(failure);
        }
        let ready = core::mem::take(&mut self.ready);
        let mut events = Vec::with_capacity(ready.len().min(max));
        for event in ready {
            match events.len() < max {
                true => events.push(convert::event_out(event)),
                false => self.ready.push(event),
            }
        }
        Ok(events)
    }
}
