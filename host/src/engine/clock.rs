//! The engine's clock: quick while a guest computes, slow while they only take what comes, and at rest while none runs.
//!
//! A tick is there for guests that compute for a millisecond and longer, and an honest one never does. So the clock ticks
//! every [`CALM_TICK`] until one is found that does, or one waits for its turn, and every [`EPOCH_TICK`] until none has been found for a while.
//!
//! An agent is idle most of its life, and a thread that wakes a thousand times a second is felt then. So each poll of a
//! guest says that there is one; when none has been for [`IDLE_TICKS`], the clock stops until the next.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::Thread;
use std::time::Duration;

use crate::policy::limits::{CALM_TICK, EPOCH_TICK};

/// Quick ticks after the last that found a guest computing.
const ALERT_TICKS: u32 = 64;

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
    /// A guest has computed for a whole tick since the last one.
    computes: Arc<AtomicBool>,
    alert: AtomicU32,
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
            computes: Arc::default(),
            alert: AtomicU32::new(0),
        }
    }

    /// To be set by whoever finds a guest that computes.
    pub(crate) fn computes(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.computes)
    }

    /// How long it is to the next tick. `waiting`: somebody waits for a turn, or has one.
    pub(super) fn pace(&self, waiting: bool) -> Duration {
        if self.computes.swap(false, Ordering::Relaxed) || waiting {
            self.alert.store(ALERT_TICKS, Ordering::Relaxed);
            return EPOCH_TICK;
        }
        let left = self.alert.load(Ordering::Relaxed);
        self.alert.store(left.saturating_sub(1), Ordering::Relaxed);
        match left {
            0 => CALM_TICK,
            _ => EPOCH_TICK,
        }
    }

    /// Whether a guest computed lately, or waits for its turn to.
    pub(crate) fn is_alert(&self) -> bool {
        self.alert.load(Ordering::Relaxed) > 0
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
    fn it_is_quick_while_somebody_computes_or_waits_and_for_a_while_after() {
        let clock = Clock::new(std::thread::current());
        assert_eq!(clock.pace(false), CALM_TICK);
        let computes = clock.computes();
        let begin: [&dyn Fn() -> Duration; 2] = [
            &|| {
                computes.store(true, Ordering::Relaxed);
                clock.pace(false)
            },
            &|| clock.pace(true),
        ];
        for begin in begin {
            assert_eq!(begin(), EPOCH_TICK);
            assert!(clock.is_alert());
            for _ in 0..ALERT_TICKS {
                assert_eq!(clock.pace(false), EPOCH_TICK);
            }
            assert!(!clock.is_alert());
            assert_eq!(clock.pace(false), CALM_TICK);
        }
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
