//! The command line against a real server.

use std::sync::Arc;

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::command_line;
use crate::live::Live;

pub(crate) async fn the_command_line_lists_the_models(live: Arc<Live>) -> Result<()> {
    let outcome = command_line::run(&live, live.key(), &["models", "list", "--json"]).await?;
    ensure!(outcome.status == Some(0), "{outcome:?}");
    let list: Value = serde_json::from_str(&outcome.stdout)?;
    let model = &list["models"][0];
    ensure!(model["ref"] == format!("vllm/{}", live.model.id), "{list}");
    ensure!(model["context_window"] == 4096, "{list}");
    ensure!(model["source"] == "discovered", "{list}");
    Ok(())
}

pub(crate) async fn the_command_line_chats(live: Arc<Live>) -> Result<()> {
    let extra = live.request("").extra.unwrap_or_else(|| "{}".into());
    let arguments = [
        "chat",
        "--json",
        "--temperature",
        "0",
        "--max-tokens",
        // More than the context, so that the limit has to be fitted.
        "100000",
        "--extra",
        &extra,
        "Greet me in many scripts.",
    ];
    let outcome = command_line::run(&live, live.key(), &arguments).await?;
    ensure!(outcome.status == Some(0), "{outcome:?}");
    let last = outcome.last_line()?;
    ensure!(last["type"] == "result", "{last}");
    command_line::has_no_thinking(&last)?;
    ensure!(
        last["text"]
            .as_str()
            .is_some_and(|text| text.starts_with("こんにちは") && text.ends_with('✓')),
        "{last}"
    );
    ensure!(last["finish_reason"] == "stop", "{last}");
    ensure!(last["usage"]["output"].as_u64() > Some(40), "{last}");
    Ok(())
}

pub(crate) async fn the_doctor_finds_nothing_wrong(live: Arc<Live>) -> Result<()> {
    let outcome = command_line::run(&live, live.key(), &["doctor"]).await?;
    ensure!(outcome.status == Some(0), "{outcome:?}");
    ensure!(outcome.stdout.contains(&live.url), "{outcome:?}");
    ensure!(!outcome.stdout.contains("fail"), "{outcome:?}");
    Ok(())
}

pub(crate) async fn the_command_line_says_that_a_key_is_wrong(live: Arc<Live>) -> Result<()> {
    let wrong = Some("no-such-key-4711");
    let outcome = command_line::run(&live, wrong, &["chat", "--json", "Say hello."]).await?;
    ensure!(outcome.status == Some(1), "{outcome:?}");
    let last = outcome.last_line()?;
    ensure!(last["error"]["kind"] == "authentication", "{last}");
    let told = [outcome.stdout.as_str(), &outcome.stderr].concat();
    ensure!(!told.contains("no-such-key-4711"), "the key is told");
    Ok(())
}
