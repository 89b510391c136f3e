//! `cargo xtask bench`: the measurements of `bench/`, and the gate on instruction counts.

use anyhow::{Result, bail};

use crate::setup;
use crate::steps::{cargo, run as step};

const USAGE: &str = "\
usage: cargo xtask bench [TASK] [ARGUMENTS]

  in-process [--rounds N] [--events N] [--kind K]  decoding and the sandbox, beside native readers, from memory
  loopback [--rounds N] [--parts abcds]            whole clients against a paced server on this machine
  gate [--update]                                  instruction counts against tests/instructions/baseline.json; needs valgrind

Without a task: the first two. What they mean, and what they said: docs/performance.md.
";

/// Where the measurements are built: in the release profile, so that nothing of the everyday build is of use.
const BUILT: [&str; 4] = [
    "--manifest-path",
    "bench/Cargo.toml",
    "--target-dir",
    "target/bench",
];

/// Runs the task that the arguments name.
///
/// # Errors
/// The arguments are not understood, the build or a program failed, or the gate found a rise.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let (task, rest) = match arguments.split_first() {
        Some((task, rest)) => (task.as_str(), rest),
        None => ("", arguments),
    };
    if let "help" | "-h" | "--help" = task {
        print!("{USAGE}");
        return Ok(());
    }
    setup::run()?;
    match task {
        "" => {
            measure("in-process", &[])?;
            measure("loopback", &[])
        }
        "in-process" | "loopback" => measure(task, rest),
        "gate" => {
            // Of the whole workspace, so that what the other tests built is built once.
            let command = ["test", "--workspace", "--test", "instructions", "--"];
            step("count instructions", cargo(&command).args(rest))
        }
        other => bail!("unknown task {other:?}\n\n{USAGE}"),
    }
}

fn measure(program: &str, arguments: &[String]) -> Result<()> {
    step(
        "build the measurements",
        cargo(&["build", "--release", "--locked", "--bins"]).args(BUILT),
    )?;
    step(
        program,
        cargo(&["run", "--release", "--locked", "--bin", program])
            .args(BUILT)
            .arg("--")
            .args(arguments),
    )
}
