//! `cargo xtask fuzz`: the native fuzz targets, on stable Rust and with nothing installed but a C++ compiler.
//!
//! cargo-fuzz wants a nightly compiler for its sanitizers. The core and the policy are safe Rust, where those would watch
//! nothing; what is needed is coverage, and that the stable compiler instruments for whoever asks LLVM for it. So this task
//! builds `fuzz/` with these flags, runs each target for a bounded number of inputs, and says what came of it. The layout
//! is that of cargo-fuzz, for those who have it.

mod arguments;
mod build;
mod outcome;
mod seeds;

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use crate::steps::{cargo, run as step, workspace};
use arguments::{Amount, Campaign, Task};
use outcome::Outcome;

/// The targets with the dictionaries that help them, and the longest input that is worth their time.
const TARGETS: &[(&str, &[&str], u32)] = &[
    ("address", &[], 20),
    ("answer", &["json", "answer"], 4096),
    ("base_url", &["url"], 256),
    ("catalog", &["json", "catalog"], 4096),
    ("config", &["json", "config", "url"], 4096),
    ("decoder", &["json", "answer", "sse"], 8192),
    ("error", &["json", "error"], 4096),
    ("health", &["json", "error"], 1024),
    ("json", &["json"], 2048),
    ("matches", &["url"], 256),
    ("number", &["json"], 64),
    ("origin", &["url"], 256),
    ("request", &["json", "config"], 4096),
    ("secrets", &[], 256),
    ("sse", &["sse"], 2048),
    ("sse_whatwg", &["sse"], 2048),
    ("tokens", &["json", "error"], 1024),
];

/// Longest input of the committed seeds: what is longer is among the recordings already.
const SEED_BYTES: u32 = 2048;

/// Runs the task that the arguments name.
///
/// # Errors
/// The arguments are not understood, there is no C++ compiler, the build failed, or a target found something.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    match arguments::parse(arguments)? {
        Task::Help => {
            print!("{}", arguments::USAGE);
            Ok(())
        }
        Task::Known => known_inputs(),
        Task::Replay { target, file } => step(
            "replay",
            cargo(&["run", "--quiet", "--example", "replay"])
                .args(build::PLAIN)
                .args(["--", target, &file]),
        ),
        Task::Seeds(targets) => seeds(&targets),
        Task::Run(campaign) => campaign_of(&campaign),
    }
}

/// Seeds, recordings and past findings through every target, as an ordinary test: no C++, no instrumentation.
pub(crate) fn known_inputs() -> Result<()> {
    step(
        "known inputs of the fuzz targets",
        cargo(&["test", "--quiet"]).args(build::PLAIN),
    )
}

/// Clippy over the targets, without the programs, which are three lines each and need C++.
pub(crate) fn lint() -> Result<()> {
    let mut command = cargo(&["clippy", "--lib", "--tests", "--examples"]);
    command.args(build::PLAIN).args(["--", "-D", "warnings"]);
    step("clippy for the fuzz targets", &mut command)
}

/// The folders of one target.
struct Folders {
    /// What the runs on this machine found worth keeping.
    corpus: PathBuf,
    /// What is in the repository.
    seeds: PathBuf,
    /// What the recordings make.
    recordings: PathBuf,
    /// Where an input goes that a target fails on.
    findings: PathBuf,
    log: PathBuf,
}

impl Folders {
    fn of(target: &str) -> Result<Self> {
        let (here, built) = (workspace().join("fuzz"), build::folder());
        let folders = Self {
            corpus: built.join("corpus").join(target),
            seeds: here.join("seeds").join(target),
            recordings: built.join("recordings").join(target),
            findings: here.join("findings").join(target),
            log: built.join("logs").join(format!("{target}.log")),
        };
        let logs = built.join("logs");
        for folder in [
            &folders.corpus,
            &folders.seeds,
            &folders.recordings,
            &folders.findings,
            &logs,
        ] {
            fs::create_dir_all(folder)
                .with_context(|| format!("cannot make {}", folder.display()))?;
        }
        Ok(folders)
    }

    /// Git keeps no empty folders, and neither does this.
    fn tidy(&self) {
        for folder in [&self.findings, &self.seeds] {
            let _ = fs::remove_dir(folder);
        }
    }
}

fn campaign_of(campaign: &Campaign) -> Result<()> {
    let programs = build::programs(&campaign.targets)?;
    let mut failed = Vec::new();
    println!("{}", Outcome::HEAD);
    for target in &campaign.targets {
        let folders = Folders::of(target)?;
        let outcome = fuzz(target, &programs, &folders, campaign)?;
        folders.tidy();
        println!("{}", outcome.row(target));
        if let Some(finding) = outcome.finding {
            eprintln!(
                "{}\n\nthe whole log: {}",
                outcome.tail,
                folders.log.display()
            );
            failed.push(format!(
                "{target} fails on {finding}; once more: cargo xtask fuzz replay {target} {finding}"
            ));
        }
    }
    ensure!(failed.is_empty(), "{}", failed.join("\n"));
    Ok(())
}

/// Runs one target to its bound or its first finding.
fn fuzz(target: &str, programs: &Path, folders: &Folders, campaign: &Campaign) -> Result<Outcome> {
    let mut command = Command::new(programs.join(target));
    command
        .current_dir(workspace())
        .args(common(target, None)?)
        .arg(format!("-seed={}", campaign.seed))
        .arg(match campaign.amount {
            Amount::Runs(runs) => format!("-runs={runs}"),
            Amount::Seconds(seconds) => format!("-max_total_time={seconds}"),
        })
        .arg(format!("-artifact_prefix={}/", folders.findings.display()))
        .args([&folders.corpus, &folders.seeds, &folders.recordings])
        .stderr(log(folders)?);
    let begun = Instant::now();
    let status = command
        .status()
        .with_context(|| format!("cannot run {target}"))?;
    let text = fs::read(&folders.log).context("the log is gone")?;
    outcome::read(
        &String::from_utf8_lossy(&text),
        status.success(),
        begun.elapsed(),
        &workspace(),
    )
}

fn log(folders: &Folders) -> Result<File> {
    File::create(&folders.log).with_context(|| format!("cannot write {}", folders.log.display()))
}

/// Flags for any run of a target: bounds in length, time and memory of one input, and the words that help.
fn common(target: &str, longest: Option<u32>) -> Result<Vec<String>> {
    let Some((_, dictionaries, own)) = TARGETS.iter().find(|(name, ..)| *name == target) else {
        bail!("there is no target {target}");
    };
    let mut flags = vec![
        format!("-max_len={}", longest.unwrap_or(*own)),
        "-timeout=20".into(),
        "-rss_limit_mb=2048".into(),
        "-print_final_stats=1".into(),
        "-reload=0".into(),
    ];
    if !dictionaries.is_empty() {
        // libFuzzer takes one file.
        let mut words = String::new();
        for name in *dictionaries {
            let file = workspace()
                .join("fuzz/dictionaries")
                .join(format!("{name}.dict"));
            words += &fs::read_to_string(&file)
                .with_context(|| format!("cannot read {}", file.display()))?;
        }
        let file = build::folder().join("logs").join(format!("{target}.dict"));
        fs::write(&file, words).with_context(|| format!("cannot write {}", file.display()))?;
        flags.push(format!("-dict={}", file.display()));
    }
    Ok(flags)
}

/// Makes the committed seeds anew: of the seeds that are there, the recordings and what runs on this machine found, the few
/// and short inputs that together reach most.
fn seeds(targets: &[&'static str]) -> Result<()> {
    let programs = build::programs(targets)?;
    for target in targets {
        let folders = Folders::of(target)?;
        let merged = build::folder().join("merged").join(target);
        let _ = fs::remove_dir_all(&merged);
        fs::create_dir_all(&merged)?;
        let control = folders.log.with_extension("merge");
        let _ = fs::remove_file(&control);
        let mut command = Command::new(programs.join(target));
        command
            .current_dir(workspace())
            .args(common(target, Some(SEED_BYTES))?)
            // What is reached counts, not how often.
            .args(["-set_cover_merge=1", "-use_counters=0"])
            .arg(format!("-merge_control_file={}", control.display()))
            .arg(&merged)
            .args([&folders.seeds, &folders.recordings, &folders.corpus])
            .stderr(log(&folders)?);
        let status = command
            .status()
            .with_context(|| format!("cannot run {target}"))?;
        ensure!(
            status.success(),
            "no seeds for {target}: see {}",
            folders.log.display()
        );
        let control = fs::read_to_string(&control).context("the merge left no control file")?;
        let (chosen, reached, all) = seeds::choose(&control, seeds::MAX_SEEDS)?;
        let bytes = replace(&folders.seeds, &chosen)?;
        println!(
            "{target}: {} seeds, {bytes} bytes, reach {reached} of {all}",
            chosen.len()
        );
        folders.tidy();
    }
    Ok(())
}

/// Puts these inputs, cut to the length of a seed, into the folder in the place of what is there; gives their bytes.
fn replace(folder: &Path, inputs: &[PathBuf]) -> Result<usize> {
    let read = |path: &PathBuf| -> Result<(OsString, Vec<u8>)> {
        let mut bytes = fs::read(path)?;
        bytes.truncate(SEED_BYTES as usize);
        Ok((path.file_name().unwrap_or_default().to_owned(), bytes))
    };
    let seeds = inputs.iter().map(read).collect::<Result<Vec<_>>>()?;
    fs::remove_dir_all(folder)?;
    fs::create_dir_all(folder)?;
    for (name, bytes) in &seeds {
        fs::write(folder.join(name), bytes)?;
    }
    Ok(seeds.iter().map(|(_, bytes)| bytes.len()).sum())
}
