//! What stands in for the network in a self-test.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame};

use super::recording::Exchange;
use crate::egress::{self, ResponseBody, Timing, Transport, TransportError};

/// Bytes of one piece of a body. It cuts in the middle of lines and of events, as a network may.
const PIECE: usize = 61;

/// A network that nothing comes back from.
pub(super) struct NoNetwork;

impl Transport for NoNetwork {
    fn send(&self, _: http::Request<Bytes>, _: Timing) -> egress::Exchange<'_> {
        Box::pin(async {
            Err(TransportError::Configuration(
                "there is no network in a self-test".into(),
            ))
        })
    }
}

/// A network that gives a recorded answer, whatever is asked.
pub(super) struct Canned {
    status: http::StatusCode,
    content_type: http::HeaderValue,
    body: Bytes,
    requests: AtomicUsize,
}

impl Canned {
    pub(super) fn new(exchange: &Exchange) -> Self {
        Self {
            status: exchange.status(),
            content_type: exchange.content_type(),
            body: exchange.body(),
            requests: AtomicUsize::new(0),
        }
    }

    pub(super) fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }
}

impl Transport for Canned {
    fn send(&self, _: http::Request<Bytes>, _: Timing) -> egress::Exchange<'_> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        Box::pin(async {
            let body = ResponseBody::stream(Pieces(self.body.clone()));
            let mut response = http::Response::new(body);
            *response.status_mut() = self.status;
            let headers = response.headers_mut();
            headers.insert(http::header::CONTENT_TYPE, self.content_type.clone());
            Ok(response)
        })
    }
}

struct Pieces(Bytes);

impl Body for Pieces {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        let length = self.0.len().min(PIECE);
        let piece = self.0.split_to(length);
        Poll::Ready((!piece.is_empty()).then(|| Ok(Frame::data(piece))))
    }
}
