//! The ways a server is started: each has what another lacks.

use anyhow::{Result, anyhow};

use super::release::Release;

/// A server's flags under a name.
#[derive(Debug)]
pub(crate) struct Profile {
    pub(crate) name: &'static str,
    /// What users of such a server have, in one line.
    pub(crate) what: &'static str,
    /// A flag with its values, and the first release here that knows it.
    flags: &'static [(&'static [&'static str], &'static str)],
}

/// Known to all releases here.
const ANY: &str = "0.0.0";

const NAMES: &[&str] = &["--served-model-name", "tiny", "tiny-alias"];
const KEYS: &[&str] = &["--api-key", "secret-1", "secret-2"];
const CALLS: &[&str] = &["--enable-auto-tool-choice"];
const HERMES: &[&str] = &["--tool-call-parser", "hermes"];
const PROMPT_DETAILS: &[&str] = &["--enable-prompt-tokens-details"];

/// All profiles, in the order in which they are tested.
pub(crate) static ALL: [Profile; 5] = [
    Profile {
        name: "auth",
        what: "keys, an alias, a tool parser, cached tokens told; no reasoning parser",
        flags: &[
            (NAMES, ANY),
            (KEYS, ANY),
            (CALLS, ANY),
            (HERMES, ANY),
            (PROMPT_DETAILS, ANY),
        ],
    },
    Profile {
        name: "think",
        what: "the same with the reasoning parser qwen3",
        flags: &[
            (NAMES, ANY),
            (KEYS, ANY),
            (CALLS, ANY),
            (HERMES, ANY),
            (PROMPT_DETAILS, ANY),
            (&["--reasoning-parser", "qwen3"], ANY),
        ],
    },
    Profile {
        name: "plain",
        what: "vLLM's defaults: no key, no parsers, the model's path as its name",
        flags: &[],
    },
    Profile {
        name: "r1",
        what: "the reasoning parser deepseek_r1, a tool parser that does not fit the model, usage in every chunk",
        flags: &[
            (NAMES, ANY),
            (CALLS, ANY),
            (&["--tool-call-parser", "qwen3_coder"], ANY),
            (&["--reasoning-parser", "deepseek_r1"], ANY),
            (&["--enable-force-include-usage"], ANY),
            (&["--enable-request-id-headers"], ANY),
            (&["--enable-per-request-metrics"], "0.32.0"),
        ],
    },
    Profile {
        name: "prio",
        what: "one chat at a time, scheduling by priority, a short queue, keep-alive comments",
        flags: &[
            (NAMES, ANY),
            (CALLS, ANY),
            (HERMES, ANY),
            (&["--scheduling-policy", "priority"], ANY),
            (&["--max-num-seqs", "1"], ANY),
            (&["--sse-keep-alive-interval", "1"], "0.32.0"),
            (&["--max-num-queued-reqs", "3"], "0.32.0"),
        ],
    },
];

/// The profile of a name.
///
/// # Errors
/// There is none.
pub(crate) fn named(name: &str) -> Result<&'static Profile> {
    ALL.iter()
        .find(|profile| profile.name == name)
        .ok_or_else(|| {
            let known: Vec<&str> = ALL.iter().map(|profile| profile.name).collect();
            anyhow!("no profile is called {name}: {}", known.join(", "))
        })
}

impl Profile {
    /// The flags that `release` knows.
    pub(crate) fn flags(&self, release: &Release) -> Vec<&'static str> {
        self.flags
            .iter()
            .filter(|(_, since)| release.is_since(since))
            .flat_map(|(flag, _)| flag.iter().copied())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::release;
    use super::*;

    #[test]
    fn an_older_release_is_not_given_flags_that_it_does_not_know() {
        let prio = named("prio").unwrap();
        let new = prio.flags(release::named("0.32.0").unwrap());
        let old = prio.flags(release::named("0.14.1").unwrap());
        assert!(new.contains(&"--max-num-queued-reqs"));
        assert!(!old.contains(&"--max-num-queued-reqs"));
        assert!(old.contains(&"--scheduling-policy"));
    }
}
