//! The request of a chat: `POST {base}/chat/completions`, always streaming.
//!
//! In go the settings, an entry of the catalog and the contract's chat request,
//! out comes one HTTP request. What is never sent unless the user's own `extra`
//! or `params.extra_body` says so: `store`, `service_tier`, cache hints,
//! `metadata`, a tool's `strict`, attribution, telemetry.
//!
//! Who wins, from the weakest: named `params` (provider, model, agent), the
//! request's own fields, `params.extra_body` (OpenClaw's last override), the
//! request's `extra`. `chat_template_kwargs` are merged key by key in the same
//! order, over what the model's family needs.

mod base64;
mod limit;
mod messages;
mod thinking;
mod tools;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use crate::config::Config;
use crate::config::params::Extra;
use crate::decoder::Options;
use crate::error::Context;
use crate::number;
use crate::raw_json::{Object, Raw, push_string, string};
use crate::text;
use crate::types::{
    ChatRequest, Error, ErrorKind, HttpRequest, Modality, Model, Note, ResponseFormat, Sampling,
    Settings,
};

const RESOURCE: &str = "chat/completions";

/// A chat, ready to be sent.
#[derive(Debug)]
pub struct Chat {
    /// What is sent.
    pub http: HttpRequest,
    /// What its answer is decoded with.
    pub decoding: Options,
    /// How long the server may be silent, in milliseconds, where the user
    /// limits it.
    pub timeout_ms: Option<u64>,
}

/// Prepares a chat.
///
/// # Errors
/// `invalid-config` for the settings, `invalid-request` for what no server
/// could take (the message names the field or the tool), `authentication`
/// where a key is needed and there is none. Nothing has been sent.
pub fn prepare(settings: &Settings, model: &Model, request: &ChatRequest) -> Result<Chat, Error> {
    let (config, _) = Config::from_settings(settings)?;
    let declared = config.declared(&model.id);
    let own = [
        ("content-type", "application/json"),
        ("accept", "text/event-stream"),
    ];
    let base = config.base_url();
    let mut notes = Vec::new();
    let body = body(&config, model, request, &mut notes)?;
    let choices = body.get("n").and_then(number::parse);
    Ok(Chat {
        http: HttpRequest {
            method: "POST",
            url: base.join(RESOURCE),
            headers: config.headers(&own, declared)?,
            body: body.to_json().into_bytes(),
        },
        decoding: Options {
            context: Context {
                method: "POST",
                url: base.display(RESOURCE),
                model: Some(model.id.clone()),
                base_has_v1: base.has_v1(),
                has_key: config.sends_key(),
            },
            cost: Some(model.cost),
            reasoning: model.reasoning,
            many_choices: choices.is_some_and(|choices| choices > 1.0),
            notes,
        },
        timeout_ms: config.timeout_ms(),
    })
}

/// The request alone of [`prepare`].
///
/// # Errors
/// As there.
pub fn build(
    settings: &Settings,
    model: &Model,
    request: &ChatRequest,
) -> Result<HttpRequest, Error> {
    prepare(settings, model, request).map(|chat| chat.http)
}

/// The fields of a chat's body. `notes`: what the request asks for and can't get.
pub(crate) fn body(
    config: &Config,
    model: &Model,
    request: &ChatRequest,
    notes: &mut Vec<Note>,
) -> Result<Object, Box<Error>> {
    let declared = config.declared(&model.id);
    let compat = declared.map(|d| d.compat.clone()).unwrap_or_default();
    let params = config.params_of(&model.id);
    let extra = extra(request)?;

    let mut body = Object::default();
    body.set("model", string(&model.id));
    let form = messages::Form {
        compat: &compat,
        reasoning: model.reasoning,
        images: model.input.contains(&Modality::Image) && !compat.string_content,
    };
    body.set("messages", messages::json(&request.messages, &form)?);
    body.set("stream", "true");
    if compat.usage_in_streaming {
        body.set("stream_options", r#"{"include_usage":true}"#);
    }
    tools::set(&mut body, request, &compat)?;
    let (limit_field, limit) = (
        compat.max_tokens_field,
        limit::tokens(model, declared, &params, request)?,
    );
    body.set(limit_field, integer(limit));

    body.merge(&params.fields);
    if body.get("tools").is_none() {
        body.remove("parallel_tool_calls");
    }
    sampling(&mut body, &request.sampling)?;
    if !request.stop.is_empty() {
        let mut stop = String::new();
        for text in &request.stop {
            stop.push(if stop.is_empty() { '[' } else { ',' });
            push_string(&mut stop, text);
        }
        stop.push(']');
        body.set("stop", stop);
    }
    if let Some(priority) = request.priority {
        body.set("priority", integer(priority));
    }
    if let Some(format) = &request.response_format {
        body.set("response_format", response_format(format)?);
    }
    let mut template = Object::default();
    let level = request.reasoning.as_ref().or(params.thinking.as_ref());
    if let Some(level) = level {
        let is_sent = thinking::set(&mut body, &mut template, model, &compat, &params, level);
        if !is_sent && request.reasoning.is_some() {
            notes.push(Note::new(
                "reasoning-not-sent",
                thinking::not_sent(model, level),
            ));
        }
    }

    for layer in [&params.extra, &extra] {
        // vLLM lets `max_completion_tokens` win over `max_tokens`: a user who
        // sets either must not be overruled by ours.
        let sets = |name| layer.fields.get(name).is_some();
        if sets("max_tokens") || sets("max_completion_tokens") {
            body.remove("max_tokens");
            body.remove("max_completion_tokens");
        }
        body.merge(&layer.fields);
    }
    for layer in [&params.template, &params.extra.template, &extra.template] {
        template.merge(layer);
    }
    if !template.is_empty() {
        body.set("chat_template_kwargs", template.to_json());
    }
    Ok(body)
}

/// An error about the request itself.
fn invalid(message: &str) -> Box<Error> {
    Box::new(Error::new(ErrorKind::InvalidRequest, message))
}

/// A whole number as JSON.
fn integer(number: impl Into<i64>) -> String {
    let number = number.into();
    let mut json = String::from(if number < 0 { "-" } else { "" });
    number::push_integer(&mut json, number.unsigned_abs());
    json
}

/// A boolean as JSON.
fn boolean(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

fn extra(request: &ChatRequest) -> Result<Extra, Box<Error>> {
    let Some(text) = &request.extra else {
        return Ok(Extra::default());
    };
    let value = Raw::parse(text)
        .map_err(|why| invalid(&text::concat(&["extra is not JSON: ", &why.text()])))?;
    Extra::read(value).map_err(|(key, why)| match key {
        Some(key) => invalid(&text::concat(&["extra.", key, " ", &why])),
        None => invalid(&text::concat(&["extra ", &why])),
    })
}

fn sampling(body: &mut Object, sampling: &Sampling) -> Result<(), Box<Error>> {
    for (name, value) in [
        ("temperature", sampling.temperature),
        ("top_p", sampling.top_p),
        ("min_p", sampling.min_p),
        ("presence_penalty", sampling.presence_penalty),
        ("frequency_penalty", sampling.frequency_penalty),
        ("repetition_penalty", sampling.repetition_penalty),
    ] {
        match value {
            None => {}
            Some(value) if value.is_finite() => body.set(name, number::write(value)),
            Some(value) => {
                let what = match value {
                    f64::INFINITY => "inf",
                    f64::NEG_INFINITY => "-inf",
                    _ => "NaN",
                };
                let message = text::concat(&[name, " is ", what, ", not a finite number"]);
                return Err(invalid(&message));
            }
        }
    }
    if let Some(top_k) = sampling.top_k {
        body.set("top_k", integer(top_k));
    }
    if let Some(seed) = sampling.seed {
        body.set("seed", integer(seed));
    }
    Ok(())
}

fn response_format(format: &ResponseFormat) -> Result<String, Box<Error>> {
    let named = (1..=64).contains(&format.name.len())
        && format
            .name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if !named {
        return Err(invalid(
            "the name of the response format must be 1 to 64 letters, digits, - or _",
        ));
    }
    let mut shape = Object::default();
    shape.set("name", string(&format.name));
    let what = text::concat(&["the schema of the response format ", &format.name]);
    shape.set("schema", tools::schema(&what, &format.schema)?);
    if let Some(strict) = format.strict {
        shape.set("strict", boolean(strict));
    }
    let head = r#"{"type":"json_schema","json_schema":"#;
    Ok(text::concat(&[head, &shape.to_json(), "}"]))
}

#[cfg(test)]
mod tests;
