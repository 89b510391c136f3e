//! How long a prompt is: `POST /tokenize`.
//!
//! The endpoint lies at the server's root, beside `/v1`. It is asked with the
//! very body that the chat would have, less what has no part in the prompt, so
//! that template arguments, thinking and the user's own fields count as they
//! will: what comes back is the `prompt_tokens` of the chat's usage.

use alloc::string::String;
use alloc::vec::Vec;

use crate::asking::Asking;
use crate::config::Config;
use crate::error;
use crate::json::{Malformed, Reader};
use crate::number::parse_integer;
use crate::raw_json::{Object, Raw};
use crate::request;
use crate::text;
use crate::types::{ChatRequest, Error, ErrorKind, Model, Settings};

/// The length of a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenCount {
    /// Tokens of the prompt.
    pub prompt: u32,
    /// The server's context, where it tells.
    pub context_window: Option<u32>,
}

/// The kind of error of a server that has no such endpoint.
pub const UNSUPPORTED: &str = "unsupported";

/// Fields of a chat's body that make the prompt (vLLM's `TokenizeChatRequest`).
const FIELDS: &[&str] = &[
    "model",
    "messages",
    "tools",
    "chat_template",
    "chat_template_kwargs",
    "add_generation_prompt",
    "continue_final_message",
    "add_special_tokens",
    "mm_processor_kwargs",
];

/// Prepares the count.
///
/// # Errors
/// As [`request::prepare`]. Nothing has been sent.
pub fn prepare(settings: &Settings, model: &Model, request: &ChatRequest) -> Result<Asking, Error> {
    let (config, _) = Config::from_settings(settings)?;
    let own = [
        ("content-type", "application/json"),
        ("accept", "application/json"),
    ];
    let headers = config.headers(&own, config.declared(&model.id))?;
    let chat = request::body(&config, model, request, &mut Vec::new())?;
    let mut asking = Asking::root(&config, "tokenize", headers, body(chat).into());
    asking.context.model = Some(model.id.clone());
    Ok(asking)
}

fn body(mut chat: Object) -> String {
    // The chat endpoint hands a level of thinking to the template as two of its
    // arguments; this one does not know the field.
    if let Some(effort) = chat.get("reasoning_effort") {
        let on = if effort == "\"none\"" {
            "false"
        } else {
            "true"
        };
        let mut template = Object::default();
        template.set("enable_thinking", on);
        template.set("reasoning_effort", effort);
        let own = chat.get("chat_template_kwargs").map(Raw::parse);
        if let Some(own) = own.and_then(Result::ok).and_then(|own| own.as_object()) {
            template.merge(&Object::from(&own));
        }
        chat.set("chat_template_kwargs", template.to_json());
    }
    if chat.get("add_generation_prompt").is_none() && chat.get("continue_final_message").is_none() {
        chat.set("add_generation_prompt", "true");
    }
    chat.retain(FIELDS);
    chat.to_json()
}

/// The count, from the answer to the question of [`prepare`]. Of the body the
/// first [`crate::asking::KEPT_BYTES`] are enough: vLLM writes the numbers before
/// the tokens.
///
/// # Errors
/// As [`crate::error`]; the kind [`UNSUPPORTED`] where the server has no
/// `/tokenize`; `protocol` where there is no count in the body.
pub fn from_answer(
    asking: &Asking,
    status: u16,
    headers: &[(String, Vec<u8>)],
    body: &[u8],
) -> Result<TokenCount, Error> {
    let context = &asking.context;
    if !(200..300).contains(&status) {
        let mut error = error::from_response(context, status, headers, body);
        if matches!(status, 404 | 405) && error.kind != ErrorKind::ModelNotFound {
            error.kind = ErrorKind::Other(UNSUPPORTED.into());
            error.message = error::say(
                context,
                "",
                "",
                "the server has no /tokenize, or a proxy before it does not pass it on: prompts \
                 can't be counted before they are sent",
            );
        }
        return Err(error);
    }
    let (mut prompt, mut context_window) = (None, None);
    // An end in the middle of the tokens is none of the numbers'.
    let _ = numbers(&text::lossy(body), &mut prompt, &mut context_window);
    match prompt {
        Some(prompt) => Ok(TokenCount {
            prompt,
            context_window,
        }),
        None => Err(error::no_answer(
            context,
            status,
            headers,
            body,
            "no count of tokens",
        )),
    }
}

fn numbers(body: &str, count: &mut Option<u32>, window: &mut Option<u32>) -> Result<(), Malformed> {
    let mut json = Reader::new(body);
    if !json.object()? {
        return Ok(());
    }
    while let Some(name) = json.name()? {
        let to = match &*name {
            "count" => &mut *count,
            "max_model_len" => &mut *window,
            _ => {
                json.skip()?;
                continue;
            }
        };
        *to = parse_integer(json.value()?).and_then(|number| u32::try_from(number).ok());
    }
    Ok(())
}

#[cfg(test)]
mod tests;
