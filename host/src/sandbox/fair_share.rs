//! How much a chat may compute without a permit while the machine is busy: its fair share.
//!
//! [Credit](super::cpu_account) keeps a guest that computes without reading from running at once.
//! It is no bound by itself: a server that works together with its plugin sends one byte a time, or
//! bulk, and so buys credit without end. So what all chats compute without a permit is bounded
//! together, by half of the processors, and divided by max-min fairness: a chat whose recent use
//! is at most the limit runs without a permit, one above it needs a [permit](super::scheduler).
//! The limit falls while all chats together use more than the half, and rises while they use less.
//! It never falls below an even division among all chats that are alive. So each has a reserve that
//! no other chat can take, and a chat that streams at an ordinary pace stays below the limit while
//! one that computes as much as it can does not.
//!
//! Recent use is forgotten at the rate of the limit, as in a leaky bucket, and not faster: a chat that
//! pauses after a poll far above its limit would else begin anew after each pause, and a thousand of
//! them use many times what they may.
//!
//! Use is weighted: what others wait for a processor grows with the square of the time for which a
//! poll holds it (the mean wait of an M/G/1 queue, by Pollaczek and Khinchine). A poll of `t`
//! counts `t + t²/`[`SHORT_POLL`]. A decoder's poll of 25 µs counts 10 % more than its time, and a
//! whole tick of computing counts five times its time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::cpu_time::nanos;
use crate::policy::limits::CREDIT_CAP;

/// The time within which a chat may use its limit.
pub(super) const WINDOW: Duration = Duration::from_nanos(1 << 27);

/// Recent use is not counted beyond this (weighted nanoseconds): what a poll of 16 ms counts.
const MAX_RECENT: u64 = 1 << 30;

/// The limit falls to no less than one in so many at once.
const MAX_FALL: u64 = 16;

/// A poll of this length counts double.
const SHORT_POLL: Duration = Duration::from_micros(250);

/// The fair share of one engine's chats.
pub(crate) struct FairShare {
    processors: u64,
    /// Chats that are alive.
    chats: AtomicU64,
    /// Weighted nanoseconds that were computed without a permit since the last [`adjust`].
    ///
    /// [`adjust`]: Self::adjust
    used: AtomicU64,
    /// Weighted nanoseconds within a [`WINDOW`] up to which a chat needs no permit.
    limit: AtomicU64,
}

impl FairShare {
    pub(crate) fn new(processors: usize) -> Self {
        Self {
            processors: processors.max(1) as u64,
            chats: AtomicU64::new(0),
            used: AtomicU64::new(0),
            limit: AtomicU64::new(nanos(CREDIT_CAP)),
        }
    }

    /// A chat begins.
    pub(super) fn join(&self) {
        self.chats.fetch_add(1, Ordering::Relaxed);
    }

    /// A chat has ended.
    pub(super) fn leave(&self) {
        self.chats.fetch_sub(1, Ordering::Relaxed);
    }

    /// Adds to what was computed without a permit.
    pub(super) fn add(&self, weighted: u64) {
        self.used.fetch_add(weighted, Ordering::Relaxed);
    }

    /// Weighted nanoseconds within a [`WINDOW`] up to which a chat needs no permit.
    pub(super) fn limit(&self) -> u64 {
        self.limit.load(Ordering::Relaxed)
    }

    /// Adapts the limit to what was used within the time since the last call. To be called with
    /// each tick of the clock. True if the chats used more than they may.
    pub(crate) fn adjust(&self, elapsed: Duration) -> bool {
        let used = self.used.swap(0, Ordering::Relaxed);
        let limit = self.limit();
        let half = |time: Duration| nanos(time).saturating_mul(self.processors) / 2;
        let over = used > half(elapsed);
        let new = if over {
            let even = half(WINDOW) / self.chats.load(Ordering::Relaxed).max(1);
            let excess = (used / half(elapsed).max(1)).clamp(2, MAX_FALL);
            (limit / excess).max(even)
        } else {
            limit.saturating_add(limit / 4)
        };
        let new = new.clamp(1, nanos(CREDIT_CAP));
        if new != limit {
            self.limit.store(new, Ordering::Relaxed);
        }
        over
    }
}

/// What a poll of this length (nanoseconds) counts.
pub(super) fn weighted(time: u64) -> u64 {
    // A poll of four seconds excludes its chat for long enough, and its square fits.
    let time = time.min(u64::from(u32::MAX));
    time + time * time / nanos(SHORT_POLL)
}

/// What is left of recent use after this time (nanoseconds), while a chat may use `limit` within a
/// [`WINDOW`].
pub(super) fn decayed(recent: u64, elapsed: u64, limit: u64) -> u64 {
    let forgotten = limit.saturating_mul(elapsed) / nanos(WINDOW);
    recent.min(MAX_RECENT).saturating_sub(forgotten)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(1);

    #[test]
    fn the_limit_falls_to_an_even_division_and_rises_again() {
        let share = FairShare::new(4);
        (0..1_000).for_each(|_| share.join());
        assert_eq!(share.limit(), nanos(CREDIT_CAP));
        for _ in 0..20 {
            share.add(2 * nanos(TICK) + 1);
            assert!(share.adjust(TICK));
        }
        assert_eq!(share.limit(), 2 * nanos(WINDOW) / 1_000);
        for _ in 0..40 {
            share.add(2 * nanos(TICK));
            assert!(!share.adjust(TICK));
        }
        assert_eq!(share.limit(), nanos(CREDIT_CAP));
    }

    #[test]
    fn one_chat_alone_may_use_its_whole_half() {
        let share = FairShare::new(1);
        share.join();
        for _ in 0..20 {
            share.add(nanos(TICK));
            share.adjust(TICK);
        }
        assert_eq!(share.limit(), nanos(CREDIT_CAP).min(nanos(WINDOW) / 2));
    }

    #[test]
    fn a_long_poll_counts_more_than_many_short_ones_of_the_same_time() {
        assert_eq!(weighted(nanos(SHORT_POLL)), 2 * nanos(SHORT_POLL));
        assert!(40 * weighted(25_000) < 1_110_000);
        assert_eq!(weighted(1_000_000), 5_000_000);
        assert!(weighted(u64::MAX) > nanos(Duration::from_secs(3_600)));
    }

    #[test]
    fn use_is_forgotten_at_the_rate_of_the_limit() {
        let window = nanos(WINDOW);
        assert_eq!(decayed(1_000, 0, 500), 1_000);
        assert_eq!(decayed(1_000, window, 500), 500);
        assert_eq!(decayed(1_000, 2 * window, 500), 0);
        assert_eq!(decayed(u64::MAX, 0, 500), MAX_RECENT);
        assert_eq!(decayed(u64::MAX, u64::MAX, nanos(CREDIT_CAP)), 0);
    }
}
