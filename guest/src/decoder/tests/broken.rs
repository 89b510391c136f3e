//! Answers that do not come to their good end.

use super::*;

fn failure(kind: TransportFailureKind) -> TransportFailure {
    TransportFailure {
        kind,
        message: "reset by peer".to_owned(),
    }
}

#[test]
fn a_stream_without_a_finish_reason_is_interrupted() {
    let text = chunk(r#"{"content":"x"}"#, "null");
    for (data, given) in [(vec![], false), (vec![text.as_str()], true)] {
        for done in [&[][..], &["[DONE]"]] {
            let (events, outcome) = stream(false, &[&data[..], done].concat());
            let error = outcome.expect_err("not complete");
            assert_eq!(error.kind, ErrorKind::Interrupted);
            assert_eq!(
                (error.retryable, error.status, error.request_sent),
                (!given, Some(200), true)
            );
            assert_eq!(!events.is_empty(), given);
        }
    }
}

#[test]
fn an_end_without_done_is_good_after_a_finish_reason() {
    let last = chunk(r#"{"content":"x"}"#, r#""stop""#);
    let (events, outcome) = stream(false, &[&last]);
    outcome.expect("a good end");
    assert_eq!(
        short(&events),
        [
            "start c m",
            "text x",
            "note no-usage",
            "note no-done",
            "finish Stop"
        ]
    );
    // The empty line behind `[DONE]` is often forgotten.
    for end in ["data: [DONE]\n", "data: [DONE]"] {
        let body = format!("data: {last}\n\n{end}");
        let (events, outcome) = run(decoder(false), 200, "text/event-stream", [body.as_bytes()]);
        outcome.expect("a good end");
        assert!(
            !short(&events).contains(&"note no-done".to_owned()),
            "{end:?}"
        );
    }
}

#[test]
fn an_error_in_the_stream_is_typed_and_keeps_what_came() {
    let text = r#"{"id":"c","model":"m","usage":{"prompt_tokens":3,"completion_tokens":1},"choices":[{"index":0,"delta":{"content":"x"}}]}"#;
    let broken = r#"{"error": {"message": "EngineCore encountered an issue.", "type": "InternalServerError", "param": null, "code": 500}}"#;
    let (events, outcome) = stream(false, &[text, broken, "[DONE]"]);
    let error = outcome.expect_err("the engine died");
    assert_eq!((error.kind, error.status), (ErrorKind::Server, Some(200)));
    assert_eq!(error.code.as_deref(), Some("InternalServerError"));
    assert!(error.retryable && error.request_sent);
    assert_eq!(short(&events), ["start c m", "text x", "usage 3+1 Interim"]);

    let (events, outcome) = stream(false, &[broken, "[DONE]"]);
    assert_eq!(outcome.expect_err("at once").kind, ErrorKind::Server);
    assert!(events.is_empty());
}

#[test]
fn a_cut_keeps_what_came_and_says_whether_to_try_again() {
    use TransportFailureKind::*;
    let text = format!("data: {}\n\n", chunk(r#"{"content":"<thi"}"#, "null"));
    let finish = format!("data: {}\n\n", chunk("{}", r#""stop""#));
    for (body, cause, kind, retryable, expected) in [
        ("", Closed, ErrorKind::Interrupted, true, vec![]),
        ("", ReadTimeout, ErrorKind::Timeout, true, vec![]),
        ("", Denied, ErrorKind::Interrupted, false, vec![]),
        (
            ": ping\n\ndata: {\"id\"",
            Protocol,
            ErrorKind::Protocol,
            false,
            vec![],
        ),
        (
            &text,
            Closed,
            ErrorKind::Interrupted,
            false,
            vec!["start c m", "text <thi"],
        ),
        (
            &text,
            ReadTimeout,
            ErrorKind::Timeout,
            false,
            vec!["start c m", "text <thi"],
        ),
        (
            &finish,
            Closed,
            ErrorKind::Interrupted,
            false,
            vec!["start c m"],
        ),
        ("{\"id\":", Closed, ErrorKind::Interrupted, true, vec![]),
    ] {
        let mut decoder = decoder(true);
        decoder.head(200, &content_type("text/event-stream"));
        let mut out = Vec::new();
        decoder.feed(body.as_bytes(), &mut out).expect("not yet");
        let error = decoder.fail(&failure(cause), &mut out);
        assert_eq!(
            (error.kind, error.retryable),
            (kind, retryable),
            "{body} {cause:?}"
        );
        assert!(error.request_sent && error.message.ends_with("reset by peer"));
        assert_eq!(short(&out), expected, "{body} {cause:?}");
        assert!(decoder.is_done());
    }
}

#[test]
fn an_error_status_is_typed_however_its_body_ends() {
    let body =
        br#"{"error":{"message":"The model `x` does not exist.","param":"model","code":404}}"#;
    for size in [1, body.len()] {
        let (events, outcome) = run(decoder(false), 404, "application/json", body.chunks(size));
        assert_eq!(outcome.expect_err("404").kind, ErrorKind::ModelNotFound);
        assert!(events.is_empty());
    }
    let mut decoder = decoder(false);
    decoder.head(429, &[("retry-after".to_owned(), b"3".to_vec())]);
    let mut out = Vec::new();
    decoder.feed(b"{\"err", &mut out).expect("collected");
    let error = decoder.fail(&failure(TransportFailureKind::Closed), &mut out);
    assert_eq!(
        (error.kind, error.retry_after_ms),
        (ErrorKind::RateLimited, Some(3000))
    );
}

#[test]
fn a_flood_behind_an_error_status_is_passed_over() {
    let mut decoder = decoder(false);
    decoder.head(500, &[]);
    let mut out = Vec::new();
    for _ in 0..100 {
        decoder.feed(&[b'x'; 4096], &mut out).expect("collected");
    }
    let Body::Refusal(body) = &decoder.body else {
        panic!("not a refusal")
    };
    assert_eq!(body.len(), MAX_ERROR_BYTES);
    let error = decoder.finish(&mut out).expect_err("500");
    assert!(error.message.len() < 5000);
}

#[test]
fn what_is_no_answer_is_a_protocol_error_that_quotes_it() {
    for (kind, body, words) in [
        (
            "text/html",
            "<html><head><title>Sign in</title></head>",
            "\"Sign in\"",
        ),
        ("", "<!doctype html><title>Proxy</title>", "\"Proxy\""),
        (
            "text/html; charset=utf-8",
            "no title here",
            "\"no title here\"",
        ),
        (
            "text/plain",
            "upstream\x1b[2J down",
            "\"upstream\u{fffd}[2J down\"",
        ),
        ("text/event-stream", "data: {\"a\":}\n\n", "\"{\"a\":}\""),
    ] {
        for size in [1, body.len()] {
            let (events, outcome) = run(decoder(false), 200, kind, body.as_bytes().chunks(size));
            let error = outcome.expect_err(body);
            assert_eq!(
                (&error.kind, error.retryable),
                (&ErrorKind::Protocol, false),
                "{body}"
            );
            assert!(error.message.contains(words), "{}", error.message);
            assert!(events.is_empty());
        }
    }
    let long = format!("data: {{{}\n\n", "é".repeat(4000));
    let (_, outcome) = run(decoder(false), 200, "text/event-stream", [long.as_bytes()]);
    assert!(outcome.expect_err("no JSON").message.len() < 400);
}

#[test]
fn bytes_that_are_no_utf8_become_replacement_characters() {
    let body = b"data: {\"choices\":[{\"delta\":{\"content\":\"a\xff\xe2\x82b\\ud83d\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let (events, outcome) = run(decoder(false), 200, "text/event-stream", [&body[..]]);
    outcome.expect("a good end");
    let text = |event: &Event| match event {
        Event::Text(text) => text.clone(),
        _ => String::new(),
    };
    let all: String = events.iter().map(text).collect();
    assert_eq!(all, "a\u{fffd}\u{fffd}b\u{fffd}");
}

#[test]
fn keep_alives_are_no_events() {
    let last = chunk(r#"{"content":"x"}"#, r#""stop""#);
    let body = format!(": keep-alive\n\ndata:\n\ndata: {last}\n\n: keep-alive\n\ndata: [DONE]\n\n");
    let (events, outcome) = run(decoder(false), 200, "text/event-stream", [body.as_bytes()]);
    outcome.expect("a good end");
    assert_eq!(
        short(&events),
        ["start c m", "text x", "note no-usage", "finish Stop"]
    );
}

#[test]
fn data_that_are_no_object_keep_alive_and_are_quoted_if_the_answer_fails() {
    let text = chunk(r#"{"content":"x"}"#, "null");
    let last = chunk("{}", r#""stop""#);
    for stray in ["null", "ping", "\"ping\"", "[1]", "0", "OK", "<p>"] {
        let (events, outcome) = stream(false, &[stray, &text, stray, &last, stray, "[DONE]"]);
        outcome.expect("a good end");
        assert_eq!(
            short(&events),
            ["start c m", "text x", "note no-usage", "finish Stop"],
            "{stray}"
        );
        for data in [vec![stray, &text], vec![stray, "[DONE]"]] {
            let error = stream(false, &data).1.expect_err("not complete");
            assert_eq!(error.kind, ErrorKind::Interrupted);
            let quoted = error.message.ends_with(&format!(": {stray}"));
            assert_eq!(quoted, stray != "null", "{}", error.message);
        }
    }
    let long = "é".repeat(4000);
    let error = stream(false, &[&long]).1.expect_err("not complete");
    assert!(error.message.len() < 500, "{}", error.message.len());
}

#[test]
fn the_last_event_may_lack_its_empty_line() {
    let text = chunk(r#"{"content":"x"}"#, "null");
    let last = chunk(r#"{"content":"y"}"#, r#""stop""#);
    for end in ["", "\n", "\r\n", "\r"] {
        let body = format!("data: {text}\n\ndata: {last}{end}");
        for size in [1, body.len()] {
            let pieces = body.as_bytes().chunks(size);
            let (events, outcome) = run(decoder(false), 200, "text/event-stream", pieces);
            outcome.expect("a good end");
            assert_eq!(
                short(&events)[1..],
                [
                    "text x",
                    "text y",
                    "note no-usage",
                    "note no-done",
                    "finish Stop"
                ],
                "{end:?} by {size}"
            );
        }
        // One that is not whole is a cut.
        let cut = &body[..body.len() - end.len() - 1];
        let (events, outcome) = run(decoder(false), 200, "text/event-stream", [cut.as_bytes()]);
        assert_eq!(outcome.expect_err("cut").kind, ErrorKind::Interrupted);
        assert_eq!(short(&events)[1..], ["text x"], "{end:?}");
    }
    let error = r#"data: {"error":{"message":"gone","code":500}}"#;
    let (_, outcome) = run(decoder(false), 200, "text/event-stream", [error.as_bytes()]);
    assert_eq!(outcome.expect_err("an error").kind, ErrorKind::Server);
}

#[test]
fn an_event_over_the_limit_is_a_protocol_error() {
    let mut decoder = decoder(false);
    decoder.head(200, &content_type("text/event-stream"));
    let mut out = Vec::new();
    decoder.feed(b"data: {", &mut out).expect("begun");
    let piece = vec![b' '; 1 << 20];
    let error = (0..10).find_map(|_| decoder.feed(&piece, &mut out).err());
    assert_eq!(error.expect("refused").kind, ErrorKind::Protocol);
}

#[test]
fn an_exchange_without_a_head_has_no_status() {
    let mut out = Vec::new();
    let error = decoder(false).fail(&failure(TransportFailureKind::Unreachable), &mut out);
    assert_eq!((error.kind, error.status), (ErrorKind::Unreachable, None));
    assert!(!error.request_sent && error.retryable);
    let error = decoder(false).finish(&mut out).expect_err("no answer");
    assert_eq!((error.kind, error.status), (ErrorKind::Interrupted, None));
    let mut headless = decoder(false);
    let error = headless
        .feed(b"data: {x\n\n", &mut out)
        .expect_err("no JSON");
    assert_eq!((error.kind, error.status), (ErrorKind::Protocol, Some(200)));
}

#[test]
fn a_stream_that_brings_nothing_is_not_without_end() {
    let comments = b": keep-alive\n\n".repeat(1 << 10);
    let text = format!("data: {}\n\n", chunk(r#"{"content":"x"}"#, "null"));
    let mut decoder = decoder(false);
    decoder.head(200, &content_type("text/event-stream"));
    let mut out = Vec::new();
    // Each event is a new beginning.
    for _ in 0..3 {
        for _ in 0..MAX_BARREN_BYTES / comments.len() {
            decoder.feed(&comments, &mut out).expect("not yet");
        }
        decoder.feed(text.as_bytes(), &mut out).expect("an event");
    }
    let mut fed = 0;
    let error = loop {
        match decoder.feed(&comments, &mut out) {
            Ok(()) => fed += comments.len(),
            Err(error) => break error,
        }
        assert!(fed <= MAX_BARREN_BYTES, "{fed} bytes for nothing");
    };
    assert_eq!(error.kind, ErrorKind::Protocol);
    assert!(
        error.message.contains("more than 32 MiB"),
        "{}",
        error.message
    );
    assert!(decoder.is_done());
}

#[test]
fn an_error_that_is_longer_than_what_is_looked_at_need_not_be_read_to_its_end() {
    for (status, content) in [(500, "text/plain"), (200, "text/html")] {
        let mut decoder = decoder(false);
        decoder.head(status, &content_type(content));
        let mut out = Vec::new();
        decoder
            .feed(&[b'x'; MAX_ERROR_BYTES - 1], &mut out)
            .expect("collected");
        assert!(!decoder.has_enough());
        decoder.feed(b"x", &mut out).expect("collected");
        assert!(decoder.has_enough());
        assert!(decoder.finish(&mut out).is_err());
    }
}

#[test]
fn a_piece_with_more_choices_or_calls_than_anybody_asked_for_is_refused_and_not_built() {
    let nothing = |count: usize| vec!["{}"; count].join(",");
    let choices = |count| format!("{{\"choices\":[{}]}}", nothing(count));
    let calls = |count| chunk(&format!(r#"{{"tool_calls":[{}]}}"#, nothing(count)), "null");
    for (piece, fits) in [
        (choices(1025), true),
        (choices(1026), false),
        (calls(1025), true),
        (calls(1026), false),
    ] {
        let (_, outcome) = stream(false, &[&piece, &chunk("{}", "\"stop\""), "[DONE]"]);
        match outcome {
            Ok(()) => assert!(fits),
            Err(error) => {
                assert!(!fits, "{}", error.message);
                assert_eq!(error.kind, ErrorKind::Protocol);
                let words = "more than 1,024 choices or tool calls in one piece";
                assert!(error.message.contains(words), "{}", error.message);
            }
        }
    }
    let body = choices(5000);
    let (_, outcome) = run(decoder(false), 200, "application/json", [body.as_bytes()]);
    assert!(
        outcome
            .expect_err("too many")
            .message
            .contains("more than 1,024")
    );
}

#[test]
fn a_giant_id_is_cut_before_anything_is_made_of_it() {
    let id = "é".repeat(100_000);
    let piece = format!(
        r#"{{"id":"{id}","model":"{id}","choices":[{{"index":0,"delta":{{"tool_calls":[{{"index":0,"function":{{"name":"f"}}}}]}}}}]}}"#
    );
    let (events, _) = stream(false, &[&piece]);
    for event in &events {
        match event {
            Event::Start { id, model } => assert_eq!((id.len(), model.len()), (256, 256)),
            Event::ToolCallStart { id, .. } => assert!(id.len() < 300),
            _ => {}
        }
    }
    assert_eq!(events.len(), 2);
}

#[test]
fn an_error_in_a_stream_is_one_in_any_shape_and_quotes_the_server() {
    let text = format!("data: {}\n\n", chunk(r#"{"content":"x"}"#, "null"));
    let too_long =
        "maximum context length is 10 tokens. However, your messages resulted in 12 tokens.";
    for (body, kind, words) in [
        (r#"data: {"error_type":"t","error_message":"it broke"}"#.to_owned(), ErrorKind::Server, "it broke"),
        (r#"data: {"detail":"it broke"}"#.to_owned(), ErrorKind::Server, "it broke"),
        (r#"data: {"message":"it broke","code":400}"#.to_owned(), ErrorKind::InvalidRequest, "it broke"),
        (r#"data: {"msg":"it broke"}"#.to_owned(), ErrorKind::Server, "it broke"),
        (r#"data: {"errors":[{"message":"it broke"}]}"#.to_owned(), ErrorKind::Server, "it broke"),
        (r#"data: {"errors":["it broke"]}"#.to_owned(), ErrorKind::Server, "it broke"),
        (r#"data: {"type":"error","what":"it broke"}"#.to_owned(), ErrorKind::Server, "it broke"),
        (r#"data: {"status":"error","what":"it broke"}"#.to_owned(), ErrorKind::Server, "it broke"),
        (r#"data: {"success":false,"what":"it broke"}"#.to_owned(), ErrorKind::Server, "it broke"),
        (r#"data: {"choices":[{"error":{"message":"it broke","code":429}}]}"#.to_owned(), ErrorKind::RateLimited, "it broke"),
        (r#"data: {"error":{"message":"failed","metadata":{"raw":"{\"error\":{\"message\":\"it broke\"}}"}}}"#.to_owned(), ErrorKind::Server, "it broke"),
        ("event: error\ndata: it broke".to_owned(), ErrorKind::Server, "it broke"),
        ("event: error\ndata: {\"what\":\"it broke\"}".to_owned(), ErrorKind::Server, "it broke"),
        ("error: {\"message\":\"it broke\"}".to_owned(), ErrorKind::Server, "it broke"),
        ("error: it broke".to_owned(), ErrorKind::Server, "it broke"),
        ("{\"error\":\"it broke\"}".to_owned(), ErrorKind::Server, "it broke"),
        ("<p>it broke</p>".to_owned(), ErrorKind::Interrupted, "it broke"),
        ("it broke".to_owned(), ErrorKind::Interrupted, "it broke"),
        (format!("data: {{\"detail\":\"{too_long}\"}}"), ErrorKind::ContextOverflow, "12 tokens"),
        (format!("event: error\ndata: {too_long}"), ErrorKind::ContextOverflow, "12 tokens"),
        (r#"data: {"error":{"message":"too long","type":"exceed_context_size_error","n_prompt_tokens":12,"n_ctx":10}}"#.to_owned(), ErrorKind::ContextOverflow, "too long"),
        (r#"data: {"error":"Unexpected endpoint or method."}"#.to_owned(), ErrorKind::InvalidConfig, "endpoint"),
    ] {
        for before in [": hello\n\n", &text] {
            let all = format!("{before}{body}\n\ndata: [DONE]\n\n");
            for size in [1, all.len()] {
                let pieces = all.as_bytes().chunks(size);
                let (events, outcome) = run(decoder(false), 200, "text/event-stream", pieces);
                let error = outcome.expect_err(&all);
                assert_eq!(error.kind, kind, "{all} by {size}: {}", error.message);
                assert!(error.message.contains(words), "{all}: {}", error.message);
                let given = short(&events).contains(&"text x".to_owned());
                assert_eq!(given, before == text, "{all}");
                if error.kind == ErrorKind::ContextOverflow {
                    assert_eq!((error.limit, error.requested), (Some(10), Some(12)));
                    assert!(!error.retryable);
                }
            }
        }
    }
}

#[test]
fn halves_of_characters_are_joined_at_their_own_places() {
    let piece = |delta: &str| {
        format!(
            "data: {{\"choices\":[{{\"index\":1,\"delta\":{delta},\"finish_reason\":\"null\"}}]}}\n\n"
        )
    };
    let call = |index: u8, text: &str| {
        piece(&format!(
            r#"{{"tool_calls":[{{"index":{index},"id":"c{index}","function":{{"name":"f{index}","arguments":"{text}"}}}}]}}"#
        ))
    };
    let body = [
        piece(r#"{"content":"a\ud83d","reasoning":"b\ud83d","reasoning_content":"b\ud83d"}"#),
        piece(r#"{"reasoning":"\ude01"}"#),
        piece(r#"{"content":"\ude00"}"#),
        call(0, r#"[\"\ud83d"#),
        call(1, r#"[\"\ud83d"#),
        call(0, r#"\ude00\"]"#),
        call(1, r#"\ude01\"]"#),
        piece(r#"{"content":"c\ud83d"}"#),
        "data: {\"choices\":[{\"index\":1,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
            .to_owned(),
        piece(r#"{"content":"\ude02"}"#),
        piece(r#"{"content":"\ud83d"}"#),
        "data: [DONE]\n\n".to_owned(),
    ]
    .concat();
    for size in [1, 7, body.len()] {
        let chunks = body.as_bytes().chunks(size);
        let (events, outcome) = run(decoder(false), 200, "text/event-stream", chunks);
        outcome.expect("a good end");
        let (mut said, mut thought, mut arguments) = (String::new(), String::new(), Vec::new());
        for event in events {
            match event {
                Event::Text(text) => said += &text,
                Event::Reasoning(text) => thought += &text,
                Event::ToolCallEnd {
                    arguments: text,
                    valid: true,
                    ..
                } => arguments.push(text),
                _ => {}
            }
        }
        assert_eq!((said.as_str(), thought.as_str()), ("a😀c😂\u{FFFD}", "b😁"));
        assert_eq!(arguments, ["[\"😀\"]", "[\"😁\"]"]);
    }
}

#[test]
fn a_later_finish_reason_does_not_make_an_answer_whole() {
    for (first, second, kept) in [
        ("abort", "stop", None),
        ("error", "tool_calls", None),
        ("length", "stop", Some(FinishReason::Length)),
        ("content_filter", "stop", Some(FinishReason::ContentFilter)),
        ("stop", "length", Some(FinishReason::Length)),
    ] {
        let end = |word: &str| {
            format!(
                "data: {{\"choices\":[{{\"delta\":{{\"content\":\"a\"}},\"finish_reason\":\"{word}\"}}]}}\n\n"
            )
        };
        let body = format!("{}{}data: [DONE]\n\n", end(first), end(second));
        let (events, outcome) = run(decoder(false), 200, "text/event-stream", [body.as_bytes()]);
        assert_eq!(outcome.is_ok(), kept.is_some(), "{first} {second}");
        if let Some(kept) = kept {
            assert_eq!(
                events.last(),
                Some(&Event::Finish(kept)),
                "{first} {second}"
            );
        }
    }
}

#[test]
fn lines_between_the_events_are_told_behind_a_good_end() {
    let body = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}\n\n\
                LINE\n\ndata: [DONE]\n\n";
    for (line, is_told) in [
        ("Internal Server Error", true),
        ("<p>502 Bad Gateway</p>", true),
        ("x-field: a b", false),
        (": a comment", false),
    ] {
        let body = body.replace("LINE", line);
        let (events, outcome) = run(decoder(false), 200, "text/event-stream", [body.as_bytes()]);
        outcome.expect("a good end");
        let told = events.iter().any(|event| match event {
            Event::Note(note) => note.code == "foreign-lines" && note.message.contains(line),
            _ => false,
        });
        assert_eq!(told, is_told, "{line}");
    }
}

#[test]
fn a_choice_that_comes_back_is_seen_however_the_stream_is_cut() {
    let said = |index: u8, text: &str| {
        format!(
            "data: {{\"choices\":[{{\"index\":{index},\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n"
        )
    };
    let end = "data: {\"choices\":[{\"index\":1,\"finish_reason\":\"stop\"}]}\n\n";
    let between = "data: {\"choices\":[{\"index\":1}]}\n\n";
    for (body, expected) in [
        // A second choice ended, and the answer did not.
        ([&said(0, "a"), between, &said(0, "b"), end].concat(), "ab"),
        // The index 3 may be counted up, until 2 comes back: then 0 is another choice.
        (
            [
                said(2, "a"),
                said(3, "x"),
                said(2, "b"),
                said(0, "y"),
                said(0, "z"),
            ]
            .concat(),
            "axb",
        ),
    ] {
        for size in [1, 5, body.len()] {
            let chunks = body.as_bytes().chunks(size);
            let (events, outcome) = run(decoder(false), 200, "text/event-stream", chunks);
            assert_eq!(outcome.expect_err("no end").kind, ErrorKind::Interrupted);
            let text: String = events
                .iter()
                .filter_map(|event| match event {
                    Event::Text(text) => Some(text.as_str()),
                    _ => None,
                })
                .collect();
            assert_eq!(text, expected, "{size}");
        }
    }
}
