//! Answers that come as one JSON object.

use super::*;

#[test]
fn a_json_answer_is_decoded_as_one() {
    let body = r#"{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"b","refusal":null,"function_call":null,"reasoning":"a","tool_calls":[{"id":"t1","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}},{"id":"t1","type":"function","function":{"name":"f","arguments":""}},{"function":{"name":"g","arguments":"no"}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}"#;
    let expected = [
        "start c m",
        "think a",
        "text b",
        "call 0 t1 f",
        "args 0 {\"x\":1}",
        "end 0 {\"x\":1} true",
        "call 1 call_c_1 f",
        "end 1 {} true",
        "call 2 call_c_2 g",
        "args 2 no",
        "end 2 no false",
        "usage 3+2 Final",
        "note shared-call-id",
        "note invalid-tool-arguments",
        "finish ToolCalls",
    ];
    for kind in ["application/json", "text/event-stream", "", "text/plain"] {
        for size in [1, 7, body.len()] {
            let (events, outcome) = run(decoder(false), 200, kind, body.as_bytes().chunks(size));
            outcome.expect("an answer");
            assert_eq!(short(&events), expected, "{kind} by {size}");
        }
    }
}

#[test]
fn a_json_answer_may_lack_what_a_stream_may_not() {
    for (choice, expected) in [
        (
            r#"{"message":{"content":"x"}}"#,
            r#"finish Other("unknown")"#,
        ),
        (
            r#"{"message":{"content":null,"tool_calls":[{"id":"i","function":{"name":"f"}}]}}"#,
            "finish ToolCalls",
        ),
        (
            r#"{"message":{"content":"<think>a</think>x"},"finish_reason":"stop"}"#,
            "finish Stop",
        ),
    ] {
        let body = format!(r#"{{"choices":[{choice}]}}"#);
        let (events, outcome) = run(decoder(true), 200, "application/json", [body.as_bytes()]);
        outcome.expect("an answer");
        assert_eq!(
            short(&events).last().map(String::as_str),
            Some(expected),
            "{choice}"
        );
    }
}

#[test]
fn json_that_is_no_answer_is_an_error() {
    for (body, kind) in [
        (
            r#"{"error":{"message":"m","code":503}}"#,
            ErrorKind::Overloaded,
        ),
        (
            r#"{"object":"error","message":"m","code":400}"#,
            ErrorKind::InvalidRequest,
        ),
        (r#"{"choices":[]}"#, ErrorKind::Protocol),
        (r#"{"object":"list","data":[]}"#, ErrorKind::Protocol),
        (r#"{"choices":[{"mess"#, ErrorKind::Protocol),
        ("{}{}", ErrorKind::Protocol),
        ("[1,2]", ErrorKind::Protocol),
    ] {
        let (events, outcome) = run(decoder(false), 200, "application/json", [body.as_bytes()]);
        let error = outcome.expect_err(body);
        assert_eq!((error.kind, error.status), (kind, Some(200)), "{body}");
        assert!(events.is_empty());
    }
}

#[test]
fn a_whole_answer_has_a_limit() {
    let mut decoder = decoder(false);
    decoder.head(200, &content_type("application/json"));
    let mut out = Vec::new();
    decoder.feed(b"{", &mut out).expect("begun");
    let piece = vec![b' '; 1 << 20];
    let error = (0..20).find_map(|_| decoder.feed(&piece, &mut out).err());
    assert_eq!(error.expect("refused").kind, ErrorKind::Protocol);
    assert!(decoder.is_done());
}
