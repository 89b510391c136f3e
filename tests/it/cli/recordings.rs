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

/// The lines of an answer in the form of the expectations: of a note the code, and without what
/// follows from the rest.
fn lines(answer: &Answer) -> Vec<Value> {
    let line = |event: &Value| {
        let mut event = event.clone();
        if event["type"] == "note" {
            return json!({"type": "note", "code": event["code"]});
        }
        if let Some(valid) = event.as_object_mut().and_then(|line| line.remove("valid")) {
            let arguments = event["arguments"].as_str().expect("arguments");
            let parses = serde_json::from_str::<Value>(arguments).is_ok();
            assert_eq!(valid, parses, "{event}");
        }
        event
    };
    answer.events.iter().map(line).collect()
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
    let lines = lines(&answer);
    compare(recorded, &lines, answer.error())?;
    // A note is told to people, too.
    let notes = lines.iter().filter(|line| line["type"] == "note").count();
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
