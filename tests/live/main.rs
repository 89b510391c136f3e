//! The live suite: the library and the command line against a real vLLM, through the sandbox.
//!
//! It needs a server of a known version, profile and process, serving the tiny scripted model; `cargo xtask real-vllm
//! test` brings one. Checks run one after the other, each within its time. What a version does otherwise is declared in
//! [`differences`], and a check that goes neither right nor as declared fails the run.

mod answer;
mod checks;
mod command_line;
mod differences;
mod harness;
mod live;
mod probe;
mod request;
mod tap;

use std::process::ExitCode;

use live::Options;

const USAGE: &str = "\
the live suite needs a real vLLM server, and was started without one.

  cargo xtask real-vllm test            installs vLLM if need be, serves each profile, runs this suite

by itself it takes: --url URL --profile NAME --version V --pid N [--report FILE] [--only NAME]…
";

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(reason) => {
            eprintln!("error: {reason:#}\n\n{USAGE}");
            return ExitCode::FAILURE;
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let result = runtime
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(harness::run(options)));
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
