//! The idle connections of one provider.
//!
//! One origin speaks HTTP/1.1, so a pool is a stack: the connection that was used last is the one most likely to be alive.
//! A connection is put back when its answer is over. Whether it can carry another request is asked when it is taken: a
//! connection that nobody waits for does not notice that the server closed it. So that such ones do not lie about for
//! ever, the pool is swept as long as there is something in it.

use super::link::Link;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

pub(super) struct Pool {
    idle: Mutex<Idle>,
    max_idle: usize,
    idle_timeout: Duration,
}

#[derive(Default)]
struct Idle {
    /// The youngest is the last.
    links: Vec<(Link, Instant)>,
    /// A task sweeps them.
    swept: bool,
}

impl Pool {
    pub(super) fn new(max_idle: usize, idle_timeout: Duration) -> Self {
        Self {
            idle: Mutex::default(),
            max_idle,
            idle_timeout,
        }
    }

    /// The youngest connection that can carry a request now, if there is one.
    pub(super) fn take(&self) -> Option<Link> {
        loop {
            let (mut link, since) = self.idle().links.pop()?;
            if since.elapsed() >= self.idle_timeout {
                // Those below are older still.
                let old = std::mem::take(&mut self.idle().links);
                drop(old);
                return None;
            }
            if link.is_ready() {
                return Some(link);
            }
        }
    }

    /// Takes back a connection whose answer is over. One that can't carry a request now is closed: it is still busy, with
    /// a request's body that the server did not read, say.
    pub(super) fn put(self: &Arc<Self>, mut link: Link) {
        if self.max_idle == 0 || !link.is_ready() {
            return;
        }
        let runtime = link.runtime().clone();
        let mut idle = self.idle();
        if idle.links.len() >= self.max_idle {
            // The oldest makes room.
            idle.links.remove(0);
        }
        idle.links.push((link, Instant::now()));
        if !std::mem::replace(&mut idle.swept, true) {
            runtime.spawn(sweep(Arc::downgrade(self), self.idle_timeout));
        }
    }

    /// Closes what is too old or closed already; whether anything is left.
    fn sweep(&self) -> bool {
        let mut idle = self.idle();
        idle.links
            .retain_mut(|(link, since)| since.elapsed() < self.idle_timeout && link.is_ready());
        idle.swept = !idle.links.is_empty();
        idle.swept
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sweeps a pool until it is empty or gone.
async fn sweep(pool: std::sync::Weak<Pool>, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        match pool.upgrade() {
            Some(pool) if pool.sweep() => {}
            _ => return,
        }
    }
}
