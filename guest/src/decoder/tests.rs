use super::*;
use crate::types::FinishReason;

mod broken;
mod properties;
mod whole;

pub(super) fn context() -> Context {
    Context {
        method: "POST",
        url: "http://127.0.0.1:8000/v1/chat/completions".to_owned(),
        model: Some("tiny".to_owned()),
        base_has_v1: true,
        has_key: true,
    }
}

pub(super) fn decoder(reasoning: bool) -> Decoder {
    Decoder::new(Options {
        context: context(),
        cost: None,
        reasoning,
        many_choices: false,
        notes: Vec::new(),
    })
}

/// The same of a request for more than one choice.
fn decoder_of_many() -> Decoder {
    Decoder::new(Options {
        context: context(),
        cost: None,
        reasoning: false,
        many_choices: true,
        notes: Vec::new(),
    })
}

pub(super) fn content_type(value: &str) -> Vec<(String, Vec<u8>)> {
    vec![("Content-Type".to_owned(), value.as_bytes().to_vec())]
}

/// Feeds `pieces` of a body with this head and ends it cleanly.
pub(super) fn run<'a>(
    mut decoder: Decoder,
    status: u16,
    kind: &str,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<Event>, Result<(), Error>) {
    decoder.head(status, &content_type(kind));
    let mut out = Vec::new();
    for piece in pieces {
        if let Err(error) = decoder.feed(piece, &mut out) {
            assert!(decoder.is_done());
            return (out, Err(error));
        }
        if decoder.is_done() {
            return (out, Ok(()));
        }
    }
    let outcome = decoder.finish(&mut out);
    assert!(decoder.is_done());
    (out, outcome)
}

/// The body of a stream of these data.
fn sse(data: &[&str]) -> Vec<u8> {
    let events = data.iter().map(|data| format!("data: {data}\n\n"));
    events.collect::<String>().into_bytes()
}

/// A stream of these data, decoded whole.
pub(super) fn stream(reasoning: bool, data: &[&str]) -> (Vec<Event>, Result<(), Error>) {
    let body = sse(data);
    run(decoder(reasoning), 200, "text/event-stream", [&body[..]])
}

/// A chunk with this delta and finish reason (JSON both).
pub(super) fn chunk(delta: &str, reason: &str) -> String {
    format!(
        r#"{{"id":"c","model":"m","choices":[{{"index":0,"delta":{delta},"finish_reason":{reason}}}]}}"#
    )
}

/// Events in a short form that tables can hold.
pub(super) fn short(events: &[Event]) -> Vec<String> {
    let one = |event: &Event| match event {
        Event::Start { id, model } => format!("start {id} {model}"),
        Event::Text(text) => format!("text {text}"),
        Event::Reasoning(text) => format!("think {text}"),
        Event::ToolCallStart { index, id, name } => format!("call {index} {id} {name}"),
        Event::ToolCallArguments { index, delta } => format!("args {index} {delta}"),
        Event::ToolCallEnd {
            index,
            arguments,
            valid,
            ..
        } => format!("end {index} {arguments} {valid}"),
        Event::Usage(usage) => format!("usage {}+{} {:?}", usage.input, usage.output, usage.source),
        Event::Note(note) => format!("note {}", note.code),
        Event::Finish(reason) => format!("finish {reason:?}"),
    };
    events.iter().map(one).collect()
}

const USAGE: &str =
    r#"{"id":"c","model":"m","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}"#;

/// Decodes deltas with reasons, the usage and `[DONE]`; without the `start`
/// and the `usage`, which every such answer has.
fn answer(reasoning: bool, chunks: &[(&str, &str)]) -> Vec<String> {
    let mut data: Vec<String> = chunks.iter().map(|(d, r)| chunk(d, r)).collect();
    data.push(USAGE.to_owned());
    data.push("[DONE]".to_owned());
    let data: Vec<&str> = data.iter().map(String::as_str).collect();
    let (events, outcome) = stream(reasoning, &data);
    outcome.expect("a good end");
    let mut lines = short(&events);
    assert_eq!(lines.remove(0), "start c m");
    let usage = lines.iter().position(|line| line == "usage 3+2 Final");
    lines.remove(usage.expect("a usage"));
    lines
}

#[test]
fn an_answer_is_its_pieces_the_account_and_the_reason() {
    for (chunks, expected) in [
        (
            vec![
                (r#"{"role":"assistant","content":""}"#, "null"),
                (r#"{"content":"He"}"#, "null"),
                (r#"{"content":"y"}"#, "null"),
                (r#"{}"#, r#""stop""#),
            ],
            vec!["text He", "text y", "finish Stop"],
        ),
        (
            // The finish chunk holds the last piece.
            vec![(r#"{"content":"cut"}"#, r#""length""#)],
            vec!["text cut", "finish Length"],
        ),
        (
            vec![
                (r#"{"content":"b","reasoning":"a"}"#, "null"),
                (r#"{"refusal":"no"}"#, r#""content_filter""#),
            ],
            vec!["think a", "text b", "text no", "finish ContentFilter"],
        ),
        (
            vec![(r#"{"content":"x"}"#, r#""""#), ("null", r#""repetition""#)],
            vec!["text x", r#"finish Other("repetition")"#],
        ),
        (
            vec![(r#"{"content":[{"type":"text","text":"p"}]}"#, r#""stop""#)],
            vec!["text p", "finish Stop"],
        ),
        (
            // An empty answer is an answer, and told.
            vec![(r#"{"content":""}"#, r#""stop""#)],
            vec!["note empty-answer", "finish Stop"],
        ),
        (
            vec![
                (r#"{"reasoning":"a","reasoning_content":"a"}"#, "null"),
                (r#"{"content":"b"}"#, r#""stop""#),
            ],
            vec!["think a", "text b", "finish Stop"],
        ),
    ] {
        assert_eq!(answer(false, &chunks), expected, "{chunks:?}");
    }
}

#[test]
fn calls_come_with_start_pieces_and_end() {
    let first = r#"{"content":null,"tool_calls":[{"id":"t1","type":"function","index":0,"function":{"name":"f"}}]}"#;
    let second = r#"{"tool_calls":[{"index":1,"id":"t2","function":{"name":"g","arguments":""}}]}"#;
    for (chunks, expected) in [
        (
            vec![
                (first, "null"),
                (
                    r#"{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\":"}}]}"#,
                    "null",
                ),
                (second, "null"),
                // Interleaved, and two in one delta.
                (
                    r#"{"tool_calls":[{"index":1,"function":{"arguments":"[1"}},{"index":0,"function":{"arguments":"1}"}}]}"#,
                    "null",
                ),
                (
                    r#"{"tool_calls":[{"index":1,"function":{"arguments":"]"}}]}"#,
                    r#""tool_calls""#,
                ),
            ],
            vec![
                "call 0 t1 f",
                "args 0 {\"a\":",
                "call 1 t2 g",
                "args 1 [1",
                "args 0 1}",
                "args 1 ]",
                "end 0 {\"a\":1} true",
                "end 1 [1] true",
                "finish ToolCalls",
            ],
        ),
        (
            // A named choice ends with `stop`; no arguments are `{}`.
            vec![(first, r#""stop""#)],
            vec!["call 0 t1 f", "end 0 {} true", "finish ToolCalls"],
        ),
        (
            vec![
                (first, "null"),
                (
                    r#"{"tool_calls":[{"index":0,"function":{"arguments":"{\"a"}}]}"#,
                    r#""length""#,
                ),
            ],
            vec![
                "call 0 t1 f",
                "args 0 {\"a",
                "end 0 {\"a false",
                "note invalid-tool-arguments",
                "finish Length",
            ],
        ),
        (
            vec![(r#"{"content":"no call"}"#, r#""tool_calls""#)],
            vec![
                "text no call",
                "note tool-calls-missing",
                "finish ToolCalls",
            ],
        ),
        (
            vec![
                (
                    r#"{"function_call":{"name":"old","arguments":"{"}}"#,
                    "null",
                ),
                (
                    r#"{"function_call":{"arguments":"}"}}"#,
                    r#""function_call""#,
                ),
            ],
            vec![
                "call 0 call_c_0 old",
                "args 0 {",
                "args 0 }",
                "end 0 {} true",
                "finish ToolCalls",
            ],
        ),
        (
            // After the finish reason a new call is still one, and so is the rest of one that is
            // not whole; a piece of a whole one is told of.
            vec![
                (first, r#""tool_calls""#),
                (second, "null"),
                (
                    r#"{"tool_calls":[{"index":0,"function":{"arguments":"1"}}]}"#,
                    "null",
                ),
            ],
            vec![
                "call 0 t1 f",
                "args 0 1",
                "call 1 t2 g",
                "end 0 1 true",
                "end 1 {} true",
                "finish ToolCalls",
            ],
        ),
        (
            vec![
                (second, "null"),
                (
                    r#"{"tool_calls":[{"index":1,"function":{"arguments":"{}"}}]}"#,
                    r#""tool_calls""#,
                ),
                (
                    r#"{"tool_calls":[{"index":1,"function":{"arguments":"x"}}]}"#,
                    "null",
                ),
            ],
            vec![
                "call 0 t2 g",
                "args 0 {}",
                "end 0 {} true",
                "note late-tool-arguments",
                "finish ToolCalls",
            ],
        ),
    ] {
        assert_eq!(answer(false, &chunks), expected, "{chunks:?}");
    }
}

#[test]
fn words_that_stand_for_no_finish_reason_are_none() {
    for word in ["null", "NULL", "None", "none", "unfinished", ""] {
        let word = format!("\"{word}\"");
        let chunks = [
            (r#"{"content":"a"}"#, word.as_str()),
            (r#"{"content":"b"}"#, word.as_str()),
            ("{}", r#""stop""#),
        ];
        let lines = answer(false, &chunks);
        assert_eq!(lines, ["text a", "text b", "finish Stop"], "{word}");
        let data: Vec<String> = chunks[..2].iter().map(|(d, r)| chunk(d, r)).collect();
        for end in [None, Some("[DONE]")] {
            let data: Vec<&str> = data.iter().map(String::as_str).chain(end).collect();
            let error = stream(false, &data).1.expect_err("not complete");
            assert_eq!(error.kind, ErrorKind::Interrupted, "{word} {end:?}");
        }
    }
}

#[test]
fn a_finish_reason_beside_every_piece_ends_nothing() {
    let pieces = [
        r#"{"tool_calls":[{"index":0,"id":"t","function":{"name":"f","arguments":""}}]}"#,
        r#"{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\":"}}]}"#,
        r#"{"tool_calls":[{"index":0,"function":{"arguments":"1}"}}]}"#,
    ];
    for reason in [r#""stop""#, r#""tool_calls""#, r#""eos_token""#] {
        let lines = answer(false, &pieces.map(|piece| (piece, reason)));
        assert_eq!(
            lines[3..],
            ["end 0 {\"a\":1} true", "finish ToolCalls"],
            "{reason}"
        );
        let words = [r#"{"content":"a"}"#, r#"{"content":"b"}"#];
        let lines = answer(false, &words.map(|piece| (piece, reason)));
        assert_eq!(lines[..2], ["text a", "text b"], "{reason}");
        // So an end without [DONE] is a cut.
        let data = words.map(|piece| chunk(piece, reason));
        let data: Vec<&str> = data.iter().map(String::as_str).collect();
        let error = stream(false, &data).1.expect_err("not complete");
        assert_eq!(error.kind, ErrorKind::Interrupted, "{reason}");
    }
}

#[test]
fn an_unknown_word_beside_a_whole_call_means_that_a_call_was_made() {
    let call = |arguments: &str| {
        let arguments = serde_json::to_string(arguments).expect("JSON");
        format!(
            r#"{{"tool_calls":[{{"index":0,"id":"t","function":{{"name":"f","arguments":{arguments}}}}}]}}"#
        )
    };
    for (arguments, word, expected) in [
        ("{}", "eos_token", "finish ToolCalls"),
        ("{}", "end_turn", "finish ToolCalls"),
        ("{}", "length", "finish Length"),
        ("{}", "LENGTH", "finish Length"),
        ("{}", "content_filter", "finish ContentFilter"),
        ("{", "eos_token", r#"finish Other("eos_token")"#),
    ] {
        let (call, word) = (call(arguments), format!("\"{word}\""));
        let lines = answer(false, &[(call.as_str(), "null"), ("{}", word.as_str())]);
        assert_eq!(
            lines.last().map(String::as_str),
            Some(expected),
            "{lines:?}"
        );
    }
}

#[test]
fn an_answer_that_the_server_gave_up_is_not_complete() {
    for word in ["abort", "error", "Error"] {
        let text = chunk(r#"{"content":"x"}"#, "null");
        let end = chunk("{}", &format!("\"{word}\""));
        for data in [
            vec![text.as_str(), &end],
            vec![&text, &end, USAGE, "[DONE]"],
        ] {
            let (events, outcome) = stream(false, &data);
            let error = outcome.expect_err("not complete");
            let kind = match word {
                "abort" => ErrorKind::Interrupted,
                _ => ErrorKind::Server,
            };
            assert_eq!(error.kind, kind);
            assert!(error.message.contains(word), "{}", error.message);
            assert!(short(&events).contains(&"text x".to_owned()));
        }
        let body =
            format!(r#"{{"choices":[{{"message":{{"content":"x"}},"finish_reason":"{word}"}}]}}"#);
        let whole = run(decoder(false), 200, "application/json", [body.as_bytes()]);
        assert!(whole.1.is_err(), "{word}");
    }
}

#[test]
fn whole_calls_and_done_need_no_finish_reason() {
    let call = |arguments: &str| {
        let arguments = serde_json::to_string(arguments).expect("JSON");
        chunk(
            &format!(
                r#"{{"tool_calls":[{{"index":0,"id":"t","function":{{"name":"f","arguments":{arguments}}}}}]}}"#
            ),
            "null",
        )
    };
    let (events, outcome) = stream(false, &[&call("{\"a\":1}"), USAGE, "[DONE]"]);
    outcome.expect("calls that can be used");
    assert_eq!(
        short(&events)[3..],
        [
            "end 0 {\"a\":1} true",
            "usage 3+2 Final",
            "note no-finish-reason",
            "finish ToolCalls"
        ]
    );
    // A call that is not whole, none at all, and an end without [DONE] are no good ends.
    for data in [
        vec![call("{\"a\":"), "[DONE]".to_owned()],
        vec![call(""), "[DONE]".to_owned()],
        vec![chunk(r#"{"content":"x"}"#, "null"), "[DONE]".to_owned()],
        vec![call("{}")],
    ] {
        let data: Vec<&str> = data.iter().map(String::as_str).collect();
        let error = stream(false, &data).1.expect_err("not complete");
        assert_eq!(error.kind, ErrorKind::Interrupted, "{data:?}");
    }
}

#[test]
fn an_answer_of_reasoning_alone_is_told_with_its_cause() {
    for (chunks, reason, cause) in [
        (
            vec![
                (r#"{"reasoning":"all"}"#, "null"),
                (r#"{"content":"\n\n"}"#, r#""stop""#),
            ],
            "finish Stop",
            "reasoning parser",
        ),
        (
            vec![(r#"{"reasoning":"all"}"#, r#""length""#)],
            "finish Length",
            "length limit",
        ),
    ] {
        let lines = answer(false, &chunks);
        assert!(
            lines.ends_with(&["note reasoning-only".to_owned(), reason.to_owned()]),
            "{lines:?}"
        );
        let data: Vec<String> = chunks.iter().map(|(d, r)| chunk(d, r)).collect();
        let mut data: Vec<&str> = data.iter().map(String::as_str).collect();
        data.push("[DONE]");
        let (events, _) = stream(false, &data);
        let told = events
            .iter()
            .any(|event| matches!(event, Event::Note(note) if note.message.contains(cause)));
        assert!(told, "{events:?}");
    }
    let with_call = answer(
        false,
        &[(
            r#"{"reasoning":"a","tool_calls":[{"index":0,"id":"i","function":{"name":"f"}}]}"#,
            r#""tool_calls""#,
        )],
    );
    assert!(!with_call.contains(&"note reasoning-only".to_owned()));
}

#[test]
fn inline_thinking_is_split_off_only_where_it_is_expected() {
    let chunks = [
        (r#"{"content":"<thi"}"#, "null"),
        (r#"{"content":"nk>a</think>"}"#, "null"),
        (r#"{"content":"b"}"#, r#""stop""#),
    ];
    assert_eq!(answer(true, &chunks), ["think a", "text b", "finish Stop"]);
    assert_eq!(
        answer(false, &chunks),
        ["text <thi", "text nk>a</think>", "text b", "finish Stop"]
    );
    // A server with a parser: its content is not searched.
    let parsed = [
        (r#"{"reasoning":"r"}"#, "null"),
        (r#"{"content":"<think>b"}"#, r#""stop""#),
    ];
    assert_eq!(
        answer(true, &parsed),
        ["think r", "text <think>b", "finish Stop"]
    );
    // What was held back comes before the call and before the end.
    let call = r#"{"content":"<","tool_calls":[{"index":0,"id":"i","function":{"name":"f"}}]}"#;
    assert_eq!(
        answer(true, &[(call, r#""tool_calls""#)]),
        ["text <", "call 0 i f", "end 0 {} true", "finish ToolCalls"]
    );
    assert_eq!(
        answer(true, &[(r#"{"content":"<think>a</th"}"#, r#""stop""#)]),
        [
            "think a",
            "think </th",
            "note reasoning-only",
            "finish Stop"
        ]
    );
}

#[test]
fn only_the_first_choice_is_read() {
    let two = r#"{"id":"c","model":"m","choices":[{"index":1,"delta":{"content":"no"},"finish_reason":"length"},{"index":0,"delta":{"content":"yes"},"finish_reason":"stop"}]}"#;
    let other = r#"{"id":"c","model":"m","choices":[{"index":1,"delta":{"content":"no","tool_calls":[{"index":0,"id":"x","function":{"name":"f"}}]}}]}"#;
    let body = sse(&[other, two, USAGE, "[DONE]"]);
    let (events, outcome) = run(decoder_of_many(), 200, "text/event-stream", [&body[..]]);
    outcome.expect("a good end");
    assert_eq!(
        short(&events),
        ["start c m", "text yes", "usage 3+2 Final", "finish Stop"]
    );
}

#[test]
fn a_lone_choice_is_the_answer_whatever_its_index() {
    let piece = |index: u8, delta: &str, reason: &str| {
        format!(
            r#"{{"id":"c","model":"m","choices":[{{"index":{index},"delta":{delta},"finish_reason":{reason}}}]}}"#
        )
    };
    let counted = [
        piece(0, r#"{"content":"a"}"#, "null"),
        piece(1, r#"{"content":"b"},"message":{"content":"ab"}"#, "null"),
        piece(2, "{}", r#""stop""#),
    ];
    let fixed = [
        piece(7, r#"{"content":"a"}"#, "null"),
        piece(7, r#"{"content":"b"}"#, "null"),
        piece(7, "{}", r#""stop""#),
    ];
    // A second choice whose index comes after the end of the first one, and one in turn with it.
    let behind = [
        piece(0, r#"{"content":"a"}"#, "null"),
        piece(0, r#"{"content":"b"}"#, r#""stop""#),
        piece(1, r#"{"content":"c"}"#, r#""length""#),
    ];
    let in_turn = [
        piece(0, r#"{"content":"a"}"#, "null"),
        piece(1, r#"{"role":"assistant","content":""}"#, "null"),
        piece(0, r#"{"content":"b"}"#, r#""stop""#),
    ];
    for data in [counted, fixed, behind, in_turn] {
        let data: Vec<&str> = data
            .iter()
            .map(String::as_str)
            .chain([USAGE, "[DONE]"])
            .collect();
        let (events, outcome) = stream(false, &data);
        outcome.expect("a good end");
        assert_eq!(
            short(&events),
            [
                "start c m",
                "text a",
                "text b",
                "usage 3+2 Final",
                "finish Stop"
            ]
        );
    }
}

#[test]
fn halves_of_a_surrogate_pair_in_two_pieces_are_one_character() {
    let piece = |delta: &str| {
        format!(r#"{{"id":"c","model":"m","choices":[{{"index":0,"delta":{delta}}}]}}"#)
    };
    let end = r#"{"id":"c","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
    let empty = r#"{"id":"c","model":"m","choices":[{"index":0,"delta":{}}]}"#;
    for (first, between, second, expected) in [
        (
            r#"{"content":"a\ud83d"}"#,
            None,
            r#"{"content":"\ude00b"}"#,
            "a😀b",
        ),
        (
            r#"{"content":"\ud83d"}"#,
            None,
            r#"{"content":"\ude00"}"#,
            "😀",
        ),
        (
            r#"{"content":"\ud83d"}"#,
            Some(empty),
            r#"{"content":"\ude00"}"#,
            "😀",
        ),
        (
            r#"{"content":"\ud83d"}"#,
            None,
            r#"{"content":"\ude00\ud83d"}"#,
            "😀\u{fffd}",
        ),
        (
            r#"{"content":"a\ud83d"}"#,
            None,
            r#"{"content":"b"}"#,
            "a\u{fffd}b",
        ),
        (
            r#"{"content":"a\ud83d"}"#,
            None,
            r#"{"content":"\ud83d"}"#,
            "a\u{fffd}\u{fffd}",
        ),
        (
            r#"{"content":"a\ud83d"}"#,
            None,
            r#"{"content":"b\ude00"}"#,
            "a\u{fffd}b\u{fffd}",
        ),
        (
            r#"{"reasoning":"a\ud83d"}"#,
            None,
            r#"{"reasoning":"\ude00b"}"#,
            "a😀b",
        ),
    ] {
        // The pieces before it are of the shape that is recognized.
        let head = piece(r#"{"content":"-"}"#);
        let mut data = vec![head.clone(), head, piece(first)];
        data.extend(between.map(str::to_owned));
        data.extend([piece(second), end.to_owned()]);
        let mut data: Vec<&str> = data.iter().map(String::as_str).collect();
        data.extend([USAGE, "[DONE]"]);
        let (events, outcome) = stream(false, &data);
        outcome.expect("a good end");
        let said: String = events
            .iter()
            .filter_map(|event| match event {
                Event::Text(text) | Event::Reasoning(text) => Some(text.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(said, format!("--{expected}"), "{first} {second}");
    }
    // The connection breaks between the two.
    let data = [piece(r#"{"content":"a\ud83d"}"#)];
    let (events, outcome) = stream(false, &[&data[0]]);
    outcome.expect_err("no end");
    assert_eq!(short(&events), ["start c m", "text a", "text \u{fffd}"]);
}

#[test]
fn events_without_empty_lines_between_them_are_read_or_named() {
    let piece = r#"{"id":"c","model":"m","choices":[{"index":0,"delta":{"content":"a"}}]}"#;
    let end = r#"{"id":"c","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
    for line_end in ["\n", "\r\n"] {
        let lines =
            [piece, piece, end, USAGE, "[DONE]"].map(|data| format!("data: {data}{line_end}"));
        for body in [
            lines.concat(),
            lines.concat().trim_end().to_owned(),
            lines[..4].concat(),
        ] {
            for cut in 0..body.len() {
                let (a, b) = body.as_bytes().split_at(cut);
                let (events, outcome) = run(decoder(false), 200, "text/event-stream", [a, b]);
                outcome.expect("a good end");
                let told = short(&events);
                assert_eq!(
                    told[..4],
                    ["start c m", "text a", "text a", "usage 3+2 Final"]
                );
                assert_eq!(told.last().map(String::as_str), Some("finish Stop"));
            }
        }
    }
    let body = b"data: {\"id\":\ndata: {\"id\":\n\n";
    let (_, outcome) = run(decoder(false), 200, "text/event-stream", [&body[..]]);
    let error = outcome.unwrap_err();
    assert!(
        error
            .message
            .contains("lines without an empty line between them"),
        "{}",
        error.message
    );

    // What a broken connection left is not lost.
    let mut out = Vec::new();
    let mut decoder = decoder(false);
    decoder.head(200, &content_type("text/event-stream"));
    let body = format!("data: {piece}\ndata: {piece}\n");
    decoder.feed(body.as_bytes(), &mut out).expect("no error");
    let failure = TransportFailure {
        kind: TransportFailureKind::Closed,
        message: "reset".to_owned(),
    };
    let error = decoder.fail(&failure, &mut out);
    assert_eq!(error.kind, ErrorKind::Interrupted);
    assert_eq!(short(&out), ["start c m", "text a", "text a"]);
}

#[test]
fn a_closing_think_tag_without_an_opening_one_is_told() {
    for (reasoning, code) in [(true, "reasoning-as-text"), (false, "closing-think-tag")] {
        let delta = |text: &str| (format!(r#"{{"content":"{text}"}}"#), "null");
        let pieces = [delta("hm.</th"), delta("ink>b")];
        let pieces: Vec<(&str, &str)> = pieces.iter().map(|(d, r)| (d.as_str(), *r)).collect();
        let told = answer(reasoning, &[pieces[0], pieces[1], ("{}", r#""stop""#)]);
        assert_eq!(
            told,
            [
                "text hm.</th",
                "text ink>b",
                &format!("note {code}"),
                "finish Stop"
            ]
        );
    }
}

#[test]
fn what_a_stream_says_in_lines_of_its_own_is_told_when_it_fails() {
    let piece = r#"{"id":"c","model":"m","choices":[{"index":0,"delta":{"content":"a"}}]}"#;
    for (lines, kind, words) in [
        (
            "<html>\n<head><title>504 Gateway Time-out</title></head>\n<body>\n",
            ErrorKind::Interrupted,
            "504 Gateway Time-out",
        ),
        (
            "{\n  \"error\": {\n    \"message\": \"slow down\", \"code\": 429\n  }\n}\n",
            ErrorKind::RateLimited,
            "slow down",
        ),
        (
            "upstream\ntimed out\n",
            ErrorKind::Interrupted,
            "upstream timed out",
        ),
        (
            "data: {\"fault\":{\"faultstring\":\"no quota\"}}\n\n",
            ErrorKind::Server,
            "no quota",
        ),
        (
            "data: ping\ndata: closing now\n\n",
            ErrorKind::Interrupted,
            "closing now",
        ),
    ] {
        for end in ["", "data: [DONE]\n\n"] {
            let body = format!("data: {piece}\n\n{lines}{end}");
            let (events, outcome) =
                run(decoder(false), 200, "text/event-stream", [body.as_bytes()]);
            let error = outcome.expect_err("no end");
            assert_eq!(error.kind, kind, "{lines}");
            assert!(error.message.contains(words), "{}", error.message);
            assert_eq!(short(&events), ["start c m", "text a"]);
        }
    }
}

#[test]
fn a_whole_answer_tells_thinking_and_text_apart_and_what_it_lacks() {
    let body = br#"{"id":"c","model":"m","choices":[{"index":0,"message":{"content":"hm</think>yes"},"finish_reason":null}]}"#;
    for (reasoning, expected) in [
        (true, &["think hm", "text yes"][..]),
        (false, &["text hm</think>yes"][..]),
    ] {
        let (events, outcome) = run(decoder(reasoning), 200, "application/json", [&body[..]]);
        outcome.expect("an answer");
        let told = short(&events);
        assert_eq!(told[1..=expected.len()], *expected);
        for note in ["note no-finish-reason", "note closing-think-tag"] {
            assert!(told.contains(&note.to_owned()), "{told:?}");
        }
    }
}

#[test]
fn notes_on_the_request_come_behind_the_start() {
    let decoder = Decoder::new(Options {
        context: context(),
        cost: None,
        reasoning: false,
        many_choices: false,
        notes: vec![Note::new("reasoning-not-sent", "why".to_owned())],
    });
    let end = r#"{"id":"c","model":"m","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}"#;
    let body = sse(&[end, USAGE, "[DONE]"]);
    let (events, _) = run(decoder, 200, "text/event-stream", [&body[..]]);
    let told = short(&events);
    assert_eq!(
        told[..3],
        ["start c m", "note reasoning-not-sent", "text a"]
    );
}

#[test]
fn the_last_usage_wins_wherever_it_stands() {
    let in_chunk = r#"{"id":"c","model":"m","usage":{"prompt_tokens":1,"completion_tokens":1},"choices":[{"index":0,"delta":{"content":"x"}}]}"#;
    let in_choice = r#"{"id":"c","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop","usage":{"prompt_tokens":9,"completion_tokens":8}}]}"#;
    let null = r#"{"id":"c","model":"m","choices":[],"usage":null}"#;
    let empty = r#"{"id":"c","model":"m","choices":[],"usage":{}}"#;
    for (data, expected) in [
        (vec![in_chunk, in_choice, null, empty], "usage 9+8 Final"),
        (vec![in_choice, in_chunk], "usage 1+1 Final"),
        (vec![in_chunk, in_choice, USAGE], "usage 3+2 Final"),
        (vec![in_chunk, &chunk("{}", r#""stop""#)], "usage 1+1 Final"),
    ] {
        let (events, outcome) = stream(false, &[&data[..], &["[DONE]"]].concat());
        outcome.expect("a good end");
        let usages: Vec<String> = short(&events)
            .into_iter()
            .filter(|line| line.starts_with("usage"))
            .collect();
        assert_eq!(usages, [expected], "{data:?}");
    }
}

#[test]
fn no_usage_is_none_and_is_told() {
    let (events, outcome) = stream(
        false,
        &[&chunk(r#"{"content":"x"}"#, r#""stop""#), "[DONE]"],
    );
    outcome.expect("a good end");
    assert_eq!(
        short(&events),
        ["start c m", "text x", "note no-usage", "finish Stop"]
    );
}

#[test]
fn an_account_has_its_price() {
    let cost = Cost {
        input: 1.0,
        output: 10.0,
        ..Cost::default()
    };
    let priced = Decoder::new(Options {
        context: context(),
        cost: Some(cost),
        reasoning: false,
        many_choices: false,
        notes: Vec::new(),
    });
    let body = format!(
        "data: {}\n\ndata: {USAGE}\n\ndata: [DONE]\n\n",
        chunk("{}", r#""stop""#)
    );
    let (events, _) = run(priced, 200, "text/event-stream", [body.as_bytes()]);
    let Some(Event::Usage(usage)) = events.iter().find(|event| matches!(event, Event::Usage(_)))
    else {
        panic!("{events:?}");
    };
    let total = usage.cost.expect("priced").total;
    assert!((total - 0.000_023).abs() < 1e-12, "{total}");
}

#[test]
fn nothing_follows_the_end() {
    let body = format!(
        "data: {}\n\ndata: [DONE]\n\ndata: {}\n\n",
        chunk("{}", r#""stop""#),
        chunk(r#"{"content":"x"}"#, "null")
    );
    let mut decoder = decoder(false);
    let mut out = Vec::new();
    decoder.feed(body.as_bytes(), &mut out).expect("a good end");
    assert!(decoder.is_done());
    assert_eq!(out.last(), Some(&Event::Finish(FinishReason::Stop)));
    let length = out.len();
    decoder.feed(b"data: {}\n\n", &mut out).expect("ignored");
    decoder.finish(&mut out).expect("ended already");
    assert_eq!(out.len(), length);
}
