//! Tokens and money.

use provider_host::types::{Event, Usage};
use serde_json::{Value, json};

use super::answer::{Answer, chunk, delta, finish, usage};
use super::user::hears;

const PRICES: [f64; 4] = [0.15, 0.6, 0.015, 0.1875];

/// The account of an answer with these counts, by a model with prices.
async fn account(counts: Value) -> Usage {
    let model = json!({"id": "m", "cost": {"input": PRICES[0], "output": PRICES[1],
        "cacheRead": PRICES[2], "cacheWrite": PRICES[3]}});
    let answer = Answer::chunks(&[
        chunk(&delta(json!({"content": "x"}))),
        chunk(&finish("stop")),
        usage(&counts),
    ]);
    let (events, error) = hears(&model, answer).await;
    assert!(error.is_none(), "{counts}: {error:?}");
    let mut found = events.into_iter().filter_map(|event| match event {
        Event::Usage(usage) => Some(usage),
        _ => None,
    });
    let usage = found
        .next()
        .unwrap_or_else(|| panic!("{counts}: no account"));
    assert_eq!(found.next(), None, "{counts}: one account");
    usage
}

fn counts(prompt: u64, completion: u64, cached: u64, reasoning: Option<u64>) -> Value {
    json!({"prompt_tokens": prompt, "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached},
        "completion_tokens_details": {"reasoning_tokens": reasoning}})
}

/// Input, cache reads, cache writes, output, thinking, total.
fn parts(usage: &Usage) -> (u64, u64, u64, u64, Option<u64>, u64) {
    (
        usage.input,
        usage.cache_read,
        usage.cache_write,
        usage.output,
        usage.reasoning,
        usage.total,
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_parts_of_a_prompt_do_not_overlap_and_thinking_is_part_of_the_output() {
    for (given, expected) in [
        (counts(100, 20, 0, None), (100, 0, 0, 20, None, 120)),
        (counts(100, 20, 64, None), (36, 64, 0, 20, None, 120)),
        (
            counts(100, 20, 64, Some(15)),
            (36, 64, 0, 20, Some(15), 120),
        ),
        (counts(100, 20, 100, Some(0)), (0, 100, 0, 20, Some(0), 120)),
        (
            json!({"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}),
            (100, 0, 0, 20, None, 120),
        ),
    ] {
        assert_eq!(parts(&account(given.clone()).await), expected, "{given}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cache_writes_have_two_names_and_are_taken_from_the_input() {
    for name in ["created_cache_tokens", "cache_write_tokens"] {
        let given = json!({"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120,
            "prompt_tokens_details": {"cached_tokens": 30, name: 50}});
        assert_eq!(
            parts(&account(given).await),
            (20, 30, 50, 20, None, 120),
            "{name}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_that_contradict_each_other_never_go_below_zero() {
    let details = |cached: u64, written: u64| json!({"cached_tokens": cached, "created_cache_tokens": written});
    for (given, expected) in [
        (
            json!({"prompt_tokens": 10, "completion_tokens": 2, "prompt_tokens_details": details(99, 0)}),
            (0, 10, 0, 2, None, 12),
        ),
        (
            json!({"prompt_tokens": 10, "completion_tokens": 2, "prompt_tokens_details": details(6, 6)}),
            (0, 6, 4, 2, None, 12),
        ),
        // The sum is ours: prompt and completion.
        (
            json!({"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 999}),
            (10, 0, 0, 2, None, 12),
        ),
        (
            json!({"prompt_tokens": 10, "completion_tokens": -5}),
            (10, 0, 0, 0, None, 10),
        ),
    ] {
        assert_eq!(parts(&account(given.clone()).await), expected, "{given}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_usage_is_none_and_not_zeros_and_is_told() {
    for usage in [Value::Null, json!({})] {
        let mut last = chunk(&finish("stop"));
        last["usage"] = usage;
        let answer = Answer::chunks(&[chunk(&delta(json!({"content": "x"}))), last]);
        let (events, error) = hears(&json!({"id": "m"}), answer).await;
        assert!(error.is_none(), "{error:?}");
        assert!(
            !events.iter().any(|event| matches!(event, Event::Usage(_))),
            "{events:?}"
        );
        let told = |event: &Event| matches!(event, Event::Note(note) if note.code == "no-usage");
        assert!(events.iter().any(told), "{events:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cost_is_tokens_times_price_by_part_and_in_sum_to_a_trillionth() {
    for (input, read, write, output) in [
        (1_u64, 0_u64, 0_u64, 0_u64),
        (1, 1, 1, 1),
        (36, 64, 0, 20),
        (123_457, 65_536, 4_099, 8_191),
        (3_333_333, 7_777_777, 1_234_567, 999_983),
    ] {
        let prompt = input + read + write;
        let found = account(json!({"prompt_tokens": prompt, "completion_tokens": output,
            "total_tokens": prompt + output,
            "prompt_tokens_details": {"cached_tokens": read, "created_cache_tokens": write}}))
        .await;
        let cost = found.cost.expect("prices");
        // In whole ten-thousandths of a dollar a million, so that nothing is rounded.
        let exact = |tokens: u64, price: u64| (tokens * price) as f64 / 1e10;
        let expected = [
            exact(input, 1_500),
            exact(output, 6_000),
            exact(read, 150),
            exact(write, 1_875),
            (input * 1_500 + output * 6_000 + read * 150 + write * 1_875) as f64 / 1e10,
        ];
        let given = [
            cost.input,
            cost.output,
            cost.cache_read,
            cost.cache_write,
            cost.total,
        ];
        for (given, expected) in given.iter().zip(expected) {
            assert!(
                (given - expected).abs() < 1e-12,
                "{given} is not {expected}"
            );
        }
    }
    // Without prices an answer costs nothing.
    let answer = Answer::chunks(&[chunk(&finish("stop")), usage(&counts(5, 1, 0, None))]);
    let (events, _) = hears(&json!({"id": "m"}), answer).await;
    let total = events.iter().find_map(|event| match event {
        Event::Usage(usage) => usage.cost.as_ref().map(|cost| cost.total),
        _ => None,
    });
    assert_eq!(total, Some(0.0));
}
