use super::*;
use crate::decoder::chunk;
use crate::decoder::tests::{decoder, run};
use crate::types::Event;

/// Has a template learn from an event.
fn teach(template: &mut Template, event: &str) {
    template.learn(event.as_bytes(), &parsed(event));
}

/// The chunk of an event, which is part of the event.
fn parsed(event: &str) -> chunk::Chunk<'_> {
    let data = event.strip_prefix("data: ").expect("an event");
    chunk::parse(data.trim_end()).expect("a chunk")
}

/// Learns from an event, and reads another.
fn read_after(first: &str, second: &str) -> Option<(Place, String)> {
    let mut template = Template::default();
    teach(&mut template, first);
    let (text, rest) = template.read(second.as_bytes())?;
    assert_eq!(rest, b"", "the event is all there is");
    Some((template.place(), text.into_owned()))
}

/// What whole and cut streams have to agree in.
fn both_ways(body: &str, reasoning: bool) -> (Vec<Event>, Result<(), crate::types::Error>) {
    let whole = run(
        decoder(reasoning),
        200,
        "text/event-stream",
        [body.as_bytes()],
    );
    let bytes = body.as_bytes().chunks(1);
    let cut = run(decoder(reasoning), 200, "text/event-stream", bytes);
    assert_eq!(whole, cut, "{body}");
    whole
}

fn event(delta: &str) -> String {
    format!(
        "data: {{\"id\":\"c\",\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":null}}]}}\n\n"
    )
}

fn arguments(index: u64, text: &str) -> String {
    event(&format!(
        r#"{{"content":null,"tool_calls":[{{"index":{index},"function":{{"arguments":{text}}}}}]}}"#
    ))
}

#[test]
fn a_chunk_with_another_text_is_recognized() {
    let content = |text: &str| event(&format!(r#"{{"content":"{text}"}}"#));
    let thinking = |text: &str| event(&format!(r#"{{"reasoning":"{text}"}}"#));
    for (first, second, expected) in [
        (content("a"), content("b"), Some((Place::Content, "b"))),
        (
            content("a"),
            content(" a longer one, \u{e9}"),
            Some((Place::Content, " a longer one, \u{e9}")),
        ),
        (
            content("a"),
            content(r#"\n\u00e9\"x"#),
            Some((Place::Content, "\n\u{e9}\"x")),
        ),
        (content("a"), content(""), None),
        (content("a"), content(r"\x"), None),
        (content("a"), content(r"\ud83d"), None),
        (content("a"), content("a\nb"), None),
        (content("a"), thinking("b"), None),
        // Nothing to learn from: the text is not in the source as it is.
        (content(r"\n"), content("b"), None),
        (content(""), content("b"), None),
        (thinking("a"), thinking("b"), Some((Place::Thinking, "b"))),
        (
            arguments(3, "\"a\""),
            arguments(3, "\"b\""),
            Some((Place::Arguments(3), "b")),
        ),
        (arguments(3, "\"a\""), arguments(4, "\"b\""), None),
        (arguments(3, "{\"a\":1}"), arguments(3, "{\"a\":2}"), None),
    ] {
        let expected = expected.map(|(place, text)| (place, text.to_owned()));
        assert_eq!(
            read_after(&first, &second),
            expected,
            "{first:?} {second:?}"
        );
    }
}

#[test]
fn a_chunk_with_more_than_one_text_teaches_nothing() {
    for delta in [
        r#"{"content":"a","reasoning":"b"}"#,
        r#"{"content":"a","refusal":"b"}"#,
        r#"{"content":"a","tool_calls":[{"index":0,"function":{"arguments":"b"}}]}"#,
        r#"{"tool_calls":[{"index":0,"id":"x","function":{"arguments":"b"}}]}"#,
        r#"{"tool_calls":[{"index":0,"function":{"name":"f","arguments":"b"}}]}"#,
        r#"{"tool_calls":[{"function":{"arguments":"b"}}]}"#,
        r#"{"tool_calls":[{"index":0,"function":{"arguments":"b"}},{"index":1,"function":{"arguments":"b"}}]}"#,
        r#"{"content":"a","function_call":{"arguments":"b"}}"#,
        r#"{"content":[{"type":"text","text":"a"}]}"#,
    ] {
        assert_eq!(read_after(&event(delta), &event(delta)), None, "{delta}");
    }
    let whole =
        |rest: &str| format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"a\"}}{rest}}}\n\n");
    for rest in [
        r#","index":1}]"#,
        r#","finish_reason":"stop"}]"#,
        r#","usage":{"prompt_tokens":1}}]"#,
        r#"},{"index":1,"delta":{"content":"b"}}]"#,
    ] {
        assert_eq!(read_after(&whole(rest), &whole(rest)), None, "{rest}");
    }
    // The last of two equal names counts, and where a text stands twice either place is the same.
    let twice = |text: &str| event(&format!(r#"{{"content":"x","content":"{text}"}}"#));
    assert_eq!(
        read_after(&twice("a"), &twice("b")),
        Some((Place::Content, "b".to_owned()))
    );
}

#[test]
fn a_server_that_never_repeats_a_chunk_is_not_learned_from_for_ever() {
    let mut template = Template::default();
    for _ in 0..2 * usize::from(MAX_MISSES) {
        teach(&mut template, &event(r#"{"content":"a"}"#));
    }
    assert_eq!(template.misses, MAX_MISSES);
    // What is known goes on to be used, and a chunk that is recognized makes up for the others.
    assert!(
        template
            .read(event(r#"{"content":"b"}"#).as_bytes())
            .is_some()
    );
    assert_eq!(template.misses, 0);
}

#[test]
fn slices_are_compared_to_the_byte_where_they_differ() {
    let bytes: Vec<u8> = (0..100).collect();
    for length in 0..bytes.len() {
        let (one, mut other) = (&bytes[..length], bytes[..length].to_vec());
        assert_eq!(common(one, &other), length);
        for at in 0..length {
            other[at] ^= 0x80;
            assert_eq!(common(one, &other), at, "{length}");
            other[at] ^= 0x80;
        }
        assert_eq!(common(one, &bytes[..length + 1]), length);
    }
}

/// An event with a text and an account.
fn counted(text: &str, account: &str) -> String {
    format!(
        "data: {{\"id\":\"c-1\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}}}}],\"usage\":{account}}}\n\n"
    )
}

#[test]
fn numbers_of_the_account_may_differ_and_nothing_else() {
    let before = r#"{"prompt_tokens":14,"total_tokens":9, "completion_tokens": 1,"x":[1.5,-2],"prompt_tokens_details":null}"#;
    let with = |old: &str, new: &str| {
        assert!(before.contains(old), "{old}");
        before.replacen(old, new, 1)
    };
    let recognized = |account: &str| {
        let mut template = Template::default();
        teach(&mut template, &counted("a", before));
        assert_eq!(template.recount(), None, "it was read");
        let second = counted("b", account);
        let (text, rest) = template.read(second.as_bytes())?;
        assert_eq!((&*text, rest), ("b", &b""[..]));
        let recount = template.recount().expect("an account");
        assert_eq!(template.recount(), None, "it was told");
        assert_eq!(Some(&recount), parsed(&second).usage.as_ref(), "{account}");
        Some(*recount)
    };
    for account in [
        before.to_owned(),
        with("9", "10"),
        with("14", "1"),
        with("14", "0"),
        with("14,", "15000000000000000000000,"),
        with("1,\"x", "2,\"x"),
        with("9", "99999").replacen("14", "7", 1),
    ] {
        assert!(recognized(&account).is_some(), "{account}");
    }
    for account in [
        with("9", "09"),
        with("14", "00"),
        with("9", ""),
        with("9", "-9"),
        with("9", "9.5"),
        with("9", "\"9\""),
        with("9", "null"),
        with("1.5", "1.6"),
        with("[1.5", "[2.5"),
        with("-2", "-3"),
        with("null", "5"),
        with("prompt_tokens_details", "prompt_tokens_detail5"),
        with("9", "9,\"total_tokens\":10"),
        "null".to_owned(),
        "{}".to_owned(),
    ] {
        assert_eq!(recognized(&account), None, "{account}");
    }
    // Outside of the account a number is as good as a word.
    let mut template = Template::default();
    let first = counted("a", before);
    teach(&mut template, &first);
    assert!(
        template
            .read(first.replace("c-1", "c-2").as_bytes())
            .is_none()
    );
    let cut = counted("b", &with("9", "12"));
    for length in 0..cut.len() {
        assert!(
            template.read(&cut.as_bytes()[..length]).is_none(),
            "{length}"
        );
        assert_eq!(template.recount(), None);
    }
}

#[test]
fn a_stream_gives_the_same_whether_its_events_are_whole_or_cut() {
    let pieces = [
        "a", "b", r"\n", "\u{e9}", r"\ud83d", "", "c\u{1}", "d", r"\u0041", "e",
    ];
    let kinds: [fn(&str) -> String; 4] = [
        |text| event(&format!(r#"{{"content":"{text}"}}"#)),
        |text| event(&format!(r#"{{"reasoning":"{text}"}}"#)),
        |text| arguments(0, &format!("\"{text}\"")),
        |text| {
            event(&format!(
                r#"{{"reasoning":"{text}","reasoning_content":"{text}"}}"#
            ))
        },
    ];
    let mut body = event(r#"{"role":"assistant","content":""}"#);
    body.push_str(&event(
        r#"{"tool_calls":[{"index":0,"id":"t","function":{"name":"f"}}]}"#,
    ));
    for first in kinds {
        for second in kinds {
            for text in pieces.iter().filter(|text| !text.contains('\u{1}')) {
                body.push_str(&first(text));
                body.push_str(&second(text));
                body.push_str(&first("same"));
            }
        }
    }
    body.push_str("data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n");
    for reasoning in [false, true] {
        let (events, _) = both_ways(&body, reasoning);
        assert!(events.len() > 375, "{}", events.len());
        assert!(matches!(events.last(), Some(Event::Finish(_))));
    }
    // A control character ends it either way.
    body = format!(
        "{}{}",
        event(r#"{"content":"a"}"#),
        event("{\"content\":\"c\u{1}\"}")
    );
    assert!(both_ways(&body, false).1.is_err());
}

#[test]
fn the_last_account_counts_however_it_was_read() {
    let account = |total: u32| {
        format!(
            r#"{{"prompt_tokens":14,"total_tokens":{total},"completion_tokens":{}}}"#,
            total - 14
        )
    };
    let mut pieces = String::new();
    for total in 15..130 {
        pieces.push_str(&counted("a", &account(total)));
    }
    let finish = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    let final_account = format!("data: {{\"choices\":[],\"usage\":{}}}\n\n", account(500));
    let done = "data: [DONE]\n\n";
    for (body, total) in [
        (format!("{pieces}{finish}{done}"), 129),
        (format!("{pieces}{finish}"), 129),
        (format!("{pieces}{finish}{final_account}{done}"), 500),
        // Late pieces, and one that counts what was counted before.
        (
            format!(
                "{pieces}{finish}{final_account}{}{done}",
                counted("b", &account(129))
            ),
            129,
        ),
        (format!("{pieces}{}{finish}{done}", counted("b", "{}")), 129),
        (
            format!("{pieces}{}{finish}{done}", counted("b", "null")),
            129,
        ),
        // It breaks off.
        (pieces.clone(), 129),
        (format!("{pieces}data: {{]\n\n"), 129),
        (
            format!("{pieces}data: {{\"error\":{{\"message\":\"x\"}}}}\n\n"),
            129,
        ),
    ] {
        let (events, _) = both_ways(&body, false);
        let found = events.iter().find_map(|event| match event {
            Event::Usage(usage) => Some(usage.total),
            _ => None,
        });
        assert_eq!(found, Some(total), "{}", &body[pieces.len()..]);
    }
}
