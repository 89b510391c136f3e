//! Between the contract's values as wit-bindgen names them and the core's.
//!
//! Most types are the same ([`super::bindings`]). Here are those whose shapes
//! differ. Each function moves; none copies text, judges or fills in.

use super::bindings::llm::provider::types as wit;
use crate::types as core;

pub(super) fn model(m: wit::Model) -> core::Model {
    core::Model {
        id: m.id,
        name: m.name,
        reasoning: m.reasoning,
        input: m.input,
        cost: m.cost,
        context_window: m.context_window,
        max_tokens: m.max_tokens,
        parent: m.parent,
        source: match m.source {
            wit::ModelSource::Declared => core::ModelSource::Declared,
            wit::ModelSource::Discovered | wit::ModelSource::Other(_) => {
                core::ModelSource::Discovered
            }
        },
    }
}

pub(super) fn catalog_out(c: core::Catalog) -> wit::Catalog {
    wit::Catalog {
        source: match c.source {
            core::CatalogSource::Disabled => wit::CatalogSource::Disabled,
            core::CatalogSource::Declared => wit::CatalogSource::Declared,
            core::CatalogSource::Discovered => wit::CatalogSource::Discovered,
            core::CatalogSource::Merged => wit::CatalogSource::Merged,
        },
        models: c.models.into_iter().map(model_out).collect(),
        notes: c.notes,
    }
}

pub(super) fn model_out(m: core::Model) -> wit::Model {
    wit::Model {
        id: m.id,
        name: m.name,
        reasoning: m.reasoning,
        input: m.input,
        cost: m.cost,
        context_window: m.context_window,
        max_tokens: m.max_tokens,
        parent: m.parent,
        source: match m.source {
            core::ModelSource::Declared => wit::ModelSource::Declared,
            core::ModelSource::Discovered => wit::ModelSource::Discovered,
        },
    }
}

pub(super) fn event_out(event: core::Event) -> wit::Event {
    match event {
        core::Event::Start { id, model } => wit::Event::Start(wit::StreamStart { id, model }),
        core::Event::Text(text) => wit::Event::Text(text),
        core::Event::Reasoning(text) => wit::Event::Reasoning(text),
        core::Event::ToolCallStart { index, id, name } => {
            wit::Event::ToolCallStart(wit::ToolCallStart { index, id, name })
        }
        core::Event::ToolCallArguments { index, delta } => {
            wit::Event::ToolCallArguments(wit::ToolCallArguments { index, delta })
        }
        core::Event::ToolCallEnd {
            index,
            id,
            name,
            arguments,
            valid,
        } => wit::Event::ToolCallEnd(wit::ToolCallEnd {
            index,
            id,
            name,
            arguments,
            valid,
        }),
        core::Event::Usage(u) => wit::Event::Usage(wit::Usage {
            input: u.input,
            output: u.output,
            cache_read: u.cache_read,
            cache_write: u.cache_write,
            reasoning: u.reasoning,
            total: u.total,
            cost: u.cost,
            source: match u.source {
                core::UsageSource::Final => wit::UsageSource::Final,
                core::UsageSource::Interim => wit::UsageSource::Interim,
            },
        }),
        core::Event::Note(note) => wit::Event::Note(note),
        core::Event::Finish(reason) => wit::Event::Finish(reason),
    }
}
