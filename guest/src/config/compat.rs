//! OpenClaw's `compat` flags, as far as they mean something for vLLM.
//!
//! What is never sent needs no flag: `supportsStore`, `supportsStrictMode` and
//! their like are read and have no effect.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use super::found::Path;
use super::keys;
use crate::families::Thinking;
use crate::raw_json::{Fields, Raw};
use crate::types::{Error, Note};

/// How thinking is asked for, where the user says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ThinkingFormat {
    /// `reasoning_effort`, if the server supports it.
    OpenAi,
    /// `enable_thinking` in the body.
    QwenRoot,
    /// `chat_template_kwargs`.
    QwenTemplate,
    /// As the family does.
    Family(Thinking),
}

/// The server's words for levels of thinking, where the user names them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Efforts {
    /// `supportedReasoningEfforts`: the words that the model's template knows.
    pub(crate) supported: Vec<String>,
    /// `reasoningEffortMap`: a level by its word here, and the server's word for it.
    pub(crate) map: Vec<(String, String)>,
}

impl Efforts {
    fn read(path: &Path<'_>, fields: &Fields<'_>) -> Result<Self, Box<Error>> {
        let mut efforts = Self::default();
        if let Some(value) = fields.get("supportedReasoningEfforts") {
            let path = path.key("supportedReasoningEfforts");
            let words = value.as_array().and_then(|words| {
                let words = words.into_iter().map(Raw::as_string);
                words.collect::<Option<Vec<String>>>()
            });
            efforts.supported = words.ok_or_else(|| {
                path.refuse(value, "an array of levels, such as [\"low\", \"high\"]")
            })?;
        }
        if let Some(value) = fields.get("reasoningEffortMap") {
            let path = path.key("reasoningEffortMap");
            for (level, word) in path.object(value)?.0 {
                let word = path.key(&level).string(word)?;
                efforts.map.push((level, word));
            }
        }
        Ok(efforts)
    }
}

/// The flags of one model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Compat {
    pub(crate) usage_in_streaming: bool,
    pub(crate) max_tokens_field: &'static str,
    pub(crate) reasoning_effort: Option<bool>,
    pub(crate) thinking_format: Option<ThinkingFormat>,
    pub(crate) efforts: Efforts,
    pub(crate) tools: bool,
    pub(crate) string_content: bool,
    pub(crate) tool_result_name: bool,
    pub(crate) assistant_after_tool_result: bool,
    pub(crate) thinking_as_text: bool,
    pub(crate) developer_role: bool,
}

impl Default for Compat {
    fn default() -> Self {
        Self {
            usage_in_streaming: true,
            max_tokens_field: "max_completion_tokens",
            reasoning_effort: None,
            thinking_format: None,
            efforts: Efforts::default(),
            tools: true,
            string_content: false,
            tool_result_name: false,
            assistant_after_tool_result: false,
            thinking_as_text: false,
            developer_role: false,
        }
    }
}

impl Compat {
    pub(crate) fn read(
        path: &Path<'_>,
        value: Raw<'_>,
        notes: &mut Vec<Note>,
    ) -> Result<Self, Box<Error>> {
        let fields = path.object(value)?;
        keys::COMPAT.check(path, &fields, notes);
        let mut compat = Self::default();
        for (key, flag) in [
            ("supportsUsageInStreaming", &mut compat.usage_in_streaming),
            ("supportsTools", &mut compat.tools),
            ("requiresStringContent", &mut compat.string_content),
            ("requiresToolResultName", &mut compat.tool_result_name),
            (
                "requiresAssistantAfterToolResult",
                &mut compat.assistant_after_tool_result,
            ),
            ("requiresThinkingAsText", &mut compat.thinking_as_text),
            ("supportsDeveloperRole", &mut compat.developer_role),
        ] {
            if let Some(value) = fields.get(key) {
                *flag = path.key(key).bool(value)?;
            }
        }
        if let Some(value) = fields.get("supportsReasoningEffort") {
            compat.reasoning_effort = Some(path.key("supportsReasoningEffort").bool(value)?);
        }
        if let Some(value) = fields.get("maxTokensField") {
            compat.max_tokens_field = path
                .key("maxTokensField")
                .word(value, &["max_completion_tokens", "max_tokens"])?;
        }
        if let Some(value) = fields.get("thinkingFormat") {
            let path = path.key("thinkingFormat");
            let words = [
                "openai",
                "qwen",
                "qwen-chat-template",
                "deepseek",
                "openrouter",
                "zai",
            ];
            compat.thinking_format = Some(match path.word(value, &words)? {
                "openai" => ThinkingFormat::OpenAi,
                "qwen" => ThinkingFormat::QwenRoot,
                "qwen-chat-template" => ThinkingFormat::QwenTemplate,
                "deepseek" => ThinkingFormat::Family(Thinking::Both),
                _ => {
                    let what = "names a format that vLLM does not have; nothing is sent for it";
                    notes.push(keys::note("ignored-value", &path, what));
                    ThinkingFormat::Family(Thinking::Fixed)
                }
            });
        }
        compat.efforts = Efforts::read(path, &fields)?;
        Ok(compat)
    }
}
