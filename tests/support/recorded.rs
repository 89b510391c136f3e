//! Recorded exchanges and what they must decode to.
//!
//! The recordings and the expectations are explained in
//! `tests/fixtures/README.md`; the expectations were derived by another program
//! than the one under test. This file takes off the HTTP framing, and compares.

use std::path::PathBuf;

use serde_json::Value;

/// How the recording of a body stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// As HTTP says it should.
    Complete,
    /// The connection ended before that.
    Closed,
    /// Nothing more came, and the connection stayed open.
    Silent,
}

/// One recorded exchange.
#[derive(Debug, Clone)]
pub(crate) struct Recorded {
    /// Folder name, such as `12-chat-stream-usage`.
    pub(crate) case: String,
    /// HTTP status; 0: no byte came back.
    pub(crate) status: u16,
    /// In order, names in lower case.
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    /// Without its framing.
    pub(crate) body: Vec<u8>,
    /// How it ended.
    pub(crate) end: End,
    /// What it must decode to.
    pub(crate) expected: Value,
}

/// The folder of the recordings.
pub(crate) fn fixtures() -> PathBuf {
    PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../tests/fixtures/vllm"
    ))
}

/// All recorded chats; there are 355, one of them without an answer.
pub(crate) fn chats() -> Vec<Recorded> {
    let cases = std::fs::read(fixtures().join("cases.json")).expect("the list of cases");
    let cases: Vec<Value> = serde_json::from_slice(&cases).expect("the list is JSON");
    let chats: Vec<Recorded> = cases
        .iter()
        .filter(|case| case["kind"] == "chat")
        .map(|case| load(case["case"].as_str().expect("a name")))
        .collect();
    assert_eq!(chats.len(), 355, "recordings are missing");
    chats
}

/// One case by name.
pub(crate) fn load(case: &str) -> Recorded {
    let dir = fixtures().join(case);
    let read = |name: &str| {
        std::fs::read(dir.join(name)).unwrap_or_else(|error| panic!("{case}/{name}: {error}"))
    };
    let meta: Value = serde_json::from_slice(&read("meta.json")).expect("meta.json");
    let expected = serde_json::from_slice(&read("expected.json")).expect("expected.json");
    let raw = read("response.raw");
    let broken = match meta["timing"]["end"].as_str() {
        // Where not one byte came, the client had left first: what is expected
        // is what it sees when the server closes the connection instead.
        Some(end) if end.starts_with("TimeoutError") && !raw.is_empty() => End::Silent,
        _ => End::Closed,
    };
    let mut recorded = Recorded {
        case: case.to_owned(),
        status: 0,
        headers: Vec::new(),
        body: Vec::new(),
        end: broken,
        expected,
    };
    let mut rest = raw.as_slice();
    while !rest.is_empty() {
        let end = find(rest, b"\r\n\r\n").expect("a whole head");
        let head = std::str::from_utf8(&rest[..end]).expect("a head of text");
        rest = &rest[end + 4..];
        let mut lines = head.split("\r\n");
        let status_line = lines.next().expect("a status line");
        recorded.status = status_line[9..12].parse().expect("a status");
        recorded.headers = lines
            .map(|line| {
                let (name, value) = line.split_once(':').expect("a header");
                (name.to_ascii_lowercase(), value.trim().as_bytes().to_vec())
            })
            .collect();
        if recorded.status >= 200 {
            break;
        }
    }
    let header = |name: &str| {
        let (_, value) = recorded.headers.iter().find(|(n, _)| n == name)?;
        std::str::from_utf8(value).ok()
    };
    if header("transfer-encoding") == Some("chunked") {
        let complete;
        (recorded.body, complete) = unchunk(rest);
        if complete {
            recorded.end = End::Complete;
        }
    } else if let Some(length) = header("content-length") {
        let length: usize = length.parse().expect("a length");
        recorded.body = rest[..length.min(rest.len())].to_vec();
        if rest.len() >= length {
            recorded.end = End::Complete;
        }
    }
    recorded
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|w| w == needle)
}

fn unchunk(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    while let Some(end) = find(rest, b"\r\n") {
        let line = std::str::from_utf8(&rest[..end]).expect("a chunk size");
        let size = usize::from_str_radix(line, 16).expect("a chunk size");
        rest = &rest[end + 2..];
        if size == 0 {
            return (body, true);
        }
        body.extend(&rest[..size.min(rest.len())]);
        if rest.len() < size + 2 {
            break;
        }
        rest = &rest[size + 2..];
    }
    (body, false)
}

/// Holds events (in the forms of `chat --json`, notes by their code) and error
/// against the expectation. The error text tells what differs.
pub(crate) fn compare(
    recorded: &Recorded,
    events: &[Value],
    error: Option<&Value>,
) -> Result<(), String> {
    let case = &recorded.case;
    let expected = recorded.expected["events"].as_array().expect("events");
    if events != expected {
        let at = events
            .iter()
            .zip(expected)
            .position(|(a, b)| a != b)
            .unwrap_or_else(|| events.len().min(expected.len()));
        return Err(format!(
            "{case}: event {at} of {} (expected {}):\n  got      {}\n  expected {}\n  error    {}",
            events.len(),
            expected.len(),
            events.get(at).unwrap_or(&Value::Null),
            expected.get(at).unwrap_or(&Value::Null),
            error.unwrap_or(&Value::Null),
        ));
    }
    let expected = &recorded.expected["error"];
    let Some(error) = error else {
        return match expected {
            Value::Null => Ok(()),
            _ => Err(format!("{case}: no error, expected {expected}")),
        };
    };
    if expected.is_null() {
        return Err(format!("{case}: an error where none is expected: {error}"));
    }
    for field in [
        "kind",
        "status",
        "code",
        "retryable",
        "retry_after_ms",
        "request_sent",
        "limit",
        "requested",
    ] {
        if error[field] != expected[field] {
            return Err(format!(
                "{case}: {field} is {}, expected {}: {error}",
                error[field], expected[field]
            ));
        }
    }
    let message = error["message"].as_str().unwrap_or_default();
    for part in expected["message_contains"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let part = part.as_str().expect("text");
        if !message.contains(part) {
            return Err(format!(
                "{case}: the message does not say {part:?}: {message:?}"
            ));
        }
    }
    Ok(())
}
