//! Fuzzing in the sandbox: ours has nothing to be found, what is faulty is found, and what was found replays.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use provider_host::Plugin;
use provider_host::exercise::Exchange;
use provider_host::exercise::fuzz::{Finding, Fuzzer, Invariant, Options, Progress, Totals};
use provider_host::policy::SandboxLimits;
use serde_json::{Value, json};

use crate::hostile::component;
use crate::recorded;
use crate::support::{BOUND, engine, plugin};

fn workspace() -> &'static Path {
    let host = Path::new(env!("CARGO_MANIFEST_DIR"));
    host.parent().expect("a workspace")
}

/// The provider with faults, each named in its configuration; without one it is honest.
pub(crate) fn faulty_file() -> PathBuf {
    component::build_package(workspace(), "faulty-provider").expect("a component")
}

/// The folder of exchanges of the server that it speaks to.
pub(crate) fn corpus() -> PathBuf {
    workspace().join("tests/second/corpus")
}

fn faulty() -> &'static Plugin {
    static PLUGIN: OnceLock<Plugin> = OnceLock::new();
    PLUGIN.get_or_init(|| Plugin::from_file(engine(), &faulty_file()).expect("a plugin"))
}

fn its_exchanges() -> &'static [Exchange] {
    static READ: OnceLock<Vec<Exchange>> = OnceLock::new();
    READ.get_or_init(|| Exchange::load(&corpus()).expect("recordings"))
}

fn with_fault(name: &str) -> Fuzzer<'static> {
    let Value::Object(entry) = json!({ "fault": name }) else {
        unreachable!("an object was made")
    };
    let tight = SandboxLimits::new().with_cpu_time_per_call(Duration::from_millis(500));
    let fuzzer = Fuzzer::new(faulty(), its_exchanges()).expect("a fuzzer");
    fuzzer.with_config(entry).with_sandbox(tight)
}

fn run(fuzzer: &Fuzzer<'_>, options: Options) -> (Totals, Vec<Finding>) {
    let found = Mutex::new(Vec::new());
    let totals = fuzzer.run(
        &options.with_time(BOUND),
        &AtomicBool::new(false),
        &|progress| {
            if let Progress::Found(finding) = progress {
                found.lock().expect("a lock").push(finding.clone());
            }
        },
    );
    (totals.expect("totals"), found.into_inner().expect("a lock"))
}

#[test]
fn ours_keeps_every_invariant_over_mutations_of_all_recordings() {
    let recorded = Exchange::load(&recorded::fixtures()).expect("the recordings");
    let fuzzer = Fuzzer::new(plugin(), &recorded).expect("a fuzzer");
    let (totals, found) = run(&fuzzer, Options::new(2_026).with_executions(3_000));
    let told: Vec<String> = found
        .iter()
        .map(|one| {
            format!(
                "execution {}: {}: {}",
                one.execution, one.invariant, one.message
            )
        })
        .collect();
    assert!(told.is_empty(), "{}", told.join("\n"));
    // On a busy machine fewer, but never so few that it says nothing.
    assert!(totals.executions >= 300, "{totals:?}");
    assert!(totals.runs > 2 * totals.executions, "{totals:?}");
    assert!(totals.sorts > 50, "{totals:?}");
}

#[test]
fn ours_keeps_every_invariant_over_mutations_of_reported_exchanges() {
    let reported = Exchange::reported();
    let fuzzer = Fuzzer::new(plugin(), &reported).expect("a fuzzer");
    let (totals, found) = run(&fuzzer, Options::new(48).with_executions(1_500));
    assert!(found.is_empty(), "{found:#?}");
    assert!(totals.executions >= 150, "{totals:?}");
}

#[test]
fn the_same_seed_gives_the_same_executions_on_any_number_of_threads() {
    let recorded = Exchange::built_in();
    let fuzzer = Fuzzer::new(plugin(), &recorded).expect("a fuzzer");
    let digest = |seed, threads| {
        let options = Options::new(seed).with_executions(250);
        let (totals, _) = run(&fuzzer, options.with_threads(threads));
        assert_eq!(totals.executions, 250);
        totals.digest
    };
    let first = digest(7, 1);
    assert_eq!(first, digest(7, 3));
    assert_ne!(first, digest(8, 2));
}

#[test]
fn each_fault_of_a_plugin_is_found_made_small_and_replays_until_it_is_mended() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut failures = Vec::new();
    for (fault, invariant, executions) in [
        ("traps-at-a-broken-end", Invariant::NoTrap, 60),
        ("loops-in-check-settings", Invariant::WithinLimits, 120),
        ("numbers-from-1", Invariant::Grammar, 60),
        ("finishes-twice", Invariant::Grammar, 60),
        ("shows-the-cuts", Invariant::Cuts, 60),
        ("mends-arguments", Invariant::Arguments, 60),
        ("model-twice", Invariant::Promises, 300),
        ("model-that-pays", Invariant::Promises, 300),
        ("puts-the-key-into-the-body", Invariant::Requests, 30),
    ] {
        let fuzzer = with_fault(fault);
        let (totals, found) = run(&fuzzer, Options::new(1).with_executions(executions));
        let Some(finding) = found.iter().find(|one| one.invariant == invariant) else {
            failures.push(format!(
                "{fault}: {invariant} is not broken: {totals:?}, {found:?}"
            ));
            continue;
        };
        let file = finding.write(folder.path()).expect("a file");
        let mut read = Finding::read(&file).expect("a finding");
        assert_eq!(&read, finding);
        let broken = fuzzer.replay(&read).expect("a replay").1;
        if broken.as_ref().map(|broken| broken.invariant) != Some(invariant) {
            failures.push(format!("{fault}: replayed to {broken:?}"));
        }
        // What is recorded has hundreds of bytes and more.
        let text = serde_json::to_string(&finding.input.script).expect("JSON");
        if text.len() > 700 {
            failures.push(format!("{fault}: not small: {text}"));
        }
        let config = read.input.settings.config.take();
        let mended = config.expect("the fault's name").replace(fault, "none");
        read.input.settings.config = Some(mended);
        let broken = fuzzer.replay(&read).expect("a replay").1;
        if broken.is_some() {
            failures.push(format!("{fault}: mended, and replayed to {broken:?}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn a_plugin_without_its_fault_has_nothing_to_be_found() {
    let fuzzer = with_fault("none");
    let (totals, found) = run(&fuzzer, Options::new(3).with_executions(1_500));
    assert!(found.is_empty(), "{found:#?}");
    assert!(totals.executions >= 300, "{totals:?}");
}

#[test]
fn fuzzing_ends_when_it_is_told_to() {
    let recorded = Exchange::built_in();
    let fuzzer = Fuzzer::new(plugin(), &recorded).expect("a fuzzer");
    let options = Options::new(1).with_threads(1);
    let stop = AtomicBool::new(true);
    let totals = fuzzer.run(&options, &stop, &|_| {}).expect("totals");
    assert_eq!(totals.executions, 0);
    let soon = options.with_time(Duration::from_millis(1));
    let totals = fuzzer.run(&soon, &AtomicBool::new(false), &|_| {});
    assert!(totals.expect("totals").time < BOUND);
    assert!(Fuzzer::new(plugin(), &[]).is_err());
}
