//! Text: whole, exact, cut where it is asked for.

use std::sync::Arc;

use anyhow::{Result, ensure};
use provider_host::types::{FinishReason, ResponseFormat};
use serde_json::{Value, json};

use crate::live::Live;

pub(crate) async fn a_short_answer_comes_whole(live: Arc<Live>) -> Result<()> {
    let answer = live.ask("Say hello.").await?;
    answer.is_text("Hello! How can I help you today?")
}

pub(crate) async fn an_answer_may_be_empty(live: Arc<Live>) -> Result<()> {
    live.ask("Say nothing.").await?.is_text("")
}

pub(crate) async fn many_scripts_come_whole(live: Arc<Live>) -> Result<()> {
    let answer = live.ask("Greet me in many scripts.").await?;
    answer.is_text("こんにちは 👋🏽 — naïve café, Привет, שלום 👨‍👩‍👧‍👦 ✓")
}

pub(crate) async fn code_keeps_its_tabs_and_quotes(live: Arc<Live>) -> Result<()> {
    let answer = live.ask("Show me code.").await?;
    answer.is_text("```rust\nfn main() {\n\tprintln!(\"hi \\\"you\\\"\");\n}\n```\n")
}

pub(crate) async fn a_long_answer_loses_nothing(live: Arc<Live>) -> Result<()> {
    live.ask("Count to one hundred.")
        .await?
        .is_text(&counting())
}

/// What the model counts.
fn counting() -> String {
    let numbers: Vec<String> = (1..=100).map(|number| number.to_string()).collect();
    numbers.join(" ")
}

pub(crate) async fn a_stop_text_ends_the_answer(live: Arc<Live>) -> Result<()> {
    let mut request = live.request("Count to one hundred.");
    request.stop = vec![" 7".into()];
    live.chat(&request).await?.is_text("1 2 3 4 5 6")
}

pub(crate) async fn a_limit_cuts_the_answer(live: Arc<Live>) -> Result<()> {
    let mut request = live.request("Count to one hundred.");
    request.max_tokens = Some(12);
    let answer = live.chat(&request).await?;
    answer.has_no_thinking()?;
    answer.finished(FinishReason::Length)?;
    let text = answer.text();
    ensure!(
        !text.is_empty() && counting().starts_with(&text),
        "{text:?}"
    );
    ensure!(answer.usage()?.output == 12, "{:?}", answer.usage());
    Ok(())
}

pub(crate) async fn structured_output_follows_its_schema(live: Arc<Live>) -> Result<()> {
    let schema = json!({
        "type": "object",
        "properties": {"ok": {"type": "boolean"}, "n": {"enum": [1, 2, 3]}},
        "required": ["ok", "n"],
        "additionalProperties": false,
    });
    // The script has no JSON in this answer: only the schema can make it.
    let mut request = live.request("Say hello.");
    request.max_tokens = Some(60);
    request.response_format = Some(ResponseFormat {
        name: "verdict".into(),
        schema: schema.to_string(),
        strict: Some(true),
    });
    let answer = live.chat(&request).await?;
    let value: Value = serde_json::from_str(&answer.text())?;
    let fields = value.as_object().map(serde_json::Map::len);
    ensure!(
        value["ok"].is_boolean()
            && value["n"].as_u64().is_some_and(|n| (1..=3).contains(&n))
            && fields == Some(2),
        "{value}"
    );
    Ok(())
}
