use super::*;
use crate::decoder::chunk;
use crate::decoder::tests::{decoder, run};
use crate::types::Event;

/// Learns from an event, and reads another.
fn read_after(first: &str, second: &str) -> Option<(Place, String)> {
    let mut template = Template::default();
    let data = first.trim_start_matches("data: ").trim_end();
    let start = first.find(data).expect("the data of the event");
    let chunk = chunk::parse(&first[start..start + data.len()]).expect("a chunk");
    template.learn(first.as_bytes(), &chunk);
    let (text, rest) = template.read(second.as_bytes())?;
    assert_eq!(rest, b"", "the event is all there is");
    Some((template.place(), text.into_owned()))
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
        r#"}],"usage":{"prompt_tokens":1}"#,
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
        let text = event(r#"{"content":"a"}"#);
        let data = &text["data: ".len()..text.len() - 2];
        template.learn(text.as_bytes(), &chunk::parse(data).expect("a chunk"));
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
fn slices_are_compared_whole() {
    let bytes: Vec<u8> = (0..100).collect();
    for length in 0..bytes.len() {
        let (one, mut other) = (&bytes[..length], bytes[..length].to_vec());
        assert!(same(one, &other));
        for at in 0..length {
            other[at] ^= 0x80;
            assert!(!same(one, &other), "{length} {at}");
            other[at] ^= 0x80;
        }
        assert!(!same(one, &bytes[..length + 1]));
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
        let whole = run(
            decoder(reasoning),
            200,
            "text/event-stream",
            [body.as_bytes()],
        );
        let bytes = body.as_bytes().chunks(1);
        let cut = run(decoder(reasoning), 200, "text/event-stream", bytes);
        assert!(whole.0.len() > 400 && matches!(whole.0.last(), Some(Event::Finish(_))));
        assert_eq!(whole, cut);
    }
    // A control character ends it either way.
    body = format!(
        "{}{}",
        event(r#"{"content":"a"}"#),
        event("{\"content\":\"c\u{1}\"}")
    );
    let whole = run(decoder(false), 200, "text/event-stream", [body.as_bytes()]);
    let cut = run(
        decoder(false),
        200,
        "text/event-stream",
        body.as_bytes().chunks(1),
    );
    assert!(whole.1.is_err());
    assert_eq!(whole, cut);
}
