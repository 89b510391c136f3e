//! What is known already, through every target: the seeds, the recordings, and everything that was ever found.

use std::panic::catch_unwind;
use std::path::Path;

use provider_fuzz::{TARGETS, recordings};

/// The files of a folder by their paths; none where there is no folder.
fn files(folder: &str, target: &str) -> Vec<(String, Vec<u8>)> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let Ok(entries) = std::fs::read_dir(here.join(folder).join(target)) else {
        return Vec::new();
    };
    let mut files: Vec<(String, Vec<u8>)> = entries
        .map(|entry| {
            let entry = entry.expect("an entry");
            let name = entry.file_name().to_string_lossy().into_owned();
            let bytes = std::fs::read(entry.path()).expect("a file");
            (format!("fuzz/{folder}/{target}/{name}"), bytes)
        })
        .collect();
    files.sort();
    files
}

fn hold(kind: &str, inputs: impl Fn(&str) -> Vec<(String, Vec<u8>)>) -> usize {
    let (mut tried, mut failed) = (0, Vec::new());
    for (target, run) in TARGETS {
        for (name, bytes) in inputs(target) {
            tried += 1;
            if catch_unwind(|| run(&bytes)).is_err() {
                failed.push(format!("{target}: {name}"));
            }
        }
    }
    assert!(failed.is_empty(), "{kind}:\n{}", failed.join("\n"));
    tried
}

#[test]
fn every_seed_holds() {
    let tried = hold("seeds", |target| files("seeds", target));
    assert!(
        tried >= TARGETS.len(),
        "{tried} seeds for {} targets",
        TARGETS.len()
    );
}

#[test]
fn nothing_that_was_found_comes_back() {
    hold("findings", |target| files("findings", target));
}

#[test]
fn every_recording_holds() {
    let tried = hold("recordings", recordings::inputs);
    assert!(tried > 1_000, "only {tried} inputs from the recordings");
    let inputs = recordings::inputs("decoder");
    let reported = |name: &String| name.starts_with("wild-");
    let reported = inputs.iter().filter(|(name, _)| reported(name)).count();
    assert!(reported > 30, "only {reported} streams from bug reports");
}

#[test]
fn an_empty_input_and_one_of_zeros_are_inputs_of_every_target() {
    hold("short inputs", |_| {
        let zeros = |length: usize| (format!("{length} zeros"), vec![0; length]);
        [0, 1, 2, 3, 5, 8, 13, 21, 64].map(zeros).to_vec()
    });
}
