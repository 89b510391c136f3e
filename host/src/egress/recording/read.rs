//! A recording, read: bounded, and each line held against what must have come before.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read as _};
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};

use super::format::{self, EndWord, Line, MAGIC, Title, VERSION, from_latin1, unspelled};
use super::{
    LATEST_US, MAX_EXCHANGES, MAX_FIELDS, MAX_LINE_BYTES, MAX_LINES, MAX_RECORDING_BYTES,
    RecordingError,
};
use crate::egress::TransportError;
use crate::file::{self, Links};

/// What was recorded, in the order of the requests.
#[derive(Debug, Clone, Default)]
pub struct Recording {
    exchanges: Vec<RecordedExchange>,
}

/// A request and what became of it. Times are since the request was given to the transport.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RecordedExchange {
    /// Its method.
    pub method: Method,
    /// Its absolute URI.
    pub uri: Uri,
    /// Its header fields. Secrets are `***`.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// The head of the answer, if one came.
    pub head: Option<Head>,
    /// The body of the answer in pieces as they came.
    pub frames: Vec<(Duration, Frame)>,
    /// When and how it ended.
    pub end: (Duration, End),
}

/// The head of an answer.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Head {
    /// When it came.
    pub at: Duration,
    /// When the request had left, if the transport said so: connecting came before that.
    pub sent: Option<Duration>,
    /// The status.
    pub status: StatusCode,
    /// The header fields.
    pub headers: HeaderMap,
}

/// A piece of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// Bytes.
    Data(Bytes),
    /// Trailer fields.
    Trailers(Box<HeaderMap>),
}

/// How an exchange ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// The answer is whole.
    Complete,
    /// It failed.
    Failed(TransportError),
    /// Whoever waited for it left.
    Dropped,
    /// The recording does not say: it was interrupted.
    Unknown,
}

impl Recording {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// [`RecordingError::File`] if it can't be read or is no regular file; else as [`Recording::read`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, RecordingError> {
        let path = path.as_ref();
        let failed = |why: String| RecordingError::File {
            path: path.to_owned(),
            why,
        };
        // How much is read is bounded line by line.
        let (file, _) = file::open(path, Links::Followed)
            .map_err(|error| failed(format!("{error}{}", error.remedy())))?;
        Self::read(BufReader::new(file)).map_err(|error| match error {
            RecordingError::Io(error) => failed(error.to_string()),
            other => other,
        })
    }

    /// Reads all there is, within the bounds of [`crate::egress::recording`]. A last line that is not whole is left out: the recording was interrupted there.
    ///
    /// # Errors
    ///
    /// [`RecordingError::Version`], [`RecordingError::Line`] or [`RecordingError::TooLarge`], and
    /// [`RecordingError::Io`] with the reader's own error.
    pub fn read(reader: impl BufRead) -> Result<Self, RecordingError> {
        let mut lines = Lines {
            reader,
            buffer: Vec::new(),
            number: 0,
            bytes: 0,
        };
        title(lines.next()?)?;
        let mut found = Found::default();
        while let Some((line, whole)) = lines.next()? {
            let parsed = serde_json::from_slice::<Line>(line);
            let taken = match parsed {
                Ok(line) => found.take(line),
                Err(_) if !whole => break,
                Err(error) => Err(format!("{error}")),
            };
            taken.map_err(|why| RecordingError::Line {
                line: lines.number,
                why,
            })?;
        }
        Ok(Self {
            exchanges: found.exchanges,
        })
    }

    /// The exchanges in the order of their requests.
    #[must_use]
    pub fn exchanges(&self) -> &[RecordedExchange] {
        &self.exchanges
    }

    pub(super) fn into_exchanges(self) -> Vec<RecordedExchange> {
        self.exchanges
    }
}

struct Lines<R> {
    reader: R,
    buffer: Vec<u8>,
    number: usize,
    bytes: u64,
}

impl<R: BufRead> Lines<R> {
    /// The next line without its end, and whether it had one.
    fn next(&mut self) -> Result<Option<(&[u8], bool)>, RecordingError> {
        self.buffer.clear();
        self.number += 1;
        let mut bounded = (&mut self.reader).take(MAX_LINE_BYTES + 1);
        let read = bounded.read_until(b'\n', &mut self.buffer);
        let read = read.map_err(RecordingError::Io)? as u64;
        self.bytes += read;
        let bounds = [
            (read, MAX_LINE_BYTES, "bytes in a line"),
            (self.bytes, MAX_RECORDING_BYTES, "bytes"),
            (self.number as u64, MAX_LINES as u64, "lines"),
        ];
        if let Some((_, limit, of)) = bounds.into_iter().find(|(is, most, _)| is > most) {
            return Err(RecordingError::TooLarge {
                line: self.number,
                limit,
                of,
            });
        }
        if read == 0 {
            return Ok(None);
        }
        let whole = self.buffer.ends_with(b"\n");
        let line = self.buffer.strip_suffix(b"\n").unwrap_or(&self.buffer);
        Ok(Some((line, whole)))
    }
}

fn title(line: Option<(&[u8], bool)>) -> Result<(), RecordingError> {
    let refused = |why: String| Err(RecordingError::Version { why });
    let Some((line, _)) = line else {
        return refused("it is empty".to_owned());
    };
    let title: Title = match serde_json::from_slice(line) {
        Ok(title) => title,
        Err(error) => return refused(format!("its first line does not say so ({error})")),
    };
    if title.recording != MAGIC {
        return refused(format!(
            "it is a recording of {:?}",
            short(&title.recording)
        ));
    }
    if title.version != VERSION {
        let found = title.version;
        return refused(format!(
            "it has version {found}, and {VERSION} is the one that is known"
        ));
    }
    Ok(())
}

/// What stands in an error of a text that somebody else wrote.
fn short(text: &str) -> &str {
    &text[..text.floor_char_boundary(40)]
}

#[derive(Default)]
struct Found {
    exchanges: Vec<RecordedExchange>,
    /// Places by number, of those that have not ended.
    open: HashMap<u64, usize>,
}

impl Found {
    fn take(&mut self, line: Line) -> Result<(), String> {
        if line.at_us > LATEST_US {
            return Err(format!(
                "at_us is {}; the latest is {LATEST_US}, a day",
                line.at_us
            ));
        }
        let data = unspelled(line.data, line.data_latin1.as_deref())?;
        let things = [
            line.request.is_some(),
            line.response.is_some(),
            data.is_some(),
            line.trailers.is_some(),
            line.end.is_some(),
        ];
        if things.iter().filter(|there| **there).count() != 1 {
            return Err("a line has one of request, response, data, trailers and end".to_owned());
        }
        if line.failure.is_some() != (line.end == Some(EndWord::Failed)) {
            return Err("a failure stands beside the end `failed`, and nowhere else".to_owned());
        }
        if let Some(asked) = line.request {
            return self.begin(line.exchange, asked);
        }
        let Some(place) = self.open.get(&line.exchange).copied() else {
            let number = line.exchange;
            return Err(format!("exchange {number} has not begun, or has ended"));
        };
        let exchange = &mut self.exchanges[place];
        // What stands below came later, whatever it says.
        let at = Duration::from_micros(line.at_us).max(exchange.end.0);
        exchange.end.0 = at;
        match (line.response, data, line.trailers, line.end) {
            (Some(response), ..) => {
                if exchange.head.is_some() {
                    return Err("the exchange has a response already".to_owned());
                }
                exchange.head = Some(head(at, response)?);
            }
            (_, _, _, Some(end)) => {
                exchange.end.1 = match (end, line.failure) {
                    (EndWord::Failed, Some(failure)) => End::Failed(failure.error()?),
                    (EndWord::Complete, _) if exchange.head.is_none() => {
                        return Err("an exchange without a response is not complete".to_owned());
                    }
                    (EndWord::Complete, _) => End::Complete,
                    (EndWord::Dropped | EndWord::Failed, _) => End::Dropped,
                };
                self.open.remove(&line.exchange);
            }
            (_, data, trailers, _) => {
                if exchange.head.is_none() {
                    return Err("a body comes before its response".to_owned());
                }
                let frame = match (data, trailers) {
                    (Some(data), _) => Frame::Data(data.into()),
                    (None, trailers) => {
                        Frame::Trailers(headers(trailers.unwrap_or_default())?.into())
                    }
                };
                exchange.frames.push((at, frame));
            }
        }
        Ok(())
    }

    fn begin(&mut self, number: u64, asked: format::Request) -> Result<(), String> {
        if self.exchanges.len() >= MAX_EXCHANGES {
            return Err(format!("more than {MAX_EXCHANGES} exchanges"));
        }
        if self.open.insert(number, self.exchanges.len()).is_some() {
            return Err(format!("exchange {number} has begun already"));
        }
        let no = |what: &str, text: &str| format!("{:?} is no {what}", short(text));
        let body = unspelled(asked.body, asked.body_latin1.as_deref())?;
        self.exchanges.push(RecordedExchange {
            method: Method::from_bytes(asked.method.as_bytes())
                .map_err(|_| no("method", &asked.method))?,
            uri: asked.uri.parse().map_err(|_| no("URI", &asked.uri))?,
            headers: headers(asked.headers)?,
            body: body.unwrap_or_default().into(),
            head: None,
            frames: Vec::new(),
            end: (Duration::ZERO, End::Unknown),
        });
        Ok(())
    }
}

fn head(at: Duration, response: format::Response) -> Result<Head, String> {
    let status = response.status;
    let sent = response.sent_us.map(Duration::from_micros);
    Ok(Head {
        at,
        sent: sent.map(|sent| sent.min(at)),
        status: StatusCode::from_u16(status)
            .map_err(|_| format!("{status} is no status of HTTP"))?,
        headers: headers(response.headers)?,
    })
}

fn headers(fields: format::Fields) -> Result<HeaderMap, String> {
    if fields.len() > MAX_FIELDS {
        return Err(format!(
            "{} header fields; at most {MAX_FIELDS} are read",
            fields.len()
        ));
    }
    let mut headers = HeaderMap::with_capacity(fields.len());
    for (name, value) in fields {
        let refused = || format!("{:?} is no header field of HTTP", short(&name));
        let value = from_latin1(&value)?;
        let value = HeaderValue::from_bytes(&value).map_err(|_| refused())?;
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| refused())?;
        headers.append(name, value);
    }
    Ok(headers)
}
