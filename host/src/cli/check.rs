//! `plugin check`: the contract's conformance suite, for people and for scripts.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use provider_host::check::{Options, Recorded, Report, Suite, Verdict, all};
use provider_host::configuration::Configuration;
use serde_json::{Map, Value};

use super::arguments::Arguments;
use super::failure::{self, Failure, Status};
use super::json;
use super::opened::{self, with_path};
use super::terminal::{self, BAD, BOLD, DIM, GOOD, WARNING, escaped};

/// Runs the command.
pub(super) async fn run(
    arguments: &Arguments,
    file: &Path,
    corpus: Option<&PathBuf>,
    seconds: Option<u64>,
    as_json: bool,
) -> anyhow::Result<Status> {
    let bytes = opened::read_trusted(arguments, file)?;
    let named = |error: provider_host::Error| {
        Failure::unusable_plugin(format!("{}: {error}", file.display()))
    };
    let id = provider_host::plugin::inspect(&bytes).map_err(named)?;
    let id = id.manifest.map(|manifest| manifest.id);
    let mut options = Options::default();
    // Without an id there is no entry to look for, and the suite says what is missing.
    if let (Some(path), Some(id)) = (&arguments.config, id) {
        options = options.with_config(entry(path, &id)?);
        options.validate().map_err(|error| {
            Failure::configuration(format!("{}: {}", path.display(), error.message()))
        })?;
    }
    if let Some(folder) = corpus {
        let exchanges = Recorded::load(folder);
        let exchanges = exchanges.map_err(|error| Failure::usage(error.to_string()))?;
        options = options.with_exchanges(exchanges);
    }
    if let Some(seconds) = seconds {
        options = options.with_deadline(Duration::from_secs(seconds));
    }
    let suite = Suite::new(&opened::engine()?, &bytes, options).map_err(named)?;
    let mut totals = [0; 4];
    for check in all() {
        let report = suite.check(check).await;
        totals[match report.verdict {
            Verdict::Failed(_) => 1,
            Verdict::Skipped(_) => 2,
            Verdict::NotTried(_) => 3,
            _ => 0,
        }] += 1;
        match as_json {
            true => json::write_line(&mut std::io::stdout(), &line(&report))?,
            false => tell(&report, &mut anstream::stdout())?,
        }
    }
    let [passed, failed, skipped, not_tried] = totals;
    if as_json {
        let totals = serde_json::json!({
            "type": "totals", "passed": passed, "failed": failed, "skipped": skipped,
            "not_tried": not_tried, "complete": not_tried == 0,
        });
        json::write_line(&mut std::io::stdout(), &totals)?;
    } else {
        let mut totals = format!("{passed} passed, {failed} failed, {skipped} skipped");
        if not_tried > 0 {
            write!(totals, ", {not_tried} not tried: this is incomplete")?;
        }
        writeln!(anstream::stdout(), "\n{BOLD}{totals}{BOLD:#}")?;
    }
    // Whether the others hold is not known.
    Ok(match failed + not_tried {
        0 => Status::Done,
        _ => Status::Failed,
    })
}

/// The provider's entry of a configuration, or the whole file if it has none of the shape, without
/// secrets: a report quotes it.
pub(super) fn entry(path: &Path, id: &str) -> anyhow::Result<Map<String, Value>> {
    let mut notes = Vec::new();
    let located = |error: anyhow::Error| failure::under(Some(path), error);
    let entry = Configuration::load(path)?
        .entry_without_secrets(id, &mut notes)
        .map_err(|error| located(error.into()))?;
    for note in notes {
        terminal::warning(&with_path(note.path.as_deref(), &note.message));
    }
    entry.ok_or_else(|| {
        let why = format!("{}: there is no models.providers.{id}", path.display());
        Failure::configuration(why).into()
    })
}

fn line(report: &Report) -> Value {
    let check = report.check;
    let mut line = serde_json::json!({
        "type": "check",
        "group": check.group.name(),
        "name": check.name,
        "says": check.says,
        "contract": check.contract,
        "result": report.verdict.name(),
    });
    match &report.verdict {
        Verdict::Passed(cases) => line["cases"] = (*cases).into(),
        other => line["reasons"] = other.reasons().into(),
    }
    line
}

/// A line for the check, and one for each reason: plugins have their words in there.
fn tell(report: &Report, out: &mut dyn std::io::Write) -> std::io::Result<()> {
    let (style, word) = match &report.verdict {
        Verdict::Failed(_) => (BAD, "failed "),
        Verdict::Skipped(_) => (WARNING, "skipped"),
        Verdict::NotTried(_) => (BAD, "not tried"),
        _ => (GOOD, "passed "),
    };
    let check = report.check;
    write!(
        out,
        "{style}{word}{style:#} {}/{}: {}",
        check.group.name(),
        check.name,
        check.says
    )?;
    match &report.verdict {
        Verdict::Passed(cases) => writeln!(out, " {DIM}({cases}){DIM:#}"),
        other => {
            writeln!(out)?;
            for reason in other.reasons() {
                writeln!(out, "        {}", escaped(reason))?;
            }
            Ok(())
        }
    }
}
