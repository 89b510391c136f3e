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

#[test]
fn what_the_end_cut_off_can_be_looked_at() {
    for (stream, expected) in [
        ("data: [DONE]", Some("[DONE]")),
        ("data: [DONE]\n", Some("[DONE]")),
        ("data: [DONE]\r", Some("[DONE]")),
        ("data: a\n\ndata: [DONE]\n", Some("[DONE]")),
        ("data: a\n\n", None),
        ("data: a\ndat", None),
        (": comment", None),
        ("", None),
    ] {
        let mut parser = Parser::new();
        let mut input = stream.as_bytes();
        while parser.next(&mut input).expect("short").is_some() {}
        assert_eq!(
            parser.unfinished(),
            expected.map(str::as_bytes),
            "{stream:?}"
        );
    }
}
