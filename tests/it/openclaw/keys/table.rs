//! The keys, and what is said of each.

use serde_json::{Value, json};

/// What is seen when the key is set.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Seen {
    Effect,
    /// Nothing changes, and a warning names the key.
    Warning,
    /// Nothing changes and nothing is said.
    Nothing,
    /// An error names the key.
    Refusal,
}
use Seen::*;

pub(super) struct Key {
    /// Below `models.providers.vllm`, or from the root for `agents` and others.
    pub(super) path: &'static str,
    pub(super) value: Value,
    pub(super) seen: Seen,
    /// What else must be set for it to matter.
    pub(super) with: Vec<(&'static str, Value)>,
    /// What the page says of it.
    pub(super) text: &'static str,
}

impl Key {
    fn with(mut self, path: &'static str, value: Value) -> Self {
        self.with.push((path, value));
        self
    }

    /// What the page calls it.
    pub(super) fn verdict(&self) -> &'static str {
        match self.seen {
            Effect if self.text.starts_with("differently") => "honoured differently",
            Effect => "honoured",
            Warning => "ignored with a warning",
            Nothing => "ignored",
            Refusal => "refused",
        }
    }
}

fn key(seen: Seen, path: &'static str, value: Value, text: &'static str) -> Key {
    let with = Vec::new();
    Key {
        path,
        value,
        seen,
        with,
        text,
    }
}

/// The keys; `port` is the server's.
pub(super) fn keys(port: u16) -> Vec<Key> {
    let base = format!("http://127.0.0.1:{port}/other/v1");
    let proxy = format!("http://127.0.0.1:{port}");
    let ca = rcgen::generate_simple_self_signed(vec!["localhost".into()]).expect("a certificate");
    let mut keys = vec![
        key(Effect, "baseUrl", json!(base), "a blank one is the default"),
        key(Effect, "apiKey", json!("${OTHER}"), "a text, `${NAME}`, the name of a variable, or `{source: \"env\", id}`"),
        key(Refusal, "apiKey", json!({"source": "file", "provider": "p", "id": "/k"}), "secrets from files and commands: put them into a variable"),
        key(Effect, "auth", json!("none"), "differently: `api-key` and `token` are the bearer key; `none` (ours) allows a remote server without a key").with("apiKey", json!("k")),
        key(Refusal, "auth", json!("oauth"), "`oauth` and `aws-sdk`: no vLLM has them"),
        key(Refusal, "api", json!("openai-responses"), "anything but `openai-completions`, which is also the default (OpenClaw's is `openai-responses`)"),
        key(Effect, "headers", json!({"X-Team": "red"}), "differently: sent with discovery, too"),
        key(Effect, "authHeader", json!(true), "the key replaces a configured `Authorization`").with("apiKey", json!("k")).with("headers", json!({"Authorization": "Basic x"})),
        key(Effect, "timeoutSeconds", json!(30), "bounds the exchange and each wait in it; fractions are allowed"),
        key(Effect, "params", json!({"temperature": 0.5}), "for every model"),
        key(Effect, "request.headers", json!({"X-Team": "red"}), "over those of provider and model"),
        key(Effect, "request.auth", json!({"mode": "header", "headerName": "X-Key", "value": "v"}), "`provider-default`, `authorization-bearer`, `header`"),
        key(Effect, "request.allowPrivateNetwork", json!(true), "differently: a private address or a local name needs no permission; this is for a public name that leads to a private address"),
        key(Effect, "request.tls.ca", json!(ca.cert.pem()), "PEM text or the name of a file, beside the system's authorities"),
        key(Effect, "request.tls", json!({"cert": ca.cert.pem(), "key": ca.signing_key.serialize_pem()}), "`cert` and `key`: a client certificate for this server, as PEM text or the names of files"),
        key(Refusal, "request.tls.cert", json!(ca.cert.pem()), "without `key`"),
        key(Refusal, "request.tls.key", json!(ca.signing_key.serialize_pem()), "without `cert`; an encrypted key: decrypt it first (`openssl pkey`)"),
        key(Warning, "request.tls.passphrase", json!("p"), "encrypted keys are not supported: decrypt the key"),
        key(Effect, "request.tls.serverName", json!("n.example"), "the name that the server's certificate is for"),
        key(Warning, "request.tls.insecureSkipVerify", json!(true), "certificates are always verified"),
        key(Effect, "request.proxy", json!({"mode": "explicit-proxy", "url": proxy}), "`explicit-proxy` with an `http://` URL, the URL alone (ours), or `env-proxy`; then this machine is dialled itself"),
        key(Refusal, "request.proxy", json!("socks5://proxy:1080"), "SOCKS proxies, and those that are spoken to over TLS (`https://`)"),
        key(Warning, "request.proxy.tls", json!({"ca": "c"}), "a proxy is spoken to over plain HTTP").with("request.proxy", json!({"mode": "env-proxy"})),
        key(Warning, "injectNumCtxForOpenAICompat", json!(true), "Ollama's"),
        key(Warning, "maxTokens", json!(100), "set it at the model"),
        key(Warning, "region", json!("eu"), "a cloud's"),
        key(Warning, "agentRuntime", json!({"id": "x"}), "the agent's own"),
        key(Warning, "localService", json!({"command": "vllm"}), "no server is started"),
        key(Warning, "baseURL", json!("x"), "a slip: the warning names the nearest key (OpenClaw refuses the file)"),
        key(Effect, "models", json!([]), "declared models; none: the list is empty unless `vllm/*` is set"),
        key(Effect, "models[].id", json!("other"), "sent verbatim"),
        key(Effect, "models[].name", json!("Other"), "differently: need not be there; the id is the default"),
        key(Refusal, "models[].api", json!("openai-responses"), "anything but `openai-completions`"),
        key(Warning, "models[].baseUrl", json!("http://127.0.0.1:1/v1"), "one server a provider"),
        key(Effect, "models[].reasoning", json!(true), "thinking is switched and replayed"),
        key(Effect, "models[].input", json!(["text", "image"]), "without `image`, images become a line of text"),
        key(Effect, "models[].cost.input", json!(1), "US dollars for a million tokens"),
        key(Effect, "models[].cost.output", json!(1), "the same; thinking is counted once"),
        key(Effect, "models[].cost.cacheRead", json!(1), "the same"),
        key(Effect, "models[].cost.cacheWrite", json!(1), "the same"),
        key(Warning, "models[].cost.tieredPricing", json!([]), "one price a kind"),
        key(Effect, "models[].contextWindow", json!(4096), "differently: 128,000 by default (OpenClaw: 200,000); no least size"),
        key(Effect, "models[].contextTokens", json!(1200), "caps what is used of the window"),
        key(Effect, "models[].maxTokens", json!(100), "never more than the window"),
        key(Effect, "models[].headers", json!({"X-Team": "red"}), "differently: a missing variable concerns this model alone"),
        key(Effect, "models[].params", json!({"temperature": 0.5}), "over the provider's"),
        key(Warning, "models[].agentRuntime", json!({"id": "x"}), "the agent's own"),
        key(Warning, "models[].thinkingLevelMap", json!({"low": "on"}), "levels go as they are"),
        key(Warning, "models[].mediaInput", json!({"image": {}}), "the agent's own"),
        key(Nothing, "models[].metadataSource", json!("catalog"), "OpenClaw's note to itself"),
    ];
    let compat = [
        (
            Effect,
            "models[].compat.supportsUsageInStreaming",
            json!(false),
            "`stream_options` is left out",
        ),
        (
            Effect,
            "models[].compat.maxTokensField",
            json!("max_tokens"),
            "the name of the limit's field",
        ),
        (
            Effect,
            "models[].compat.supportsReasoningEffort",
            json!(true),
            "`reasoning_effort` is sent",
        ),
        (
            Effect,
            "models[].compat.thinkingFormat",
            json!("qwen"),
            "`openai`, `qwen`, `qwen-chat-template`, `deepseek` (ours); without it the model's family decides",
        ),
        (
            Effect,
            "models[].compat.supportsTools",
            json!(false),
            "tools are left out",
        ),
        (
            Effect,
            "models[].compat.requiresStringContent",
            json!(true),
            "images become a line of text, and every content is one string",
        ),
        (
            Effect,
            "models[].compat.requiresToolResultName",
            json!(true),
            "results carry the tool's name",
        ),
        (
            Effect,
            "models[].compat.requiresAssistantAfterToolResult",
            json!(true),
            "an assistant's line goes between a result and a user's text",
        ),
        (
            Effect,
            "models[].compat.requiresThinkingAsText",
            json!(true),
            "thinking is replayed as text",
        ),
        (
            Effect,
            "models[].compat.supportsDeveloperRole",
            json!(true),
            "differently: an explicit flag is followed (OpenClaw needs `reasoning`, too)",
        ),
    ];
    for (seen, path, value, text) in compat {
        let key = key(seen, path, value, text).with("models[].reasoning", json!(true));
        keys.push(match path {
            "models[].compat.requiresStringContent" => {
                key.with("models[].input", json!(["text", "image"]))
            }
            _ => key,
        });
    }
    for (path, value, text) in [
        (
            "models[].compat.supportedReasoningEfforts",
            json!(["low", "max"]),
            "the nearest level that is not higher goes, as `reasoning_effort` beside the template's switch",
        ),
        (
            "models[].compat.reasoningEffortMap",
            json!({"high": "max", "medium": "max", "low": "max"}),
            "the server's word for a level, likewise",
        ),
    ] {
        let key = key(Effect, path, value, text).with("models[].reasoning", json!(true));
        keys.push(key.with("models[].compat.thinkingFormat", json!("qwen")));
    }
    keys.push(key(
        Warning,
        "models[].compat.thinkingFormat",
        json!("zai"),
        "`zai` and `openrouter`: no vLLM has them",
    ));
    let never_sent = "never sent anyway";
    let not_needed = "not needed here";
    for (path, text) in [
        ("models[].compat.supportsStore", never_sent),
        ("models[].compat.supportsPromptCacheKey", never_sent),
        ("models[].compat.supportsStrictMode", never_sent),
        ("models[].compat.sendSessionAffinityHeaders", never_sent),
        ("models[].compat.cacheControlFormat", never_sent),
        ("models[].compat.supportsTemperature", "sent when it is set"),
        (
            "models[].compat.supportsJsonSchemaResponseFormat",
            "sent when it is asked for",
        ),
        ("models[].compat.strictMessageKeys", not_needed),
        (
            "models[].compat.visibleReasoningDetailTypes",
            "another server's field",
        ),
        (
            "models[].compat.toolSchemaProfile",
            "schemas go as they are",
        ),
        (
            "models[].compat.unsupportedToolSchemaKeywords",
            "schemas go as they are",
        ),
        ("models[].compat.nativeWebSearchTool", "the agent's own"),
        ("models[].compat.toolCallArgumentsEncoding", not_needed),
        (
            "models[].compat.requiresMistralToolIds",
            "ids go as they came",
        ),
        (
            "models[].compat.requiresOpenAiAnthropicToolPayload",
            "another server's shape",
        ),
        (
            "models[].compat.requiresReasoningContentOnAssistantMessages",
            not_needed,
        ),
        ("models[].compat.codeMode", "the agent's own"),
    ] {
        keys.push(key(Nothing, path, json!(true), text));
    }
    keys.extend([
        key(
            Effect,
            "agents.defaults.model.primary",
            json!("vllm/n"),
            "the model of `chat`",
        ),
        key(
            Effect,
            "agents.defaults.model.fallbacks",
            json!(["vllm/n"]),
            "the models after it, in order",
        ),
        key(
            Effect,
            "agents.defaults.models.vllm/*",
            json!({}),
            "asks the configured server; declared models go over discovered ones",
        ),
        key(
            Effect,
            "agents.defaults.models.vllm/m.params.temperature",
            json!(0.5),
            "sampling fields, in snake or camel case",
        ),
        key(
            Effect,
            "agents.defaults.models.vllm/m.params.maxTokens",
            json!(77),
            "the answer's limit",
        ),
        key(
            Effect,
            "agents.defaults.models.vllm/m.params.parallel_tool_calls",
            json!(false),
            "",
        ),
        key(
            Effect,
            "agents.defaults.models.vllm/m.params.chat_template_kwargs",
            json!({"x": 1}),
            "wins key by key",
        ),
        key(
            Effect,
            "agents.defaults.models.vllm/m.params.extra_body",
            json!({"tool_choice": "required"}),
            "merged last; anything but `messages` and `stream`",
        ),
        key(
            Effect,
            "agents.defaults.models.vllm/m.params.qwenThinkingFormat",
            json!("top-level"),
            "`chat-template`, `top-level`",
        )
        .with("models[].reasoning", json!(true)),
        key(
            Nothing,
            "agents.defaults.models.vllm/m.params.priorityScheduling",
            json!(true),
            "say `priority` as a number",
        ),
        key(
            Nothing,
            "agents.defaults.models.vllm/m.alias",
            json!("fast"),
            "the agent's own",
        ),
        key(
            Warning,
            "$include",
            json!("./other.json5"),
            "other files are not read",
        ),
    ]);
    keys
}
