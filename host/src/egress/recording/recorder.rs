//! A transport that writes down what another one carries.

use std::fmt;
use std::io::Write;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, header};
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use super::RecordingError;
use super::failure::Failure;
use super::format::{EndWord, Fields, Line, Request, Response, spelled, to_latin1};
use super::log::{Log, create, microseconds};
use super::redaction::{Pieces, Redaction};
use crate::egress::{Exchange, ResponseBody, SentAt, Timing, Transport, TransportError};
use crate::policy::Grant;
use crate::policy::secret::REDACTED;

/// Fields whose values are credentials whatever they hold: RFC 9110 §11, RFC 6265, and what gateways go by.
const CREDENTIALS: [HeaderName; 6] = [
    header::AUTHORIZATION,
    header::PROXY_AUTHORIZATION,
    header::COOKIE,
    header::SET_COOKIE,
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("api-key"),
];

/// Writes each exchange down on its way through another transport. What is written, and what is not, is told in
/// [`crate::egress::recording`].
///
/// Writing never changes an exchange: if the file can't be written any more, the recording ends there
/// ([`Recorder::failure`]) and the exchange goes on. Lines are written where the body is read, so that the file should be on a
/// disk of this machine.
pub struct Recorder {
    inner: Box<dyn Transport>,
    log: Arc<Log>,
}

impl Recorder {
    /// Records into a new file, readable by its owner only where the system can. `grant` is whose secrets are left out.
    ///
    /// # Errors
    ///
    /// [`RecordingError::Exists`] if there is such a file: a recording replaces nothing. [`RecordingError::File`] and
    /// [`RecordingError::Io`] if it can't be made.
    pub fn create(
        path: impl AsRef<Path>,
        inner: impl Transport,
        grant: &Grant,
    ) -> Result<Self, RecordingError> {
        Self::to_writer(create(path.as_ref())?, inner, grant)
    }

    /// Records into anything. Each line comes in one piece and is flushed.
    ///
    /// # Errors
    ///
    /// [`RecordingError::Io`] if the first line can't be written.
    pub fn to_writer(
        writer: impl Write + Send + 'static,
        inner: impl Transport,
        grant: &Grant,
    ) -> Result<Self, RecordingError> {
        let redaction = Redaction::new(&grant.secrets);
        Ok(Self {
            inner: Box::new(inner),
            log: Arc::new(Log::begin(writer, redaction)?),
        })
    }

    /// Why the recording is not whole: the file could not be written, or is as large as one may be. None: it is.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.log.failure().map(|why| why.to_string())
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder")
            .field("failure", &self.failure())
            .finish_non_exhaustive()
    }
}

impl Transport for Recorder {
    fn send(&self, request: http::Request<Bytes>, timing: Timing) -> Exchange<'_> {
        let Some(mut entry) = Entry::begin(&self.log, &request) else {
            return self.inner.send(request, timing);
        };
        let answer = self.inner.send(request, timing);
        Box::pin(async move {
            match answer.await {
                Err(error) => {
                    entry.failed(&error);
                    Err(error)
                }
                Ok(response) => {
                    entry.head(&response);
                    Ok(response.map(|body| RecordedBody::over(body, entry)))
                }
            }
        })
    }
}

/// One exchange that is being written down. Dropped before its end, it says so.
struct Entry {
    log: Arc<Log>,
    number: u64,
    began: Instant,
    pieces: Pieces,
    ended: bool,
}

impl Entry {
    fn begin(log: &Arc<Log>, request: &http::Request<Bytes>) -> Option<Self> {
        let (number, begun_us) = log.exchange()?;
        let entry = Self {
            log: Arc::clone(log),
            number,
            began: Instant::now(),
            pieces: Pieces::default(),
            ended: false,
        };
        let redaction = &log.redaction;
        let (body, body_latin1) = spelled(redaction.body(request.body()));
        entry.write(Line {
            request: Some(Request {
                begun_us,
                method: request.method().to_string(),
                uri: redaction.text(&request.uri().to_string()),
                headers: fields(request.headers(), redaction),
                body: body.filter(|body| !body.is_empty()),
                body_latin1,
            }),
            ..Line::default()
        });
        Some(entry)
    }

    fn now(&self) -> u64 {
        microseconds(self.began.elapsed())
    }

    fn write(&self, line: Line) {
        self.log.write(&Line {
            exchange: self.number,
            ..line
        });
    }

    fn head(&self, response: &http::Response<ResponseBody>) {
        let sent = response.extensions().get::<SentAt>();
        let sent = sent.map(|SentAt(at)| at.saturating_duration_since(self.began));
        self.write(Line {
            at_us: self.now(),
            response: Some(Response {
                sent_us: sent.map(microseconds),
                status: response.status().as_u16(),
                headers: fields(response.headers(), &self.log.redaction),
            }),
            ..Line::default()
        });
    }

    fn frame(&mut self, frame: &Frame<Bytes>) {
        let now = self.now();
        if let Some(data) = frame.data_ref() {
            let pieces = self.pieces.push(now, data.clone(), &self.log.redaction);
            self.data(pieces);
        } else if let Some(trailers) = frame.trailers_ref() {
            self.flush();
            self.write(Line {
                at_us: now,
                trailers: Some(fields(trailers, &self.log.redaction)),
                ..Line::default()
            });
        }
    }

    fn data(&self, pieces: Vec<(u64, Vec<u8>)>) {
        for (at_us, piece) in pieces {
            let (data, data_latin1) = spelled(piece.into());
            self.write(Line {
                at_us,
                data,
                data_latin1,
                ..Line::default()
            });
        }
    }

    /// Writes what was held back.
    fn flush(&mut self) {
        let pieces = self.pieces.finish(&self.log.redaction);
        self.data(pieces);
    }

    fn failed(&mut self, error: &TransportError) {
        let failure = Failure::new(error).redacted(&self.log.redaction);
        self.end(EndWord::Failed, Some(failure));
    }

    fn end(&mut self, end: EndWord, failure: Option<Failure>) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        self.flush();
        self.write(Line {
            at_us: self.now(),
            end: Some(end),
            failure,
            ..Line::default()
        });
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.end(EndWord::Dropped, None);
    }
}

/// Header fields as they may be seen.
fn fields(headers: &HeaderMap, redaction: &Redaction) -> Fields {
    let value = |(name, value): (&HeaderName, &http::HeaderValue)| {
        let shown = match value.is_sensitive() || CREDENTIALS.contains(name) {
            true => REDACTED.to_owned(),
            false => to_latin1(&redaction.bytes(value.as_bytes())),
        };
        (redaction.text(name.as_str()), shown)
    };
    headers.iter().map(value).collect()
}

/// A body that is written down while it is read.
pub(in crate::egress) struct RecordedBody {
    inner: ResponseBody,
    entry: Entry,
}

impl RecordedBody {
    fn over(inner: ResponseBody, mut entry: Entry) -> ResponseBody {
        if inner.is_end_stream() {
            entry.end(EndWord::Complete, None);
        }
        ResponseBody::recorded(Self { inner, entry })
    }

    /// The reader leaves because of this.
    pub(in crate::egress) fn give_up(&mut self, why: &TransportError) {
        self.entry.failed(why);
    }
}

impl Body for RecordedBody {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        let this = &mut *self;
        let frame = ready!(Pin::new(&mut this.inner).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                this.entry.frame(frame);
                // Who reads a body of known length need not ask for its end.
                if this.inner.is_end_stream() {
                    this.entry.end(EndWord::Complete, None);
                }
            }
            Some(Err(error)) => this.entry.failed(error),
            None => this.entry.end(EndWord::Complete, None),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
