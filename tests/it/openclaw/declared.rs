//! What differs on purpose, case by case, and why.
//!
//! Issue numbers are those of OpenClaw's own repository.

use super::recorded;

/// Why something differs.
pub(super) struct Why {
    /// How the page refers to it.
    pub(super) id: &'static str,
    pub(super) text: &'static str,
    /// Issues and pull requests of OpenClaw that ask for it.
    pub(super) issues: &'static [u32],
}

/// One difference: the field, what OpenClaw sent or showed, what we do.
pub(super) struct Difference {
    pub(super) field: &'static str,
    pub(super) theirs: &'static str,
    pub(super) ours: &'static str,
    pub(super) why: &'static Why,
}

/// A recording and all that differs from it.
pub(super) struct Case {
    pub(super) file: &'static str,
    pub(super) title: &'static str,
    differences: &'static [&'static [Difference]],
    /// Words that the user must read in our message.
    pub(super) says: &'static [&'static str],
}

impl Case {
    pub(super) fn declared(&self) -> impl Iterator<Item = &'static Difference> {
        self.differences.iter().copied().flatten()
    }
}

macro_rules! whys {
    ($($name:ident $id:literal [$($issue:literal)*] $text:literal;)*) => {
        $(static $name: Why = Why { id: $id, text: $text, issues: &[$($issue),*] };)*
        /// Every reason, in the order of the page.
        pub(super) static WHYS: &[&Why] = &[$(&$name),*];
    };
}

whys! {
    HEADERS "headers" [] "Only what an exchange needs is sent. OpenClaw's SDK adds its version, the \
        operating system, the processor and a retry count; its HTTP client adds browser fields; \
        2026.9.6 adds a trace id.";
    ACCEPT "accept" [] "The type that is read is asked for.";
    STORE "store" [48713] "`store` is OpenAI's; vLLM warns about it with each request.";
    USAGE "usage" [68707 49753 49590 120356] "Without usage the context stays at 0 % and nothing is \
        compacted in time.";
    NO_USAGE "no-usage" [] "The recorded server was not asked and counted nothing. Nothing is \
        reported as unknown, not as zero.";
    STRING "string" [] "A text alone is a string, which every chat template takes.";
    CHOICE "tool-choice" [] "`auto` is the server's default; it is sent when it is asked for.";
    IDS "tool-ids" [] "The model's own id goes back unchanged. Without the punctuation two ids can \
        become one.";
    ARGUMENTS "arguments" [] "The model's own text goes back unchanged, and its cached prefix stays \
        valid.";
    REPLAY "replay" [40736 89420] "Thinking is replayed to models that are declared as reasoning only.";
    THINKING "thinking" [] "vLLM switches Qwen's thinking through the chat template, without a \
        `compat` flag. `reasoning_effort` is sent where the configuration says that the server has it.";
    LEVEL "level" [] "Every level but off means on for a model that can only be switched; OpenClaw \
        refuses the level.";
    REASONING_TWICE "reasoning-twice" [] "Reasoning tokens are part of the completion tokens and \
        are counted once.";
    CONTEXT "context" [141113 109367] "The server says how long the context is (`max_model_len`, a \
        LoRA's from its parent); 128,000 is the fallback.";
    ONCE "once" [] "The list is asked for once a command.";
    DISCOVERY "discovery" [81218] "A key, or `vllm/*` for a configured server, is enough to find a \
        model. OpenClaw 2026.9.6 needs a running gateway or a refresh before.";
    LIMIT "limit" [] "The answer's limit is always sent: the discovered model's.";
    LIST_HEADERS "list-headers" [] "The configured headers go with discovery, too: a proxy that wants \
        them wants them there.";
    OVERFLOW "overflow" [83086 7587 32936] "The prompt fits, the limit for the answer does not: this is no \
        overflow of the conversation, and compacting it again and again is no cure. The user reads \
        the server's own words, and a program gets the limit and what was requested as numbers.";
    MESSAGE "message" [32936 68868] "The message names the address, quotes the server and says what to do. \
        No key is put into a cooldown.";
}

macro_rules! group {
    ($name:ident: $($field:literal $theirs:literal $ours:literal $why:ident;)*) => {
        static $name: &[Difference] = &[$(Difference {
            field: $field, theirs: $theirs, ours: $ours, why: &$why,
        }),*];
    };
}

group! { GET_HEAD:
    "headers.accept" "*/*" "application/json" ACCEPT;
    "headers.accept-encoding" "gzip, deflate" "absent" HEADERS;
    "headers.accept-language" "*" "absent" HEADERS;
    "headers.sec-fetch-mode" "cors" "absent" HEADERS;
}
group! { NODE: "headers.user-agent" "node" "vllm-provider/<version>" HEADERS; }
group! { UNDICI: "headers.user-agent" "undici" "vllm-provider/<version>" HEADERS; }
group! { POST_HEAD:
    "headers.accept" "application/json" "text/event-stream" ACCEPT;
    "headers.x-stainless-*" "sent" "absent" HEADERS;
    "messages[user].content" "one text part" "a string" STRING;
}
// Shared with a GET of the same run.
group! { CLIENT:
    "headers.accept-encoding" "gzip, deflate" "absent" HEADERS;
    "headers.accept-language" "*" "absent" HEADERS;
    "headers.sec-fetch-mode" "cors" "absent" HEADERS;
}
group! { APRIL:
    "headers.user-agent" "OpenAI/JS 6.26.0" "vllm-provider/<version>" HEADERS;
    "store" "false" "absent" STORE;
}
group! { SEPTEMBER:
    "headers.user-agent" "OpenAI/JS 7.15.0" "vllm-provider/<version>" HEADERS;
    "headers.traceparent" "sent" "absent" HEADERS;
    "tool_choice" "auto" "absent" CHOICE;
}
group! { CONTEXT_SIZES:
    "models[deepseek-r1-distill].context" "125k" "131072" CONTEXT;
    "models[Qwen/Qwen3-8B].context" "125k" "40960" CONTEXT;
    "models[sql-lora].context" "125k" "40960" CONTEXT;
}
group! { TWICE: "requests.GET" "2" "1" ONCE; }
group! { ASKS_FIRST: "requests.GET" "0" "1" DISCOVERY; }
group! { CALL_IDS:
    "messages[assistant].tool_calls.id" "chatcmpltoolaa11" "chatcmpl-tool-aa11" IDS;
    "messages[tool].tool_call_id" "chatcmpltoolaa11" "chatcmpl-tool-aa11" IDS;
}
group! { NO_STREAM_USAGE:
    "stream_options" "absent" "{\"include_usage\":true}" USAGE;
    "usage.input" "0" "not known" NO_USAGE;
    "usage.output" "0" "not known" NO_USAGE;
    "usage.cacheRead" "0" "not known" NO_USAGE;
    "usage.cacheWrite" "0" "not known" NO_USAGE;
    "usage.totalTokens" "0" "not known" NO_USAGE;
    "usage.cost" "0.000000000" "not known" NO_USAGE;
}
group! { FLAT:
    "requests.POST" "2" "1" OVERFLOW;
    "outcome" "error: LLM request failed: provider rejected the request schema or tool payload." "error: invalid-request" OVERFLOW;
}
group! { EIGHT: "requests.POST" "8" "1" OVERFLOW; }
group! { TOO_LONG:
    "outcome" "error: Context overflow: prompt too large for the model. Try /reset (or /new) to start a fresh session, or use a larger-context model." "error: invalid-request" OVERFLOW;
}
group! { REFUSED_KEY_22: "outcome" "error: HTTP 401: \"Unauthorized\"" "error: authentication" MESSAGE; }
group! { REFUSED_KEY_49:
    "outcome" "error: Authentication failed (provider returned HTTP 401). Your provider token may have expired — try the request again in a moment. If the failure persists, re-authenticate this provider." "error: authentication" MESSAGE;
}
group! { NO_MODEL_22:
    "outcome" "error: 404 The model `Qwen/Qwen3-8B` does not exist." "error: model-not-found" MESSAGE;
}
group! { NO_MODEL_49:
    "outcome" "error: The selected model was not found by the provider. Check the model id or choose a different model." "error: model-not-found" MESSAGE;
}
group! { NOBODY_22:
    "outcome" "error: LLM request failed: network connection error." "error: unreachable" MESSAGE;
}
group! { NOBODY_49:
    "outcome" "error: LLM request failed: connection refused by the provider endpoint." "error: unreachable" MESSAGE;
}
group! { UNKNOWN_MODEL:
    "requests.GET" "0" "1" DISCOVERY;
    "requests.POST" "0" "1" DISCOVERY;
    "outcome" "error: Unknown model: vllm/Qwen/Qwen3-8B. vLLM requires authentication to be registered as a provider. Set VLLM_API_KEY (any value works) or run \"openclaw configure\". See: https://docs.openclaw.ai/providers/vllm" "answer" DISCOVERY;
}
group! { WILDCARD_LIST: "headers.x-team" "absent" "research" LIST_HEADERS; }
group! { WILDCARD_LIMIT: "max_completion_tokens" "absent" "8192" LIMIT; }
group! { REWRITTEN:
    "messages[assistant].tool_calls.function.arguments" "{\"path\":\".\"}" "{\"path\": \".\"}" ARGUMENTS;
}
group! { REPLAYED: "messages[assistant].reasoning_content" "I should list files." "absent" REPLAY; }
group! { LEVELS:
    "requests.POST" "0" "1" LEVEL;
    "outcome" "error: Thinking level \"high\" is not supported for vllm/Qwen/Qwen3-8B. Use one of: off, on." "answer" LEVEL;
}
group! { EFFORT:
    "reasoning_effort" "medium" "absent" THINKING;
    "chat_template_kwargs" "absent" "{\"enable_thinking\":true,\"preserve_thinking\":true}" THINKING;
    "usage.output" "28" "20" REASONING_TWICE;
    "usage.totalTokens" "128" "120" REASONING_TWICE;
    "usage.cost" "0.000092000" "0.000080000" REASONING_TWICE;
}

macro_rules! cases {
    ($($file:literal $title:literal [$($group:ident)*] $(says $($words:literal)*)?;)*) => {
        /// Every recording as a case.
        pub(super) fn cases() -> Vec<Case> {
            vec![$(Case {
                file: $file,
                title: $title,
                differences: { static ALL: &[&[Difference]] = &[$($group),*]; ALL },
                says: &[$($($words),*)?],
            }),*]
        }
    };
}

cases! {
    "02-models-list-all" "list, found by key alone" [GET_HEAD NODE CONTEXT_SIZES];
    "03-agent-default-discovery" "turn, found by key alone"
        [GET_HEAD NODE POST_HEAD APRIL NO_STREAM_USAGE];
    "04-models-list-all" "list, found by key alone" [GET_HEAD NODE TWICE CONTEXT_SIZES];
    "05-agent-default-discovery" "turn, found by key alone" [GET_HEAD NODE TWICE POST_HEAD APRIL];
    "06-agent-explicit" "turn, declared model with prices and headers" [CLIENT POST_HEAD APRIL];
    "07-agent-400-context" "400, flat error body" [CLIENT POST_HEAD APRIL FLAT]
        says "maximum context length is 40960 tokens" "http://127.0.0.1:8000/v1" "limit 40960";
    "08-agent-401" "401" [CLIENT POST_HEAD APRIL REFUSED_KEY_22]
        says "Unauthorized" "http://127.0.0.1:8000/v1" "VLLM_API_KEY";
    "09-agent-400-context-wrapped" "400, wrapped error body" [CLIENT POST_HEAD APRIL EIGHT TOO_LONG]
        says "maximum context length is 40960 tokens" "limit 40960";
    "10-models-list-refresh" "list with a refresh" [GET_HEAD UNDICI];
    "11-agent-default-no-gateway" "turn, found by key alone" [UNKNOWN_MODEL];
    "12-infer-model-run" "`infer model run`" [UNKNOWN_MODEL];
    "13-models-list-no-key" "list without a key" [] says "VLLM_API_KEY";
    "14-models-list-wildcard" "list, `vllm/*`" [GET_HEAD UNDICI WILDCARD_LIST];
    "15-agent-wildcard" "turn, `vllm/*`" [ASKS_FIRST CLIENT POST_HEAD SEPTEMBER WILDCARD_LIMIT];
    "20-agent-explicit" "turn, declared model with prices and headers" [CLIENT POST_HEAD SEPTEMBER];
    "21-agent-401" "401" [CLIENT POST_HEAD SEPTEMBER REFUSED_KEY_49]
        says "Unauthorized" "http://127.0.0.1:8000/v1" "VLLM_API_KEY";
    "22-agent-404-model" "404, unknown model" [CLIENT POST_HEAD SEPTEMBER NO_MODEL_49]
        says "The model `Qwen/Qwen3-8B` does not exist";
    "23-agent-400-context" "400, wrapped error body" [CLIENT POST_HEAD SEPTEMBER TOO_LONG]
        says "maximum context length is 40960 tokens" "limit 40960";
    "24-agent-conn-refused" "nobody listens" [NOBODY_49] says "refused" "http://127.0.0.1:";
    "25-agent-reasoning-and-tool" "tool round trip, not reasoning"
        [CLIENT POST_HEAD SEPTEMBER CALL_IDS REWRITTEN];
    "26-agent-qwen-thinking-high" "Qwen template, level high" [LEVELS];
    "26-agent-qwen-thinking-on" "Qwen template, level low" [CLIENT POST_HEAD SEPTEMBER];
    "30-agent-404-model" "404, unknown model" [CLIENT POST_HEAD APRIL NO_MODEL_22]
        says "The model `Qwen/Qwen3-8B` does not exist";
    "31-agent-conn-refused" "nobody listens" [NOBODY_22] says "refused" "http://127.0.0.1:";
    "32-agent-tool-roundtrip" "tool round trip, not reasoning"
        [CLIENT POST_HEAD APRIL CALL_IDS REPLAYED];
    "33-agent-reasoning-medium" "reasoning model, level medium" [CLIENT POST_HEAD APRIL EFFORT];
}

/// The cases are the recordings, each once.
#[test]
fn each_recording_is_one_case() {
    let names: Vec<_> = cases().iter().map(|case| case.file).collect();
    let files: Vec<_> = recorded::ALL.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, files);
}
