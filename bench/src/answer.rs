//! Streamed answers as vLLM 0.32.0 sends them, made as long as a measurement wants.
//!
//! Every line was taken from a recording (`tests/fixtures/vllm`, cases 12, 40b, 51b and v0.19.1-13); what differs from
//! event to event is the text of the piece.

use bytes::Bytes;

/// What the pieces of an answer are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// Thinking, in the field `reasoning`.
    Reasoning,
    /// The arguments of one tool call.
    Tool,
    /// Text, with the usage so far in each chunk (`continuous_usage_stats`).
    Usage,
}

impl Kind {
    /// All of them, in the order of tables.
    pub const ALL: [Self; 4] = [Self::Text, Self::Reasoning, Self::Tool, Self::Usage];

    /// For tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Reasoning => "reasoning",
            Self::Tool => "tool arguments",
            Self::Usage => "text, usage in every chunk",
        }
    }
}

/// Tokens as they come: most are a word, some have an escape, some are not ASCII.
const TOKENS: [&str; 32] = [
    " the",
    " quick",
    " model",
    " of",
    " a",
    " stream",
    ",",
    " and",
    " token",
    "ization",
    " is",
    " sent",
    " to",
    " you",
    ".",
    "\\n",
    " In",
    " this",
    " case",
    " \\\"x",
    "\\\"",
    " we",
    " can",
    " see",
    " that",
    " each",
    " one",
    " has",
    " its",
    " own",
    " event",
    " \u{2014} \u{e9}t\u{e9}",
];

const HEAD: &str = r#"data: {"id":"chatcmpl-3f2a9c4e7714d6617a1c6e4e7714d661","object":"chat.completion.chunk","created":1795329548,"model":"Qwen/Qwen3-8B","#;

/// The body of an answer of `pieces` pieces, `per_frame` events in each frame.
///
/// The first event (role), the finish, the usage and `[DONE]` stand in frames of their own, as a server sends them.
#[must_use]
pub fn frames(kind: Kind, pieces: usize, per_frame: usize) -> Vec<Bytes> {
    let mut frames = vec![event(
        r#""choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}],"prompt_token_ids":null,"prompt_text":null}"#,
    )];
    if kind == Kind::Tool {
        frames.push(event(
            r#""choices":[{"index":0,"delta":{"content":null,"tool_calls":[{"id":"chatcmpl-tool-9cb220b9d602e8a3","type":"function","index":0,"function":{"name":"write_file"}}]},"logprobs":null,"finish_reason":null,"token_ids":null}]}"#,
        ));
        frames.push(argument("{\\\"text\\\": \\\""));
    }
    let mut frame = String::new();
    for at in 0..pieces {
        frame.push_str(HEAD);
        frame.push_str(&piece(kind, at));
        frame.push_str("\n\n");
        if (at + 1).is_multiple_of(per_frame) || at + 1 == pieces {
            frames.push(Bytes::from(std::mem::take(&mut frame)));
        }
    }
    if kind == Kind::Tool {
        frames.push(argument("\\\"}"));
    }
    let reason = match kind {
        Kind::Tool => "tool_calls",
        _ => "stop",
    };
    frames.push(event(&format!(
        r#""choices":[{{"index":0,"delta":{{}},"logprobs":null,"finish_reason":"{reason}","stop_reason":null,"token_ids":null}}]}}"#
    )));
    let total = pieces + 14;
    frames.push(event(&format!(
        r#""choices":[],"usage":{{"prompt_tokens":14,"total_tokens":{total},"completion_tokens":{pieces},"prompt_tokens_details":{{"cached_tokens":0,"created_cache_tokens":0}}}},"system_fingerprint":"vllm-0.32.0-4c93ff51"}}"#
    )));
    frames.push(Bytes::from_static(b"data: [DONE]\n\n"));
    frames
}

fn event(rest: &str) -> Bytes {
    Bytes::from(format!("{HEAD}{rest}\n\n"))
}

fn argument(text: &str) -> Bytes {
    event(&format!(
        r#""choices":[{{"index":0,"delta":{{"content":null,"tool_calls":[{{"index":0,"function":{{"arguments":"{text}"}}}}]}},"logprobs":null,"finish_reason":null,"token_ids":null}}]}}"#
    ))
}

fn piece(kind: Kind, at: usize) -> String {
    let token = TOKENS[at % TOKENS.len()];
    match kind {
        Kind::Text => format!(
            r#""choices":[{{"index":0,"delta":{{"content":"{token}"}},"logprobs":null,"finish_reason":null,"token_ids":null}}]}}"#
        ),
        Kind::Reasoning => format!(
            r#""choices":[{{"index":0,"delta":{{"reasoning":"{token}"}},"logprobs":null,"finish_reason":null,"token_ids":null}}]}}"#
        ),
        Kind::Tool => {
            // Within a string of the arguments, which is itself one of the chunk.
            let token = match token {
                "\\n" => "\\\\n",
                " \\\"x" | "\\\"" => " x",
                token => token,
            };
            format!(
                r#""choices":[{{"index":0,"delta":{{"content":null,"tool_calls":[{{"index":0,"function":{{"arguments":"{token}"}}}}]}},"logprobs":null,"finish_reason":null,"token_ids":null}}]}}"#
            )
        }
        Kind::Usage => {
            let done = at + 1;
            let total = done + 14;
            format!(
                r#""choices":[{{"index":0,"delta":{{"content":"{token}"}},"logprobs":null,"finish_reason":null,"token_ids":null}}],"usage":{{"prompt_tokens":14,"total_tokens":{total},"completion_tokens":{done},"prompt_tokens_details":null}}}}"#
            )
        }
    }
}

/// A listing of so many models, as `GET /v1/models` gives it.
#[must_use]
pub fn models(count: usize) -> Bytes {
    let models: Vec<String> = (0..count)
        .map(|number| {
            format!(
                r#"{{"id":"org/model-{number}","object":"model","created":1795329548,"owned_by":"vllm","root":"org/model-{number}","parent":null,"max_model_len":40960,"permission":[{{"id":"modelperm-9b6c{number:04}","object":"model_permission","created":1795329548,"allow_create_engine":false,"allow_sampling":true,"allow_logprobs":true,"allow_search_indices":false,"allow_view":true,"allow_fine_tuning":false,"organization":"*","group":null,"is_blocking":false}}]}}"#
            )
        })
        .collect();
    Bytes::from(format!(
        r#"{{"object":"list","data":[{}]}}"#,
        models.join(",")
    ))
}

/// What was read of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Read {
    /// Pieces that had text in them.
    pub pieces: u64,
    /// Bytes of all text, thinking and arguments.
    pub bytes: u64,
}

impl Read {
    /// Counts a piece.
    pub fn add(&mut self, text: &str) {
        if !text.is_empty() {
            self.pieces += 1;
            self.bytes += text.len() as u64;
        }
    }
}

/// A piece of text that says when it was sent, in nanoseconds.
#[must_use]
pub fn stamped(at: u64) -> String {
    format!(
        r#"{HEAD}"choices":[{{"index":0,"delta":{{"content":"@{at}"}},"logprobs":null,"finish_reason":null,"token_ids":null}}]}}"#
    ) + "\n\n"
}
