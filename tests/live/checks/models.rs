//! Which models there are.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use provider_host::types::{CatalogSource, Event, ModelSource};

use crate::answer;
use crate::live::{Live, Profile};

pub(crate) async fn the_models_and_their_context_are_discovered(live: Arc<Live>) -> Result<()> {
    let catalog = live.provider.list_models().await?;
    ensure!(catalog.source == CatalogSource::Discovered, "{catalog:?}");
    let ids: Vec<&str> = catalog.models.iter().map(|m| m.id.as_str()).collect();
    match live.profile {
        Profile::Plain => ensure!(ids.len() == 1 && ids[0].starts_with('/'), "{ids:?}"),
        _ => ensure!(ids == ["tiny", "tiny-alias"], "{ids:?}"),
    }
    for model in &catalog.models {
        ensure!(model.context_window == 4096, "{model:?}");
        ensure!(model.max_tokens == 4096, "{model:?}");
        ensure!(model.source == ModelSource::Discovered, "{model:?}");
    }
    Ok(())
}

pub(crate) async fn an_alias_answers_under_the_first_name(live: Arc<Live>) -> Result<()> {
    let alias = live.provider.resolve_model("tiny-alias").await?;
    let request = live.request("Say hello.");
    let answer = answer::whole(&live.provider, &alias, &request).await?;
    answer.is_text("Hello! How can I help you today?")?;
    let Some(Event::Start(start)) = answer.events.first() else {
        anyhow::bail!("no start");
    };
    ensure!(start.model == "tiny", "{start:?}");
    ensure!(start.id.starts_with("chatcmpl-"), "{start:?}");
    Ok(())
}

pub(crate) async fn a_model_is_called_by_its_path_where_it_has_no_name(
    live: Arc<Live>,
) -> Result<()> {
    let model = live.provider.resolve_model(&live.model.id).await?;
    ensure!(model.id.starts_with('/'), "{model:?}");
    let answer = answer::whole(&live.provider, &model, &live.request("Say hello.")).await?;
    answer.is_text("Hello! How can I help you today?")
}

pub(crate) async fn the_server_tells_its_version(live: Arc<Live>) -> Result<()> {
    let health = live.provider.check_health().await?;
    let health = health.context("the plugin does not tell how a server is")?;
    let version = health.version.as_deref().unwrap_or_default();
    ensure!(
        version.split('+').next() == Some(live.version.as_str()),
        "{health:?}"
    );
    Ok(())
}
