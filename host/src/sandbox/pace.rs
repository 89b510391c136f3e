//! CPU accounting, scheduling and deadlines of one store's calls.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use super::cpu_account::CpuAccount;
use super::scheduler::Scheduler;
use crate::alarm::Alarm;
use crate::engine::Clock;
use crate::policy::limits::FOREVER;

/// What a call may take beyond the longest exchange, for the guest to say how that ended.
const GRACE: Duration = Duration::from_secs(2);

/// A guest that computed for so long in one poll makes the clock quick afterwards.
const COMPUTING: Duration = Duration::from_millis(1);

/// A call that is given up: its guest waits for something that will not come.
#[derive(Debug, thiserror::Error)]
#[error("it waited for longer than {} s", .0.as_secs_f32())]
pub(super) struct Overdue(pub(super) Duration);

/// The calls of one store, one at a time.
pub(super) struct Pace {
    /// How long one call may take, waiting included.
    patience: Duration,
    account: Arc<CpuAccount>,
    scheduler: Arc<Scheduler>,
    clock: Arc<Clock>,
    alarm: Alarm,
}

impl Pace {
    /// For a store whose exchanges take `exchange` at most.
    pub(super) fn new(
        exchange: Duration,
        account: Arc<CpuAccount>,
        scheduler: Arc<Scheduler>,
        clock: Arc<Clock>,
    ) -> Self {
        Self {
            patience: exchange.saturating_add(GRACE),
            account,
            scheduler,
            clock,
            alarm: Alarm::default(),
        }
    }

    /// How long one call may take.
    pub(super) fn patience(&self) -> Duration {
        self.patience
    }

    /// From now on what is computed counts for another call.
    pub(super) fn begin_call(&self) {
        self.account.begin_call();
    }

    /// A call, or what became of it in the time that there is. The network's own limits end each wait of an honest guest
    /// before this does; a guest may also wait for a clock, or for a body that nobody reads.
    pub(super) async fn of<T>(
        &mut self,
        call: impl Future<Output = wasmtime::Result<T>>,
    ) -> wasmtime::Result<T> {
        let mut left = self.patience;
        self.within(&mut left, call).await
    }

    /// The same where several calls have their time together: `left` is what is left of it, before and after this one.
    ///
    /// The CPU time of each poll is counted. A poll waits for a permit if the store needs one.
    pub(super) async fn within<T>(
        &mut self,
        left: &mut Duration,
        call: impl Future<Output = wasmtime::Result<T>>,
    ) -> wasmtime::Result<T> {
        let overdue = Overdue(self.patience);
        if left.is_zero() {
            return Err(overdue.into());
        }
        let mut call = pin!(call);
        let mut entry = self.scheduler.entry();
        let mut began = None;
        let ended = poll_fn(|cx| {
            self.clock.used();
            let permit = if self.account.needs_permit() {
                let (used_up, is_light) = (self.account.used_up(), self.account.is_light());
                let permit = entry.poll_permit(used_up, is_light, cx);
                if permit.is_pending() {
                    self.clock.hurry();
                }
                permit.map(Some)
            } else {
                entry.leave();
                Poll::Ready(None)
            };
            let now = match permit {
                Poll::Ready(permit) => {
                    let entered = self.account.enter(self.clock.is_alert());
                    let polled = call.as_mut().poll(cx);
                    let (now, used) = self.account.leave(entered, permit.is_some());
                    if let Some(permit) = permit {
                        self.account.use_up(&permit, used);
                    }
                    if used >= COMPUTING {
                        self.clock.hurry_after(used);
                    }
                    let began = *began.get_or_insert(entered);
                    if let Poll::Ready(result) = polled {
                        *left = left.saturating_sub(now.duration_since(began));
                        return Poll::Ready(Some(result));
                    }
                    now
                }
                Poll::Pending => Instant::now(),
            };
            let due = *began.get_or_insert(now) + (*left).min(FOREVER);
            self.alarm.poll(due.into(), cx).map(|()| None)
        });
        match ended.await {
            Some(result) => result,
            None => {
                *left = Duration::ZERO;
                Err(overdue.into())
            }
        }
    }
}
