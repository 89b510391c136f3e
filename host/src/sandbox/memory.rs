//! The memory of all guests of an engine together.
//!
//! What one guest may take is its own limit. That a hundred of them take it at once is a limit of the engine's: each store
//! may hold its reserve whatever the others do, and what is beyond comes out of one stock. A guest that takes much can
//! thus be in the way of others that want much, and never of one that wants little.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::policy::limits::GUEST_MEMORY_RESERVE;

/// What guests may take beyond their reserves, in bytes.
#[derive(Debug)]
pub(crate) struct SharedMemory {
    total: usize,
    free: AtomicUsize,
}

impl SharedMemory {
    pub(crate) fn new(total: usize) -> Self {
        Self {
            total,
            free: AtomicUsize::new(total),
        }
    }

    pub(crate) fn total(&self) -> usize {
        self.total
    }

    fn take(&self, bytes: usize) -> bool {
        let less = |free: usize| free.checked_sub(bytes);
        self.free
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
            .is_ok()
    }

    fn put_back(&self, bytes: usize) {
        self.free.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// The memory of one store. Dropping it gives everything back.
pub(super) struct Held {
    shared: Arc<SharedMemory>,
    bytes: usize,
    /// How much of it is out of the stock.
    taken: usize,
}

impl Held {
    pub(super) fn new(shared: Arc<SharedMemory>) -> Self {
        Self {
            shared,
            bytes: 0,
            taken: 0,
        }
    }

    /// All linear memories together.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The stock that it takes from, in bytes.
    pub(super) fn stock(&self) -> usize {
        self.shared.total()
    }

    /// Takes more, if there is.
    pub(super) fn grow(&mut self, by: usize) -> bool {
        let bytes = self.bytes.saturating_add(by);
        let beyond = bytes.saturating_sub(GUEST_MEMORY_RESERVE);
        let more = beyond.saturating_sub(self.taken);
        if !self.shared.take(more) {
            return false;
        }
        self.bytes = bytes;
        self.taken += more;
        true
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.shared.put_back(self.taken);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reserve_is_there_when_the_stock_is_not_and_everything_comes_back() {
        let shared = Arc::new(SharedMemory::new(100));
        let mut greedy = Held::new(shared.clone());
        assert!(greedy.grow(GUEST_MEMORY_RESERVE + 100));
        assert!(!greedy.grow(1));
        assert_eq!(greedy.bytes(), GUEST_MEMORY_RESERVE + 100);
        let mut small = Held::new(shared.clone());
        assert!(small.grow(GUEST_MEMORY_RESERVE));
        assert!(!small.grow(1), "the stock is empty");
        drop(greedy);
        assert!(small.grow(60) && small.grow(40) && !small.grow(1));
        drop(small);
        assert_eq!(shared.free.load(Ordering::Relaxed), 100);
    }

    #[test]
    fn no_number_is_too_large() {
        let shared = Arc::new(SharedMemory::new(100));
        let mut held = Held::new(shared);
        assert!(held.grow(1) && !held.grow(usize::MAX) && held.grow(1));
    }
}
