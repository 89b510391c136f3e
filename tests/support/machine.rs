//! Tells a pause of the machine from a pause of the program: processor time that the hypervisor
//! gave to other machines, and how far a server fell behind its own schedule.
//!
//! A measurement of delays reads both beside its own figures. A delay of seconds is the machine's
//! where the server, which shares nothing with the program under test but the machine, was late by
//! as much, or where stolen time accounts for it.

#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "shared by several tests and the benchmarks, none of which uses all of it"
)]

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Ticks a second of the times in `/proc/stat` (`USER_HZ`): 100 on every platform that this runs
/// on, whatever the kernel's own rate is.
const TICKS: u64 = 100;

/// A moment, with what the system had counted until then.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    at: Instant,
    counted: Option<Counted>,
}

/// What passed since a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passed {
    /// By the clock.
    pub elapsed: Duration,
    /// Processor time that a hypervisor gave to others while processors of this machine wanted to
    /// run, summed over all of them, in steps of 10 ms. None: the system does not tell.
    pub stolen: Option<Duration>,
    /// Processors that [`Passed::stolen`] is the sum of.
    pub processors: u32,
}

/// What `/proc/stat` counts since the start of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Counted {
    stolen: u64,
    processors: u32,
}

impl Machine {
    /// Reads the clock and the system's counters.
    pub fn now() -> Self {
        let stat = std::fs::read_to_string("/proc/stat").ok();
        Self {
            at: Instant::now(),
            counted: stat.as_deref().and_then(Counted::read),
        }
    }

    /// What passed since then.
    pub fn since(&self) -> Passed {
        self.until(&Self::now())
    }

    /// What passed from this moment to a later one.
    pub fn until(&self, later: &Self) -> Passed {
        let counted = self.counted.zip(later.counted);
        Passed {
            elapsed: later.at.duration_since(self.at),
            stolen: counted.map(|(before, after)| {
                let ticks = after.stolen.saturating_sub(before.stolen);
                Duration::from_millis(ticks.saturating_mul(1_000 / TICKS))
            }),
            processors: counted.map_or(1, |(_, after)| after.processors),
        }
    }
}

impl Passed {
    /// The share of the machine's processor time that was stolen, from 0 to 1. None: the system
    /// does not tell.
    pub fn share(&self) -> Option<f64> {
        let all = self.elapsed.as_secs_f64() * f64::from(self.processors.max(1));
        let stolen = self.stolen?.as_secs_f64();
        Some(if all > 0.0 {
            (stolen / all).min(1.0)
        } else {
            0.0
        })
    }
}

/// `120 ms (0.4 %)`, or `unknown`.
impl fmt::Display for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.stolen.zip(self.share()) {
            Some((stolen, share)) => {
                write!(f, "{} ms ({:.1} %)", stolen.as_millis(), share * 100.0)
            }
            None => f.write_str("unknown"),
        }
    }
}

impl Counted {
    /// None: the text has no such counter, or is that of a system which counts nothing.
    fn read(stat: &str) -> Option<Self> {
        let all = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
        let times: Vec<u64> = all
            .split_whitespace()
            .map_while(|number| number.parse().ok())
            .collect();
        // user, nice, system, idle, iowait, irq, softirq, steal
        let stolen = *times.get(7)?;
        let counts = times.iter().any(|time| *time > 0);
        let one = |line: &&str| {
            let number = line.strip_prefix("cpu").unwrap_or_default();
            number.starts_with(|first: char| first.is_ascii_digit())
        };
        let processors = stat.lines().filter(one).count();
        counts.then(|| Self {
            stolen,
            processors: u32::try_from(processors).unwrap_or(u32::MAX).max(1),
        })
    }
}

/// How late something was at most, against its own schedule. Shared by whoever records and reads.
#[derive(Debug, Default)]
pub struct Lateness(AtomicU64);

impl Lateness {
    /// Nothing was late so far.
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// What was due at one time was done at another. What is early counts as punctual.
    pub fn record(&self, due: Instant, at: Instant) {
        let late = at.saturating_duration_since(due).as_nanos();
        let late = u64::try_from(late).unwrap_or(u64::MAX);
        self.0.fetch_max(late, Ordering::Relaxed);
    }

    /// The largest lateness since this was called last.
    pub fn take(&self) -> Duration {
        Duration::from_nanos(self.0.swap(0, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "cpu  42009 0 4584 18426 291 0 43 625 0 0\n\
                        cpu0 21004 0 2292 9213 145 0 21 312 0 0\n\
                        cpu1 21005 0 2292 9213 146 0 22 313 0 0\n\
                        intr 1 2 3\n";

    #[test]
    fn stolen_time_is_the_eighth_column_of_all_processors() {
        let read = Counted::read(STAT).unwrap();
        assert_eq!((read.stolen, read.processors), (625, 2));
        // Kernels before 2.6.11 had seven columns; some sandboxes count nothing.
        assert_eq!(
            Counted::read("cpu  1 2 3 4 5 6 7\ncpu0 1 2 3 4 5 6 7\n"),
            None
        );
        assert_eq!(Counted::read("cpu  0 0 0 0 0 0 0 0 0 0\n"), None);
        assert_eq!(Counted::read("nothing of the kind"), None);
    }

    #[test]
    fn what_was_stolen_is_a_share_of_what_all_processors_had() {
        let at = Instant::now();
        let moment = |seconds, stolen| Machine {
            at: at + Duration::from_secs(seconds),
            counted: Some(Counted {
                stolen,
                processors: 2,
            }),
        };
        let passed = moment(0, 625).until(&moment(5, 725));
        assert_eq!(passed.elapsed, Duration::from_secs(5));
        assert_eq!(passed.stolen, Some(Duration::from_secs(1)));
        assert_eq!(passed.to_string(), "1000 ms (10.0 %)");
        let silent = Machine { at, counted: None };
        assert_eq!(silent.until(&moment(5, 725)).to_string(), "unknown");
    }

    #[test]
    fn the_largest_lateness_is_given_once() {
        let (late, due) = (Lateness::new(), Instant::now());
        for milliseconds in [3, 8, 5] {
            late.record(due, due + Duration::from_millis(milliseconds));
        }
        late.record(due + Duration::from_secs(1), due);
        assert_eq!(late.take(), Duration::from_millis(8));
        assert_eq!(late.take(), Duration::ZERO);
    }
}
