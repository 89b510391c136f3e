//! What a check found.

use std::borrow::Cow;

use crate::exercise::Failure;

/// Most reasons that one check gives; more say no more.
const MAX_REASONS: usize = 4;

/// Most characters of a plugin's words in a reason.
const QUOTED: usize = 240;

/// How a check ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The sentence held in as many cases.
    Passed(usize),
    /// It did not: what was done, what came, and where the contract says otherwise.
    Failed(Vec<String>),
    /// It was not tried, and why: there was nothing to try it with.
    Skipped(String),
    /// It was not tried, or not to its end, because its time was over ([`Options::deadline`]), and
    /// what the plugin did then. Whether the sentence holds is not known.
    ///
    /// [`Options::deadline`]: super::Options::deadline
    NotTried(String),
}

impl Verdict {
    /// Why it failed or was skipped.
    #[must_use]
    pub fn reasons(&self) -> &[String] {
        match self {
            Self::Passed(_) => &[],
            Self::Failed(reasons) => reasons,
            Self::Skipped(why) | Self::NotTried(why) => std::slice::from_ref(why),
        }
    }

    /// `passed`, `failed`, `skipped` or `not-tried`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Passed(_) => "passed",
            Self::Failed(_) => "failed",
            Self::Skipped(_) => "skipped",
            Self::NotTried(_) => "not-tried",
        }
    }
}

/// What a check has found so far.
#[derive(Debug, Default)]
pub struct Findings {
    cases: usize,
    reasons: Vec<String>,
    more: usize,
    /// The plugin was stopped: it would be again.
    over: bool,
    skipped: Option<String>,
    /// What holds so far does not show that the sentence holds.
    undecided: Option<String>,
}

impl Findings {
    /// One more case was tried.
    pub(super) fn tried(&mut self) {
        self.cases += 1;
    }

    /// What was done, and what came that should not.
    pub(super) fn add(&mut self, done: &str, came: &str) {
        if self.reasons.len() < MAX_REASONS {
            self.reasons.push(format!("{done}: {}", quoted(came)));
        } else {
            self.more += 1;
        }
    }

    /// Something that has to be.
    pub(super) fn expect(&mut self, holds: bool, done: &str, came: impl FnOnce() -> String) {
        self.tried();
        if !holds {
            self.add(done, &came());
        }
    }

    /// Writes down a plugin that was stopped, in which case there is no more to be judged.
    pub(super) fn stopped(&mut self, done: &str, failure: Option<&Failure>) -> bool {
        match failure.filter(|failure| is_fault(failure)) {
            Some(failure) => {
                self.tried();
                self.add(done, &failure.message);
                self.over = true;
                true
            }
            None => false,
        }
    }

    /// Something that has to be, and that takes long to be sure of where it is not: once is enough.
    pub(super) fn expect_once(&mut self, holds: bool, done: &str, came: &str) {
        self.expect(holds, done, || came.to_owned());
        self.over |= !holds;
    }

    /// Whether more cases would say nothing new.
    pub(super) fn enough(&self) -> bool {
        self.over || self.reasons.len() >= MAX_REASONS
    }

    /// It can't be tried.
    pub(super) fn skip(&mut self, why: &str) {
        self.skipped = Some(why.to_owned());
    }

    /// What was tried held, and does not decide the sentence: the check is skipped, not passed.
    pub(super) fn undecided(&mut self, why: String) {
        self.undecided = Some(why);
    }

    /// What was found by a check that was ended before its end. A fault that was found is one; that
    /// none was found says nothing.
    pub(super) fn ended(mut self, why: String, contract: &str) -> Verdict {
        if !self.reasons.is_empty() {
            self.reasons.push(why);
            return self.verdict(contract);
        }
        Verdict::NotTried(match self.cases {
            0 => why,
            cases => format!("{why}; {cases} cases held until then"),
        })
    }

    pub(super) fn verdict(self, contract: &str) -> Verdict {
        if !self.reasons.is_empty() {
            let mut reasons = self.reasons;
            if self.more > 0 {
                reasons.push(format!("and {} more of the kind", self.more));
            }
            reasons.push(format!("the contract: {contract}"));
            return Verdict::Failed(reasons);
        }
        if let Some(why) = self.undecided {
            return Verdict::Skipped(why);
        }
        match (self.skipped, self.cases) {
            (Some(why), 0) => Verdict::Skipped(why),
            (None, 0) => Verdict::Skipped("there was nothing to try".to_owned()),
            (_, cases) => Verdict::Passed(cases),
        }
    }
}

/// Whether a failure is the plugin's own: it was stopped, or broke the contract where the host reads along.
pub(super) fn is_fault(failure: &Failure) -> bool {
    matches!(
        failure.kind.as_str(),
        "plugin-trapped" | "plugin-limit" | "plugin-misbehaved" | "host"
    )
}

/// Some words, shortened.
pub(super) fn quoted(words: &str) -> Cow<'_, str> {
    match words.char_indices().nth(QUOTED) {
        None => words.into(),
        Some((at, _)) => format!("{}… ({} bytes)", &words[..at], words.len()).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_tried_has_not_passed() {
        assert_eq!(Findings::default().verdict("c").name(), "skipped");
        let mut findings = Findings::default();
        findings.expect(true, "a", String::new);
        assert_eq!(findings.verdict("c"), Verdict::Passed(1));
        let mut findings = Findings::default();
        findings.expect(true, "a", String::new);
        findings.undecided("why".to_owned());
        assert_eq!(findings.verdict("c").name(), "skipped");
        let mut findings = Findings::default();
        findings.expect(false, "a", String::new);
        findings.undecided("why".to_owned());
        assert_eq!(findings.verdict("c").name(), "failed");
    }

    #[test]
    fn a_check_that_was_ended_has_not_passed_and_keeps_its_faults() {
        let ended = |findings: Findings| findings.ended("over".to_owned(), "c");
        let none = ended(Findings::default());
        assert_eq!(none, Verdict::NotTried("over".to_owned()));
        let mut findings = Findings::default();
        findings.expect(true, "a", String::new);
        findings.skip("why");
        let Verdict::NotTried(why) = ended(findings) else {
            panic!("it is not known whether it holds");
        };
        assert_eq!(why, "over; 1 cases held until then");
        let mut findings = Findings::default();
        findings.expect(false, "a", || "b".to_owned());
        let failed = ended(findings);
        assert_eq!(failed.name(), "failed");
        assert_eq!(failed.reasons(), ["a: b", "over", "the contract: c"]);
    }

    #[test]
    fn a_failure_tells_what_was_done_what_came_and_the_contract() {
        let mut findings = Findings::default();
        for case in 0..6 {
            findings.expect(false, &format!("case {case}"), || "x".repeat(1_000));
        }
        assert!(findings.enough());
        let verdict = findings.verdict("types.event");
        let reasons = verdict.reasons();
        assert!(reasons[0].starts_with("case 0: xxx") && reasons[0].len() < 300);
        assert_eq!(reasons[MAX_REASONS], "and 2 more of the kind");
        assert_eq!(reasons.last().unwrap(), "the contract: types.event");
    }
}
