//! How the server is: `GET /version`, and what is known of that version.
//!
//! The endpoint lies at the server's root, beside `/v1`, and asks for no key. A
//! server without it (another one than vLLM, or a proxy) is none the worse:
//! its version is not told.

use alloc::string::String;
use alloc::vec::Vec;

use crate::asking::Asking;
use crate::config::Config;
use crate::error;
use crate::number::parse_integer;
use crate::raw_json::Raw;
use crate::text;
use crate::types::{Error, Note, Settings};

/// What the server told, and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerHealth {
    /// Its version, in its own words.
    pub version: Option<String>,
    /// Known limits of that version.
    pub notes: Vec<Note>,
}

/// The code of a note on a limit of the server's version.
pub const KNOWN_LIMIT: &str = "known-limit";

/// A limit of the versions `from..below`, each minor × 100 + patch, all of 0.x.
struct Limit {
    from: u32,
    below: u32,
    what: &'static str,
}

const fn limit(from: u32, below: u32, what: &'static str) -> Limit {
    Limit { from, below, what }
}

/// Before this there is nothing worth telling; builds from a checkout without
/// tags call themselves 0.1.dev.
const FIRST: u32 = 200;

static LIMITS: &[Limit] = &[
    // Fields of ChatCompletionRequest in 0.9.2.
    limit(
        FIRST,
        1000,
        "before 0.10 takes no reasoning_effort, include_reasoning or structured_outputs, and \
         ignores them: set chat_template_kwargs and guided_json in extra_body, or update it",
    ),
    // Recorded 400s of 0.14.1; 0.19.1 takes the levels of 0.32.0.
    limit(
        1000,
        1500,
        "0.10 to 0.14 takes the levels low, medium and high of reasoning_effort and refuses \
         others: ask for one of these, or update it",
    ),
    // Recorded 400s of 0.14.1, 0.19.1 and 0.23.0, source up to 0.30; 0.32.0 shortens.
    limit(
        FIRST,
        3100,
        "before 0.31 refuses a request whose prompt and answer limit together are longer than \
         the context, where later ones shorten the answer: have prompts counted, or set a lower \
         maxTokens",
    ),
    // Recorded streams of 0.11.0 and 0.14.1, served with a reasoning parser.
    limit(
        1100,
        1500,
        "0.11 to 0.14 with a reasoning parser may stream a tool call as plain text when the \
         model did not think before it: leave thinking on where tools are offered, or update it",
    ),
    // Recorded streams of 0.14.1, source of 0.11.2 and 0.12.0.
    limit(
        1102,
        1500,
        "0.11.2 to 0.14 sends thinking in two fields, reasoning and reasoning_content; it is \
         read once here, but other clients of the server may show it twice",
    ),
    // Source of 0.16.0 (without it) and 0.19.1 (with it).
    limit(
        FIRST,
        1900,
        "before 0.19 may ignore thinking_token_budget: limit thinking by max_tokens, or update it",
    ),
    // Source of 0.27.1 (without them), recorded streams of 0.32.0 (with them).
    limit(
        FIRST,
        3200,
        "before 0.32 sends nothing while a request waits in its queue: keep idle time-outs \
         longer than the longest wait, or update it and set --sse-keep-alive-interval",
    ),
];

/// Prepares the check.
///
/// # Errors
/// As the discovery's: `invalid-config`, or `authentication` where a key is
/// needed and there is none. Nothing has been sent.
pub fn prepare(settings: &Settings) -> Result<Asking, Error> {
    let (config, _) = Config::from_settings(settings)?;
    let headers = config.headers(&[("accept", "application/json")], None)?;
    Ok(Asking::root(&config, "version", headers, Vec::new()))
}

/// The health, from the answer to the question of [`prepare`].
///
/// # Errors
/// As [`crate::error`] for every status but 2xx and 404; `protocol` where the
/// body is no JSON object.
pub fn from_answer(
    asking: &Asking,
    status: u16,
    headers: &[(String, Vec<u8>)],
    body: &[u8],
) -> Result<ServerHealth, Error> {
    let context = &asking.context;
    let mut version = None;
    if (200..300).contains(&status) {
        let text = text::lossy(body);
        let Some(fields) = Raw::parse(&text).ok().and_then(Raw::as_object) else {
            let what = "something that is no JSON object";
            return Err(error::no_answer(context, status, headers, body, what));
        };
        version = fields.get("version").and_then(Raw::as_string);
    } else if status != 404 {
        return Err(error::from_response(context, status, headers, body));
    }
    let notes = version.as_deref().map_or_else(Vec::new, notes);
    Ok(ServerHealth { version, notes })
}

/// What is known of a version.
fn notes(version: &str) -> Vec<Note> {
    let Some(number) = number(version) else {
        return Vec::new();
    };
    let holds = |limit: &&Limit| (limit.from..limit.below).contains(&number);
    let note = |limit: &Limit| Note::new(KNOWN_LIMIT, text::concat(&["vLLM ", limit.what]));
    LIMITS.iter().filter(holds).map(note).collect()
}

/// `0.11.2rc1` as 1102. None: not a number, or from 1 on, where nothing is
/// known.
fn number(version: &str) -> Option<u32> {
    let version = version.strip_prefix("v").unwrap_or(version);
    let mut parts = text::pieces(version, b".").map(|part| {
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        parse_integer(text::between(part, 0, digits)).filter(|number| *number < 100)
    });
    let (major, minor) = (parts.next()??, parts.next()??);
    let patch = parts.next().flatten().unwrap_or(0);
    (major == 0).then_some((minor * 100 + patch) as u32)
}

#[cfg(test)]
mod tests;
