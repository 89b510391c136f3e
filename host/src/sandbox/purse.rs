//! What the chats of one plugin owe together.
//!
//! A chat may compute a little before its server has sent anything. Many short chats, each within that, would add up to
//! all the time there is. So what they do not pay for is put down here as well, and from some sum on no chat of the plugin
//! gets anything in advance. What is owed is forgiven by and by: an honest plugin is never here for long, since its
//! servers' bytes pay for several times what it computes.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use crate::policy::limits::{FORGIVEN, PLUGIN_CREDIT};

pub(crate) struct Purse {
    began: Instant,
    /// What is owed, in nanoseconds, if nothing were forgiven. Never less than what is forgiven by now.
    owed: AtomicI64,
}

impl Purse {
    pub(crate) fn new() -> Self {
        Self {
            began: Instant::now(),
            owed: AtomicI64::new(0),
        }
    }

    /// Puts down what a chat owes more than before; less, if it is negative.
    pub(super) fn owe(&self, more: i64) {
        self.owe_at(more, self.began.elapsed());
    }

    /// Whether a chat may have something in advance.
    pub(super) fn lends(&self) -> bool {
        self.lends_at(self.began.elapsed())
    }

    fn owe_at(&self, more: i64, now: Duration) {
        let forgiven = forgiven_by(now);
        let add = |owed: i64| Some(owed.max(forgiven).saturating_add(more).max(forgiven));
        let _ = self
            .owed
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    fn lends_at(&self, now: Duration) -> bool {
        let owed = self.owed.load(Ordering::Relaxed) - forgiven_by(now);
        owed < nanos(PLUGIN_CREDIT)
    }
}

fn forgiven_by(now: Duration) -> i64 {
    nanos(now / FORGIVEN)
}

fn nanos(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_chats_owe_ends_what_each_gets_in_advance_until_it_is_paid_or_forgiven() {
        let start = Duration::from_secs(100);
        let purse = Purse::new();
        assert!(purse.lends_at(start));
        purse.owe_at(nanos(PLUGIN_CREDIT), start);
        assert!(!purse.lends_at(start));
        purse.owe_at(-1, start);
        assert!(purse.lends_at(start), "paid");
        purse.owe_at(1, start);
        assert!(!purse.lends_at(start));
        assert!(
            purse.lends_at(start + Duration::from_nanos(u64::from(FORGIVEN))),
            "forgiven"
        );
    }

    #[test]
    fn nobody_saves_up() {
        let purse = Purse::new();
        purse.owe_at(-nanos(Duration::from_secs(1_000)), Duration::ZERO);
        purse.owe_at(nanos(PLUGIN_CREDIT), Duration::ZERO);
        assert!(!purse.lends_at(Duration::ZERO));
    }
}
