//! Recorded answers of real servers, over a socket, through the sandbox.

use provider_host::mock::{Cut, Mock, Options, Pick, Replay};
use serde_json::Value;

use crate::recorded::{self, compare};
use crate::support::{ask, error_json, event_json, model, provider, run, short_limits};

/// How often each answer is replayed, each time cut elsewhere.
const ROUNDS: u64 = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_recorded_answer_gives_the_expected_events_through_the_sandbox() {
    let chats = recorded::chats();
    let mut failures = Vec::new();
    for seed in 0..ROUNDS {
        let mock = Mock::start(Options {
            replay: Some(Replay {
                dir: recorded::fixtures(),
                pick: Pick::ByModel,
                seed,
                cut: match seed {
                    0 => Cut::Whole,
                    1 => Cut::EveryByte,
                    _ => Cut::Random,
                },
            }),
            ..Options::default()
        })
        .await
        .expect("a mock");
        let provider = provider(&mock.base_url(), "secret-1", short_limits());
        for recorded in &chats {
            let (events, error) = run(&provider, &model(&recorded.case), &ask("Say hello.")).await;
            let events: Vec<Value> = events.iter().map(event_json).collect();
            let error = error.as_ref().map(error_json);
            if let Err(difference) = compare(recorded, &events, error.as_ref()) {
                failures.push(format!("round {seed}: {difference}"));
            }
        }
    }
    assert!(
        failures.is_empty(),
        "{}\n{}",
        failures.len(),
        failures.join("\n")
    );
}
