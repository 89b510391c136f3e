//! The body of a response, bounded: in time without a byte, in time altogether, and in bytes.
//!
//! A server sends each token as a piece of its own, and each piece that a guest takes costs a call into the host. So all
//! pieces that have arrived are put together, and the guest takes them in one go; it never waits for a second one. That
//! costs a copy of some hundred bytes a piece, and saves the call.
//!
//! What is there costs two comparisons a piece and a look at the clock, so that a server which is never silent is bounded
//! in time as well. The timer is looked at only when the guest has to wait, and armed anew only when it fires, since its time
//! only moves later. Only waiting counts as silence: a guest that pauses between two reads finds its stream as it was, within
//! the time for the whole exchange.
//!
//! Last, secrets are taken out of what the guest is given. Bytes wait only where they may be the
//! beginning of a secret, and are given out when the next bytes, the end or an error decide it.

use super::hooks::{Failures, Slot, own_values, scrub_fields};
use super::transport::ResponseBody;
use super::{Traffic, TransportError};
use crate::alarm::Alarm;
use crate::policy::search::{Matcher, Stream};
use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;
use wasmtime_wasi_http::Error as WasiError;

/// From so many bytes on nothing more is put together: a guest reads no more than that at once.
const TOGETHER_BYTES: usize = 64 << 10;

/// Most pieces that are put together: a server may send a byte in each, and nobody else computes meanwhile.
const TOGETHER_PIECES: usize = 256;

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
    /// Finds the secrets that the guest must not see.
    pub(super) matcher: Arc<Matcher>,
}

/// A response's body on its way to the guest.
pub(super) struct BoundedBody {
    /// `None` once it ended or failed: the connection is given up at that moment, not when the guest lets go.
    live: Option<Live>,
    bounds: Bounds,
    bytes_left: u64,
    received: bool,
    /// What came behind the pieces that were given out last: no piece, or none that could be put together with them.
    next: Option<Option<Result<Frame<Bytes>, TransportError>>>,
    /// What may be the beginning of a secret waits here for what follows it.
    scrubbed: Stream,
    /// What the guest is told behind the bytes that were given out last: the error in which the body
    /// ended, while its connection is given up already.
    ended: Option<WasiError>,
    /// Since when the guest has been waiting for the next frame.
    waiting: Option<Instant>,
    alarm: Alarm,
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
            next: None,
            scrubbed: Stream::default(),
            ended: None,
            waiting: None,
            alarm: Alarm::default(),
            failures,
            traffic,
        }
    }

    fn fail(&mut self, error: TransportError) -> WasiError {
        if let Some(live) = &mut self.live {
            live.body.give_up(&error);
        }
        self.end();
        self.failures.record(error)
    }

    fn end(&mut self) {
        self.live = None;
        self.next = None;
        self.alarm = Alarm::default();
    }

    /// Counts a piece that came.
    fn admit(&mut self, data: &Bytes) -> Result<(), TransportError> {
        self.received = true;
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

    /// What comes next, from what is held or from the server.
    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        match (self.next.take(), &mut self.live) {
            (Some(next), _) => Poll::Ready(next),
            (None, Some(live)) => Pin::new(&mut live.body).poll_frame(cx),
            (None, None) => Poll::Ready(None),
        }
    }

    /// Puts what has arrived behind `first` together with it.
    fn together(&mut self, first: Bytes, cx: &mut Context<'_>) -> Bytes {
        let mut all = BytesMut::new();
        for _ in 1..TOGETHER_PIECES {
            if first.len().max(all.len()) >= TOGETHER_BYTES {
                break;
            }
            match self.poll_next(cx) {
                Poll::Pending => break,
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => {
                        if let Err(error) = self.admit(&data) {
                            self.next = Some(Some(Err(error)));
                            break;
                        }
                        if all.is_empty() {
                            // As much as one packet brings, mostly.
                            all.reserve((2 * (first.len() + data.len())).max(4096));
                            all.extend_from_slice(&first);
                        }
                        all.extend_from_slice(&data);
                    }
                    Err(trailers) => {
                        self.next = Some(Some(Ok(trailers)));
                        break;
                    }
                },
                Poll::Ready(end) => {
                    self.next = Some(end);
                    break;
                }
            }
        }
        if all.is_empty() { first } else { all.freeze() }
    }

    /// The frame to give out, if the bounds allow it.
    fn take(
        &mut self,
        frame: Frame<Bytes>,
        cx: &mut Context<'_>,
    ) -> Result<Frame<Bytes>, TransportError> {
        self.waiting = None;
        if Instant::now() >= self.bounds.deadline {
            return Err(TransportError::TotalTimeout {
                after: self.bounds.total_allowed,
            });
        }
        match frame.into_data() {
            Ok(data) => {
                self.admit(&data)?;
                Ok(Frame::data(self.together(data, cx)))
            }
            Err(mut trailers) => {
                if let Some(fields) = trailers.trailers_mut() {
                    own_values(fields);
                }
                Ok(trailers)
            }
        }
    }

    /// The frame without secrets. None: all of its bytes wait for what follows them.
    fn scrub(&mut self, frame: Frame<Bytes>) -> Option<Frame<Bytes>> {
        let matcher = &self.bounds.matcher;
        let passes = |data: &Bytes| self.scrubbed.passes(matcher, data);
        if matcher.is_empty() || frame.data_ref().is_some_and(passes) {
            return Some(frame);
        }
        match frame.into_data() {
            Ok(data) => {
                let empty = data.is_empty();
                let data = self.scrubbed.push(matcher, data);
                (empty || !data.is_empty()).then(|| Frame::data(data))
            }
            Err(mut trailers) => {
                if let Some(fields) = trailers.trailers_mut() {
                    scrub_fields(fields, matcher);
                }
                if !self.scrubbed.holds() {
                    return Some(trailers);
                }
                let rest = self.scrubbed.finish(matcher);
                self.next = Some(Some(Ok(trailers)));
                Some(Frame::data(rest))
            }
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
        self.alarm.poll(due, cx).map(|()| error)
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
        loop {
            if this.live.is_none() {
                return Poll::Ready(this.ended.take().map(Err));
            }
            let error = match this.poll_next(cx) {
                Poll::Ready(Some(Ok(frame))) => match this.take(frame, cx) {
                    Ok(frame) => match this.scrub(frame) {
                        Some(frame) => {
                            if let Some(data) = frame.data_ref() {
                                this.traffic.count(data.len() as u64);
                            }
                            return Poll::Ready(Some(Ok(frame)));
                        }
                        // All of it may be the beginning of a secret.
                        None => continue,
                    },
                    Err(error) => error,
                },
                Poll::Ready(Some(Err(error))) => error,
                Poll::Ready(None) => {
                    let rest = this.scrubbed.finish(&this.bounds.matcher);
                    this.end();
                    let rest = Some(rest).filter(|rest| !rest.is_empty());
                    return Poll::Ready(rest.map(|rest| Ok(Frame::data(rest))));
                }
                Poll::Pending => match this.poll_overdue(cx) {
                    Poll::Ready(error) => error,
                    Poll::Pending => return Poll::Pending,
                },
            };
            let rest = this.scrubbed.finish(&this.bounds.matcher);
            let error = this.fail(error);
            if rest.is_empty() {
                return Poll::Ready(Some(Err(error)));
            }
            // What came is given before it is told what became of the rest.
            this.ended = Some(error);
            return Poll::Ready(Some(Ok(Frame::data(rest))));
        }
    }

    fn is_end_stream(&self) -> bool {
        if self.scrubbed.holds() || self.ended.is_some() {
            return false;
        }
        match &self.next {
            Some(next) => next.is_none(),
            None => {
                let live = self.live.as_ref();
                live.is_none_or(|live| live.body.is_end_stream())
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.live {
            // What the guest reads may be shorter than what came.
            Some(_) if !self.bounds.matcher.is_empty() => SizeHint::default(),
            Some(live) => live.body.size_hint(),
            None => SizeHint::with_exact(0),
        }
    }
}
