//! The account of an answer: the server's counts in, tokens and money out.
//!
//! OpenAI's counts overlap: cached tokens are part of the prompt, reasoning
//! tokens are part of the completion. Whoever adds them up pays twice, so the
//! contract's parts do not overlap. The counts come from the network: they may
//! contradict each other, and no arithmetic here may wrap or go below zero.

use crate::types::{Cost, CostBreakdown, Usage, UsageSource};

/// The counts of a `usage` object, as they came. `None`: not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// `prompt_tokens`: the whole prompt.
    pub prompt: Option<u64>,
    /// `completion_tokens`: the whole answer.
    pub completion: Option<u64>,
    /// `total_tokens`.
    pub total: Option<u64>,
    /// `prompt_tokens_details.cached_tokens`.
    pub cached: Option<u64>,
    /// `prompt_tokens_details.created_cache_tokens` or `.cache_write_tokens`.
    pub written: Option<u64>,
    /// `completion_tokens_details.reasoning_tokens`.
    pub reasoning: Option<u64>,
}

impl Counts {
    /// Whether the server counted anything at all.
    pub fn is_empty(&self) -> bool {
        self.prompt.is_none() && self.completion.is_none() && self.total.is_none()
    }

    /// The account in the contract's terms; `cost` is the model's price list.
    pub fn account(&self, cost: Option<&Cost>, source: UsageSource) -> Usage {
        // A count that is missing follows from the other two.
        let total = self.total.unwrap_or(0);
        let prompt = self
            .prompt
            .unwrap_or_else(|| total.saturating_sub(self.completion.unwrap_or(0)));
        let output = self
            .completion
            .unwrap_or_else(|| total.saturating_sub(prompt));
        let cache_read = self.cached.unwrap_or(0).min(prompt);
        let cache_write = self.written.unwrap_or(0).min(prompt - cache_read);
        let mut usage = Usage {
            input: prompt - cache_read - cache_write,
            output,
            cache_read,
            cache_write,
            reasoning: self.reasoning.map(|tokens| tokens.min(output)),
            total: prompt.saturating_add(output),
            cost: None,
            source,
        };
        usage.cost = cost.map(|cost| price(&usage, cost));
        usage
    }
}

/// Tokens × price / 10⁶, each part and the sum, in US dollars.
fn price(usage: &Usage, cost: &Cost) -> CostBreakdown {
    let input = part(usage.input, cost.input);
    let output = part(usage.output, cost.output);
    let cache_read = part(usage.cache_read, cost.cache_read);
    let cache_write = part(usage.cache_write, cost.cache_write);
    CostBreakdown {
        input,
        output,
        cache_read,
        cache_write,
        total: input + output + cache_read + cache_write,
    }
}

fn part(tokens: u64, usd_per_million: f64) -> f64 {
    // The contract's prices are finite and not negative; what is not is no
    // price, and an account must not turn into NaN because of it.
    if !usd_per_million.is_finite() || usd_per_million <= 0.0 {
        return 0.0;
    }
    tokens as f64 * usd_per_million / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(prompt: u64, completion: u64) -> Counts {
        Counts {
            prompt: Some(prompt),
            completion: Some(completion),
            ..Counts::default()
        }
    }

    #[test]
    fn the_parts_do_not_overlap_and_add_up() {
        let account = Counts {
            cached: Some(256),
            written: Some(100),
            reasoning: Some(20),
            total: Some(427),
            ..counts(377, 50)
        }
        .account(None, UsageSource::Final);
        assert_eq!(
            (account.input, account.cache_read, account.cache_write),
            (21, 256, 100)
        );
        assert_eq!(
            (account.output, account.reasoning, account.total),
            (50, Some(20), 427)
        );
        assert_eq!(account.cost, None);
    }

    #[test]
    fn contradicting_counts_never_go_below_zero_or_wrap() {
        let account = Counts {
            cached: Some(u64::MAX),
            written: Some(u64::MAX),
            reasoning: Some(u64::MAX),
            ..counts(10, 5)
        }
        .account(None, UsageSource::Final);
        assert_eq!(
            (account.input, account.cache_read, account.cache_write),
            (0, 10, 0)
        );
        assert_eq!(
            (account.output, account.reasoning, account.total),
            (5, Some(5), 15)
        );

        let account =
            counts(u64::MAX, u64::MAX).account(Some(&Cost::default()), UsageSource::Final);
        assert_eq!(account.total, u64::MAX);
    }

    #[test]
    fn a_missing_count_follows_from_the_other_two() {
        for (prompt, completion, total, expected) in [
            (Some(10), None, Some(15), (10, 5, 15)),
            (None, Some(5), Some(15), (10, 5, 15)),
            (None, Some(5), None, (0, 5, 5)),
            (Some(10), None, None, (10, 0, 10)),
            (Some(20), None, Some(15), (20, 0, 20)),
        ] {
            let given = Counts {
                prompt,
                completion,
                total,
                ..Counts::default()
            };
            let account = given.account(None, UsageSource::Interim);
            assert_eq!((account.input, account.output, account.total), expected);
            assert_eq!(account.source, UsageSource::Interim);
        }
    }

    #[test]
    fn money_is_tokens_times_price_by_part_and_in_sum() {
        let cost = Cost {
            input: 3.0,
            output: 15.0,
            cache_read: 0.3,
            cache_write: 3.75,
        };
        let account = Counts {
            cached: Some(200_000),
            written: Some(100_000),
            ..counts(1_000_000, 10)
        }
        .account(Some(&cost), UsageSource::Final);
        let money = account.cost.expect("prices are known");
        for (found, expected) in [
            (money.input, 2.1),
            (money.output, 0.00015),
            (money.cache_read, 0.06),
            (money.cache_write, 0.375),
            (money.total, 2.53515),
        ] {
            assert!(
                (found - expected).abs() < 1e-12,
                "{found} is not {expected}"
            );
        }
    }

    #[test]
    fn prices_that_are_none_cost_nothing() {
        let cost = Cost {
            input: f64::NAN,
            output: -1.0,
            cache_read: f64::INFINITY,
            cache_write: 0.0,
        };
        let account = counts(7, 7).account(Some(&cost), UsageSource::Final);
        assert_eq!(account.cost, Some(CostBreakdown::default()));
    }
}
