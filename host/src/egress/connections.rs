//! How many connections may be open, and for whom.
//!
//! Each connection is a file descriptor, and the process has few of them: often 1,024. A budget
//! ([`Connections`]) bounds how many the chats of an engine take:
//!
//! - The first connection of a chat may be any of the budget. No chat is refused it because other
//!   chats have several each.
//! - Connections beyond a chat's first come out of a quarter of the budget, which all chats share.
//! - Idle connections, which the pools keep for reuse, are at most another quarter. They are closed
//!   when a chat needs a connection and the budget has none left.
//!
//! So three quarters of the budget can be had by chats with one connection each, whatever others
//! do.
//!
//! A place is taken when a socket is about to be opened, not while its name is looked up: chats
//! that wait for a name server hold none.

use super::TransportError;
use crate::policy::limits::{
    CONNECTIONS_BEYOND_FIRST, CONNECTIONS_IDLE, CONNECTIONS_OF_DESCRIPTORS,
    CONNECTIONS_WITHOUT_DESCRIPTOR_LIMIT,
};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

/// Keeps idle connections, of one budget or several.
pub(super) trait IdleSockets: Send + Sync {
    /// How many idle connections are of this budget.
    fn idle_of(&self, connections: &Arc<Connections>) -> usize;

    /// Closes the oldest of them; whether there was one.
    fn close_oldest_of(&self, connections: &Arc<Connections>) -> bool;
}

/// A budget of connections.
pub(crate) struct Connections {
    limit: AtomicUsize,
    counts: Mutex<SocketCounts>,
    /// Where idle ones may be.
    pools: Mutex<Vec<Weak<dyn IdleSockets>>>,
}

#[derive(Default)]
struct SocketCounts {
    open: usize,
    /// Those of `open` that are not the first of their store.
    further: usize,
    /// Those of `open` that no store uses.
    idle: usize,
}

impl Connections {
    /// A budget of its own.
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit: AtomicUsize::new(limit),
            counts: Mutex::default(),
            pools: Mutex::default(),
        })
    }

    /// The budget that is shared by all who have none of their own. Its limit follows that on open
    /// files, which is read here.
    pub(crate) fn of_process() -> Arc<Self> {
        let shared = Self::shared();
        shared.limit.store(affordable(), Ordering::Relaxed);
        Arc::clone(shared)
    }

    fn shared() -> &'static Arc<Self> {
        static SHARED: OnceLock<Arc<Connections>> = OnceLock::new();
        SHARED.get_or_init(|| Self::new(affordable()))
    }

    fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    fn further_limit(&self) -> usize {
        self.limit() / CONNECTIONS_BEYOND_FIRST
    }

    fn counts(&self) -> MutexGuard<'_, SocketCounts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pools(&self) -> Vec<Arc<dyn IdleSockets>> {
        let pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        pools.iter().filter_map(Weak::upgrade).collect()
    }

    /// Remembers a pool that keeps idle connections of this budget.
    pub(super) fn keep_in(&self, pool: Weak<dyn IdleSockets>) {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        pools.retain(|known| known.strong_count() > 0);
        pools.push(pool);
    }

    /// Closes the oldest idle connection of the pool that has most of them; whether there was one.
    pub(super) fn close_idle(self: &Arc<Self>) -> bool {
        if self.counts().idle == 0 {
            return false;
        }
        let pools = self.pools();
        let fullest = pools.iter().max_by_key(|pool| pool.idle_of(self));
        fullest.is_some_and(|pool| pool.close_oldest_of(self))
    }

    /// Closes all idle connections; whether there was one.
    pub(super) fn close_all_idle(self: &Arc<Self>) -> bool {
        let mut closed = false;
        while self.close_idle() {
            closed = true;
        }
        closed
    }
}

/// The part of the budget that is one store's. Clones are the same store's.
///
/// A request carries it to [`NetworkTransport`](super::NetworkTransport) in its extensions.
#[derive(Clone)]
pub(super) struct Share {
    connections: Arc<Connections>,
    /// Whether the store's first connection is in use; `None`: whose connection it is is not known.
    first: Option<Arc<AtomicBool>>,
}

impl Share {
    /// The share of a new store.
    pub(super) fn new(connections: Arc<Connections>) -> Self {
        Self {
            connections,
            first: Some(Arc::default()),
        }
    }

    /// For a request that came without a store: its connection is nobody's first.
    pub(super) fn unknown() -> Self {
        Self {
            connections: Arc::clone(Connections::shared()),
            first: None,
        }
    }

    pub(super) fn connections(&self) -> &Arc<Connections> {
        &self.connections
    }

    /// Room for a socket.
    pub(super) fn open(&self) -> Result<SocketPlace, TransportError> {
        let used_up = |limit| TransportError::ConnectionsUsedUp { limit };
        loop {
            let limit = self.connections.limit();
            {
                let mut counts = self.connections.counts();
                if counts.open < limit {
                    let kind = self.kind(&mut counts)?;
                    counts.open += 1;
                    return Ok(SocketPlace {
                        connections: Arc::clone(&self.connections),
                        kind,
                    });
                }
            }
            if !self.connections.close_idle() {
                return Err(used_up(limit));
            }
        }
    }

    /// What a connection of this store counts as now.
    fn kind(&self, counts: &mut SocketCounts) -> Result<SocketUse, TransportError> {
        if let Some(first) = &self.first
            && !first.swap(true, Ordering::AcqRel)
        {
            return Ok(SocketUse::First(Arc::clone(first)));
        }
        let limit = self.connections.further_limit();
        if counts.further >= limit {
            return Err(TransportError::FurtherConnectionsUsedUp { limit });
        }
        counts.further += 1;
        Ok(SocketUse::Further)
    }
}

/// The room that one socket takes. It is to be dropped after the socket.
pub(super) struct SocketPlace {
    connections: Arc<Connections>,
    kind: SocketUse,
}

enum SocketUse {
    /// The first of its store, whose mark this is.
    First(Arc<AtomicBool>),
    Further,
    Idle,
}

impl std::fmt::Debug for SocketPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SocketPlace").finish_non_exhaustive()
    }
}

impl SocketPlace {
    pub(super) fn connections(&self) -> &Arc<Connections> {
        &self.connections
    }

    /// Makes it an idle connection's; false: there are as many as there may be.
    pub(super) fn rest(&mut self) -> bool {
        let mut counts = self.connections.counts();
        if counts.idle >= self.connections.limit() / CONNECTIONS_IDLE {
            return false;
        }
        counts.idle += 1;
        counts.leave(&std::mem::replace(&mut self.kind, SocketUse::Idle));
        true
    }

    /// Makes it a connection of this store, whose budget is the same.
    pub(super) fn serve(&mut self, share: &Share) -> Result<(), TransportError> {
        let mut counts = self.connections.counts();
        let kind = share.kind(&mut counts)?;
        counts.leave(&std::mem::replace(&mut self.kind, kind));
        Ok(())
    }
}

impl SocketCounts {
    /// One connection is no longer of this kind.
    fn leave(&mut self, kind: &SocketUse) {
        match kind {
            SocketUse::First(first) => first.store(false, Ordering::Release),
            SocketUse::Further => self.further -= 1,
            SocketUse::Idle => self.idle -= 1,
        }
    }
}

impl Drop for SocketPlace {
    fn drop(&mut self) {
        let mut counts = self.connections.counts();
        counts.open -= 1;
        counts.leave(&self.kind);
    }
}

/// The connections that this process can afford.
fn affordable() -> usize {
    descriptor_limit().map_or(CONNECTIONS_WITHOUT_DESCRIPTOR_LIMIT, |limit| {
        limit / CONNECTIONS_OF_DESCRIPTORS
    })
}

/// The soft limit on open files; `None`: there is none.
pub(super) fn descriptor_limit() -> Option<usize> {
    #[cfg(unix)]
    {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        limit
            .current
            .map(|limit| usize::try_from(limit).unwrap_or(usize::MAX))
    }
    #[cfg(not(unix))]
    {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_connection_is_there_whatever_others_hold_beyond_theirs() {
        let connections = Connections::new(16);
        let mut held = Vec::new();
        // Each of these wants four.
        for _ in 0..8 {
            let share = Share::new(Arc::clone(&connections));
            held.push(share.open().expect("a first connection"));
            held.extend((0..3).filter_map(|_| share.open().ok()));
        }
        assert_eq!(held.len(), 8 + 4);
        let honest = Share::new(Arc::clone(&connections));
        let place = honest.open().expect("a first connection");
        let further = honest.open().err();
        let limit = 4;
        assert_eq!(
            further,
            Some(TransportError::FurtherConnectionsUsedUp { limit })
        );
        drop(place);
        assert!(honest.open().is_ok(), "the first is there again");
        drop(held);
        assert_eq!(connections.counts().open, 0);
        assert_eq!(connections.counts().further, 0);
    }

    #[test]
    fn beyond_the_limit_a_first_connection_is_refused_by_it() {
        let connections = Connections::new(2);
        let shares: Vec<_> = (0..3)
            .map(|_| Share::new(Arc::clone(&connections)))
            .collect();
        let held: Vec<_> = shares[..2]
            .iter()
            .map(|share| share.open().expect("room"))
            .collect();
        let refused = shares[2].open().err();
        assert_eq!(
            refused,
            Some(TransportError::ConnectionsUsedUp { limit: 2 })
        );
        drop(held);
        assert!(shares[2].open().is_ok());
    }

    #[test]
    fn an_idle_connection_is_nobodys_until_it_is_used_again() {
        let connections = Connections::new(8);
        let share = Share::new(Arc::clone(&connections));
        let mut places: Vec<_> = (0..3).map(|_| share.open().expect("room")).collect();
        assert!(places[0].rest() && places[1].rest());
        assert!(!places[2].rest(), "a quarter of eight may be idle");
        assert_eq!(connections.counts().further, 1);
        assert!(places[0].serve(&share).is_ok(), "the first");
        assert!(
            places[1].serve(&share).is_ok(),
            "the second of two beyond it"
        );
        assert_eq!(connections.counts().idle, 0);
        drop(places);
        assert_eq!(connections.counts().open, 0);
        assert_eq!(connections.counts().further, 0);
    }
}
