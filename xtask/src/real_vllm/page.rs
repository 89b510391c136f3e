//! The results in `docs/real-vllm.md`: one block a release, between two comments, written by a whole run.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::release::Release;
use super::results::{Outcome, Row};
use super::{profile, python};
use crate::setup::progress;
use crate::steps;

/// Packages that decide how a server behaves, beside vLLM itself.
const PACKAGES: [&str; 5] = ["torch", "transformers", "fastapi", "uvicorn", "xgrammar"];

/// Replaces the results of `release`.
///
/// # Errors
/// The page is not there, has no block for the release, or can't be written.
pub(crate) fn write(release: &Release, rows: &[Row]) -> Result<()> {
    let path = steps::workspace().join("docs").join("real-vllm.md");
    let page = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let page = replace(&page, release.version, &block(release, rows, &today()?))
        .with_context(|| format!("{} has no block for {}", path.display(), release.version))?;
    fs::write(&path, page).with_context(|| format!("writing {}", path.display()))?;
    progress(&format!("the results stand in {}", path.display()));
    Ok(())
}

/// The day in UTC.
fn today() -> Result<String> {
    let mut date = Command::new("date");
    let day = python::run(
        "date",
        date.args(["-u", "+%Y-%m-%d"]),
        Duration::from_secs(10),
    )?;
    Ok(day.trim().to_owned())
}

/// `page` with another text between the comments of `version`; none: they are not there.
fn replace(page: &str, version: &str, block: &str) -> Option<String> {
    let begin = format!("<!-- results {version} begin -->\n");
    let end = format!("<!-- results {version} end -->");
    let (before, rest) = page.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}{block}{end}{after}"))
}

fn block(release: &Release, rows: &[Row], day: &str) -> String {
    let packages: Vec<String> = PACKAGES
        .iter()
        .filter_map(|name| Some(format!("{name} {}", release.package(name)?)))
        .collect();
    let count = |outcome| rows.iter().filter(|row| row.outcome == outcome).count();
    let mut text = format!(
        "Run on {day}, with {}: {} checks, {} passed, {} as a declared difference says, {} about something this \
         version does not have, {} failed.\n\n",
        packages.join(", "),
        rows.len(),
        count(Outcome::Passed),
        count(Outcome::Differs),
        count(Outcome::Absent),
        count(Outcome::Failed),
    );
    text += &matrix(rows);
    let mut reasons: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.outcome != Outcome::Passed) {
        // What was found in a failure may hold paths and ports of the machine.
        let reason = match row.outcome {
            Outcome::Failed => "failed",
            _ => &row.reason,
        };
        reasons
            .entry((&row.check, reason))
            .or_default()
            .push(&row.profile);
    }
    if !reasons.is_empty() {
        text += "\n";
    }
    for ((check, reason), profiles) in reasons {
        text += &format!(
            "- **{}** ({}): {reason}\n",
            sentence(check),
            profiles.join(", ")
        );
    }
    text
}

/// Checks down, profiles across, in the suite's own order.
fn matrix(rows: &[Row]) -> String {
    let mut checks: Vec<&str> = Vec::new();
    for row in rows {
        if !checks.contains(&row.check.as_str()) {
            checks.push(&row.check);
        }
    }
    let names: Vec<&str> = profile::ALL.iter().map(|profile| profile.name).collect();
    let mut text = format!(
        "| check | {} |\n|---|{}\n",
        names.join(" | "),
        "---|".repeat(names.len())
    );
    for check in checks {
        text += &format!("| {} |", sentence(check));
        for name in &names {
            let row = rows
                .iter()
                .find(|row| row.check == check && row.profile == *name);
            text += &match row {
                Some(row) => format!(" {} |", row.outcome.word()),
                None => "  |".to_owned(),
            };
        }
        text += "\n";
    }
    text
}

/// A check's name as a sentence.
fn sentence(check: &str) -> String {
    check.replace('_', " ")
}

#[cfg(test)]
mod tests {
    use super::super::{release, results};
    use super::*;

    #[test]
    fn only_the_block_of_the_version_is_replaced() {
        let page = "a\n<!-- results 1 begin -->\nold\n<!-- results 1 end -->\nb\n\
                    <!-- results 2 begin -->\nkept\n<!-- results 2 end -->\n";
        let new = replace(page, "1", "new\n").unwrap();
        assert_eq!(new, page.replace("old", "new"));
        assert_eq!(replace(&new, "1", "new\n").unwrap(), new);
        assert!(replace(page, "3", "new\n").is_none());
    }

    #[test]
    fn a_block_shows_each_check_once_and_says_why_it_did_not_pass() {
        let mut rows = results::read("a_text\tpassed\t1\t\nend\n", "0.32.0", "auth").unwrap();
        rows.extend(results::read("a_text\tdiffers\t1\tit is old\nend\n", "0.32.0", "r1").unwrap());
        let block = block(release::newest(), &rows, "2026-01-02");
        assert!(
            block.contains("2 checks, 1 passed, 1 as a declared"),
            "{block}"
        );
        assert!(
            block.contains("| a text | passed |  |  | differs |  |\n"),
            "{block}"
        );
        assert!(block.contains("- **a text** (r1): it is old\n"), "{block}");
    }

    #[test]
    fn the_page_has_a_block_for_every_release() {
        let path = steps::workspace().join("docs").join("real-vllm.md");
        let page = fs::read_to_string(path).unwrap();
        for release in &release::ALL {
            assert!(
                replace(&page, release.version, "").is_some(),
                "{}",
                release.version
            );
        }
    }
}
