//! The lines, as they are found.

use std::io::{self, Write as _};

use provider_host::policy::Secrets;

use crate::cli::failure::{self, Status};
use crate::cli::terminal::{BAD, DIM, GOOD, WARNING, escaped};

/// The checks, in the order in which they are made.
pub(super) const CHECKS: [&str; 14] = [
    "configuration",
    "plugin",
    "settings",
    "key",
    "base URL",
    "proxy",
    "connection",
    "version",
    "server",
    "model",
    "one token",
    "reasoning",
    "time limits",
    "tools",
];

/// Whose fault a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The configuration has to be changed: exit status 2.
    Configuration,
    /// The provider or the server refused or failed: exit status 1.
    Server,
}

/// What was found so far.
#[derive(Debug, Default)]
pub(super) struct Report {
    told: Vec<&'static str>,
    /// The first check that failed, which is what the later ones wait for.
    failed: Option<(&'static str, Fault)>,
    /// What is taken out of each line: a base URL may hold a token, and a server may repeat a key.
    secrets: Secrets,
}

impl Report {
    /// Takes these secrets out of all further lines.
    pub(super) fn redact(&mut self, secrets: &Secrets) {
        self.secrets = secrets.clone();
    }

    /// All is well.
    pub(super) fn ok(&mut self, check: &'static str, text: &str) -> io::Result<()> {
        self.line(GOOD, "ok", check, text)
    }

    /// Chats can work, but not as they should.
    pub(super) fn warning(&mut self, check: &'static str, text: &str) -> io::Result<()> {
        self.line(WARNING, "warning", check, text)
    }

    /// Chats can't work.
    pub(super) fn failed(
        &mut self,
        check: &'static str,
        fault: Fault,
        text: &str,
    ) -> io::Result<()> {
        self.failed.get_or_insert((check, fault));
        self.line(BAD, "failed", check, text)
    }

    /// The same with an error of any layer, which knows whose fault it is.
    pub(super) fn error(&mut self, check: &'static str, error: &anyhow::Error) -> io::Result<()> {
        let fault = match failure::status(error) {
            Status::Usage => Fault::Configuration,
            _ => Fault::Server,
        };
        self.failed(check, fault, &explained(error))
    }

    /// The check was not made.
    pub(super) fn skipped(&mut self, check: &'static str, why: &str) -> io::Result<()> {
        self.line(DIM, "skipped", check, why)
    }

    /// The checks that an earlier one left without a subject.
    pub(super) fn skip_the_rest(&mut self) -> io::Result<()> {
        let Some((failed, _)) = self.failed else {
            return Ok(());
        };
        for check in CHECKS {
            if !self.told.contains(&check) {
                self.skipped(check, &format!("needs what failed above: {failed}"))?;
            }
        }
        Ok(())
    }

    /// What the process ends with.
    pub(super) fn status(&self) -> Status {
        match self.failed {
            None => Status::Done,
            Some((_, Fault::Configuration)) => Status::Usage,
            Some((_, Fault::Server)) => Status::Failed,
        }
    }

    fn line(
        &mut self,
        style: anstyle::Style,
        word: &str,
        check: &'static str,
        text: &str,
    ) -> io::Result<()> {
        debug_assert!(CHECKS.contains(&check), "{check} is not in the list");
        self.told.push(check);
        let text = &*self.secrets.redact(text);
        let mut out = anstream::stdout();
        let text = escaped(text);
        writeln!(out, "{style}{word:<7}{style:#}  {check:<13}  {text}")
    }
}

/// An error and what to do about it, in one line. That `doctor` would help is
/// not said here.
pub(super) fn explained(error: &anyhow::Error) -> String {
    let mut text = failure::text(error);
    for hint in failure::hints(error) {
        if !hint.contains("`provider-host doctor`") {
            text.push_str("; ");
            text.push_str(&hint);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_decides_the_exit_status() {
        let mut report = Report::default();
        assert_eq!(report.status(), Status::Done);
        report.warning("key", "none").unwrap();
        assert_eq!(report.status(), Status::Done);
        report.failed("server", Fault::Server, "down").unwrap();
        report
            .failed("model", Fault::Configuration, "none")
            .unwrap();
        assert_eq!(report.status(), Status::Failed);
    }
}
