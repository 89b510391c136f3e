//! Installs a pinned vLLM from PyPI into a virtual environment of its own.
//!
//! Every step may be repeated: what is whole is left alone, what was broken off goes on from uv's cache. The mark of a
//! whole installation is a copy of the list of packages, written last.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::folder::Folder;
use super::python;
use super::release::Release;
use crate::setup::progress;

/// The installer: it takes the list as it is, and keeps one copy of what releases share.
const UV: &str = "uv==0.13.9";
/// Space for one release while it is installed, in KiB: 6 GB on disk, and as much again where the cache and the
/// environment cannot share files.
const SPACE_KIB: u64 = 8 << 20;

const SHORT: Duration = Duration::from_secs(300);
/// Three gigabytes are fetched; this is a line of 15 Mbit/s.
const DOWNLOAD: Duration = Duration::from_secs(1_800);

/// Loads vLLM's own code as a server does, and says that the alias was found. Newer releases have a
/// library for each kind of processor (AVX2, AVX-512) and choose one; `vllm._C` alone ends a process
/// without AVX-512 by SIGILL. What cannot be loaded is only warned of there, so an operation of the
/// library is asked for.
const PROOF: &str = "\
import importlib.metadata as m, torch
from vllm.platforms.cpu import CpuPlatform as p
getattr(p, 'import_kernels', lambda: __import__('vllm._C'))()
torch.ops._C.silu_and_mul
print(m.version('vllm'))
";

/// Makes sure that `release` is installed.
///
/// # Errors
/// Which step failed, with the last lines of what it wrote.
pub(crate) fn ready(release: &Release, folder: &Folder) -> Result<()> {
    let mark = folder.release().join("installed.txt");
    if fs::read_to_string(&mark).is_ok_and(|list| list == release.packages) {
        progress(&format!("vLLM {} … present", release.version));
        return Ok(());
    }
    progress(&format!(
        "vLLM {} … missing; installing into {} (3 GB to fetch, 6 GB on disk)",
        release.version,
        folder.release().display()
    ));
    let python = python::find()?;
    enough_space(&folder.base())?;
    progress(&format!("[1/4] {UV}, the installer"));
    let uv = installer(python, folder)?;
    progress("[2/4] a virtual environment");
    let mut venv = uv(&["venv", "--quiet", "--allow-existing", "--python", python]);
    python::run("making the environment", venv.arg(folder.venv()), SHORT)?;
    progress(&format!(
        "[3/4] {} packages (a minute on a fast line; given up after {} minutes)",
        release.packages.matches("==").count(),
        DOWNLOAD.as_secs() / 60
    ));
    packages(release, folder, &uv)?;
    progress("[4/4] does it load");
    prove(folder)?;
    fs::write(&mark, release.packages).with_context(|| format!("writing {}", mark.display()))?;
    Ok(())
}

/// uv in an environment of its own, as a maker of commands.
fn installer(python: &str, folder: &Folder) -> Result<impl Fn(&[&str]) -> Command> {
    let home = folder.base().join("uv");
    let uv = home.join("bin").join("uv");
    if !uv.is_file() {
        let mut venv = Command::new(python);
        python::run(
            "python -m venv (Debian: apt install python3-venv)",
            venv.args(["-m", "venv"]).arg(&home),
            SHORT,
        )?;
        let mut pip = Command::new(home.join("bin").join("python"));
        pip.args(["-m", "pip", "install", "--quiet", UV]);
        python::run("pip install uv", &mut pip, SHORT)?;
    }
    let cache = folder.base().join("uv-cache");
    Ok(move |arguments: &[&str]| {
        let mut command = Command::new(&uv);
        command.args(arguments).env("UV_CACHE_DIR", &cache);
        // The system's certificates, so that a company's own count.
        command.env("UV_SYSTEM_CERTS", "true");
        command
    })
}

fn packages(release: &Release, folder: &Folder, uv: impl Fn(&[&str]) -> Command) -> Result<()> {
    let list = folder.release().join("packages.txt");
    fs::write(&list, release.packages).with_context(|| format!("writing {}", list.display()))?;
    let alias = alias(release, folder)?;
    // The alias has no list of files, without which uv could not take it out.
    if alias.exists() {
        fs::remove_dir_all(&alias).with_context(|| format!("removing {}", alias.display()))?;
    }
    let mut sync = uv(&["pip", "sync", "--quiet", "--python"]);
    sync.arg(folder.python()).arg(&list);
    python::run("installing the packages", &mut sync, DOWNLOAD).context(
        "the packages come from PyPI; UV_DEFAULT_INDEX names a mirror of it, and running this again goes on where it stopped",
    )?;
    // `vllm` asks for the version of a package of that name, and the package for the CPU is called otherwise.
    fs::create_dir_all(&alias).with_context(|| format!("creating {}", alias.display()))?;
    let metadata = format!(
        "Metadata-Version: 2.1\nName: vllm\nVersion: {}+cpu\n",
        release.version
    );
    fs::write(alias.join("METADATA"), metadata).context("writing the alias")
}

/// The folder that makes `vllm` a package.
fn alias(release: &Release, folder: &Folder) -> Result<std::path::PathBuf> {
    let mut command = Command::new(folder.python());
    command.args([
        "-c",
        "import sysconfig; print(sysconfig.get_path('purelib'))",
    ]);
    let packages = python::run("asking for the packages' folder", &mut command, SHORT)?;
    Ok(Path::new(packages.trim()).join(format!("vllm-{}+cpu.dist-info", release.version)))
}

fn prove(folder: &Folder) -> Result<()> {
    let mut command = Command::new(folder.python());
    let Err(error) = python::run("loading vLLM", command.args(["-c", PROOF]), SHORT) else {
        return Ok(());
    };
    if error.to_string().contains("libnuma") {
        bail!("{error}\nlibnuma is missing (Debian: apt install libnuma1)");
    }
    Err(error.context("vLLM is installed and does not load; its packages for the CPU need AVX2"))
}

/// Refuses to begin what would fill the disk.
fn enough_space(folder: &Path) -> Result<()> {
    let mut df = Command::new("df");
    // Where there is no `df`, the installer finds out by itself.
    let Ok(table) = python::run("df", df.arg("-Pk").arg(folder), SHORT) else {
        return Ok(());
    };
    match available(&table) {
        Some(free) if free < SPACE_KIB => bail!(
            "{} has {} MB free, and installing vLLM needs {} MB; PROVIDER_REAL_VLLM names another folder",
            folder.display(),
            free >> 10,
            SPACE_KIB >> 10
        ),
        _ => Ok(()),
    }
}

/// The fourth column of `df -P`: KiB that are free.
fn available(table: &str) -> Option<u64> {
    table
        .lines()
        .nth(1)?
        .split_whitespace()
        .nth(3)?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_free_space_is_read_from_df() {
        let table = "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/x 263174212 20000000 75000000 22% /\n";
        assert_eq!(available(table), Some(75_000_000));
        assert_eq!(available(""), None);
    }
}
