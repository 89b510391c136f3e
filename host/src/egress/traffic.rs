//! How much a store has received: what its computing is measured against.

use std::sync::atomic::{AtomicU64, Ordering};

/// Pieces and bytes of the bodies that came for one store.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    frames: AtomicU64,
    bytes: AtomicU64,
}

impl Traffic {
    /// A piece came.
    pub(crate) fn count(&self, bytes: u64) {
        self.frames.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Pieces, and bytes.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (
            self.frames.load(Ordering::Relaxed),
            self.bytes.load(Ordering::Relaxed),
        )
    }
}
