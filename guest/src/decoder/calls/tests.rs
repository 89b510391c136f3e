use super::super::chunk::parse;
use super::*;

/// Feeds the `tool_calls` arrays (JSON) one after the other and ends.
fn calls(pieces: &[&str]) -> Vec<String> {
    let mut calls = Calls::default();
    let mut out = Vec::new();
    for piece in pieces {
        let text = format!(r#"{{"choices":[{{"delta":{{"tool_calls":{piece}}}}}]}}"#);
        let choice = parse(&text).expect("JSON").choices.into_iter().next();
        let delta = choice.and_then(|choice| choice.delta).expect("a delta");
        for call in delta.tool_calls.into_iter() {
            calls.piece(call, "a", &mut out).expect("within the limits");
        }
    }
    calls.end("a", &mut out);
    super::super::tests::short(&out)
}

#[test]
fn calls_are_numbered_as_they_are_told_of() {
    // The name of the first comes when the second has begun, or never.
    let waiting = r#"[{"index":0,"function":{"arguments":"1"}}]"#;
    let second = r#"[{"index":1,"id":"y","function":{"name":"g","arguments":"2"}}]"#;
    let named = r#"[{"index":0,"id":"x","function":{"name":"f"}}]"#;
    assert_eq!(
        calls(&[waiting, second, named]),
        [
            "call 0 y g",
            "args 0 2",
            "call 1 x f",
            "args 1 1",
            "end 1 1 true",
            "end 0 2 true",
        ]
    );
    assert_eq!(
        calls(&[waiting, second])[2..],
        [
            "call 1 call_a_0 ",
            "args 1 1",
            "end 1 1 true",
            "end 0 2 true",
        ]
    );
}

#[test]
fn pieces_find_their_call() {
    for (what, pieces, expected) in [
        (
            "a repeated id and name do not split a call",
            vec![
                r#"[{"index":0,"id":"x","function":{"name":"f","arguments":"{"}}]"#,
                r#"[{"index":0,"id":"x","function":{"name":"f","arguments":"}"}}]"#,
            ],
            vec!["call 0 x f", "args 0 {", "args 0 }", "end 0 {} true"],
        ),
        (
            "a new id without a name does not split a call",
            vec![
                r#"[{"index":0,"id":"x","function":{"name":"f","arguments":"{"}}]"#,
                r#"[{"index":0,"id":"y","function":{"arguments":"}"}}]"#,
            ],
            vec!["call 0 x f", "args 0 {", "args 0 }", "end 0 {} true"],
        ),
        (
            "a new id and name at the same index is a new call",
            vec![
                r#"[{"index":0,"id":"x","function":{"name":"f","arguments":"1"}}]"#,
                r#"[{"index":0,"id":"y","function":{"name":"f","arguments":"2"}}]"#,
                r#"[{"index":0,"function":{"arguments":"3"}}]"#,
                r#"[{"index":0,"id":"x","function":{"name":"f","arguments":"4"}}]"#,
            ],
            vec![
                "call 0 x f",
                "args 0 1",
                "call 1 y f",
                "args 1 2",
                "args 1 3",
                "args 0 4",
                "end 0 14 true",
                "end 1 23 true",
            ],
        ),
        (
            "without an index the id decides",
            vec![
                r#"[{"id":"x","function":{"name":"f"}},{"id":"y","function":{"name":"g"}}]"#,
                r#"[{"id":"y","function":{"arguments":"2"}},{"id":"x","function":{"arguments":"1"}}]"#,
            ],
            vec![
                "call 0 x f",
                "call 1 y g",
                "args 1 2",
                "args 0 1",
                "end 0 1 true",
                "end 1 2 true",
            ],
        ),
        (
            "without both a name begins the next call",
            vec![
                r#"[{"function":{"name":"f","arguments":"1"}}]"#,
                r#"[{"function":{"arguments":"2"}}]"#,
                r#"[{"function":{"name":"f"}}]"#,
            ],
            vec![
                "call 0 call_a_0 f",
                "args 0 1",
                "args 0 2",
                "call 1 call_a_1 f",
                "end 0 12 true",
                "end 1 {} true",
            ],
        ),
        (
            "indexes of the server may have gaps and any order",
            vec![
                r#"[{"index":7,"id":"x","function":{"name":"f"}}]"#,
                r#"[{"index":2,"id":"y","function":{"name":"g"}}]"#,
                r#"[{"index":7,"function":{"arguments":"1"}}]"#,
            ],
            vec![
                "call 0 x f",
                "call 1 y g",
                "args 0 1",
                "end 0 1 true",
                "end 1 {} true",
            ],
        ),
        (
            "a call waits for its name, and its arguments with it",
            vec![
                r#"[{"index":0,"id":"x","function":{"arguments":"{"}}]"#,
                r#"[{"index":0,"function":{"arguments":"\"a\""}}]"#,
                r#"[{"index":0,"function":{"name":"f","arguments":":1"}}]"#,
                r#"[{"index":0,"function":{"arguments":"}"}}]"#,
            ],
            vec![
                "call 0 x f",
                "args 0 {\"a\":1",
                "args 0 }",
                "end 0 {\"a\":1} true",
            ],
        ),
        (
            "a name that never comes is empty",
            vec![r#"[{"index":0,"id":"x","function":{"arguments":"{}"}}]"#],
            vec!["call 0 x ", "args 0 {}", "end 0 {} true"],
        ),
        (
            "a made-up id is not one of the server's",
            vec![
                r#"[{"index":0,"id":"call_a_1","function":{"name":"f"}}]"#,
                r#"[{"index":1,"function":{"name":"g"}}]"#,
            ],
            vec![
                "call 0 call_a_1 f",
                "call 1 call_a_1_ g",
                "end 0 {} true",
                "end 1 {} true",
            ],
        ),
        (
            "arguments are any JSON value, or are flagged",
            vec![
                r#"[{"index":0,"id":"x","function":{"name":"f","arguments":"\"text\""}}]"#,
                r#"[{"index":1,"id":"y","function":{"name":"g","arguments":"{\"a\":1}}"}}]"#,
                r#"[{"index":2,"id":"z","function":{"name":"h","arguments":"  "}}]"#,
            ],
            vec![
                "call 0 x f",
                "args 0 \"text\"",
                "call 1 y g",
                "args 1 {\"a\":1}}",
                "call 2 z h",
                "args 2   ",
                "end 0 \"text\" true",
                "end 1 {\"a\":1}} false",
                "end 2 {} true",
            ],
        ),
    ] {
        assert_eq!(calls(&pieces), expected, "{what}");
    }
}

fn piece<'a>(index: u64, arguments: &'a str) -> chunk::Call<'a> {
    let mut piece = chunk::Call {
        index: Some(index),
        ..chunk::Call::default()
    };
    piece.function.arguments.0 = Some(Cow::Borrowed(arguments));
    piece
}

#[test]
fn calls_and_their_bytes_have_limits() {
    let mut calls = Calls::default();
    let mut out = Vec::new();
    for index in 0..MAX_CALLS as u64 {
        calls
            .piece(piece(index, "1"), "", &mut out)
            .expect("within the limit");
    }
    assert!(
        calls
            .piece(piece(MAX_CALLS as u64, "1"), "", &mut out)
            .is_err()
    );

    let mut calls = Calls::default();
    let large = "1".repeat(MAX_CALL_BYTES / 4 - PIECE_BYTES - 1);
    for _ in 0..4 {
        calls
            .piece(piece(0, &large), "", &mut out)
            .expect("within the limit");
    }
    assert!(calls.piece(piece(0, "1"), "", &mut out).is_err());

    // Pieces with nothing in them are not without end either.
    let mut calls = Calls::default();
    let nothing = || chunk::Call {
        index: Some(0),
        ..chunk::Call::default()
    };
    let pieces = (0..MAX_CALL_BYTES).take_while(|_| calls.piece(nothing(), "", &mut out).is_ok());
    assert_eq!(pieces.count(), (MAX_CALL_BYTES + 1) / (PIECE_BYTES + 1));
}
