//! What happened: requests for tests to look at, and counts.

use super::lock;
use bytes::Bytes;
use http::{HeaderMap, Method};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// Requests kept; a load test must not fill the memory.
const KEPT: usize = 1_000;

/// One request as it arrived.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The method.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, without its transfer coding.
    pub body: Bytes,
}

/// The record of one server.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    requests: Mutex<VecDeque<Recorded>>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    running: AtomicU64,
    aborted: AtomicU64,
    connections: AtomicU64,
    open: AtomicU64,
}

impl Journal {
    pub(crate) fn record(&self, request: Recorded) {
        let mut requests = lock(&self.requests);
        if requests.len() == KEPT {
            requests.pop_front();
        }
        requests.push_back(request);
    }

    pub(crate) fn requests(&self) -> Vec<Recorded> {
        lock(&self.requests).iter().cloned().collect()
    }

    pub(crate) fn aborted(&self) -> u64 {
        self.counts.aborted.load(Ordering::SeqCst)
    }

    pub(crate) fn running(&self) -> u64 {
        self.counts.running.load(Ordering::SeqCst)
    }

    pub(crate) fn connections(&self) -> u64 {
        self.counts.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn open(&self) -> u64 {
        self.counts.open.load(Ordering::SeqCst)
    }

    /// A connection begins; it ends when the value is dropped.
    pub(crate) fn connect(&self) -> Connected {
        self.counts.connections.fetch_add(1, Ordering::SeqCst);
        self.counts.open.fetch_add(1, Ordering::SeqCst);
        Connected(Arc::clone(&self.counts))
    }

    /// A chat begins. Dropped before it is [`Running::done`], its client went
    /// away.
    pub(crate) fn begin(&self) -> Running {
        self.counts.running.fetch_add(1, Ordering::SeqCst);
        Running {
            counts: Arc::clone(&self.counts),
            done: Done::default(),
        }
    }
}

/// An open connection.
#[derive(Debug)]
pub(crate) struct Connected(Arc<Counts>);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A chat under way.
#[derive(Debug)]
pub(crate) struct Running {
    counts: Arc<Counts>,
    done: Done,
}

/// Says that a chat ended by the server's will; travels with the response.
#[derive(Clone, Debug, Default)]
pub(crate) struct Done(Arc<AtomicBool>);

impl Done {
    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Running {
    pub(crate) fn done(&self) -> Done {
        self.done.clone()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.counts.running.fetch_sub(1, Ordering::SeqCst);
        if !self.done.0.load(Ordering::SeqCst) {
            self.counts.aborted.fetch_add(1, Ordering::SeqCst);
        }
    }
}
