//! The memory of all guests of an engine together: their linear memories, and what the host holds for them.
//!
//! What one guest may take is its own limit. That a hundred of them take it at once is a limit of the engine's: each store
//! may hold its reserve whatever the others do, and what is beyond comes out of one stock. A guest that takes much can
//! thus be in the way of others that want much, and never of one that wants little.
//!
//! A store's memory is charged from two sides, the sandbox and the tasks of its requests. So what it holds is one number that
//! both change without a lock, and each part of it is a [`Charge`] that gives its bytes back when it is dropped.

pub(crate) mod fields;

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

    /// The size of the stock, in bytes.
    pub(crate) fn total(&self) -> usize {
        self.total
    }

    /// What is taken out of it at present, in bytes.
    pub(crate) fn taken(&self) -> usize {
        self.total - self.free.load(Ordering::Relaxed)
    }

    fn take(&self, bytes: usize) -> bool {
        let less = |free: usize| free.checked_sub(bytes);
        bytes == 0
            || self
                .free
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
                .is_ok()
    }

    fn put_back(&self, bytes: usize) {
        if bytes > 0 {
            self.free.fetch_add(bytes, Ordering::Relaxed);
        }
    }
}

/// The memory of one store: the sum of its [`Charge`]s.
#[derive(Debug)]
pub(crate) struct Held {
    shared: Arc<SharedMemory>,
    bytes: AtomicUsize,
}

impl Held {
    pub(crate) fn new(shared: Arc<SharedMemory>) -> Self {
        Self {
            shared,
            bytes: AtomicUsize::new(0),
        }
    }

    /// The memory of a store that belongs to no engine: nothing bounds it.
    pub(crate) fn unbounded() -> Self {
        Self::new(Arc::new(SharedMemory::new(usize::MAX)))
    }

    /// The size of the stock that it takes from, in bytes.
    pub(crate) fn stock(&self) -> usize {
        self.shared.total()
    }

    /// Takes more, if there is. What is beyond the reserve comes out of the stock.
    fn grow(&self, by: usize) -> bool {
        let mut before = self.bytes.load(Ordering::Relaxed);
        loop {
            let Some(after) = before.checked_add(by) else {
                return false;
            };
            let more = beyond_reserve(after) - beyond_reserve(before);
            if !self.shared.take(more) {
                return false;
            }
            match self.set(before, after) {
                Ok(()) => return true,
                Err(now) => {
                    self.shared.put_back(more);
                    before = now;
                }
            }
        }
    }

    fn shrink(&self, by: usize) {
        let mut before = self.bytes.load(Ordering::Relaxed);
        loop {
            let after = before.saturating_sub(by);
            match self.set(before, after) {
                Ok(()) => {
                    break self
                        .shared
                        .put_back(beyond_reserve(before) - beyond_reserve(after));
                }
                Err(now) => before = now,
            }
        }
    }

    fn set(&self, before: usize, after: usize) -> Result<(), usize> {
        self.bytes
            .compare_exchange_weak(before, after, Ordering::Relaxed, Ordering::Relaxed)
            .map(|_| ())
    }
}

/// How much of a store's memory is out of the stock.
fn beyond_reserve(bytes: usize) -> usize {
    bytes.saturating_sub(GUEST_MEMORY_RESERVE)
}

/// A part of a store's memory. Dropping it gives its bytes back.
#[derive(Debug)]
pub(crate) struct Charge {
    held: Arc<Held>,
    bytes: usize,
}

impl Charge {
    /// A part without bytes.
    pub(crate) fn none(held: Arc<Held>) -> Self {
        Self { held, bytes: 0 }
    }

    /// A part of so many bytes; `None` if there are not as many.
    pub(crate) fn take(held: &Arc<Held>, bytes: usize) -> Option<Self> {
        let mut charge = Self::none(held.clone());
        charge.grow(bytes).then_some(charge)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes more. False: there is no more, and nothing has changed.
    #[must_use]
    pub(crate) fn grow(&mut self, by: usize) -> bool {
        let taken = self.held.grow(by);
        if taken {
            self.bytes += by;
        }
        taken
    }

    /// Takes or gives back what makes it so many bytes. False: there are not as many, and nothing has changed.
    #[must_use]
    pub(crate) fn set(&mut self, bytes: usize) -> bool {
        match bytes.checked_sub(self.bytes) {
            Some(more) => self.grow(more),
            None => {
                self.held.shrink(self.bytes - bytes);
                self.bytes = bytes;
                true
            }
        }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.held.shrink(self.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(shared: &Arc<SharedMemory>) -> Charge {
        Charge::none(Arc::new(Held::new(shared.clone())))
    }

    #[test]
    fn the_reserve_is_there_when_the_stock_is_not_and_everything_comes_back() {
        let shared = Arc::new(SharedMemory::new(100));
        let mut greedy = store(&shared);
        assert!(greedy.grow(GUEST_MEMORY_RESERVE + 100));
        assert!(!greedy.grow(1));
        assert_eq!(greedy.bytes(), GUEST_MEMORY_RESERVE + 100);
        let mut small = store(&shared);
        assert!(small.grow(GUEST_MEMORY_RESERVE));
        assert!(!small.grow(1), "the stock is empty");
        drop(greedy);
        assert!(small.grow(60) && small.grow(40) && !small.grow(1));
        assert_eq!(shared.taken(), 100);
        drop(small);
        assert_eq!(shared.taken(), 0);
    }

    #[test]
    fn the_parts_of_a_store_have_one_reserve_together() {
        let shared = Arc::new(SharedMemory::new(100));
        let held = Arc::new(Held::new(shared.clone()));
        let mut one = Charge::take(&held, GUEST_MEMORY_RESERVE - 10).unwrap();
        let two = Charge::take(&held, 60).unwrap();
        assert_eq!(shared.taken(), 50);
        assert!(Charge::take(&held, 51).is_none());
        assert_eq!(shared.taken(), 50, "what was refused took nothing");
        assert!(one.set(GUEST_MEMORY_RESERVE - 40));
        assert_eq!(shared.taken(), 20);
        drop(two);
        assert_eq!(shared.taken(), 0);
        assert!(one.set(GUEST_MEMORY_RESERVE + 100) && !one.set(GUEST_MEMORY_RESERVE + 101));
        drop(one);
        assert_eq!(shared.taken(), 0);
    }

    #[test]
    fn threads_that_take_and_give_back_at_once_lose_nothing() {
        let shared = Arc::new(SharedMemory::new(10_000));
        let held = Arc::new(Held::new(shared.clone()));
        let base = Charge::take(&held, GUEST_MEMORY_RESERVE - 500).unwrap();
        std::thread::scope(|scope| {
            for size in [7, 300, 999] {
                let held = &held;
                scope.spawn(move || {
                    for _ in 0..10_000 {
                        let mut charge = Charge::take(held, size).expect("enough for all");
                        assert!(charge.set(size / 2) && charge.set(size + 1));
                    }
                });
            }
        });
        assert_eq!(shared.taken(), 0);
        drop(base);
        assert_eq!(held.bytes.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn no_number_is_too_large() {
        let shared = Arc::new(SharedMemory::new(100));
        let mut held = store(&shared);
        assert!(held.grow(1) && !held.grow(usize::MAX) && held.grow(1));
    }
}
