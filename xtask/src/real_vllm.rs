//! `cargo xtask real-vllm`: a real vLLM server on a machine without a GPU, and the suite that is run against it.
//!
//! The mock is only as true as what was recorded for it. This task installs real releases for the CPU into the user's
//! cache, serves a tiny model that knows a script by heart, and runs `tests/live` through the sandbox. It takes
//! gigabytes and minutes, so that it is asked for and never part of the everyday tests.

mod arguments;
mod folder;
mod health;
mod install;
mod model;
mod page;
mod profile;
mod python;
mod release;
mod results;
mod server;
mod trial;

use anyhow::{Result, ensure};

use arguments::Task;
use folder::Folder;
use release::Release;

/// Runs the task that the arguments name.
///
/// # Errors
/// The arguments are not understood, the machine cannot run vLLM, a step failed, or a check of the suite did.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    match arguments::parse(arguments)? {
        Task::Help => {
            print!("{}", arguments::USAGE);
            Ok(())
        }
        Task::Setup { release, train } => ready(release, train).map(drop),
        Task::Serve {
            release,
            profile,
            port,
            more,
        } => {
            let folder = ready(release, false)?;
            server::foreground(release, &folder, profile, port, &more)
        }
        Task::Test {
            releases,
            profiles,
            only,
        } => trial::run(&releases, &profiles, &only),
    }
}

/// Makes sure that `release` and its model are there; quick when they are.
fn ready(release: &Release, train: bool) -> Result<Folder> {
    ensure!(
        cfg!(all(target_os = "linux", target_arch = "x86_64")),
        "vLLM has packages for the CPU for Linux on x86_64 only"
    );
    let folder = Folder::of(release)?;
    install::ready(release, &folder)?;
    model::ready(release, &folder, train)?;
    Ok(folder)
}
