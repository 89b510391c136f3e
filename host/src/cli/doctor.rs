//! `doctor`: from the file on disk to one token of an answer, one line a check.
//!
//! Each line begins with `ok`, `warning`, `failed` or `skipped`, and says what
//! was found and, where something is wrong, what to do. A check that can't be
//! made because an earlier one failed is skipped and says which. The exit
//! status is 0 if chats can work, 1 if the provider or the server fails, 2 if
//! the configuration has to be changed first.
//!
//! Nothing here takes long or costs much: a probe asks for one token and is
//! given up after [`probe::PATIENCE`].

mod limits;
mod model;
mod probe;
mod reach;
mod report;
mod server;
mod setup;

use provider_host::configuration::Configuration;
use provider_host::{Plugin, Wiring, types};

use super::arguments::Arguments;
use super::failure::Status;
use report::Report;

/// What the checks before the first request found.
struct Setup {
    configuration: Configuration,
    plugin: Plugin,
    wired: Wiring,
}

/// Runs the command.
pub(super) async fn run(arguments: &Arguments) -> anyhow::Result<Status> {
    let mut report = Report::default();
    tokio::select! {
        biased;
        outcome = examine(arguments, &mut report) => outcome?,
        _ = tokio::signal::ctrl_c() => return Ok(Status::Interrupted),
    }
    report.skip_the_rest()?;
    Ok(report.status())
}

/// Makes the checks in their order, up to the first that leaves nothing to
/// check.
async fn examine(arguments: &Arguments, report: &mut Report) -> std::io::Result<()> {
    let Some(setup) = setup::check(arguments, report).await? else {
        return Ok(());
    };
    if !reach::check(&setup, report).await? {
        return Ok(());
    }
    server::version(&setup, report).await?;
    let Some(served) = server::models(&setup, report).await? else {
        return Ok(());
    };
    let Some(model) = model::check(&setup, &served, report).await? else {
        return Ok(());
    };
    let took = probe::one_token(&setup, &model, report).await?;
    limits::check(&setup, took, report)?;
    if took.is_some() {
        probe::tools(&setup, &model, report).await?;
    }
    Ok(())
}

impl Setup {
    /// The settings with discovery on and no declared models: what the server
    /// has, whatever the configuration says.
    fn discovering(&self) -> types::Settings {
        let mut settings = self.wired.settings();
        let mut entry: serde_json::Map<String, serde_json::Value> = settings
            .config
            .as_deref()
            .and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_default();
        entry.remove("models");
        settings.config = Some(serde_json::Value::Object(entry).to_string());
        settings.discover = true;
        settings
    }

    /// Where the provider's entry stands in the configuration.
    fn path(&self, key: &str) -> String {
        format!("models.providers.{}.{key}", self.plugin.manifest().id)
    }
}
