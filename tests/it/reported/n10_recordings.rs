//! Forms and parts of a key in a recording.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use provider_host::egress::recording::Recorder;
use provider_host::egress::{Exchange, ResponseBody, Timing, Transport, TransportError};
use provider_host::policy::{Binding, Grant, Origin, Secret, Secrets};
use serde_json::json;

use super::Attack;

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        number: "10a",
        attempt: "a key that a server gives out in two parts, in two events, cut at each of its bytes",
        ends: "***",
        test: "a_key_over_two_events_leaves_no_part_in_a_recording",
    },
    Attack {
        number: "10b",
        attempt: "a key token by token, in events of one to eleven bytes of it",
        ends: "***",
        test: "a_key_token_by_token_leaves_no_tail_in_a_recording",
    },
    Attack {
        number: "10c",
        attempt: "a key over two choices that take turns, over arguments of a tool call, and over lines",
        ends: "***",
        test: "a_key_over_other_strings_leaves_no_tail_in_a_recording",
    },
    Attack {
        number: "10d",
        attempt: "the rest of a key under another name than its beginning",
        ends: "***",
        test: "the_rest_of_a_key_is_found_under_another_name",
    },
    Attack {
        number: "10e",
        attempt: "a key in base64 at any alignment, padded or not, behind `user:` and behind a scheme",
        ends: "***",
        test: "a_key_in_base64_is_not_in_a_recording",
    },
    Attack {
        number: "10f",
        attempt: "a key in hexadecimal digits, percent-encoded, JSON-escaped, in capitals",
        ends: "***",
        test: "a_key_in_other_spellings_is_not_in_a_recording",
    },
    Attack {
        number: "10g",
        attempt: "those spellings in header fields, trailers, the request's path and the error",
        ends: "***",
        test: "no_other_place_of_a_recording_holds_a_key",
    },
];

const KEY: &str = "sk-the-real-key/0123456789+abcdef";

#[derive(Clone, Default)]
struct File(Arc<Mutex<Vec<u8>>>);

impl Write for File {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("the bytes").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Answers with these frames.
#[derive(Clone)]
struct Answer {
    fields: Vec<(&'static str, String)>,
    pieces: Vec<String>,
    trailer: Option<String>,
    error: Option<TransportError>,
}

impl Answer {
    fn of(pieces: Vec<String>) -> Self {
        Self {
            fields: Vec::new(),
            pieces,
            trailer: None,
            error: None,
        }
    }
}

impl Transport for Answer {
    fn send(&self, _: http::Request<Bytes>, _: Timing) -> Exchange<'_> {
        let data = |piece: &String| Ok(Frame::data(Bytes::from(piece.clone())));
        let mut frames: Vec<_> = self.pieces.iter().map(data).collect();
        if let Some(trailer) = &self.trailer {
            let mut trailers = http::HeaderMap::new();
            trailers.insert("x-echo", trailer.parse().expect("a value"));
            frames.push(Ok(Frame::trailers(trailers)));
        }
        frames.extend(self.error.clone().map(Err));
        let frames = Ready(frames.into_iter());
        let mut response = http::Response::new(ResponseBody::stream(StreamBody::new(frames)));
        for (name, value) in &self.fields {
            let value = value.parse().expect("a value");
            response.headers_mut().insert(*name, value);
        }
        Box::pin(async { Ok(response) })
    }
}

type Piece = Result<Frame<Bytes>, TransportError>;

/// A stream of what is there already.
struct Ready(std::vec::IntoIter<Piece>);

impl futures_core::Stream for Ready {
    type Item = Piece;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Piece>> {
        std::task::Poll::Ready(self.0.next())
    }
}

/// The recording of one exchange.
async fn recorded_at(uri: &str, answer: Answer) -> String {
    let mut secrets = Secrets::new();
    let key = Secret::new(KEY).expect("a key");
    secrets
        .mint(key, Binding::api_key())
        .expect("a placeholder");
    let grant = Grant::new(Origin::parse("http://gpu:8000/v1").expect("an origin"));
    let file = File::default();
    let recorder = Recorder::to_writer(file.clone(), answer, &grant.with_secrets(secrets));
    let recorder = recorder.expect("a recorder");
    let minute = Duration::from_secs(60);
    let timing = Timing::new(minute, minute, tokio::time::Instant::now() + minute);
    let request = http::Request::get(uri).body(Bytes::new());
    let response = recorder.send(request.expect("a request"), timing).await;
    let body = response.expect("an answer").into_body();
    let _ = body.collect().await;
    drop(recorder);
    let text = file.0.lock().expect("the bytes").clone();
    String::from_utf8(text).expect("text")
}

async fn recorded(pieces: Vec<String>) -> String {
    recorded_at("http://gpu:8000/v1/models", Answer::of(pieces)).await
}

fn event(index: u32, field: &str, text: &str) -> String {
    let delta = json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "m",
        "choices": [{"index": index, "delta": {field: text}, "finish_reason": null}]});
    format!("data: {delta}\n\n")
}

/// The key in parts of so many bytes.
fn parts(size: usize) -> Vec<&'static str> {
    (0..KEY.len())
        .step_by(size)
        .map(|at| &KEY[at..KEY.len().min(at + size)])
        .collect()
}

/// The texts of a recording's pieces, put together.
fn said(recording: &str) -> String {
    let lines = recording.lines().skip(1);
    let values = lines.map(|line| serde_json::from_str(line).expect("a line of JSON"));
    let texts =
        values.filter_map(|line: serde_json::Value| Some(line["data"].as_str()?.to_owned()));
    texts.collect()
}

/// The answer's text of a recording, of all its events together.
fn content(recording: &str) -> String {
    let said = said(recording);
    let events = said.lines().filter_map(|line| line.strip_prefix("data: "));
    let texts = events.map(|event| -> serde_json::Value {
        serde_json::from_str(event).unwrap_or_else(|why| panic!("{why}: {event}"))
    });
    let field = |event: serde_json::Value| {
        let delta = &event["choices"][0]["delta"];
        delta["content"].as_str().map(str::to_owned)
    };
    texts.filter_map(field).collect()
}

#[tokio::test]
async fn a_key_over_two_events_leaves_no_part_in_a_recording() {
    for cut in 1..KEY.len() {
        let (one, two) = KEY.split_at(cut);
        let events = vec![
            event(0, "content", &format!("You sent {one}")),
            event(0, "content", &format!("{two}. Is it?")),
            event(0, "content", " Bye."),
        ];
        for pieces in [events.clone(), vec![events.concat()]] {
            let file = recorded(pieces).await;
            let text = content(&file);
            // A first part of up to three bytes is written before the second one is known.
            let left = if cut < 4 { one } else { "" };
            let expected = format!("You sent {left}***. Is it? Bye.");
            let marks = text.replace("******", "***");
            assert!(
                marks == expected || cut < 4 && !marks.contains(two),
                "{cut}: {text}"
            );
            super::ended("10a", &text);
        }
    }
}

#[tokio::test]
async fn a_key_token_by_token_leaves_no_tail_in_a_recording() {
    for size in 1..12 {
        let mut pieces = vec![event(0, "role", "assistant"), event(0, "content", "It is ")];
        pieces.extend(parts(size).iter().map(|part| event(0, "content", part)));
        pieces.push(event(0, "content", " all right."));
        for pieces in [pieces.clone(), vec![pieces.concat()]] {
            let file = recorded(pieces).await;
            let text = content(&file);
            let left = text.replace("***", "");
            let left = left
                .trim_start_matches("It is ")
                .trim_end_matches(" all right.");
            assert!(KEY.starts_with(left) && left.len() < 4, "{size}: {text}");
            super::ended("10b", &text);
        }
    }
}

#[tokio::test]
async fn a_key_over_other_strings_leaves_no_tail_in_a_recording() {
    let parts = parts(5);
    let turns = parts.iter().flat_map(|part| {
        [
            event(0, "content", part),
            event(1, "content", "other words"),
        ]
    });
    let arguments = parts.iter().map(|part| event(0, "arguments", part));
    let lines = parts
        .iter()
        .map(|part| format!("{{\"response\":\"{part}\",\"n\":\"x\"}}\n"));
    let raw = parts.iter().map(|part| format!("data: {part}\n\n"));
    let plain = parts.iter().map(|part| format!("{part}\r\n"));
    let list = parts.iter().map(|part| format!("\"{part}\", "));
    let list = std::iter::once(format!(
        "{{\"tokens\": [{}\"\"]}}",
        list.collect::<String>()
    ));
    let escaped = parts.iter().map(|part| {
        let text: String = part.bytes().map(|byte| format!("\\u{byte:04x}")).collect();
        format!("data: {{\"text\":\"{text}\"}}\n\n")
    });
    let cases: [Vec<String>; 7] = [
        turns.collect(),
        arguments.collect(),
        lines.collect(),
        raw.collect(),
        plain.collect(),
        list.collect(),
        escaped.collect(),
    ];
    for pieces in cases {
        let all = pieces.concat();
        for pieces in [
            pieces,
            vec![all.clone()],
            all.chars().map(String::from).collect(),
        ] {
            let file = recorded(pieces).await;
            let said = said(&file);
            for part in &parts {
                let escaped: String = part.bytes().map(|byte| format!("\\u{byte:04x}")).collect();
                assert!(
                    !said.contains(part) && !said.contains(&escaped),
                    "{part}: {said}"
                );
            }
            super::ended("10c", &said);
        }
    }
}

#[tokio::test]
async fn the_rest_of_a_key_is_found_under_another_name() {
    for cut in 12..KEY.len() - 4 {
        let (one, two) = KEY.split_at(cut);
        let pieces = vec![event(0, "content", one), event(0, "reasoning_content", two)];
        let said = said(&recorded(pieces).await);
        assert!(!said.contains(one) && !said.contains(two), "{cut}: {said}");
        super::ended("10d", &said);
    }
}

/// Whether two texts have 14 characters in a row in common.
fn share(text: &str, secret: &str) -> bool {
    secret.as_bytes().windows(14).any(|part| {
        let part = std::str::from_utf8(part).expect("ASCII");
        text.contains(part)
    })
}

fn coded() -> Vec<String> {
    let mut all = Vec::new();
    for engine in [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD] {
        for before in ["", "u:", "user:", "Bearer ", "Basic ", "x", "xy"] {
            for behind in ["", "\n", "!?"] {
                all.push(engine.encode(format!("{before}{KEY}{behind}")));
            }
        }
    }
    all
}

fn spelled() -> Vec<String> {
    let each = |write: fn(u8) -> String| KEY.bytes().map(write).collect::<String>();
    vec![
        each(|byte| format!("{byte:02x}")),
        each(|byte| format!("{byte:02X}")),
        each(|byte| format!("%{byte:02X}")),
        each(|byte| format!("\\u{byte:04x}")),
        KEY.replace('/', "%2F").replace('+', "%2B"),
        KEY.replace('/', "\\/"),
        KEY.to_uppercase(),
        KEY[5..18].to_owned(),
        KEY[20..].to_owned(),
    ]
}

#[tokio::test]
async fn a_key_in_base64_is_not_in_a_recording() {
    for text in coded() {
        let said = said(&recorded(vec![format!("{{\"a\":\"{text}\"}}")]).await);
        assert!(!share(&said, &text), "{text}: {said}");
        super::ended("10e", &said);
        let events = text
            .as_bytes()
            .chunks(9)
            .map(|part| event(0, "content", std::str::from_utf8(part).expect("ASCII")));
        let text_of = content(&recorded(events.collect()).await);
        assert!(!share(&text_of, &text), "{text}: {text_of}");
    }
}

#[tokio::test]
async fn a_key_in_other_spellings_is_not_in_a_recording() {
    for text in spelled() {
        let body = format!("{{\"a\":\"{text}\"}}");
        for cut in [0, body.len() / 2, body.len() - 5] {
            let (one, two) = body.split_at(cut);
            let said = said(&recorded(vec![one.to_owned(), two.to_owned()]).await);
            assert_eq!(said, "{\"a\":\"***\"}", "{text} cut at {cut}");
            super::ended("10f", &said);
        }
    }
}

#[tokio::test]
async fn no_other_place_of_a_recording_holds_a_key() {
    for text in coded().into_iter().chain(spelled()) {
        let text = text.trim_end_matches('\n').to_owned();
        let mut answer = Answer::of(vec!["x".to_owned()]);
        answer.fields = vec![("x-echo", text.clone())];
        answer.trailer = Some(text.clone());
        let path: String = text.replace(['\\', '%'], "");
        let file = recorded_at(&format!("http://gpu:8000/v1?k={path}"), answer.clone()).await;
        assert!(!share(&file, &text), "{text}: {file}");
        answer.trailer = None;
        answer.error = Some(TransportError::Protocol(text.clone()));
        let file = recorded_at("http://gpu:8000/v1", answer).await;
        assert!(!share(&file, &text), "{text}: {file}");
        super::ended("10g", &file);
    }
}
