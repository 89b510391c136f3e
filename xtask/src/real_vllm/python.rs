//! Finds a Python that vLLM has packages for, and runs Python programs within a time.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail, ensure};

use crate::setup::bounded;

/// The versions of CPython that the pinned packages are for; 3.11 is the one they were tested with.
const MINORS: std::ops::RangeInclusive<u32> = 11..=13;

/// How many lines of a failed program's output are shown: enough for an error of pip with its cause.
const SHOWN_LINES: usize = 15;

/// The command of a Python that will do.
///
/// # Errors
/// There is none; the text says which were looked at.
pub(crate) fn find() -> Result<&'static str> {
    let mut seen = Vec::new();
    for name in ["python3.11", "python3", "python3.12", "python3.13"] {
        let mut command = Command::new(name);
        command.args([
            "-c",
            "import sys; print(sys.version_info[0], sys.version_info[1])",
        ]);
        let Ok(output) = bounded::output(&mut command, Duration::from_secs(20)) else {
            continue;
        };
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        match text.strip_prefix("3 ").map(str::parse::<u32>) {
            Some(Ok(minor)) if MINORS.contains(&minor) => return Ok(name),
            Some(Ok(minor)) => seen.push(format!("{name} is 3.{minor}")),
            // A command that is there and is no Python, such as a version manager's placeholder.
            _ => seen.push(format!("{name} does not run")),
        }
    }
    let seen = match seen.is_empty() {
        true => "no python3 was found".to_owned(),
        false => seen.join(", "),
    };
    bail!(
        "vLLM needs CPython 3.{} to 3.{}, and {seen}; install one (Debian: python3 python3-venv)",
        MINORS.start(),
        MINORS.end()
    )
}

/// Runs a program to its end and gives what it wrote to stdout.
///
/// # Errors
/// It failed, with the last lines it wrote; or it took longer than `limit`.
pub(crate) fn run(what: &str, command: &mut Command, limit: Duration) -> Result<String> {
    let output = bounded::output(command, limit)?;
    let told = [output.stderr.as_slice(), output.stdout.as_slice()].concat();
    ensure!(
        output.status.success(),
        "{what} failed ({}); the last lines it wrote:\n{}",
        output.status,
        last_lines(&told)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The last lines of an output or a log.
pub(crate) fn last_lines(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let from = lines.len().saturating_sub(SHOWN_LINES);
    let shown: Vec<String> = lines[from..]
        .iter()
        .map(|line| format!("  {line}"))
        .collect();
    shown.join("\n")
}

/// The last lines of a file.
pub(crate) fn last_lines_of(path: &Path) -> String {
    std::fs::read(path).map_or_else(
        |error| format!("  (no log: {error})"),
        |log| last_lines(&log),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_shows_the_end_of_what_was_written() {
        let log: String = (1..=100).map(|line| format!("line {line}\n\n")).collect();
        let shown = last_lines(log.as_bytes());
        assert!(shown.starts_with("  line 86\n"), "{shown}");
        assert!(shown.ends_with("  line 100"), "{shown}");
    }

    #[cfg(unix)]
    #[test]
    fn a_program_that_fails_is_quoted() {
        let error = run(
            "the installer",
            Command::new("sh").args(["-c", "echo no space left >&2; exit 2"]),
            Duration::from_secs(30),
        )
        .unwrap_err()
        .to_string();
        assert!(error.contains("the installer failed"), "{error}");
        assert!(error.contains("no space left"), "{error}");
    }
}
