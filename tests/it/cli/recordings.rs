//! Every recorded answer of a real server, through the whole program.

use std::sync::Mutex;

use provider_host::mock::{Options, Replay};
use serde_json::{Value, json};

use super::answer::Answer;
use super::process::Home;
use super::server::Server;
use crate::recorded::{self, Recorded, compare};

/// Processes at once.
const AT_ONCE: usize = 4;

/// A home with the recordings as models, in the words of the expectations: not
/// known to think, and without a price.
fn home(server: &Server, cases: &[&str], timeout: Option<u32>) -> Home {
    let models: Vec<Value> = cases
        .iter()
        .map(|case| json!({"id": case, "contextWindow": 4096, "maxTokens": 1024}))
        .collect();
    let mut configuration = server.declaring(&Value::from(models));
    if let Some(seconds) = timeout {
        configuration["models"]["providers"]["vllm"]["timeoutSeconds"] = seconds.into();
    }
    Home::configured(&configuration)
}

/// Notes have no line: they go to stderr.
fn without_notes(recorded: &Recorded) -> (Recorded, usize) {
    let mut recorded = recorded.clone();
    let events = recorded.expected["events"].as_array_mut().expect("events");
    let all = events.len();
    events.retain(|event| event["type"] != "note");
    let notes = all - events.len();
    (recorded, notes)
}

fn check(home: &Home, recorded: &Recorded) -> Result<(), String> {
    let case = &recorded.case;
    let model = format!("vllm/{case}");
    let outcome = home.run(&[
        "chat",
        "--json",
        "--max-retries",
        "0",
        "--model",
        &model,
        "Say hello.",
    ]);
    let answer = Answer::of(&outcome).map_err(|why| format!("{case}: {why}"))?;
    let (expected, notes) = without_notes(recorded);
    compare(&expected, &answer.events, answer.error())?;
    let told = outcome
        .stderr
        .lines()
        .filter(|line| line.starts_with("note: "));
    if told.count() != notes || outcome.stderr.lines().count() != notes {
        return Err(format!("{case}: {notes} notes are expected: {outcome:#?}"));
    }
    let status = if answer.error().is_some() { 1 } else { 0 };
    match outcome.status == Some(status) {
        true => Ok(()),
        false => Err(format!(
            "{case}: the exit status is not {status}: {outcome:#?}"
        )),
    }
}

#[test]
fn each_recorded_answer_gives_the_expected_lines() {
    let chats = recorded::chats();
    let server = Server::start(Options {
        replay: Some(Replay::new(recorded::fixtures())),
        ..Options::default()
    });
    let cases: Vec<&str> = chats.iter().map(|chat| chat.case.as_str()).collect();
    let patient = home(&server, &cases, None);
    // A server that fell silent is given up by the time-out only.
    let impatient = home(&server, &cases, Some(3));

    let queue = Mutex::new(chats.iter());
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some(recorded) = queue.lock().expect("the queue").next() else {
                        return;
                    };
                    let silent = recorded.expected["error"]["kind"] == "timeout";
                    let home = if silent { &impatient } else { &patient };
                    if let Err(why) = check(home, recorded) {
                        failures.lock().expect("the failures").push(why);
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().expect("the failures");
    assert!(
        failures.is_empty(),
        "{}\n{}",
        failures.len(),
        failures.join("\n")
    );
}
