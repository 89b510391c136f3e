//! The order that the events of an answer keep, read off the contract (`wit/types.wit`) and not off the host's own reader.
//!
//! `start (text | reasoning | tool-call-* | note)* usage? note* finish`; each call is a start, pieces and an end, numbered
//! from 0 without gaps; an end has the pieces put together.

use vllm_provider::types::{Event, Usage};

/// Holds the events of an answer to the contract. `finished`: it ended well, so that nothing may be missing.
pub(crate) fn check(events: &[Event], finished: bool) {
    let mut calls: Vec<Call> = Vec::new();
    let (mut account, mut over) = (false, false);
    for (place, event) in events.iter().enumerate() {
        assert!(!over, "{event:?} behind the finish");
        assert_eq!(
            place == 0,
            matches!(event, Event::Start { .. }),
            "{event:?} at {place}"
        );
        let content = !matches!(event, Event::Note(_) | Event::Finish(_));
        assert!(!(account && content), "{event:?} behind the usage");
        match event {
            Event::Start { .. } => {}
            Event::Text(piece) | Event::Reasoning(piece) => assert!(!piece.is_empty()),
            Event::ToolCallStart { index, id, name } => {
                assert_eq!(
                    *index as usize,
                    calls.len(),
                    "calls are numbered without gaps"
                );
                assert!(!id.is_empty(), "a call without an id");
                calls.push(Call {
                    id: id.clone(),
                    name: name.clone(),
                    pieces: String::new(),
                    open: true,
                });
            }
            Event::ToolCallArguments { index, delta } => {
                assert!(!delta.is_empty());
                let call = &mut calls[*index as usize];
                assert!(call.open, "arguments of a call that has ended");
                call.pieces.push_str(delta);
            }
            Event::ToolCallEnd {
                index,
                id,
                name,
                arguments,
                valid,
            } => {
                let call = &mut calls[*index as usize];
                assert!(call.open, "a call ends twice");
                call.open = false;
                assert_eq!((&call.id, &call.name), (id, name));
                if call.pieces.trim_ascii().is_empty() {
                    assert_eq!(arguments, "{}");
                } else {
                    assert_eq!(arguments, &call.pieces);
                }
                let theirs = serde_json::from_str::<serde::de::IgnoredAny>(arguments);
                assert_eq!(*valid, theirs.is_ok(), "{arguments:?}");
            }
            Event::Usage(usage) => {
                account = true;
                check_usage(usage);
            }
            Event::Note(note) => assert!(!note.code.is_empty() && !note.message.is_empty()),
            Event::Finish(_) => over = true,
        }
    }
    assert_eq!(
        over, finished,
        "a finish, and only at a good end: {events:?}"
    );
    if finished {
        assert!(
            calls.iter().all(|call| !call.open),
            "a call is open at the finish"
        );
    }
}

struct Call {
    id: String,
    name: String,
    pieces: String,
    open: bool,
}

/// The parts of an account do not overlap, and money is none that could not be paid.
fn check_usage(usage: &Usage) {
    let parts = u128::from(usage.input)
        + u128::from(usage.cache_read)
        + u128::from(usage.cache_write)
        + u128::from(usage.output);
    assert_eq!(u128::from(usage.total), parts.min(u128::from(u64::MAX)));
    assert!(usage.reasoning.is_none_or(|tokens| tokens <= usage.output));
    if let Some(cost) = usage.cost {
        for dollars in [
            cost.input,
            cost.output,
            cost.cache_read,
            cost.cache_write,
            cost.total,
        ] {
            assert!(dollars.is_finite() && dollars >= 0.0, "{dollars}");
        }
    }
}
