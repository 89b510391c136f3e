//! Too many tokens: which of the two it was, and by the server's own numbers.
//!
//! A prompt that alone fills the context can only be shortened by its author.
//! An answer that was allowed too many tokens fits when it is asked for fewer.
//! Servers tell them apart in prose only, and vLLM's changed with its versions: the words of each
//! are a row of [`WORDINGS`], and each known message is a case in the tests.

use alloc::string::String;

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
        /// Tokens of the context, or of any answer.
        limit: Option<u64>,
        /// Tokens of prompt and answer, or of the answer alone where the
        /// server names no prompt.
        requested: Option<u64>,
    },
}

/// What a row of [`WORDINGS`] tells.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tells {
    /// That something was too long for the context.
    TooLong,
    /// Tokens of the context: the number behind the words.
    Limit,
    /// The same, and that something was too long.
    TooLongFor,
    /// Tokens of the prompt: the number behind the words, or before them.
    PromptBehind,
    PromptBefore,
    /// Tokens of the answer that was asked for, likewise.
    AnswerBehind,
    AnswerBefore,
    /// That the answer was allowed too many tokens, and how many it may have at most, whatever the
    /// prompt: the number behind the words, or before them.
    AnswerLimitBehind,
    AnswerLimitBefore,
    /// Tokens of both, where neither the prompt nor its parts are the whole of it.
    SumBehind,
}

/// The words of servers, in lower case, and who says so, by what they tell. Of several that tell the
/// same number the first counts that is found with one.
const WORDINGS: &[(Tells, &[(&str, &str)])] = &[
    (
        Tells::TooLongFor,
        &[
            ("maximum context length is ", "vLLM 0.11 to 0.32, OpenAI"),
            ("maximum context length: ", "Fireworks"),
            ("cannot exceed the total tokens limit ", "watsonx"),
            ("maximum context length of ", "SGLang, hermes-agent#83521"),
            ("maximum context length (", "vLLM 0.12 to 0.15"),
            ("maximum model length of ", "vLLM 0.11 to 0.30, its engine"),
            ("model's context length (", "SGLang, Qwen3#1321"),
            ("model's context length is only ", "vLLM 0.16, 0.17"),
            ("into the model (context length ", "vLLM 0.6, vllm#12165"),
            (
                "context length of only ",
                "LM Studio, lmstudio-bug-tracker#237",
            ),
            ("available context size (", "llama.cpp since 2025"),
            ("maximum prompt length is ", "xAI"),
            ("allowed input length of ", "OpenRouter"),
            ("exceeded model token limit: ", "Kimi"),
            ("configured context size is ", "ds4"),
            ("number of tokens allowed (", "Gemini"),
            ("`max_new_tokens` must be <= ", "TGI"),
            ("`inputs` must have less than ", "TGI"),
            ("too large for model with ", "Mistral"),
            ("exceeds the maximum allowed length (", "SGLang"),
            ("exceeds the maximum allowed length ", "SGLang"),
            ("exceeds maximum input length ", "DeepInfra"),
            ("exceeds maximum input length (", "TensorRT-LLM"),
            ("should not exceed max_num_tokens (", "TensorRT-LLM"),
            ("= max_seq_len (", "TensorRT-LLM"),
            ("is greater than max_seq_len ", "TabbyAPI"),
            ("exceeds the session length ", "LMDeploy"),
            ("exceeds the context length of ", "several"),
            ("range of input length should be [1, ", "Alibaba"),
            ("exceed the configured limit of ", "OpenAI"),
            (
                "too many input tokens. max input tokens: ",
                "Bedrock, Titan",
            ),
            ("maximum number of tokens allowed ", "Gemini"),
            ("exceed context window of ", "llama-cpp-python"),
            (">= n_ctx (", "LM Studio"),
            ("max_model_len=", "vLLM 0.16 to 0.32"),
            ("max_total_tokens=", "vLLM 0.16 to 0.30"),
        ],
    ),
    (
        Tells::TooLong,
        &[
            ("maximum context length", "vLLM, OpenAI, Mistral"),
            ("maximum model length", "vLLM"),
            ("model's context length", "vLLM, SGLang"),
            ("exceeds the context window", "OpenAI"),
            ("context window exceed", "LiteLLM, opencode#44888; MiniMax"),
            ("contextwindowexceeded", "LiteLLM, its exception's name"),
            ("context_window_exceeded", "several gateways"),
            ("context length exceeded", "Ollama, several gateways"),
            ("context_length_exceeded", "OpenAI, its code"),
            ("exceeded context length", "Ollama"),
            ("exceeds context length", "Ollama"),
            ("available context size", "llama.cpp#15780"),
            ("exceed_context_size", "llama.cpp#15780, its type"),
            (
                "context size has been exceeded",
                "LM Studio, lmstudio-bug-tracker#2339",
            ),
            ("greater than the context length", "LM Studio"),
            ("prompt is too long", "Anthropic, and who imitates it"),
            ("prompt too long", "Ollama"),
            ("input is too long", "Bedrock"),
            ("prompt is longer than the context", "several"),
            ("prompt exceeds max length", "Z.ai"),
            ("prompt token count", "Copilot, Databricks"),
            ("max_prompt_tokens_exceeded", "Copilot, its code"),
            ("exceed context limit", "Anthropic"),
            ("exceed max_seq_len", "ExLlama"),
            ("tokens in the prompt cannot exceed ", "Cohere"),
            ("input length exceeds the context length", "Ollama"),
            (" model. max size: ", "GitHub Models"),
        ],
    ),
    (
        Tells::Limit,
        &[
            ("n_ctx: ", "LM Studio"),
            ("while limit is ", "Cerebras"),
            ("max size: ", "GitHub Models"),
            (" tokens > ", "Anthropic"),
            (" > ", "Anthropic, ExLlama"),
            ("exceeds the limit of ", "Copilot"),
            ("cannot exceed ", "Databricks"),
            ("exceeds the context window (", "OpenAI by LiteLLM"),
        ],
    ),
    (
        Tells::PromptBefore,
        &[
            (" input tokens", "vLLM 0.16 to 0.32"),
            (" in your prompt", "OpenAI's completions, llama-cpp-python"),
            (" in the messages", "vLLM, OpenAI"),
            (" in the prompt", "vLLM, OpenAI"),
            (" tokens in the messages", "vLLM, OpenAI"),
            (" tokens in the prompt", "vLLM, OpenAI"),
            (" tokens from the input messages", "SGLang"),
            (" `inputs` tokens", "TGI"),
            (" + ", "Anthropic"),
            (" of text input", "OpenRouter"),
            (
                " tokens) exceeds the available context size",
                "llama.cpp since 2025",
            ),
        ],
    ),
    (
        Tells::PromptBehind,
        &[
            ("resulted in ", "vLLM, OpenAI"),
            ("(length ", "vLLM, its engine"),
            ("(total length ", "vLLM 0.6"),
            ("prompt length (", "TensorRT-LLM"),
            ("input length (", "SGLang"),
            ("input length ", "SGLang"),
            ("the input (", "SGLang"),
            ("input token count (", "Gemini"),
            ("keep the first ", "LM Studio"),
            ("n_keep: ", "LM Studio"),
            ("prompt is too long: ", "Anthropic"),
            ("request contains ", "xAI"),
            ("(requested: ", "Kimi"),
            ("prompt has ", "ds4"),
            ("resulted in over ", "text-generation-webui"),
            ("given: ", "TGI"),
            ("requested input length ", "DeepInfra"),
            ("prompt length ", "LMDeploy, TabbyAPI"),
            ("token count of ", "Copilot"),
            ("token count (", "Databricks"),
            ("your input (", "OpenAI by LiteLLM"),
            ("max_seq_len: ", "ExLlama"),
            ("prompt contains ", "Mistral"),
            ("request input token count: ", "Bedrock, Titan"),
            ("number of input tokens ", "watsonx"),
            (" - received ", "Cohere"),
            ("current length is ", "Cerebras"),
            ("too long: ", "Fireworks"),
            ("requested tokens (", "llama-cpp-python"),
            ("n_keep (", "LM Studio"),
        ],
    ),
    (
        Tells::AnswerBehind,
        &[
            ("is too large: ", "vLLM 0.11, 0.14"),
            ("max_tokens=", "vLLM 0.16 to 0.32"),
            ("max_completion_tokens=", "vLLM"),
            ("'max_tokens' (", "vLLM 0.12 to 0.15"),
            (" + ", "Anthropic"),
        ],
    ),
    (
        Tells::AnswerBefore,
        &[
            (
                " for the completion",
                "OpenAI's completions, llama-cpp-python",
            ),
            (" in the completion", "vLLM, OpenAI"),
            (" output tokens", "vLLM 0.16 to 0.32"),
            (" tokens for the completion", "SGLang"),
            (" `max_new_tokens`", "TGI"),
            (" in the output", "OpenRouter"),
        ],
    ),
    (
        Tells::AnswerLimitBehind,
        &[
            ("`max_tokens` must be less than or equal to `", "Groq"),
            (
                "`max_completion_tokens` must be less than or equal to `",
                "Groq",
            ),
            ("valid range of max_tokens is [1, ", "DeepSeek"),
            ("range of max_tokens should be [1, ", "Alibaba"),
            (
                "'max_tokens': integer above maximum value. expected a value <= ",
                "OpenAI",
            ),
            (
                "'max_completion_tokens': integer above maximum value. expected a value <= ",
                "OpenAI",
            ),
            (
                "tokens` specified in the request are not valid: integer above maximum value, expected a value <= ",
                "Doubao",
            ),
            (
                "maximum tokens you requested exceeds the model limit of ",
                "Bedrock",
            ),
        ],
    ),
    (
        Tells::AnswerLimitBefore,
        &[
            (" completion tokens, whereas you provided ", "OpenAI"),
            (
                ", which is the maximum allowed number of output tokens",
                "Anthropic",
            ),
        ],
    ),
    (
        Tells::SumBehind,
        &[(
            "you requested about ",
            "OpenRouter, whose prompt has several parts",
        )],
    ),
];

/// Judges a server's message. `None`: it is about something else.
pub(super) fn judge(message: &str) -> Option<Overflow> {
    let text = message.to_ascii_lowercase();
    let most = told(&text, &[Tells::AnswerLimitBehind, Tells::AnswerLimitBefore]);
    if most.is_some() {
        return Some(Overflow::Answer {
            limit: most,
            requested: told(&text, &[Tells::AnswerBehind]),
        });
    }
    let said = words_of(Tells::TooLong).any(|words| text::has(&text, words));
    if !said && told(&text, &[Tells::TooLongFor]).is_none() {
        return None;
    }
    let limit = told(&text, &[Tells::TooLongFor, Tells::Limit]);
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
    let prompt = told(&text, &[Tells::PromptBefore, Tells::PromptBehind]);
    let answer = told(&text, &[Tells::AnswerBehind, Tells::AnswerBefore]);
    let sum = told(&text, &[Tells::SumBehind]);
    let rest = sum
        .zip(answer)
        .and_then(|(sum, answer)| sum.checked_sub(answer));
    let prompt = rest.or(prompt);
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

/// All words that tell this.
fn words_of(kind: Tells) -> impl Iterator<Item = &'static str> {
    let groups = WORDINGS.iter().filter(move |(tells, _)| *tells == kind);
    groups.flat_map(|(_, rows)| rows.iter().map(|(words, _)| *words))
}

/// The first number that words of one of these kinds tell.
fn told(text: &str, kinds: &[Tells]) -> Option<u64> {
    kinds.iter().find_map(|kind| {
        let side = match kind {
            Tells::PromptBefore | Tells::AnswerBefore | Tells::AnswerLimitBefore => before,
            _ => after,
        };
        words_of(*kind).find_map(|words| side(text, words))
    })
}

/// The number found beside the first marker that has one.
fn first(text: &str, side: fn(&str, &str) -> Option<u64>, markers: &[&str]) -> Option<u64> {
    markers.iter().find_map(|marker| side(text, marker))
}

/// The first number right behind `marker`.
fn after(text: &str, marker: &str) -> Option<u64> {
    let mut text = text;
    loop {
        let (_, rest) = text::split(text, marker)?;
        let end = rest.bytes().take_while(is_digit).count();
        if let Some(number) = integer(text::between(rest, 0, end)) {
            return Some(number);
        }
        text = rest;
    }
}

/// The first number right before `marker`.
fn before(text: &str, marker: &str) -> Option<u64> {
    let mut text = text;
    loop {
        let (front, rest) = text::split(text, marker)?;
        let digits = front.bytes().rev().take_while(is_digit).count();
        if let Some(number) = integer(text::from(front, front.len() - digits)) {
            return Some(number);
        }
        text = rest;
    }
}

/// Of a number that may have commas between its thousands.
fn is_digit(byte: &u8) -> bool {
    byte.is_ascii_digit() || *byte == b','
}

fn integer(text: &str) -> Option<u64> {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    parse_integer(&digits)
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
            (
                "Request body too large for gpt-4o-mini model. Max size: 8000 tokens.",
                prompt(8000, None),
            ),
            (
                "400 Bad Request: Too many input tokens. Max input tokens: 8192, request input token count: 11531 ",
                prompt(8192, 11_531),
            ),
            (
                "Requested tokens (2285) exceed context window of 2048",
                prompt(2048, 2285),
            ),
            (
                "Cannot truncate prompt with n_keep (15028) >= n_ctx (7424)",
                prompt(7424, 15_028),
            ),
            (
                "This model's maximum context length is 2048 tokens. However, you requested 2100 tokens (100 in your prompt; 2000 for the completion). Please reduce your prompt; or completion length.",
                answer(2048, 2100),
            ),
            (
                "Input tokens exceed the configured limit of 272000 tokens. Your messages resulted in 301456 tokens.",
                prompt(272_000, 301_456),
            ),
            (
                "too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 5000.",
                prompt(4081, 5000),
            ),
            (
                "the number of input tokens 5000 cannot exceed the total tokens limit 4096 for this model",
                prompt(4096, 5000),
            ),
            (
                "Please reduce the length of the messages or completion. Current length is 9000 while limit is 8192, exceeds the context window",
                prompt(8192, 9000),
            ),
            (
                "The prompt is too long: 140000, model maximum context length: 131071",
                prompt(131_071, 140_000),
            ),
            // Values that are too large, but no number of tokens
            (
                "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 3 instead.",
                None,
            ),
            ("This model supports at most 4 images.", None),
            // A limit of the answer alone
            (
                "max_tokens is too large: 100000. This model supports at most 16384 completion tokens, whereas you provided 100000.",
                answer(16_384, 100_000),
            ),
            (
                "max_tokens: 100000 > 8192, which is the maximum allowed number of output tokens for claude-3-5-sonnet-20241022",
                Some(Overflow::Answer {
                    limit: Some(8192),
                    requested: None,
                }),
            ),
            (
                "`max_tokens` must be less than or equal to `8192`, the maximum value for `max_tokens` is less than the `context_window` for this model",
                Some(Overflow::Answer {
                    limit: Some(8192),
                    requested: None,
                }),
            ),
            (
                "Invalid max_tokens value, the valid range of max_tokens is [1, 8192]",
                Some(Overflow::Answer {
                    limit: Some(8192),
                    requested: None,
                }),
            ),
            // Others
            (
                "This endpoint's maximum context length is 8192 tokens. However, you requested about 9000 tokens (4500 of text input, 500 of tool input, 4000 in the output).",
                answer(8192, 9000),
            ),
            (
                "This endpoint's maximum context length is 32768 tokens. However, you requested about 41024 tokens (40000 of text input, 1024 in the output).",
                prompt(32_768, 40_000),
            ),
            (
                "input length and `max_tokens` exceed context limit: 5000 + 4000 > 8192, decrease input length or `max_tokens` and try again",
                answer(8192, 9000),
            ),
            (
                "prompt is too long: 200001 tokens > 200000 maximum",
                prompt(200_000, 200_001),
            ),
            (
                "Input length (40000 tokens) exceeds the maximum allowed length (32768 tokens). Use a shorter input or enable --allow-auto-truncate.",
                prompt(32_768, 40_000),
            ),
            (
                "Requested input length 39818 exceeds maximum input length 32767",
                prompt(32_767, 39_818),
            ),
            (
                "prompt token count of 40000 exceeds the limit of 32768",
                prompt(32_768, 40_000),
            ),
            (
                "<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 30720]",
                prompt(30_720, None),
            ),
            (
                "Request too large: the prompt has 40000 tokens, which exceeds the context length of 32768 tokens",
                prompt(32_768, 40_000),
            ),
            (
                "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
                prompt(32_768, 40_000),
            ),
            (
                "Input validation error: `inputs` must have less than 4096 tokens. Given: 5000",
                prompt(4096, 5000),
            ),
            (
                "the input prompt length 40000 exceeds the session length 32768",
                prompt(32_768, 40_000),
            ),
            (
                "Prompt length (40000) exceeds maximum input length (32768).",
                prompt(32_768, 40_000),
            ),
            (
                "The sum of prompt length (40000.0), query length (0) should not exceed max_num_tokens (32768)",
                prompt(32_768, 40_000),
            ),
            (
                "default_max_tokens (-100) should be greater than 0, default_max_tokens (-100) = max_seq_len (32768) - prompt length (32868)",
                prompt(32_768, 32_868),
            ),
            (
                "Prompt length 40000 is greater than max_seq_len 32768",
                prompt(32_768, 40_000),
            ),
            (
                "Chat completion aborted. Prompt tokens exceed max_seq_len: 40000 > 32768",
                prompt(32_768, 40_000),
            ),
            (
                "prompt token count (40000) cannot exceed 32768. Please reduce the length of the prompt.",
                prompt(32_768, 40_000),
            ),
            (
                "litellm.ContextWindowExceededError: OpenAIException - Your input (40000 tokens) exceeds the context window (32768 tokens)",
                prompt(32_768, 40_000),
            ),
            (
                "Input length 40000 exceeds the maximum allowed length 32768",
                prompt(32_768, 40_000),
            ),
            ("image count exceeds the limit of 5", None),
            ("1 + 1 > 3", None),
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
            // other servers, by the sources of the table
            (
                "Requested token count exceeds the model's maximum context length of 8192 tokens. You requested a total of 9000 tokens: 5000 tokens from the input messages and 4000 tokens for the completion.",
                answer(8192, 9000),
            ),
            (
                "The input (61709 tokens) is longer than the model's context length (40960 tokens).",
                prompt(40_960, 61_709),
            ),
            (
                "litellm.ContextWindowExceededError: litellm.BadRequestError: Context Window exceeded for given call.",
                Some(Overflow::Prompt {
                    limit: None,
                    requested: None,
                }),
            ),
            (
                "request (14429 tokens) exceeds the available context size (8192 tokens), try increasing it",
                prompt(8192, 14_429),
            ),
            (
                "Trying to keep the first 111490 tokens when context the overflows. However, the model is loaded with context length of only 32768 tokens, which is not enough.",
                prompt(32_768, 111_490),
            ),
            (
                "The number of tokens to keep from the initial prompt is greater than the context length (n_keep: 14429 >= n_ctx: 8192).",
                prompt(8192, 14_429),
            ),
            (
                "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 17 `inputs` tokens and 10000 `max_new_tokens`",
                answer(4096, 10_017),
            ),
            (
                "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` tokens and 100 `max_new_tokens`",
                prompt(4096, 5000),
            ),
            (
                "prompt is too long: 208310 tokens > 200000 maximum",
                prompt(200_000, 208_310),
            ),
            (
                "This model's maximum prompt length is 131072 but the request contains 537812 tokens.",
                prompt(131_072, 537_812),
            ),
            (
                "The input token count (1,048,577) exceeds the maximum number of tokens allowed (1,048,576).",
                prompt(1_048_576, 1_048_577),
            ),
            (
                "Your request exceeded model token limit: 262144 (requested: 300000)",
                prompt(262_144, 300_000),
            ),
            (
                "The prompt (total length 25938) is too long to fit into the model (context length 4096).",
                prompt(4096, 25_938),
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
            (
                "Rate limit reached: 30000 tokens per minute, requested 40000",
                None,
            ),
            ("The prompt has 7 input characters too many", None),
            ("", None),
        ] {
            assert_eq!(judge(message), expected, "{message}");
        }
    }
}
