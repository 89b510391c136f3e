//! Too many tokens: which of the two it was, and by the server's own numbers.
//!
//! A prompt that alone fills the context can only be shortened by its author.
//! An answer that was allowed too many tokens fits when it is asked for fewer.
//! vLLM says both with status 400 and tells them apart in prose only, and the
//! prose changed with its versions; each known wording is a case in the tests.

use crate::number::parse_integer;
use crate::text;

/// What there was too much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overflow {
    /// The prompt leaves no room for a single token. `requested` is its length.
    Prompt {
        /// Tokens of the context.
        limit: Option<u64>,
        /// Tokens of the prompt (or more: newer servers stop counting).
        requested: Option<u64>,
    },
    /// The prompt fits, the answer that was asked for does not. Asking for
    /// `requested - limit` tokens less would fit, as far as the server counted.
    Answer {
        /// Tokens of the context.
        limit: Option<u64>,
        /// Tokens of prompt and answer, or of the answer alone where the
        /// server names no prompt.
        requested: Option<u64>,
    },
}

/// Judges a server's message. `None`: it is about something else.
pub(super) fn judge(message: &str) -> Option<Overflow> {
    let text = message.to_ascii_lowercase();
    let limit = first(
        &text,
        after,
        &[
            "maximum context length is ",
            "maximum context length of ",
            "maximum context length (",
            "maximum model length of ",
            "model's context length (",
            "model's context length is only ",
            "max_model_len=",
            "max_total_tokens=",
        ],
    );
    let known = [
        "maximum context length",
        "maximum model length",
        "model's context length",
    ];
    if limit.is_none() && !known.iter().any(|words| text::has(&text, words)) {
        return None;
    }
    // The server gave up before it counted tokens: "contains 90000 characters
    // (more than 65536 characters, which is the upper bound for 4096 input
    // tokens)". That bound is no count of the prompt. Where an answer was asked
    // for (0.19 to 0.30), it is a bound for what the answer leaves, and only a
    // prompt that is too long for the whole context is itself to blame. 0.16 and
    // 0.17: "You passed 90000 input characters … resulting in a maximum input
    // length of 4096 tokens (at most 65536 characters)".
    let number = |side: fn(&str, &str) -> Option<u64>, markers| first(&text, side, markers);
    let characters = number(before, &[" characters (more than", " input characters"]);
    if let Some(characters) = characters {
        let answer = before(&text, " output tokens").filter(|answer| *answer > 0);
        let bound = number(after, &["characters (more than ", "(at most "]).unwrap_or(0);
        let room = number(before, &[" input tokens"])
            .or_else(|| number(after, &["maximum input length of "]))
            .unwrap_or(0);
        let fits = characters.saturating_mul(room) <= bound.saturating_mul(limit.unwrap_or(0));
        return Some(match answer {
            Some(_) if fits => Overflow::Answer {
                limit,
                requested: answer,
            },
            _ => Overflow::Prompt {
                limit,
                requested: None,
            },
        });
    }
    let prompt = first(
        &text,
        before,
        &[
            " input tokens",
            " in the messages",
            " in the prompt",
            " tokens in the messages",
            " tokens in the prompt",
        ],
    )
    .or_else(|| {
        first(
            &text,
            after,
            &["resulted in ", "(length ", "input length (", "the input ("],
        )
    });
    let answer = first(
        &text,
        after,
        &[
            "is too large: ",
            "max_tokens=",
            "max_completion_tokens=",
            "'max_tokens' (",
        ],
    )
    .or_else(|| first(&text, before, &[" in the completion", " output tokens"]));
    Some(match (prompt, answer, limit) {
        (Some(prompt), _, Some(limit)) if prompt >= limit => Overflow::Prompt {
            limit: Some(limit),
            requested: Some(prompt),
        },
        (prompt, Some(answer), _) => Overflow::Answer {
            limit,
            requested: Some(prompt.unwrap_or(0).saturating_add(answer)),
        },
        (requested, None, _) => Overflow::Prompt { limit, requested },
    })
}

/// The number found beside the first marker that has one.
fn first(text: &str, side: fn(&str, &str) -> Option<u64>, markers: &[&str]) -> Option<u64> {
    markers.iter().find_map(|marker| side(text, marker))
}

/// The number right behind `marker`.
fn after(text: &str, marker: &str) -> Option<u64> {
    let (_, rest) = text::split(text, marker)?;
    let end = rest.bytes().take_while(u8::is_ascii_digit).count();
    parse_integer(text::between(rest, 0, end))
}

/// The number right before `marker`.
fn before(text: &str, marker: &str) -> Option<u64> {
    let (rest, _) = text::split(text, marker)?;
    let digits = rest.bytes().rev().take_while(u8::is_ascii_digit).count();
    parse_integer(text::from(rest, rest.len() - digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prompt(limit: u64, requested: impl Into<Option<u64>>) -> Option<Overflow> {
        Some(Overflow::Prompt {
            limit: Some(limit),
            requested: requested.into(),
        })
    }

    fn answer(limit: u64, requested: u64) -> Option<Overflow> {
        Some(Overflow::Answer {
            limit: Some(limit),
            requested: Some(requested),
        })
    }

    #[test]
    fn every_known_wording_is_told_apart() {
        for (message, expected) in [
            // vLLM 0.32
            (
                "This model's maximum context length is 4096 tokens. However, your prompt contains at least 4097 input tokens, which exceeds this limit even without any output tokens. Please reduce the length of the input prompt. (parameter=input_tokens, value=4097)",
                prompt(4096, 4097),
            ),
            (
                "This model's maximum context length is 4096 tokens. However, your prompt contains 90000 characters (more than 65536 characters, which is the upper bound for 4096 input tokens). Please reduce the length of the input prompt. (parameter=input_text, value=90000)",
                prompt(4096, None),
            ),
            (
                "This model's maximum context length is 8192 tokens. However, you requested 64 output tokens and your prompt contains 10000 input tokens, for a total of 10064 tokens.",
                prompt(8192, 10_000),
            ),
            (
                "This model's maximum context length is 131072 tokens. However, you requested 65536 output tokens and your prompt contains 100000 input tokens, for a total of 165536 tokens.",
                answer(131_072, 165_536),
            ),
            (
                "max_tokens=100000 cannot be greater than max_model_len=4096. Please request fewer output tokens. (parameter=max_tokens, value=100000)",
                answer(4096, 100_000),
            ),
            // vLLM 0.16 to 0.30
            (
                "max_tokens=100000cannot be greater than max_model_len=max_total_tokens=4096. Please request fewer output tokens. (parameter=max_tokens, value=100000)",
                answer(4096, 100_000),
            ),
            (
                "This model's maximum context length is 4096 tokens. However, you requested 4096 output tokens and your prompt contains 60 characters (more than 0 characters, which is the upper bound for 0 input tokens). Please reduce the length of the input prompt or the number of requested output tokens. (parameter=input_text, value=60)",
                answer(4096, 4096),
            ),
            (
                "This model's maximum context length is 4096 tokens. However, you requested 4000 output tokens and your prompt contains 2000 characters (more than 1536 characters, which is the upper bound for 96 input tokens).",
                answer(4096, 4000),
            ),
            (
                "This model's maximum context length is 4096 tokens. However, you requested 4000 output tokens and your prompt contains 90000 characters (more than 1536 characters, which is the upper bound for 96 input tokens).",
                prompt(4096, None),
            ),
            (
                "This model's maximum context length is 4096 tokens. However, you requested 3000 output tokens and your prompt contains at least 1097 input tokens, for a total of at least 4097 tokens. Please reduce the length of the input prompt or the number of requested output tokens. (parameter=input_tokens, value=1097)",
                answer(4096, 4097),
            ),
            (
                "This model's maximum context length is 4096 tokens. However, you requested 0 output tokens and your prompt contains at least 4097 input tokens, for a total of at least 4097 tokens. Please reduce the length of the input prompt or the number of requested output tokens. (parameter=input_tokens, value=4097)",
                prompt(4096, 4097),
            ),
            // vLLM 0.16 and 0.17
            (
                "You passed 4097 input tokens and requested 0 output tokens. However, the model's context length is only 4096 tokens, resulting in a maximum input length of 4096 tokens. Please reduce the length of the input prompt. (parameter=input_tokens, value=4097)",
                prompt(4096, 4097),
            ),
            (
                "You passed 1097 input tokens and requested 3000 output tokens. However, the model's context length is only 4096 tokens, resulting in a maximum input length of 1096 tokens. Please reduce the length of the input prompt. (parameter=input_tokens, value=1097)",
                answer(4096, 4097),
            ),
            (
                "You passed 60 input characters and requested 4096 output tokens. However, the model's context length is only 4096 tokens, resulting in a maximum input length of 0 tokens (at most 0 characters). Please reduce the length of the input prompt. (parameter=input_text, value=60)",
                answer(4096, 4096),
            ),
            (
                "You passed 2000 input characters and requested 4000 output tokens. However, the model's context length is only 4096 tokens, resulting in a maximum input length of 96 tokens (at most 1536 characters). Please reduce the length of the input prompt. (parameter=input_text, value=2000)",
                answer(4096, 4000),
            ),
            (
                "You passed 90000 input characters and requested 4000 output tokens. However, the model's context length is only 4096 tokens, resulting in a maximum input length of 96 tokens (at most 1536 characters). Please reduce the length of the input prompt. (parameter=input_text, value=90000)",
                prompt(4096, None),
            ),
            (
                "You passed 90000 input characters and requested 0 output tokens. However, the model's context length is only 4096 tokens, resulting in a maximum input length of 4096 tokens (at most 65536 characters). Please reduce the length of the input prompt. (parameter=input_text, value=90000)",
                prompt(4096, None),
            ),
            // vLLM 0.12 to 0.15, completions
            (
                "'max_tokens' (5000) cannot be greater than the model's maximum context length (4096).",
                answer(4096, 5000),
            ),
            // vLLM 0.12 to 0.30, from the engine
            (
                "The decoder prompt (length 4096) plus the number of requested output tokens (at least 1) is longer than the maximum model length of 4096. Make sure that `max_model_len` is no smaller than the number of text tokens (prompt + requested output tokens).",
                prompt(4096, 4096),
            ),
            // vLLM 0.11 and 0.14
            (
                "This model's maximum context length is 4096 tokens. However, your request has 8112 input tokens. Please reduce the length of the input messages. None",
                prompt(4096, 8112),
            ),
            (
                "'max_tokens' or 'max_completion_tokens' is too large: 4000. This model's maximum context length is 4096 tokens and your request has 200 input tokens (4000 > 4096 - 200). None",
                answer(4096, 4200),
            ),
            // older, and OpenAI
            (
                "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens (4000 in the messages, 1000 in the completion). Please reduce the length of the messages or completion.",
                answer(4096, 5000),
            ),
            (
                "This model's maximum context length is 4096 tokens. However, you requested 5100 tokens (4096 in the messages, 1004 in the completion).",
                prompt(4096, 4096),
            ),
            (
                "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens in the messages, Please reduce the length of the messages.",
                prompt(4096, 5000),
            ),
            (
                "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
                prompt(8192, 9000),
            ),
            (
                "The decoder prompt (length 5000) is longer than the maximum model length of 4096. Make sure that `max_model_len` is no smaller than the number of text tokens.",
                prompt(4096, 5000),
            ),
            (
                "Input length (5000) exceeds model's maximum context length (4096).",
                prompt(4096, 5000),
            ),
            // numbers that are none
            (
                "maximum context length exceeded",
                Some(Overflow::Prompt {
                    limit: None,
                    requested: None,
                }),
            ),
            (
                "maximum context length is 99999999999999999999999 tokens",
                Some(Overflow::Prompt {
                    limit: None,
                    requested: None,
                }),
            ),
            // something else
            (
                "max_tokens must be at least 1, got 0. (parameter=max_tokens, value=0)",
                None,
            ),
            ("temperature must be in [0, 2], got 5.0.", None),
            ("Bearer error is too large: 5", None),
            ("The prompt has 7 input characters too many", None),
            ("", None),
        ] {
            assert_eq!(judge(message), expected, "{message}");
        }
    }
}
