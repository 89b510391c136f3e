//! Which models there are.
//!
//! In go the settings and, where they ask for discovery, the answer to
//! `GET {base}/models`; out comes the catalog. Whether anything is asked is
//! settled by the settings alone:
//!
//! | `models.providers.vllm` | credential | what happens |
//! |---|---|---|
//! | absent | none | the provider is off, and a note says why |
//! | absent | a key | discovery at the default base URL |
//! | present with models | any | the declared models, no request |
//! | present without | any | no models, no request, and a note says why |
//! | present, and `vllm/*` | any | discovery, declared models override by id |
//!
//! OpenClaw folds every failure into an empty list and then tells everybody to
//! set the key. Here each failure stays what it is.

mod hints;
mod rows;

pub use hints::find;

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use rows::NoList;

use crate::base_url::DEFAULT_BASE_URL;
use crate::config::Config;
use crate::error::{self, Context};
use crate::number::push_integer;
use crate::text;
use crate::types::{
    Catalog, CatalogSource, Error, HttpRequest, Model, Note, Settings, TransportFailure,
};

/// Time for the whole discovery, in milliseconds (OpenClaw's).
pub const DISCOVERY_TIMEOUT_MS: u64 = 5_000;

/// Most bytes of an answer to the discovery (OpenClaw's). Ten thousand models
/// with their permissions are 6 MB.
pub const DISCOVERY_BODY_LIMIT: usize = 16_777_216;

const RESOURCE: &str = "models";

/// What there is to do for a catalog.
#[derive(Debug, Clone, PartialEq)]
pub enum Plan {
    /// Nothing: here it is.
    Ready(Catalog),
    /// This request; its answer goes to [`from_answer`], its failure to
    /// [`discovery_failed`]. Redirects are not followed.
    Discover(HttpRequest),
}

/// Settles whether the server is asked.
///
/// # Errors
/// `invalid-config`; `authentication` where a server that is not this machine
/// would be asked without a key and the configuration does not say that this is
/// right.
pub fn plan(settings: &Settings) -> Result<Plan, Error> {
    let (config, _) = Config::from_settings(settings)?;
    if asks(&config) {
        let headers = config.headers(&[("accept", "application/json")], None)?;
        return Ok(Plan::Discover(HttpRequest {
            method: "GET",
            url: config.base_url().join(RESOURCE),
            headers,
            body: Vec::new(),
        }));
    }
    let mut catalog = Catalog {
        source: CatalogSource::Declared,
        models: config.models().iter().map(|d| d.model.clone()).collect(),
        notes: Vec::new(),
    };
    if !config.is_present() {
        catalog.source = CatalogSource::Disabled;
        catalog.notes.push(Note::new(
            "provider-disabled",
            text::concat(&[
                "the provider vllm is off: there is no API key and no entry \
                 models.providers.vllm; set VLLM_API_KEY (any value will do for a server that \
                 checks none) to discover the models at ",
                DEFAULT_BASE_URL,
            ]),
        ));
    } else if catalog.models.is_empty() {
        catalog.notes.push(Note {
            code: "no-models-declared".to_owned(),
            path: Some("models.providers.vllm.models".to_owned()),
            message: "models.providers.vllm declares no models, and an explicit entry switches \
                      discovery off; list them under models.providers.vllm.models, or add \
                      \"vllm/*\": {} to agents.defaults.models to discover them at its base URL, \
                      or remove the entry to discover them at the default one"
                .to_owned(),
        });
    }
    Ok(Plan::Ready(catalog))
}

fn asks(config: &Config) -> bool {
    match config.is_present() {
        true => config.discover(),
        false => config.has_api_key(),
    }
}

/// The catalog from the answer to the request of [`plan`].
///
/// # Errors
/// As [`crate::error`] for every status but 2xx, and for a body that says itself
/// that it is an error; `protocol` where the body holds no list.
pub fn from_answer(
    settings: &Settings,
    status: u16,
    headers: &[(String, Vec<u8>)],
    body: &[u8],
) -> Result<Catalog, Error> {
    let (config, _) = Config::from_settings(settings)?;
    let mut notes = Vec::new();
    let context = context(&config);
    if !(200..300).contains(&status) {
        return Err(error::from_response(&context, status, headers, body));
    }
    if body.len() > DISCOVERY_BODY_LIMIT {
        let what = "more than 16 MiB, which is no list of models";
        return Err(error::no_answer(&context, status, headers, &[], what));
    }
    let (mut models, skipped) = rows::models(&text::lossy(body)).map_err(|why| match why {
        NoList::Error => error::in_success(&context, status, body),
        NoList::Other(why) => error::no_answer(&context, status, headers, body, why),
    })?;
    if skipped > 0 {
        notes.push(Note::new("rows-skipped", {
            let mut message = String::new();
            push_integer(&mut message, skipped as u64);
            let rest = [
                " of the rows that ",
                &context.url,
                " listed have no usable id and were skipped",
            ];
            message.push_str(&text::concat(&rest));
            message
        }));
    }
    if models.is_empty() {
        notes.push(Note::new(
            "no-models-served",
            text::concat(&[
                "the server answered at ",
                &context.url,
                ", and it serves no model",
            ]),
        ));
    }
    let mut source = CatalogSource::Discovered;
    for declared in config.models() {
        source = CatalogSource::Merged;
        let model = declared.model.clone();
        match models.iter_mut().find(|row| row.id == model.id) {
            Some(row) => *row = model,
            None => models.push(model),
        }
    }
    Ok(Catalog {
        source,
        models,
        notes,
    })
}

/// The error of a discovery that got no answer.
pub fn discovery_failed(settings: &Settings, failure: &TransportFailure) -> Error {
    match Config::from_settings(settings) {
        Ok((config, _)) => error::from_transport(&context(&config), failure),
        Err(error) => error,
    }
}

/// The model that the configuration declares under this id, for which nothing
/// has to be asked.
///
/// # Errors
/// `invalid-config`.
pub fn declared(settings: &Settings, id: &str) -> Result<Option<Model>, Error> {
    let (config, _) = Config::from_settings(settings)?;
    let id = id.trim();
    let declared = config.declared(id);
    // A list may have the very id.
    let declared = declared.or_else(|| match asks(&config) {
        true => None,
        false => config.declared_with_prefix(id),
    });
    Ok(declared.map(|declared| declared.model.clone()))
}

fn context(config: &Config) -> Context {
    Context {
        method: "GET",
        url: config.base_url().display(RESOURCE),
        model: None,
        base_has_v1: config.base_url().has_v1(),
        has_key: config.sends_key(),
    }
}

#[cfg(test)]
mod tests;
