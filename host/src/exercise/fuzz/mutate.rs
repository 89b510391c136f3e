//! Replies that may become wrong: their heads, bodies, pieces and ends.

use bytes::Bytes;

use super::dice::Dice;
use super::tree::Node;
use super::{sse, words};
use crate::exercise::reply::{Answer, Ending, Latin1, NoAnswer, Reply, Step};
use crate::exercise::runner::KEY;

const STATUS: &[u16] = &[
    100, 101, 199, 200, 200, 201, 202, 204, 205, 206, 301, 302, 304, 307, 400, 400, 401, 402, 403,
    404, 405, 408, 409, 413, 418, 421, 422, 424, 425, 429, 429, 431, 451, 499, 500, 500, 501, 502,
    503, 503, 504, 507, 529, 599, 600, 999, 1000, 0,
];

const CONTENT_TYPES: &[&str] = &[
    "application/json",
    "application/json; charset=utf-8",
    "application/problem+json",
    "text/event-stream",
    "TEXT/Event-Stream; Charset=UTF-8",
    "text/event-stream;charset=utf-16",
    "text/html",
    "text/plain",
    "application/x-ndjson",
    "application/octet-stream",
    "",
    ";",
    "text/event-streams",
    "json",
];

const RETRY_AFTER: &[&str] = &[
    "0",
    "1",
    "-1",
    "1.5",
    " 7 ",
    "60",
    "86400",
    "4294967296",
    "18446744073709551615",
    "18446744073709551616",
    "99999999999999999999999999",
    "1e3",
    "soon",
    "",
    "Sun, 22 Nov 2026 06:39:37 GMT",
    "Sunday, 22-Nov-26 06:39:37 GMT",
    "Sun Nov 22 06:39:37 2026",
    "Thu, 01 Jan 1970 00:00:00 GMT",
    "Fri, 31 Dec 9999 23:59:59 GMT",
    "Fri, 32 Dec 99999 25:61:61 GMT",
];

const HEADERS: &[(&str, &[u8])] = &[
    ("content-encoding", b"gzip"),
    ("content-encoding", b"identity"),
    ("content-length", b"5"),
    ("transfer-encoding", b"chunked"),
    ("connection", b"close"),
    ("location", b"https://other.example/v1/chat/completions"),
    ("location", b"/elsewhere"),
    ("www-authenticate", b"Bearer realm=\"x\""),
    ("server", b"nginx"),
    ("x-request-id", b"\xff\xfe\x80"),
    ("x-request-id", b"\x1b[31m"),
    ("x-request-id", b"r-1"),
    ("retry-after-ms", b"250"),
    ("retry-after-ms", b"-5"),
    ("x-ratelimit-reset", b"1"),
    ("set-cookie", b"a=b"),
    ("date", b"not a date"),
    ("date", b"Sun, 22 Nov 2026 06:39:07 GMT"),
    ("date", b"Fri, 31 Dec 9999 23:59:59 GMT"),
    ("bad name", b"x"),
];

const ENDINGS: &[Ending] = &[
    Ending::Complete,
    Ending::Closed,
    Ending::Reset,
    Ending::Silent,
    Ending::TooLong,
    Ending::Late,
    Ending::Broken,
];

const NO_ANSWERS: &[NoAnswer] = &[
    NoAnswer::Refused,
    NoAnswer::NoName,
    NoAnswer::NoConnection,
    NoAnswer::Certificate,
    NoAnswer::NoTls,
    NoAnswer::Closed,
    NoAnswer::Silent,
    NoAnswer::NoHttp,
    NoAnswer::HugeHead,
];

/// Bytes that text decoders stumble over.
const ODD_BYTES: &[&[u8]] = &[
    b"\0",
    b"\xff",
    b"\xc0\x80",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\xe6\xbc",
    b"\x80",
    b"\xef\xbb\xbf",
    b"\r",
    b"\n",
    b"\r\n",
    b"\x1b",
    b"\"",
    b"\\",
];

/// Changes a reply in some ways, then cuts it into pieces. `other` is another recording's body.
pub(super) fn reply(reply: &mut Reply, other: &[u8], dice: &mut Dice) {
    if dice.once_in(40) {
        *reply = Reply::NoAnswer(dice.pick(NO_ANSWERS));
    }
    let Reply::Answer(answer) = reply else { return };
    let mut body = answer.body().to_vec();
    let streamed = body.starts_with(b"data:");
    for _ in 0..1 + dice.length(6) {
        match dice.below(16) {
            0 => head(answer, dice),
            1 => bytes(&mut body, dice),
            2 => answer.end = dice.pick(ENDINGS),
            3 => {
                let range = dice.range(other.len());
                let place = dice.place(body.len());
                body.splice(place..place, other[range].iter().copied());
            }
            // A server that says its caller's key back.
            4 if dice.once_in(4) => {
                let place = dice.place(body.len());
                body.splice(place..place, KEY.bytes());
            }
            4..=5 if streamed => json(&mut body, dice),
            _ if streamed => sse::mutate(&mut body, other, dice),
            _ => json(&mut body, dice),
        }
        body.truncate(super::MAX_INPUT / 2);
    }
    answer.steps = vec![Step::Bytes(Latin1(body.into()))];
    cut(reply, dice);
}

/// Cuts a reply somewhere else.
pub(super) fn cut(reply: &mut Reply, dice: &mut Dice) {
    let (most, pauses) = match dice.below(6) {
        0 => return,
        1 => (1, true),
        2 => (64, true),
        3 => (64, false),
        4 => (700, true),
        _ => (4_096, true),
    };
    // Not one step a byte for a body of half a mebibyte.
    let least = reply.len() / 4_000;
    let whole = std::mem::replace(reply, Reply::NoAnswer(NoAnswer::Closed));
    *reply = whole.cut_by(|_| (1 + least + dice.below(most), pauses && dice.once_in(2)));
}

fn head(answer: &mut Answer, dice: &mut Dice) {
    let set = |headers: &mut Vec<(String, Latin1)>, name: &str, value: &str| {
        headers.retain(|(own, _)| own != name);
        let value = Bytes::copy_from_slice(value.as_bytes());
        headers.push((name.to_owned(), Latin1(value)));
    };
    let headers = &mut answer.headers;
    match dice.below(10) {
        0..=3 => answer.status = dice.pick(STATUS),
        4 => set(headers, "content-type", dice.pick(CONTENT_TYPES)),
        5 => set(headers, "retry-after", dice.pick(RETRY_AFTER)),
        6 if !headers.is_empty() => {
            headers.remove(dice.below(headers.len()));
        }
        7 => {
            let length = dice.length(90_000);
            let value = dice.pick(&["a", "\u{e9}", "data: "]).repeat(length / 6);
            set(headers, "x-wide", &value);
        }
        8 => {
            let number = dice.length(120);
            for index in 0..number {
                headers.push((format!("x-{index}"), Latin1(Bytes::from_static(b"v"))));
            }
        }
        _ => {
            let (name, value) = dice.pick(HEADERS);
            headers.push((name.to_owned(), Latin1(Bytes::from_static(value))));
        }
    }
}

/// Changes one thing in a text that should be JSON.
pub(super) fn json(text: &mut Vec<u8>, dice: &mut Dice) {
    match Node::parse(text) {
        Some(mut tree) if !dice.once_in(12) => {
            tree.mutate(dice);
            *text = tree.text().into_bytes();
        }
        _ => bytes(text, dice),
    }
}

/// Changes some bytes.
pub(super) fn bytes(text: &mut Vec<u8>, dice: &mut Dice) {
    let at = dice.place(text.len());
    match dice.below(9) {
        0 if at < text.len() => text[at] ^= 1 << dice.below(8),
        1 if at < text.len() => text[at] = dice.below(256) as u8,
        2 => text.truncate(at),
        3 => {
            text.drain(dice.range(text.len()));
        }
        4 => {
            let piece = text[dice.range(text.len())].to_vec();
            text.splice(at..at, piece);
        }
        5 => {
            let word = dice.pick(words::TEXTS).as_bytes();
            text.splice(at..at, word.iter().copied());
        }
        6 => {
            let word = dice.pick(words::VALUES).as_bytes();
            text.splice(at..at, word.iter().copied());
        }
        7 => {
            let length = dice.length(64);
            let noise: Vec<u8> = (0..length).map(|_| dice.below(256) as u8).collect();
            text.splice(at..at, noise);
        }
        _ => {
            let odd = dice.pick(ODD_BYTES);
            text.splice(at..at, odd.iter().copied());
        }
    }
}
