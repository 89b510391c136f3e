//! `cargo xtask setup`: from a bare stable toolchain to one that can build the component.
//!
//! The one thing that is missing there is the standard library for the wasm target. It may be there already; rustup
//! may bring it; else it is built from source. Every step is bounded in time, says on stderr what it does, and may be
//! repeated. Nothing else on the machine is changed.

pub(crate) mod bounded;
mod build_std;
mod deb;
mod debian;
mod fetch;
mod install;
mod toolchain;

use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail, ensure};

use crate::component::{TARGET, std_builds};
use toolchain::Toolchain;

/// The download is 20 MB; where rustup's server cannot be reached it waits for much longer than this.
const RUSTUP: Duration = Duration::from_secs(60);

/// Makes sure that the component can be built.
///
/// # Errors
/// Every way failed; the text lists each with its result.
pub(crate) fn run() -> Result<()> {
    let toolchain = Toolchain::in_use()?;
    match std_builds(&toolchain.libdir) {
        1 => {
            progress(&format!("[1/4] wasm target {TARGET} … present"));
            return Ok(());
        }
        0 => progress(&format!("[1/4] wasm target {TARGET} … missing")),
        _ => return disentangle(&toolchain),
    }
    let mut tried = Vec::new();

    progress(&format!(
        "[2/4] rustup target add {TARGET} (at most {} s)",
        RUSTUP.as_secs()
    ));
    match by_rustup(&toolchain) {
        Ok(()) => return done(&toolchain),
        Err(error) => note(&mut tried, "rustup", &error),
    }
    progress(&format!(
        "[3/4] the standard library of rustc {} from source",
        toolchain.release
    ));
    let built =
        build_std::cached(&toolchain).inspect_err(|error| note(&mut tried, "from source", error));
    if let Ok(cache) = built {
        progress(&format!(
            "[4/4] installing it in {}",
            toolchain.libdir.display()
        ));
        match install::install(&cache, &toolchain.libdir) {
            Ok(()) => return done(&toolchain),
            // Another set-up that ran beside this one may have been first.
            Err(_) if std_builds(&toolchain.libdir) == 1 => return done(&toolchain),
            Err(error) => note(&mut tried, "installing", &error),
        }
    }
    bail!(
        "the standard library for {TARGET} is missing and could not be got.\n\
         tried:\n  {}\n\
         to go on, do one of these and run `cargo xtask setup` again:\n  \
         - with access to rustup's server: rustup target add {TARGET}\n  \
         - with access to a Debian mirror: {}=http://… cargo xtask setup\n  \
         - with a distribution's Rust: its package of the target (Debian: libstd-rust-dev-wasm32)\n  \
         - with a component built elsewhere: PROVIDER_HOST_PLUGIN=/path/to/vllm-provider.wasm cargo build",
        tried.join("\n  "),
        debian::MIRROR_VARIABLE,
    )
}

/// Writes a line of progress.
pub(crate) fn progress(line: &str) {
    eprintln!("{line}");
}

fn note(tried: &mut Vec<String>, what: &str, error: &anyhow::Error) {
    progress(&format!("      … {error:#}"));
    tried.push(format!("- {what}: {error:#}"));
}

fn done(toolchain: &Toolchain) -> Result<()> {
    let builds = std_builds(&toolchain.libdir);
    ensure!(
        builds == 1,
        "{} holds {builds} builds of the standard library, expected 1",
        toolchain.libdir.display()
    );
    progress(&format!("      … {TARGET} is installed"));
    Ok(())
}

fn by_rustup(toolchain: &Toolchain) -> Result<()> {
    // Set by rustup's proxies. Without it this rustc is not rustup's, and the target would go to another one.
    let Some(name) = std::env::var_os("RUSTUP_TOOLCHAIN") else {
        bail!("this cargo was not started by rustup");
    };
    let mut rustup = Command::new("rustup");
    rustup
        .args(["target", "add", TARGET, "--toolchain"])
        .arg(name);
    let output = bounded::output(&mut rustup, RUSTUP)?;
    let messages = String::from_utf8_lossy(&output.stderr);
    let reason = messages
        .lines()
        .find(|line| line.starts_with("error"))
        .unwrap_or("no message");
    ensure!(output.status.success(), "{reason} ({})", output.status);
    ensure!(
        std_builds(&toolchain.libdir) == 1,
        "rustup reports success, but {} holds no standard library",
        toolchain.libdir.display()
    );
    Ok(())
}

/// Two builds lie side by side: rustup has added the target after a set-up had built it.
fn disentangle(toolchain: &Toolchain) -> Result<()> {
    progress(&format!("[1/4] wasm target {TARGET} … there twice"));
    ensure!(
        install::withdraw(&toolchain.libdir)?,
        "several builds of the standard library lie in {}, none of them put there by this program; \
         keep the files of one, for instance: rustup target remove {TARGET}, remove what is left, \
         rustup target add {TARGET}",
        toolchain.libdir.display()
    );
    progress("      … removed the one that an earlier set-up had built");
    done(toolchain)
}
