//! The faults that are not a stream's.

use std::arch::wasm32;
use std::hint::black_box;

use crate::bindings::llm::provider::types::{Catalog, Error, ErrorKind, Model, Note, Settings};
use crate::settings::Config;
use crate::{count, error, http};

/// What the configuration orders: `{"fault": "…"}`; empty: nothing.
#[derive(Clone, Default)]
pub(crate) struct Fault(String);

/// The order where there is no configuration. A test that wants one writes it into the file.
static WITHOUT_CONFIGURATION: &str = "fault without a configuration: none              ";

impl Fault {
    pub(crate) fn of(settings: &Settings) -> Self {
        let Some(config) = &settings.config else {
            let order = black_box(WITHOUT_CONFIGURATION);
            let name = order.rsplit(": ").next().unwrap_or_default();
            return Self(name.trim().to_owned());
        };
        let entry: serde_json::Value = serde_json::from_str(config).unwrap_or_default();
        Self(entry["fault"].as_str().unwrap_or_default().to_owned())
    }

    pub(crate) fn is(&self, name: &str) -> bool {
        self.0 == name
    }
}

/// Computes without end.
pub(crate) fn endless() -> ! {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

/// Fails as a program does.
pub(crate) fn trap() -> ! {
    wasm32::unreachable()
}

pub(crate) fn check_settings(settings: &Settings, fault: &Fault) -> Result<Vec<Note>, Error> {
    if fault.is("loops-in-check-settings") {
        endless();
    }
    if fault.is("traps-in-check-settings") {
        trap();
    }
    if fault.is("forgets-its-name") {
        count();
    }
    let (config, mut notes) = match Config::read(settings) {
        Ok(read) => read,
        Err(_) if fault.is("shrugs") => {
            return Err(error::plain(ErrorKind::Other("no".into()), "no"));
        }
        Err(_) if fault.is("does-not-say-where") => {
            return Err(error::plain(ErrorKind::InvalidConfig, "a value is wrong"));
        }
        Err(error) => return Err(error),
    };
    if fault.is("asks-in-check-settings") {
        let _ = http::fetch(&config, "/api/tags");
    }
    if fault.is("ignores-unknown-keys") {
        notes.clear();
    }
    if fault.is("shouts") {
        notes.push(Note {
            code: "VERY_IMPORTANT".into(),
            path: None,
            message: "\u{1b}[31mread this".into(),
        });
    }
    Ok(notes)
}

pub(crate) fn list_models(listed: Result<Catalog, Error>, fault: &Fault) -> Result<Catalog, Error> {
    let mut catalog = match listed {
        Ok(catalog) => catalog,
        Err(_) if fault.is("one-error-for-all") => {
            return Err(error::plain(ErrorKind::Server, "the server can't be asked"));
        }
        Err(error) => return Err(error),
    };
    if fault.is("empty-without-a-word") {
        catalog.notes.clear();
    }
    if fault.is("counts-listings") {
        let calls = count();
        catalog
            .models
            .iter_mut()
            .for_each(|model| model.name = format!("number {calls}"));
    }
    if let Some(first) = catalog.models.first_mut() {
        let clone = first.clone();
        match fault {
            _ if fault.is("model-without-id") => first.id.clear(),
            _ if fault.is("model-without-context") => first.context_window = 0,
            _ if fault.is("model-that-pays") => first.cost.output = -1.0,
            _ if fault.is("model-twice") => catalog.models.push(clone),
            _ => {}
        }
    }
    Ok(catalog)
}

pub(crate) fn resolve_model(
    found: Result<Model, Error>,
    id: &str,
    fault: &Fault,
) -> Result<Model, Error> {
    match found {
        Ok(mut model) if fault.is("another-entry") => {
            model.max_tokens = 1;
            Ok(model)
        }
        Err(error)
            if fault.is("invents-models") && matches!(error.kind, ErrorKind::ModelNotFound) =>
        {
            Ok(crate::settings::model(
                id,
                crate::bindings::llm::provider::types::ModelSource::Discovered,
            ))
        }
        Err(_) if fault.is("never-there") => {
            let why = format!("there is no model {id:?}");
            Err(error::plain(ErrorKind::ModelNotFound, why))
        }
        other => other,
    }
}
