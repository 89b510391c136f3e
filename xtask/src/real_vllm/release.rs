//! The releases of vLLM that the suite knows, and what each needs to run on a CPU.

use anyhow::{Result, anyhow};

/// A release, pinned to the last package.
#[derive(Debug)]
pub(crate) struct Release {
    pub(crate) version: &'static str,
    /// Every package it is made of, a requirements file.
    pub(crate) packages: &'static str,
    /// Environment that this release wants and others do not.
    pub(crate) environment: &'static [(&'static str, &'static str)],
    /// Flags of the same kind.
    pub(crate) flags: &'static [&'static str],
    /// Files of the model as transformers 4 reads them, instead of those in the archive, which are for transformers 5.
    pub(crate) model_files: &'static [(&'static str, &'static str)],
}

/// What transformers 4 calls otherwise than 5: `rope_theta` for `rope_parameters`, and the tokenizer's class.
const TRANSFORMERS_4: &[(&str, &str)] = &[
    (
        "config.json",
        include_str!("../../../tests/real-vllm/transformers-4/config.json"),
    ),
    (
        "tokenizer_config.json",
        include_str!("../../../tests/real-vllm/transformers-4/tokenizer_config.json"),
    ),
];

/// Structured output may otherwise begin with as much white space as the model likes, and a model that was never taught
/// JSON of that shape likes nothing else.
const OLDER: &[&str] = &[
    "--dtype",
    "float32",
    "--structured-outputs-config",
    r#"{"backend": "xgrammar", "disable_any_whitespace": true}"#,
];

/// Newest first.
pub(crate) static ALL: [Release; 3] = [
    Release {
        version: "0.32.0",
        packages: include_str!("../../../tests/real-vllm/pins/0.32.0.txt"),
        environment: &[("VLLM_CPU_OMP_THREADS_BIND", "nobind")],
        flags: &[],
        model_files: &[],
    },
    Release {
        version: "0.14.1",
        packages: include_str!("../../../tests/real-vllm/pins/0.14.1.txt"),
        environment: &[("VLLM_CPU_OMP_THREADS_BIND", "nobind")],
        flags: OLDER,
        model_files: TRANSFORMERS_4,
    },
    Release {
        version: "0.11.0",
        packages: include_str!("../../../tests/real-vllm/pins/0.11.0.txt"),
        // This release does not know "nobind".
        environment: &[("VLLM_CPU_OMP_THREADS_BIND", "0")],
        flags: OLDER,
        model_files: TRANSFORMERS_4,
    },
];

/// The release that is taken when none is named.
pub(crate) fn newest() -> &'static Release {
    &ALL[0]
}

/// The release of a version.
///
/// # Errors
/// It is not pinned here.
pub(crate) fn named(version: &str) -> Result<&'static Release> {
    ALL.iter()
        .find(|release| release.version == version)
        .ok_or_else(|| {
            let known: Vec<&str> = ALL.iter().map(|release| release.version).collect();
            anyhow!(
                "vLLM {version} is not pinned here, only {}",
                known.join(", ")
            )
        })
}

impl Release {
    /// The version of one of its packages.
    pub(crate) fn package(&self, name: &str) -> Option<&'static str> {
        self.packages
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix("=="))
    }

    /// Whether it is at least as new as `version` (three numbers).
    pub(crate) fn is_since(&self, version: &str) -> bool {
        numbers(self.version) >= numbers(version)
    }
}

fn numbers(version: &str) -> Vec<u32> {
    version
        .split('.')
        .map_while(|part| part.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_release_pins_itself_and_every_package_to_one_version() {
        for release in &ALL {
            assert_eq!(release.package("vllm-cpu"), Some(release.version));
            for line in release
                .packages
                .lines()
                .filter(|line| !line.starts_with('#'))
            {
                let (name, version) = line.split_once("==").expect(line);
                assert!(!name.is_empty() && !version.is_empty(), "{line}");
            }
        }
    }

    #[test]
    fn the_files_for_transformers_4_are_there_where_transformers_is_4() {
        for release in &ALL {
            let four = release.package("transformers").unwrap().starts_with("4.");
            assert_eq!(four, !release.model_files.is_empty(), "{}", release.version);
        }
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(named("0.32.0").unwrap().is_since("0.4.0"));
        assert!(named("0.14.1").unwrap().is_since("0.14.1"));
        assert!(!named("0.11.0").unwrap().is_since("0.14.1"));
    }
}
