//! Clocks, and what can be said of many readings.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// Nanoseconds of the machine's monotonic clock: the same for all processes.
#[must_use]
pub fn now() -> u64 {
    nanoseconds(ClockId::CLOCK_MONOTONIC)
}

/// Processor time of this thread, user and system, in nanoseconds.
#[must_use]
pub fn thread_time() -> u64 {
    nanoseconds(ClockId::CLOCK_THREAD_CPUTIME_ID)
}

fn nanoseconds(clock: ClockId) -> u64 {
    clock_gettime(clock).map_or(0, |time| {
        u64::try_from(Duration::from(time).as_nanos()).unwrap_or(u64::MAX)
    })
}

/// Processor time of this whole process, user and system, in microseconds.
#[must_use]
pub fn process_time() -> u64 {
    nanoseconds(ClockId::CLOCK_PROCESS_CPUTIME_ID) / 1_000
}

/// A line of `/proc/self/status` in KiB, such as `VmRSS`; 0 where there is none.
#[must_use]
pub fn status_kib(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(name));
    line.and_then(|line| line.split_whitespace().nth(1))
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

/// Smallest, middle and largest of some readings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The smallest.
    pub min: f64,
    /// The middle one; of an even number the mean of the two.
    pub median: f64,
    /// The largest.
    pub max: f64,
}

impl Spread {
    /// Of at least one reading; NaN of none.
    #[must_use]
    pub fn of(readings: &[f64]) -> Self {
        let mut sorted = readings.to_vec();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let median = match (sorted.get(middle.wrapping_sub(1)), sorted.get(middle)) {
            (Some(low), Some(high)) if sorted.len().is_multiple_of(2) => f64::midpoint(*low, *high),
            (_, Some(one)) => *one,
            _ => f64::NAN,
        };
        Self {
            min: sorted.first().copied().unwrap_or(f64::NAN),
            median,
            max: sorted.last().copied().unwrap_or(f64::NAN),
        }
    }
}

/// The value below which a share of the readings lies; they need not be sorted.
#[must_use]
pub fn percentile(readings: &[f64], share: f64) -> f64 {
    let mut sorted = readings.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a place in a list"
    )]
    let place = (sorted.len() as f64 * share) as usize;
    let last = sorted.len().saturating_sub(1);
    sorted.get(place.min(last)).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_an_even_number_is_between_two() {
        let spread = Spread::of(&[4.0, 1.0, 3.0, 2.0]);
        assert_eq!((spread.min, spread.median, spread.max), (1.0, 2.5, 4.0));
        assert!((Spread::of(&[7.0]).median - 7.0).abs() < f64::EPSILON);
        assert!(Spread::of(&[]).median.is_nan());
    }

    #[test]
    fn a_percentile_is_one_of_the_readings() {
        let readings: Vec<f64> = (0..100).rev().map(f64::from).collect();
        assert!((percentile(&readings, 0.5) - 50.0).abs() < f64::EPSILON);
        assert!((percentile(&readings, 0.99) - 99.0).abs() < f64::EPSILON);
        assert!((percentile(&readings, 1.0) - 99.0).abs() < f64::EPSILON);
    }
}
