//! Attacks by a stream of events: its size, its fields, its lines.

use super::scripted::{ANSWER, Step, events, with_length};
use super::{Attack, Ends, attack, send};

const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";

fn stream(body: &str) -> String {
    with_length("text/event-stream", body)
}

pub(super) fn attacks() -> Vec<Attack> {
    let honest = events(ANSWER);
    let piece = &honest[..honest.find("\n\n").map_or(0, |at| at + 2)];
    let empty_piece = "data: {\"choices\":[{\"index\":0,\"delta\":{}}]}\n\n";
    vec![
        attack(
            "endless-answer",
            "pieces of an answer without end, against a limit of 1 MiB",
            vec![send(HEAD), Step::Flood(piece.into())],
            Ends::In("protocol"),
        )
        .limited(|limits| limits.with_response_body_bytes(1 << 20))
        .any_text(),
        attack(
            "endless-line",
            "a line without end",
            vec![send(HEAD), send("data: "), Step::Flood(b"x".to_vec())],
            Ends::In("protocol"),
        ),
        attack(
            "line-of-100-mb",
            "a `data:` line of 100 MB, and its end",
            vec![
                send(HEAD),
                send("data: "),
                Step::Large(b'x', 100 << 20),
                send("\n\n"),
                Step::Close,
            ],
            Ends::In("protocol"),
        ),
        attack(
            "endless-data-lines",
            "an event of `data:` lines without end",
            vec![send(HEAD), Step::Flood(b"data: 1234567\n".to_vec())],
            Ends::In("protocol"),
        ),
        attack(
            "endless-comments",
            "comments without end, as fast as they go",
            vec![send(HEAD), Step::Flood(b": keep-alive\n\n".to_vec())],
            Ends::In("protocol"),
        ),
        attack(
            "endless-fields",
            "`id:`, `event:` and `retry:` without end",
            vec![
                send(HEAD),
                Step::Flood(b"id: 1\nevent: x\nretry: 0\n\n".to_vec()),
            ],
            Ends::In("protocol"),
        ),
        attack(
            "endless-empty-events",
            "events without data, without end",
            vec![send(HEAD), Step::Flood(b"data:\n\n".to_vec())],
            Ends::In("protocol"),
        ),
        attack(
            "endless-pieces-of-nothing",
            "pieces with nothing in them, without end",
            vec![send(HEAD), Step::Flood(empty_piece.into())],
            Ends::In("protocol"),
        ),
        attack(
            "fields-by-the-thousand",
            "30,000 lines of `id:`, `event:`, `retry:` and unknown fields, and then the answer",
            vec![send(stream(&format!(
                "{}{honest}",
                "id: 1\nevent: message\nretry: 99999999999999999999\nwhat: ever\n".repeat(7_500)
            )))],
            Ends::Harmless,
        ),
        attack(
            "byte-order-mark",
            "a byte order mark before the first event",
            vec![send(stream(&format!("\u{feff}{honest}")))],
            Ends::Harmless,
        ),
        attack(
            "carriage-returns",
            "lines that end in CR alone",
            vec![send(stream(&honest.replace('\n', "\r")))],
            Ends::Harmless,
        ),
        attack(
            "error-event-with-escapes",
            "an event with an error of 7 MB of escape sequences",
            vec![send(stream(&format!(
                "data: {{\"error\":{{\"message\":\"{}\",\"code\":500}}}}\n\n",
                "\\u001b[2J".repeat(700_000)
            )))],
            Ends::In("server"),
        ),
        attack(
            "done-at-once",
            "`[DONE]` and nothing else",
            vec![send(stream("data: [DONE]\n\n"))],
            Ends::In("interrupted"),
        ),
        attack(
            "done-and-more",
            "pieces behind `[DONE]`, without end",
            vec![send(HEAD), send(honest.clone()), Step::Flood(piece.into())],
            Ends::Harmless,
        ),
    ]
}
