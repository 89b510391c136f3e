//! Server-sent events: ours however cut, and ours against the standard.

use crate::input::{Input, cuts};
use crate::whatwg;
use eventsource_stream::Eventsource;
use futures_core::Stream;
use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use vllm_provider::sse::{Found, Parser, TooLong};

/// What a parser makes of a stream.
type Events = Result<Vec<(Vec<u8>, Found)>, TooLong>;

fn events(mut parser: Parser, pieces: &[&[u8]]) -> Events {
    let mut events = Vec::new();
    for piece in pieces {
        let mut input = *piece;
        while let Some((data, found)) = parser.next_event(&mut input)? {
            events.push((data.to_vec(), found));
        }
        assert!(input.is_empty(), "everything is taken");
    }
    Ok(events)
}

/// The same of a lenient parser, with what an end of the stream gives.
fn lenient_events(pieces: &[&[u8]]) -> Events {
    events(Parser::lenient(), &[pieces, &[b"\n\n"]].concat())
}

/// `[cut: 4][stream]`: the events do not depend on where the stream was cut.
pub(crate) fn sse(data: &[u8]) {
    let mut input = Input::new(data);
    let choice = input.u32();
    let ways = cuts(input.rest(), choice);
    let whole = events(Parser::new(), &ways[0]);
    let lenient = lenient_events(&ways[0]);
    for way in &ways[1..] {
        assert_eq!(events(Parser::new(), way), whole);
        assert_eq!(lenient_events(way), lenient);
    }
}

/// `[stream]`: the events are those of a parser that was written from the standard, sentence by sentence, and those of
/// eventsource-stream where it reads streams as the standard does: it refuses what is not UTF-8, panics at a byte order mark,
/// and drops an event whose last line ends in a CR at the end of the stream. Declared differences of ours: it has bytes where
/// the standard has text, and a limit (that no input here reaches).
pub(crate) fn sse_whatwg(data: &[u8]) {
    let ours = events(Parser::new(), &[data]).expect("short");
    let text = |(event, _): &(Vec<u8>, Found)| String::from_utf8_lossy(event).into_owned();
    let ours: Vec<String> = ours.iter().map(text).collect();
    assert_eq!(ours, whatwg::data_of_events(data));

    let marked = data.starts_with("\u{feff}".as_bytes());
    if std::str::from_utf8(data).is_ok() && !marked && !data.ends_with(b"\r") {
        let mut theirs = pin!(Once(Some(data)).eventsource());
        let mut context = Context::from_waker(Waker::noop());
        for event in ours {
            match theirs.as_mut().poll_next(&mut context) {
                Poll::Ready(Some(Ok(found))) => assert_eq!(found.data, event),
                other => panic!("{event:?} is not theirs: {other:?}"),
            }
        }
        let end = theirs.as_mut().poll_next(&mut context);
        assert!(matches!(end, Poll::Ready(None)), "{end:?} is not ours");
    }
}

/// A stream of one piece.
struct Once<'a>(Option<&'a [u8]>);

impl<'a> Stream for Once<'a> {
    type Item = Result<&'a [u8], Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.take().map(Ok))
    }
}
