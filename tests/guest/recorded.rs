//! The core, fed with what real servers sent.

#[path = "../support/recorded.rs"]
mod recorded;

use recorded::{End, Recorded};
use serde_json::{Value, json};
use vllm_provider::decoder::{Decoder, Options};
use vllm_provider::error::Context;
use vllm_provider::types::{
    Cost, Error, ErrorKind, Event, FinishReason, TransportFailure, TransportFailureKind,
};

fn decoder() -> Decoder {
    Decoder::new(Options {
        context: Context {
            method: "POST",
            url: "http://127.0.0.1:8000/v1/chat/completions".into(),
            model: Some("tiny".into()),
            base_has_v1: true,
            has_key: true,
        },
        cost: Some(Cost::default()),
        reasoning: false,
        // Not told, so that it is found out where a recording has two choices.
        many_choices: false,
        notes: Vec::new(),
    })
}

/// Decodes a recording whose body comes in the given pieces.
fn decode<'a>(
    recorded: &Recorded,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<Event>, Option<Error>) {
    let mut decoder = decoder();
    let mut events = Vec::new();
    if recorded.status > 0 {
        decoder.head(recorded.status, &recorded.headers);
        for piece in pieces {
            if let Err(error) = decoder.feed(piece, &mut events) {
                return (events, Some(error));
            }
            if decoder.is_done() {
                return (events, None);
            }
        }
    }
    let (kind, message) = match recorded.end {
        End::Complete => {
            let error = decoder.finish(&mut events).err();
            return (events, error);
        }
        End::Closed => (TransportFailureKind::Closed, "the connection was closed"),
        End::Silent => (TransportFailureKind::ReadTimeout, "the server fell silent"),
    };
    let failure = TransportFailure {
        kind,
        message: message.into(),
    };
    let error = decoder.fail(&failure, &mut events);
    (events, Some(error))
}

fn event_json(event: &Event) -> Value {
    match event {
        Event::Start { id, model } => json!({"type": "start", "id": id, "model": model}),
        Event::Text(text) => json!({"type": "text", "text": text}),
        Event::Reasoning(text) => json!({"type": "reasoning", "text": text}),
        Event::ToolCallStart { index, id, name } => {
            json!({"type": "tool_call_start", "index": index, "id": id, "name": name})
        }
        Event::ToolCallArguments { index, delta } => {
            json!({"type": "tool_call_arguments", "index": index, "delta": delta})
        }
        Event::ToolCallEnd {
            index,
            id,
            name,
            arguments,
            ..
        } => json!({"type": "tool_call_end", "index": index, "id": id, "name": name,
                    "arguments": arguments}),
        Event::Usage(u) => json!({"type": "usage", "input": u.input, "output": u.output,
            "cache_read": u.cache_read, "cache_write": u.cache_write, "reasoning": u.reasoning,
            "total": u.total}),
        Event::Note(note) => json!({"type": "note", "code": note.code}),
        Event::Finish(reason) => json!({"type": "finish", "reason": match reason {
            FinishReason::Stop => "stop",
            FinishReason::Length => "length",
            FinishReason::ToolCalls => "tool_calls",
            FinishReason::ContentFilter => "content_filter",
            FinishReason::Other(word) => word,
        }}),
    }
}

fn error_json(error: &Error) -> Value {
    let kind = match &error.kind {
        ErrorKind::InvalidConfig => "invalid-config",
        ErrorKind::InvalidRequest => "invalid-request",
        ErrorKind::Authentication => "authentication",
        ErrorKind::Permission => "permission",
        ErrorKind::ModelNotFound => "model-not-found",
        ErrorKind::ContextOverflow => "context-overflow",
        ErrorKind::RateLimited => "rate-limited",
        ErrorKind::Overloaded => "overloaded",
        ErrorKind::Unreachable => "unreachable",
        ErrorKind::Timeout => "timeout",
        ErrorKind::Server => "server",
        ErrorKind::Protocol => "protocol",
        ErrorKind::Interrupted => "interrupted",
        ErrorKind::Cancelled => "cancelled",
        ErrorKind::Other(word) => word,
    };
    json!({"kind": kind, "message": error.message, "status": error.status, "code": error.code,
        "retryable": error.retryable, "retry_after_ms": error.retry_after_ms,
        "request_sent": error.request_sent, "limit": error.limit, "requested": error.requested})
}

#[test]
fn each_recorded_answer_gives_the_expected_events() {
    let mut failures = Vec::new();
    for recorded in recorded::chats() {
        let (events, error) = decode(&recorded, [recorded.body.as_slice()]);
        let events: Vec<Value> = events.iter().map(event_json).collect();
        let error = error.as_ref().map(error_json);
        if let Err(difference) = recorded::compare(&recorded, &events, error.as_ref()) {
            failures.push(difference);
        }
    }
    assert!(
        failures.is_empty(),
        "{}\n{}",
        failures.len(),
        failures.join("\n")
    );
}

#[test]
fn the_events_of_a_recorded_answer_do_not_depend_on_a_cut_at_any_position() {
    let mut positions = 0;
    for recorded in recorded::chats() {
        let whole = decode(&recorded, [recorded.body.as_slice()]);
        for at in 0..=recorded.body.len() {
            let (first, second) = recorded.body.split_at(at);
            let cut = decode(&recorded, [first, second]);
            assert_eq!(cut, whole, "{} cut at {at}", recorded.case);
            positions += 1;
        }
    }
    assert!(positions > 500_000, "only {positions} cuts were tried");
}

#[test]
fn the_events_of_a_recorded_answer_do_not_depend_on_the_size_of_the_pieces() {
    for recorded in recorded::chats() {
        let whole = decode(&recorded, [recorded.body.as_slice()]);
        for size in [1, 2, 3, 7, 64, 1000] {
            let cut = decode(&recorded, recorded.body.chunks(size));
            assert_eq!(cut, whole, "{} in pieces of {size}", recorded.case);
        }
    }
}

#[test]
fn a_recorded_answer_that_ends_at_any_byte_ends_in_a_typed_error_or_as_it_should() {
    for recorded in recorded::chats() {
        if recorded.status != 200 {
            continue;
        }
        for at in (0..recorded.body.len()).step_by(7) {
            for end in [End::Complete, End::Closed, End::Silent] {
                let cut = Recorded {
                    body: recorded.body[..at].to_vec(),
                    end,
                    ..recorded.clone()
                };
                let (events, error) = decode(&cut, [cut.body.as_slice()]);
                let finished = matches!(events.last(), Some(Event::Finish(_)));
                assert!(
                    finished != error.is_some(),
                    "{} ended at {at} as {end:?}: {error:?}",
                    recorded.case
                );
            }
        }
    }
}
