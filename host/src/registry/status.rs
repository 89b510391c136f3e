//! What serves, what goes on, and what was counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// A slot at one moment.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SlotStatus {
    /// The provider's id.
    pub provider: Arc<str>,
    /// What serves.
    pub serving: GenerationStatus,
    /// What was replaced and has chats that go on, oldest first.
    pub draining: Vec<GenerationStatus>,
    /// Digest and version of what [`Slot::roll_back`](super::Slot::roll_back) would return to.
    pub previous: Option<(Arc<str>, Arc<str>)>,
    /// Since the slot began.
    pub counters: Counters,
}

/// A generation at one moment.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct GenerationStatus {
    /// Its number.
    pub number: u64,
    /// SHA-256 of its component, in lower-case hex.
    pub digest: Arc<str>,
    /// Its plugin's version.
    pub version: Arc<str>,
    /// Chats that run on it.
    pub chats: usize,
    /// When it began to serve.
    pub since: Instant,
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What was counted in a slot. Numbers only grow, and no swap resets them.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Counters {
            $($(#[$doc])* pub $name: u64,)*
        }

        /// The same while it is counted.
        #[derive(Debug, Default)]
        pub(super) struct Counting {
            $(pub(super) $name: Count,)*
        }

        impl Counting {
            pub(super) fn now(&self) -> Counters {
                Counters {
                    $($name: self.$name.0.load(Ordering::Relaxed),)*
                }
            }
        }
    };
}

counters! {
    /// Chats that were begun.
    started,
    /// Chats that came to their end.
    finished,
    /// Chats that ended in an error, or could not be begun.
    failed,
    /// Chats whose reader dropped them.
    dropped,
    /// Chats that were ended at a drain deadline.
    ended,
    /// Times that something new began to serve: plugins, settings, and what was rolled back to.
    swaps,
    /// Times that something new was refused.
    refusals,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
