//! A server that takes the request and says nothing: what a call that must not wait is tried with.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

use crate::egress::{Exchange, Timing, Transport};

/// Takes requests and never answers.
#[derive(Clone, Debug, Default)]
pub(super) struct Mute {
    inner: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    taken: AtomicUsize,
    under_way: AtomicUsize,
}

impl Mute {
    /// How many requests came.
    pub(super) fn taken(&self) -> usize {
        self.inner.taken.load(Ordering::Relaxed)
    }

    /// How many of them somebody still waits for.
    pub(super) fn under_way(&self) -> usize {
        self.inner.under_way.load(Ordering::Relaxed)
    }
}

impl Transport for Mute {
    fn send(&self, _: http::Request<Bytes>, _: Timing) -> Exchange<'_> {
        self.inner.taken.fetch_add(1, Ordering::Relaxed);
        self.inner.under_way.fetch_add(1, Ordering::Relaxed);
        let waiting = Waiting(Arc::clone(&self.inner));
        Box::pin(async move {
            let _waiting = waiting;
            pending().await
        })
    }
}

struct Waiting(Arc<Counts>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}
