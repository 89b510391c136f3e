//! The clock that a guest is given: it counts, in steps that are too long to measure a processor's doings with.
//!
//! What a guest could learn by timing (what is in a cache, which branch another computation took) takes nanoseconds to
//! microseconds. A provider has use for time-outs, which take seconds. So the clock is as coarse as the second allows,
//! at no cost to anybody. A guest has one thread, and so no counter of its own that would run beside it.

use wasmtime::Result;
use wasmtime::component::{HasData, Resource};
use wasmtime_wasi::clocks::WasiClocksCtxView;
use wasmtime_wasi::p2::DynPollable;
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock::{Duration, Host, Instant};

use crate::policy::limits::CLOCK_STEP;

/// For the linker: the clock's type, whatever it borrows.
pub(super) struct CoarseClock;

impl HasData for CoarseClock {
    type Data<'a> = Coarse<'a>;
}

/// The clock, with steps of [`CLOCK_STEP`].
pub(super) struct Coarse<'a>(pub(super) WasiClocksCtxView<'a>);

impl Host for Coarse<'_> {
    fn now(&mut self) -> Result<Instant> {
        let now = self.0.now()?;
        Ok(now - now % step())
    }

    fn resolution(&mut self) -> Result<Duration> {
        Ok(step())
    }

    fn subscribe_instant(&mut self, when: Instant) -> Result<Resource<DynPollable>> {
        self.0.subscribe_instant(when)
    }

    fn subscribe_duration(&mut self, duration: Duration) -> Result<Resource<DynPollable>> {
        self.0.subscribe_duration(duration)
    }
}

/// Nanoseconds of a step.
fn step() -> u64 {
    u64::try_from(CLOCK_STEP.as_nanos()).unwrap_or(u64::MAX)
}
