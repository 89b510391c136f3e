//! `plugin`: looks at plugin files.

use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use provider_host::Plugin;
use provider_host::plugin::{Inspection, inspect};

use super::arguments::PluginCommand;
use super::failure::{Failure, Status};
use super::opened;
use super::terminal::{BOLD, DIM, one_line};
use super::{amount, json};

/// Runs the command.
pub(super) fn run(command: &PluginCommand) -> anyhow::Result<Status> {
    match command {
        PluginCommand::Inspect { file, json } => look(file, *json),
        PluginCommand::Compile { file } => compile(file),
    }
}

fn look(file: &Path, as_json: bool) -> anyhow::Result<Status> {
    let bytes = opened::read_plugin(file)?;
    let found = inspect(&bytes).map_err(|error| named(file, &error))?;
    if as_json {
        let mut out = std::io::stdout().lock();
        let inspection = json::Inspection {
            file: file.display().to_string(),
            kind: &found.kind,
            world: found.world.as_deref(),
            imports: &found.imports,
            exports: &found.exports,
            manifest: found.manifest.as_ref().map(json::Manifest::from),
            size: found.size,
            sha256: &found.sha256,
            signature: found.signature.as_deref(),
        };
        json::write_pretty(&mut out, &inspection)?;
    } else {
        describe(&found, &mut anstream::stdout())?;
    }
    Ok(Status::Done)
}

/// What a plugin is, for people. Its own words are kept to one line each.
fn describe(found: &Inspection, out: &mut dyn std::io::Write) -> std::io::Result<()> {
    let none = "none";
    let mut line =
        |title: &str, value: &str| writeln!(out, "{BOLD}{title:<15}{BOLD:#}{}", one_line(value));
    if let Some(manifest) = &found.manifest {
        line("Provider", &format!("{} ({})", manifest.label, manifest.id))?;
        line("Version", &manifest.version)?;
        line("API", &manifest.api)?;
        line(
            "Key variable",
            manifest.key_variable.as_deref().unwrap_or(none),
        )?;
        line(
            "Default URL",
            manifest.default_base_url.as_deref().unwrap_or(none),
        )?;
        line(
            "Documentation",
            manifest.documentation_url.as_deref().unwrap_or(none),
        )?;
    } else {
        line("Manifest", none)?;
    }
    line("Kind", &found.kind)?;
    line("World", found.world.as_deref().unwrap_or(none))?;
    line(
        "Size",
        &format!(
            "{} ({} bytes)",
            amount::bytes(found.size),
            amount::count(found.size)
        ),
    )?;
    line("SHA-256", &found.sha256)?;
    line("Signature", found.signature.as_deref().unwrap_or(none))?;
    for (title, names) in [("Imports", &found.imports), ("Exports", &found.exports)] {
        if names.is_empty() {
            line(title, none)?;
        }
        for (index, name) in names.iter().enumerate() {
            line(if index == 0 { title } else { "" }, name)?;
        }
    }
    writeln!(
        out,
        "{DIM}The imports are all that the plugin can ask of its host; nothing was run.{DIM:#}"
    )
}

fn compile(file: &Path) -> anyhow::Result<Status> {
    let bytes = opened::read_plugin(file)?;
    let engine = opened::engine()?;
    let start = Instant::now();
    let plugin = Plugin::from_bytes(&engine, &bytes).map_err(|error| named(file, &error))?;
    let time = amount::seconds(start.elapsed());
    let what = if plugin.from_cache() {
        "was in the cache"
    } else {
        "compiled"
    };
    let manifest = plugin.manifest();
    writeln!(
        anstream::stdout(),
        "{} {} {what} ({time}), sha256 {}",
        one_line(&manifest.id),
        one_line(&manifest.version),
        plugin.digest()
    )?;
    Ok(Status::Done)
}

fn named(file: &Path, error: &provider_host::Error) -> Failure {
    Failure::unusable_plugin(format!("{}: {error}", file.display()))
}
