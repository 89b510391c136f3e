//! The body of a response, bounded: in time without a byte, in time altogether, and in bytes.
//!
//! A frame that is there costs two comparisons and a look at the clock, so that a server which is never silent is bounded
//! in time as well. The timer is looked at only when the guest has to wait, and armed anew only when it fires, since its time
//! only moves later. Only waiting counts as silence: a guest that pauses between two reads finds its stream as it was, within
//! the time for the whole exchange.

use super::hooks::{Failures, Slot};
use super::transport::ResponseBody;
use super::{Traffic, TransportError};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};
use wasmtime_wasi_http::Error as WasiError;

/// The bounds of one body.
pub(super) struct Bounds {
    /// Waiting time that is left until the first byte; the head took its part.
    pub(super) first_byte: Duration,
    /// The whole time for the first byte, for the message.
    pub(super) first_byte_allowed: Duration,
    /// Waiting time between two frames.
    pub(super) idle: Duration,
    /// When the whole exchange must be over.
    pub(super) deadline: Instant,
    /// The whole time of the exchange, for the message.
    pub(super) total_allowed: Duration,
    /// Bytes of the body.
    pub(super) bytes: u64,
}

/// A response's body on its way to the guest.
pub(super) struct BoundedBody {
    /// `None` once it ended or failed: the connection is given up at that moment, not when the guest lets go.
    live: Option<Live>,
    bounds: Bounds,
    bytes_left: u64,
    received: bool,
    /// Since when the guest has been waiting for the next frame.
    waiting: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
    failures: Arc<Failures>,
    traffic: Arc<Traffic>,
}

struct Live {
    body: ResponseBody,
    /// Counts this exchange among those under way.
    _slot: Slot,
}

impl BoundedBody {
    pub(super) fn new(
        body: ResponseBody,
        bounds: Bounds,
        slot: Slot,
        failures: Arc<Failures>,
        traffic: Arc<Traffic>,
    ) -> Self {
        Self {
            live: Some(Live { body, _slot: slot }),
            bytes_left: bounds.bytes,
            bounds,
            received: false,
            waiting: None,
            timer: None,
            failures,
            traffic,
        }
    }

    fn fail(&mut self, error: TransportError) -> WasiError {
        self.live = None;
        self.timer = None;
        self.failures.record(error)
    }

    /// Counts a frame that came.
    fn admit(&mut self, frame: &Frame<Bytes>) -> Result<(), TransportError> {
        self.waiting = None;
        if Instant::now() >= self.bounds.deadline {
            return Err(TransportError::TotalTimeout {
                after: self.bounds.total_allowed,
            });
        }
        let Some(data) = frame.data_ref() else {
            return Ok(());
        };
        self.received = true;
        self.traffic.count(data.len() as u64);
        match self.bytes_left.checked_sub(data.len() as u64) {
            Some(left) => {
                self.bytes_left = left;
                Ok(())
            }
            None => Err(TransportError::ResponseBodyTooLarge {
                limit: self.bounds.bytes,
            }),
        }
    }

    /// When the present waiting ends, and as what.
    fn due(&self, since: Instant) -> (Instant, TransportError) {
        let bounds = &self.bounds;
        let (silence, error) = if self.received {
            let after = bounds.idle;
            (bounds.idle, TransportError::IdleTimeout { after })
        } else {
            let after = bounds.first_byte_allowed;
            (
                bounds.first_byte,
                TransportError::FirstByteTimeout { after },
            )
        };
        let silent = since + silence;
        if silent <= bounds.deadline {
            (silent, error)
        } else {
            let after = bounds.total_allowed;
            (bounds.deadline, TransportError::TotalTimeout { after })
        }
    }

    /// Ready when the waiting has lasted too long.
    fn poll_overdue(&mut self, cx: &mut Context<'_>) -> Poll<TransportError> {
        let since = *self.waiting.get_or_insert_with(Instant::now);
        let (due, error) = self.due(since);
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
        // It may be armed for later than this only when the first byte's time gives way to a shorter idle time.
        if timer.deadline() > due {
            timer.as_mut().reset(due);
        }
        loop {
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if Instant::now() >= due {
                return Poll::Ready(error);
            }
            // It was armed for an earlier waiting, which ended.
            timer.as_mut().reset(due);
        }
    }
}

impl Body for BoundedBody {
    type Data = Bytes;
    type Error = WasiError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, WasiError>>> {
        let this = &mut *self;
        let Some(live) = &mut this.live else {
            return Poll::Ready(None);
        };
        let error = match Pin::new(&mut live.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => match this.admit(&frame) {
                Ok(()) => return Poll::Ready(Some(Ok(frame))),
                Err(error) => error,
            },
            Poll::Ready(Some(Err(error))) => error,
            Poll::Ready(None) => {
                this.live = None;
                this.timer = None;
                return Poll::Ready(None);
            }
            Poll::Pending => match this.poll_overdue(cx) {
                Poll::Ready(error) => error,
                Poll::Pending => return Poll::Pending,
            },
        };
        Poll::Ready(Some(Err(this.fail(error))))
    }

    fn is_end_stream(&self) -> bool {
        self.live
            .as_ref()
            .is_none_or(|live| live.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.live
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), |live| live.body.size_hint())
    }
}
