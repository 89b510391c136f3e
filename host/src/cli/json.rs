//! The JSON that scripts read: `chat --json`, `models list --json`, `plugin
//! inspect --json`. Field names and their order stand here and nowhere else;
//! nothing is added to them without a reason that outlives this version.

mod harmless;

use std::time::Duration;

use provider_host::route::Step;
use provider_host::types;
use serde::Serialize;

pub(super) use harmless::{write_line, write_pretty};

/// One line of `chat --json`.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Line<'a> {
    Start {
        id: &'a str,
        model: &'a str,
    },
    Reasoning {
        text: &'a str,
    },
    Text {
        text: &'a str,
    },
    ToolCallStart {
        index: u32,
        id: &'a str,
        name: &'a str,
    },
    ToolCallArguments {
        index: u32,
        delta: &'a str,
    },
    ToolCallEnd {
        index: u32,
        id: &'a str,
        name: &'a str,
        arguments: &'a str,
        /// The arguments are a JSON object.
        valid: bool,
    },
    Note {
        code: &'a str,
        path: Option<&'a str>,
        message: &'a str,
    },
    Usage(Usage),
    Finish {
        reason: &'a str,
    },
    Result(Result<'a>),
    Error {
        error: Error,
        partial: Option<Partial<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        retries: Option<&'a [Detour]>,
    },
}

impl<'a> Line<'a> {
    /// The line of an event; none for what this version has no line for.
    pub(super) fn of(event: &'a types::Event) -> Option<Self> {
        use types::Event as E;
        Some(match event {
            E::Start(start) => Self::Start {
                id: &start.id,
                model: &start.model,
            },
            E::Reasoning(text) => Self::Reasoning { text },
            E::Text(text) => Self::Text { text },
            E::ToolCallStart(call) => Self::ToolCallStart {
                index: call.index,
                id: &call.id,
                name: &call.name,
            },
            E::ToolCallArguments(piece) => Self::ToolCallArguments {
                index: piece.index,
                delta: &piece.delta,
            },
            E::ToolCallEnd(call) => Self::ToolCallEnd {
                index: call.index,
                id: &call.id,
                name: &call.name,
                arguments: &call.arguments,
                valid: call.valid,
            },
            E::Note(note) => Self::Note {
                code: &note.code,
                path: note.path.as_deref(),
                message: &note.message,
            },
            E::Usage(usage) => Self::Usage(Usage::from(usage)),
            E::Finish(reason) => Self::Finish {
                reason: finish_reason(reason),
            },
            E::Other(_) => return None,
        })
    }
}

/// The last line of an answer that came to its end.
#[derive(Debug, Serialize)]
pub(super) struct Result<'a> {
    pub(super) id: &'a str,
    pub(super) model: &'a str,
    pub(super) text: &'a str,
    pub(super) reasoning: &'a str,
    pub(super) tool_calls: Vec<ToolCall<'a>>,
    pub(super) finish_reason: &'a str,
    pub(super) usage: Option<Usage>,
    pub(super) cost: Option<Cost>,
    pub(super) timing: Timing,
    /// Only if there were any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) retries: Option<&'a [Detour]>,
}

/// A request that did not lead to the answer, and what was done about it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Detour {
    /// `retry`, `refit` or `fallback`.
    action: &'static str,
    /// Reference of the model that was asked.
    model: String,
    kind: String,
    status: Option<u16>,
    message: String,
    /// How long was waited then; 0 unless it is a retry.
    delay_ms: u64,
}

impl Detour {
    /// The detour that a step tells of.
    pub(super) fn of(step: &Step) -> Option<Self> {
        let (action, model, error, delay) = match step {
            Step::Retry(retry) => ("retry", &retry.model, &retry.error, retry.delay),
            Step::Refit(refit) => ("refit", &refit.model, &refit.error, Duration::ZERO),
            Step::Fallback(fallback) => {
                ("fallback", &fallback.model, &fallback.error, Duration::ZERO)
            }
            _ => return None,
        };
        Some(Self {
            action,
            model: model.clone(),
            kind: error.kind_name().to_string(),
            status: error.status(),
            message: error.message().to_owned(),
            delay_ms: milliseconds(delay),
        })
    }
}

/// Half a billion years of waiting are as good as more.
fn milliseconds(wait: Duration) -> u64 {
    u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)
}

/// What came of an answer that failed.
#[derive(Debug, Serialize)]
pub(super) struct Partial<'a> {
    pub(super) text: &'a str,
    pub(super) reasoning: &'a str,
    pub(super) tool_calls: Vec<ToolCall<'a>>,
    pub(super) usage: Option<Usage>,
}

#[derive(Debug, Serialize)]
pub(super) struct ToolCall<'a> {
    pub(super) id: &'a str,
    pub(super) name: &'a str,
    pub(super) arguments: &'a str,
    /// The arguments are a JSON object. None: the answer broke off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) valid: Option<bool>,
}

/// Tokens.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Usage {
    pub(super) input: u64,
    pub(super) output: u64,
    pub(super) cache_read: u64,
    pub(super) cache_write: u64,
    pub(super) reasoning: Option<u64>,
    pub(super) total: u64,
}

impl From<&types::Usage> for Usage {
    fn from(usage: &types::Usage) -> Self {
        Self {
            input: usage.input,
            output: usage.output,
            cache_read: usage.cache_read,
            cache_write: usage.cache_write,
            reasoning: usage.reasoning,
            total: usage.total,
        }
    }
}

/// US dollars.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Cost {
    pub(super) input: f64,
    pub(super) output: f64,
    pub(super) cache_read: f64,
    pub(super) cache_write: f64,
    pub(super) total: f64,
}

impl From<&types::CostBreakdown> for Cost {
    fn from(cost: &types::CostBreakdown) -> Self {
        Self {
            input: cost.input,
            output: cost.output,
            cache_read: cost.cache_read,
            cache_write: cost.cache_write,
            total: cost.total,
        }
    }
}

/// Milliseconds since the request was started.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Timing {
    /// None: there was no event.
    pub(super) first_event_ms: Option<f64>,
    pub(super) total_ms: f64,
}

/// A failure.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Error {
    pub(super) kind: String,
    pub(super) message: String,
    pub(super) status: Option<u16>,
    pub(super) code: Option<String>,
    pub(super) retryable: bool,
    pub(super) retry_after_ms: Option<u64>,
    pub(super) request_sent: bool,
    pub(super) limit: Option<u64>,
    pub(super) requested: Option<u64>,
}

impl Error {
    /// A failure before anything was sent.
    pub(super) fn unsent(kind: &str, message: String) -> Self {
        Self {
            kind: kind.to_owned(),
            message,
            status: None,
            code: None,
            retryable: false,
            retry_after_ms: None,
            request_sent: false,
            limit: None,
            requested: None,
        }
    }
}

impl From<&provider_host::Error> for Error {
    fn from(error: &provider_host::Error) -> Self {
        Self {
            kind: error.kind_name().to_string(),
            message: error.message().to_owned(),
            status: error.status(),
            code: error.code().map(str::to_owned),
            retryable: error.retryable(),
            retry_after_ms: error.retry_after().map(milliseconds),
            request_sent: error.request_sent(),
            limit: error.limit(),
            requested: error.requested(),
        }
    }
}

/// `models list --json`.
#[derive(Debug, Serialize)]
pub(super) struct Models<'a> {
    pub(super) models: Vec<Model<'a>>,
}

#[derive(Debug, Serialize)]
pub(super) struct Model<'a> {
    #[serde(rename = "ref")]
    pub(super) reference: String,
    pub(super) id: &'a str,
    pub(super) name: &'a str,
    pub(super) reasoning: bool,
    pub(super) input: Vec<&'a str>,
    pub(super) context_window: u32,
    pub(super) max_tokens: u32,
    pub(super) cost: Prices,
    pub(super) source: &'a str,
}

impl<'a> Model<'a> {
    /// The entry of a model of `provider`.
    pub(super) fn of(provider: &str, model: &'a types::Model) -> Self {
        Self {
            reference: format!("{provider}/{}", model.id),
            id: &model.id,
            name: &model.name,
            reasoning: model.reasoning,
            input: model.input.iter().map(modality).collect(),
            context_window: model.context_window,
            max_tokens: model.max_tokens,
            cost: Prices::from(&model.cost),
            source: model_source(&model.source),
        }
    }
}

/// US dollars per million tokens.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Prices {
    pub(super) input: f64,
    pub(super) output: f64,
    pub(super) cache_read: f64,
    pub(super) cache_write: f64,
}

impl From<&types::Cost> for Prices {
    fn from(cost: &types::Cost) -> Self {
        Self {
            input: cost.input,
            output: cost.output,
            cache_read: cost.cache_read,
            cache_write: cost.cache_write,
        }
    }
}

/// `plugin inspect --json`.
#[derive(Debug, Serialize)]
pub(super) struct Inspection<'a> {
    pub(super) file: String,
    pub(super) kind: &'a str,
    pub(super) world: Option<&'a str>,
    pub(super) imports: &'a [String],
    pub(super) exports: &'a [String],
    pub(super) manifest: Option<Manifest<'a>>,
    pub(super) size: u64,
    pub(super) sha256: &'a str,
    pub(super) signature: Option<&'a str>,
    /// What the user's policy says; none: there is no policy.
    pub(super) trust: Option<Verdict<'a>>,
}

#[derive(Debug, Serialize)]
pub(super) struct Verdict<'a> {
    pub(super) accepted: bool,
    pub(super) reason: &'a str,
}

#[derive(Debug, Serialize)]
pub(super) struct Manifest<'a> {
    pub(super) id: &'a str,
    pub(super) label: &'a str,
    pub(super) api: &'a str,
    pub(super) version: &'a str,
    pub(super) key_variable: Option<&'a str>,
    pub(super) default_base_url: Option<&'a str>,
    pub(super) documentation_url: Option<&'a str>,
    /// As JSON; as text if it is none.
    pub(super) config_schema: serde_json::Value,
}

impl<'a> From<&'a types::Manifest> for Manifest<'a> {
    fn from(manifest: &'a types::Manifest) -> Self {
        let schema = &manifest.config_schema;
        Self {
            id: &manifest.id,
            label: &manifest.label,
            api: &manifest.api,
            version: &manifest.version,
            key_variable: manifest.key_variable.as_deref(),
            default_base_url: manifest.default_base_url.as_deref(),
            documentation_url: manifest.documentation_url.as_deref(),
            config_schema: serde_json::from_str(schema)
                .unwrap_or_else(|_| serde_json::Value::from(schema.as_str())),
        }
    }
}

/// The word for a finish reason.
pub(super) fn finish_reason(reason: &types::FinishReason) -> &str {
    use types::FinishReason as R;
    match reason {
        R::Stop => "stop",
        R::Length => "length",
        R::ToolCalls => "tool_calls",
        R::ContentFilter => "content_filter",
        R::Other(word) => word,
    }
}

/// The word for a kind of input.
pub(super) fn modality(modality: &types::Modality) -> &str {
    match modality {
        types::Modality::Text => "text",
        types::Modality::Image => "image",
        types::Modality::Other(word) => word,
    }
}

/// The word for how a model came to be known.
pub(super) fn model_source(source: &types::ModelSource) -> &str {
    match source {
        types::ModelSource::Declared => "declared",
        types::ModelSource::Discovered => "discovered",
        types::ModelSource::Other(word) => word,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_become_the_documented_lines() {
        use types::Event as E;
        let usage = types::Usage {
            input: 3,
            output: 4,
            cache_read: 5,
            cache_write: 6,
            reasoning: None,
            total: 18,
            cost: None,
            source: types::UsageSource::Final,
        };
        let cases = [
            (
                E::Start(types::StreamStart {
                    id: "c".into(),
                    model: "m".into(),
                }),
                r#"{"type":"start","id":"c","model":"m"}"#,
            ),
            (
                E::Reasoning("hm\n".into()),
                r#"{"type":"reasoning","text":"hm\n"}"#,
            ),
            (E::Text("é".into()), r#"{"type":"text","text":"é"}"#),
            (
                E::ToolCallStart(types::ToolCallStart {
                    index: 1,
                    id: "i".into(),
                    name: "n".into(),
                }),
                r#"{"type":"tool_call_start","index":1,"id":"i","name":"n"}"#,
            ),
            (
                E::ToolCallArguments(types::ToolCallArguments {
                    index: 1,
                    delta: "{\"".into(),
                }),
                r#"{"type":"tool_call_arguments","index":1,"delta":"{\""}"#,
            ),
            (
                E::ToolCallEnd(types::ToolCallEnd {
                    index: 1,
                    id: "i".into(),
                    name: "n".into(),
                    arguments: "{}".into(),
                    valid: true,
                }),
                r#"{"type":"tool_call_end","index":1,"id":"i","name":"n","arguments":"{}","valid":true}"#,
            ),
            (
                E::Usage(usage),
                r#"{"type":"usage","input":3,"output":4,"cache_read":5,"cache_write":6,"reasoning":null,"total":18}"#,
            ),
            (
                E::Finish(types::FinishReason::ToolCalls),
                r#"{"type":"finish","reason":"tool_calls"}"#,
            ),
            (
                E::Finish(types::FinishReason::Other("abort".into())),
                r#"{"type":"finish","reason":"abort"}"#,
            ),
        ];
        for (event, expected) in cases {
            let line = Line::of(&event).unwrap();
            assert_eq!(serde_json::to_string(&line).unwrap(), expected);
        }
    }

    #[test]
    fn a_note_has_a_line() {
        let note = types::Event::Note(types::Note {
            code: "c".into(),
            path: None,
            message: "m".into(),
        });
        let line = serde_json::to_string(&Line::of(&note)).unwrap();
        assert_eq!(
            line,
            r#"{"type":"note","code":"c","path":null,"message":"m"}"#
        );
    }
}
