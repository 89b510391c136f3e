//! What a store has used, and which limit stopped it.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::{ResourceLimiter, UpdateDeadline};

use super::cpu_account::CpuAccount;
use crate::engine::Clock;
use crate::memory::Charge;
use crate::policy::SandboxLimits;
use crate::policy::limits::{EPOCH_TICK, TABLE_ELEMENT_BYTES};

/// A guest that has been computing for so long when a slow tick comes may go on for longer than a
/// quick tick.
const SUSPICIOUS: Duration = Duration::from_micros(200);

/// The limit that was reached last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stopped {
    Memory,
    SharedMemory,
    TableElements,
    ProcessorTime,
}

pub(super) struct Meter {
    pub(super) limits: SandboxLimits,
    pub(super) stopped_by: Option<Stopped>,
    /// All linear memories together.
    pub(super) memory: Charge,
    /// All tables together.
    pub(super) tables: Charge,
    pub(super) account: Arc<CpuAccount>,
    /// Is told of a guest that computes.
    pub(super) clock: Arc<Clock>,
}

impl Meter {
    /// One look at a guest that computes.
    pub(super) fn tick(&mut self) -> UpdateDeadline {
        let running = self.account.running_for();
        if self.account.before_this_poll() + running > self.limits.cpu_time_per_call {
            self.stopped_by = Some(Stopped::ProcessorTime);
            return UpdateDeadline::Interrupt;
        }
        // The tick may be one that passed while the guest waited. It has just begun then, and may
        // go on.
        if running < EPOCH_TICK {
            if running >= SUSPICIOUS {
                self.clock.hurry();
            }
            return UpdateDeadline::Continue(1);
        }
        self.clock.hurry();
        UpdateDeadline::Yield(1)
    }
}

impl ResourceLimiter for Meter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let by = desired.saturating_sub(current);
        if by > self.limits.memory_bytes.saturating_sub(self.memory.bytes()) {
            self.stopped_by = Some(Stopped::Memory);
            return Ok(false);
        }
        let allowed = self.memory.grow(by);
        if !allowed {
            self.stopped_by = Some(Stopped::SharedMemory);
        }
        Ok(allowed)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if desired > self.limits.table_elements {
            self.stopped_by = Some(Stopped::TableElements);
            return Ok(false);
        }
        let by = desired.saturating_sub(current);
        let allowed = self.tables.grow(by.saturating_mul(TABLE_ELEMENT_BYTES));
        if !allowed {
            self.stopped_by = Some(Stopped::SharedMemory);
        }
        Ok(allowed)
    }

    fn instances(&self) -> usize {
        self.limits.instances
    }

    fn tables(&self) -> usize {
        self.limits.tables
    }

    fn memories(&self) -> usize {
        self.limits.memories
    }
}

#[cfg(test)]
mod tests {
    use super::super::fair_share::FairShare;
    use super::*;
    use crate::memory::{Held, SharedMemory};
    use crate::policy::limits::GUEST_MEMORY_RESERVE;

    fn meter(limits: SandboxLimits, shared: usize) -> Meter {
        let held = Arc::new(Held::new(Arc::new(SharedMemory::new(shared))));
        Meter {
            limits,
            stopped_by: None,
            memory: Charge::none(held.clone()),
            tables: Charge::none(held),
            account: Arc::new(CpuAccount::new(Arc::default(), Arc::new(FairShare::new(1)))),
            clock: Arc::new(Clock::new(std::thread::current())),
        }
    }

    #[test]
    fn memories_are_limited_together() {
        let mut meter = meter(SandboxLimits::new().with_memory_bytes(100), 0);
        assert!(meter.memory_growing(0, 60, None).unwrap());
        assert!(meter.memory_growing(0, 40, None).unwrap());
        assert!(!meter.memory_growing(40, 41, None).unwrap());
        assert_eq!(meter.stopped_by, Some(Stopped::Memory));
    }

    #[test]
    fn the_memory_of_all_guests_is_a_limit_of_its_own() {
        let mut meter = meter(SandboxLimits::new(), 10);
        let all = GUEST_MEMORY_RESERVE + 10;
        assert!(meter.memory_growing(0, all, None).unwrap());
        assert!(!meter.memory_growing(all, all + 1, None).unwrap());
        assert_eq!(meter.stopped_by, Some(Stopped::SharedMemory));
    }

    #[test]
    fn a_table_may_have_as_many_elements_as_the_limit_says_and_no_more() {
        let mut meter = meter(SandboxLimits::new().with_table_elements(7), 0);
        assert!(meter.table_growing(0, 7, None).unwrap());
        assert!(!meter.table_growing(7, 8, None).unwrap());
        assert_eq!(meter.stopped_by, Some(Stopped::TableElements));
    }

    #[test]
    fn tables_are_part_of_the_memory_of_all_guests() {
        let mut meter = meter(SandboxLimits::new(), TABLE_ELEMENT_BYTES);
        assert!(meter.memory_growing(0, GUEST_MEMORY_RESERVE, None).unwrap());
        assert!(meter.table_growing(0, 1, None).unwrap());
        assert!(!meter.table_growing(1, 2, None).unwrap());
        assert_eq!(meter.stopped_by, Some(Stopped::SharedMemory));
    }
}
