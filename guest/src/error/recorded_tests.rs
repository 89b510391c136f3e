//! Every refusal (status 400) that real servers were recorded to send, and the
//! error it becomes. The list is whole: a recording that is added and not listed
//! here fails.

use super::*;
use ErrorKind::{ContextOverflow, InvalidRequest};

/// What is too long, by case: kind, limit, requested.
const TOO_LONG: &[(&str, ErrorKind, u64, u64)] = &[
    ("75c-max-tokens-too-big", InvalidRequest, 4096, 100_000),
    (
        "75e-max-tokens-too-big-stream",
        InvalidRequest,
        4096,
        100_000,
    ),
    ("76-context-overflow", ContextOverflow, 4096, 4097),
    ("76b-context-overflow-stream", ContextOverflow, 4096, 4097),
    ("v0.11.0-48-context-overflow", ContextOverflow, 4096, 8112),
    (
        "v0.14.1-75c-max-tokens-too-big",
        InvalidRequest,
        4096,
        100_014,
    ),
    (
        "v0.14.1-75d-max-tokens-just-over",
        InvalidRequest,
        4096,
        4110,
    ),
    ("v0.14.1-76-context-overflow", ContextOverflow, 4096, 8112),
    (
        "v0.14.1-76b-context-overflow-stream",
        ContextOverflow,
        4096,
        8112,
    ),
    (
        "v0.19.1-75c-max-tokens-too-big",
        InvalidRequest,
        4096,
        100_000,
    ),
    (
        "v0.19.1-75d-max-tokens-just-over",
        InvalidRequest,
        4096,
        4096,
    ),
    (
        "v0.17.1-75d-max-tokens-just-over",
        InvalidRequest,
        4096,
        4096,
    ),
    ("v0.17.1-76-context-overflow", ContextOverflow, 4096, 4097),
    (
        "v0.17.1-76b-context-overflow-stream",
        ContextOverflow,
        4096,
        4097,
    ),
    ("v0.19.1-76-context-overflow", ContextOverflow, 4096, 4097),
    (
        "v0.19.1-76b-context-overflow-stream",
        ContextOverflow,
        4096,
        4097,
    ),
    (
        "v0.23.0-75c-max-tokens-too-big",
        InvalidRequest,
        4096,
        100_000,
    ),
    (
        "v0.23.0-75d-max-tokens-just-over",
        InvalidRequest,
        4096,
        4096,
    ),
    ("v0.23.0-76-context-overflow", ContextOverflow, 4096, 4097),
];

/// What is refused for another reason: an invalid request without numbers.
const OTHERS: &[&str] = &[
    "19xb-n2-greedy-refused-stream",
    "43d-reasoning-effort-bad",
    "72-bad-json",
    "72b-empty-body",
    "72c-json-array",
    "72e-no-content-type",
    "72f-bad-utf8",
    "73-missing-messages",
    "73f-null-content",
    "74-temperature-5",
    "74c-temperature-string",
    "74d-top-p-2",
    "75-max-tokens-zero",
    "75b-max-tokens-negative",
    "77-n-zero",
    "77b-top-logprobs-100",
    "77d-stream-options-no-stream",
    "77e-tools-empty",
    "77f-tool-choice-no-tools",
    "77h-tool-choice-weird",
    "77j-tool-type-custom",
    "77k-logit-bias-bad",
    "77l-stop-too-many",
    "77m-stop-empty-string",
    "77n-response-format-bad",
    "77o-regex-bad",
    "77q-mm-kwargs",
    "77s-cache-salt-bad",
    "77t-seed-string",
    "77u-user-number",
    "80b-image-on-text-model-stream",
    "80d-file-part",
    "80e-unknown-part",
    "81g-options",
    "95c-plain-tool-auto-refused",
    "95e-plain-tool-required",
    "95g-plain-tool-named",
    "v0.11.0-25-tool-required",
    "v0.11.0-42-empty-messages",
    "v0.11.0-43-bad-json",
    "v0.11.0-44-missing-messages",
    "v0.11.0-46-max-tokens-zero",
    "v0.11.0-52-image",
    "v0.14.1-43b-reasoning-effort-none-stream",
    "v0.14.1-56xa-think-required-nonstream",
    "v0.14.1-72-bad-json",
    "v0.14.1-73b-empty-messages",
    "v0.14.1-80-image-on-text-model",
    "v0.14.1-80d-file-part",
    "v0.19.1-72-bad-json",
    "v0.19.1-73b-empty-messages",
    "v0.19.1-77n-response-format-bad",
    "v0.19.1-80-image-on-text-model",
    "v0.23.0-77n-response-format-bad",
    "v0.23.0-80d-file-part",
];

#[test]
fn every_recorded_refusal_is_told_apart_by_the_servers_own_numbers() {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/vllm");
    let mut refusals = 0;
    for entry in std::fs::read_dir(fixtures).expect("the recordings") {
        let folder = entry.expect("an entry").path();
        let Ok(raw) = std::fs::read(folder.join("response.raw")) else {
            continue;
        };
        if !raw.starts_with(b"HTTP/1.1 400 ") {
            continue;
        }
        refusals += 1;
        let case = folder.file_name().and_then(|name| name.to_str());
        let case = case.expect("a name");
        let head = b"\r\n\r\n";
        let end = raw.windows(4).position(|four| four == head);
        let body = &raw[end.expect("a head") + head.len()..];
        let context = Context {
            method: "POST",
            url: "http://127.0.0.1:8000/v1/chat/completions".to_owned(),
            model: Some("tiny".to_owned()),
            base_has_v1: true,
            has_key: true,
        };
        let error = from_response(&context, 400, &[], body);
        let found = (error.kind, error.limit, error.requested, error.retryable);
        let expected = match TOO_LONG.iter().find(|(listed, ..)| *listed == case) {
            // Only an answer that was asked too long fits when it is refitted.
            Some((_, kind, limit, requested)) => {
                let refit = *kind == InvalidRequest;
                (kind.clone(), Some(*limit), Some(*requested), refit)
            }
            None => {
                assert!(OTHERS.contains(&case), "{case} is not listed");
                (InvalidRequest, None, None, false)
            }
        };
        assert_eq!(found, expected, "{case}");
    }
    assert_eq!(refusals, TOO_LONG.len() + OTHERS.len());
}

/// What a host does with the numbers of an answer that was asked too long: as
/// many tokens fewer as `requested` is above `limit`.
#[test]
fn an_answer_asked_for_as_many_tokens_fewer_as_were_too_many_fits() {
    for (message, asked, fits) in [
        // The prompt is named: what is left beside it.
        (
            "'max_tokens' or 'max_completion_tokens' is too large: 4000. This model's maximum context length is 4096 tokens and your request has 200 input tokens (4000 > 4096 - 200). None",
            4000,
            4096 - 200,
        ),
        (
            "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens (4000 in the messages, 1000 in the completion). Please reduce the length of the messages or completion.",
            1000,
            96,
        ),
        (
            "This model's maximum context length is 131072 tokens. However, you requested 65536 output tokens and your prompt contains 100000 input tokens, for a total of 165536 tokens.",
            65_536,
            31_072,
        ),
        // It is not: the whole context, which such servers shorten.
        (
            "max_tokens=100000 cannot be greater than max_model_len=4096. Please request fewer output tokens. (parameter=max_tokens, value=100000)",
            100_000,
            4096,
        ),
    ] {
        let body = serde_json::json!({"error": {"message": message, "code": 400}}).to_string();
        let context = Context {
            method: "POST",
            url: String::new(),
            model: None,
            base_has_v1: true,
            has_key: true,
        };
        let error = from_response(&context, 400, &[], body.as_bytes());
        assert_eq!(error.kind, InvalidRequest, "{message}");
        let (Some(limit), Some(requested)) = (error.limit, error.requested) else {
            panic!("without both numbers there is no fitting: {error:?}");
        };
        assert_eq!(asked - (requested - limit), fits, "{message}");
    }
}
