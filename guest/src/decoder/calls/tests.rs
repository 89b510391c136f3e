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
    calls.end(false, "a", &mut out);
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
fn a_name_that_comes_once_more_behind_its_call_is_no_call() {
    let whole = r#"[{"index":0,"id":"x","function":{"name":"f","arguments":"{\"a\":1}"}}]"#;
    let one = ["call 0 x f", "args 0 {\"a\":1}", "end 0 {\"a\":1} true"];
    for again in [
        r#"[{"index":0,"id":"x","function":{"name":"f","arguments":""}}]"#,
        r#"[{"index":0,"function":{"name":"f"}}]"#,
    ] {
        assert_eq!(calls(&[whole, again]), one, "{again}");
    }
    // Another place or another id, or arguments of its own, and it is a call.
    for more in [
        r#"[{"index":1,"function":{"name":"f"}}]"#,
        r#"[{"index":0,"id":"y","function":{"name":"f"}}]"#,
        r#"[{"index":0,"function":{"name":"f","arguments":"{}"}}]"#,
    ] {
        assert_eq!(
            calls(&[whole, more]).len(),
            5 + usize::from(more.contains("{}")),
            "{more}"
        );
    }
}

#[test]
fn a_place_may_be_a_word() {
    let piece = |index: &str, name: &str, arguments: &str| {
        format!(r#"[{{"index":"{index}","function":{{{name}"arguments":"{arguments}"}}}}]"#)
    };
    let pieces = [
        piece("a", r#""name":"f","#, "1"),
        piece("b", r#""name":"g","#, "3"),
        piece("a", "", "2"),
        piece("b", "", "4"),
    ];
    let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
    let told = calls(&pieces);
    assert_eq!(told[told.len() - 2..], ["end 0 12 true", "end 1 34 true"]);
}

#[test]
fn a_call_without_its_list_is_one() {
    assert_eq!(
        calls(&[r#"{"index":0,"id":"x","function":{"name":"f","arguments":"{}"}}"#]),
        ["call 0 x f", "args 0 {}", "end 0 {} true"]
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
            "names in fragments, by turns",
            vec![
                r#"[{"index":0,"id":"x","function":{"name":"get_"}},{"index":1,"id":"y","function":{"name":"read_"}}]"#,
                r#"[{"index":0,"function":{"name":"weather"}}]"#,
                r#"[{"index":1,"function":{"name":"file"}}]"#,
                r#"[{"index":0,"function":{"arguments":"1"}}]"#,
                r#"[{"index":1,"function":{"arguments":"2"}}]"#,
            ],
            vec![
                "call 0 x get_weather",
                "args 0 1",
                "call 1 y read_file",
                "args 1 2",
                "end 0 1 true",
                "end 1 2 true",
            ],
        ),
        (
            "a call without the object for its function, and arguments by another name",
            vec![
                r#"[{"index":0,"id":"x","name":"f","arguments":"1"}]"#,
                r#"[{"index":1,"id":"y","function":{"name":"g","parameters":{"a":2}}}]"#,
            ],
            vec![
                "call 0 x f",
                "args 0 1",
                "call 1 y g",
                "args 1 {\"a\":2}",
                "end 0 1 true",
                "end 1 {\"a\":2} true",
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
                "args 0 1",
                "call 1 y g",
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

/// One call `f` whose arguments come in these pieces; `head` writes what stands before the
/// arguments of the piece of that number.
fn one_call(head: impl Fn(usize) -> String) -> Vec<String> {
    let pieces: Vec<String> = ["{\\\"", "a", "\\\":{\\\"b\\\"", ":1}", "}"]
        .iter()
        .enumerate()
        .map(|(number, text)| {
            let head = head(number);
            format!(r#"[{{{head},"arguments":"{text}"}}}}]"#)
        })
        .collect();
    let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
    calls(&pieces)
}

#[test]
fn one_call_stays_one_whatever_its_pieces_repeat_or_count() {
    let named = r#""function":{"name":"f""#;
    for (what, head) in [
        (
            "the name again, without an id",
            (|_| r#""index":0,"function":{"name":"f""#.to_owned()) as fn(usize) -> String,
        ),
        ("neither index nor id, and the name again", |_| {
            r#""function":{"name":"f""#.to_owned()
        }),
        ("an id for each piece, and the name again", |number| {
            format!(r#""index":0,"id":"i{number}","function":{{"name":"f""#)
        }),
        (
            "an id for each piece, the name again, and no index",
            |number| format!(r#""id":"i{number}","function":{{"name":"f""#),
        ),
        ("an index for each piece, and the name again", |number| {
            format!(r#""index":{number},"function":{{"name":"f""#)
        }),
        (
            "an index for each piece, and the name once",
            |number| match number {
                0 => r#""index":0,"function":{"name":"f""#.to_owned(),
                _ => format!(r#""index":{number},"function":{{"name":null"#),
            },
        ),
        (
            "an id for each piece, and the name once",
            |number| match number {
                0 => r#""index":0,"id":"i0","function":{"name":"f""#.to_owned(),
                _ => format!(r#""index":0,"id":"i{number}","function":{{"name":"""#),
            },
        ),
        ("an index that is text", |_| {
            r#""index":"0","function":{"name":"f""#.to_owned()
        }),
    ] {
        let said = one_call(head);
        assert_eq!(said.len(), 7, "{what}: {said:?}");
        assert_eq!(said[6], r#"end 0 {"a":{"b":1}} true"#, "{what}: {said:?}");
    }
    // The server that names the call with every piece names it with the last one, too.
    let last = format!(r#"[{{"index":0,"id":"z",{named},"arguments":""}}}}]"#);
    let mut pieces = vec![
        r#"[{"index":0,"id":"x","function":{"name":"f","arguments":"{"}}]"#,
        r#"[{"index":0,"id":"y","function":{"name":"f","arguments":"}"}}]"#,
    ];
    pieces.push(&last);
    assert_eq!(calls(&pieces).len(), 4);
}

#[test]
fn two_calls_stay_two_whatever_they_share() {
    let whole = r#""arguments":"{\"a\":1}""#;
    for (first, second) in [
        // One index, no ids.
        (
            r#""index":0,"function":{"name":"f""#,
            r#""index":0,"function":{"name":"f""#,
        ),
        (
            r#""index":0,"function":{"name":"f""#,
            r#""index":0,"function":{"name":"g""#,
        ),
        // Neither.
        (r#""function":{"name":"f""#, r#""function":{"name":"f""#),
        // One id.
        (
            r#""index":0,"id":"x","function":{"name":"f""#,
            r#""index":1,"id":"x","function":{"name":"f""#,
        ),
        (
            r#""index":0,"id":"x","function":{"name":"f""#,
            r#""index":0,"id":"x","function":{"name":"f""#,
        ),
        (
            r#""id":"x","function":{"name":"f""#,
            r#""id":"x","function":{"name":"g""#,
        ),
    ] {
        let (first, second) = (
            format!("[{{{first},{whole}}}}}]"),
            format!("[{{{second},{whole}}}}}]"),
        );
        let said = calls(&[&first, &second]);
        let ends = said
            .iter()
            .filter(|event| event.ends_with(r#"{"a":1} true"#));
        assert_eq!(ends.count(), 2, "{first} {second}: {said:?}");
        let id = |event: &String| event.split(' ').nth(2).map(str::to_owned);
        assert_ne!(id(&said[0]), id(&said[2]), "{said:?}");
    }
}

#[test]
fn a_name_may_come_in_fragments_or_grow() {
    let arguments = r#"[{"index":0,"function":{"arguments":"{}"}}]"#;
    for names in [
        vec!["get_", "weather"],
        vec!["get", "_", "weather"],
        vec!["get_", "get_wea", "get_weather"],
        vec!["get_weather", "get_weather"],
    ] {
        for id in ["", r#""id":"x","#] {
            let pieces: Vec<String> = names
                .iter()
                .map(|name| {
                    format!(r#"[{{"index":0,{id}"function":{{"name":"{name}","arguments":""}}}}]"#)
                })
                .collect();
            let mut pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            pieces.push(arguments);
            let said = calls(&pieces);
            assert_eq!(said.len(), 3, "{names:?}: {said:?}");
            assert!(said[0].ends_with(" get_weather"), "{names:?}: {said:?}");
        }
    }
    // The last fragment may come with the arguments.
    let said = calls(&[
        r#"[{"index":0,"id":"x","function":{"name":"get_"}}]"#,
        r#"[{"index":0,"function":{"name":"weather","arguments":"{}"}}]"#,
    ]);
    assert_eq!(said[0], "call 0 x get_weather");
    // Where there are no ids, a call without arguments and another one are not one name.
    let said = calls(&[
        r#"[{"index":0,"function":{"name":"now"}}]"#,
        r#"[{"index":0,"function":{"name":"f","arguments":"{}"}}]"#,
    ]);
    assert_eq!(said.len(), 5, "{said:?}");
    // Another id is another call, and so is another index.
    for second in [
        r#"[{"index":0,"id":"y","function":{"name":"g"}}]"#,
        r#"[{"index":1,"id":"y","function":{"name":"g"}}]"#,
    ] {
        let said = calls(&[r#"[{"index":0,"id":"x","function":{"name":"f"}}]"#, second]);
        assert_eq!(
            said,
            ["call 0 x f", "call 1 y g", "end 0 {} true", "end 1 {} true"]
        );
    }
}

#[test]
fn calls_that_interleave_keep_their_arguments() {
    let said = calls(&[
        r#"[{"index":0,"id":"x","function":{"name":"f","arguments":"{\"a\":"}}]"#,
        r#"[{"index":1,"id":"y","function":{"name":"f","arguments":"{\"a\":"}}]"#,
        r#"[{"index":0,"function":{"arguments":"1}"}},{"index":1,"function":{"arguments":"2}"}}]"#,
    ]);
    assert_eq!(
        said[said.len() - 2..],
        [r#"end 0 {"a":1} true"#, r#"end 1 {"a":2} true"#]
    );
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
