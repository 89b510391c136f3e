//! The engine's clock: quick while a guest computes, slow while all only decode what they read, and
//! at rest while none runs.
//!
//! A tick is there for guests that compute for a millisecond and longer, which an honest one hardly
//! ever does. So the clock ticks every [`CALM_TICK`] until one is found that does, or one waits for
//! a permit, and every [`EPOCH_TICK`] until that has not happened for a while.
//! [`hurry`](Clock::hurry) makes it quick at once.
//!
//! Under the slow clock a guest may compute for up to a [`CALM_TICK`] before it is noticed. One that
//! waits for the clock to be slow again could do so over and over. So the longer a guest kept its
//! thread, the longer the clock is quick after it ([`hurry_after`](Clock::hurry_after)): such
//! polls take less than a hundredth of the time.
//!
//! An agent is idle most of its life, and a thread that wakes often is felt then. So each poll of a
//! guest says that there is one; when there was none for [`IDLE`], the clock stops until the next.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::thread::Thread;
use std::time::Duration;

use crate::policy::limits::{CALM_TICK, EPOCH_TICK};

/// Quick ticks after the last that found a guest computing.
const ALERT_TICKS: u32 = ticks(Duration::from_millis(64));

/// A poll of this length, such as that of a chat's start, makes the clock no longer quick than any
/// other.
const USUAL_POLL: Duration = Duration::from_millis(2);

/// For how many times what a poll lasts beyond [`USUAL_POLL`] the ticks are quick.
const QUICK_FOR: u32 = 256;

/// Time without a guest after which the clock rests. A server that streams has less than this
/// between two events most of the time, so that the clock is not woken for each.
const IDLE: Duration = Duration::from_millis(1_600);

/// How long the clock rests before it looks whether its engine is there still.
const REST: Duration = Duration::from_millis(500);

pub(crate) struct Clock {
    thread: Thread,
    rest: Duration,
    /// A guest has run since the last tick.
    used: AtomicBool,
    resting: AtomicBool,
    /// Nanoseconds without a guest.
    idle: AtomicU64,
    /// Quick ticks that are left.
    alert: AtomicU32,
    /// The clock's thread waits for a slow tick.
    waits: AtomicBool,
}

impl Clock {
    pub(crate) fn new(thread: Thread) -> Self {
        Self::resting_for(thread, REST)
    }

    fn resting_for(thread: Thread, rest: Duration) -> Self {
        Self {
            thread,
            rest,
            used: AtomicBool::new(false),
            resting: AtomicBool::new(false),
            idle: AtomicU64::new(0),
            alert: AtomicU32::new(0),
            waits: AtomicBool::new(false),
        }
    }

    /// A guest computes, or waits for a permit: the ticks are quick from now on, for a while.
    pub(crate) fn hurry(&self) {
        if self.alert.load(Ordering::Relaxed) < ALERT_TICKS {
            self.alert.fetch_max(ALERT_TICKS, Ordering::SeqCst);
            self.wake();
        }
    }

    /// A guest computed for so long in one poll: the ticks are quick for a time that grows with it.
    pub(crate) fn hurry_after(&self, used: Duration) {
        let beyond = used.saturating_sub(USUAL_POLL).min(CALM_TICK);
        let quick = ALERT_TICKS + ticks(beyond * QUICK_FOR);
        self.alert.fetch_max(quick, Ordering::SeqCst);
        self.wake();
    }

    fn wake(&self) {
        if self.waits.load(Ordering::SeqCst) {
            self.thread.unpark();
        }
    }

    /// Waits for the next tick, on the clock's thread. `busy`: a chat waits for a permit, or has
    /// one.
    pub(super) fn wait(&self, busy: bool) {
        let tick = self.pace(busy);
        if tick == EPOCH_TICK {
            std::thread::sleep(tick);
            return;
        }
        self.waits.store(true, Ordering::SeqCst);
        if self.alert.load(Ordering::SeqCst) == 0 {
            std::thread::park_timeout(tick);
        }
        self.waits.store(false, Ordering::SeqCst);
    }

    /// How long it is to the next tick.
    fn pace(&self, busy: bool) -> Duration {
        if busy {
            self.alert.fetch_max(ALERT_TICKS, Ordering::Relaxed);
            return EPOCH_TICK;
        }
        let less = |left: u32| left.checked_sub(1);
        match self
            .alert
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
        {
            Ok(_) => EPOCH_TICK,
            Err(_) => CALM_TICK,
        }
    }

    /// Whether a guest computed lately, or waits for a permit.
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

    /// Comes back at once while guests run; rests, on the clock's thread, while none do. `slept`:
    /// the time since the last call.
    pub(super) fn rest(&self, slept: Duration) {
        if self.used.swap(false, Ordering::SeqCst) {
            self.idle.store(0, Ordering::Relaxed);
            return;
        }
        let slept = u64::try_from(slept.as_nanos()).unwrap_or(u64::MAX);
        let idle = self.idle.load(Ordering::Relaxed).saturating_add(slept);
        self.idle.store(idle, Ordering::Relaxed);
        if u128::from(idle) < IDLE.as_nanos() {
            return;
        }
        self.resting.store(true, Ordering::SeqCst);
        if !self.used.load(Ordering::SeqCst) {
            std::thread::park_timeout(self.rest);
        }
        self.resting.store(false, Ordering::SeqCst);
    }
}

/// Quick ticks in this time, which is a minute at most.
#[allow(
    clippy::cast_possible_truncation,
    reason = "they fit, and a constant can be computed"
)]
const fn ticks(time: Duration) -> u32 {
    (time.as_micros() / EPOCH_TICK.as_micros()) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A rest that lasts longer than any test run: one that nobody ends is a test that hangs.
    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn a_guest_wakes_a_clock_that_rests() {
        let clock = Clock::resting_for(std::thread::current(), LONG);
        clock.rest(IDLE / 2);
        assert!(!clock.resting.load(Ordering::SeqCst));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !clock.resting.load(Ordering::SeqCst) {
                    std::thread::yield_now();
                }
                clock.used();
            });
            clock.rest(IDLE);
        });
        clock.rest(IDLE);
        assert_eq!(clock.idle.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn it_is_quick_while_a_guest_computes_or_waits_and_for_a_while_after() {
        let clock = Clock::new(std::thread::current());
        assert_eq!(clock.pace(false), CALM_TICK);
        let begin: [&dyn Fn(); 2] = [&|| clock.hurry(), &|| {
            assert_eq!(clock.pace(true), EPOCH_TICK);
        }];
        for begin in begin {
            begin();
            assert!(clock.is_alert());
            for _ in 0..ALERT_TICKS {
                assert_eq!(clock.pace(false), EPOCH_TICK);
            }
            assert!(!clock.is_alert());
            assert_eq!(clock.pace(false), CALM_TICK);
        }
    }

    #[test]
    fn polls_under_the_slow_clock_take_less_than_a_hundredth_of_the_time() {
        let clock = Clock::new(std::thread::current());
        for milliseconds in [8, 16, 64] {
            let used = Duration::from_millis(milliseconds);
            clock.hurry_after(used);
            let mut quick = Duration::ZERO;
            while clock.pace(false) == EPOCH_TICK {
                quick += EPOCH_TICK;
                if quick < used {
                    // Others that compute meanwhile make it no shorter.
                    clock.hurry();
                    clock.hurry_after(EPOCH_TICK);
                    clock.pace(true);
                }
            }
            assert!(quick > used * 100, "{used:?}: {quick:?}");
        }
    }

    #[test]
    fn a_guest_that_computes_ends_a_slow_tick() {
        let clock = Clock::new(std::thread::current());
        let mut slow = 0;
        for turn in 0..100 {
            clock.alert.store(0, Ordering::SeqCst);
            let began = std::time::Instant::now();
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    (0..100 * turn).for_each(|_| std::hint::spin_loop());
                    clock.hurry();
                });
                clock.wait(false);
            });
            slow += u32::from(began.elapsed() >= CALM_TICK);
        }
        // A machine that pauses makes a few slow; a clock that misses it, half of them.
        assert!(slow < 10, "{slow} of 100 ticks were slow");
    }

    #[test]
    fn a_clock_does_not_rest_while_guests_run() {
        let clock = Clock::resting_for(std::thread::current(), LONG);
        for _ in 0..10 {
            clock.used();
            clock.rest(IDLE);
        }
        assert!(!clock.resting.load(Ordering::SeqCst));
    }
}
