//! What a store has read: what pays for its computing.

use std::sync::atomic::{AtomicU64, Ordering};

/// The reads of response bodies that were handed to one store's guest, and not credited yet.
///
/// One read is what the guest gets at a time, however many chunks of HTTP it came in.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    reads: AtomicU64,
    bytes: AtomicU64,
}

impl Traffic {
    /// A read of so many bytes is handed to the guest.
    pub(crate) fn count(&self, bytes: u64) {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Reads and bytes since the last call.
    pub(crate) fn take(&self) -> (u64, u64) {
        if self.reads.load(Ordering::Relaxed) == 0 {
            return (0, 0);
        }
        (
            self.reads.swap(0, Ordering::Relaxed),
            self.bytes.swap(0, Ordering::Relaxed),
        )
    }
}
