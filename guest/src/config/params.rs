//! Free parameters of requests: `params` of the provider, of a model, and of
//! the agent for a model.
//!
//! Known names become fields of the request's body: sampling, `maxTokens`,
//! `stop`, `parallel_tool_calls`, `priority`, `thinking`, `thinkingBudgets`,
//! each in snake or camel case. Whatever else the server knows goes through `extra_body`
//! (OpenClaw's name, also `extraBody`), which is passed on as it is. An unknown
//! name is a note, not a field: OpenClaw keeps switches of its own here.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use super::compat::ThinkingFormat;
use super::found::Path;
use super::keys;
use crate::number::parse_integer;
use crate::raw_json::{Kind, Object, Raw};
use crate::text;
use crate::types::{Error, Note, ReasoningEffort};

/// Parameters, merged over the layers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Params {
    /// Fields of the body by their own names.
    pub(crate) fields: Object,
    pub(crate) max_tokens: Option<u32>,
    pub(crate) thinking: Option<ReasoningEffort>,
    pub(crate) thinking_format: Option<ThinkingFormat>,
    /// A level, and the most tokens of thinking at it. The last one of a level counts.
    pub(crate) thinking_budgets: Vec<(ReasoningEffort, u32)>,
    /// `chat_template_kwargs`.
    pub(crate) template: Object,
    pub(crate) extra: Extra,
}

/// Fields of the body that the user sets himself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Extra {
    /// All but `chat_template_kwargs`.
    pub(crate) fields: Object,
    /// `chat_template_kwargs`, merged key by key.
    pub(crate) template: Object,
}

enum Of {
    Number,
    Integer,
    Bool,
    Texts,
}

const FIELDS: &[(&str, Of)] = &[
    ("temperature", Of::Number),
    ("top_p", Of::Number),
    ("top_k", Of::Integer),
    ("min_p", Of::Number),
    ("presence_penalty", Of::Number),
    ("frequency_penalty", Of::Number),
    ("repetition_penalty", Of::Number),
    ("seed", Of::Integer),
    ("stop", Of::Texts),
    ("parallel_tool_calls", Of::Bool),
    ("priority", Of::Integer),
];

/// Switches of OpenClaw for other transports or for the agent itself.
const SILENT: &[&str] = &[
    "alias",
    "cache_retention",
    "fast_mode",
    "openai_ws_warmup",
    "priority_scheduling",
    "responses_server_compaction",
    "service_tier",
    "text_verbosity",
    "transport",
];

impl Params {
    /// Reads one layer.
    pub(crate) fn read(
        path: &Path<'_>,
        value: Raw<'_>,
        notes: &mut Vec<Note>,
    ) -> Result<Self, Box<Error>> {
        let mut params = Self::default();
        for (key, value) in &path.object(value)?.0 {
            let (at, value) = (path.key(key), *value);
            if let Some((name, of)) = FIELDS.iter().find(|(name, _)| is(key, name)) {
                params.fields.set(name, field(&at, value, of)?);
            } else if is(key, "max_tokens") || is(key, "max_completion_tokens") {
                params.max_tokens = Some(at.count(value)?);
            } else if is(key, "thinking") {
                params.thinking = Some(effort(&at.string(value)?));
            } else if is(key, "thinking_budgets") {
                for (level, tokens) in at.object(value)?.0 {
                    let tokens = at.key(&level).count(tokens)?;
                    params.thinking_budgets.push((effort(&level), tokens));
                }
            } else if is(key, "chat_template_kwargs") {
                params.template = Object::from(&at.object(value)?);
            } else if is(key, "extra_body") {
                params.extra = Extra::read(value).map_err(|(key, why)| match key {
                    Some(key) => at.key(key).error(&why),
                    None => at.error(&why),
                })?;
            } else if is(key, "qwen_thinking_format") {
                params.thinking_format =
                    Some(match at.word(value, &["chat-template", "top-level"])? {
                        "top-level" => ThinkingFormat::QwenRoot,
                        _ => ThinkingFormat::QwenTemplate,
                    });
            } else if !SILENT.iter().any(|name| is(key, name)) {
                notes.push(keys::unknown(path, key, keys::PARAMS));
            }
        }
        Ok(params)
    }

    /// Lays a layer over this one.
    pub(crate) fn merge(&mut self, over: &Params) {
        self.fields.merge(&over.fields);
        self.template.merge(&over.template);
        self.extra.fields.merge(&over.extra.fields);
        self.extra.template.merge(&over.extra.template);
        self.max_tokens = over.max_tokens.or(self.max_tokens);
        self.thinking = over.thinking.clone().or_else(|| self.thinking.take());
        self.thinking_budgets
            .extend(over.thinking_budgets.iter().cloned());
        self.thinking_format = over.thinking_format.or(self.thinking_format);
    }
}

const NO_OBJECT: &str = ", but must be an object";

impl Extra {
    /// Reads an object of body fields. The error is the field, if it is one of
    /// them, and what is wrong.
    pub(crate) fn read(value: Raw<'_>) -> Result<Self, (Option<&'static str>, String)> {
        let Some(fields) = value.as_object() else {
            let kind = value.kind().name();
            return Err((None, text::concat(&["is ", kind, NO_OBJECT])));
        };
        let mut extra = Self {
            fields: Object::from(&fields),
            template: Object::default(),
        };
        for own in ["stream", "messages"] {
            if extra.fields.get(own).is_some() {
                let why = "can't be set: the exchange itself is made of it";
                return Err((Some(own), why.to_owned()));
            }
        }
        const TEMPLATE: &str = "chat_template_kwargs";
        match fields
            .get(TEMPLATE)
            .map(|value| (value.kind(), value.as_object()))
        {
            None => {}
            Some((_, Some(template))) => {
                extra.template = Object::from(&template);
                extra.fields.remove(TEMPLATE);
            }
            Some((Kind::Null, _)) => extra.fields.remove(TEMPLATE),
            Some((kind, _)) => {
                let why = text::concat(&["is ", kind.name(), NO_OBJECT]);
                return Err((Some(TEMPLATE), why));
            }
        }
        Ok(extra)
    }
}

/// A level of thinking by its word.
pub(crate) fn effort(word: &str) -> ReasoningEffort {
    match word {
        "off" | "none" => ReasoningEffort::Off,
        "minimal" => ReasoningEffort::Minimal,
        "low" => ReasoningEffort::Low,
        "medium" => ReasoningEffort::Medium,
        "high" => ReasoningEffort::High,
        "xhigh" => ReasoningEffort::Xhigh,
        other => ReasoningEffort::Other(other.to_owned()),
    }
}

/// Whether `key` is `name`, in snake or in camel case.
fn is(key: &str, name: &str) -> bool {
    if key == name {
        return true;
    }
    let mut upper = false;
    let camel = name.chars().filter_map(|c| {
        let at_word = upper;
        upper = c == '_';
        (!upper).then(|| if at_word { c.to_ascii_uppercase() } else { c })
    });
    key.chars().eq(camel)
}

/// Whether a number is one of `i64`.
fn is_integer(text: &str) -> bool {
    let (digits, least) = match text.strip_prefix('-') {
        Some(digits) => (digits, 1 << 63),
        None => (text, (1 << 63) - 1),
    };
    parse_integer(digits).is_some_and(|magnitude| magnitude <= least)
}

fn field(path: &Path<'_>, value: Raw<'_>, of: &Of) -> Result<String, Box<Error>> {
    let allowed = match of {
        Of::Number if value.as_f64().is_some() => None,
        Of::Number => Some("a number"),
        Of::Integer if value.kind() == Kind::Number && is_integer(value.text()) => None,
        Of::Integer => Some("a whole number"),
        Of::Bool if value.as_bool().is_some() => None,
        Of::Bool => Some("true or false"),
        Of::Texts => match value.kind() {
            Kind::String if value.as_string().is_some() => {
                return Ok(text::concat(&["[", value.text(), "]"]));
            }
            Kind::Array
                if value
                    .as_array()
                    .is_some_and(|all| all.iter().all(|one| one.as_string().is_some())) =>
            {
                None
            }
            _ => Some("a string or an array of strings"),
        },
    };
    match allowed {
        None => Ok(value.text().to_owned()),
        Some(allowed) => Err(path.refuse(value, allowed)),
    }
}
