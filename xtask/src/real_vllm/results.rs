//! What the suite reports, and how it is shown.
//!
//! The suite writes one line a check: name, outcome, milliseconds and a reason, with tabs between them.

use anyhow::{Context, Result, bail};

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Passed,
    /// It went as a declared difference of this version says.
    Differs,
    /// This version does not have what the check is about.
    Absent,
    Failed,
}

impl Outcome {
    /// The word of the report and of the tables.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Differs => "differs",
            Self::Absent => "absent",
            Self::Failed => "FAILED",
        }
    }
}

/// One check of one profile of one version.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) version: String,
    pub(crate) profile: String,
    pub(crate) check: String,
    pub(crate) outcome: Outcome,
    milliseconds: u64,
    /// Why, for every outcome but the first.
    pub(crate) reason: String,
}

impl Row {
    pub(crate) fn failed(&self) -> bool {
        self.outcome == Outcome::Failed
    }
}

/// Reads a report.
///
/// # Errors
/// It is not one, or it does not end as a whole one does.
pub(crate) fn read(report: &str, version: &str, profile: &str) -> Result<Vec<Row>> {
    let Some(lines) = report.strip_suffix("end\n") else {
        bail!("the suite ended before its last check");
    };
    let row = |line: &str| {
        let mut fields = line.splitn(4, '\t');
        let mut field = || fields.next().with_context(|| format!("no report: {line}"));
        let check = field()?.to_owned();
        let word = field()?;
        let outcome = [
            Outcome::Passed,
            Outcome::Differs,
            Outcome::Absent,
            Outcome::Failed,
        ];
        Ok(Row {
            version: version.to_owned(),
            profile: profile.to_owned(),
            check,
            outcome: outcome
                .into_iter()
                .find(|outcome| outcome.word() == word)
                .with_context(|| format!("no outcome: {word}"))?,
            milliseconds: field()?.parse().context("a time in the report")?,
            reason: field()?.to_owned(),
        })
    };
    lines.lines().map(row).collect()
}

/// All rows for a terminal, the reasons of failures below them.
pub(crate) fn table(rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.check.len()).max().unwrap_or(0);
    let mut text = String::new();
    for row in rows {
        text += &format!(
            "{:<8} {:<6} {:<width$} {:<7} {:>6.1} s\n",
            row.version,
            row.profile,
            row.check,
            row.outcome.word(),
            row.milliseconds as f64 / 1000.0,
        );
    }
    for row in rows.iter().filter(|row| row.failed()) {
        text += &format!(
            "\n{} {} {}:\n  {}\n",
            row.version, row.profile, row.check, row.reason
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read_and_shown() {
        let report = "a_text\tpassed\t1500\t\nan_abort\tFAILED\t20\twhy\twith a tab\nend\n";
        let rows = read(report, "0.1.0", "auth").unwrap();
        assert!(!rows[0].failed() && rows[1].failed());
        assert_eq!(rows[1].reason, "why\twith a tab");
        let table = table(&rows);
        assert!(
            table.contains("0.1.0    auth   a_text   passed     1.5 s"),
            "{table}"
        );
        assert!(table.contains("an_abort:\n  why"), "{table}");
    }

    #[test]
    fn a_report_that_breaks_off_is_no_report() {
        for report in [
            "",
            "a\tpassed\t1\t\n",
            "a\tpassed\nend\n",
            "a\twell\t1\t\nend\n",
        ] {
            assert!(read(report, "0.1.0", "auth").is_err(), "{report}");
        }
    }
}
