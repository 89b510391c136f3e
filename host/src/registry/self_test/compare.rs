//! Whether what a plugin gave is what was expected.

use crate::bindings::types::{Event, Manifest, Usage, UsageSource};

/// Characters of a value that a message shows.
const SHOWN: usize = 200;

/// The first difference between a manifest and what the plugin says of itself when it runs.
pub(super) fn manifests(section: &Manifest, told: &Manifest) -> Option<String> {
    let (mut section, mut told) = (facts(section)?, facts(told)?);
    // Space in a schema says nothing.
    let keys: Vec<String> = section.as_object()?.keys().cloned().collect();
    keys.into_iter().find_map(|key| {
        let (section, told) = (section[&key].take(), told[&key].take());
        (section != told).then(|| {
            format!(
                "`{key}` is {} in its section, and {} when it runs",
                shown(&section.to_string()),
                shown(&told.to_string())
            )
        })
    })
}

/// A manifest as JSON, its schema as a value.
fn facts(manifest: &Manifest) -> Option<serde_json::Value> {
    let mut facts = serde_json::to_value(manifest).ok()?;
    if let Ok(schema) = serde_json::from_str::<serde_json::Value>(&manifest.config_schema) {
        facts["config_schema"] = schema;
    }
    Some(facts)
}

/// The first difference between two answers.
pub(super) fn events(expected: &[Event], found: Vec<Event>) -> Option<String> {
    let (expected, found) = (plain(expected.to_vec()), plain(found));
    let count = expected.len().max(found.len());
    (0..count).find_map(|at| {
        let (expected, found) = (expected.get(at), found.get(at));
        let shown = |event: Option<&Event>| {
            event.map_or_else(
                || "the end".to_owned(),
                |event| shown(&format!("{event:?}")),
            )
        };
        (expected != found).then(|| {
            format!(
                "it has to give {} and gives {}",
                shown(expected),
                shown(found)
            )
        })
    })
}

/// An answer without what makes no difference.
fn plain(events: Vec<Event>) -> Vec<Event> {
    let mut plain: Vec<Event> = Vec::with_capacity(events.len());
    for event in events {
        match (plain.last_mut(), event) {
            (_, Event::Note(_) | Event::Other(_)) => {}
            (Some(Event::Text(text)), Event::Text(more))
            | (Some(Event::Reasoning(text)), Event::Reasoning(more)) => text.push_str(&more),
            (Some(Event::ToolCallArguments(call)), Event::ToolCallArguments(more))
                if call.index == more.index =>
            {
                call.delta.push_str(&more.delta);
            }
            (_, Event::Usage(usage)) => {
                // Those in between are a server's way to say how far it is.
                plain.retain(|event| !matches!(event, Event::Usage(_)));
                plain.push(Event::Usage(Usage {
                    cost: None,
                    source: UsageSource::Final,
                    ..usage
                }));
            }
            (_, event) => plain.push(event),
        }
    }
    plain
}

fn shown(value: &str) -> String {
    match value.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bindings::types::{FinishReason, StreamStart};

    fn start() -> Event {
        Event::Start(StreamStart {
            id: "c".into(),
            model: "m".into(),
        })
    }

    fn text(text: &str) -> Event {
        Event::Text(text.into())
    }

    #[test]
    fn texts_may_be_cut_otherwise_and_everything_else_counts() {
        let finish = Event::Finish(FinishReason::Stop);
        let expected = [start(), text("Hello"), finish.clone()];
        for (found, same) in [
            (vec![start(), text("Hello"), finish.clone()], true),
            (
                vec![start(), text("He"), text("l"), text("lo"), finish.clone()],
                true,
            ),
            (vec![start(), text("Hell"), finish.clone()], false),
            (vec![start(), text("Hello")], false),
            (
                vec![start(), text("Hello"), text("!"), finish.clone()],
                false,
            ),
            (
                vec![start(), Event::Reasoning("Hello".into()), finish.clone()],
                false,
            ),
            (
                vec![start(), text("Hello"), Event::Finish(FinishReason::Length)],
                false,
            ),
            (vec![], false),
        ] {
            let difference = events(&expected, found.clone());
            assert_eq!(difference.is_none(), same, "{found:?}: {difference:?}");
        }
    }
}
