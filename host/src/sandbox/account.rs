//! What one store has computed, and what its traffic pays for.
//!
//! Time is counted from the beginning to the end of each poll of a call's future: all that the guest, and the host on its
//! behalf, does in between. Waiting costs nothing. A thread that the operating system takes the processor from goes on
//! counting; on a machine that is overloaded a guest looks slower than it is, by that much.
//!
//! An honest provider computes because bytes come: so much for a piece of an answer, so much for each byte. Those pay. A
//! guest that computes beyond its traffic and a [`CREDIT`] is in debt, and waits its turn
//! ([`Turns`](super::turns::Turns)) instead of running at once.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::ready;
use std::time::{Duration, Instant};

use super::turns::Turns;
use crate::egress::Traffic;
use crate::engine::Clock;
use crate::policy::limits::{CREDIT, PAID_PER_BYTE, PAID_PER_FRAME};

/// The processor time of one store.
pub(super) struct Account {
    began: Instant,
    /// Nanoseconds of all polls that are over.
    spent: AtomicU64,
    /// `spent` when the present call began.
    before_call: AtomicU64,
    /// When the present poll began, in nanoseconds since `began`.
    entered: AtomicU64,
    traffic: Arc<Traffic>,
}

impl Account {
    pub(super) fn new(traffic: Arc<Traffic>) -> Self {
        Self {
            began: Instant::now(),
            spent: AtomicU64::new(0),
            before_call: AtomicU64::new(0),
            entered: AtomicU64::new(0),
            traffic,
        }
    }

    pub(super) fn begin_call(&self) {
        let spent = self.spent.load(Ordering::Relaxed);
        self.before_call.store(spent, Ordering::Relaxed);
    }

    /// How long the present poll has been running. Only to be asked from within one.
    pub(super) fn running_for(&self) -> Duration {
        Duration::from_nanos(self.now() - self.entered.load(Ordering::Relaxed))
    }

    /// What the present call has used up, its present poll included.
    pub(super) fn in_this_call(&self) -> Duration {
        let polls = self.spent.load(Ordering::Relaxed) - self.before_call.load(Ordering::Relaxed);
        Duration::from_nanos(polls) + self.running_for()
    }

    /// Nanoseconds computed beyond what was paid for; none: it is paid for.
    fn debt(&self) -> Option<u64> {
        let (frames, bytes) = self.traffic.counts();
        let paid = nanos(CREDIT)
            .saturating_add(frames.saturating_mul(nanos(PAID_PER_FRAME)))
            .saturating_add(bytes.saturating_mul(nanos(PAID_PER_BYTE)));
        let owed = self.spent.load(Ordering::Relaxed).saturating_sub(paid);
        (owed > 0).then_some(owed)
    }

    fn now(&self) -> u64 {
        nanos(self.began.elapsed())
    }

    fn enter(&self) {
        self.entered.store(self.now(), Ordering::Relaxed);
    }

    fn leave(&self) {
        let poll = nanos(self.running_for());
        self.spent.fetch_add(poll, Ordering::Relaxed);
    }
}

/// Five centuries fit.
fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// A call on its account: each poll is counted, and waits its turn while the store is in debt.
pub(super) async fn on_account<T>(
    account: &Account,
    turns: &Turns,
    clock: &Clock,
    call: impl Future<Output = T>,
) -> T {
    let mut call = pin!(call);
    let mut place = turns.place();
    poll_fn(|cx| {
        clock.used();
        let turn = match account.debt() {
            None => {
                place.leave();
                None
            }
            Some(debt) => Some(ready!(place.poll_turn(debt, cx))),
        };
        account.enter();
        let polled = call.as_mut().poll(cx);
        account.leave();
        drop(turn);
        polled
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traffic_pays_for_computing_and_debt_is_what_it_does_not_pay_for() {
        let traffic = Arc::new(Traffic::default());
        let account = Account::new(traffic.clone());
        let spend = |time: Duration| account.spent.fetch_add(nanos(time), Ordering::Relaxed);
        spend(CREDIT);
        assert_eq!(account.debt(), None);
        spend(PAID_PER_FRAME + 1_000 * PAID_PER_BYTE);
        assert_eq!(
            account.debt(),
            Some(nanos(PAID_PER_FRAME + 1_000 * PAID_PER_BYTE))
        );
        traffic.count(1_000);
        assert_eq!(account.debt(), None);
    }

    #[test]
    fn a_call_is_counted_by_its_own_polls() {
        let hour = Duration::from_secs(3600);
        let account = Account::new(Arc::default());
        account.spent.store(nanos(hour), Ordering::Relaxed);
        account.enter();
        assert!(account.in_this_call() >= hour);
        account.begin_call();
        assert!(account.in_this_call() < hour);
        std::thread::sleep(Duration::from_millis(5));
        account.leave();
        account.enter();
        assert!(account.in_this_call() >= Duration::from_millis(5));
    }
}
