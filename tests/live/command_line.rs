//! Runs `provider-host` as a user would: a process with a home of its own.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::live::Live;

/// What a command wrote, and how it ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    /// The last line of `chat --json`.
    pub(crate) fn last_line(&self) -> Result<Value> {
        let line = self.stdout.lines().last();
        let line = line.with_context(|| format!("nothing on stdout: {self:?}"))?;
        serde_json::from_str(line).with_context(|| format!("no JSON: {self:?}"))
    }
}

/// Runs a command with a configuration for the server at hand, the given key in it.
pub(crate) async fn run(live: &Live, key: Option<&str>, arguments: &[&str]) -> Result<Outcome> {
    let home = TempDir::new().context("a home")?;
    let mut provider = json!({"baseUrl": format!("{}/v1", live.url)});
    if let Some(key) = key {
        provider["apiKey"] = key.into();
    }
    let configuration = json!({
        "models": {"providers": {"vllm": provider}},
        "agents": {"defaults": {
            "model": {"primary": format!("vllm/{}", live.model.id)},
            "models": {"vllm/*": {}},
        }},
    });
    let file = home.path().join("openclaw.json");
    std::fs::write(&file, configuration.to_string())?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_provider-host"));
    command
        .arg("--config")
        .arg(&file)
        .args(arguments)
        .current_dir(home.path())
        .env_clear()
        .env("HOME", home.path())
        .env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"))
        .stdin(Stdio::null());
    // The home goes with the task, after the process.
    let output = tokio::task::spawn_blocking(move || (home, command.output()))
        .await?
        .1
        .context("running provider-host")?;
    Ok(Outcome {
        status: output.status.code(),
        stdout: String::from_utf8(output.stdout)?,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// The last line of a chat that is text and nothing else.
pub(crate) fn has_no_thinking(last: &Value) -> Result<()> {
    let thought = &last["reasoning"];
    ensure!(thought == "", "thought {thought}");
    Ok(())
}
