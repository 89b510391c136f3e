//! What comes back for one request: a head, pieces and pauses, and an end; or no answer at all.
//!
//! Time is told by its order only. A [`Step::Pause`] makes the reader wait once and wakes it at once; a silence that a
//! real network would sit out comes as the error that it ends in.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::exchange::{End, Exchange};
use crate::egress::TransportError;
use crate::policy::limits::{FIRST_BYTE_TIMEOUT, IDLE_TIMEOUT, TOTAL_TIMEOUT};

/// What is sent back for one request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// A head, and what follows.
    Answer(Answer),
    /// Not even a head.
    NoAnswer(NoAnswer),
}

/// An answer with a head.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// HTTP status. One that is no final status is a broken protocol.
    pub status: u16,
    /// Header fields in order. One that HTTP does not allow is a broken protocol.
    pub headers: Vec<(String, Latin1)>,
    /// The body, with moments of waiting.
    pub steps: Vec<Step>,
    /// How it ends.
    pub end: Ending,
}

/// A part of a body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// These bytes, in one frame.
    Bytes(Latin1),
    /// Nothing just now.
    Pause,
}

/// Bytes that are written down as text, a character for each: most of them are ASCII, and people read them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latin1(pub Bytes);

impl<T: Into<Bytes>> From<T> for Latin1 {
    fn from(bytes: T) -> Self {
        Self(bytes.into())
    }
}

impl Serialize for Latin1 {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text: String = self.0.iter().map(|byte| char::from(*byte)).collect();
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Latin1 {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes: Result<Vec<u8>, _> = text.chars().map(u8::try_from).collect();
        let bytes = bytes.map_err(|_| {
            serde::de::Error::custom("bytes are written as characters up to U+00FF")
        })?;
        Ok(Self(bytes.into()))
    }
}

/// How a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// As HTTP says it should.
    Complete,
    /// The connection is closed too early.
    Closed,
    /// The connection is reset.
    Reset,
    /// Silence, until the host gives up.
    Silent,
    /// More bytes than any body may have.
    TooLong,
    /// The time for a whole exchange is over.
    Late,
    /// A chunk that is none.
    Broken,
}

/// Why there is no head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NoAnswer {
    /// Nothing listens.
    Refused,
    /// No such name.
    NoName,
    /// No connection in time.
    NoConnection,
    /// A certificate that is not trusted.
    Certificate,
    /// The server does not speak TLS.
    NoTls,
    /// The connection is closed without an answer.
    Closed,
    /// No answer in time.
    Silent,
    /// What came is no HTTP.
    NoHttp,
    /// A head without end.
    HugeHead,
}

impl Reply {
    /// A whole answer in one piece.
    #[must_use]
    pub fn new(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        let content_type = Bytes::copy_from_slice(content_type.as_bytes());
        Self::Answer(Answer {
            status,
            headers: vec![("content-type".to_owned(), content_type.into())],
            steps: vec![Step::Bytes(Latin1(body.into()))],
            end: Ending::Complete,
        })
    }

    /// A whole answer in JSON.
    #[must_use]
    pub fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::new(status, "application/json", body.to_string())
    }

    /// A stream of events, each `data` by itself, and each in a piece of its own.
    #[must_use]
    pub fn events<T: AsRef<str>>(data: impl IntoIterator<Item = T>) -> Self {
        let Self::Answer(mut answer) = Self::new(200, "text/event-stream", "") else {
            unreachable!("a head was made")
        };
        let event = |data: T| format!("data: {}\n\n", data.as_ref());
        answer.steps = data
            .into_iter()
            .map(|data| Step::Bytes(event(data).into()))
            .collect();
        Self::Answer(answer)
    }

    /// What was recorded, in one piece.
    #[must_use]
    pub fn of(recorded: &Exchange) -> Self {
        if recorded.status == 0 {
            return Self::NoAnswer(match recorded.end {
                End::Silent => NoAnswer::Silent,
                End::Complete | End::Closed => NoAnswer::Closed,
            });
        }
        let headers = recorded.headers.iter();
        Self::Answer(Answer {
            status: recorded.status,
            headers: headers
                .map(|(name, value)| (name.clone(), value.clone().into()))
                .collect(),
            steps: vec![Step::Bytes(recorded.body.clone().into())],
            end: match recorded.end {
                End::Complete => Ending::Complete,
                End::Closed => Ending::Closed,
                End::Silent => Ending::Silent,
            },
        })
    }

    /// The same with another end.
    #[must_use]
    pub fn ending(mut self, end: Ending) -> Self {
        if let Self::Answer(answer) = &mut self {
            answer.end = end;
        }
        self
    }

    /// The same bytes in pieces of `length`, with a pause after each. Pauses that were there are not kept.
    #[must_use]
    pub fn cut_every(self, length: usize) -> Self {
        self.cut_by(|_| (length, true))
    }

    /// The same bytes in other pieces. `next` is told how many bytes are left, and says how long the next piece is (at
    /// least 1) and whether a pause follows.
    #[must_use]
    pub fn cut_by(mut self, mut next: impl FnMut(usize) -> (usize, bool)) -> Self {
        if let Self::Answer(answer) = &mut self {
            let mut rest = answer.body();
            answer.steps.clear();
            while !rest.is_empty() {
                let (length, pause) = next(rest.len());
                let piece = rest.split_to(length.clamp(1, rest.len()));
                answer.steps.push(Step::Bytes(Latin1(piece)));
                if pause {
                    answer.steps.push(Step::Pause);
                }
            }
        }
        self
    }

    /// How many bytes come back.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Answer(answer) => answer.steps.iter().map(Step::len).sum(),
            Self::NoAnswer(_) => 0,
        }
    }

    /// Whether no byte of a body comes back.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Answer {
    /// The whole body.
    #[must_use]
    pub fn body(&self) -> Bytes {
        if let [Step::Bytes(Latin1(only))] = self.steps.as_slice() {
            return only.clone();
        }
        let mut body = Vec::new();
        for step in &self.steps {
            if let Step::Bytes(Latin1(bytes)) = step {
                body.extend_from_slice(bytes);
            }
        }
        body.into()
    }
}

impl Step {
    fn len(&self) -> usize {
        match self {
            Self::Bytes(Latin1(bytes)) => bytes.len(),
            Self::Pause => 0,
        }
    }
}

/// The host of [`super::BASE_URL`] in the words of failures.
const HOST: &str = "model-server.test";

impl NoAnswer {
    /// What the network would say.
    pub(super) fn error(self) -> TransportError {
        let host = HOST.to_owned();
        match self {
            Self::Refused => TransportError::Refused {
                address: ([192, 0, 2, 1], 80).into(),
            },
            Self::NoName => TransportError::Dns {
                host,
                detail: "no such name".to_owned(),
            },
            Self::NoConnection => TransportError::ConnectTimeout {
                host,
                after: Duration::from_secs(10),
            },
            Self::Certificate => TransportError::Certificate {
                host,
                detail: "it has expired".to_owned(),
            },
            Self::NoTls => TransportError::Tls {
                host,
                detail: "received corrupt message".to_owned(),
            },
            Self::Closed => TransportError::Closed("connection closed".to_owned()),
            Self::Silent => TransportError::FirstByteTimeout {
                after: FIRST_BYTE_TIMEOUT,
            },
            Self::NoHttp => TransportError::Protocol("invalid HTTP version parsed".to_owned()),
            Self::HugeHead => TransportError::HeadersTooLarge {
                limit: crate::policy::limits::RESPONSE_HEADER_BYTES,
                fields: crate::policy::limits::RESPONSE_HEADER_FIELDS,
            },
        }
    }
}

impl Ending {
    /// What the network would say; none for an end as it should be.
    pub(super) fn error(self, received: bool) -> Option<TransportError> {
        Some(match self {
            Self::Complete => return None,
            Self::Closed => TransportError::Incomplete("connection closed".to_owned()),
            Self::Reset => TransportError::Incomplete("connection reset by peer".to_owned()),
            Self::Silent if received => TransportError::IdleTimeout {
                after: IDLE_TIMEOUT,
            },
            Self::Silent => TransportError::FirstByteTimeout {
                after: FIRST_BYTE_TIMEOUT,
            },
            Self::TooLong => TransportError::ResponseBodyTooLarge {
                limit: crate::policy::limits::RESPONSE_BODY_BYTES,
            },
            Self::Late => TransportError::TotalTimeout {
                after: TOTAL_TIMEOUT,
            },
            Self::Broken => TransportError::Protocol("invalid chunk size line".to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_are_the_same_after_they_were_written_down() {
        let all: Vec<u8> = (0..=255).collect();
        let reply = Reply::new(200, "x", all).cut_every(100);
        let text = serde_json::to_string(&reply).unwrap();
        assert_eq!(serde_json::from_str::<Reply>(&text).unwrap(), reply);
        assert!(serde_json::from_str::<Latin1>("\"\u{100}\"").is_err());
    }

    #[test]
    fn cutting_keeps_the_bytes() {
        let reply = Reply::new(200, "x", "abcdefg");
        let Reply::Answer(answer) = reply.clone().cut_every(3) else {
            panic!("an answer was made")
        };
        assert_eq!(answer.body(), "abcdefg");
        assert_eq!(answer.steps.len(), 6);
        assert_eq!((reply.len(), reply.cut_every(0).len()), (7, 7));
    }
}
