//! Delays, and what can be said of many.

use std::sync::{Mutex, PoisonError};

/// Delays in nanoseconds.
#[derive(Default)]
pub(crate) struct Delays(Mutex<Vec<u64>>);

/// Milliseconds.
pub(crate) struct Figures {
    pub(crate) count: usize,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    pub(crate) max: f64,
}

impl Delays {
    pub(crate) fn add(&self, delay: u64) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(delay);
    }

    pub(crate) fn clear(&self) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    pub(crate) fn figures(&self) -> Figures {
        let mut all = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        all.sort_unstable();
        let at = |share: f64| {
            let last = all.len().saturating_sub(1);
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "a place among some ten thousand"
            )]
            let place = (last as f64 * share).round() as usize;
            #[allow(clippy::cast_precision_loss, reason = "milliseconds with two digits")]
            all.get(place).map_or(f64::NAN, |delay| *delay as f64 / 1e6)
        };
        Figures {
            count: all.len(),
            p50: at(0.5),
            p99: at(0.99),
            p999: at(0.999),
            max: at(1.0),
        }
    }
}

/// Resident memory of this process in MiB; 0 where the system does not tell this way.
pub(crate) fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|rest| rest.trim().split(' ').next()?.parse::<u64>().ok())
        .map_or(0, |kib| kib >> 10)
}
