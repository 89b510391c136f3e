//! How much processor time passed between two points of one thread.
//!
//! The wall clock costs some ten nanoseconds to read, and is the truth for a piece of work that is short. For a long one it
//! counts what the operating system did with the processor meanwhile, too, and a guest must not pay for that: on a busy
//! machine it would look like one that computes. The thread's own clock tells, but is a system call. So it is read where
//! it matters, while guests compute and wait for each other, and ten times a millisecond at most. Only a long piece is measured by it, from
//! its last reading before the piece. What the thread may have done between the two is left out: too short by a tenth of a
//! millisecond at most.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// What is shorter is measured by the wall clock alone.
const SHORT: Duration = Duration::from_micros(150);

/// How old a reading of the thread's clock may be.
const FRESH: Duration = Duration::from_micros(100);

thread_local! {
    /// When the thread's clock was read, and what it said.
    static READ: Cell<Option<(Instant, Duration)>> = const { Cell::new(None) };
}

/// The beginning of a piece of work of this thread. Only if it is to be `precise`, the thread's own clock is read.
pub(super) fn begin(precise: bool) -> Instant {
    let now = Instant::now();
    let old = || {
        READ.get()
            .is_none_or(|(at, _)| now.duration_since(at) > FRESH)
    };
    if precise
        && old()
        && let Some(time) = of_this_thread()
    {
        READ.set(Some((now, time)));
    }
    now
}

/// What time it is, and the processor time since `begin` on this thread.
pub(super) fn since(begin: Instant) -> (Instant, Duration) {
    let now = Instant::now();
    let wall = now.duration_since(begin);
    if wall <= SHORT {
        return (now, wall);
    }
    let before = READ.get();
    let Some(time) = of_this_thread() else {
        return (now, wall);
    };
    READ.set(Some((now, time)));
    // Only a reading from just before the piece tells: what the thread did since it is left out.
    let used = before.and_then(|(at, before)| {
        let other = begin.saturating_duration_since(at);
        (other <= FRESH).then(|| time.saturating_sub(before).saturating_sub(other))
    });
    (now, used.map_or(wall, |used| used.min(wall)))
}

/// Five centuries fit.
#[allow(
    clippy::cast_possible_truncation,
    reason = "they fit, and a constant can be computed"
)]
pub(super) const fn nanos(time: Duration) -> u64 {
    time.as_nanos() as u64
}

/// Processor time of this thread since it began; none where the system does not tell.
#[cfg(unix)]
fn of_this_thread() -> Option<Duration> {
    // Through libc: what reads the kernel's pages itself does not run under valgrind.
    use nix::time::{ClockId, clock_gettime};

    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)
        .ok()
        .map(Duration::from)
}

#[cfg(not(unix))]
fn of_this_thread() -> Option<Duration> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn a_thread_that_waits_uses_no_processor() {
        let start = begin(true);
        std::thread::sleep(Duration::from_millis(200));
        let (_, used) = since(start);
        assert!(used < Duration::from_millis(150), "{used:?}");
    }

    #[test]
    fn a_thread_that_computes_uses_what_it_computes() {
        let start = begin(true);
        let computing = of_this_thread();
        while start.elapsed() < Duration::from_millis(20) {
            std::hint::black_box(0);
        }
        let (_, used) = since(start);
        let computed = computing.and_then(|before| Some(of_this_thread()?.saturating_sub(before)));
        assert!(used > Duration::ZERO);
        if let Some(computed) = computed {
            assert!(
                used <= computed + Duration::from_millis(2),
                "{used:?} of {computed:?}"
            );
        }
    }
}
