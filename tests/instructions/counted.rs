//! A scenario under valgrind.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::scenario::{A_CHAT, Scenario};

/// Instructions by function.
pub(crate) type Counts = BTreeMap<String, f64>;

/// What wasmtime compiled has no name.
const GUEST: &str = "[guest]";

/// Compiles the plugin for the processor that valgrind shows, which the first run does: it would count as what one time takes.
pub(crate) fn prepare() -> Result<(), String> {
    under_valgrind(A_CHAT, 1).map(drop)
}

/// Instructions of one unit, by function.
pub(crate) fn count(scenario: &Scenario) -> Result<Counts, String> {
    let few = under_valgrind(scenario.name, scenario.few)?;
    let many = under_valgrind(scenario.name, scenario.many)?;
    #[expect(clippy::cast_precision_loss, reason = "some thousands")]
    let units = ((scenario.many - scenario.few) * scenario.units) as f64;
    Ok(many
        .into_iter()
        .map(|(name, count)| {
            let before = few.get(&name).copied().unwrap_or_default();
            (name, (count - before) / units)
        })
        // What a unit does not need belongs to the start, and varies.
        .filter(|(_, count)| *count >= 0.05)
        .collect())
}

fn under_valgrind(name: &str, times: usize) -> Result<Counts, String> {
    let file = tempfile::NamedTempFile::new().map_err(|error| error.to_string())?;
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new("valgrind")
        .args(["--tool=cachegrind", "--cache-sim=no", "--quiet"])
        .arg(format!("--cachegrind-out-file={}", file.path().display()))
        .arg(program)
        .args(["run", name, &times.to_string()])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("can't run valgrind ({error}); install it (Debian: valgrind)"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("valgrind ended with {}: {said}", output.status));
    }
    read(file.path())
}

/// Reads what cachegrind wrote: `fn=` begins a function, and each line below has a place and a count.
fn read(file: &Path) -> Result<Counts, String> {
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
    let mut counts = Counts::new();
    let mut function = String::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("fn=") {
            function = match name {
                "???" => GUEST.to_owned(),
                name => plain(name),
            };
        } else if line.starts_with(|first: char| first.is_ascii_digit()) {
            let count = line
                .split(' ')
                .nth(1)
                .and_then(|word| word.parse::<f64>().ok());
            *counts.entry(function.clone()).or_default() += count.unwrap_or_default();
        }
    }
    match counts.is_empty() {
        true => Err("cachegrind counted nothing".to_owned()),
        false => Ok(counts),
    }
}

/// A function's name without what differs from build to build.
fn plain(name: &str) -> String {
    let hash = name.rfind("::h").filter(|at| name.len() - at == 19);
    name[..hash.unwrap_or(name.len())].to_owned()
}
