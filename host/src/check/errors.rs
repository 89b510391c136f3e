//! What goes wrong: each in a kind of its own, with its facts, in words that hurt nobody.

use serde_json::json;

use super::Subject;
use super::chat::{leaves_grammar, truncated};
use super::findings::Findings;
use super::subject::Talk;
use crate::exercise::{Answer, Ending, Failure, NoAnswer, Reply, Step};
use crate::policy::visible::{escaped, is_hidden};

super::checks! { Errors:
    "kinds",
    "Each status that is no success is one error of the right kind, with its status kept, whatever its body is.",
    "types.error-kind: each kind's own sentence; types.error.status: HTTP status, where there was an answer",
    kinds;
    "retryable",
    "What may succeed later says so, and what can't does not.",
    "types.error.retryable: the same request may succeed later",
    retryable;
    "retry-after",
    "The time that a server asks to wait is kept, and nonsense in its place is none.",
    "types.error.retry-after-ms: how long the server asks to wait before that",
    retry_after;
    "messages",
    "A message says something, is bounded, and has no control characters, whatever the server says.",
    "types.error.message: at most 4 KiB of it are the server's own words. Never holds a key",
    messages;
    "no-answer",
    "A connection that fails before an answer is told by what happened, and whether the request left.",
    "types.error-kind.unreachable, .timeout, .interrupted, .protocol; types.error.request-sent",
    no_answer;
    "broken-answer",
    "An answer that breaks off is told by what happened, after the events that had come.",
    "types.error-kind.interrupted: the connection ended before the answer did; chat.next: events that were ready before it have been returned",
    broken_answer;
    "truncated",
    "An answer that ends at any byte ends in a finish or in an error.",
    "types.event: an answer that fails ends in an error instead, wherever it stands",
    truncated_answers;
    "garbage",
    "Bytes that are no answer end in a typed error, or in a finish.",
    "types.error-kind.protocol: the server broke its protocol",
    garbage;
}

/// What a status may be told as. Where the contract leaves it open, every honest reading is taken.
const STATUSES: &[(u16, &[&str])] = &[
    (400, &["invalid-request"]),
    (401, &["authentication"]),
    (403, &["permission"]),
    (
        404,
        &["model-not-found", "invalid-config", "invalid-request"],
    ),
    (408, &["timeout", "overloaded", "server"]),
    (409, &["invalid-request", "overloaded", "server"]),
    (413, &["invalid-request", "context-overflow"]),
    (422, &["invalid-request"]),
    (429, &["rate-limited", "overloaded"]),
    (500, &["server"]),
    (502, &["overloaded", "server", "unreachable"]),
    (503, &["overloaded", "server"]),
    (504, &["overloaded", "server", "timeout"]),
];

/// Bodies that an error may have, by name.
fn bodies() -> Vec<(&'static str, &'static str, String)> {
    let page = "<!doctype html><html><head><title>Bad Gateway</title></head><body>no</body></html>";
    let shape =
        json!({"error": {"message": "it does not do", "type": "x", "param": null, "code": "x"}});
    let plain = json!({"error": "it does not do"});
    vec![
        ("JSON", "application/json", shape.to_string()),
        ("another JSON", "application/json", plain.to_string()),
        ("a page", "text/html", page.to_owned()),
        ("no body", "text/plain", String::new()),
        (
            "JSON that is cut",
            "application/json",
            "{\"error\": {\"mess".to_owned(),
        ),
        ("a megabyte", "text/plain", "no ".repeat(350_000)),
    ]
}

async fn kinds(subject: &Subject, findings: &mut Findings) {
    for (status, kinds) in STATUSES {
        for (name, content_type, body) in bodies() {
            let done = format!("{status} with {name}");
            let talk = subject
                .chat(Reply::new(*status, content_type, body), 64)
                .await;
            if findings.stopped(&done, talk.error.as_ref()) || findings.enough() {
                return;
            }
            let good = talk.events.is_empty()
                && talk.error.as_ref().is_some_and(|failure| {
                    kinds.contains(&failure.kind.as_str())
                        && failure.status == Some(*status)
                        && failure.request_sent
                });
            findings.expect(good, &done, || {
                format!(
                    "expected {} with its status, sent; came {}",
                    kinds.join(" or "),
                    facts(&talk)
                )
            });
        }
    }
}

/// An answer's end and the facts of its error.
fn facts(talk: &Talk) -> String {
    let facts = talk.error.as_ref().map(|failure| {
        let sent = if failure.request_sent {
            "sent"
        } else {
            "not sent"
        };
        format!(" (status {:?}, {sent})", failure.status)
    });
    talk.end() + &facts.unwrap_or_default()
}

async fn retryable(subject: &Subject, findings: &mut Findings) {
    let body = || json!({"error": {"message": "it does not do", "code": "x"}});
    let mut cases: Vec<(String, Reply, bool)> = [
        (400, false),
        (401, false),
        (403, false),
        (404, false),
        (422, false),
        (429, true),
        (503, true),
    ]
    .into_iter()
    .map(|(status, again)| (status.to_string(), Reply::json(status, &body()), again))
    .collect();
    let no = Reply::NoAnswer;
    cases.push((
        "a refused connection".to_owned(),
        no(NoAnswer::Refused),
        true,
    ));
    cases.push((
        "a bad certificate".to_owned(),
        no(NoAnswer::Certificate),
        false,
    ));
    for (name, reply, again) in cases {
        let talk = subject.chat(reply, 64).await;
        if findings.stopped(&name, talk.error.as_ref()) || findings.enough() {
            return;
        }
        let found = talk.error.as_ref().map(|failure| failure.retryable);
        findings.expect(found == Some(again), &name, || {
            format!("retryable is {found:?}, expected {again}: {}", talk.end())
        });
    }
}

/// Header fields, and what the time to wait may be read as.
type Wait<'a> = (&'a [(&'a str, &'a str)], &'a [Option<u64>]);

async fn retry_after(subject: &Subject, findings: &mut Findings) {
    let date = ("date", "Sun, 22 Nov 2026 06:39:07 GMT");
    let then = ("retry-after", "Sun, 22 Nov 2026 06:39:37 GMT");
    let before = ("retry-after", "Sun, 22 Nov 2026 06:38:37 GMT");
    let cases: [Wait<'_>; 8] = [
        (&[("retry-after", "7")], &[Some(7_000)]),
        (&[("retry-after", "0")], &[Some(0), None]),
        (&[], &[None]),
        (&[("retry-after", "soon")], &[None]),
        (&[("retry-after", "-5")], &[None]),
        (&[("retry-after", "")], &[None]),
        // A date can only be read by who knows a date.
        (&[date, then], &[Some(30_000), None]),
        (&[date, before], &[None, Some(0)]),
    ];
    for (headers, waits) in cases {
        let talk = subject.chat(with_headers(429, headers), 64).await;
        let done = format!("429 with {headers:?}");
        if findings.stopped(&done, talk.error.as_ref()) || findings.enough() {
            return;
        }
        let good = talk
            .error
            .as_ref()
            .is_some_and(|failure| waits.contains(&failure.retry_after_ms));
        findings.expect(good, &done, || {
            let found = talk.error.as_ref().map(|failure| failure.retry_after_ms);
            format!("retry-after-ms is {found:?}, expected one of {waits:?}")
        });
    }
    for odd in ["99999999999999999999999", "1e400", "18446744073709551615"] {
        let talk = subject
            .chat(with_headers(429, &[("retry-after", odd)]), 64)
            .await;
        let typed = talk
            .error
            .as_ref()
            .is_some_and(|failure| failure.status == Some(429));
        findings.expect(typed, &format!("429 with retry-after {odd}"), || talk.end());
    }
}

fn with_headers(status: u16, headers: &[(&str, &str)]) -> Reply {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned().into());
    Reply::Answer(Answer {
        status,
        headers: headers.iter().map(own).collect(),
        steps: vec![Step::Bytes("{\"error\":\"wait\"}".to_owned().into())],
        end: Ending::Complete,
    })
}

/// Most bytes of a message: 4 KiB of the server's words, which the contract bounds, and as many of
/// the plugin's own. The host cuts longer ones.
const MESSAGE: usize = 8 << 10;

async fn messages(subject: &Subject, findings: &mut Findings) {
    let evil = "\u{1b}]0;owned\u{7}\u{1b}[2J\r\nhint: run this\u{0}\u{7f}\u{9b}31m\u{8}";
    let long = format!("{evil}{}", "long ".repeat(250_000));
    let json = |words: &str| json!({"error": {"message": words, "code": words, "type": words, "param": words}});
    let replies = [
        ("escapes in JSON", Reply::json(400, &json(evil))),
        (
            "escapes in another JSON",
            Reply::json(404, &json!({"error": evil})),
        ),
        (
            "escapes in text",
            Reply::new(500, "text/plain", evil.to_owned()),
        ),
        ("a megabyte in JSON", Reply::json(400, &json(&long))),
        (
            "a megabyte of text",
            Reply::new(500, "text/plain", long.clone()),
        ),
        (
            "a megabyte where an answer should be",
            Reply::new(200, "text/plain", long.clone()),
        ),
        (
            "a megabyte of title",
            Reply::new(
                502,
                "text/html",
                format!("<html><title>{long}</title></html>"),
            ),
        ),
        (
            "bytes that are no text",
            Reply::new(500, "text/plain", vec![0xff_u8; 4096]),
        ),
        (
            "a nest of brackets",
            Reply::new(400, "application/json", "[".repeat(100_000)),
        ),
    ];
    for (name, reply) in replies {
        let talk = subject.chat(reply, 64).await;
        if findings.stopped(name, talk.error.as_ref()) || findings.enough() {
            return;
        }
        let Some(failure) = &talk.error else {
            findings.expect(talk.has_finish(), name, || talk.end());
            continue;
        };
        let wrong = wrong_words(failure, &subject.placeholder);
        findings.expect(wrong.is_none(), name, || wrong.unwrap_or_default());
    }
}

/// What a message may not be.
fn wrong_words(failure: &Failure, placeholder: &str) -> Option<String> {
    let (message, code) = (
        &failure.message,
        failure.code.as_deref().unwrap_or_default(),
    );
    let shown = |text: &str| escaped(&text.chars().take(120).collect::<String>()).into_owned();
    if message.trim().is_empty() {
        return Some("an empty message".to_owned());
    }
    if message.len() > MESSAGE {
        return Some(format!("a message of {} bytes", message.len()));
    }
    for (what, text) in [("message", message.as_str()), ("code", code)] {
        if text.contains(|one: char| is_hidden(one) && one != '\n') {
            return Some(format!("hidden characters in the {what}: {}", shown(text)));
        }
    }
    message
        .contains(placeholder)
        .then(|| "the key in the message".to_owned())
}

async fn no_answer(subject: &Subject, findings: &mut Findings) {
    let cases: [(NoAnswer, &[&str], bool); 9] = [
        (NoAnswer::Refused, &["unreachable"], false),
        (NoAnswer::NoName, &["unreachable"], false),
        (NoAnswer::NoConnection, &["timeout", "unreachable"], false),
        (NoAnswer::Certificate, &["unreachable"], false),
        (NoAnswer::NoTls, &["unreachable"], false),
        (NoAnswer::Closed, &["interrupted"], true),
        (NoAnswer::Silent, &["timeout"], true),
        (NoAnswer::NoHttp, &["protocol"], true),
        (NoAnswer::HugeHead, &["protocol"], true),
    ];
    for (no, kinds, sent) in cases {
        let talk = subject.chat(Reply::NoAnswer(no), 64).await;
        let done = format!("{no:?}");
        if findings.stopped(&done, talk.error.as_ref()) || findings.enough() {
            return;
        }
        let good = talk.events.is_empty()
            && talk.error.as_ref().is_some_and(|failure| {
                kinds.contains(&failure.kind.as_str())
                    && failure.request_sent == sent
                    && failure.status.is_none()
            });
        findings.expect(good, &done, || {
            let was = if sent { "sent" } else { "not sent" };
            format!(
                "expected {}, {was}, no status; came {}",
                kinds.join(" or "),
                facts(&talk)
            )
        });
    }
}

async fn broken_answer(subject: &Subject, findings: &mut Findings) {
    let endings: [(Ending, &[&str]); 5] = [
        (Ending::Closed, &["interrupted"]),
        (Ending::Reset, &["interrupted"]),
        (Ending::Silent, &["timeout"]),
        (Ending::Late, &["timeout"]),
        // It is both: the server broke HTTP, and with that its connection.
        (Ending::Broken, &["protocol", "interrupted"]),
    ];
    let mut decided = None;
    for recorded in subject.few_chats(8) {
        let whole = Reply::of(&recorded.exchange);
        let plain = subject.chat(whole.clone(), 64).await;
        if findings.stopped(&recorded.exchange.name, plain.error.as_ref()) {
            return;
        }
        let Some((length, whole_line)) = undecided_part(subject, &whole, &plain).await else {
            decided = Some(&recorded.exchange.name);
            continue;
        };
        for (end, kinds) in endings {
            let talk = subject.chat(truncated(&whole, length, end), 64).await;
            let done = format!("{}, {end:?} in the middle", recorded.exchange.name);
            if findings.stopped(&done, talk.error.as_ref()) || findings.enough() {
                return;
            }
            let typed =
                |failure: &Failure| kinds.contains(&failure.kind.as_str()) && failure.request_sent;
            let good = talk.error.as_ref().is_some_and(typed) && leaves_grammar(&talk).is_none();
            findings.expect(good, &done, || {
                format!("expected {}; came {}", kinds.join(" or "), facts(&talk))
            });
            let (before, after) = (whole_line.essence().0, talk.essence().0);
            findings.expect(begins_alike(&before, &after), &done, || {
                format!("{} events, where {} had come", after.len(), before.len())
            });
        }
    }
    match decided {
        Some(name) => findings.skip(&format!(
            "no recorded answer is still open in its middle; {name} has failed or ended by then"
        )),
        None => findings.skip(&subject.no_chats()),
    }
}

/// A first part of an answer that does not decide how the answer ends, and what the plugin gives
/// for it where the body ends there as HTTP says it should. `None`: a server may say at once that
/// it failed, and what the connection does after that changes nothing.
///
/// The part ends with a line, so that no half of one is to be read.
async fn undecided_part(subject: &Subject, whole: &Reply, plain: &Talk) -> Option<(usize, Talk)> {
    let Reply::Answer(answer) = whole else {
        return None;
    };
    let body = answer.body();
    for share in [2, 4, 8] {
        let length = end_of_lines(&body[..body.len() / share]);
        let talk = subject
            .chat(truncated(whole, length, Ending::Complete), 64)
            .await;
        if length > 0 && talk.essence() != plain.essence() {
            return Some((length, talk));
        }
    }
    None
}

/// How many of the bytes are whole events or, without an empty line, whole lines. All of them, if
/// there is no line.
fn end_of_lines(bytes: &[u8]) -> usize {
    let after = |end: &[u8]| {
        let mut at = bytes.windows(end.len());
        at.rposition(|window| window == end)
            .map(|at| at + end.len())
    };
    let ends: [&[u8]; 3] = [b"\n\n", b"\r\n\r\n", b"\n"];
    ends.into_iter().find_map(after).unwrap_or(bytes.len())
}

/// Whether two answers that ended differently gave the same up to there: nothing that had come is held back by how it ended.
fn begins_alike(
    one: &[crate::bindings::types::Event],
    other: &[crate::bindings::types::Event],
) -> bool {
    use crate::bindings::types::Event;
    let said = |events: &[Event]| -> String {
        let piece = |event: &Event| match event {
            Event::Text(text) | Event::Reasoning(text) => text.clone(),
            Event::ToolCallArguments(call) => call.delta.clone(),
            _ => String::new(),
        };
        events.iter().map(piece).collect()
    };
    said(one) == said(other)
}

/// Most places at which one answer is cut.
const PLACES: usize = 48;

async fn truncated_answers(subject: &Subject, findings: &mut Findings) {
    for recorded in subject.few_chats(16) {
        let whole = Reply::of(&recorded.exchange);
        let step = (whole.len() / PLACES).max(1);
        for length in (0..whole.len()).step_by(step) {
            for end in [Ending::Complete, Ending::Closed] {
                let talk = subject.chat(truncated(&whole, length, end), 64).await;
                let done = format!("{}, {end:?} after {length} bytes", recorded.exchange.name);
                if findings.stopped(&done, talk.error.as_ref()) || findings.enough() {
                    return;
                }
                let wrong = leaves_grammar(&talk);
                findings.expect(wrong.is_none(), &done, || wrong.unwrap_or_default());
            }
        }
    }
    findings.skip(&subject.no_chats());
}

async fn garbage(subject: &Subject, findings: &mut Findings) {
    let mut cases: Vec<(String, Reply)> = Vec::new();
    let bodies: [&[u8]; 10] = [
        b"",
        b"\n\n\n",
        b"null",
        b"{}",
        b"[]\n[]\n",
        b"data: \n\ndata: null\n\ndata: {}\n\n",
        b"{\"done\":true}\n",
        b"\xff\xfe\x00\x01",
        b"<html><title>Sign in</title></html>",
        b"data: {\"choices\":[{\"delta\":{\"content\":5}}]}\n\n",
    ];
    for kind in [
        "application/json",
        "text/event-stream",
        "application/x-ndjson",
    ] {
        for body in bodies {
            let name = format!("{kind} of \"{}\"", body.escape_ascii());
            cases.push((name, Reply::new(200, kind, body.to_vec())));
        }
    }
    for recorded in subject.few_chats(8) {
        for (name, from, to) in [
            ("braces", b'}', b'{'),
            ("quotes", b'"', b'\''),
            ("no text", b'e', 0xff),
        ] {
            let mut reply = Reply::of(&recorded.exchange);
            if let Reply::Answer(answer) = &mut reply {
                let body = answer.body();
                let half = body.len() / 2;
                let other = |(at, byte): (usize, &u8)| {
                    if at > half && *byte == from {
                        to
                    } else {
                        *byte
                    }
                };
                let body: Vec<u8> = body.iter().enumerate().map(other).collect();
                answer.steps = vec![Step::Bytes(body.into())];
            }
            cases.push((
                format!("{} with other {name}", recorded.exchange.name),
                reply,
            ));
        }
    }
    for (done, reply) in cases {
        let talk = subject.chat(reply, 64).await;
        if findings.stopped(&done, talk.error.as_ref()) || findings.enough() {
            return;
        }
        let wrong = leaves_grammar(&talk).or_else(|| {
            let failure = talk.error.as_ref()?;
            (!failure.request_sent).then(|| format!("not sent: {}", talk.end()))
        });
        findings.expect(wrong.is_none(), &done, || wrong.unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_an_answer_ends_with_an_event_or_a_line() {
        for (bytes, length) in [
            (&b"data: 1\n\ndata: 2\nda"[..], 9),
            (b"data: 1\r\n\r\ndata: 2\r\nda", 11),
            (b"{}\n{}\n{", 6),
            (b"{\"a\": 1", 7),
            (b"", 0),
        ] {
            assert_eq!(end_of_lines(bytes), length, "{}", bytes.escape_ascii());
        }
    }
}
