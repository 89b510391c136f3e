//! A finding: an input that broke an invariant, in a file that replays.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::input::Input;
use super::judge::Invariant;
use crate::error::{Error, ErrorKind, Result};
use crate::file::{self, Links};

/// The form of the file. Another one gets another number.
const FORM: u32 = 1;

/// Most bytes of the file that are read: 64 MiB. An input has at most a few megabytes.
const MAX_FINDING_BYTES: u64 = 64 << 20;

/// An input that broke an invariant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Finding {
    form: u32,
    /// What was broken.
    pub invariant: Invariant,
    /// How.
    pub message: String,
    /// SHA-256 of the plugin's file.
    pub plugin: String,
    /// The seed.
    pub seed: u64,
    /// The number of the execution. Seed and number give the input before it was made small.
    pub execution: u64,
    /// The input. Bytes are written as characters up to U+00FF.
    pub input: Input,
}

impl Finding {
    pub(super) fn new(
        invariant: Invariant,
        message: String,
        plugin: &str,
        (seed, execution): (u64, u64),
        input: Input,
    ) -> Self {
        Self {
            form: FORM,
            invariant,
            message,
            plugin: plugin.to_owned(),
            seed,
            execution,
            input,
        }
    }

    /// Reads a finding.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Host`]: the file can't be read, or is no finding of this version.
    pub fn read(file: &Path) -> Result<Self> {
        let failed = |why: String| {
            let file = file.display();
            Error::new(
                ErrorKind::Host,
                format!("could not read the finding {file}: {why}"),
            )
        };
        let text = file::read(file, MAX_FINDING_BYTES, Links::Followed);
        let text = text.map_err(|error| failed(format!("{error}{}", error.remedy())))?;
        let finding: Self =
            serde_json::from_slice(&text).map_err(|error| failed(error.to_string()))?;
        if finding.form != FORM {
            let form = finding.form;
            return Err(failed(format!(
                "it has form {form}, and this host reads {FORM}"
            )));
        }
        Ok(finding)
    }

    /// Writes it into a folder, under a name that its input gives.
    ///
    /// # Errors
    ///
    /// The file system's.
    pub fn write(&self, folder: &Path) -> io::Result<PathBuf> {
        let input = serde_json::to_vec(&self.input)?;
        let name: String = Sha256::digest(&input)
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        std::fs::create_dir_all(folder)?;
        let file = folder.join(format!("finding-{name}.json"));
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        // A new file takes the name: what may stand there, a link or a pipe, is replaced and not written to.
        let mut new = tempfile::Builder::new()
            .prefix("finding-")
            .suffix(".part")
            .tempfile_in(folder)?;
        new.write_all(&text)?;
        new.persist(&file).map_err(|error| error.error)?;
        Ok(file)
    }
}
