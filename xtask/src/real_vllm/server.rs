//! Starts and stops real vLLM servers.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::folder::Folder;
use super::profile::Profile;
use super::release::Release;
use super::{health, python};
use crate::setup::progress;

/// A start takes one to two minutes on two busy cores: most of it is Python's imports.
const START: Duration = Duration::from_secs(600);
/// How long a server is given to end by itself.
const END: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(250);

/// The model has three layers of 128 numbers: one core does, and a small part of the memory.
const ENVIRONMENT: &[(&str, &str)] = &[
    // The engine's own sockets stay on the loopback as well, and nothing is fetched or reported.
    ("VLLM_HOST_IP", "127.0.0.1"),
    ("HF_HUB_OFFLINE", "1"),
    ("TRANSFORMERS_OFFLINE", "1"),
    ("VLLM_NO_USAGE_STATS", "1"),
    ("DO_NOT_TRACK", "1"),
    // GiB.
    ("VLLM_CPU_KVCACHE_SPACE", "1"),
    ("OMP_NUM_THREADS", "1"),
    ("OMP_WAIT_POLICY", "PASSIVE"),
];

const FLAGS: &[&str] = &[
    "--host",
    "127.0.0.1",
    "--max-model-len",
    "4096",
    "--enforce-eager",
    // Before the profile's flags, which may set it again.
    "--max-num-seqs",
    "16",
    "--generation-config",
    "vllm",
];

/// Has a program told to end when this process does, however that ends. Where it is missing, only ^C does.
const LEASH: [&str; 3] = ["setpriv", "--pdeathsig", "TERM"];

/// A command that runs vLLM, on a leash or not.
fn vllm(folder: &Folder, leashed: bool) -> Command {
    let mut probe = Command::new(LEASH[0]);
    let probe = probe.arg("--version").stdout(Stdio::null());
    if leashed && probe.status().is_ok_and(|status| status.success()) {
        let mut command = Command::new(LEASH[0]);
        command.args(&LEASH[1..]).arg(folder.vllm());
        return command;
    }
    Command::new(folder.vllm())
}

/// Completes `command`, which runs vLLM.
fn serve(
    mut command: Command,
    release: &Release,
    folder: &Folder,
    profile: &Profile,
    port: u16,
) -> Command {
    command
        .arg("serve")
        .arg(folder.model())
        .args(["--port", &port.to_string()])
        .args(FLAGS)
        .args(release.flags)
        .args(profile.flags(release))
        .current_dir(folder.release())
        .env("VIRTUAL_ENV", folder.venv())
        .envs(ENVIRONMENT.iter().copied())
        .envs(release.environment.iter().copied());
    let bin = folder.venv().join("bin");
    let rest = std::env::var_os("PATH").unwrap_or_default();
    let path = std::iter::once(bin).chain(std::env::split_paths(&rest));
    // A path with a separator in it can't be joined; vLLM then does with the old one.
    if let Ok(path) = std::env::join_paths(path) {
        command.env("PATH", path);
    }
    command
}

/// Becomes the server: it gets this process's terminal, and its signals.
///
/// # Errors
/// It can't be started.
pub(crate) fn foreground(
    release: &Release,
    folder: &Folder,
    profile: &Profile,
    port: u16,
    more: &[String],
) -> Result<()> {
    let mut command = serve(vllm(folder, false), release, folder, profile, port);
    command.args(more);
    progress(&format!(
        "vLLM {}, profile {} ({}): http://127.0.0.1:{port}/v1, in a minute or two; ^C ends it",
        release.version, profile.name, profile.what
    ));
    become_it(command)
}

#[cfg(unix)]
fn become_it(mut command: Command) -> Result<()> {
    use std::os::unix::process::CommandExt as _;
    Err(command.exec()).context("starting vLLM")
}

#[cfg(not(unix))]
fn become_it(mut command: Command) -> Result<()> {
    crate::steps::run("vLLM", &mut command)
}

/// A server that runs beside this process and ends with this value.
pub(crate) struct Server {
    child: Child,
    /// Processes that the server started.
    workers: Vec<u32>,
    port: u16,
    log: PathBuf,
}

impl Server {
    /// Starts a server and waits until it is ready.
    ///
    /// # Errors
    /// It ended, or was not ready in time; with the last lines of its log.
    pub(crate) fn start(release: &Release, folder: &Folder, profile: &Profile) -> Result<Self> {
        let port = health::free_port()?;
        let log = folder.log(profile.name);
        let file = File::create(&log).with_context(|| format!("creating {}", log.display()))?;
        let child = serve(vllm(folder, true), release, folder, profile, port)
            .stdin(Stdio::null())
            .stdout(file.try_clone().context("the log")?)
            .stderr(file)
            .spawn()
            .context("starting vLLM")?;
        let mut server = Self {
            child,
            workers: Vec::new(),
            port,
            log,
        };
        let begun = Instant::now();
        while !health::is_well(port) {
            if let Some(status) = server.child.try_wait()? {
                bail!(
                    "vLLM ended before it was ready ({status})\n{}",
                    server.told()
                );
            }
            if begun.elapsed() > START {
                bail!(
                    "vLLM was not ready after {} s\n{}",
                    START.as_secs(),
                    server.told()
                );
            }
            std::thread::sleep(POLL);
        }
        server.workers = children(server.pid());
        progress(&format!(
            "      … ready after {} s",
            begun.elapsed().as_secs()
        ));
        Ok(server)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The process that a SIGTERM is meant for.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn told(&self) -> String {
        format!(
            "its log is {}, and ends so:\n{}",
            self.log.display(),
            python::last_lines_of(&self.log)
        )
    }

    fn stop(&mut self) -> std::io::Result<()> {
        signal("TERM", self.pid());
        let begun = Instant::now();
        while self.child.try_wait()?.is_none() && begun.elapsed() < END {
            std::thread::sleep(POLL);
        }
        self.child.kill()?;
        self.child.wait()?;
        // What a server that had to be killed leaves behind.
        for worker in self.workers.drain(..).filter(|pid| is_vllm(*pid)) {
            signal("KILL", worker);
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            progress(&format!("      … stopping vLLM: {error}"));
        }
    }
}

/// Sends a signal. The standard library has none but the last one, and a process that is gone is no failure.
fn signal(name: &str, pid: u32) {
    let _ = Command::new("kill")
        .args(["-s", name, &pid.to_string()])
        .stderr(Stdio::null())
        .status();
}

/// The processes that a process has started, as Linux lists them.
fn children(pid: u32) -> Vec<u32> {
    let list = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    list.unwrap_or_default()
        .split_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .collect()
}

/// Whether the number still belongs to one of vLLM's processes: numbers are given again.
fn is_vllm(pid: u32) -> bool {
    std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| {
        let line = String::from_utf8_lossy(&line);
        line.contains("VLLM") || line.contains("vllm") || line.contains("multiprocessing")
    })
}
