//! Recorded exchanges: what was asked, what came back, how it ended.
//!
//! The form on disk is that of `tests/fixtures/vllm`, which [`crate::mock`] replays byte for byte. Here the HTTP framing is
//! taken off, because below the seam ([`crate::egress::Transport`]) there is none.

use std::path::Path;

use bytes::Bytes;

use crate::error::{Error, ErrorKind, Result};
use crate::mock::replay::{Case, Ending, read_beside};

/// Most header fields of a recorded head.
const MAX_FIELDS: usize = 128;

/// How the recording of a body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// As HTTP says it should.
    Complete,
    /// The connection ended before that.
    Closed,
    /// Nothing more came, and the connection stayed open.
    Silent,
}

/// What an exchange was for, told by its method and path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The listing of models: GET of a path that ends in `/models`.
    Models,
    /// The count of a prompt: POST to a path that ends in `tokenize`.
    Tokenize,
    /// A chat: any other POST.
    Chat,
    /// Anything else: health, version.
    Other,
}

impl Kind {
    /// What a request is for.
    #[must_use]
    pub fn of(method: &str, path: &str) -> Self {
        let path = path.split('?').next().unwrap_or_default();
        match method {
            "GET" if path.ends_with("/models") => Self::Models,
            "POST" if path.ends_with("tokenize") => Self::Tokenize,
            "POST" => Self::Chat,
            _ => Self::Other,
        }
    }
}

/// One recorded exchange.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The folder's name, such as `12-chat-stream-usage`.
    pub name: String,
    /// What was asked with.
    pub method: String,
    /// What was asked for, with its query.
    pub path: String,
    /// The server that was asked, as the request names it: a host, with its port if it has one.
    pub host: Option<String>,
    /// The status of the final head; 0: there was none.
    pub status: u16,
    /// In order, names in lower case, with those of the framing.
    pub headers: Vec<(String, Bytes)>,
    /// Without its framing.
    pub body: Bytes,
    /// How it ended.
    pub end: End,
}

impl Exchange {
    /// Reads a recording, or all recordings of a folder, in the order of their names.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Host`]: the folder can't be read or holds none, one of them is no HTTP/1.1, or a
    /// file is not a regular one within its bound. Links below the folder are not followed.
    pub fn load(folder: &Path) -> Result<Vec<Self>> {
        let all = Self::load_beside(folder, None)?.into_iter();
        Ok(all.map(|(exchange, _)| exchange).collect())
    }

    /// The same with a further file of each recording, by its name and the most bytes of it.
    pub(crate) fn load_beside(
        folder: &Path,
        beside: Option<(&'static str, u64)>,
    ) -> Result<Vec<(Self, Option<Vec<u8>>)>> {
        let failed = |why: String| {
            let folder = folder.display();
            Error::new(
                ErrorKind::Host,
                format!("could not read recorded exchanges from {folder}: {why}"),
            )
        };
        read_beside(folder, beside)
            .map_err(|error| failed(error.to_string()))?
            .into_iter()
            .map(|found| Ok((Self::of(found.case).map_err(&failed)?, found.beside)))
            .collect()
    }

    /// The recordings that this host brings along: streamed text, thinking and calls, whole answers, refusals, a stream
    /// that broke off, the listing of models, the count of a prompt.
    #[must_use]
    pub fn built_in() -> Vec<Self> {
        embedded(BUILT_IN)
    }

    /// Exchanges that were written by hand after public bug reports about other servers and clients
    /// of OpenAI's API (`tests/fixtures/wild`). No server was recorded, and what an answer should
    /// decode to is open: they are inputs for fuzzing.
    #[must_use]
    pub fn reported() -> Vec<Self> {
        embedded(REPORTED)
    }

    /// What it was for.
    #[must_use]
    pub fn kind(&self) -> Kind {
        Kind::of(&self.method, &self.path)
    }

    /// Whether the answer is a stream of events.
    #[must_use]
    pub fn is_streamed(&self) -> bool {
        self.header("content-type")
            .is_some_and(|value| value.starts_with(b"text/event-stream"))
    }

    /// The first header field of a name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        let (_, value) = self.headers.iter().find(|(own, _)| own == name)?;
        Some(value)
    }

    fn of(case: Case) -> Result<Self, String> {
        let wrong = |why: String| format!("{}: {why}", case.name);
        let mut exchange = Self {
            name: case.name.clone(),
            method: case.method,
            path: case.path,
            host: case.host,
            status: 0,
            headers: Vec::new(),
            body: Bytes::new(),
            end: match case.ending {
                Ending::Silent => End::Silent,
                Ending::KeepAlive | Ending::Close => End::Closed,
            },
        };
        let mut rest = case.raw;
        // Interim answers (100 Continue) come before the one that counts.
        while exchange.status < 200 {
            let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
            let mut head = httparse::Response::new(&mut fields);
            let parsed = head.parse(&rest).map_err(|error| wrong(error.to_string()));
            let httparse::Status::Complete(length) = parsed? else {
                exchange.status = 0;
                return Ok(exchange);
            };
            exchange.status = head.code.unwrap_or_default();
            exchange.headers = head
                .headers
                .iter()
                .map(|field| {
                    let value = Bytes::copy_from_slice(field.value);
                    (field.name.to_ascii_lowercase(), value)
                })
                .collect();
            rest = rest.split_off(length);
        }
        let complete = if exchange.header("transfer-encoding") == Some(b"chunked") {
            let (body, complete) = unchunked(&rest).map_err(|error| wrong(error.to_string()))?;
            exchange.body = body;
            complete
        } else {
            let length = exchange.header("content-length");
            let length = length.and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
            let length = length.unwrap_or(rest.len());
            let complete = rest.len() >= length;
            rest.truncate(length);
            exchange.body = rest;
            complete
        };
        if complete {
            exchange.end = End::Complete;
        }
        Ok(exchange)
    }
}

/// A chunked body without its framing, and whether its last chunk is there.
fn unchunked(mut rest: &[u8]) -> Result<(Bytes, bool), httparse::InvalidChunkSize> {
    let mut body = Vec::new();
    loop {
        let httparse::Status::Complete((line, size)) = httparse::parse_chunk_size(rest)? else {
            return Ok((body.into(), false));
        };
        if size == 0 {
            return Ok((body.into(), true));
        }
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let data = rest.get(line..).unwrap_or_default();
        body.extend_from_slice(&data[..size.min(data.len())]);
        match size.checked_add(2).and_then(|whole| data.get(whole..)) {
            Some(next) => rest = next,
            None => return Ok((body.into(), false)),
        }
    }
}

fn embedded(all: &'static [Recording]) -> Vec<Exchange> {
    let cases = all.iter().map(|(name, request, raw, meta)| {
        let case = Case::new((*name).to_owned(), request, Bytes::from_static(raw), meta);
        Exchange::of(case.ok()?).ok()
    });
    // Each of them is read by a test.
    cases.flatten().collect()
}

/// The files of a folder of exchanges, below `tests/fixtures`.
macro_rules! exchanges {
    ($folder:literal: $($name:literal),* $(,)?) => {
        &[$((
            $name,
            exchanges!(file $folder, $name, "request.http"),
            exchanges!(file $folder, $name, "response.raw"),
            exchanges!(file $folder, $name, "meta.json"),
        )),*]
    };
    (file $folder:literal, $name:literal, $file:literal) => {
        include_bytes!(concat!("../../../tests/fixtures/", $folder, "/", $name, "/", $file))
    };
}

/// Name, request, response and circumstances.
type Recording = (&'static str, &'static [u8], &'static [u8], &'static [u8]);

const BUILT_IN: &[Recording] = exchanges![
    "vllm":
    "01-models",
    "03-version",
    "06-tokenize-chat",
    "10-chat-nonstream",
    "12-chat-stream-usage",
    "17b-empty-answer-stream",
    "20b-length-stream",
    "38b-think-then-tool-stream",
    "40a-reasoning-nonstream",
    "40b-reasoning-stream",
    "51a-tool-parallel-nonstream",
    "51b-tool-parallel-stream",
    "60b-tool-broken-stream",
    "70-unknown-model",
    "71b-bad-key",
    "75c-max-tokens-too-big",
    "76-context-overflow",
    "90-client-disconnect",
    "93-engine-dies-during-stream",
    "94e-queue-full-503-nonstream",
    "v0.11.0-26-tool-required-stream",
];

const REPORTED: &[Recording] = exchanges![
    "wild":
    "01-finish-reason-null-as-text",
    "02-finish-reason-null-as-text-and-cut",
    "03-finish-reason-empty-text",
    "04-finish-reason-eos-token-with-a-call",
    "05-named-choice-name-in-every-piece",
    "06-fresh-id-per-fragment",
    "07-two-calls-both-index-0-empty-ids",
    "08-fresh-id-and-name-in-every-piece",
    "09-no-index-no-id-name-in-every-piece",
    "10-two-whole-calls-index-0-no-ids",
    "11-name-in-fragments",
    "12-name-later-than-arguments",
    "13-parallel-calls-share-an-id",
    "14-calls-then-done-without-finish-reason",
    "15-finish-reason-abort",
    "16-reasoning-then-call",
    "17-arguments-sent-twice",
    "18-no-arguments-at-all",
    "19-arguments-as-an-array",
    "20-data-null-keepalive",
    "21-single-line-feed-between-events",
    "22-last-event-without-its-blank-line",
    "23-event-line-apart-from-data",
    "24-choice-index-counts-up",
    "25-second-choice-between",
    "26-usage-in-every-chunk",
    "27-surrogate-halves-in-two-chunks",
    "28-unsolicited-gzip",
    "29-done-and-nothing-else",
    "30-choices-null-in-mid-stream",
    "31-empty-answer",
    "32-no-opening-think-tag",
    "33-error-type-and-error-message",
    "34-sse-field-error",
    "35-detail-after-text",
    "36-role-then-error-object-500",
    "37-litellm-context-window-exceeded",
    "38-overflow-inside-detail",
    "39-llama-cpp-exceed-context-size",
    "40-sglang-answer-does-not-fit",
    "41-max-tokens-beyond-max-model-len",
    "42-auto-tool-choice-not-enabled",
    "43-wrapped-raw-error",
    "44-status-200-unexpected-endpoint",
    "45-status-200-unexpected-endpoint-list",
    "46-models-key-with-names",
    "48-redirect-to-trailing-slash",
    "51-key-refused-with-a-text",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_recording_that_is_built_in_can_be_read() {
        let read = Exchange::built_in();
        assert_eq!(read.len(), BUILT_IN.len());
        let of_kind = |kind| read.iter().filter(|one| one.kind() == kind).count();
        assert_eq!(of_kind(Kind::Models), 1);
        assert_eq!(of_kind(Kind::Tokenize), 1);
        assert_eq!(of_kind(Kind::Other), 1);
        assert!(read.iter().any(Exchange::is_streamed));
        assert!(
            read.iter()
                .all(|one| one.status != 0 && !one.body.is_empty())
        );
        let broken = read.iter().filter(|one| one.end == End::Closed).count();
        assert_eq!(broken, 1, "the stream that broke off");
    }

    #[test]
    fn every_exchange_of_a_report_is_built_in_and_says_which_report() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/wild");
        let there = Exchange::load(&folder).expect("the exchanges");
        let built_in = Exchange::reported();
        let names = |all: &[Exchange]| -> Vec<String> {
            let mut names: Vec<String> = all.iter().map(|one| one.name.clone()).collect();
            names.sort();
            names
        };
        assert_eq!(names(&built_in), names(&there));
        assert_eq!(built_in.len(), REPORTED.len());
        for (name, _, _, meta) in REPORTED {
            let meta: serde_json::Value = serde_json::from_slice(meta).expect("JSON");
            let note = meta["note"].as_str().expect("a note");
            let source = note.split_once("Written by hand after ");
            let source = source.map(|(_, source)| source).unwrap_or_default();
            assert!(
                source.contains('/') && source.contains('#'),
                "{name}: {note}"
            );
        }
        let of_kind = |kind| built_in.iter().filter(|one| one.kind() == kind).count();
        assert_eq!(of_kind(Kind::Models) + of_kind(Kind::Chat), built_in.len());
        let bytes = |(_, request, raw, meta): &Recording| request.len() + raw.len() + meta.len();
        let bytes: usize = REPORTED.iter().map(bytes).sum();
        assert!(bytes < 100_000, "{bytes} bytes are part of each host");
    }

    #[test]
    fn the_framing_is_taken_off_and_what_is_missing_is_told() {
        let cases: [(&[u8], u16, &[u8], End); 6] = [
            (
                b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1;x\r\nc\r\n0\r\n\r\n",
                200,
                b"abc",
                End::Complete,
            ),
            (
                b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n5\r\nc",
                200,
                b"abc",
                End::Closed,
            ),
            (
                b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 No\r\ncontent-length: 2\r\n\r\nabc",
                404,
                b"ab",
                End::Complete,
            ),
            (
                b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc",
                200,
                b"abc",
                End::Closed,
            ),
            (b"HTTP/1.1 200 OK\r\nconten", 0, b"", End::Closed),
            (b"", 0, b"", End::Closed),
        ];
        for (raw, status, body, end) in cases {
            let case = Case::new("c".into(), b"", Bytes::from_static(raw), b"");
            let case = case.expect("a case");
            let read = Exchange::of(case).expect("an exchange");
            let found = (read.status, read.body.as_ref(), read.end);
            assert_eq!(found, (status, body, end), "{}", raw.escape_ascii());
        }
        let case = Case::new("c".into(), b"", Bytes::from_static(b"SSH-2.0\r\n"), b"");
        assert!(Exchange::of(case.expect("a case")).is_err());
    }

    #[test]
    fn a_request_is_for_what_its_path_says() {
        for (method, path, kind) in [
            ("GET", "/v1/models", Kind::Models),
            ("GET", "/v1/models?limit=5", Kind::Models),
            ("GET", "/health", Kind::Other),
            ("POST", "/tokenize", Kind::Tokenize),
            ("POST", "/v1/chat/completions", Kind::Chat),
            ("POST", "/v1/messages", Kind::Chat),
        ] {
            assert_eq!(Kind::of(method, path), kind, "{method} {path}");
        }
    }
}
