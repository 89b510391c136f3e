//! The seam between policy and network.
//!
//! Above it a request is judged, its secrets are put in and its answer is bounded; below it bytes move. Whatever stands
//! in for the network, a recording, a canned answer, a fuzzer, implements [`Transport`] and gets every rule for free.

use super::TransportError;
use super::network::NetworkBody;
use super::recording::RecordedBody;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;

/// What [`Transport::send`] gives back.
pub type Exchange<'a> =
    Pin<Box<dyn Future<Output = Result<http::Response<ResponseBody>, TransportError>> + Send + 'a>>;

/// Carries one judged request and brings back the head of its response.
pub trait Transport: Send + Sync + 'static {
    /// Sends `request`, whose URI is absolute and inside the grant.
    ///
    /// Headers are as they go over the wire, without `Host` and `Content-Length`, which belong to the transport. The
    /// values that hold a secret are marked ([`http::HeaderValue::is_sensitive`]); a recorder writes something else
    /// for those.
    ///
    /// The future ends when the head of the response is there, and gives up at the times of `timing`. Dropping it, or the
    /// body, ends the exchange at once. A transport that waited before it sent (for a connection, say) puts [`SentAt`] into
    /// the response's extensions.
    fn send(&self, request: http::Request<Bytes>, timing: Timing) -> Exchange<'_>;
}

impl<T: Transport + ?Sized> Transport for std::sync::Arc<T> {
    fn send(&self, request: http::Request<Bytes>, timing: Timing) -> Exchange<'_> {
        (**self).send(request, timing)
    }
}

/// How long a transport may take.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Timing {
    /// For name resolution, TCP and TLS together.
    pub connect: Duration,
    /// From the request's last byte to the response's head.
    pub first_byte: Duration,
    /// When everything must be done, whatever else has time left.
    pub deadline: Instant,
}

impl Timing {
    /// Times for a request that must be done at `deadline`.
    #[must_use]
    pub const fn new(connect: Duration, first_byte: Duration, deadline: Instant) -> Self {
        Self {
            connect,
            first_byte,
            deadline,
        }
    }

    /// When a connection that is begun now must be there.
    #[must_use]
    pub fn connected_by(&self) -> Instant {
        self.deadline.min(Instant::now() + self.connect)
    }

    /// When the response's head must be there if the request is sent at `sent`.
    #[must_use]
    pub fn answered_by(&self, sent: Instant) -> Instant {
        self.deadline.min(sent + self.first_byte)
    }
}

/// The moment at which a request was given to its connection: from here on the server can be waited for.
#[derive(Clone, Copy, Debug)]
pub struct SentAt(pub Instant);

/// The body of a response, as a transport gives it.
///
/// The network's own body is not boxed: each frame of a stream comes through here.
pub struct ResponseBody(Kind);

enum Kind {
    Network(NetworkBody),
    Recorded(Box<RecordedBody>),
    Full(Option<Bytes>),
    Stream(UnsyncBoxBody<Bytes, TransportError>),
}

impl ResponseBody {
    /// A body that is there already.
    #[must_use]
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        Self(Kind::Full(
            Some(bytes.into()).filter(|bytes| !bytes.is_empty()),
        ))
    }

    /// A body that comes bit by bit.
    #[must_use]
    pub fn stream(body: impl Body<Data = Bytes, Error = TransportError> + Send + 'static) -> Self {
        Self(Kind::Stream(body.boxed_unsync()))
    }

    pub(super) fn network(body: NetworkBody) -> Self {
        Self(Kind::Network(body))
    }

    pub(super) fn recorded(body: RecordedBody) -> Self {
        Self(Kind::Recorded(Box::new(body)))
    }

    /// Says why the body is dropped before its end, for who writes it down.
    pub(super) fn give_up(&mut self, why: &TransportError) {
        if let Kind::Recorded(body) = &mut self.0 {
            body.give_up(why);
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        match &mut self.0 {
            Kind::Network(body) => Pin::new(body).poll_frame(cx),
            Kind::Recorded(body) => Pin::new(body.as_mut()).poll_frame(cx),
            Kind::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Kind::Stream(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Network(body) => body.is_end_stream(),
            Kind::Recorded(body) => body.is_end_stream(),
            Kind::Full(bytes) => bytes.is_none(),
            Kind::Stream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Network(body) => body.size_hint(),
            Kind::Recorded(body) => body.size_hint(),
            Kind::Full(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Kind::Stream(body) => body.size_hint(),
        }
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Network(_) => "ResponseBody::network",
            Kind::Recorded(_) => "ResponseBody::recorded",
            Kind::Full(_) => "ResponseBody::full",
            Kind::Stream(_) => "ResponseBody::stream",
        })
    }
}
