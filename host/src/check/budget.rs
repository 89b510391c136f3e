//! The time that a suite has, and how its checks share it.
//!
//! Honest plugins need none of this: every exchange is in memory. A plugin that waits, computes or
//! trickles events in each call would otherwise take the longest time of a call in each of hundreds.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Options;

/// How much of the deadline is kept for the checks that were not tried yet, in equal parts.
const KEPT: (u32, u32) = (2, 3);

/// A deadline that no clock has is this one.
const CENTURY: Duration = Duration::from_secs(100 * 365 * 86_400);

/// How often the whole of [`Options::patience`] is waited in vain, over all checks. Twice, because
/// once may be the machine.
const WAITS: u32 = 2;

/// How long one exchange may take after that. A call has two seconds more ([`crate::sandbox`]), so
/// that a check which waits once fits into its part of the default deadline.
const FEW: Duration = Duration::from_secs(1);

/// What is left of the time, and what it is spent on.
#[derive(Debug)]
pub(super) struct CheckBudget {
    deadline: Duration,
    patience: Duration,
    /// Of each check, kept for it whatever the ones before it take.
    reserve: Duration,
    state: Mutex<BudgetState>,
}

#[derive(Debug)]
struct BudgetState {
    /// What the first check has: the deadline without the time that loading took.
    left: Duration,
    ends: Option<Instant>,
    /// Waited in vain, for calls that did not come to an end.
    waited: Duration,
    /// The call under way, in words; after a check was ended, the one that it was ended in.
    call: Option<(&'static str, Instant)>,
}

/// A call under way. Dropped before its end, it stays the last thing that was done.
#[must_use]
pub(super) struct Calling<'a> {
    budget: &'a CheckBudget,
    began: Instant,
    patience: Duration,
}

impl CheckBudget {
    /// For a number of checks. The time begins with the first [`CheckBudget::share`].
    pub(super) fn new(options: &Options, loading: Duration, checks: usize) -> Self {
        let checks = u32::try_from(checks).unwrap_or(u32::MAX).max(1);
        Self {
            deadline: options.deadline,
            patience: options.patience,
            reserve: options.deadline.min(CENTURY) * KEPT.0 / (KEPT.1 * checks),
            state: Mutex::new(BudgetState {
                left: options.deadline.saturating_sub(loading),
                ends: None,
                waited: Duration::ZERO,
                call: None,
            }),
        }
    }

    /// Until when something may take that begins now, with so many checks behind it. None: the
    /// deadline has passed.
    pub(super) fn share(&self, behind: usize) -> Option<Instant> {
        self.share_from(Instant::now(), behind)
    }

    fn share_from(&self, now: Instant, behind: usize) -> Option<Instant> {
        let mut state = self.lock();
        state.call = None;
        let left = state.left;
        let ends = *state.ends.get_or_insert_with(|| now + left.min(CENTURY));
        if now >= ends {
            return None;
        }
        let kept = u32::try_from(behind)
            .map_or(Duration::MAX, |behind| self.reserve.saturating_mul(behind));
        let left = ends.duration_since(now);
        Some(now + left.saturating_sub(kept).max(self.reserve).min(left))
    }

    /// The deadline has passed.
    pub(super) fn is_over(&self) -> bool {
        let ends = self.lock().ends;
        ends.is_some_and(|ends| Instant::now() >= ends)
    }

    /// How long one exchange may take now.
    pub(super) fn patience(&self) -> Duration {
        match self.lock().waited < self.patience.saturating_mul(WAITS) {
            true => self.patience,
            false => self.patience.min(FEW),
        }
    }

    /// A call of the plugin, or something that is waited for, begins: a clause that says so.
    pub(super) fn begin(&self, call: &'static str, patience: Duration) -> Calling<'_> {
        let began = Instant::now();
        self.lock().call = Some((call, began));
        Calling {
            budget: self,
            began,
            patience,
        }
    }

    /// A call has come to an end. `in_vain`: how long it took, if it only waited.
    fn ended(&self, in_vain: Option<Duration>) {
        let mut state = self.lock();
        state.call = None;
        state.waited = state.waited.saturating_add(in_vain.unwrap_or_default());
    }

    /// What was done when a check was ended.
    pub(super) fn doing(&self) -> String {
        match self.lock().call {
            Some((call, began)) => {
                let seconds = began.elapsed().as_secs_f32();
                format!("{call} then, for {seconds:.1} s")
            }
            None => "no call of the plugin was under way then".to_owned(),
        }
    }

    pub(super) fn deadline(&self) -> Duration {
        self.deadline
    }

    fn lock(&self) -> MutexGuard<'_, BudgetState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Calling<'_> {
    /// It has come to an end. `done`: not in an error.
    pub(super) fn end(self, done: bool) {
        let in_vain = Some(self.began.elapsed()).filter(|took| !done && *took >= self.patience);
        self.budget.ended(in_vain);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn budget(deadline: Duration) -> CheckBudget {
        let options = Options::default().with_deadline(deadline);
        CheckBudget::new(&options, Duration::ZERO, 10)
    }

    #[test]
    fn each_check_has_its_part_whatever_the_ones_before_it_take() {
        let budget = budget(30 * SECOND);
        let began = Instant::now();
        let (mut now, mut ends) = (began, Vec::new());
        for behind in (0..10).rev() {
            now = budget.share_from(now, behind).expect("there is time");
            ends.push((now - began).as_secs_f32().round());
        }
        // A third for whoever needs it, and two seconds for each.
        let parts = [12, 14, 16, 18, 20, 22, 24, 26, 28, 30];
        assert_eq!(ends, parts.map(|second: u8| f32::from(second)));
        assert!(budget.share_from(began + 30 * SECOND, 0).is_none());
    }

    #[test]
    fn what_loading_took_is_part_of_the_time() {
        let options = Options::default().with_deadline(30 * SECOND);
        let budget = CheckBudget::new(&options, 29 * SECOND, 10);
        let now = Instant::now();
        assert_eq!(budget.share_from(now, 9), Some(now + SECOND));
        let late = CheckBudget::new(&options, 31 * SECOND, 10);
        assert!(late.share(9).is_none() && late.is_over());
    }

    #[test]
    fn a_plugin_that_waited_twice_is_not_waited_for_long_any_more() {
        let budget = budget(300 * SECOND);
        for _ in 0..WAITS {
            let patience = budget.patience();
            assert_eq!(patience, 30 * SECOND);
            budget.begin("waiting", patience).end(false);
            assert_eq!(budget.patience(), patience, "it ended at once");
            budget.ended(Some(patience));
        }
        assert_eq!(budget.patience(), FEW);
    }

    #[test]
    fn what_was_done_is_known_of_a_call_that_did_not_end() {
        let budget = budget(30 * SECOND);
        assert!(budget.doing().starts_with("no call"));
        drop(budget.begin("the plugin was in `list-models`", SECOND));
        let doing = budget.doing();
        assert!(doing.contains("`list-models` then, for 0.0 s"), "{doing}");
        budget.begin("the plugin was in `next`", SECOND).end(true);
        assert!(budget.doing().starts_with("no call"));
    }

    #[test]
    fn no_deadline_is_too_long_or_too_short() {
        assert!(budget(Duration::ZERO).share(9).is_none());
        let endless = budget(Duration::MAX);
        assert!(endless.share(9).is_some() && !endless.is_over());
    }
}
