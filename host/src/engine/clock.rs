//! The engine's clock rests while no guest runs.
//!
//! An agent is idle most of its life, and a thread that wakes a thousand times a second is felt then. So each poll of a
//! guest says that there is one; when none has been for [`IDLE_TICKS`], the clock stops until the next.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::Thread;
use std::time::Duration;

/// Ticks without a guest after which the clock rests. A server that streams has less than this between two pieces most of
/// the time, so that the clock is not woken for each.
const IDLE_TICKS: u32 = 200;

/// How long the clock rests before it looks whether its engine is there still.
const REST: Duration = Duration::from_millis(500);

pub(crate) struct Clock {
    thread: Thread,
    rest: Duration,
    /// A guest has run since the last tick.
    used: AtomicBool,
    resting: AtomicBool,
    idle: AtomicU32,
}

impl Clock {
    pub(super) fn new(thread: Thread) -> Self {
        Self::resting_for(thread, REST)
    }

    fn resting_for(thread: Thread, rest: Duration) -> Self {
        Self {
            thread,
            rest,
            used: AtomicBool::new(false),
            resting: AtomicBool::new(false),
            idle: AtomicU32::new(0),
        }
    }

    /// A guest is about to run.
    pub(crate) fn used(&self) {
        // Most polls find it said already, and write nothing that other processors would have to hear of.
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::SeqCst);
            if self.resting.load(Ordering::SeqCst) {
                self.thread.unpark();
            }
        }
    }

    /// Comes back at once while guests run; rests, on the clock's thread, while none do.
    pub(super) fn rest(&self) {
        if self.used.swap(false, Ordering::SeqCst) {
            self.idle.store(0, Ordering::Relaxed);
            return;
        }
        if self.idle.fetch_add(1, Ordering::Relaxed) < IDLE_TICKS {
            return;
        }
        self.resting.store(true, Ordering::SeqCst);
        if !self.used.load(Ordering::SeqCst) {
            std::thread::park_timeout(self.rest);
        }
        self.resting.store(false, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A rest that lasts longer than any test run: one that nobody ends is a test that hangs.
    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn a_guest_wakes_a_clock_that_rests() {
        let clock = Clock::resting_for(std::thread::current(), LONG);
        for _ in 0..IDLE_TICKS {
            clock.rest();
        }
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !clock.resting.load(Ordering::SeqCst) {
                    std::thread::yield_now();
                }
                clock.used();
            });
            clock.rest();
        });
        clock.rest();
        assert_eq!(clock.idle.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_clock_does_not_rest_while_guests_run() {
        let clock = Clock::resting_for(std::thread::current(), LONG);
        for _ in 0..2 * IDLE_TICKS {
            clock.used();
            clock.rest();
        }
        assert!(!clock.resting.load(Ordering::SeqCst));
    }
}
