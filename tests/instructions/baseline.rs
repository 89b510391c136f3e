//! What the scenarios took, in a file of the repository.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::counted::Counts;
use crate::scenario::SCENARIOS;

/// Functions that are kept of each scenario, the largest; the rest is one number.
const KEPT: usize = 60;

const REST: &str = "[rest]";

#[derive(Serialize, Deserialize)]
pub(crate) struct Baseline {
    /// What made the code.
    pub(crate) compiler: String,
    /// Instructions of one unit, by function.
    pub(crate) scenarios: BTreeMap<String, Counts>,
}

impl Baseline {
    pub(crate) fn new() -> Self {
        Self {
            compiler: compiler(),
            scenarios: BTreeMap::new(),
        }
    }

    pub(crate) fn path() -> PathBuf {
        PathBuf::from(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../tests/instructions/baseline.json"
        ))
    }

    pub(crate) fn read() -> Result<Self, String> {
        let text = std::fs::read_to_string(Self::path()).map_err(|error| error.to_string())?;
        serde_json::from_str(&text).map_err(|error| error.to_string())
    }

    /// Writes what is worth keeping.
    pub(crate) fn write(&self) {
        let scenarios = self
            .scenarios
            .iter()
            .map(|(name, counts)| (name.clone(), largest(counts)))
            .collect();
        let kept = Self {
            compiler: self.compiler.clone(),
            scenarios,
        };
        let text = serde_json::to_string_pretty(&kept).expect("numbers and names");
        std::fs::write(Self::path(), text + "\n").expect("a file of the repository");
    }

    /// A table, beside what was known.
    pub(crate) fn print(&self, known: Option<&Self>) {
        println!("instructions, in the everyday profile, {}\n", self.compiler);
        println!("{:<40}{:>10}{:>12}{:>12}", "", "of a", "now", "baseline");
        for scenario in SCENARIOS {
            let now = total(self.scenarios.get(scenario.name));
            let before = known.map(|known| total(known.scenarios.get(scenario.name)));
            let before = before.map_or_else(String::new, |before| {
                format!("{before:>12.0}  {:>+6.1} %", percent(now, before))
            });
            println!(
                "{:<40}{:>10}{now:>12.0}{before}",
                scenario.name, scenario.unit
            );
        }
    }

    /// What takes over `tolerance` percent more than it did, and where.
    pub(crate) fn risen(&self, known: &Self, tolerance: f64) -> Vec<String> {
        let mut risen = Vec::new();
        for (name, counts) in &self.scenarios {
            let Some(before) = known.scenarios.get(name) else {
                risen.push(format!("{name}: the baseline does not have it"));
                continue;
            };
            let (now, then) = (total(Some(counts)), total(Some(before)));
            if percent(now, then) <= tolerance {
                continue;
            }
            risen.push(format!(
                "{name}: {now:.0} instructions, {then:.0} before ({:+.1} %); these rose most:",
                percent(now, then)
            ));
            for (function, more) in most(counts, before) {
                risen.push(format!("    {more:>+10.0}  {function}"));
            }
        }
        risen
    }
}

/// The functions that rose most.
fn most(now: &Counts, before: &Counts) -> Vec<(String, f64)> {
    let rest = before.get(REST).copied().unwrap_or_default();
    let smallest = before.values().copied().fold(f64::INFINITY, f64::min);
    let mut differences: Vec<(String, f64)> = now
        .iter()
        .filter_map(|(name, count)| match before.get(name) {
            Some(before) => Some((name.clone(), count - before)),
            // It may have been among the rest.
            None if rest > 0.0 && *count <= smallest => None,
            None => Some((format!("{name} (new, or among the rest before)"), *count)),
        })
        .filter(|(_, more)| *more >= 1.0)
        .collect();
    differences.sort_by(|a, b| b.1.total_cmp(&a.1));
    differences.truncate(10);
    differences
}

fn largest(counts: &Counts) -> Counts {
    let mut sorted: Vec<(&String, f64)> =
        counts.iter().map(|(name, count)| (name, *count)).collect();
    sorted.sort_by(|a, b| b.1.total_cmp(&a.1));
    let (kept, rest) = sorted.split_at(sorted.len().min(KEPT));
    let mut counts: Counts = kept
        .iter()
        .map(|(name, count)| ((*name).clone(), rounded(*count)))
        .collect();
    let rest: f64 = rest.iter().map(|(_, count)| count).sum();
    if rest >= 0.5 {
        counts.insert(REST.to_owned(), rounded(rest));
    }
    counts
}

fn rounded(count: f64) -> f64 {
    (count * 10.0).round() / 10.0
}

fn total(counts: Option<&Counts>) -> f64 {
    counts.map_or(0.0, |counts| counts.values().sum())
}

fn percent(now: f64, before: f64) -> f64 {
    (now / before - 1.0) * 100.0
}

/// `rustc 1.95.0 (…)`.
fn compiler() -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("--version").output();
    output.map_or_else(
        |_| "an unknown compiler".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}
