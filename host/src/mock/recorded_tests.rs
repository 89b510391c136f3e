//! The mock's output, held against what real servers sent.
//!
//! A recorded request is sent to the mock, unchanged; its answer is compared
//! with the recorded one: status, headers and their order, the keys of every
//! chunk in their order, what is null and what is absent, how it ended, and the
//! text where the script is the recorded model's.

#![allow(clippy::unwrap_used)]

use super::test_client::{ask, read_reply};
use super::{Mock, Model, Options, ReasoningField};
use serde_json::Value;
use std::path::PathBuf;

fn fixture(case: &str, file: &str) -> Vec<u8> {
    let path = PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../tests/fixtures/vllm"
    ))
    .join(case)
    .join(file);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The server a case was recorded from.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Profile {
    /// Tool parser, no reasoning parser.
    Auth,
    /// Both parsers.
    Think,
    /// Neither, no key, no details.
    Plain,
    /// Both parsers, vLLM 0.11.0.
    Old,
}

fn options(profile: Profile) -> Options {
    let plain = profile == Profile::Plain;
    let name = if plain { "/srv/model/tiny" } else { "tiny" };
    let model = Model::new(name, 4096);
    Options {
        api_keys: if plain {
            Vec::new()
        } else {
            vec!["secret-1".into(), "secret-2".into()]
        },
        models: vec![if plain {
            model
        } else {
            model.alias("tiny-alias")
        }],
        reasoning_parser: matches!(profile, Profile::Think | Profile::Old),
        tool_parser: !plain,
        prompt_tokens_details: !plain,
        closes_thinking: false,
        generation: if profile == Profile::Old {
            ReasoningField::ReasoningContent
        } else {
            ReasoningField::Reasoning
        },
        ..Options::default()
    }
}

/// Reads JSON by hand, because its order is what is compared: strings become
/// `""`, numbers `0`; `finish_reason`, `type`, `role`, `object`, `model`, texts
/// of errors and the like keep their value.
fn shape(json: &str) -> String {
    const KEPT: [&str; 11] = [
        "finish_reason",
        "stop_reason",
        "type",
        "role",
        "object",
        "owned_by",
        "param",
        "code",
        "detail",
        "name",
        "model",
    ];
    let mut out = String::new();
    let bytes: Vec<char> = json.chars().collect();
    let (mut i, mut key, mut word) = (0, String::new(), String::new());
    while i < bytes.len() {
        match bytes[i] {
            '"' => {
                word.clear();
                i += 1;
                while i < bytes.len() && bytes[i] != '"' {
                    if bytes[i] == '\\' {
                        word.push(bytes[i]);
                        i += 1;
                    }
                    word.push(bytes[i]);
                    i += 1;
                }
                if bytes.get(i + 1) == Some(&':') {
                    key.clone_from(&word);
                    out.push_str(&word);
                } else if KEPT.contains(&key.as_str()) {
                    out.push_str(&format!("{word:?}"));
                } else {
                    out.push_str("\"\"");
                }
            }
            c if c.is_ascii_digit() || c == '-' => {
                let from = i;
                while i + 1 < bytes.len()
                    && (bytes[i + 1].is_ascii_digit() || ".eE+-".contains(bytes[i + 1]))
                {
                    i += 1;
                }
                if ["index", "code", "max_model_len"].contains(&key.as_str()) {
                    out.extend(&bytes[from..=i]);
                } else {
                    out.push('0');
                }
            }
            c => out.push(c),
        }
        i += 1;
    }
    out
}

/// The chunks of a stream by shape. Runs of the same shape are one: how many
/// tokens a word has is the tokenizer's business.
fn shapes(body: &str) -> Vec<String> {
    let mut out: Vec<String> = body.split("\n\n").map(shape).collect();
    out.dedup();
    out
}

/// All text of a stream by where it belongs.
fn texts(body: &str) -> Vec<(String, String)> {
    let mut out: Vec<(String, String)> = Vec::new();
    let mut add = |kind: String, text: &str| match out.iter_mut().find(|(k, _)| *k == kind) {
        Some((_, all)) => all.push_str(text),
        None => out.push((kind, text.to_owned())),
    };
    for event in body.split("\n\n") {
        let Some(data) = event.strip_prefix("data: ") else {
            continue;
        };
        let Ok(chunk) = serde_json::from_str::<Value>(data) else {
            continue;
        };
        let Some(delta) = chunk.pointer("/choices/0/delta") else {
            continue;
        };
        for field in ["content", "reasoning", "reasoning_content"] {
            add(field.to_owned(), delta[field].as_str().unwrap_or(""));
        }
        for call in delta["tool_calls"].as_array().into_iter().flatten() {
            add(
                format!("name {}", call["index"]),
                call.pointer("/function/name")
                    .and_then(Value::as_str)
                    .unwrap_or(""),
            );
            add(
                format!("arguments {}", call["index"]),
                call.pointer("/function/arguments")
                    .and_then(Value::as_str)
                    .unwrap_or(""),
            );
        }
    }
    out
}

/// Header names in order, with the values that do not change by the call.
fn headers(reply: &super::test_client::Reply) -> Vec<(String, String)> {
    let blank = |name: &str, value: &str| match name {
        "date" | "content-length" => String::new(),
        _ => value.to_owned(),
    };
    let mut headers: Vec<_> = reply
        .headers
        .iter()
        .map(|(n, v)| (n.clone(), blank(n, v)))
        .collect();
    if reply.body.is_empty() {
        // hyper writes the length of an empty body where it likes.
        headers.sort();
    }
    headers
}

/// Streams: case, server.
const STREAMS: &[(&str, Profile)] = &[
    ("12-chat-stream-usage", Profile::Auth),
    ("13b-continuous-without-include", Profile::Auth),
    ("13c-include-usage-false", Profile::Auth),
    ("15-alias-model", Profile::Auth),
    ("16b-unicode-stream", Profile::Auth),
    ("17b-empty-answer-stream", Profile::Auth),
    ("20b-length-stream", Profile::Auth),
    ("22b-stop-string-stream", Profile::Auth),
    ("25b-ignore-eos-min-tokens-stream", Profile::Auth),
    ("33-request-id", Profile::Auth),
    ("38b-think-then-tool-stream", Profile::Think),
    ("39b-think-text-tool-stream", Profile::Think),
    ("40b-reasoning-stream", Profile::Think),
    ("43b-reasoning-effort-none-stream", Profile::Think),
    ("44b-reasoning-cut-stream", Profile::Think),
    ("46b-no-thinking-with-parser-stream", Profile::Think),
    ("49b-tool-in-unclosed-thinking-stream", Profile::Think),
    ("49xb-tool-thinking-off-stream", Profile::Think),
    ("50c-tool-auto-stream-nousage", Profile::Auth),
    ("51b-tool-parallel-stream", Profile::Auth),
    ("52b-tool-parallel-false-stream", Profile::Auth),
    ("53b-tool-required-stream", Profile::Auth),
    ("53xb-tool-required-two-stream", Profile::Auth),
    ("54b-tool-named-stream", Profile::Auth),
    ("55b-text-then-tool-stream", Profile::Auth),
    ("56yb-think-named-stream", Profile::Think),
    ("57b-think-text-tool-stream", Profile::Auth),
    ("58b-tool-no-args-stream", Profile::Auth),
    ("59b-tool-long-args-stream", Profile::Auth),
    ("60b-tool-broken-stream", Profile::Auth),
    ("61b-tool-unclosed-stream", Profile::Auth),
    ("62b-tool-then-text-stream", Profile::Auth),
    ("63b-tool-unknown-name-stream", Profile::Auth),
    ("64b-tool-choice-none-stream", Profile::Auth),
    ("65b-tool-cut-stream", Profile::Auth),
    ("67b-tool-result-stream", Profile::Auth),
    ("69d-tools-no-parser-use", Profile::Auth),
    ("82-connection-close", Profile::Auth),
    ("82c-chunked-request", Profile::Auth),
    ("82d-gzip", Profile::Auth),
    ("95b-plain-think-stream", Profile::Plain),
    ("95i-plain-tool-none", Profile::Plain),
    ("95j-plain-usage", Profile::Plain),
    ("v0.11.0-11-reasoning-stream", Profile::Old),
    ("v0.11.0-12-reasoning-stream-usage", Profile::Old),
    ("v0.11.0-13-reasoning-stream-continuous", Profile::Old),
    ("v0.11.0-14-no-think-stream", Profile::Old),
    ("v0.11.0-22-tool-think-stream", Profile::Old),
    ("v0.11.0-31-stop-stream", Profile::Old),
];

#[tokio::test]
async fn streams_have_the_shape_and_the_text_of_the_recorded_ones() {
    for (case, profile) in STREAMS {
        let mock = Mock::start(options(*profile)).await.unwrap();
        let want = read_reply(&fixture(case, "response.raw")).unwrap();
        if *profile == Profile::Old && want.body.contains("cached_tokens") {
            // This generation names the cache only when it was hit: warm it.
            ask(mock.address(), &fixture(case, "request.http")).await;
        }
        let got = ask(mock.address(), &fixture(case, "request.http")).await;
        assert_eq!(got.status, want.status, "{case}");
        assert_eq!(headers(&got), headers(&want), "{case}");
        assert_eq!(texts(&got.body), texts(&want.body), "{case}");
        // A prompt is cached or not by what was asked before: only keys count.
        assert_eq!(shapes(&got.body), shapes(&want.body), "{case}");
        assert_eq!(
            got.chunks,
            got.body.matches("data: ").count(),
            "{case}: one chunk an event"
        );
        assert!(got.complete, "{case}");
    }
}

/// Answers of known length: case, server.
const WHOLE: &[(&str, Profile)] = &[
    ("01-models", Profile::Auth),
    ("02b-ping", Profile::Auth),
    ("03-version", Profile::Auth),
    ("10-chat-nonstream", Profile::Auth),
    ("14-no-model-field", Profile::Auth),
    ("16a-unicode-nonstream", Profile::Auth),
    ("17a-empty-answer-nonstream", Profile::Auth),
    ("18a-code-nonstream", Profile::Auth),
    ("20a-length-nonstream", Profile::Auth),
    ("22a-stop-string-nonstream", Profile::Auth),
    ("38a-think-then-tool-nonstream", Profile::Think),
    ("39a-think-text-tool-nonstream", Profile::Think),
    ("40a-reasoning-nonstream", Profile::Think),
    ("41a-thinking-off-nonstream", Profile::Think),
    ("42a-include-reasoning-false-nonstream", Profile::Think),
    ("43a-reasoning-effort-none-nonstream", Profile::Think),
    ("44a-reasoning-cut-nonstream", Profile::Think),
    ("45a-reasoning-only-nonstream", Profile::Think),
    ("46a-no-thinking-with-parser-nonstream", Profile::Think),
    ("51a-tool-parallel-nonstream", Profile::Auth),
    ("53a-tool-required-nonstream", Profile::Auth),
    ("54a-tool-named-nonstream", Profile::Auth),
    ("56ya-think-named-nonstream", Profile::Think),
    ("58a-tool-no-args-nonstream", Profile::Auth),
    ("59a-tool-long-args-nonstream", Profile::Auth),
    ("60a-tool-broken-nonstream", Profile::Auth),
    ("61a-tool-unclosed-nonstream", Profile::Auth),
    ("62a-tool-then-text-nonstream", Profile::Auth),
    ("65a-tool-cut-nonstream", Profile::Auth),
    ("66a-tool-required-cut-nonstream", Profile::Auth),
    ("67a-tool-result-nonstream", Profile::Auth),
    ("75d-max-tokens-just-over", Profile::Auth),
    ("77p-priority", Profile::Auth),
    ("78-unknown-params", Profile::Auth),
    ("79-developer-role", Profile::Auth),
    ("94z-no-key-needed", Profile::Auth),
    ("95-plain-models", Profile::Plain),
    ("v0.11.0-10-reasoning", Profile::Old),
];

/// What an answer says, apart from ids, times and token numbers.
fn said(body: &str) -> Value {
    let mut value: Value = serde_json::from_str(body).unwrap_or(Value::Null);
    let message = value
        .pointer_mut("/choices/0/message")
        .map(Value::take)
        .unwrap_or_default();
    let mut said = message;
    for call in said
        .get_mut("tool_calls")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        call["id"] = Value::Null;
    }
    said
}

#[tokio::test]
async fn whole_answers_have_the_shape_and_the_text_of_the_recorded_ones() {
    for (case, profile) in WHOLE {
        let mut options = options(*profile);
        if *case == "94z-no-key-needed" {
            options.api_keys.clear();
        }
        let mock = Mock::start(options).await.unwrap();
        let got = ask(mock.address(), &fixture(case, "request.http")).await;
        let want = read_reply(&fixture(case, "response.raw")).unwrap();
        assert_eq!(got.status, want.status, "{case}");
        assert_eq!(headers(&got), headers(&want), "{case}");
        assert_eq!(said(&got.body), said(&want.body), "{case}");
        assert_eq!(shape(&got.body), shape(&want.body), "{case}");
    }
}

/// Refusals are compared to the letter.
const REFUSALS: &[(&str, Profile)] = &[
    ("06e-tokenize-unknown-model", Profile::Auth),
    ("19xb-n2-greedy-refused-stream", Profile::Auth),
    ("43d-reasoning-effort-bad", Profile::Think),
    ("70-unknown-model", Profile::Auth),
    ("70b-unknown-model-stream", Profile::Auth),
    ("71-no-key", Profile::Auth),
    ("71b-bad-key", Profile::Auth),
    ("71d-models-no-key", Profile::Auth),
    ("72-bad-json", Profile::Auth),
    ("72b-empty-body", Profile::Auth),
    ("72c-json-array", Profile::Auth),
    ("72e-no-content-type", Profile::Auth),
    ("72f-bad-utf8", Profile::Auth),
    ("73-missing-messages", Profile::Auth),
    ("74-temperature-5", Profile::Auth),
    ("74c-temperature-string", Profile::Auth),
    ("74d-top-p-2", Profile::Auth),
    ("75-max-tokens-zero", Profile::Auth),
    ("75b-max-tokens-negative", Profile::Auth),
    ("75c-max-tokens-too-big", Profile::Auth),
    ("75e-max-tokens-too-big-stream", Profile::Auth),
    ("76-context-overflow", Profile::Auth),
    ("76b-context-overflow-stream", Profile::Auth),
    ("77-n-zero", Profile::Auth),
    ("77b-top-logprobs-100", Profile::Auth),
    ("77d-stream-options-no-stream", Profile::Auth),
    ("77e-tools-empty", Profile::Auth),
    ("77f-tool-choice-no-tools", Profile::Auth),
    ("77h-tool-choice-weird", Profile::Auth),
    ("77j-tool-type-custom", Profile::Auth),
    ("77m-stop-empty-string", Profile::Auth),
    ("77n-response-format-bad", Profile::Auth),
    ("77s-cache-salt-bad", Profile::Auth),
    ("77t-seed-string", Profile::Auth),
    ("77u-user-number", Profile::Auth),
    ("80b-image-on-text-model-stream", Profile::Auth),
    ("80d-file-part", Profile::Auth),
    ("81-not-found", Profile::Auth),
    ("81b-not-found-no-key", Profile::Auth),
    ("81c-method", Profile::Auth),
    ("81d-delete", Profile::Auth),
    ("81e-models-id", Profile::Auth),
    ("81g-options", Profile::Auth),
    ("81i-no-v1", Profile::Auth),
    ("89c-embeddings", Profile::Auth),
    ("95c-plain-tool-auto-refused", Profile::Plain),
    ("95e-plain-tool-required", Profile::Plain),
    ("95g-plain-tool-named", Profile::Plain),
    ("95l-plain-model-name-wrong", Profile::Plain),
];

#[tokio::test]
async fn refusals_are_the_recorded_ones_to_the_letter() {
    for (case, profile) in REFUSALS {
        let mock = Mock::start(options(*profile)).await.unwrap();
        let got = ask(mock.address(), &fixture(case, "request.http")).await;
        let want = read_reply(&fixture(case, "response.raw")).unwrap();
        assert_eq!(got.status, want.status, "{case}: {}", got.body);
        assert_eq!(got.body, want.body, "{case}");
        assert_eq!(headers(&got), headers(&want), "{case}");
    }
}
