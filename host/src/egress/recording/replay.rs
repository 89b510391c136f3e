//! A transport that answers from a recording.

use std::fmt;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::Body;
use tokio::time::{Instant, Sleep, sleep_until};

use super::RecordingError;
use super::read::{End, Frame, RecordedExchange, Recording};
use crate::egress::{Exchange, ResponseBody, SentAt, Timing, Transport, TransportError};

/// How fast a recording is replayed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pace {
    /// As it was recorded, to the millisecond of tokio's timer.
    #[default]
    Original,
    /// Without waiting.
    Full,
}

/// Answers requests from a recording, without a network.
///
/// A request is answered by an exchange that was recorded for the same method and the same path with its query. Of those that
/// were not used yet the first with an equal body is taken, else the first: a prompt may have been changed since. Each
/// exchange is used once, in the order of the recording. Scheme, host and port are not looked at, so that a recording serves
/// any base URL with the same path; nor are header fields, whose secrets the recording does not have.
///
/// If none is left, the request ends in [`TransportError::NotRecorded`], which says what was asked for and what there is.
///
/// What the recording does not know the end of (it was interrupted, or whoever recorded it left) ends in
/// [`TransportError::Incomplete`] behind what came, or in [`TransportError::Closed`] if nothing did.
pub struct Replay {
    left: Mutex<Left>,
    pace: Pace,
}

struct Left {
    exchanges: Vec<Option<Arc<RecordedExchange>>>,
    /// How many there were.
    recorded: usize,
    /// The first that may not be used yet: what comes before need not be looked through again.
    from: usize,
}

impl Replay {
    /// Replays a file at its original speed.
    ///
    /// # Errors
    ///
    /// As [`Recording::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, RecordingError> {
        Recording::open(path).map(Self::new)
    }

    /// Replays a recording at its original speed.
    #[must_use]
    pub fn new(recording: Recording) -> Self {
        let exchanges: Vec<_> = recording
            .into_exchanges()
            .into_iter()
            .map(Arc::new)
            .map(Some)
            .collect();
        Self {
            left: Mutex::new(Left {
                recorded: exchanges.len(),
                exchanges,
                from: 0,
            }),
            pace: Pace::Original,
        }
    }

    /// Sets the speed.
    #[must_use]
    pub fn with_pace(mut self, pace: Pace) -> Self {
        self.pace = pace;
        self
    }

    /// How many exchanges were not used yet.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.left().exchanges.iter().flatten().count()
    }

    fn left(&self) -> MutexGuard<'_, Left> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replay")
            .field("remaining", &self.remaining())
            .field("pace", &self.pace)
            .finish_non_exhaustive()
    }
}

impl Left {
    fn take(
        &mut self,
        request: &http::Request<Bytes>,
    ) -> Result<Arc<RecordedExchange>, TransportError> {
        let target = request.uri().path_and_query();
        let fits = |one: &RecordedExchange| {
            one.method == request.method() && one.uri.path_and_query() == target
        };
        let mut first = None;
        for (at, slot) in self.exchanges.iter().enumerate().skip(self.from) {
            let Some(one) = slot.as_deref().filter(|one| fits(one)) else {
                continue;
            };
            if one.body == request.body() {
                first = Some(at);
                break;
            }
            first = first.or(Some(at));
        }
        let taken = first.and_then(|at| self.exchanges[at].take());
        while self.exchanges.get(self.from).is_some_and(Option::is_none) {
            self.from += 1;
        }
        taken.ok_or_else(|| TransportError::NotRecorded(self.missing(request)))
    }

    /// What was asked for, and what there is.
    fn missing(&self, request: &http::Request<Bytes>) -> String {
        /// As many as people read.
        const SHOWN: usize = 5;
        let name = |method: &http::Method, uri: &http::Uri| format!("{method} {}", uri.path());
        let mut there: Vec<String> = Vec::new();
        let mut left = 0;
        for one in self.exchanges.iter().flatten() {
            left += 1;
            let name = name(&one.method, &one.uri);
            if there.len() < SHOWN && !there.contains(&name) {
                there.push(name);
            }
        }
        let asked = name(request.method(), request.uri());
        let recorded = self.recorded;
        match there.is_empty() {
            true => format!("{asked}: all of its {recorded} exchanges are used"),
            false => format!(
                "{asked}: left of its {recorded} exchanges are {left}, for {}",
                there.join(", ")
            ),
        }
    }
}

impl Transport for Replay {
    fn send(&self, request: http::Request<Bytes>, timing: Timing) -> Exchange<'_> {
        let began = Instant::now();
        let taken = self.left().take(&request);
        let pace = self.pace;
        Box::pin(async move { answer(taken?, began, pace, timing).await })
    }
}

async fn answer(
    exchange: Arc<RecordedExchange>,
    began: Instant,
    pace: Pace,
    timing: Timing,
) -> Result<http::Response<ResponseBody>, TransportError> {
    let due = |at: Duration| match pace {
        Pace::Original => Some(began + at),
        Pace::Full => None,
    };
    let head = exchange.head.as_ref();
    let sent = began
        + head
            .and_then(|head| head.sent)
            .filter(|_| pace == Pace::Original)
            .unwrap_or_default();
    if let Some(due) = due(head.map_or(exchange.end.0, |head| head.at)) {
        // A recording may be slower than whoever replays it has time.
        let patience = timing.answered_by(sent);
        sleep_until(due.min(patience)).await;
        if due > patience {
            return Err(TransportError::FirstByteTimeout {
                after: timing.first_byte,
            });
        }
    }
    let Some(head) = head else {
        return Err(match &exchange.end.1 {
            End::Failed(error) => error.clone(),
            _ => TransportError::Closed("the recording ends before the answer".to_owned()),
        });
    };
    let mut response = http::Response::new(());
    *response.status_mut() = head.status;
    *response.headers_mut() = head.headers.clone();
    response.extensions_mut().insert(SentAt(sent));
    let body = ReplayedBody {
        exchange,
        next: 0,
        began: due(Duration::ZERO),
        timer: None,
        ended: false,
    };
    Ok(response.map(|()| ResponseBody::stream(body)))
}

struct ReplayedBody {
    exchange: Arc<RecordedExchange>,
    /// The frame that comes next.
    next: usize,
    /// What times are counted from; none: nothing is waited for.
    began: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
    ended: bool,
}

impl ReplayedBody {
    /// Ready at a time of the recording.
    fn poll_due(&mut self, cx: &mut Context<'_>, at: Duration) -> Poll<()> {
        let Some(due) = self.began.map(|began| began + at) else {
            return Poll::Ready(());
        };
        if Instant::now() >= due {
            return Poll::Ready(());
        }
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if timer.deadline() != due {
            timer.as_mut().reset(due);
        }
        timer.as_mut().poll(cx)
    }
}

impl Body for ReplayedBody {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, TransportError>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let exchange = Arc::clone(&self.exchange);
        if let Some((at, frame)) = exchange.frames.get(self.next) {
            ready!(self.poll_due(cx, *at));
            self.next += 1;
            let frame = match frame {
                Frame::Data(data) => http_body::Frame::data(data.clone()),
                Frame::Trailers(trailers) => http_body::Frame::trailers((**trailers).clone()),
            };
            return Poll::Ready(Some(Ok(frame)));
        }
        ready!(self.poll_due(cx, exchange.end.0));
        self.ended = true;
        Poll::Ready(match &exchange.end.1 {
            End::Complete => None,
            End::Failed(error) => Some(Err(error.clone())),
            End::Dropped => Some(Err(TransportError::Incomplete(
                "the recording ends here: whoever made it left".to_owned(),
            ))),
            End::Unknown => Some(Err(TransportError::Incomplete(
                "the recording was interrupted here".to_owned(),
            ))),
        })
    }
}
