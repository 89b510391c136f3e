//! Server-sent events: ours however cut, and ours against the standard.

use crate::input::{Input, cuts};
use crate::whatwg;
use vllm_provider::sse::{Parser, TooLong};

/// What a parser makes of a stream: the events, and what the end left unfinished.
type Events = Result<(Vec<Vec<u8>>, Option<Vec<u8>>), TooLong>;

fn events(pieces: &[&[u8]]) -> Events {
    let mut parser = Parser::new();
    let mut events = Vec::new();
    for piece in pieces {
        let mut input = *piece;
        while let Some(data) = parser.next(&mut input)? {
            events.push(data.to_vec());
        }
        assert!(input.is_empty(), "everything is taken");
    }
    Ok((events, parser.unfinished().map(<[u8]>::to_vec)))
}

/// `[cut: 4][stream]`: the events do not depend on where the stream was cut.
pub(crate) fn sse(data: &[u8]) {
    let mut input = Input::new(data);
    let choice = input.u32();
    let ways = cuts(input.rest(), choice);
    let whole = events(&ways[0]);
    for way in &ways[1..] {
        assert_eq!(events(way), whole);
    }
}

/// `[stream]`: the events are those of a parser that was written from the standard, sentence by sentence. Declared
/// differences: ours has bytes where the standard has text, and a limit (that no input here reaches).
pub(crate) fn sse_whatwg(data: &[u8]) {
    let ours = events(&[data]).map(|(events, _)| {
        let text = |event: &Vec<u8>| String::from_utf8_lossy(event).into_owned();
        events.iter().map(text).collect::<Vec<_>>()
    });
    assert_eq!(ours, Ok(whatwg::data_of_events(data)));
}
