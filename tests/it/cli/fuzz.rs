//! `plugin fuzz` as a process: its exit status, its totals, its files.

use provider_host::plugin::EMBEDDED;

use serde_json::Value;

use super::process::Home;
use crate::fuzz::{corpus, faulty_file};

#[test]
fn fuzzing_ours_finds_nothing_and_the_seed_gives_the_same_again() {
    let home = Home::new();
    let file = home.write("p.wasm", EMBEDDED);
    let findings = home.path("findings");
    let findings = findings.to_str().expect("a path");
    let fuzz = |seed: &str| {
        let arguments = [
            "plugin",
            "fuzz",
            &file,
            "--runs",
            "60",
            "--seed",
            seed,
            "--findings",
            findings,
        ];
        let stdout = home.run(&arguments).exits(0).stdout;
        assert!(stdout.contains("Findings       0\n"), "{stdout}");
        assert!(stdout.contains("Executions     60\n"), "{stdout}");
        let digest = stdout.lines().find(|line| line.starts_with("Digest"));
        digest.expect("a digest").to_owned()
    };
    let first = fuzz("5");
    assert_eq!(first, fuzz("5"));
    assert_ne!(first, fuzz("6"));
    assert!(!home.path("findings").exists());
}

/// In a process of its own: in this one, others take memory meanwhile.
#[test]
fn fuzzing_gives_all_memory_back() {
    let home = Home::new();
    let file = home.write("p.wasm", EMBEDDED);
    let arguments = ["plugin", "fuzz", &file, "--runs", "3000", "--seed", "3"];
    let stdout = home.run(&arguments).exits(0).stdout;
    let memory = stdout.lines().find(|line| line.starts_with("Memory"));
    let memory = memory.unwrap_or_else(|| panic!("it is not told: {stdout}"));
    assert!(memory.contains(" after 1,000, "), "{memory}");
    assert!(!memory.contains("grows"), "{memory}");
}

#[test]
fn fuzzing_what_is_no_plugin_or_with_no_recordings_is_wrong_usage() {
    let home = Home::new();
    let file = home.write("p.wasm", EMBEDDED);
    let text = home.write("text.wasm", "no component");
    let empty = home.path("empty");
    std::fs::create_dir(&empty).expect("a folder");
    let empty = empty.to_str().expect("a path");
    let fuzz = |arguments: &[&str]| {
        let all = ["plugin", "fuzz"].iter().chain(arguments);
        home.run(&all.collect::<Vec<_>>()).exits(2)
    };
    fuzz(&[&text, "--runs", "1"]).complains(&["text.wasm"]);
    fuzz(&["missing.wasm", "--runs", "1"]).complains(&["missing.wasm"]);
    fuzz(&[&file, "--corpus", empty]).complains(&["no recorded case", empty]);
    fuzz(&[&file, "--replay", &text]).complains(&["text.wasm", "finding"]);
    fuzz(&[&file, "--seconds", "0"]);
}

#[test]
fn ctrl_c_ends_fuzzing_with_130_and_its_totals() {
    let home = Home::new();
    let file = home.write("p.wasm", EMBEDDED);
    let arguments = ["plugin", "fuzz", &file, "--seconds", "600", "--seed", "1"];
    let mut running = home.command(&arguments).start();
    assert!(running.line().contains("seed 1"));
    running.interrupt();
    let outcome = running.finish().exits(130);
    assert!(outcome.stdout.contains("Executions"), "{outcome:#?}");
    assert!(
        outcome.stdout.contains("Findings       0\n"),
        "{outcome:#?}"
    );
}

#[test]
fn a_finding_is_a_file_that_replays_with_1_until_it_is_mended() {
    let home = Home::new();
    let plugin = faulty_file();
    let plugin = plugin.to_str().expect("a path");
    let config = home.write("c.json5", "{fault: 'traps-at-a-broken-end'}");
    let corpus = corpus();
    let corpus = corpus.to_str().expect("a path");
    let folder = home.path("findings");
    let findings = folder.to_str().expect("a path");
    let arguments = [
        "--config",
        &config,
        "plugin",
        "fuzz",
        plugin,
        "--runs",
        "60",
        "--seed",
        "1",
        "--corpus",
        corpus,
        "--findings",
        findings,
    ];
    let stdout = home.run(&arguments).exits(1).stdout;
    assert!(stdout.contains("no-trap in execution"), "{stdout}");
    assert!(stdout.contains("Findings       1"), "{stdout}");

    let mut files = std::fs::read_dir(&folder).expect("a folder");
    let file = files.next().expect("a file").expect("a file").path();
    assert!(files.next().is_none(), "one finding, one file");
    let file = file.to_str().expect("a path");
    let replay = ["plugin", "fuzz", plugin, "--replay", file];
    let stdout = home.run(&replay).exits(1).stdout;
    assert!(stdout.contains("no-trap is broken"), "{stdout}");

    let text = std::fs::read_to_string(file).expect("a text");
    let mut finding: Value = serde_json::from_str(&text).expect("JSON");
    finding["input"]["settings"]["config"] = "{}".into();
    std::fs::write(file, finding.to_string()).expect("a file");
    let stdout = home.run(&replay).exits(0).stdout;
    assert!(
        stdout.contains("no-trap is not broken any more"),
        "{stdout}"
    );
}
