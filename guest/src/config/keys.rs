//! The keys of the configuration, and what is said of others.
//!
//! OpenClaw refuses a key that it does not know. Here it is a note with the
//! nearest known name: agents of several versions share one file. Keys which
//! OpenClaw knows and which mean nothing for this provider are told apart, for
//! "did you mean" would be wrong of them.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use super::found::Path;
use crate::raw_json::Fields;
use crate::text;
use crate::types::Note;

/// The keys of one object: those with an effect, those of OpenClaw which a
/// user would expect one of and which have none here, and those which need no
/// word (the host's own, and switches for what is never sent anyway).
pub(crate) struct Keys {
    pub(crate) known: &'static [&'static str],
    pub(crate) without_effect: &'static [&'static str],
    pub(crate) silent: &'static [&'static str],
}

pub(crate) const PROVIDER: Keys = Keys {
    known: &[
        "baseUrl",
        "apiKey",
        "auth",
        "api",
        "headers",
        "authHeader",
        "timeoutSeconds",
        "params",
        "request",
        "models",
    ],
    without_effect: &[
        "region",
        "agentRuntime",
        "localService",
        "maxTokens",
        "injectNumCtxForOpenAICompat",
    ],
    silent: &[],
};

pub(crate) const REQUEST: Keys = Keys {
    known: &["headers", "auth", "tls", "allowPrivateNetwork"],
    without_effect: &["proxy"],
    silent: &[],
};

/// Keys of `request.tls`, which the host reads.
const TLS: [&str; 4] = ["ca", "cert", "key", "serverName"];

/// A key of `request` that the host takes out.
const PROXY: [&str; 1] = ["proxy"];

pub(crate) const REQUEST_AUTH: Keys = Keys {
    known: &["mode", "token", "headerName", "value", "prefix"],
    without_effect: &[],
    silent: &[],
};

pub(crate) const MODEL: Keys = Keys {
    known: &[
        "id",
        "name",
        "api",
        "reasoning",
        "input",
        "cost",
        "contextWindow",
        "contextTokens",
        "maxTokens",
        "headers",
        "params",
        "compat",
    ],
    without_effect: &["baseUrl", "agentRuntime", "thinkingLevelMap", "mediaInput"],
    silent: &["metadataSource"],
};

/// Names in `params`, in snake case.
pub(crate) const PARAMS: &[&str] = &[
    "max_tokens",
    "max_completion_tokens",
    "thinking",
    "thinking_budgets",
    "chat_template_kwargs",
    "extra_body",
    "qwen_thinking_format",
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "presence_penalty",
    "frequency_penalty",
    "repetition_penalty",
    "seed",
    "stop",
    "parallel_tool_calls",
    "priority",
];

pub(crate) const COST: Keys = Keys {
    known: &["input", "output", "cacheRead", "cacheWrite"],
    without_effect: &["tieredPricing"],
    silent: &[],
};

pub(crate) const COMPAT: Keys = Keys {
    known: &[
        "supportsUsageInStreaming",
        "maxTokensField",
        "supportsReasoningEffort",
        "thinkingFormat",
        "supportsTools",
        "requiresStringContent",
        "requiresToolResultName",
        "requiresAssistantAfterToolResult",
        "requiresThinkingAsText",
        "supportsDeveloperRole",
        "supportedReasoningEfforts",
        "reasoningEffortMap",
    ],
    without_effect: &[],
    silent: &[
        "supportsStore",
        "supportsPromptCacheKey",
        "supportsStrictMode",
        "supportsTemperature",
        "supportsJsonSchemaResponseFormat",
        "strictMessageKeys",
        "visibleReasoningDetailTypes",
        "toolSchemaProfile",
        "unsupportedToolSchemaKeywords",
        "nativeWebSearchTool",
        "toolCallArgumentsEncoding",
        "requiresMistralToolIds",
        "requiresOpenAiAnthropicToolPayload",
        "requiresReasoningContentOnAssistantMessages",
        "sendSessionAffinityHeaders",
        "cacheControlFormat",
        "codeMode",
    ],
};

impl Keys {
    /// Adds a note for each key of `fields` that has no effect.
    pub(crate) fn check(&self, path: &Path<'_>, fields: &Fields<'_>, notes: &mut Vec<Note>) {
        for (key, _) in &fields.0 {
            let key = key.as_str();
            if self.known.contains(&key) || self.silent.contains(&key) {
                continue;
            }
            if self.without_effect.contains(&key) {
                let what = "has no effect on this provider";
                let path = path.key(key);
                notes.push(match place(key) {
                    None => note("ignored-key", &path, what),
                    Some(place) => {
                        let what = text::concat(&[what, "; ", &place, " has"]);
                        note("ignored-key", &path, &what)
                    }
                });
            } else {
                notes.push(unknown(path, key, self.known));
            }
        }
    }
}

/// The note on a key that nobody knows.
pub(crate) fn unknown(path: &Path<'_>, key: &str, known: &[&str]) -> Note {
    let path = path.key(key);
    let near = nearest(key, known);
    if let Some(place) = place(key).filter(|_| near.is_none_or(|near| !is_same(near, key))) {
        let what = text::concat(&["has no effect here; it belongs at ", &place]);
        return note("misplaced-key", &path, &what);
    }
    match near {
        Some(near) => note(
            "unknown-key",
            &path,
            &text::concat(&[
                "is not a known key and is ignored; did you mean ",
                near,
                "?",
            ]),
        ),
        None => note("unknown-key", &path, "is not a known key and is ignored"),
    }
}

/// Where a key belongs that is written at another place.
fn place(key: &str) -> Option<String> {
    let places: [(&str, &[&str]); 8] = [
        ("", PROVIDER.known),
        ("models[].", MODEL.known),
        ("request.", REQUEST.known),
        ("request.", &PROXY),
        ("request.tls.", &TLS),
        ("models[].compat.", COMPAT.known),
        ("request.auth.", REQUEST_AUTH.known),
        ("params.", PARAMS),
    ];
    let name_at = |(place, names): &(&'static str, &[&'static str])| {
        let name = names.iter().find(|name| is_same(name, key))?;
        Some(text::concat(&["models.providers.vllm.", place, name]))
    };
    places.iter().find_map(name_at)
}

/// The letters and digits of a key, in lower case.
fn plain(text: &str) -> impl Iterator<Item = char> {
    let letters = text.chars().filter(char::is_ascii_alphanumeric);
    letters.map(|c| c.to_ascii_lowercase())
}

/// Whether two keys differ in case and in the signs between words only.
fn is_same(a: &str, b: &str) -> bool {
    plain(a).eq(plain(b))
}

/// A note on a path: `<path> <what>`.
pub(crate) fn note(code: &str, path: &Path<'_>, what: &str) -> Note {
    let path = path.text();
    Note {
        code: code.to_owned(),
        message: text::concat(&[&path, " ", what]),
        path: Some(path),
    }
}

/// The known name that is nearest, if it is near: at most a third of the
/// letters differ, not counting case and the signs between words.
fn nearest<'k>(key: &str, known: &[&'k str]) -> Option<&'k str> {
    let plain = |text: &str| -> Vec<char> { plain(text).take(64).collect() };
    let key = plain(key);
    let (distance, near) = known
        .iter()
        .map(|name| (distance(&key, &plain(name)), *name))
        .min_by_key(|(distance, _)| *distance)?;
    (distance * 3 <= near.len().max(key.len())).then_some(near)
}

/// Edits between two texts (Levenshtein).
pub(crate) fn distance(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        let mut cells = row.iter_mut();
        if let Some(first) = cells.next() {
            *first = left;
        }
        for (cell, y) in cells.zip(b) {
            let replaced = diagonal + usize::from(x != y);
            diagonal = *cell;
            left = replaced.min(diagonal + 1).min(left + 1);
            *cell = left;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raw_json::Raw;

    #[test]
    fn a_slip_of_the_pen_is_recognised_and_a_different_word_is_not() {
        for (key, near) in [
            ("baseURL", Some("baseUrl")),
            ("base_url", Some("baseUrl")),
            ("baseUri", Some("baseUrl")),
            ("api_key", Some("apiKey")),
            ("timeoutSecond", Some("timeoutSeconds")),
            ("model", Some("models")),
            ("header", Some("headers")),
            ("temperature", None),
            ("", None),
            ("x", None),
        ] {
            assert_eq!(nearest(key, PROVIDER.known), near, "{key}");
        }
    }

    #[test]
    fn a_key_at_a_wrong_place_is_told_where_it_belongs() {
        let path = Path::provider();
        for (key, code, what) in [
            (
                "contextWindow",
                "misplaced-key",
                "belongs at models.providers.vllm.models[].contextWindow",
            ),
            (
                "context_window",
                "misplaced-key",
                "belongs at models.providers.vllm.models[].contextWindow",
            ),
            (
                "allowPrivateNetwork",
                "misplaced-key",
                "at models.providers.vllm.request.allowPrivateNetwork",
            ),
            (
                "temperature",
                "misplaced-key",
                "belongs at models.providers.vllm.params.temperature",
            ),
            (
                "supportsTools",
                "misplaced-key",
                "at models.providers.vllm.models[].compat.supportsTools",
            ),
            ("api_key", "unknown-key", "did you mean apiKey?"),
            ("xyz", "unknown-key", "is not a known key and is ignored"),
        ] {
            let note = unknown(&path, key, PROVIDER.known);
            assert_eq!(note.code, code, "{key}");
            assert!(note.message.ends_with(what), "{}", note.message);
        }
        let limit = Raw::parse(r#"{"maxTokens":1}"#)
            .expect("JSON")
            .as_object()
            .expect("an object");
        let mut notes = Vec::new();
        PROVIDER.check(&path, &limit, &mut notes);
        let message = &notes[0].message;
        assert!(
            message.ends_with("; models.providers.vllm.models[].maxTokens has"),
            "{message}"
        );
    }

    #[test]
    fn the_distance_is_the_number_of_edits() {
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        for (a, b, edits) in [
            ("", "", 0),
            ("", "abc", 3),
            ("kitten", "sitting", 3),
            ("flaw", "lawn", 2),
            ("same", "same", 0),
        ] {
            assert_eq!(distance(&chars(a), &chars(b)), edits, "{a} {b}");
            assert_eq!(distance(&chars(b), &chars(a)), edits, "{b} {a}");
        }
    }
}
