//! Asking a model to think, or not to.
//!
//! Nothing is sent unless a level is asked for, and then only to a model that
//! is declared as reasoning (or known as such). `compat.thinkingFormat`, or
//! `params.qwenThinkingFormat`, says how; without them an explicit
//! `supportsReasoningEffort` does, and else the model's family.

use crate::config::compat::{Compat, ThinkingFormat};
use crate::families::{Thinking, traits};
use crate::raw_json::{Object, string};
use crate::types::{Model, ReasoningEffort};

/// Sets fields of the body or keys of `chat_template_kwargs`.
pub(super) fn set(
    body: &mut Object,
    template: &mut Object,
    model: &Model,
    compat: &Compat,
    format: Option<ThinkingFormat>,
    level: &ReasoningEffort,
) {
    let family = traits(&model.id).thinking;
    let on = *level != ReasoningEffort::Off;
    // OpenClaw's vLLM plugin goes by the id alone here: these models think even
    // where nobody declared it.
    if format.is_none() && family == Thinking::Nemotron3 && !on {
        return by_family(body, template, family, level);
    }
    if !model.reasoning {
        return;
    }
    match (format, compat.reasoning_effort) {
        (Some(ThinkingFormat::QwenRoot), _) => body.set("enable_thinking", super::boolean(on)),
        (Some(ThinkingFormat::QwenTemplate), _) => {
            by_family(body, template, Thinking::EnableAndPreserve, level);
        }
        (Some(ThinkingFormat::Family(family)), _) => by_family(body, template, family, level),
        (Some(ThinkingFormat::OpenAi) | None, Some(true)) => {
            body.set("reasoning_effort", string(effort(level, family)));
        }
        (Some(ThinkingFormat::OpenAi), _) => {}
        (None, Some(false)) if family == Thinking::Effort => {}
        (None, _) => by_family(body, template, family, level),
    }
}

fn by_family(body: &mut Object, template: &mut Object, family: Thinking, level: &ReasoningEffort) {
    let on = *level != ReasoningEffort::Off;
    let switch = if on { "true" } else { "false" };
    match family {
        Thinking::Fixed => {}
        Thinking::Enable => template.set("enable_thinking", switch),
        Thinking::EnableAndPreserve => {
            template.set("enable_thinking", switch);
            template.set("preserve_thinking", "true");
        }
        Thinking::Nemotron3 => {
            template.set("enable_thinking", switch);
            if !on {
                template.set("force_nonempty_content", "true");
            }
        }
        Thinking::Both => {
            template.set("thinking", switch);
            template.set("enable_thinking", switch);
        }
        Thinking::Effort => body.set("reasoning_effort", string(effort(level, family))),
    }
}

/// The level in the server's word. gpt-oss has three, and can't be kept from
/// thinking: off is its least.
fn effort(level: &ReasoningEffort, family: Thinking) -> &str {
    match (level, family) {
        (ReasoningEffort::Off | ReasoningEffort::Minimal, Thinking::Effort) => "low",
        (ReasoningEffort::Xhigh, Thinking::Effort) => "high",
        (ReasoningEffort::Off, _) => "none",
        (ReasoningEffort::Minimal, _) => "minimal",
        (ReasoningEffort::Low, _) => "low",
        (ReasoningEffort::Medium, _) => "medium",
        (ReasoningEffort::High, _) => "high",
        (ReasoningEffort::Xhigh, _) => "xhigh",
        (ReasoningEffort::Other(word), _) => word,
    }
}
