//! Builds `fuzz/`: plainly for what runs known inputs, instrumented for libFuzzer.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::steps::{cargo, run, workspace};

/// `fuzz/` without libFuzzer, in the everyday target folder: most of what it needs is compiled there already.
pub(super) const PLAIN: [&str; 5] = [
    "--manifest-path",
    "fuzz/Cargo.toml",
    "--no-default-features",
    "--target-dir",
    "target",
];

/// What cargo-fuzz asks of rustc, less the sanitizer: edges counted, comparisons traced. Each is a flag of the stable
/// compiler, handed on to LLVM.
const INSTRUMENTED: [&str; 7] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "--cfg=fuzzing",
    "-Cdebuginfo=line-tables-only",
];

/// What is built and found lies here.
pub(super) fn folder() -> PathBuf {
    workspace().join("target/fuzz")
}

/// Builds the programs of these targets; gives the folder they are in.
pub(super) fn programs(targets: &[&str]) -> Result<PathBuf> {
    compiler()?;
    recordings()?;
    let host = host()?;
    let target_dir = folder();
    let mut command = cargo(&["build", "--release", "--manifest-path", "fuzz/Cargo.toml"]);
    // A target of its own keeps the flags off build scripts and macros, also where it is this machine's.
    command
        .args(["--target", &host, "--target-dir"])
        .arg(&target_dir);
    for target in targets {
        command.args(["--bin", target]);
    }
    command.env("CARGO_ENCODED_RUSTFLAGS", INSTRUMENTED.join("\u{1f}"));
    run("build the fuzz targets", &mut command)?;
    Ok(target_dir.join(host).join("release"))
}

/// Writes what the recordings make of inputs to where libFuzzer reads them.
fn recordings() -> Result<()> {
    let folder = folder().join("recordings");
    run(
        "inputs from the recordings",
        cargo(&["run", "--quiet", "--example", "recordings"])
            .args(PLAIN)
            .arg("--")
            .arg(folder),
    )
}

/// libFuzzer is compiled from its C++ sources, which come with its crate.
fn compiler() -> Result<()> {
    let compiler = std::env::var_os("CXX").unwrap_or_else(|| "c++".into());
    let works = Command::new(&compiler).arg("--version").output();
    ensure!(
        works.is_ok_and(|output| output.status.success()),
        "NOT FUZZED: there is no C++ compiler ({} --version fails), and libFuzzer is C++. Install one (Debian: g++), or \
         name it in CXX. `cargo xtask fuzz known` needs none",
        compiler.display()
    );
    Ok(())
}

/// The target that this machine's rustc builds for.
fn host() -> Result<String> {
    let output = Command::new("rustc")
        .arg("-vV")
        .output()
        .context("cannot run rustc")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host
        .context("rustc does not say for which host it is")?
        .to_owned())
}
