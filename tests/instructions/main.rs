//! How many instructions decoding and a sandboxed chat take, held against what they took before.
//!
//! `cargo test -p provider-host --test instructions` (or `cargo xtask bench gate`) runs each scenario twice under valgrind,
//! a short and a long time, and takes the difference: what starting costs is not in it. The counts are compared with
//! `baseline.json`; a scenario that takes over 5 % more fails, with the functions that rose. With `-- --update` the
//! baseline is written anew.
//!
//! It is cachegrind that counts: the same instructions as callgrind, by function. Callgrind also follows calls, and loses
//! its way where wasmtime switches stacks. Code that wasmtime compiled has no names there: it is one line, `[guest]`, and
//! which function of the guest rose is told by the scenarios that run the guest's core natively.
//!
//! Counts depend on the compiler, so the baseline says which one made it. They do not depend on the machine's load, and
//! hardly on the machine: under valgrind every processor that has AVX2 looks the same.

#[path = "../../bench/src/answer.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "it belongs to the measurements, which use more of it"
)]
mod answer;
mod baseline;
#[path = "../../bench/src/core.rs"]
#[allow(unreachable_pub, reason = "it belongs to the measurements")]
mod core;
mod counted;
#[path = "../../bench/src/sandbox.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "it belongs to the measurements, which use more of it"
)]
mod sandbox;
mod scenario;

use std::process::ExitCode;

use baseline::Baseline;
use scenario::SCENARIOS;

/// How much more a scenario may take, in percent.
const TOLERANCE: f64 = 5.0;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        // As valgrind starts it.
        ["run", name, times] => {
            scenario::run(name, times.parse().expect("a number"));
            ExitCode::SUCCESS
        }
        [] => gate(false),
        ["--update"] => gate(true),
        _ => {
            eprintln!("usage: instructions [--update]");
            ExitCode::from(2)
        }
    }
}

fn gate(update: bool) -> ExitCode {
    let known = Baseline::read();
    let mut found = Baseline::new();
    if let Err(why) = counted::prepare() {
        eprintln!("error: {why}");
        return ExitCode::FAILURE;
    }
    for scenario in SCENARIOS {
        match counted::count(scenario) {
            Ok(counts) => found.scenarios.insert(scenario.name.to_owned(), counts),
            Err(why) => {
                eprintln!("error: {}: {why}", scenario.name);
                return ExitCode::FAILURE;
            }
        };
    }
    if update {
        found.write();
        found.print(None);
        println!("\nwritten to {}", Baseline::path().display());
        return ExitCode::SUCCESS;
    }
    let known = match known {
        Ok(known) => known,
        Err(why) => {
            eprintln!("error: no baseline: {why}; make one with `cargo xtask bench gate --update`");
            return ExitCode::FAILURE;
        }
    };
    found.print(Some(&known));
    if known.compiler != found.compiler {
        eprintln!(
            "error: the baseline was made with {:?} and this is {:?}, whose counts can't be compared; make a new one with \
             `cargo xtask bench gate --update`",
            known.compiler, found.compiler
        );
        return ExitCode::FAILURE;
    }
    let risen = found.risen(&known, TOLERANCE);
    for line in &risen {
        eprintln!("error: {line}");
    }
    if risen.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!(
        "If that is worth it, say why in the commit and write the baseline anew: `cargo xtask bench gate --update`."
    );
    ExitCode::FAILURE
}
