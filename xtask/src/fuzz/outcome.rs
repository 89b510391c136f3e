//! What a run of libFuzzer came to, read off its own words.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};

/// Lines of a log that are shown with a finding, from the panic on.
const SHOWN_LINES: usize = 12;

/// One run of one target.
#[derive(Debug, PartialEq)]
pub(super) struct Outcome {
    pub(super) executions: u64,
    pub(super) seconds: f64,
    /// Places of the code that were reached.
    pub(super) cov: u64,
    /// Those with how often, and the comparisons that came out another way: what libFuzzer steers by.
    pub(super) ft: u64,
    /// The input that the target failed on, from the repository's root.
    pub(super) finding: Option<String>,
    /// The end of the log, where there is a finding.
    pub(super) tail: String,
}

impl Outcome {
    pub(super) const HEAD: &str = "target         executions  seconds     cov      ft  finding";

    pub(super) fn row(&self, target: &str) -> String {
        let Self {
            executions,
            seconds,
            cov,
            ft,
            ..
        } = self;
        let finding = self.finding.as_deref().unwrap_or("none");
        format!("{target:12}{executions:13}{seconds:9.1}{cov:8}{ft:8}  {finding}")
    }
}

/// Reads a log. `root`: what paths are told from.
///
/// # Errors
/// The program failed without a finding, or did not say what it did.
pub(super) fn read(log: &str, success: bool, took: Duration, root: &Path) -> Result<Outcome> {
    let lines: Vec<&str> = log.lines().collect();
    let last = |words: &str| {
        let numbers = lines.iter().rev().find_map(|line| {
            let rest = line.split_once(words)?.1.trim_start();
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            rest[..digits].parse().ok()
        });
        numbers.unwrap_or(0)
    };
    let finding = log.lines().rev().find_map(|line| {
        let path = line.split_once("Test unit written to ")?.1;
        let inside = Path::new(path).strip_prefix(root);
        Some(inside.map_or(path.to_owned(), |inside| inside.display().to_string()))
    });
    let panic = lines.iter().position(|line| line.contains("panicked at"));
    let from = panic.unwrap_or(lines.len().saturating_sub(SHOWN_LINES));
    let tail: Vec<&str> = lines.iter().skip(from).take(SHOWN_LINES).copied().collect();
    let tail = tail.join("\n");
    ensure!(
        success || finding.is_some(),
        "libFuzzer failed without a finding:\n{tail}"
    );
    let executions = last("stat::number_of_executed_units:");
    ensure!(
        !success || executions > 0,
        "libFuzzer did not say what it did:\n{tail}"
    );
    Ok(Outcome {
        executions,
        seconds: took.as_secs_f64(),
        cov: last(" cov: "),
        ft: last(" ft: "),
        tail: if finding.is_some() {
            tail
        } else {
            String::new()
        },
        finding,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_numbers_and_the_finding_are_read() {
        let log = "#2\tINITED cov: 10 ft: 11 corp: 1/1b\n#200\tDONE   cov: 812 ft: 3001 corp: 9/1b\n\
                   stat::number_of_executed_units: 200\n";
        let outcome = read(log, true, Duration::from_secs(2), Path::new("/r")).unwrap();
        assert_eq!(
            (outcome.executions, outcome.cov, outcome.ft),
            (200, 812, 3001)
        );
        assert_eq!(outcome.finding, None);
        assert!(outcome.row("sse").contains(" 200 "));

        let log = "#7\tNEW    cov: 5 ft: 6 corp\npanicked\nartifact_prefix='/r/f/'; Test unit written to /r/f/crash-1\n";
        let outcome = read(log, false, Duration::from_secs(2), Path::new("/r")).unwrap();
        assert_eq!(outcome.finding.as_deref(), Some("f/crash-1"));
        assert!(outcome.tail.contains("panicked"));
    }

    #[test]
    fn a_failure_without_a_finding_is_no_success() {
        let took = Duration::from_secs(1);
        assert!(read("no such file", false, took, Path::new("/")).is_err());
        assert!(read("", true, took, Path::new("/")).is_err());
    }
}
