//! The second provider with one fault at a time: what the conformance suite must find.
//!
//! Everything but this crate's own files is `tests/second`, which is honest. The configuration names a fault; without one
//! this provider is that one. `tests/it/check.rs` says which check finds which fault.
#![cfg(target_arch = "wasm32")]
#![allow(
    clippy::result_large_err,
    reason = "as in the provider that it is made of"
)]

#[path = "../../second/src/answer.rs"]
mod answer;
#[path = "../../second/src/bindings.rs"]
mod bindings;
#[path = "../../second/src/catalog.rs"]
mod catalog;
#[path = "../../second/src/error.rs"]
mod error;
mod faults;
#[path = "../../second/src/http.rs"]
mod http;
#[path = "../../second/src/request.rs"]
mod request;
#[path = "../../second/src/settings.rs"]
mod settings;
mod stream;

use std::sync::atomic::{AtomicU32, Ordering};

use bindings::exports::llm::provider::{catalog as models, chat, info};
use bindings::llm::provider::types::{
    Catalog, ChatRequest, Error, ErrorKind, Manifest, Model, Note, Settings,
};
use faults::Fault;
use settings::Config;

const MANIFEST_JSON: &str = include_str!("../../second/manifest.json");

#[allow(unsafe_code, reason = "the attribute names a section of the file")]
#[unsafe(link_section = "llm-provider-manifest")]
#[used]
static MANIFEST: [u8; MANIFEST_JSON.len()] = {
    let mut bytes = [0; MANIFEST_JSON.len()];
    bytes.copy_from_slice(MANIFEST_JSON.as_bytes());
    bytes
};

/// The component, by the name that its bindings export.
pub(crate) struct Ollama;

/// Calls that were made in this store: what no honest provider counts.
pub(crate) static CALLS: AtomicU32 = AtomicU32::new(0);

/// The calls before this one.
pub(crate) fn count() -> u32 {
    CALLS.fetch_add(1, Ordering::Relaxed)
}

impl info::Guest for Ollama {
    fn get_manifest() -> Manifest {
        let facts: serde_json::Value = serde_json::from_str(MANIFEST_JSON).unwrap_or_default();
        let text = |name: &str| facts[name].as_str().map(str::to_owned);
        let calls = CALLS.load(Ordering::Relaxed);
        Manifest {
            id: text("id").unwrap_or_default(),
            label: match calls {
                0 => text("label").unwrap_or_default(),
                // The fault `forgets-its-name`: only that counts here.
                _ => format!("Ollama {calls}"),
            },
            api: text("api").unwrap_or_default(),
            version: text("version").unwrap_or_default(),
            key_variable: text("key_variable"),
            default_base_url: text("default_base_url"),
            documentation_url: text("documentation_url"),
            config_schema: facts["config_schema"].to_string(),
        }
    }

    fn check_settings(settings: Settings) -> Result<Vec<Note>, Error> {
        faults::check_settings(&settings, &Fault::of(&settings))
    }
}

impl models::Guest for Ollama {
    fn list_models(settings: Settings) -> Result<Catalog, Error> {
        let fault = Fault::of(&settings);
        let read = Config::read(&settings);
        if fault.is("judges-late") && read.is_err() {
            return Err(error::plain(ErrorKind::Server, "something is wrong"));
        }
        let (config, _) = read?;
        if !fault.is("asks-for-what-is-declared")
            && let Some(mut catalog) = catalog::without_asking(&config)
        {
            if fault.is("off-without-a-word") {
                catalog.notes.clear();
            }
            return Ok(catalog);
        }
        let fetched = http::fetch(&config, "/api/tags");
        if fault.is("asks-twice") {
            let _ = http::fetch(&config, "/api/tags");
        }
        let listed = fetched.and_then(|(head, body)| catalog::from_answer(&config, &head, &body));
        faults::list_models(listed, &fault)
    }

    fn resolve_model(settings: Settings, id: String) -> Result<Model, Error> {
        let fault = Fault::of(&settings);
        let (config, _) = Config::read(&settings)?;
        if let Some(model) = config.models.iter().find(|model| model.id == id) {
            return Ok(model.clone());
        }
        let found = Self::list_models(settings).and_then(|listed| catalog::find(listed, &id));
        faults::resolve_model(found, &id, &fault)
    }
}

impl chat::Guest for Ollama {
    type ChatStream = stream::Stream;

    fn start(
        settings: Settings,
        model: Model,
        request: ChatRequest,
    ) -> Result<chat::ChatStream, Error> {
        stream::start(&settings, model, request).map(chat::ChatStream::new)
    }
}
