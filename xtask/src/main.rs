//! The project's chores, `cargo xtask <task>`: what other projects keep in shell scripts, on every system that has
//! cargo and nothing else.

mod bench;
#[path = "../../host/build/component.rs"]
mod component;
mod fuzz;
mod real_vllm;
mod setup;
mod steps;

use std::process::ExitCode;

use anyhow::{Result, anyhow, bail, ensure};

use steps::{cargo, run};

const USAGE: &str = "\
usage: cargo xtask TASK [ARGUMENTS]

  setup             get what a bare toolchain lacks (the wasm target); quick when nothing is missing
  demo [ARGS]       mock server, discovery, a streamed chat, usage: the whole path, with no configuration
  test [ARGS]       every test; ARGS go to `cargo test --workspace`
  lint              formatting, clippy for host and guest, rustdoc, all with warnings denied
  build-component   the guest alone, as target/component/vllm-provider.wasm
  fuzz [TARGET]…    the native fuzz targets, each for a bounded number of inputs; `fuzz --help` has the rest
  bench [TASK]      what it costs beside what users would pick instead; instruction counts; `bench --help`
  ci                setup, lint and test
  real-vllm TASK    a real vLLM for the CPU: setup, serve, test; gigabytes and minutes, so only when asked for
";

/// The largest size of the component in bytes: 400 KB, what is compiled and kept per plugin.
const SIZE_LIMIT: u64 = 409_600;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let task = arguments.next();
    let rest: Vec<String> = arguments.collect();
    let result = match task.as_deref() {
        Some("setup") => no_arguments(&rest).and_then(|()| setup::run()),
        Some("demo") => demo(&rest),
        Some("test") => test(&rest),
        Some("lint") => no_arguments(&rest).and_then(|()| lint()),
        Some("build-component") => no_arguments(&rest).and_then(|()| build_component()),
        Some("ci") => no_arguments(&rest)
            .and_then(|()| lint())
            .and_then(|()| test(&[])),
        Some("fuzz") => fuzz::run(&rest),
        Some("bench") => bench::run(&rest),
        Some("real-vllm") => real_vllm::run(&rest),
        Some("help" | "-h" | "--help") => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        other => {
            eprint!("unknown task {:?}\n\n{USAGE}", other.unwrap_or_default());
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn no_arguments(rest: &[String]) -> Result<()> {
    ensure!(
        rest.is_empty(),
        "this task takes no arguments, got {}",
        rest.join(" ")
    );
    Ok(())
}

fn demo(rest: &[String]) -> Result<()> {
    setup::run()?;
    let mut command = cargo(&["run", "--package", "provider-host", "--", "demo"]);
    run("demo", command.args(rest))
}

fn test(rest: &[String]) -> Result<()> {
    setup::run()?;
    run(
        "build tests",
        cargo(&["test", "--workspace", "--no-run"]).args(before_dashes(rest)),
    )?;
    run("run tests", cargo(&["test", "--workspace"]).args(rest))?;
    // The fuzz targets are a workspace of their own, of which no argument for this one speaks.
    match rest {
        [] => {
            fuzz::known_inputs()?;
            // A minute of paced streams: fails if one is late for a reason of the host's.
            run(
                "soak",
                // Of the whole workspace, so that what the other tests built is built once.
                &mut cargo(&["test", "--workspace", "--test", "soak"]),
            )
        }
        _ => Ok(()),
    }
}

/// What is for cargo and not for the test programs.
fn before_dashes(rest: &[String]) -> impl Iterator<Item = &String> {
    rest.iter().take_while(|argument| *argument != "--")
}

fn lint() -> Result<()> {
    setup::run()?;
    run("formatting", &mut cargo(&["fmt", "--all", "--check"]))?;
    for apart in ["fuzz/Cargo.toml", "bench/Cargo.toml"] {
        let targets = ["fmt", "--manifest-path", apart, "--check"];
        run(
            "formatting of the fuzz targets and measurements",
            &mut cargo(&targets),
        )?;
    }
    run(
        "clippy",
        &mut cargo(&[
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ]),
    )?;
    // They are asked for by name only, and so no part of all targets.
    run(
        "clippy for the programs that measure",
        &mut cargo(&[
            // Of the whole workspace, as above, so that nothing is checked with other features again.
            "clippy",
            "--workspace",
            "--test",
            "live",
            "--test",
            "neighbours",
            "--test",
            "soak",
            "--test",
            "swap",
            "--test",
            "instructions",
            "--",
            "-D",
            "warnings",
        ]),
    )?;
    // Each by itself, as it is built: together they would have each other's features, and `vllm-provider` has no `std`.
    for package in [
        "vllm-provider",
        "hostile-provider",
        "faulty-provider",
        "second-provider",
    ] {
        let clippy = [
            "clippy",
            "--package",
            package,
            "--target",
            component::TARGET,
        ];
        let mut clippy = cargo(&clippy);
        clippy.args(["--", "-D", "warnings"]);
        run(&format!("clippy for {package}"), &mut clippy)?;
    }
    fuzz::lint()?;
    let mut docs = cargo(&[
        "doc",
        "--workspace",
        "--no-deps",
        "--document-private-items",
    ]);
    run("documentation", docs.env("RUSTDOCFLAGS", "-D warnings"))
}

fn build_component() -> Result<()> {
    setup::run()?;
    let path = component::build(&steps::workspace()).map_err(|reason| anyhow!(reason))?;
    let size = std::fs::metadata(&path)?.len();
    println!("{} ({size} bytes)", path.display());
    if size > SIZE_LIMIT {
        bail!(
            "the component has {size} bytes, {} more than the {SIZE_LIMIT} allowed",
            size - SIZE_LIMIT
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_after_the_dashes_are_for_the_test_programs() {
        let cases: &[(&[&str], &[&str])] = &[
            (&["--lib", "--", "--nocapture"], &["--lib"]),
            (&["-p", "x"], &["-p", "x"]),
            (&["--", "a"], &[]),
        ];
        for (given, expected) in cases {
            let given: Vec<String> = given.iter().map(|s| (*s).to_owned()).collect();
            assert!(before_dashes(&given).eq(expected.iter()), "{given:?}");
        }
    }
}
