//! A stream of events, in every form that it may have.

use provider_host::types::Event;
use serde_json::{Value, json};

use super::answer::{Answer, chunk, delta, events, finish, plain, usage};
use super::user::hears;
use crate::support::{event_json, text};

/// The events of an answer that must succeed.
async fn heard(answer: Answer) -> Vec<Event> {
    let (events, error) = hears(&json!({"id": "m"}), answer).await;
    assert!(error.is_none(), "{error:?} after {events:?}");
    events
}

/// The chunks of a whole answer.
fn chunks() -> [Value; 4] {
    [
        chunk(&delta(json!({"role": "assistant", "content": "Größe "}))),
        chunk(&delta(json!({"content": "漢字 😀"}))),
        chunk(&finish("stop")),
        usage(&json!({"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7})),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_sent_events_are_read_in_every_form() {
    let body = events(&chunks()) + "data: [DONE]\n\n";
    let expected = heard(Answer::stream(body.clone())).await;
    assert_eq!(text(&expected), "Größe 漢字 😀");
    let of_lines = body.replace("\",\"", "\",\ndata: \"");
    assert_ne!(of_lines, body);
    for (what, form) in [
        ("CRLF", body.replace('\n', "\r\n")),
        ("CR", body.replace('\n', "\r")),
        ("a byte order mark", format!("\u{feff}{body}")),
        (
            "comments",
            format!(
                ": first\n{}",
                body.replace("data: ", ": keep-alive\n:\ndata: ")
            ),
        ),
        ("no space behind the colon", body.replace("data: ", "data:")),
        ("several lines of data", of_lines),
        (
            "other fields",
            body.replace(
                "data: ",
                "event: message\nid: 1\nretry: 5\nfoo: bar\nbaz\ndata: ",
            ),
        ),
        ("empty events", body.replace("\n\n", "\n\ndata:\n\n\n\n")),
        ("an end without its empty line", body.trim_end().to_owned()),
    ] {
        assert_eq!(heard(Answer::stream(form)).await, expected, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_do_not_depend_on_where_the_network_cut() {
    let body = events(&chunks()) + "data: [DONE]\n\n";
    for body in [body.clone(), body.replace('\n', "\r\n")] {
        let expected = heard(Answer::stream(body.clone())).await;
        for size in [1, 2, 3, 5, 7, 11, 64] {
            let pieces = Answer::stream(body.clone()).in_pieces(size);
            assert_eq!(heard(pieces).await, expected, "pieces of {size}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_over_the_limit_is_a_protocol_error_and_what_came_is_kept() {
    let first = events(&chunks()[..1]);
    let flood = vec![b'x'; 64 << 10];
    // 9 MiB without an end of line; the limit is 8.
    let answer = (0..144).fold(Answer::stream(first + "data: "), |answer, _| {
        answer.bytes(flood.clone())
    });
    let (events, error) = hears(&json!({"id": "m"}), answer.silent()).await;
    let error = error.expect("too long a line");
    assert_eq!(error.kind_name(), "protocol", "{error:?}");
    assert!(error.message().contains("8 MiB"), "{error:?}");
    assert_eq!(text(&events), "Größe ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_choice_of_index_0_is_read() {
    let of = |index: u32, content: &str, reason: Value| json!({"index": index, "delta": {"content": content}, "finish_reason": reason});
    let both =
        |first: Value, second: Value| json!({"id": "c", "model": "m", "choices": [first, second]});
    let events = heard(Answer::chunks(&[
        both(of(1, "no", Value::Null), of(0, "yes", Value::Null)),
        chunk(&of(2, "never", json!("length"))),
        both(of(0, "!", json!("stop")), of(1, "?", json!("length"))),
    ]))
    .await;
    assert_eq!(text(&events), "yes!");
    assert_eq!(
        event_json(events.last().expect("an end")),
        json!({"type": "finish", "reason": "stop"})
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn null_and_absent_are_the_same() {
    let bare = heard(Answer::chunks(&[
        json!({"choices": [{"delta": {"content": "a"}}]}),
        json!({"choices": [{"finish_reason": "stop"}]}),
    ]))
    .await;
    let null = heard(Answer::chunks(&[
        json!({"id": null, "model": null, "usage": null, "error": null, "system_fingerprint": null,
            "choices": [{"index": 0, "delta": {"role": null, "content": "a", "reasoning": null,
                "reasoning_content": null, "tool_calls": null, "refusal": null,
                "function_call": null}, "logprobs": null, "finish_reason": null,
                "stop_reason": null, "usage": null}]}),
        json!({"choices": null}),
        json!({"choices": [{"index": 0, "delta": null, "finish_reason": "stop"}], "usage": null}),
    ]))
    .await;
    assert_eq!(null, bare);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn usage_is_read_on_any_chunk_and_the_last_one_wins() {
    let counts = |prompt: u64, completion: u64| {
        json!({"prompt_tokens": prompt, "completion_tokens": completion,
            "total_tokens": prompt + completion})
    };
    let with = |mut chunk: Value, counts: Value| {
        chunk["usage"] = counts;
        chunk
    };
    let a = || chunk(&delta(json!({"content": "a"})));
    let end = || chunk(&finish("stop"));
    let in_choice =
        |counts: Value| chunk(&json!({"delta": {}, "finish_reason": "stop", "usage": counts}));
    for (what, chunks, total) in [
        ("an own chunk", vec![a(), end(), usage(&counts(5, 2))], 7),
        ("the first chunk", vec![with(a(), counts(5, 2)), end()], 7),
        ("the last chunk", vec![a(), with(end(), counts(5, 2))], 7),
        ("in the choice", vec![a(), in_choice(counts(5, 2))], 7),
        (
            "every chunk",
            vec![
                with(a(), counts(5, 1)),
                with(end(), counts(5, 2)),
                usage(&counts(5, 3)),
            ],
            8,
        ),
        (
            "null behind it",
            vec![with(a(), counts(5, 2)), with(end(), Value::Null)],
            7,
        ),
        (
            "an empty one behind it",
            vec![a(), end(), usage(&counts(5, 2)), usage(&json!({}))],
            7,
        ),
        (
            "before any choice",
            vec![usage(&counts(5, 0)), a(), end()],
            5,
        ),
    ] {
        let events = heard(Answer::chunks(&chunks)).await;
        let totals: Vec<u64> = events
            .iter()
            .filter_map(|event| match event {
                Event::Usage(usage) => Some(usage.total),
                _ => None,
            })
            .collect();
        assert_eq!(totals, [total], "{what}");
        assert_eq!(text(&events), "a", "{what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_json_answer_to_a_streaming_request_is_decoded_as_one() {
    let whole = json!({"id": "chatcmpl-9", "object": "chat.completion", "model": "served",
        "choices": [{"index": 0, "finish_reason": "tool_calls", "message": {
            "role": "assistant", "reasoning": "Hm.", "content": "I ask.",
            "tool_calls": [{"id": "c1", "type": "function",
                "function": {"name": "look", "arguments": "{\"a\":1}"}}]}}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}});
    let as_json = Answer::json(200, &whole);
    // Also where the server calls it a stream, or nothing at all.
    let as_stream = Answer::stream(whole.to_string());
    let as_nothing = Answer::status(200).bytes(whole.to_string());
    for answer in [as_json, as_stream, as_nothing] {
        let events: Vec<Value> = heard(answer).await.iter().map(event_json).collect();
        assert_eq!(
            events,
            [
                json!({"type": "start", "id": "chatcmpl-9", "model": "served"}),
                json!({"type": "reasoning", "text": "Hm."}),
                json!({"type": "text", "text": "I ask."}),
                json!({"type": "tool_call_start", "index": 0, "id": "c1", "name": "look"}),
                json!({"type": "tool_call_arguments", "index": 0, "delta": "{\"a\":1}"}),
                json!({"type": "tool_call_end", "index": 0, "id": "c1", "name": "look",
                    "arguments": "{\"a\":1}"}),
                json!({"type": "usage", "input": 5, "output": 2, "cache_read": 0,
                    "cache_write": 0, "reasoning": null, "total": 7}),
                json!({"type": "finish", "reason": "tool_calls"}),
            ]
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_web_page_is_a_protocol_error_with_its_title() {
    let page = "<!doctype html><html><head><title>Sign in &amp; go</title></head><body>x</body>";
    for answer in [
        Answer::status(200)
            .header("content-type", "text/html; charset=utf-8")
            .bytes(page),
        Answer::status(200)
            .header("content-type", "text/plain")
            .bytes(page),
    ] {
        let (events, error) = hears(&json!({"id": "m"}), answer).await;
        let error = error.expect("a page is no answer");
        assert_eq!((&*error.kind_name(), events.len()), ("protocol", 0));
        assert!(error.message().contains("Sign in"), "{error:?}");
        assert!(!error.message().contains("<body>"), "{error:?}");
    }
    // With a status that says no, the status counts and the title is quoted.
    let answer = Answer::status(502)
        .header("content-type", "text/html")
        .bytes(page);
    let (_, error) = hears(&json!({"id": "m"}), answer).await;
    let error = error.expect("a bad gateway");
    assert_eq!(error.kind_name(), "overloaded");
    assert!(error.message().contains("Sign in"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keep_alive_comments_are_no_events() {
    let kept = Answer::stream(": keep-alive\n\n").bytes(": keep-alive\n\n");
    let body = events(&chunks()) + "data: [DONE]\n\n";
    let found = heard(kept.bytes(body)).await;
    let expected = heard(Answer::stream(events(&chunks()) + "data: [DONE]\n\n")).await;
    assert_eq!(found, expected);
    assert!(!heard(plain()).await.is_empty());
}
