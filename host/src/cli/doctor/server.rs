//! What the server says of itself: its version and its models.

use std::io;
use std::time::Instant;

use provider_host::configuration::KeySource;
use provider_host::{Error, ErrorKind, types};

use super::Setup;
use super::reach;
use super::report::{Fault, Report, explained};
use crate::cli::amount;
use crate::cli::opened::with_path;

/// Most model ids in one line.
const NAMED: usize = 5;

/// The server's version, and what is known of such a server.
pub(super) async fn version(setup: &Setup, report: &mut Report) -> io::Result<()> {
    const CHECK: &str = "version";
    let told = match setup.wired.provider(&setup.plugin, setup.discovering()) {
        Ok(provider) => provider.check_health().await,
        Err(error) => Err(error),
    };
    let health = match told {
        Ok(Some(health)) => health,
        Ok(None) => return report.skipped(CHECK, "this plugin does not ask for it"),
        // No version is no failure: what is needed is checked by itself.
        Err(error) => return report.warning(CHECK, &explained(&error.into())),
    };
    let version = health.version.as_deref().unwrap_or("not told");
    if health.notes.is_empty() {
        return report.ok(CHECK, version);
    }
    for note in &health.notes {
        let note = with_path(note.path.as_deref(), &note.message);
        match note.contains(version) {
            true => report.warning(CHECK, &note)?,
            false => report.warning(CHECK, &format!("{version}: {note}"))?,
        }
    }
    Ok(())
}

/// Asks the server for its models, whatever the configuration declares.
pub(super) async fn models(
    setup: &Setup,
    report: &mut Report,
) -> io::Result<Option<Vec<types::Model>>> {
    const CHECK: &str = "server";
    let start = Instant::now();
    let asked = match setup.wired.provider(&setup.plugin, setup.discovering()) {
        Ok(provider) => provider.list_models().await,
        Err(error) => Err(error),
    };
    match asked {
        Ok(catalog) if catalog.models.is_empty() => {
            report.failed(
                CHECK,
                Fault::Server,
                &format!(
                    "GET {}/models: the server answers and serves no model; wait until it has \
                     loaded one, or look at its log",
                    setup.wired.resolved.base_url.trim_end_matches('/')
                ),
            )?;
            Ok(None)
        }
        Ok(catalog) => {
            report.ok(
                CHECK,
                &format!(
                    "answered in {} and serves {}",
                    amount::seconds(start.elapsed()),
                    named(&catalog.models)
                ),
            )?;
            Ok(Some(catalog.models))
        }
        Err(error) => {
            refused(setup, error, report).await?;
            Ok(None)
        }
    }
}

/// Says why there is no list, with what only this command can find out.
async fn refused(setup: &Setup, error: Error, report: &mut Report) -> io::Result<()> {
    const CHECK: &str = "server";
    let status = error.status();
    let kind = error.kind().clone();
    let said = error.message().to_owned();
    let mut text = explained(&error.into());
    match (kind, status) {
        (ErrorKind::Authentication, Some(401)) => {
            text = key_refused(setup, &said);
        }
        (_, Some(404)) => {
            if let Some(base) = elsewhere(setup).await {
                text.push_str(&format!(
                    "; there is an API at {base}: set {} to that",
                    setup.path("baseUrl")
                ));
            }
        }
        _ => {}
    }
    report.failed(CHECK, Fault::Server, &text)
}

/// What a 401 means, by where the key came from: setting another place would
/// change nothing. `said` is the provider's message, with the server's words.
fn key_refused(setup: &Setup, said: &str) -> String {
    let manifest = setup.plugin.manifest();
    let stored = format!("run `provider-host auth set {}`", manifest.id);
    let source = &setup.wired.resolved.key_source;
    let how = match source {
        KeySource::None => {
            return format!("{said}; or {stored}");
        }
        KeySource::Environment(name) => format!("give {name} another value"),
        KeySource::Configuration => format!("change {}", setup.path("apiKey")),
        _ => stored,
    };
    format!("{said}; the key that is used is {source}: {how}")
}

/// Another path of the same server that has an API.
async fn elsewhere(setup: &Setup) -> Option<String> {
    let configured = setup.wired.resolved.base_url.trim_end_matches('/');
    let origin = setup.wired.origin().ok()?;
    let root = format!("{}://{}", origin.scheme().as_str(), origin.authority());
    for base in [format!("{configured}/v1"), format!("{root}/v1")] {
        if base != configured && reach::is_api(&setup.wired, &base).await {
            return Some(base);
        }
    }
    None
}

/// The ids of models, the first few of them.
pub(super) fn named(models: &[types::Model]) -> String {
    let mut text = models
        .iter()
        .take(NAMED)
        .map(|model| model.id.as_str())
        .collect::<Vec<_>>()
        .join(", ");
    if models.len() > NAMED {
        text.push_str(&format!(" and {} more", models.len() - NAMED));
    }
    text
}
