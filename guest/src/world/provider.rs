//! The world `llm:provider/provider` over WASI 0.2.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use wasip2::clocks::monotonic_clock::subscribe_duration;
use wasip2::io::poll::Pollable;

use super::transport::{Exchange, Step, Timeouts};
use crate::asking::{self, Asking};
use crate::catalog as models;
use crate::config::Config;
use crate::decoder::Decoder;
use crate::health::{self, ServerHealth};
use crate::tokens::{self, TokenCount};
use crate::types::{
    Catalog, ChatRequest, Error, Event, HttpRequest, Model, Note, Settings, TransportFailure,
};

/// The notes on the settings.
pub(super) fn check(settings: &Settings) -> Result<Vec<Note>, Error> {
    Config::from_settings(settings).map(|(_, notes)| notes)
}

/// The catalog.
pub(super) fn list(settings: &Settings) -> Result<Catalog, Error> {
    let request = match models::plan(settings)? {
        models::Plan::Ready(catalog) => return Ok(catalog),
        models::Plan::Discover(request) => request,
    };
    let limit = models::DISCOVERY_BODY_LIMIT + 1;
    let (status, headers, body) = fetch(&request, models::DISCOVERY_TIMEOUT_MS, limit, limit)
        .map_err(|failure| models::discovery_failed(settings, &failure))?;
    models::from_answer(settings, status, &headers, &body)
}

/// The length of a chat's prompt.
pub(super) fn count(
    settings: &Settings,
    model: &Model,
    request: &ChatRequest,
) -> Result<TokenCount, Error> {
    let asking = tokens::prepare(settings, model, request)?;
    let (status, headers, body) = ask(&asking)?;
    tokens::from_answer(&asking, status, &headers, &body)
}

/// How the server is.
pub(super) fn check_health(settings: &Settings) -> Result<ServerHealth, Error> {
    let asking = health::prepare(settings)?;
    let (status, headers, body) = ask(&asking)?;
    health::from_answer(&asking, status, &headers, &body)
}

fn ask(asking: &Asking) -> Result<Answer, Box<Error>> {
    let (kept, limit) = (asking::KEPT_BYTES, asking::MAX_BYTES);
    fetch(&asking.http, asking.timeout_ms, kept, limit)
        .map_err(|failure| Box::new(asking.failed(&failure)))
}

/// Status, headers and body of an answer.
type Answer = (u16, Vec<(String, Vec<u8>)>, Vec<u8>);

/// Sends a request and reads its answer, `limit` bytes at the most, of which the
/// first `kept` are kept.
#[inline(never)]
fn fetch(
    request: &HttpRequest,
    timeout_ms: u64,
    kept: usize,
    limit: usize,
) -> Result<Answer, TransportFailure> {
    let timeouts = Timeouts {
        total_ms: Some(timeout_ms),
        ..Timeouts::default()
    };
    let mut exchange = Exchange::send(request, timeouts)?;
    let (mut status, mut headers, mut body) = (0, Vec::new(), Vec::new());
    let mut read = 0;
    while read < limit {
        match exchange.step(true)? {
            Step::Head {
                status: code,
                headers: fields,
            } => (status, headers) = (code, fields),
            Step::Bytes(bytes) => {
                read += bytes.len();
                let room = kept.saturating_sub(body.len()).min(bytes.len());
                body.extend_from_slice(bytes.get(..room).unwrap_or_default());
            }
            Step::Nothing => {}
            Step::End => break,
        }
    }
    Ok((status, headers, body))
}

/// One model of it.
pub(super) fn resolve(settings: &Settings, id: &str) -> Result<Model, Error> {
    if let Some(model) = models::declared(settings, id)? {
        return Ok(model);
    }
    models::find(settings, list(settings), id)
}

/// How long the body of an error is waited for, in milliseconds: its status says
/// most of it, and vLLM sends it in one piece.
const ERROR_MS: u64 = 10_000;

/// How long the end of a body is waited for after the answer's own end, in
/// milliseconds: vLLM sends it in the same breath.
const DRAIN_MS: u64 = 250;
/// And how many bytes of it are read at the most.
const DRAIN_LIMIT: usize = 64 * 1024;

/// After a read that brought nothing, so many batches are given out without trying for more.
const PATIENCE: u8 = 15;

/// An answer on its way.
pub(super) struct ChatStream {
    /// None: the exchange is over.
    exchange: Option<Exchange>,
    /// Batches that are still given out as they are. A host may hand over what arrived piece by piece, and then it pays to
    /// read on; or all at once, and then it never does.
    patience: u8,
    decoder: Decoder,
    ready: Vec<Event>,
    /// Comes after what is ready.
    failure: Option<Error>,
}

impl ChatStream {
    /// Sends the request of a chat.
    pub(super) fn start(
        settings: &Settings,
        model: &Model,
        request: &ChatRequest,
    ) -> Result<Self, Error> {
        let chat = crate::request::prepare(settings, model, request)?;
        let timeouts = Timeouts {
            silence_ms: chat.timeout_ms,
            total_ms: None,
        };
        let mut decoder = Decoder::new(chat.decoding);
        let exchange = match Exchange::send(&chat.http, timeouts) {
            Ok(exchange) => Some(exchange),
            Err(failure) => return Err(decoder.fail(&failure, &mut Vec::new())),
        };
        Ok(Self {
            exchange,
            patience: 0,
            decoder,
            ready: Vec::new(),
            failure: None,
        })
    }

    /// What [`ChatStream::next`] would not wait for.
    pub(super) fn subscribe(&self) -> Pollable {
        match &self.exchange {
            Some(exchange) if self.ready.is_empty() => exchange.subscribe(),
            _ => subscribe_duration(0),
        }
    }

    /// Waits for events; at most `max` of them, and none at the end.
    pub(super) fn next(&mut self, max: u32) -> Result<Vec<Event>, Error> {
        let max = max.max(1) as usize;
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
            let wait = self.ready.is_empty();
            if !wait && self.patience > 0 {
                self.patience -= 1;
                break;
            }
            let outcome = match exchange.step(wait) {
                Ok(Step::Head { status, headers }) => {
                    self.decoder.head(status, &headers);
                    if status >= 300 {
                        exchange.hurry(ERROR_MS);
                    }
                    Ok(())
                }
                Ok(Step::Bytes(bytes)) => {
                    let outcome = self.decoder.feed(&bytes, &mut self.ready);
                    match self.decoder.has_enough() {
                        true => self.decoder.finish(&mut self.ready),
                        false => outcome,
                    }
                }
                // A wait may end with nothing, too.
                Ok(Step::Nothing) if wait => Ok(()),
                Ok(Step::Nothing) => {
                    self.patience = PATIENCE;
                    break;
                }
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
        let later = self.ready.split_off(max.min(self.ready.len()));
        Ok(core::mem::replace(&mut self.ready, later))
    }
}
