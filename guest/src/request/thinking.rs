//! Asking a model to think, or not to.
//!
//! Nothing is sent unless a level is asked for, and then only to a model that
//! is declared as reasoning (or known as such). `compat.thinkingFormat`, or
//! `params.qwenThinkingFormat`, says how; without them an explicit
//! `supportsReasoningEffort` does, and else the model's family.
//!
//! Most templates know thinking on and off only. Where
//! `compat.supportedReasoningEfforts` or `compat.reasoningEffortMap` says that
//! this one knows levels, the level's word goes beside the switch, as
//! `reasoning_effort` (Qwen, DeepSeek V4).

use alloc::string::String;

use crate::config::compat::{Compat, Efforts, ThinkingFormat};
use crate::config::params::{self, Params};
use crate::error::quote::{MAX_SNIPPET, quote};
use crate::families::{Thinking, traits};
use crate::raw_json::{Object, string};
use crate::text;
use crate::types::{Model, ReasoningEffort};

/// Levels by how much the model thinks.
const LADDER: [&str; 7] = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];

/// Where a level is written.
struct Destination<'r> {
    body: &'r mut Object,
    template: &'r mut Object,
}

/// Sets fields of the body or keys of `chat_template_kwargs`. False: there is no way to tell this
/// model.
pub(super) fn set(
    body: &mut Object,
    template: &mut Object,
    model: &Model,
    compat: &Compat,
    params: &Params,
    level: &ReasoningEffort,
) -> bool {
    let family = traits(&model.id).thinking;
    let format = compat.thinking_format.or(params.thinking_format);
    let on = *level != ReasoningEffort::Off;
    let mut sent = Destination { body, template };
    // OpenClaw's vLLM plugin goes by the id alone here: these models think even
    // where nobody declared it.
    if format.is_none() && family == Thinking::Nemotron3 && !on {
        return sent.by_family(family, compat, level);
    }
    if !model.reasoning {
        return false;
    }
    let budget = params
        .thinking_budgets
        .iter()
        .rev()
        .find(|(of, _)| of == level);
    if let Some((_, tokens)) = budget.filter(|_| on) {
        sent.body
            .set("thinking_token_budget", super::integer(*tokens));
    }
    let is_sent = match (format, compat.reasoning_effort) {
        (Some(ThinkingFormat::QwenRoot), _) => {
            sent.body.set("enable_thinking", super::boolean(on));
            if let Some(word) = word(&compat.efforts, level) {
                sent.body.set("reasoning_effort", string(word));
            }
            true
        }
        (Some(ThinkingFormat::QwenTemplate), _) => {
            sent.by_family(Thinking::EnableAndPreserve, compat, level)
        }
        (Some(ThinkingFormat::Family(family)), _) => sent.by_family(family, compat, level),
        (Some(ThinkingFormat::OpenAi) | None, Some(true)) => {
            sent.effort(compat, level, family);
            true
        }
        (Some(ThinkingFormat::OpenAi), _) => false,
        (None, Some(false)) if family == Thinking::Effort => false,
        (None, _) => sent.by_family(family, compat, level),
    };
    is_sent || budget.is_some_and(|_| on)
}

impl Destination<'_> {
    /// As the templates of a family want it. False: they want nothing.
    fn by_family(&mut self, family: Thinking, compat: &Compat, level: &ReasoningEffort) -> bool {
        let on = *level != ReasoningEffort::Off;
        let switch = super::boolean(on);
        match family {
            Thinking::Fixed => return false,
            Thinking::Effort => {
                self.effort(compat, level, family);
                return true;
            }
            Thinking::Enable => self.template.set("enable_thinking", switch),
            Thinking::EnableAndPreserve => {
                self.template.set("enable_thinking", switch);
                self.template.set("preserve_thinking", "true");
            }
            Thinking::Nemotron3 => {
                self.template.set("enable_thinking", switch);
                if !on {
                    self.template.set("force_nonempty_content", "true");
                }
            }
            Thinking::Both => {
                self.template.set("thinking", switch);
                self.template.set("enable_thinking", switch);
            }
        }
        if let Some(word) = word(&compat.efforts, level) {
            self.template.set("reasoning_effort", string(word));
        }
        true
    }

    /// As the field of the body that OpenAI has.
    fn effort(&mut self, compat: &Compat, level: &ReasoningEffort, family: Thinking) {
        let word = word(&compat.efforts, level).unwrap_or_else(|| effort(level, family));
        self.body.set("reasoning_effort", string(word));
    }
}

/// The server's word for a level, where the user names its words: that of the map, the level itself
/// if it is supported, else the next lower one that is, else the lowest. `None`: none is named, or
/// thinking is off and has no word.
fn word<'e>(efforts: &'e Efforts, level: &'e ReasoningEffort) -> Option<&'e str> {
    let mapped = efforts
        .map
        .iter()
        .find(|(from, _)| params::effort(from) == *level);
    if let Some((_, word)) = mapped {
        return Some(word);
    }
    let own = effort(level, Thinking::Fixed);
    let supported = &efforts.supported;
    if supported.iter().any(|word| word == own) {
        return Some(own);
    }
    if *level == ReasoningEffort::Off || efforts == &Efforts::default() {
        return None;
    }
    let rank = |word: &str| LADDER.iter().position(|known| *known == word);
    let Some(wanted) = rank(own).filter(|_| !supported.is_empty()) else {
        return Some(own);
    };
    let ranked = || {
        let ranked = supported
            .iter()
            .filter_map(|word| Some((rank(word)?, word.as_str())));
        ranked.filter(|(rank, _)| *rank > 0)
    };
    let lower = ranked().filter(|(rank, _)| *rank < wanted).max();
    let found = lower.or_else(|| ranked().min());
    Some(found.map_or(own, |(_, word)| word))
}

/// Why a level that was asked for is not sent.
pub(super) fn not_sent(model: &Model, level: &ReasoningEffort) -> String {
    let level = match level {
        ReasoningEffort::Off => "off",
        level => effort(level, Thinking::Fixed),
    };
    let why = match model.reasoning {
        false => {
            " is not known to reason; set reasoning: true for it under models.providers.vllm.models if it does"
        }
        true => {
            " has no switch for its thinking that is known; set compat.thinkingFormat or compat.supportsReasoningEffort for it"
        }
    };
    let (level, id) = (quote(level, MAX_SNIPPET), quote(&model.id, MAX_SNIPPET));
    text::concat(&[
        "the level of reasoning \"",
        &level,
        "\" has no effect: the model ",
        &id,
        why,
    ])
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
