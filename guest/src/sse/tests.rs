use super::*;

/// Feeds `pieces` one after the other and collects the data of all events.
fn events<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
    let mut parser = Parser::new();
    let mut events = Vec::new();
    for piece in pieces {
        let mut input = piece;
        while let Some(data) = parser.next(&mut input).expect("within the limit") {
            events.push(data.to_vec());
        }
        assert!(input.is_empty(), "everything is taken");
    }
    events
}

/// (what it shows, stream, data of its events)
const CASES: &[(&str, &str, &[&str])] = &[
    ("one event", "data: a\n\n", &["a"]),
    ("two events", "data: a\n\ndata: b\n\n", &["a", "b"]),
    ("carriage returns", "data: a\r\rdata: b\r\r", &["a", "b"]),
    ("both", "data: a\r\n\r\ndata: b\r\n\r\n", &["a", "b"]),
    (
        "mixed endings",
        "data: a\rdata: b\ndata: c\r\n\n",
        &["a\nb\nc"],
    ),
    (
        "LF LF after CR LF",
        "data: a\r\n\ndata: b\n\r\n",
        &["a", "b"],
    ),
    ("multi-line data", "data: a\ndata: b\n\n", &["a\nb"]),
    (
        "an empty line of data",
        "data: a\ndata:\ndata: b\n\n",
        &["a\n\nb"],
    ),
    ("no colon is an empty value", "data\n\n", &[""]),
    ("two without a colon", "data\ndata\n\n", &["\n"]),
    ("one space only is dropped", "data:  a\n\n", &[" a"]),
    ("the space may be missing", "data:a\n\n", &["a"]),
    ("a tab is not a space", "data:\ta\n\n", &["\ta"]),
    ("comments", ": keep-alive\n\n:\ndata: a\n: x\n\n", &["a"]),
    (
        "unknown fields",
        "id: 1\nevent: x\nretry: 5\nfoo\ndata: a\n\n",
        &["a"],
    ),
    (
        "longer names are not data",
        "database: x\ndata2\n\ndata: a\n\n",
        &["a"],
    ),
    ("a leading space is another field", " data: a\n\n", &[]),
    ("names are case-sensitive", "Data: a\n\n", &[]),
    ("a byte order mark", "\u{feff}data: a\n\n", &["a"]),
    (
        "a mark before an empty line",
        "\u{feff}\ndata: a\n\n",
        &["a"],
    ),
    ("only the first mark", "\u{feff}\u{feff}data: a\n\n", &[]),
    ("no mark later on", "data: a\n\n\u{feff}data: b\n\n", &["a"]),
    ("empty lines", "\n\n\r\r\n\ndata: a\n\n\n\n", &["a"]),
    ("no data, no event", "event: x\n\n", &[]),
    (
        "an unfinished event is no event",
        "data: a\n\ndata: b\n",
        &["a"],
    ),
    ("multi-byte text", "data: aé€😀\n\n", &["aé€😀"]),
    ("a colon in the value", "data: a: b\n\n", &["a: b"]),
];

#[test]
fn streams_are_read_as_the_whatwg_describes() {
    for (name, stream, expected) in CASES {
        let expected: Vec<Vec<u8>> = expected.iter().map(|e| e.as_bytes().to_vec()).collect();
        assert_eq!(events([stream.as_bytes()]), expected, "{name}");
    }
}

#[test]
fn events_do_not_depend_on_any_single_cut() {
    for (name, stream, _) in CASES {
        let bytes = stream.as_bytes();
        let whole = events([bytes]);
        for cut in 0..=bytes.len() {
            let (a, b) = bytes.split_at(cut);
            assert_eq!(events([a, b]), whole, "{name}, cut at {cut}");
        }
        assert_eq!(events(bytes.chunks(1)), whole, "{name}, byte by byte");
    }
}

#[test]
fn a_line_over_the_limit_is_refused_however_it_is_cut() {
    let mut long = b"data: ".to_vec();
    long.resize(MAX_EVENT_BYTES + 1, b'x');
    long.extend_from_slice(b"\n\n");
    for size in [long.len(), 1 << 20] {
        let mut parser = Parser::new();
        let outcome = long.chunks(size).try_for_each(|piece| {
            let mut input = piece;
            while parser.next(&mut input)?.is_some() {}
            Ok::<(), TooLong>(())
        });
        assert_eq!(outcome, Err(TooLong), "pieces of {size}");
    }
}

#[test]
fn many_lines_of_data_cannot_pile_up_beyond_the_limit() {
    let mut line = b"data: ".to_vec();
    line.resize(1 << 20, b'x');
    line.push(b'\n');
    let mut parser = Parser::new();
    let mut refused = false;
    for _ in 0..9 {
        let mut input = &line[..];
        refused |= parser.next(&mut input).is_err();
    }
    assert!(refused);
}

/// What a lenient parser makes of a stream that ends.
fn lenient(pieces: &[&[u8]]) -> Vec<(String, Found)> {
    let mut parser = Parser::lenient();
    let mut events = Vec::new();
    for piece in pieces.iter().chain(&[&b"\n\n"[..]]) {
        let mut input = *piece;
        while let Some((data, found)) = parser.next_event(&mut input).expect("short") {
            events.push((String::from_utf8_lossy(data).into_owned(), found));
        }
    }
    events
}

#[test]
fn a_lenient_parser_reads_events_without_empty_lines_wherever_they_are_cut() {
    use Found::{Data, Error, Stray};
    let cases: &[(&str, &[(&str, Found)])] = &[
        (
            "data: {\"a\":1}\ndata: {\"b\":2}\ndata: [DONE]\n",
            &[("{\"a\":1}", Data), ("{\"b\":2}", Data), ("[DONE]", Data)],
        ),
        (
            "data: {}\r\nid: 7\r\ndata: {\"b\":2}",
            &[("{}", Data), ("{\"b\":2}", Data)],
        ),
        ("data: {}\ndata: x\n\n", &[("{}", Data), ("x", Data)]),
        // One event of several lines, as WHATWG has it.
        (
            "data: {\ndata: \"a\": {}\ndata: }\n\ndata: {}\n\n",
            &[("{\n\"a\": {}\n}", Data), ("{}", Data)],
        ),
        ("data: a\ndata: {}\n\n", &[("a", Data), ("{}", Data)]),
        (
            "data: {}\ndata: ping\ndata: {\"b\":2}\n\n",
            &[("{}", Data), ("ping", Data), ("{\"b\":2}", Data)],
        ),
        // The name of an event belongs to the data that follow it.
        (
            "data: {}\nevent: error\ndata: {\"b\":2}\n\ndata: {}\n\n",
            &[("{}", Data), ("{\"b\":2}", Error), ("{}", Data)],
        ),
        ("data: {}\nevent: error\n\n", &[("{}", Error)]),
        (
            "data: {}\n{\"error\":1}\n",
            &[("{}", Data), ("{\"error\":1}", Error)],
        ),
        (
            "data: [DONE]\nwords\n",
            &[("[DONE]", Data), ("words", Stray)],
        ),
    ];
    for (stream, expected) in cases {
        let expected: Vec<_> = expected
            .iter()
            .map(|(data, found)| ((*data).to_owned(), *found))
            .collect();
        let bytes = stream.as_bytes();
        for cut in 0..=bytes.len() {
            let (a, b) = bytes.split_at(cut);
            assert_eq!(lenient(&[a, b]), expected, "{stream:?} cut at {cut}");
        }
        let single: Vec<_> = bytes.chunks(1).collect();
        assert_eq!(lenient(&single), expected, "{stream:?} byte by byte");
    }
}

#[test]
fn the_end_of_the_stream_is_told_with_its_line() {
    let mut parser = Parser::lenient();
    let mut input: &[u8] = b"data: [DONE]\n";
    let event = parser.next_event(&mut input).expect("short");
    assert_eq!(event, Some((&b"[DONE]"[..], Found::Data)));
}
