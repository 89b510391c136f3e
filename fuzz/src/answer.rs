//! The decoder: any body with any head ends in a well-formed answer or in a typed error, however it was cut.

use crate::input::{Input, cuts};
use crate::shown::SECRET;
use crate::{grammar, shown};
use vllm_provider::decoder::{Decoder, Options};
use vllm_provider::error::Context;
use vllm_provider::types::{Cost, Error, Event, TransportFailure, TransportFailureKind};

/// Content types by number: none, those of answers, those of other things.
const CONTENT_TYPES: [Option<&str>; 6] = [
    Some("text/event-stream; charset=utf-8"),
    Some("application/json"),
    None,
    Some("text/html"),
    Some("TEXT/EVENT-STREAM"),
    Some("text/plain"),
];

/// How an exchange ends.
#[derive(Clone, Copy)]
enum End {
    Clean,
    Broken(TransportFailureKind),
}

/// What is known beside the body.
struct Exchange {
    status: u16,
    headers: Vec<(String, Vec<u8>)>,
    reasoning: bool,
    cost: Option<Cost>,
    end: End,
}

/// A body that is repeated is as long as this: enough for more calls than there may be.
const REPEATED: usize = 64 << 10;

/// `[choices: 1][end: 1][cut: 4][body]`: a body that is mostly a stream with status 200, and now and then very long.
pub(crate) fn decoder(data: &[u8]) {
    let mut input = Input::new(data);
    let choices = input.byte();
    let end = input.byte();
    let repeated = end >= 0xf0;
    let end = match end % 8 {
        0 | 1 => End::Clean,
        2 => End::Broken(TransportFailureKind::ReadTimeout),
        3 => End::Broken(TransportFailureKind::Protocol),
        4 => End::Broken(TransportFailureKind::Denied),
        _ => End::Broken(TransportFailureKind::Closed),
    };
    let content_type = CONTENT_TYPES[usize::from(choices >> 2) % CONTENT_TYPES.len()];
    let content_type = content_type.map(|value| ("Content-Type".into(), value.into()));
    let choice = input.u32();
    let mut body = input.rest().to_vec();
    if repeated && !body.is_empty() {
        body = body.repeat(REPEATED.div_ceil(body.len()));
    }
    hold(
        &Exchange {
            status: if choices >= 0xf0 { 503 } else { 200 },
            headers: content_type.into_iter().collect(),
            reasoning: choices & 1 != 0,
            cost: (choices & 2 != 0).then_some(PRICES),
            end,
        },
        &body,
        choice,
    );
}

/// `[choices: 1][cut: 4][body]`: a whole answer to a request that was not streamed.
pub(crate) fn answer(data: &[u8]) {
    let mut input = Input::new(data);
    let choices = input.byte();
    let choice = input.u32();
    hold(
        &Exchange {
            status: 200,
            headers: vec![("content-type".into(), b"application/json".to_vec())],
            reasoning: choices & 1 != 0,
            cost: (choices & 2 != 0).then_some(PRICES),
            end: End::Clean,
        },
        input.rest(),
        choice,
    );
}

const PRICES: Cost = Cost {
    input: 3.0,
    output: 15.0,
    cache_read: 0.3,
    cache_write: 3.75,
};

fn hold(exchange: &Exchange, body: &[u8], choice: u32) {
    let ways = cuts(body, choice);
    let whole = decode(exchange, &ways[0]);
    for way in &ways[1..] {
        assert_eq!(decode(exchange, way), whole);
    }
    let (events, error) = whole;
    grammar::check(&events, error.is_none());
    if let Some(error) = error {
        assert!(error.request_sent);
        shown::check(&error, body);
    }
    for event in &events {
        match event {
            Event::Note(note) => shown::check_text(&note.message, body),
            Event::Usage(usage) => assert_eq!(usage.cost.is_some(), exchange.cost.is_some()),
            _ => {}
        }
    }
}

fn decode(exchange: &Exchange, pieces: &[&[u8]]) -> (Vec<Event>, Option<Error>) {
    let mut decoder = Decoder::new(Options {
        context: Context {
            method: "POST",
            url: format!("http://u:{SECRET}@127.0.0.1:8000/v1/chat/completions?key={SECRET}"),
            model: Some("tiny".into()),
            base_has_v1: true,
            has_key: true,
        },
        cost: exchange.cost,
        reasoning: exchange.reasoning,
        many_choices: false,
        notes: Vec::new(),
    });
    let mut events = Vec::new();
    decoder.head(exchange.status, &exchange.headers);
    for piece in pieces {
        if let Err(error) = decoder.feed(piece, &mut events) {
            assert!(decoder.is_done());
            return (events, Some(error));
        }
        if decoder.is_done() {
            return (events, None);
        }
    }
    let error = match exchange.end {
        End::Clean => decoder.finish(&mut events).err(),
        End::Broken(kind) => {
            let message = "the connection was closed".into();
            Some(decoder.fail(&TransportFailure { kind, message }, &mut events))
        }
    };
    assert!(decoder.is_done());
    (events, error)
}
