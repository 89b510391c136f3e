//! One entry of `models.providers.vllm.models`: a model as the user declares
//! it.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use super::compat::Compat;
use super::found::Path;
use super::headers::Headers;
use super::keys;
use super::params::Params;
use crate::number::push_integer;
use crate::raw_json::Raw;
use crate::types::{Cost, Error, Modality, Model, ModelSource, Note};

/// Tokens of a context when nobody names them (OpenClaw's default for
/// discovered models).
pub const DEFAULT_CONTEXT_WINDOW: u32 = 128_000;

/// Most tokens of an answer when nobody names them; never more than the
/// context.
pub const DEFAULT_MAX_TOKENS: u32 = 8_192;

/// A declared model and what its requests need beside the contract's record.
#[derive(Clone, Debug)]
pub(crate) struct Declared {
    pub(crate) model: Model,
    /// The part of the context to be used, where the user caps it.
    pub(crate) context_tokens: Option<u32>,
    pub(crate) headers: Headers,
    pub(crate) params: Params,
    pub(crate) compat: Compat,
}

impl Declared {
    pub(crate) fn read(
        path: &Path<'_>,
        value: Raw<'_>,
        notes: &mut Vec<Note>,
    ) -> Result<Self, Box<Error>> {
        let fields = path.object(value)?;
        keys::MODEL.check(path, &fields, notes);
        let Some(id) = fields.get("id") else {
            return Err(path
                .key("id")
                .error("is missing, but must be the id under which the server knows the model"));
        };
        let id = path.key("id").string(id)?.trim().to_owned();
        let name = match fields.get("name") {
            Some(name) => path.key("name").string(name)?,
            None => id.clone(),
        };
        if let Some(api) = fields.get("api") {
            super::api(&path.key("api"), api)?;
        }
        let reasoning = match fields.get("reasoning") {
            Some(reasoning) => path.key("reasoning").bool(reasoning)?,
            None => false,
        };
        let input = match fields.get("input") {
            Some(input) => modalities(&path.key("input"), input)?,
            None => vec![Modality::Text],
        };
        let cost = match fields.get("cost") {
            Some(cost) => prices(&path.key("cost"), cost, notes)?,
            None => Cost::default(),
        };
        let count = |key: &str| {
            let value = fields.get(key);
            value.map(|value| path.key(key).count(value)).transpose()
        };
        let context_window = count("contextWindow")?.unwrap_or(DEFAULT_CONTEXT_WINDOW);
        let context_tokens = count("contextTokens")?;
        let max_tokens = match count("maxTokens")? {
            Some(max) if max > context_window => {
                let mut what = "is more than the context window; ".to_owned();
                push_integer(&mut what, u64::from(context_window));
                what.push_str(" is taken instead of ");
                push_integer(&mut what, u64::from(max));
                notes.push(keys::note(
                    "max-tokens-fitted",
                    &path.key("maxTokens"),
                    &what,
                ));
                context_window
            }
            Some(max) => max,
            None => DEFAULT_MAX_TOKENS.min(context_window),
        };
        let headers = match fields.get("headers") {
            Some(headers) => Headers::read(&path.key("headers"), headers)?,
            None => Headers::default(),
        };
        let params = match fields.get("params") {
            Some(params) => Params::read(&path.key("params"), params, notes)?,
            None => Params::default(),
        };
        let compat = match fields.get("compat") {
            Some(compat) => Compat::read(&path.key("compat"), compat, notes)?,
            None => Compat::default(),
        };
        Ok(Self {
            model: Model {
                id,
                name,
                reasoning,
                input,
                cost,
                context_window,
                max_tokens,
                parent: None,
                source: ModelSource::Declared,
            },
            context_tokens,
            headers,
            params,
            compat,
        })
    }
}

/// `input`; an empty list says nothing and means text.
fn modalities(path: &Path<'_>, value: Raw<'_>) -> Result<Vec<Modality>, Box<Error>> {
    let mut input = Vec::new();
    for (index, value) in path.array(value)?.into_iter().enumerate() {
        let words = ["text", "image", "video", "audio"];
        let modality = match path.index(index).word(value, &words)? {
            "text" => Modality::Text,
            "image" => Modality::Image,
            other => Modality::Other(other.to_owned()),
        };
        if !input.contains(&modality) {
            input.push(modality);
        }
    }
    if input.is_empty() {
        input.push(Modality::Text);
    }
    Ok(input)
}

fn prices(path: &Path<'_>, value: Raw<'_>, notes: &mut Vec<Note>) -> Result<Cost, Box<Error>> {
    let fields = path.object(value)?;
    keys::COST.check(path, &fields, notes);
    let mut cost = Cost::default();
    for (key, price) in [
        ("input", &mut cost.input),
        ("output", &mut cost.output),
        ("cacheRead", &mut cost.cache_read),
        ("cacheWrite", &mut cost.cache_write),
    ] {
        let Some(value) = fields.get(key) else {
            continue;
        };
        *price = match value.as_f64() {
            // `+ 0.0` turns the negative zero into the other one.
            Some(dollars) if dollars >= 0.0 => dollars + 0.0,
            _ => {
                let allowed = "a price in US dollars for a million tokens, 0 or more";
                return Err(path.key(key).refuse(value, allowed));
            }
        };
    }
    Ok(cost)
}
