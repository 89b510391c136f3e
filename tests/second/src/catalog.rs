//! The models that the settings declare and that the server lists.

use serde::Deserialize;

use crate::bindings::llm::provider::types::{
    Catalog, CatalogSource, Error, ErrorKind, Model, ModelSource, Note,
};
use crate::error::{self, Head};
use crate::settings::{Config, model};

/// The catalog, where the settings alone tell it.
pub(crate) fn without_asking(config: &Config) -> Option<Catalog> {
    if !config.present && config.key.is_none() {
        let message = "the provider ollama is off: there is neither a key nor an entry \
                       models.providers.ollama; an empty entry is enough for a server on this machine";
        return Some(Catalog {
            source: CatalogSource::Disabled,
            models: Vec::new(),
            notes: vec![note("provider-disabled", message.into())],
        });
    }
    if config.discover || config.models.is_empty() {
        return None;
    }
    Some(Catalog {
        source: CatalogSource::Declared,
        models: config.models.clone(),
        notes: Vec::new(),
    })
}

/// `{"models": [{"model": "llama3.2:latest", …}]}`; what else stands there is of no concern.
#[derive(Deserialize)]
struct Tags {
    models: Vec<Tag>,
}

#[derive(Deserialize)]
struct Tag {
    model: Option<String>,
    name: Option<String>,
}

/// The catalog from the answer to `GET /api/tags`.
pub(crate) fn from_answer(config: &Config, head: &Head, body: &[u8]) -> Result<Catalog, Error> {
    if !(200..300).contains(&head.status) {
        return Err(error::status(head, body));
    }
    let text = String::from_utf8_lossy(body);
    let tags: Tags = serde_json::from_str(&text).map_err(|why| {
        let why = format!("the answer is no list of models ({why}); is this an Ollama server?");
        error::broken(head, ErrorKind::Protocol, &why)
    })?;
    let mut catalog = Catalog {
        source: CatalogSource::Discovered,
        models: Vec::new(),
        notes: Vec::new(),
    };
    for tag in tags.models {
        let id = tag.model.or(tag.name).unwrap_or_default();
        if !id.is_empty() && catalog.models.iter().all(|model| model.id != id) {
            catalog.models.push(model(&id, ModelSource::Discovered));
        }
    }
    for declared in &config.models {
        catalog.source = CatalogSource::Merged;
        match catalog.models.iter_mut().find(|row| row.id == declared.id) {
            Some(row) => *row = declared.clone(),
            None => catalog.models.push(declared.clone()),
        }
    }
    if catalog.models.is_empty() {
        let message = format!("{}: the server has no model; pull one", head.exchange);
        catalog.notes.push(note("no-models-served", message));
    }
    Ok(catalog)
}

/// One model of the catalog, or why it is not there and which ones are, the nearest first.
pub(crate) fn find(catalog: Catalog, id: &str) -> Result<Model, Error> {
    let mut models = catalog.models;
    if let Some(at) = models.iter().position(|model| model.id == id) {
        return Ok(models.swap_remove(at));
    }
    let alike = |other: &str| {
        other
            .chars()
            .zip(id.chars())
            .take_while(|(a, b)| a == b)
            .count()
    };
    models.sort_by_key(|model| std::cmp::Reverse(alike(&model.id)));
    let there: Vec<&str> = models
        .iter()
        .take(5)
        .map(|model| model.id.as_str())
        .collect();
    let why = match (&catalog.source, there.is_empty()) {
        (CatalogSource::Disabled, _) => {
            "the provider is off, it has neither a key nor an entry".into()
        }
        (_, true) => "the server has no model".into(),
        (_, false) => format!("there are {}", error::quoted(&there.join(", "))),
    };
    let message = format!("there is no model ollama/{}: {why}", error::quoted(id));
    Err(error::plain(ErrorKind::ModelNotFound, message))
}

fn note(code: &str, message: String) -> Note {
    Note {
        code: code.into(),
        path: None,
        message,
    }
}
