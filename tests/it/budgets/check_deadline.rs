//! Whatever a plugin does in each of its calls, `plugin check` and `plugin fuzz` come to an end, and
//! what was not tried is never said to hold.

use std::time::{Duration, Instant};

use provider_host::check::{Options, Report, Suite, Verdict, all};
use provider_host::plugin::EMBEDDED;
use provider_host::policy::CompileLimits;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::check::hostile;
use crate::cli::process::Home;
use crate::hostile_files::components;
use crate::support::engine;

/// How long the suites here may take.
const DEADLINE: Duration = Duration::from_secs(6);

/// What may pass beyond it: a busy machine, and a call that is left.
const GRACE: Duration = Duration::from_secs(30);

/// A configuration of the plugin that attacks its host.
fn orders(attack: &str, at: &str) -> Value {
    json!({"attack": attack, "at": at, "granted": "127.0.0.1:1", "other": "127.0.0.1:1"})
}

fn options(attack: &str, at: &str) -> Options {
    let config = orders(attack, at);
    Options::default()
        .with_config(config.as_object().expect("an object").clone())
        .with_deadline(DEADLINE)
}

/// Those that were not tried to their end, each of which says why.
fn not_tried(reports: &[Report]) -> Vec<&str> {
    let reasons = reports.iter().filter_map(|report| match &report.verdict {
        Verdict::NotTried(why) => Some(why.as_str()),
        _ => None,
    });
    let reasons: Vec<_> = reasons.collect();
    assert!(reasons.iter().all(|why| !why.is_empty()));
    reasons
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_waits_computes_or_trickles_does_not_outlast_the_deadline() {
    // Where it does so, and whether that is a call that checks are ended in. A stream is dropped or
    // subscribed to where a server answers, which this plugin never asks.
    let attacks = [
        ("endless-wait", "check-settings", true),
        ("endless-wait", "list-models", true),
        ("endless-wait", "start", true),
        ("longest-wait", "next", true),
        ("endless-loop", "list-models", true),
        ("endless-loop", "next", true),
        ("endless-host-calls", "start", true),
        ("endless-yields", "next", true),
        ("computing-trickle", "next", true),
        ("endless-text", "next", true),
        ("endless-wait", "drop", false),
        ("endless-loop", "drop", false),
        ("endless-wait", "subscribe", false),
    ];
    // Four at a time: most of them only wait.
    for some in attacks.chunks(4) {
        let mut tried = JoinSet::new();
        for &(attack, at, named) in some {
            tried.spawn(ends_by_the_deadline(attack, at, named));
        }
        tried.join_all().await;
    }
}

async fn ends_by_the_deadline(attack: &str, at: &str, named: bool) {
    let suite = Suite::new(engine(), hostile(), options(attack, at)).expect("a plugin");
    let began = Instant::now();
    let reports = suite.run().await;
    let took = began.elapsed();
    assert!(took < DEADLINE + GRACE, "{attack} at {at}: {took:?}");
    assert_eq!(reports.len(), all().count());
    let reasons = not_tried(&reports);
    // A plugin that ignores what it is asked is wrong in other ways, too, and a fault that was
    // found is told. Where every check found one, there is nothing that was not tried.
    if reasons.is_empty() {
        return;
    }
    let all: Vec<&str> = reports
        .iter()
        .flat_map(|report| report.verdict.reasons())
        .map(String::as_str)
        .collect();
    let says = |words: &str| all.iter().any(|reason| reason.contains(words));
    assert!(says("6 s"), "{attack} at {at}: {all:#?}");
    let says_where = says(&format!("in `{at}` then, for "));
    assert!(says_where || !named, "{attack} at {at}: {all:#?}");
}

#[tokio::test]
async fn one_check_that_takes_long_leaves_their_part_to_the_others() {
    // Its settings are waited for in vain; what needs none is tried all the same.
    let options = options("endless-wait", "check-settings");
    let options = options.with_deadline(Duration::from_secs(12));
    let suite = Suite::new(engine(), hostile(), options).expect("a plugin");
    let reports = suite.run().await;
    let passed = |group: &str| {
        let of_group = reports.iter().filter(|one| one.check.group.name() == group);
        let passed = of_group.filter(|one| matches!(one.verdict, Verdict::Passed(_)));
        passed.count()
    };
    assert!(passed("manifest") > 2, "{reports:?}");
    assert!(passed("catalog") > 0, "{reports:?}");
    // What was asked of it did not come to an end, and is not said to hold.
    let asked = reports.iter().find(|one| {
        let check = one.check;
        (check.group.name(), check.name) == ("settings", "silent")
    });
    let asked = &asked.expect("a check of that name").verdict;
    assert!(!matches!(asked, Verdict::Passed(_)), "{asked:?}");
}

#[tokio::test]
async fn nothing_holds_where_there_is_no_time() {
    let options = Options::default().with_deadline(Duration::ZERO);
    let suite = Suite::new(engine(), EMBEDDED, options).expect("a plugin");
    let reports = suite.run().await;
    assert_eq!(not_tried(&reports).len(), all().count());
}

#[tokio::test]
async fn a_plugin_that_is_slow_to_compile_does_not_outlast_the_deadline() {
    let limits = CompileLimits::new().with_wall_time(Duration::from_secs(20));
    let engine = crate::hostile_files::engine(limits);
    let slow = components::provider(&[components::bomb(2_000, 4_096)]);
    let options = Options::default().with_deadline(Duration::from_millis(300));
    let began = Instant::now();
    let suite = Suite::new(&engine, &slow, options).expect("a plugin");
    let reports = suite.run().await;
    assert!(began.elapsed() < GRACE, "{:?}", began.elapsed());
    let reasons = not_tried(&reports);
    assert_eq!(reasons.len(), all().count());
    assert!(
        reasons[0].contains("0.3 s") && reasons[0].contains("compiled"),
        "{reasons:?}"
    );
}

#[test]
fn what_the_command_line_did_not_try_ends_in_1_and_says_that_it_is_incomplete() {
    let home = Home::new();
    let file = home.write("p.wasm", hostile());
    let config = home.write("c.json5", orders("endless-wait", "list-models").to_string());
    let arguments = [
        "plugin",
        "check",
        &file,
        "--config",
        &config,
        "--seconds",
        "3",
    ];
    let outcome = home.run(&arguments).exits(1);
    let last = outcome.stdout.lines().last().expect("totals");
    assert!(last.ends_with(" not tried: this is incomplete"), "{last}");
    assert!(
        outcome.stdout.contains("\nnot tried "),
        "{}",
        outcome.stdout
    );

    let outcome = home.run(&[&arguments[..], &["--json"]].concat()).exits(1);
    let lines = outcome.json_lines();
    let (totals, checks) = lines.split_last().expect("lines");
    let untried = checks.iter().filter(|line| line["result"] == "not-tried");
    let count = untried.clone().count();
    assert!(count > 0, "{checks:?}");
    assert!(untried.clone().all(|line| line["reasons"][0].is_string()));
    assert_eq!(totals["not_tried"], count);
    assert_eq!(totals["complete"], false);
}

#[test]
fn fuzzing_a_plugin_that_waits_ends_when_its_time_is_over() {
    let home = Home::new();
    let file = home.write("p.wasm", hostile());
    for attack in ["endless-wait", "endless-loop"] {
        let config = home.write("c.json5", orders(attack, "start").to_string());
        let findings = home.write("kept", "");
        std::fs::remove_file(&findings).expect("a name");
        std::fs::create_dir(&findings).expect("a folder");
        let began = Instant::now();
        let outcome = home.run(&[
            "plugin",
            "fuzz",
            &file,
            "--config",
            &config,
            "--seconds",
            "3",
            "--findings",
            &findings,
        ]);
        let took = began.elapsed();
        assert!(
            took < Duration::from_secs(3) + GRACE,
            "{attack}: {took:?} {outcome:?}"
        );
        std::fs::remove_dir_all(&findings).expect("a folder");
    }
}
