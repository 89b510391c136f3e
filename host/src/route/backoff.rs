//! How long to wait before the same request is sent again, and how often.

use std::sync::Arc;
use std::time::Duration;

/// Where the waits take their chance from: a number from 0 to below 1.
type Dice = Arc<dyn Fn() -> f64 + Send + Sync>;

/// When a request that failed is sent again.
///
/// The wait before retry *n* is drawn evenly from nothing to `base_delay` ×
/// 2ⁿ⁻¹, at most `max_delay` ("full jitter": clients that failed together do not
/// come back together). Where the server says how long to wait, it is that, plus
/// up to one `base_delay` by chance.
#[derive(Clone)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// Most retries of one model. Each fallback has its own. 0: nothing is sent
    /// twice, not even with a limit that fits.
    pub max_retries: u32,
    /// Longest wait before the first retry.
    pub base_delay: Duration,
    /// Longest wait before any retry that the server does not ask for.
    pub max_delay: Duration,
    /// Most time, from the start of the chat, within which a retry may begin,
    /// over all models. A server that asks for a longer wait gets no retry.
    pub budget: Duration,
    dice: Dice,
}

impl RetryPolicy {
    /// Three retries: one more than the clients of model servers usually make,
    /// because a vLLM that restarts is back within half a minute at best.
    pub const MAX_RETRIES: u32 = 3;
    /// Half a second: a full queue moves on in about that time.
    pub const BASE_DELAY: Duration = Duration::from_millis(500);
    /// Half a minute: who waits longer wants to know.
    pub const MAX_DELAY: Duration = Duration::from_secs(30);
    /// Two minutes: the longest that an agent seems alive without a word.
    pub const BUDGET: Duration = Duration::from_secs(120);

    /// No retry.
    pub fn none() -> Self {
        Self::default().with_max_retries(0)
    }

    /// Replaces the number of retries.
    #[must_use]
    pub fn with_max_retries(mut self, max_retries: u32) -> Self {
        self.max_retries = max_retries;
        self
    }

    /// Replaces the longest wait before the first retry.
    #[must_use]
    pub fn with_base_delay(mut self, base_delay: Duration) -> Self {
        self.base_delay = base_delay;
        self
    }

    /// Replaces the longest wait before any retry.
    #[must_use]
    pub fn with_max_delay(mut self, max_delay: Duration) -> Self {
        self.max_delay = max_delay;
        self
    }

    /// Replaces the time within which retries may begin.
    #[must_use]
    pub fn with_budget(mut self, budget: Duration) -> Self {
        self.budget = budget;
        self
    }

    /// Replaces chance, for tests of an embedder's own.
    #[must_use]
    pub fn with_dice(mut self, dice: impl Fn() -> f64 + Send + Sync + 'static) -> Self {
        self.dice = Arc::new(dice);
        self
    }

    /// The wait before retry `number` (from 1), `elapsed` after the start.
    pub(super) fn delay(
        &self,
        number: u32,
        retry_after: Option<Duration>,
        elapsed: Duration,
    ) -> Wait {
        if number > self.max_retries {
            return Wait::NoMore;
        }
        let doubled = 1_u32.checked_shl(number - 1).unwrap_or(u32::MAX);
        let most = self.base_delay.saturating_mul(doubled).min(self.max_delay);
        let delay = match retry_after {
            None => self.share(most),
            Some(asked) => asked.saturating_add(self.share(self.base_delay)),
        };
        match elapsed.saturating_add(delay) <= self.budget {
            true => Wait::For(delay),
            false => Wait::TooLong(delay),
        }
    }

    fn share(&self, most: Duration) -> Duration {
        most.mul_f64((self.dice)().clamp(0.0, 1.0))
    }
}

/// What comes of asking for a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    For(Duration),
    /// The retries are used up.
    NoMore,
    /// The wait goes over the budget.
    TooLong(Duration),
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_retries: Self::MAX_RETRIES,
            base_delay: Self::BASE_DELAY,
            max_delay: Self::MAX_DELAY,
            budget: Self::BUDGET,
            dice: Arc::new(chance),
        }
    }
}

impl std::fmt::Debug for RetryPolicy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RetryPolicy")
            .field("max_retries", &self.max_retries)
            .field("base_delay", &self.base_delay)
            .field("max_delay", &self.max_delay)
            .field("budget", &self.budget)
            .finish_non_exhaustive()
    }
}

/// The operating system's chance. Without it the wait is the longest one: late
/// is better than together.
fn chance() -> f64 {
    let mut bytes = [0; 4];
    match getrandom::fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0),
        Err(_) => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn policy(dice: f64) -> RetryPolicy {
        RetryPolicy::default()
            .with_max_retries(40)
            .with_base_delay(SECOND)
            .with_max_delay(10 * SECOND)
            .with_budget(100 * SECOND)
            .with_dice(move || dice)
    }

    #[test]
    fn the_longest_wait_doubles_up_to_the_cap() {
        let longest = policy(1.0);
        for (number, seconds) in [(1, 1), (2, 2), (3, 4), (4, 8), (5, 10), (40, 10)] {
            assert_eq!(
                longest.delay(number, None, Duration::ZERO),
                Wait::For(seconds * SECOND),
                "retry {number}"
            );
        }
    }

    #[test]
    fn the_wait_is_anything_from_nothing_to_the_longest() {
        assert_eq!(
            policy(0.0).delay(3, None, Duration::ZERO),
            Wait::For(Duration::ZERO)
        );
        assert_eq!(
            policy(0.25).delay(3, None, Duration::ZERO),
            Wait::For(SECOND)
        );
        let drawn: std::collections::HashSet<u64> = (0..100)
            .map(|_| (chance() * 1e9) as u64)
            .inspect(|number| assert!(*number < 1_000_000_000))
            .collect();
        assert!(drawn.len() > 90, "chance repeats itself: {drawn:?}");
    }

    #[test]
    fn the_server_is_never_asked_sooner_than_it_said() {
        for (dice, expected) in [(0.0, 20_000), (0.5, 20_500)] {
            assert_eq!(
                policy(dice).delay(1, Some(20 * SECOND), Duration::ZERO),
                Wait::For(Duration::from_millis(expected))
            );
        }
    }

    #[test]
    fn no_retry_begins_after_the_budget_or_beyond_the_number() {
        let policy = policy(0.0);
        assert_eq!(
            policy.delay(1, Some(60 * SECOND), 40 * SECOND),
            Wait::For(60 * SECOND)
        );
        assert_eq!(
            policy.delay(1, Some(60 * SECOND), 41 * SECOND),
            Wait::TooLong(60 * SECOND)
        );
        assert_eq!(
            policy.delay(1, Some(Duration::MAX), 41 * SECOND),
            Wait::TooLong(Duration::MAX)
        );
        assert_eq!(policy.delay(41, None, Duration::ZERO), Wait::NoMore);
        assert_eq!(
            RetryPolicy::none().delay(1, None, Duration::ZERO),
            Wait::NoMore
        );
    }
}
