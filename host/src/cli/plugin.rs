//! `plugin`: looks at plugin files.

use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use provider_host::plugin::trust::{self, Trust};
use provider_host::plugin::{Inspection, inspect};

use super::arguments::{Arguments, PluginCommand};
use super::failure::{Failure, Status};
use super::opened;
use super::terminal::{BOLD, DIM, escaped};
use super::{amount, block_on, check, fuzz, interruptible, json};

/// Runs the command.
pub(super) fn run(arguments: &Arguments, command: &PluginCommand) -> anyhow::Result<Status> {
    match command {
        PluginCommand::Check {
            file,
            corpus,
            seconds,
            json,
        } => block_on(interruptible(check::run(
            arguments,
            file,
            corpus.as_ref(),
            *seconds,
            *json,
        ))),
        PluginCommand::Inspect { file, json } => look(arguments, file, *json),
        PluginCommand::Compile { file } => compile(arguments, file),
        PluginCommand::Fuzz(options) => fuzz::run(arguments, options),
    }
}

fn look(arguments: &Arguments, file: &Path, as_json: bool) -> anyhow::Result<Status> {
    let policy = opened::policy(arguments)?;
    let bytes = opened::read_plugin(file)?;
    let found = inspect(&bytes).map_err(|error| named(file, &error))?;
    let beside = Beside::of(
        file,
        &bytes,
        &found,
        policy.map(|policy| policy.trust).as_ref(),
    );
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
            signature: beside.signature.as_deref(),
            trust: beside.verdict.as_ref().map(|verdict| json::Verdict {
                accepted: verdict.is_ok(),
                reason: verdict.as_ref().unwrap_or_else(|why| why),
            }),
        };
        json::write_pretty(&mut out, &inspection)?;
    } else {
        describe(&found, &beside, &mut anstream::stdout())?;
    }
    Ok(Status::Done)
}

/// Who speaks for a file.
struct Beside {
    /// The signature, in words.
    signature: Option<String>,
    /// What the user's policy says: why it lets the file in, or why not.
    verdict: Option<Result<String, String>>,
}

impl Beside {
    fn of(file: &Path, bytes: &[u8], found: &Inspection, policy: Option<&Trust>) -> Self {
        let detached = trust::signature_beside(file);
        let words = match &detached {
            Ok(None) => None,
            Ok(Some(signature)) => Some(match trust::claimed_key(signature) {
                Ok(key) => format!("detached, names key ID {key}"),
                Err(why) => format!("detached; {why}"),
            }),
            Err(why) => Some(why.to_string()),
        };
        let verdict = policy.map(|policy| {
            let standing = detached.and_then(|found| policy.judge(bytes, found.as_deref()));
            match standing {
                Ok(standing) => Ok(standing.to_string()),
                Err(why) => Err(why.to_string()),
            }
        });
        let words = match &verdict {
            None => words.map(|words| format!("{words}, not verified")),
            Some(_) => words,
        };
        let all: Vec<String> = words.into_iter().chain(found.signature.clone()).collect();
        Self {
            signature: (!all.is_empty()).then(|| all.join("; ")),
            verdict,
        }
    }
}

/// What a plugin is, for people. Its own words are kept to one line each.
fn describe(
    found: &Inspection,
    beside: &Beside,
    out: &mut dyn std::io::Write,
) -> std::io::Result<()> {
    let none = "none";
    let mut line =
        |title: &str, value: &str| writeln!(out, "{BOLD}{title:<15}{BOLD:#}{}", escaped(value));
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
    line("Signature", beside.signature.as_deref().unwrap_or(none))?;
    match &beside.verdict {
        Some(Ok(why)) => line("Trust", why)?,
        Some(Err(why)) => line("Trust", &format!("refused: {why}"))?,
        None => {}
    }
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

fn compile(arguments: &Arguments, file: &Path) -> anyhow::Result<Status> {
    let policy = opened::policy(arguments)?;
    let engine = opened::engine()?;
    let start = Instant::now();
    let plugin = opened::load(&engine, file, policy.as_ref())?;
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
        escaped(&manifest.id),
        escaped(&manifest.version),
        plugin.digest()
    )?;
    Ok(Status::Done)
}

fn named(file: &Path, error: &provider_host::Error) -> Failure {
    Failure::unusable_plugin(format!("{}: {error}", file.display()))
}
