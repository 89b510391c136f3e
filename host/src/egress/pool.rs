//! The idle connections of one provider.
//!
//! One origin speaks HTTP/1.1, so a pool is a stack: the connection that was used last is the one most likely to be alive.
//! A connection is put back when its response's body is dropped, read to the end or not. Whether it can carry another
//! request is asked when it is taken: hyper closes the connection of a body that was left in the middle, and that is seen
//! then.

use super::network::Sender;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// How long a connection may take to notice that its last response is over. It needs one turn of its task; one that
/// needs longer is still busy (with a request body that the server did not read, say) and is given up.
const SETTLE_TIMEOUT: Duration = Duration::from_millis(10);

pub(super) struct Pool {
    idle: Mutex<Vec<Idle>>,
    max_idle: usize,
    idle_timeout: Duration,
}

struct Idle {
    sender: Sender,
    since: Instant,
}

impl Pool {
    pub(super) fn new(max_idle: usize, idle_timeout: Duration) -> Self {
        Self {
            idle: Mutex::new(Vec::new()),
            max_idle,
            idle_timeout,
        }
    }

    /// A connection that can carry a request now, if there is one.
    pub(super) async fn take(&self) -> Option<Sender> {
        loop {
            let mut sender = self.pop()?;
            if sender.http.is_ready() {
                return Some(sender);
            }
            if let Ok(Ok(())) = timeout(SETTLE_TIMEOUT, sender.http.ready()).await {
                return Some(sender);
            }
        }
    }

    /// The youngest connection that is not known to be closed.
    fn pop(&self) -> Option<Sender> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(Idle { sender, since }) = idle.pop() {
            if since.elapsed() >= self.idle_timeout {
                // Those below are older still.
                idle.clear();
                return None;
            }
            if !sender.http.is_closed() {
                return Some(sender);
            }
        }
        None
    }

    pub(super) fn put(&self, sender: Sender) {
        if sender.http.is_closed() {
            return;
        }
        let now = Instant::now();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() >= self.max_idle {
            // Make room at the old end; without reuse there is none to make.
            idle.retain(|idle| {
                !idle.sender.http.is_closed() && now.duration_since(idle.since) < self.idle_timeout
            });
            if idle.len() >= self.max_idle {
                return;
            }
        }
        idle.push(Idle { sender, since: now });
    }
}
