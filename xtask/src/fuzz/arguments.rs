//! What may follow `cargo xtask fuzz`.

use anyhow::{Context, Result, bail, ensure};

use super::TARGETS;

pub(crate) const USAGE: &str = "\
usage: cargo xtask fuzz [TARGET]… [--runs N | --seconds N] [--seed N]
       cargo xtask fuzz replay TARGET FILE     one input through one target
       cargo xtask fuzz known                  seeds, recordings and past findings, as `cargo xtask test` runs them
       cargo xtask fuzz seeds [TARGET]…        makes fuzz/seeds anew from recordings and corpora

  TARGET     a name from fuzz/fuzz_targets; none: all of them
  --runs     inputs for each target (the default: 20,000)
  --seconds  time for each target
  --seed     the same seed and corpus give the same inputs (the default: 1)

The first and the last need a C++ compiler, for libFuzzer is C++.
";

/// Inputs for each target unless something else is asked for: some seconds.
const RUNS: u64 = 20_000;

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Task {
    Help,
    Known,
    Replay { target: &'static str, file: String },
    Seeds(Vec<&'static str>),
    Run(Campaign),
}

/// How much is done for each target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Amount {
    Runs(u64),
    Seconds(u64),
}

/// A run of some targets.
#[derive(Debug)]
pub(crate) struct Campaign {
    pub(crate) targets: Vec<&'static str>,
    pub(crate) amount: Amount,
    pub(crate) seed: u32,
}

/// Reads the arguments.
///
/// # Errors
/// The text says which argument is not understood, and shows the usage.
pub(crate) fn parse(arguments: &[String]) -> Result<Task> {
    read(arguments).with_context(|| format!("wrong usage\n\n{USAGE}"))
}

fn read(arguments: &[String]) -> Result<Task> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["help" | "-h" | "--help", ..] => Ok(Task::Help),
        ["known"] => Ok(Task::Known),
        ["replay", name, file] => Ok(Task::Replay {
            target: target(name)?,
            file: (*file).to_owned(),
        }),
        ["replay", ..] => bail!("replay needs a target and a file"),
        ["seeds", names @ ..] => Ok(Task::Seeds(targets(names)?)),
        words => Ok(Task::Run(campaign(words)?)),
    }
}

fn campaign(words: &[&str]) -> Result<Campaign> {
    let (mut names, mut amount, mut seed) = (Vec::new(), None, 1);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut number = || -> Result<u64> {
            let value = words
                .next()
                .with_context(|| format!("{word} needs a number"))?;
            let number = value.parse().ok().filter(|number| *number > 0);
            number.with_context(|| format!("{word} needs a number above 0, not {value}"))
        };
        match *word {
            "--runs" | "--seconds" => {
                ensure!(
                    amount.is_none(),
                    "--runs and --seconds are one bound too many"
                );
                let number = number()?;
                amount = Some(match *word {
                    "--runs" => Amount::Runs(number),
                    _ => Amount::Seconds(number),
                });
            }
            "--seed" => seed = u32::try_from(number()?).context("--seed is too large")?,
            flag if flag.starts_with('-') => bail!("{flag} is not known"),
            name => names.push(name),
        }
    }
    Ok(Campaign {
        targets: targets(&names)?,
        amount: amount.unwrap_or(Amount::Runs(RUNS)),
        seed,
    })
}

fn targets(names: &[&str]) -> Result<Vec<&'static str>> {
    match names {
        [] => Ok(TARGETS.iter().map(|(name, ..)| *name).collect()),
        names => names.iter().map(|name| target(name)).collect(),
    }
}

fn target(name: &str) -> Result<&'static str> {
    let names = || TARGETS.iter().map(|(name, ..)| *name);
    names().find(|known| *known == name).with_context(|| {
        let known: Vec<&str> = names().collect();
        format!("there is no target {name}; there are {}", known.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_line(line: &str) -> Result<Task> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        parse(&words)
    }

    #[test]
    fn without_names_all_targets_run_for_a_bounded_number_of_inputs() {
        let Task::Run(campaign) = read_line("").unwrap() else {
            panic!("a campaign");
        };
        assert_eq!(campaign.targets.len(), TARGETS.len());
        assert_eq!(campaign.amount, Amount::Runs(RUNS));
        let Task::Run(campaign) = read_line("sse json --seconds 5 --seed 7").unwrap() else {
            panic!("a campaign");
        };
        assert_eq!(campaign.targets, ["sse", "json"]);
        assert_eq!((campaign.amount, campaign.seed), (Amount::Seconds(5), 7));
    }

    #[test]
    fn what_is_not_understood_is_told() {
        for (line, words) in [
            ("nothing", "no target nothing"),
            ("--runs", "needs a number"),
            ("--runs 0", "above 0"),
            ("--runs 1 --seconds 1", "one bound too many"),
            ("--fast", "--fast is not known"),
            ("replay sse", "a target and a file"),
        ] {
            let error = format!("{:#}", read_line(line).unwrap_err());
            assert!(error.contains(words) && error.contains("usage"), "{error}");
        }
    }

    #[test]
    fn the_list_of_targets_is_that_of_the_fuzz_crate() {
        let folder = crate::steps::workspace().join("fuzz/fuzz_targets");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
            .collect();
        files.sort();
        let names: Vec<&str> = TARGETS.iter().map(|(name, ..)| *name).collect();
        assert_eq!(files, names);
    }
}
