//! Runs named checks one after the other, each within a time, and reports what came of them.
//!
//! Not libtest: checks share one server, their order matters (the last one kills it), and each has a third and a fourth
//! outcome beside passing and failing, for what a version of vLLM does otherwise.

use std::fs::File;
use std::io::Write as _;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::differences::{self, Kind};
use crate::live::{Live, Options, Profile};
use crate::{answer, checks};

type Run = fn(Arc<Live>) -> Pin<Box<dyn Future<Output = Result<()>> + Send>>;

/// One thing that is looked at.
pub(crate) struct Check {
    /// The function's name, which is a sentence.
    pub(crate) name: &'static str,
    /// Profiles in which it means something.
    pub(crate) profiles: &'static [Profile],
    /// Generous to a busy machine: reaching it is a failure.
    pub(crate) limit: Duration,
    pub(crate) run: Run,
}

/// A check: a function of `checks`, the profiles it is for, and its limit in seconds.
macro_rules! check {
    ($module:ident :: $function:ident, $profiles:expr, $seconds:expr) => {
        $crate::harness::Check {
            name: stringify!($function),
            profiles: $profiles,
            limit: std::time::Duration::from_secs($seconds),
            run: |live| Box::pin(crate::checks::$module::$function(live)),
        }
    };
}
pub(crate) use check;

/// How a check ended.
enum Outcome {
    Passed,
    Differs(&'static str),
    Absent(&'static str),
    Failed(String),
}

impl Outcome {
    fn word(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Differs(_) => "differs",
            Self::Absent(_) => "absent",
            Self::Failed(_) => "FAILED",
        }
    }

    fn reason(&self) -> &str {
        match self {
            Self::Passed => "",
            Self::Differs(why) | Self::Absent(why) => why,
            Self::Failed(why) => why,
        }
    }
}

/// Runs what the options ask for; true: nothing failed.
pub(crate) async fn run(options: Options) -> Result<bool> {
    differences::are_about(checks::ALL)?;
    let mut report = match &options.report {
        Some(path) => {
            Some(File::create(path).with_context(|| format!("creating {}", path.display()))?)
        }
        None => None,
    };
    let only = options.only.clone();
    let live = Arc::new(Live::new(options).await?);
    let mut failed = 0;
    let mut ran = 0;
    for check in checks::ALL {
        let wanted = only.is_empty() || only.iter().any(|name| check.name.contains(name.as_str()));
        if !wanted || !check.profiles.contains(&live.profile) {
            continue;
        }
        ran += 1;
        let begun = Instant::now();
        let outcome = one(check, &live).await;
        let took = begun.elapsed();
        println!(
            "{:<7} {:>6.1} s  {}",
            outcome.word(),
            took.as_secs_f64(),
            check.name
        );
        if let Outcome::Failed(reason) = &outcome {
            failed += 1;
            println!("        {}", reason.replace('\n', "\n        "));
        }
        if let Some(report) = &mut report {
            let reason = outcome.reason().replace(['\n', '\r'], " ");
            writeln!(
                report,
                "{}\t{}\t{}\t{reason}",
                check.name,
                outcome.word(),
                took.as_millis()
            )?;
        }
    }
    anyhow::ensure!(ran > 0, "no check of this profile has such a name");
    if let Some(report) = &mut report {
        writeln!(report, "end")?;
    }
    println!("{failed} of {ran} checks failed");
    Ok(failed == 0)
}

async fn one(check: &Check, live: &Arc<Live>) -> Outcome {
    let declared = match differences::of(check.name, live) {
        Some((Kind::Absent, why)) => return Outcome::Absent(why),
        Some((Kind::Fails(words), why)) => Some((words, why)),
        None => None,
    };
    match (declared, within(check, live).await) {
        (None, Ok(())) => Outcome::Passed,
        (None, Err(found)) => Outcome::Failed(found),
        (Some((words, why)), Err(found)) if found.contains(words) => Outcome::Differs(why),
        (Some((words, why)), Err(found)) => Outcome::Failed(format!(
            "declared to fail with {words:?} ({why}), and failed otherwise: {found}"
        )),
        (Some((_, why)), Ok(())) => Outcome::Failed(format!(
            "passed, though a difference is declared and has to go: {why}"
        )),
    }
}

/// In a task of its own, so that a panic is a failure like any other.
async fn within(check: &Check, live: &Arc<Live>) -> Result<(), String> {
    let task = tokio::spawn((check.run)(live.clone()));
    let abort = task.abort_handle();
    match tokio::time::timeout(check.limit, task).await {
        Err(_) => {
            abort.abort();
            Err(format!("not done within {:?}", check.limit))
        }
        Ok(Err(panic)) => Err(format!("panicked: {panic}")),
        Ok(Ok(result)) => result.map_err(|error| answer::cut(&format!("{error:#}"))),
    }
}
