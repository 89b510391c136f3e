//! What one store has computed, and what its traffic pays for.
//!
//! Processor time is counted from the beginning to the end of each poll of a call's future: all that the guest, and the
//! host on its behalf, does in between. Waiting costs nothing.
//!
//! An honest provider computes because bytes come: so much for a piece of an answer, so much for each byte. Those pay. A
//! guest that computes beyond its traffic and a [`CREDIT`] (which it gets while its plugin's other chats have not used up
//! theirs together, see [`Purse`]) is in debt, and waits its turn
//! ([`Turns`](super::turns::Turns)) instead of running at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::processor;
use super::purse::Purse;
use crate::egress::Traffic;
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
    /// What of `spent` the traffic has not paid for; it is put down in the purse.
    unpaid: AtomicU64,
    traffic: Arc<Traffic>,
    purse: Arc<Purse>,
}

impl Account {
    pub(super) fn new(traffic: Arc<Traffic>, purse: Arc<Purse>) -> Self {
        Self {
            began: Instant::now(),
            spent: AtomicU64::new(0),
            before_call: AtomicU64::new(0),
            entered: AtomicU64::new(0),
            unpaid: AtomicU64::new(0),
            traffic,
            purse,
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

    /// What the present call has used up before its present poll.
    pub(super) fn before_this_poll(&self) -> Duration {
        let polls = self.spent.load(Ordering::Relaxed) - self.before_call.load(Ordering::Relaxed);
        Duration::from_nanos(polls)
    }

    /// Nanoseconds computed beyond what is paid for or lent; none: it may run at once.
    pub(super) fn debt(&self) -> Option<u64> {
        match self.unpaid.load(Ordering::Relaxed) {
            0 => None,
            unpaid if unpaid <= nanos(CREDIT) && self.purse.lends() => None,
            unpaid => Some(unpaid),
        }
    }

    fn now(&self) -> u64 {
        nanos(self.began.elapsed())
    }

    /// A poll begins. `precise`: what the operating system does meanwhile is not to be counted.
    pub(super) fn enter(&self, precise: bool) -> Instant {
        let now = processor::begin(precise);
        let since = nanos(now.saturating_duration_since(self.began));
        self.entered.store(since, Ordering::Relaxed);
        now
    }

    /// A poll is over; it is so late now.
    pub(super) fn leave(&self, entered: Instant) -> Instant {
        let (now, used) = processor::since(entered);
        self.spend(nanos(used));
        now
    }

    /// Adds to what was spent, and settles with the purse.
    fn spend(&self, time: u64) {
        let spent = self.spent.fetch_add(time, Ordering::Relaxed) + time;
        let (frames, bytes) = self.traffic.counts();
        let paid = (frames.saturating_mul(nanos(PAID_PER_FRAME)))
            .saturating_add(bytes.saturating_mul(nanos(PAID_PER_BYTE)));
        let unpaid = spent.saturating_sub(paid);
        let before = self.unpaid.swap(unpaid, Ordering::Relaxed);
        // The purse is shared by all chats of the plugin, and an honest one does not come to it while it streams.
        if unpaid != before {
            self.purse.owe(unpaid.cast_signed() - before.cast_signed());
        }
    }
}

/// Five centuries fit.
fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::limits::PLUGIN_CREDIT;

    fn account(purse: &Arc<Purse>) -> (Account, Arc<Traffic>) {
        let traffic = Arc::new(Traffic::default());
        (Account::new(traffic.clone(), purse.clone()), traffic)
    }

    #[test]
    fn traffic_pays_for_computing_and_debt_is_what_it_does_not_pay_for() {
        let (account, traffic) = account(&Arc::new(Purse::new()));
        account.spend(nanos(CREDIT));
        assert_eq!(account.debt(), None);
        account.spend(1);
        assert_eq!(account.debt(), Some(nanos(CREDIT) + 1));
        traffic.count(1_000);
        account.spend(0);
        assert_eq!(account.debt(), None);
    }

    #[test]
    fn short_chats_do_not_each_begin_anew() {
        let purse = Arc::new(Purse::new());
        let chats = 2 * (nanos(PLUGIN_CREDIT) / nanos(CREDIT));
        let mut refused = 0;
        for _ in 0..chats {
            let (chat, _) = account(&purse);
            chat.spend(nanos(CREDIT));
            refused += u64::from(chat.debt().is_some());
        }
        // What is forgiven meanwhile lets a few more through.
        assert!(refused > chats / 4, "{refused} of {chats}");
    }

    #[test]
    fn a_call_is_counted_by_its_own_polls() {
        let hour = Duration::from_secs(3600);
        let (account, _) = account(&Arc::new(Purse::new()));
        account.spent.store(nanos(hour), Ordering::Relaxed);
        account.enter(false);
        assert_eq!(account.before_this_poll(), hour);
        account.begin_call();
        assert_eq!(account.before_this_poll(), Duration::ZERO);
        assert!(account.running_for() < hour);
        account.spend(nanos(hour));
        assert_eq!(account.before_this_poll(), hour);
    }
}
