//! What may follow `cargo xtask real-vllm`.

use anyhow::{Context, Result, bail, ensure};

use super::profile::{self, Profile};
use super::release::{self, Release};

pub(crate) const USAGE: &str = "\
usage: cargo xtask real-vllm TASK

  setup [--version V] [--train]       install vLLM for the CPU and the tiny model into the cache
  serve PROFILE [--version V] [--port N] [-- FLAGS OF VLLM]
                                      a server in the foreground, on 127.0.0.1
  test [--version V|all]… [--only CHECK]… [PROFILE]…
                                      the live suite; a whole run renews the results in docs/real-vllm.md

  V        0.32.0 (the default), 0.14.1 or 0.11.0
  PROFILE  auth, think, plain, r1 or prio
  --train  train the model anew instead of unpacking it: minutes

PROVIDER_REAL_VLLM names another folder than the cache.
";

/// The port of `serve` unless another is asked for.
const PORT: u16 = 18_101;

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Task {
    Help,
    Setup {
        release: &'static Release,
        train: bool,
    },
    Serve {
        release: &'static Release,
        profile: &'static Profile,
        port: u16,
        /// Flags that go to vLLM as they are.
        more: Vec<String>,
    },
    Test {
        releases: Vec<&'static Release>,
        profiles: Vec<&'static Profile>,
        /// Parts of names of checks; empty: all of them.
        only: Vec<String>,
    },
}

/// Reads the arguments.
///
/// # Errors
/// The text says which argument is not understood, and shows the usage.
pub(crate) fn parse(arguments: &[String]) -> Result<Task> {
    read(arguments).with_context(|| format!("wrong usage\n\n{USAGE}"))
}

fn read(arguments: &[String]) -> Result<Task> {
    let Some((task, rest)) = arguments.split_first() else {
        bail!("no task is named");
    };
    let dashes = rest.iter().position(|argument| argument == "--");
    let (rest, more) = rest.split_at(dashes.unwrap_or(rest.len()));
    let more = more.iter().skip(1).cloned().collect::<Vec<_>>();
    let mut given = Given::default();
    let mut rest = rest.iter();
    while let Some(argument) = rest.next() {
        let mut value = || {
            rest.next()
                .with_context(|| format!("{argument} needs a value"))
        };
        match argument.as_str() {
            "--version" => match value()?.as_str() {
                "all" => given.releases.extend(&release::ALL),
                version => given.releases.push(release::named(version)?),
            },
            "--port" => {
                let port = value()?;
                given.port = Some(port.parse().with_context(|| format!("no port: {port}"))?);
            }
            "--only" => given.only.push(value()?.clone()),
            "--train" => given.train = true,
            "-h" | "--help" => return Ok(Task::Help),
            flag if flag.starts_with('-') => bail!("unknown option {flag}"),
            name => given.profiles.push(profile::named(name)?),
        }
    }
    ensure!(
        more.is_empty() || task == "serve",
        "flags of vLLM are for `serve` only"
    );
    match task.as_str() {
        "setup" => {
            given.has_only(&[Part::Train])?;
            Ok(Task::Setup {
                train: given.train,
                release: given.one_release()?,
            })
        }
        "serve" => {
            given.has_only(&[Part::Port, Part::Profiles])?;
            ensure!(given.profiles.len() == 1, "serve needs one profile");
            Ok(Task::Serve {
                release: given.one_release()?,
                profile: given.profiles[0],
                port: given.port.unwrap_or(PORT),
                more,
            })
        }
        "test" => {
            given.has_only(&[Part::Only, Part::Profiles])?;
            if given.releases.is_empty() {
                given.releases.push(release::newest());
            }
            Ok(Task::Test {
                releases: given.releases,
                profiles: given.profiles,
                only: given.only,
            })
        }
        "help" | "-h" | "--help" => Ok(Task::Help),
        other => bail!("unknown task {other:?}"),
    }
}

/// All that was written, whatever the task.
#[derive(Default)]
struct Given {
    releases: Vec<&'static Release>,
    profiles: Vec<&'static Profile>,
    only: Vec<String>,
    port: Option<u16>,
    train: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Part {
    Train,
    Port,
    Profiles,
    Only,
}

impl Given {
    /// Refuses what the task at hand has no use for.
    fn has_only(&self, taken: &[Part]) -> Result<()> {
        for (part, there, name) in [
            (Part::Train, self.train, "--train"),
            (Part::Port, self.port.is_some(), "--port"),
            (Part::Profiles, !self.profiles.is_empty(), "a profile"),
            (Part::Only, !self.only.is_empty(), "--only"),
        ] {
            ensure!(!there || taken.contains(&part), "this task takes no {name}");
        }
        Ok(())
    }

    fn one_release(&self) -> Result<&'static Release> {
        ensure!(self.releases.len() <= 1, "this task takes one version");
        Ok(self.releases.first().copied().unwrap_or(release::newest()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Task> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        parse(&words)
    }

    #[test]
    fn a_test_without_a_version_takes_the_newest_and_all_means_all() {
        let Task::Test { releases, .. } = parsed("test").unwrap() else {
            panic!("another task");
        };
        assert_eq!(releases.len(), 1);
        assert_eq!(releases[0].version, release::newest().version);
        let Task::Test {
            releases, profiles, ..
        } = parsed("test --version all think plain").unwrap()
        else {
            panic!("another task");
        };
        assert_eq!(releases.len(), release::ALL.len());
        assert_eq!(profiles[1].name, "plain");
    }

    #[test]
    fn what_follows_the_dashes_goes_to_vllm() {
        let Task::Serve {
            release,
            port,
            more,
            ..
        } = parsed("serve auth --version 0.14.1 --port 9 -- --seed 1").unwrap()
        else {
            panic!("another task");
        };
        assert_eq!((release.version, port), ("0.14.1", 9));
        assert_eq!(more, ["--seed", "1"]);
    }

    #[test]
    fn an_argument_without_a_meaning_is_refused_by_name() {
        for (line, word) in [
            ("", "no task"),
            ("sing", "sing"),
            ("setup --port 1", "--port"),
            ("setup auth", "profile"),
            ("serve", "one profile"),
            ("serve auth plain", "one profile"),
            ("serve nobody", "nobody"),
            ("serve auth --port x", "x"),
            ("serve auth --port", "needs a value"),
            ("test --train", "--train"),
            ("test -- --seed", "serve"),
            ("setup --version 1.2.3", "1.2.3"),
            ("setup --version all", "one version"),
        ] {
            let error = format!("{:#}", parsed(line).unwrap_err());
            assert!(error.contains(word), "{line}: {error}");
            assert!(error.contains("usage:"), "{line}: {error}");
        }
    }
}
