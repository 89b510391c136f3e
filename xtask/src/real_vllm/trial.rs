//! `real-vllm test`: serves one profile after another and runs the suite against each.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use super::profile::{self, Profile};
use super::release::Release;
use super::results::{self, Row};
use super::server::Server;
use super::{page, ready};
use crate::setup::{self, progress};
use crate::steps::cargo;

/// Runs the suite for every release and profile that is asked for (none: all profiles), and prints what came of it.
/// A release that was tested whole gets its results into the documentation.
///
/// # Errors
/// A check failed, or a server did not start.
pub(crate) fn run(
    releases: &[&'static Release],
    profiles: &[&'static Profile],
    only: &[String],
) -> Result<()> {
    setup::run()?;
    let suite = build()?;
    let all: Vec<&Profile> = profile::ALL.iter().collect();
    let whole = profiles.is_empty() && only.is_empty();
    let profiles = if profiles.is_empty() { &all } else { profiles };
    let mut rows = Vec::new();
    let mut broken = Vec::new();
    for release in releases {
        let (begun, broken_before) = (rows.len(), broken.len());
        for profile in profiles {
            match one(&suite, release, profile, only) {
                Ok(found) => rows.extend(found),
                Err(error) => {
                    progress(&format!("      … {error:#}"));
                    broken.push(format!(
                        "vLLM {}, {}: {error:#}",
                        release.version, profile.name
                    ));
                }
            }
        }
        if whole && broken.len() == broken_before {
            page::write(release, &rows[begun..])?;
        }
    }
    println!("{}", results::table(&rows));
    let failed = rows.iter().filter(|row| row.failed()).count();
    if failed > 0 || !broken.is_empty() {
        bail!(
            "{failed} of {} checks failed{}",
            rows.len(),
            broken
                .iter()
                .map(|reason| format!("\n{reason}"))
                .collect::<String>()
        );
    }
    Ok(())
}

/// Builds the suite once and gives the program, so that what runs for half an hour is one and the same, whatever is
/// edited or built meanwhile.
fn build() -> Result<PathBuf> {
    progress("==> build the suite");
    let mut build = cargo(&["test", "--package", "provider-host", "--test", "live"]);
    build.args(["--no-run", "--message-format", "json-render-diagnostics"]);
    let output = build.stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "the suite was not built");
    let messages = String::from_utf8_lossy(&output.stdout);
    let program = program(&messages).context("cargo did not say where the suite is")?;
    Ok(PathBuf::from(program))
}

/// The program in cargo's messages, one JSON object a line. A path with an escape in it is none that is met here.
fn program(messages: &str) -> Option<&str> {
    messages
        .lines()
        .filter(|line| line.contains(r#""kind":["test"]"#) && line.contains(r#""name":"live""#))
        .find_map(|line| line.split_once(r#""executable":""#)?.1.split('"').next())
}

/// One release, one profile.
fn one(
    suite: &Path,
    release: &'static Release,
    profile: &Profile,
    only: &[String],
) -> Result<Vec<Row>> {
    progress(&format!(
        "==> vLLM {}, profile {}",
        release.version, profile.name
    ));
    let folder = ready(release, false)?;
    let report = folder.release().join(format!("{}.report", profile.name));
    // Of an earlier run; that there is none is as good.
    let _ = std::fs::remove_file(&report);
    let server = Server::start(release, &folder, profile)?;
    let begun = Instant::now();
    let mut suite = Command::new(suite);
    suite
        .args(["--profile", profile.name])
        .args(["--version", release.version, "--url", &server.url()])
        .args(["--pid", &server.pid().to_string(), "--report"])
        .arg(&report);
    for name in only {
        suite.args(["--only", name]);
    }
    let status = suite.status().context("running the suite")?;
    drop(server);
    progress(&format!("<== {} s", begun.elapsed().as_secs()));
    let text = std::fs::read_to_string(&report)
        .with_context(|| format!("the suite ended without a report ({status})"))?;
    results::read(&text, release.version, profile.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_found_among_cargos_messages() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"kind":["bin"],"name":"live"},"executable":"/x/bin"}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"kind":["test"],"name":"live"},"executable":"/x/live-1"}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
        );
        assert_eq!(program(messages), Some("/x/live-1"));
        assert_eq!(program(""), None);
    }
}
