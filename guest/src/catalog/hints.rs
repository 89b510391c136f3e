//! Why there is no such model.
//!
//! Five causes that want five different acts: no key is set; the key is
//! refused; the server can't be reached; it serves other models; the
//! configuration declares others. The error says which, and what to do.

use alloc::string::String;
use alloc::vec::Vec;

use crate::config::{Config, distance, without_prefix};
use crate::error::quote::{MAX_SNIPPET, quote};
use crate::number::push_integer;
use crate::text;
use crate::types::{Catalog, CatalogSource, Error, ErrorKind, Model, Settings};

/// Ids that an error lists at most.
const LISTED: usize = 8;

/// Finds a model in a catalog, or in what came instead of one.
///
/// # Errors
/// The catalog's own error, told as the reason why the model is not known; else
/// `model-not-found`, with the ids there are, the nearest first.
pub fn find(
    settings: &Settings,
    catalog: Result<Catalog, Error>,
    id: &str,
) -> Result<Model, Error> {
    let id = id.trim();
    let catalog = match catalog {
        Ok(catalog) => catalog,
        Err(mut error) => {
            // Whether there is such a model is not known.
            let id = quote(id, MAX_SNIPPET);
            error.message = text::concat(&["cannot look up vllm/", &id, ": ", &error.message]);
            return Err(error);
        }
    };
    let models = &catalog.models;
    let found = models.iter().find(|model| model.id == id);
    let with_prefix = || {
        models
            .iter()
            .find(|model| without_prefix(&model.id) == Some(id))
    };
    if let Some(model) = found.or_else(with_prefix) {
        return Ok(model.clone());
    }
    let address = match Config::from_settings(settings) {
        Ok((config, _)) => config.base_url().display("models"),
        Err(error) => return Err(error),
    };
    let near = nearest(models, id);
    let why = match catalog.source {
        CatalogSource::Disabled => [
            "the provider vllm is off, for no API key is set; set VLLM_API_KEY (any value will do \
             for a server that checks none) to discover the models at ",
            &address,
            ", or declare it under models.providers.vllm.models",
            "",
        ],
        CatalogSource::Declared if models.is_empty() => [
            "models.providers.vllm declares no models, and an explicit entry switches discovery \
             off; declare it under models.providers.vllm.models, or add \"vllm/*\": {} to \
             agents.defaults.models to discover what the server has",
            "",
            "",
            "",
        ],
        CatalogSource::Declared => [
            "models.providers.vllm declares only ",
            &near,
            "; declare this one, too, or add \"vllm/*\": {} to agents.defaults.models to discover \
             what the server has",
            "",
        ],
        CatalogSource::Discovered | CatalogSource::Merged if models.is_empty() => [
            "the server answered at ",
            &address,
            ", and it serves no model",
            "",
        ],
        CatalogSource::Discovered => [
            "the server answered at ",
            &address,
            ", and it serves only ",
            &near,
        ],
        CatalogSource::Merged => [
            "the server answered at ",
            &address,
            ", and with the declared models there are only ",
            &near,
        ],
    };
    Err(Error::new(
        ErrorKind::ModelNotFound,
        unknown(id, &text::concat(&why)),
    ))
}

fn unknown(id: &str, why: &str) -> String {
    text::concat(&["unknown model vllm/", &quote(id, MAX_SNIPPET), ": ", why])
}

/// The ids, nearest first; equal ones in the catalog's order.
fn nearest(models: &[Model], id: &str) -> String {
    let wanted = Spelling::of(id);
    let mut ids: Vec<(usize, &str)> = models
        .iter()
        .map(|model| (wanted.distance(&Spelling::of(&model.id)), model.id.as_str()))
        .collect();
    // A sort would be the largest piece of code here, for eight of the ids.
    let mut out = String::new();
    for _ in 0..LISTED.min(ids.len()) {
        let Some((distance, id)) = ids.iter_mut().min_by_key(|(distance, _)| *distance) else {
            break;
        };
        // Listed: the farthest from now on.
        *distance = usize::MAX;
        out.push_str(if out.is_empty() { "" } else { ", " });
        // The server's words: an id may be anything, and this is for people.
        out.push_str(&quote(id, MAX_SNIPPET));
    }
    if let Some(more @ 1..) = ids.len().checked_sub(LISTED) {
        out.push_str(" and ");
        push_integer(&mut out, more as u64);
        out.push_str(" more");
    }
    out
}

/// An id in lower case: whole, and without the organisation before the slash,
/// which people leave out.
struct Spelling {
    whole: Vec<char>,
    base: usize,
}

impl Spelling {
    fn of(id: &str) -> Self {
        // Longer ids are compared by their beginnings: the cost is quadratic.
        let whole: Vec<char> = id
            .chars()
            .map(|c| c.to_ascii_lowercase())
            .take(96)
            .collect();
        let base = whole.iter().rposition(|c| *c == '/').map_or(0, |at| at + 1);
        Self { whole, base }
    }

    fn distance(&self, other: &Self) -> usize {
        let bases = distance(
            self.whole.get(self.base..).unwrap_or_default(),
            other.whole.get(other.base..).unwrap_or_default(),
        );
        // Twice, so that of equal bases the one with the same organisation is
        // nearer.
        2 * bases + usize::from(self.whole != other.whole)
    }
}
