//! The idle connections of one provider.
//!
//! One origin speaks HTTP/1.1, so a pool is a stack: the connection that was used last is the one most likely to be alive.
//! A connection is put back when its answer is over. Whether it can carry another request is asked when it is taken: a
//! connection that nobody waits for does not notice that the server closed it. So that such ones do not lie about for
//! ever, the pool is swept as long as there is something in it.
//!
//! An idle connection keeps its place in the budget of its engine ([`Connections`]), which may have
//! it closed.

use super::TransportError;
use super::connections::{Connections, IdleSockets, Share};
use super::link::Link;
use std::sync::{Arc, Mutex, PoisonError, Weak};
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
    /// The budgets that know of this pool.
    known_to: Vec<Weak<Connections>>,
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

    /// The youngest connection that can carry a request now, if there is one, for the store whose
    /// share this is.
    pub(super) fn take(&self, share: &Share) -> Result<Option<Link>, TransportError> {
        loop {
            let Some((mut link, since)) = self.pop(share.connections()) else {
                return Ok(None);
            };
            if since.elapsed() >= self.idle_timeout {
                // Those below are older still.
                let old = std::mem::take(&mut self.idle().links);
                drop(old);
                return Ok(None);
            }
            if !link.is_ready() {
                continue;
            }
            if let Err(error) = link.place().serve(share) {
                self.idle().links.push((link, since));
                return Err(error);
            }
            return Ok(Some(link));
        }
    }

    fn pop(&self, connections: &Arc<Connections>) -> Option<(Link, Instant)> {
        let mut idle = self.idle();
        let at = idle
            .links
            .iter()
            .rposition(|(link, _)| link.is_of(connections))?;
        Some(idle.links.remove(at))
    }

    /// Takes back a connection whose answer is over. One that can't carry a request now is closed: it is still busy, with
    /// a request's body that the server did not read, say.
    pub(super) fn put(self: &Arc<Self>, mut link: Link) {
        if self.max_idle == 0 || !link.is_ready() {
            return;
        }
        let connections = Arc::clone(link.place().connections());
        // Where all idle connections together are as many as may be, an older one makes room.
        let rests = link.place().rest() || (connections.close_idle() && link.place().rest());
        if !rests {
            return;
        }
        let runtime = link.runtime().clone();
        let mut idle = self.idle();
        // The oldest of this provider makes room.
        let oldest = (idle.links.len() >= self.max_idle).then(|| idle.links.remove(0));
        idle.links.push((link, Instant::now()));
        let known = |one: &Weak<Connections>| std::ptr::eq(one.as_ptr(), Arc::as_ptr(&connections));
        let unknown = !idle.known_to.iter().any(known);
        if unknown {
            idle.known_to.retain(|known| known.strong_count() > 0);
            idle.known_to.push(Arc::downgrade(&connections));
        }
        let sweeps = !std::mem::replace(&mut idle.swept, true);
        drop(idle);
        drop(oldest);
        if unknown {
            let pool: Weak<Self> = Arc::downgrade(self);
            connections.keep_in(pool);
        }
        if sweeps {
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

impl IdleSockets for Pool {
    fn idle_of(&self, connections: &Arc<Connections>) -> usize {
        let idle = self.idle();
        let of_it = |(link, _): &&(Link, Instant)| link.is_of(connections);
        idle.links.iter().filter(of_it).count()
    }

    fn close_oldest_of(&self, connections: &Arc<Connections>) -> bool {
        let mut idle = self.idle();
        let of_it = |(link, _): &(Link, Instant)| link.is_of(connections);
        let oldest = idle.links.iter().position(of_it);
        let oldest = oldest.map(|at| idle.links.remove(at));
        drop(idle);
        oldest.is_some()
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
