//! The model: a Qwen3 of 0.85 million parameters that knows a script by heart (`tests/real-vllm/make_tiny_model.py`).
//!
//! It is in the repository as an archive, because training it takes minutes and its answers are what the suite
//! compares with. `--train` makes it anew.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::folder::Folder;
use super::release::Release;
use super::{python, release};
use crate::setup::progress;
use crate::steps;

/// Nine minutes on one busy core; most of the rest is for slower ones.
const TRAINING: Duration = Duration::from_secs(3_600);

/// Makes sure that the model is there as `release` reads it.
///
/// # Errors
/// The archive is damaged, the disk is full, or the training failed.
pub(crate) fn ready(release: &Release, folder: &Folder, train: bool) -> Result<()> {
    let model = folder.model();
    if train {
        return learn(release, folder, &model);
    }
    let mark = model.join("unpacked.txt");
    let archive = archive();
    let sum = fs::metadata(&archive)
        .map(|archive| archive.len())
        .with_context(|| format!("looking for {}", archive.display()))?
        .to_string();
    if fs::read_to_string(&mark).is_ok_and(|unpacked| unpacked == sum || unpacked == TRAINED) {
        return Ok(());
    }
    progress(&format!(
        "the tiny model … unpacking into {}",
        model.display()
    ));
    unpack(&archive, &model)?;
    for (name, text) in release.model_files {
        let path = model.join(name);
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    }
    fs::write(&mark, sum).with_context(|| format!("writing {}", mark.display()))
}

/// What stands in the mark of a model that was trained here.
const TRAINED: &str = "trained";

fn sources() -> std::path::PathBuf {
    steps::workspace().join("tests").join("real-vllm")
}

fn archive() -> std::path::PathBuf {
    sources().join("tiny-model.tar.xz")
}

fn unpack(archive: &Path, model: &Path) -> Result<()> {
    fs::create_dir_all(model).with_context(|| format!("creating {}", model.display()))?;
    let file = File::open(archive).with_context(|| format!("opening {}", archive.display()))?;
    let tar = lzma_rust2::XzReader::new(std::io::BufReader::new(file), false);
    tar::Archive::new(tar)
        .unpack(model)
        .with_context(|| format!("unpacking {}", archive.display()))
}

fn learn(release: &Release, folder: &Folder, model: &Path) -> Result<()> {
    if !release.model_files.is_empty() {
        bail!(
            "the model is trained with the newest release: cargo xtask real-vllm setup --version {} --train",
            release::newest().version
        );
    }
    progress(&format!(
        "the tiny model … training into {} (minutes; given up after an hour)",
        model.display()
    ));
    let mut command = Command::new(folder.python());
    command
        .arg(sources().join("make_tiny_model.py"))
        .arg(model)
        .env("OMP_NUM_THREADS", "1");
    let said = python::run("the training", &mut command, TRAINING)?;
    let last = said.lines().last().unwrap_or_default();
    ensure!(
        last.contains("recited exactly"),
        "the training said: {last}"
    );
    progress(&format!("the tiny model … {last}"));
    fs::write(model.join("unpacked.txt"), TRAINED).context("marking the model as trained")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_archive_in_the_repository_holds_a_whole_model() {
        let folder = std::env::temp_dir().join(format!("tiny-model-{}", std::process::id()));
        unpack(&archive(), &folder).unwrap();
        let mut names: Vec<String> = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(
            names,
            [
                "chat_template.jinja",
                "config.json",
                "generation_config.json",
                "model.safetensors",
                "tokenizer.json",
                "tokenizer_config.json"
            ]
        );
    }
}
