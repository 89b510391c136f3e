//! `plugin fuzz`: runs a plugin over mutated recordings, in memory.

use std::future::{Future as _, poll_fn};
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use anyhow::Context as _;
use provider_host::Plugin;
use provider_host::exercise::Exchange;
use provider_host::exercise::fuzz::{self, Finding, Fuzzer, Progress, Totals};

use super::arguments::{Arguments, FuzzOptions};
use super::failure::{Failure, Status};
use super::terminal::{self, BAD, BOLD, DIM, GOOD, escaped};
use super::{amount, check, opened};

/// How long it takes if nobody says anything.
const SECONDS: u64 = 60;

/// Chats at once for each thread: the one that runs and one that is being cleared away.
const CHATS_A_THREAD: usize = 2;

/// Most lines of a finding's words.
const LINES: usize = 6;

/// Runs the command.
pub(super) fn run(all: &Arguments, arguments: &FuzzOptions) -> anyhow::Result<Status> {
    let mut options = fuzz::Options::new(match arguments.seed {
        Some(seed) => seed,
        None => by_chance()?,
    });
    options.executions = arguments.runs;
    options.time = match (arguments.seconds, arguments.runs) {
        (None, Some(_)) => None,
        (seconds, _) => Some(Duration::from_secs(seconds.unwrap_or(SECONDS))),
    };
    let plugin = load(all, &arguments.file, options.threads)?;
    if let Some(finding) = &arguments.replay {
        return replay(&plugin, finding);
    }
    let recorded = corpus(arguments.corpus.as_deref())?;
    let mut fuzzer = Fuzzer::new(&plugin, &recorded)?;
    if let Some(path) = &all.config {
        fuzzer = fuzzer.with_config(check::entry(path, &plugin.manifest().id)?);
    }

    let stop = interrupted()?;
    let mut out = anstream::stdout();
    writeln!(
        out,
        "{DIM}Fuzzing {} {} with {} exchanges, seed {}, {} threads{DIM:#}",
        escaped(&plugin.manifest().id),
        escaped(&plugin.manifest().version),
        recorded.len(),
        options.seed,
        options.threads
    )?;
    // Threads report at the same time; the first that can't write ends it.
    let failed: Mutex<Option<anyhow::Error>> = Mutex::new(None);
    let line = Line::new();
    let totals = fuzzer.run(&options, &stop.asked, &|progress| match progress {
        Progress::Found(finding) => {
            line.clear();
            if let Err(error) = tell(finding, &arguments.findings) {
                *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                stop.asked.store(true, Ordering::Relaxed);
            }
        }
        Progress::Tick(totals) => line.show(totals),
        _ => {}
    })?;
    line.clear();
    if let Some(error) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error);
    }
    summary(&totals, &mut out)?;
    Ok(if stop.by_user.load(Ordering::Relaxed) {
        Status::Interrupted
    } else if totals.findings > 0 || totals.has_grown() {
        Status::Failed
    } else {
        Status::Done
    })
}

fn load(all: &Arguments, file: &Path, threads: usize) -> anyhow::Result<Plugin> {
    let policy = opened::policy(all)?;
    let chats = u32::try_from(threads * CHATS_A_THREAD).unwrap_or(u32::MAX);
    opened::load(&opened::engine_for(chats)?, file, policy.as_ref())
}

fn by_chance() -> anyhow::Result<u64> {
    // Short enough to be typed again.
    let time = std::time::SystemTime::now();
    let time = time.duration_since(std::time::UNIX_EPOCH);
    Ok(time.context("the clock is before 1970")?.as_micros() as u64 % 1_000_000_000)
}

fn corpus(folder: Option<&Path>) -> anyhow::Result<Vec<Exchange>> {
    let Some(folder) = folder else {
        let mut all = Exchange::built_in();
        all.extend(Exchange::reported());
        return Ok(all);
    };
    Ok(Exchange::load(folder).map_err(|error| Failure::usage(error.to_string()))?)
}

/// Writes a finding down and says so.
fn tell(finding: &Finding, folder: &Path) -> anyhow::Result<()> {
    let file = finding.write(folder).map_err(|error| {
        let folder = folder.display();
        Failure::usage(format!("could not write a finding into {folder}: {error}"))
    })?;
    let mut out = anstream::stdout().lock();
    writeln!(
        out,
        "{BAD}{}{BAD:#} in execution {}, {}",
        finding.invariant,
        finding.execution,
        escaped(&file.display().to_string())
    )?;
    for line in finding.message.lines().take(LINES) {
        writeln!(out, "    {}", escaped(line))?;
    }
    Ok(())
}

fn replay(plugin: &Plugin, file: &Path) -> anyhow::Result<Status> {
    let finding = Finding::read(file).map_err(|error| Failure::usage(error.to_string()))?;
    if finding.plugin != plugin.digest() {
        terminal::note("the finding was made with another plugin file");
    }
    let (outcome, broken) = Fuzzer::new(plugin, &Exchange::built_in())?.replay(&finding)?;
    let mut out = anstream::stdout();
    for line in outcome.lines() {
        super::json::write_line(&mut out, &line)?;
    }
    match broken {
        Some(broken) => {
            writeln!(out, "{BAD}{}{BAD:#} is broken", broken.invariant)?;
            for line in broken.how.lines().take(LINES) {
                writeln!(out, "    {}", escaped(line))?;
            }
            Ok(Status::Failed)
        }
        None => {
            writeln!(
                out,
                "{GOOD}{}{GOOD:#} is not broken any more",
                finding.invariant
            )?;
            Ok(Status::Done)
        }
    }
}

fn summary(totals: &Totals, out: &mut dyn std::io::Write) -> std::io::Result<()> {
    let mut line = |title: &str, value: String| writeln!(out, "{BOLD}{title:<15}{BOLD:#}{value}");
    let seconds = totals.time.as_secs_f64().max(1e-3);
    line("Executions", amount::count(totals.executions))?;
    line(
        "Plugin runs",
        format!(
            "{} in {} ({} a second)",
            amount::count(totals.runs),
            amount::seconds(totals.time),
            amount::count((totals.runs as f64 / seconds) as u64)
        ),
    )?;
    line("Answers", amount::bytes(totals.bytes))?;
    line(
        "Outcomes",
        format!("{} sorts", amount::count(totals.sorts as u64)),
    )?;
    if let (Some(early), Some(now)) = (totals.resident_early, totals.resident) {
        let (early, now) = (amount::bytes(early), amount::bytes(now));
        let grown = if totals.has_grown() { ": it grows" } else { "" };
        line(
            "Memory",
            format!("{early} after 1,000, {now} at the end{grown}"),
        )?;
    }
    line("Digest", format!("{:016x}", totals.digest))?;
    let repeated = match totals.repeated {
        0 => String::new(),
        more => format!(", and {} more of the same kinds", amount::count(more)),
    };
    line("Findings", format!("{}{repeated}", totals.findings))
}

/// Whether it is to end, and whether the user said so.
struct Stop {
    asked: Arc<AtomicBool>,
    by_user: Arc<AtomicBool>,
}

/// Listens for Ctrl-C on a thread of its own, which ends with the process.
fn interrupted() -> anyhow::Result<Stop> {
    let stop = Stop {
        asked: Arc::default(),
        by_user: Arc::default(),
    };
    let (asked, by_user) = (stop.asked.clone(), stop.by_user.clone());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("could not start the asynchronous runtime")?;
    let (listening, begun) = std::sync::mpsc::channel();
    std::thread::Builder::new()
        .name("ctrl-c".into())
        .spawn(move || {
            let pressed = runtime.block_on(async {
                let mut signal = std::pin::pin!(tokio::signal::ctrl_c());
                // The first look begins to listen.
                let first = poll_fn(|cx| Poll::Ready(signal.as_mut().poll(cx))).await;
                let _ = listening.send(());
                match first {
                    Poll::Ready(pressed) => pressed,
                    Poll::Pending => signal.await,
                }
            });
            if pressed.is_ok() {
                by_user.store(true, Ordering::Relaxed);
                asked.store(true, Ordering::Relaxed);
            }
        })
        .context("could not start a thread")?;
    begun
        .recv()
        .context("the thread that listens for Ctrl-C ended")?;
    Ok(stop)
}

/// The line that says how it goes, on a terminal only.
struct Line {
    shown: bool,
}

impl Line {
    fn new() -> Self {
        Self {
            shown: terminal::stderr_is_terminal(),
        }
    }

    fn show(&self, totals: &Totals) {
        if self.shown {
            let seconds = totals.time.as_secs_f64().max(1e-3);
            // Nobody is hurt if it can't be shown.
            let _ = write!(
                std::io::stderr(),
                "\r\x1b[K{} executions, {} runs a second, {} sorts of outcomes, {} findings",
                amount::count(totals.executions),
                amount::count((totals.runs as f64 / seconds) as u64),
                amount::count(totals.sorts as u64),
                totals.findings
            );
        }
    }

    fn clear(&self) {
        if self.shown {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
