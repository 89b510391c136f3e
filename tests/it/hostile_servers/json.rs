//! Attacks by JSON, in the pieces of an answer and in the bodies of errors: its depth, its width, its numbers, its texts.

use provider_host::types::Event;

use super::scripted::{ANSWER, Step, events, with_length};
use super::{Attack, Ends, attack, send};
use crate::support::text;

fn stream(body: impl AsRef<[u8]>) -> Step {
    let body = body.as_ref();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    send([head.as_bytes(), body].concat())
}

/// The honest answer behind one more event.
fn behind(event: &str) -> Step {
    stream(format!("data: {event}\n\n{}", events(ANSWER)))
}

/// An event whose choice has this delta.
fn delta(delta: &str) -> String {
    format!("{{\"choices\":[{{\"index\":0,\"delta\":{delta}}}]}}")
}

fn refusal(body: impl AsRef<[u8]>) -> Step {
    let body = body.as_ref();
    let head = format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    send([head.as_bytes(), body].concat())
}

fn calls_end(events: &[Event]) -> usize {
    let ends = |event: &&Event| matches!(event, Event::ToolCallEnd(_));
    events.iter().filter(ends).count()
}

/// `{"k0":v,"k1":v,…}`
fn wide(count: usize, value: &str) -> String {
    let fields: Vec<String> = (0..count).map(|at| format!("\"k{at}\":{value}")).collect();
    format!("{{{}}}", fields.join(","))
}

const DEEP: usize = 100_000;

/// Brackets in brackets, as a value.
fn deep() -> String {
    format!("{}{}", "[".repeat(DEEP), "]".repeat(DEEP))
}

pub(super) fn attacks() -> Vec<Attack> {
    let finish = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\n\
                  data: [DONE]\n\n";
    let call = |index: &str, at: usize| {
        delta(&format!(
            "{{\"tool_calls\":[{{\"index\":{index},\"id\":\"i{at}\",\"function\":{{\"name\":\"f\",\"arguments\":\"{{}}\"}}}}]}}"
        ))
    };
    let mut all = vec![
        attack(
            "deep-json-in-a-piece",
            "100,000 brackets in brackets, as an unknown field and in the place of each known one",
            vec![stream(
                ["x", "id", "model", "choices", "usage"]
                    .iter()
                    .map(|field| format!("data: {{\"{field}\":{}}}\n\n", deep()))
                    .chain(
                        ["content", "tool_calls", "reasoning", "function_call"]
                            .iter()
                            .map(|field| format!("data: {}\n\n", delta(&format!("{{\"{field}\":{}}}", deep())))),
                    )
                    .chain([events(ANSWER)])
                    .collect::<String>(),
            )],
            Ends::Harmless,
        ),
        attack(
            "unclosed-json-in-a-piece",
            "8 million brackets that are never closed",
            vec![stream(format!("data: {{\"x\":{}\n\n", "[".repeat(8_000_000)))],
            Ends::In("protocol"),
        ),
        attack(
            "wide-json-in-a-piece",
            "100,000 unknown fields",
            vec![behind(&wide(100_000, "[1,{}]"))],
            Ends::Harmless,
        ),
        attack(
            "numbers-out-of-range",
            "1e400, -1, 2^64 and a number of 100,000 digits in usage, index and created",
            vec![stream(
                ["1e400", "-1", "18446744073709551616", "-1e400", "0.5", &"9".repeat(100_000)]
                    .iter()
                    .map(|number| {
                        format!(
                            "data: {{\"created\":{number},\"choices\":[{{\"index\":{number},\"delta\":{{\"role\":\"assistant\",\
                             \"tool_calls\":{number}}}}}],\"usage\":{{\"prompt_tokens\":{number},\
                             \"completion_tokens\":{number},\"total_tokens\":{number},\
                             \"prompt_tokens_details\":{{\"cached_tokens\":{number}}}}}}}\n\n"
                        )
                    })
                    .chain([events(ANSWER)])
                    .collect::<String>(),
            )],
            Ends::Harmless,
        ),
        attack(
            "duplicate-keys",
            "each field twice; the last one counts",
            vec![behind(
                "{\"choices\":[{\"index\":1,\"index\":0,\"delta\":{\"content\":\"no\"},\"delta\":{\"content\":\"no\",\"content\":\"\"}}],\
                 \"choices\":[]}",
            )],
            Ends::Harmless,
        ),
        attack(
            "invalid-utf-8",
            "bytes that are no UTF-8 in a text, which become U+FFFD",
            vec![stream(
                [
                    b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\xff\xc0\xaf\xed\xa0\x80b\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n",
                    &b""[..],
                ]
                .concat(),
            )],
            Ends::With(|events| text(events) == String::from_utf8_lossy(b"a\xff\xc0\xaf\xed\xa0\x80b")),
        )
        .any_text(),
        attack(
            "lone-surrogates",
            "halves of surrogate pairs in a text, which become U+FFFD",
            vec![stream(
                "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\\ud83d\\ude00b\\udc00c\\ud800\"},\
                 \"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n",
            )],
            Ends::With(|events| text(events) == "a😀b\u{fffd}c\u{fffd}"),
        )
        .any_text(),
        attack(
            "nul-in-json",
            "NUL between the fields of a piece",
            vec![stream("data: {\"choices\":\0[]}\n\n")],
            Ends::In("protocol"),
        ),
        attack(
            "not-an-object",
            "a piece that is an array, and nothing else",
            vec![stream("data: [1,2,3]\n\n")],
            Ends::In("interrupted"),
        ),
        attack(
            "call-index-4294967295",
            "a tool call at index 4,294,967,295, one at 2^64 and one at -1",
            vec![stream(format!(
                "data: {}\n\ndata: {}\n\ndata: {}\n\n{finish}",
                call("4294967295", 1),
                call("18446744073709551616", 2),
                call("-1", 3),
            ))],
            Ends::With(|events| calls_end(events) == 3),
        )
        .any_text(),
        attack(
            "calls-by-the-hundred-thousand",
            "100,000 tool calls, one in a piece",
            vec![stream(
                (0..100_000)
                    .map(|at| format!("data: {}\n\n", call(&at.to_string(), at)))
                    .collect::<String>(),
            )],
            Ends::In("protocol"),
        )
        .any_text(),
        attack(
            "calls-in-one-piece",
            "2.7 million tool calls with nothing in them in one piece",
            vec![behind(&delta(&format!(
                "{{\"tool_calls\":[{}{{}}]}}",
                "{},".repeat(2_700_000)
            )))],
            Ends::In("protocol"),
        ),
        attack(
            "pieces-of-calls",
            "1,024 tool calls, and then pieces for the first of them, with nothing in them, without end",
            vec![
                send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"),
                send(
                    (0..1_024)
                        .map(|at| format!("data: {}\n\n", call(&at.to_string(), at)))
                        .collect::<String>(),
                ),
                Step::Flood(
                    format!(
                        "data: {}\n\n",
                        delta(&format!("{{\"tool_calls\":[{}{{\"index\":0}}]}}", "{\"index\":0},".repeat(999)))
                    )
                    .into(),
                ),
            ],
            Ends::In("protocol"),
        )
        .any_text(),
        attack(
            "choices-in-one-piece",
            "2.7 million choices with nothing in them in one piece",
            vec![behind(&format!("{{\"choices\":[{}{{}}]}}", "{},".repeat(2_700_000)))],
            Ends::In("protocol"),
        ),
        attack(
            "choices-in-a-whole-answer",
            "5.5 million choices in a whole answer",
            vec![send(with_length(
                "application/json",
                &format!("{{\"choices\":[{}{{}}]}}", "{},".repeat(5_500_000)),
            ))],
            Ends::In("protocol"),
        ),
        attack(
            "giant-id",
            "an id of 7 MB, and 1,000 tool calls whose ids are made of it",
            vec![stream(format!(
                "data: {{\"id\":\"{}\",\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{{}}}}]}}\n\n{}{finish}",
                "x".repeat(7_000_000),
                (0..1_000)
                    .map(|at| format!(
                        "data: {}\n\n",
                        delta(&format!(
                            "{{\"tool_calls\":[{{\"index\":{at},\"function\":{{\"name\":\"f\",\"arguments\":\"{{}}\"}}}}]}}"
                        ))
                    ))
                    .collect::<String>(),
            ))],
            Ends::With(|events| calls_end(events) == 1_000),
        )
        .any_text(),
        attack(
            "giant-names",
            "arguments of 7 MB in one call, and names of 8 KB in a thousand",
            vec![stream(format!(
                "{}{}{finish}",
                (0..2)
                    .map(|_| format!(
                        "data: {}\n\n",
                        delta(&format!(
                            "{{\"tool_calls\":[{{\"index\":0,\"function\":{{\"name\":\"f\",\"arguments\":\"{}\"}}}}]}}",
                            "x".repeat(3_500_000)
                        ))
                    ))
                    .collect::<String>(),
                (1..1_000)
                    .map(|at| format!(
                        "data: {}\n\n",
                        delta(&format!(
                            "{{\"tool_calls\":[{{\"index\":{at},\"id\":\"{at}\",\"function\":{{\"name\":\"{}\",\"arguments\":\"\"}}}}]}}",
                            "n".repeat(8_000)
                        ))
                    ))
                    .collect::<String>(),
            ))],
            Ends::With(|events| calls_end(events) == 1_000),
        )
        .any_text(),
        attack(
            "whole-answer-of-20-mb",
            "a whole answer of 20 MB",
            vec![send(with_length(
                "application/json",
                &format!(
                    "{{\"choices\":[{{\"message\":{{\"content\":\"{}\"}},\"finish_reason\":\"stop\"}}]}}",
                    "x".repeat(20_000_000)
                ),
            ))],
            Ends::In("protocol"),
        ),
        attack(
            "error-of-many-megabytes",
            "an error of 30 MB of escape sequences",
            vec![refusal(format!(
                "{{\"error\":{{\"message\":\"{}\"}}}}",
                "\\u001b]0;owned\\u0007\\u001b[2J".repeat(1_000_000)
            ))],
            Ends::In("invalid-request"),
        ),
        attack(
            "raw-escapes-in-an-error",
            "an error whose text is escape sequences, C1 and directions of writing",
            vec![refusal("\x1b[2J\x1b]0;owned\x07\u{9b}31m\u{202e}gnorw".repeat(100))],
            Ends::In("invalid-request"),
        ),
        attack(
            "deep-json-in-an-error",
            "15,000 brackets in brackets in an error",
            vec![refusal(format!(
                "{{\"error\":{{\"message\":{}{}}}}}",
                "[".repeat(15_000),
                "]".repeat(15_000)
            ))],
            Ends::In("invalid-request"),
        ),
        attack(
            "wide-json-in-an-error",
            "5,000 fields in an error",
            vec![refusal(format!("{{\"error\":{}}}", wide(5_000, "1")))],
            Ends::In("invalid-request"),
        ),
        attack(
            "endless-error",
            "an error's body without end, as fast as it goes",
            vec![
                send("HTTP/1.1 500 Internal Server Error\r\ncontent-type: text/plain\r\n\r\n"),
                Step::Flood(b"no ".to_vec()),
            ],
            Ends::In("server"),
        ),
        attack(
            "slow-error",
            "an error's body that goes on with a space every 20 ms, without end",
            vec![
                send("HTTP/1.1 500 Internal Server Error\r\ncontent-type: text/plain\r\n\r\n"),
                send("no"),
                Step::Drip(b" ".to_vec(), std::time::Duration::from_millis(20)),
            ],
            Ends::In("server"),
        )
        .total_short(),
    ];
    for (name, what, body, kind) in [
        (
            "invalid-utf-8-in-an-error",
            "bytes that are no UTF-8 in an error",
            &b"{\"error\":{\"message\":\"a\xff\xfe\"}}"[..],
            "invalid-request",
        ),
        (
            "nul-in-an-error",
            "NUL in the text of an error",
            b"{\"error\":{\"message\":\"a\0b\"}}",
            "invalid-request",
        ),
        (
            "lone-surrogate-in-an-error",
            "half a surrogate pair as the text of an error",
            b"{\"error\":{\"message\":\"\\ud800\"}}",
            "invalid-request",
        ),
        (
            "numbers-in-an-error",
            "1e400 and 2^64 as text and code of an error",
            b"{\"error\":{\"message\":1e400,\"code\":18446744073709551616}}",
            "invalid-request",
        ),
    ] {
        all.push(attack(name, what, vec![refusal(body)], Ends::In(kind)));
    }
    all
}
