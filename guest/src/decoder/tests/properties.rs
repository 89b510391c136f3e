//! What holds for every input: no panic, no dependence on cuts, the grammar.

use proptest::prelude::*;

use super::*;

/// Everything the decoder gives for a body that came in these pieces, with the
/// texts of one kind that follow each other joined.
fn all<'a>(
    status: u16,
    kind: &str,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<Event>, Result<(), Error>) {
    run(decoder(true), status, kind, pieces)
}

/// `start (…)* usage? note* finish`, or any beginning of it before an error.
fn assert_grammar(events: &[Event], complete: bool) {
    let mut calls: Vec<bool> = Vec::new();
    let mut closing = false;
    for (place, event) in events.iter().enumerate() {
        assert_eq!(
            place == 0,
            matches!(event, Event::Start { .. }),
            "{events:?}"
        );
        let last = place + 1 == events.len();
        match event {
            Event::Start { .. } => {}
            Event::Text(text) | Event::Reasoning(text) => assert!(!text.is_empty() && !closing),
            Event::ToolCallStart { .. } => {
                calls.push(true);
                assert!(!closing);
            }
            Event::ToolCallArguments { index, delta } => {
                assert!(calls[*index as usize] && !delta.is_empty() && !closing);
            }
            Event::ToolCallEnd { index, .. } => {
                assert!(core::mem::replace(&mut calls[*index as usize], false) && !closing);
            }
            Event::Usage(_) => assert!(!core::mem::replace(&mut closing, true)),
            Event::Note(_) => closing = true,
            Event::Finish(_) => assert!(last && complete),
        }
    }
    if complete {
        assert!(matches!(events.last(), Some(Event::Finish(_))));
        assert!(calls.iter().all(|open| !open));
    }
}

/// Lines that are near to what servers send.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(vec![
        "data: [DONE]",
        "",
        ": keep-alive",
        "event: x",
        "data:",
        r#"data: {"id":"c","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"#,
        r#"data: {"choices":[{"index":0,"delta":{"content":"<think>é"}}]}"#,
        r#"data: {"choices":[{"index":0,"delta":{"content":"</think>😀"}}]}"#,
        r#"data: {"choices":[{"index":0,"delta":{"reasoning":"r"}}]}"#,
        r#"data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f"}}]}}]}"#,
        r#"data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"function":{"arguments":"{}"}}]}}]}"#,
        r#"data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
        r#"data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}"#,
        r#"data: {"error":{"message":"m","code":500}}"#,
        r#"{"choices":[{"message":{"content":"x"},"finish_reason":"stop"}]}"#,
        "data: {",
        "\u{feff}data: {}",
    ]);
    prop_oneof![
        12 => known.prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..24),
    ]
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let ending = prop::sample::select(vec!["\n", "\n\n", "\r\n\r\n", "\r", "\r\r", "\r\n"]);
    let lines = prop::collection::vec((line(), ending), 0..16);
    prop_oneof![
        8 => lines.prop_map(|lines| {
            lines.into_iter().flat_map(|(line, end)| [line, end.as_bytes().to_vec()].concat()).collect()
        }),
        1 => prop::collection::vec(any::<u8>(), 0..200),
    ]
}

/// The pieces of a body that is cut at these places.
fn cut<'a>(body: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
    places.push(0);
    places.push(body.len());
    places.sort_unstable();
    places
        .windows(2)
        .map(|pair| &body[pair[0]..pair[1]])
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn events_do_not_depend_on_cuts_and_keep_the_grammar(
        body in body(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        status in prop::sample::select(vec![200_u16, 200, 200, 204, 301, 404, 500]),
        kind in prop::sample::select(vec!["text/event-stream", "application/json", "text/html", ""]),
    ) {
        let whole = all(status, kind, [&body[..]]);
        assert_grammar(&whole.0, whole.1.is_ok());
        prop_assert_eq!(&all(status, kind, cut(&body, &cuts)), &whole);
        prop_assert_eq!(&all(status, kind, body.chunks(1)), &whole);
    }

    #[test]
    fn a_failure_may_come_at_any_byte(body in body(), end in any::<prop::sample::Index>()) {
        let mut decoder = decoder(true);
        let mut out = Vec::new();
        decoder.head(200, &content_type("text/event-stream"));
        let end = end.index(body.len() + 1);
        if decoder.feed(&body[..end], &mut out).is_ok() && !decoder.is_done() {
            let failure = TransportFailure { kind: TransportFailureKind::Closed, message: String::new() };
            decoder.fail(&failure, &mut out);
            assert_grammar(&out, false);
        }
    }

    #[test]
    fn an_error_is_made_of_any_body(body in prop::collection::vec(any::<u8>(), 0..300), status: u16, value: Vec<u8>) {
        let headers = vec![("retry-after".to_owned(), value.clone()), ("location".to_owned(), value)];
        let error = error::from_response(&context(), status, &headers, &body);
        prop_assert!(error.message.len() < 8192);
        prop_assert!(!error.message.contains(char::is_control));
    }
}
