//! A provider in a few hundred lines, to copy from: Ollama's own API, which streams JSON by the line.
//!
//! It is complete and honest, and small because it leaves out what a provider may leave out: it counts no tokens and tells
//! no health. Read it in this order:
//!
//! | file | what |
//! |---|---|
//! | `lib.rs` | the manifest, and the contract's functions, each a few lines |
//! | `settings.rs` | what the user configured, judged |
//! | `catalog.rs` | the models that the settings declare and that `GET /api/tags` lists |
//! | `request.rs` | a chat request → the JSON of `POST /api/chat` |
//! | `answer.rs` | lines of JSON → events |
//! | `error.rs` | whatever went wrong → one typed error |
//! | `http.rs` | the one file that waits and sends |
//! | `bindings.rs` | the contract, as wit-bindgen writes it |
//!
//! `provider-host plugin check` holds it against the contract (`docs/check.md`).
#![cfg(target_arch = "wasm32")]
#![allow(
    clippy::result_large_err,
    reason = "the contract's error is a record, and a failure ends an exchange: it is made once"
)]

mod answer;
mod bindings;
mod catalog;
mod error;
mod http;
mod request;
mod settings;

use std::cell::RefCell;

use serde::Deserialize;
use serde_json::value::RawValue;
use wasip2::clocks::monotonic_clock::subscribe_duration;
use wasip2::io::poll::Pollable;

use answer::Decoder;
use bindings::exports::llm::provider::{catalog as models, chat, info};
use bindings::llm::provider::types::{
    Catalog, ChatRequest, Error, Event, Manifest, Model, Note, Settings,
};
use http::Exchange;
use settings::Config;

/// One file holds the facts. It is compiled in twice: here, for a host that has not yet decided to run the component, and
/// in `get_manifest`, for one that runs it.
const MANIFEST_JSON: &str = include_str!("../manifest.json");

#[allow(unsafe_code, reason = "the attribute names a section of the file")]
#[unsafe(link_section = "llm-provider-manifest")]
#[used]
static MANIFEST: [u8; MANIFEST_JSON.len()] = {
    let mut bytes = [0; MANIFEST_JSON.len()];
    bytes.copy_from_slice(MANIFEST_JSON.as_bytes());
    bytes
};

/// The component. It has no state: settings come with each call, and an answer is a resource of its own.
pub(crate) struct Ollama;

impl info::Guest for Ollama {
    fn get_manifest() -> Manifest {
        #[derive(Deserialize)]
        struct Facts<'a> {
            id: String,
            label: String,
            api: String,
            version: String,
            key_variable: Option<String>,
            default_base_url: Option<String>,
            documentation_url: Option<String>,
            #[serde(borrow)]
            config_schema: &'a RawValue,
        }
        let facts: Facts<'_> =
            serde_json::from_str(MANIFEST_JSON).expect("a file that is part of the program");
        Manifest {
            id: facts.id,
            label: facts.label,
            api: facts.api,
            version: facts.version,
            key_variable: facts.key_variable,
            default_base_url: facts.default_base_url,
            documentation_url: facts.documentation_url,
            config_schema: facts.config_schema.get().into(),
        }
    }

    fn check_settings(settings: Settings) -> Result<Vec<Note>, Error> {
        Config::read(&settings).map(|(_, notes)| notes)
    }
}

impl models::Guest for Ollama {
    fn list_models(settings: Settings) -> Result<Catalog, Error> {
        let (config, _) = Config::read(&settings)?;
        if let Some(catalog) = catalog::without_asking(&config) {
            return Ok(catalog);
        }
        let (answer, body) = http::fetch(&config, "/api/tags")?;
        catalog::from_answer(&config, &answer, &body)
    }

    fn resolve_model(settings: Settings, id: String) -> Result<Model, Error> {
        let (config, _) = Config::read(&settings)?;
        if let Some(model) = config.models.iter().find(|model| model.id == id) {
            return Ok(model.clone());
        }
        catalog::find(Self::list_models(settings)?, &id)
    }
}

impl chat::Guest for Ollama {
    type ChatStream = Stream;

    fn start(
        settings: Settings,
        model: Model,
        request: ChatRequest,
    ) -> Result<chat::ChatStream, Error> {
        let (config, _) = Config::read(&settings)?;
        let (body, notes) = request::body(&config, &model, &request)?;
        let exchange = Exchange::post(&config, "/api/chat", &body)?;
        Ok(chat::ChatStream::new(Stream(RefCell::new(Answer {
            exchange: Some(exchange),
            decoder: Decoder::new(&model, notes),
            ready: Vec::new(),
            failure: None,
        }))))
    }
}

/// The resource: the component model gives it out shared, and calls it from one thread.
pub(crate) struct Stream(RefCell<Answer>);

/// An answer on its way. Dropping it drops the exchange, and with that the connection.
struct Answer {
    /// None: it is over.
    exchange: Option<Exchange>,
    decoder: Decoder,
    ready: Vec<Event>,
    /// Comes after what is ready.
    failure: Option<Error>,
}

impl chat::GuestChatStream for Stream {
    fn next(&self, max: u32) -> Result<Vec<Event>, Error> {
        let mut answer = self.0.borrow_mut();
        while answer.ready.is_empty() && answer.exchange.is_some() {
            answer.step();
        }
        if answer.ready.is_empty()
            && let Some(failure) = answer.failure.take()
        {
            return Err(failure);
        }
        // Nothing ready here is the end: the list is empty, now and whenever it is asked for again.
        let count = answer.ready.len().min(max.max(1) as usize);
        Ok(answer.ready.drain(..count).collect())
    }

    fn subscribe(&self) -> Pollable {
        let answer = self.0.borrow();
        match &answer.exchange {
            Some(exchange) if answer.ready.is_empty() => exchange.subscribe(),
            _ => subscribe_duration(0),
        }
    }
}

impl Answer {
    /// Waits for the next bytes and decodes them.
    fn step(&mut self) {
        let Some(exchange) = &mut self.exchange else {
            return;
        };
        let outcome = match exchange.read() {
            Ok(Some(bytes)) => self.decoder.feed(&bytes, &mut self.ready),
            Ok(None) => self.decoder.end(&mut self.ready),
            Err(failure) => Err(failure),
        };
        self.failure = outcome.err();
        if self.failure.is_some() || self.decoder.is_done() {
            self.exchange = None;
        }
    }
}
