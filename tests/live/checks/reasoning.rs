//! Thinking, with and without a parser at the server.

use std::sync::Arc;

use anyhow::{Result, ensure};
use provider_host::types::{FinishReason, ReasoningEffort};
use serde_json::json;

use crate::live::Live;
use crate::{answer, request};

const QUESTION: &str = "Think: what is 2 + 2?";
const THOUGHT: &str = "The user asks for two plus two. Two plus two is four.";
const ANSWER: &str = "2 + 2 = 4.";

pub(crate) async fn thinking_and_answer_are_told_apart(live: Arc<Live>) -> Result<()> {
    let answer = live.chat(&request::ask(QUESTION)).await?;
    ensure!(
        answer.reasoning().trim() == THOUGHT,
        "{:?}",
        answer.reasoning()
    );
    ensure!(answer.text().trim() == ANSWER, "{:?}", answer.text());
    answer.finished(FinishReason::Stop)
}

pub(crate) async fn thinking_can_be_switched_off(live: Arc<Live>) -> Result<()> {
    let provider = live.provider_configured(json!({"models": [{
        "id": live.model.id, "reasoning": true, "contextWindow": 4096,
        "compat": {"thinkingFormat": "qwen-chat-template"},
    }]}))?;
    let model = provider.resolve_model(&live.model.id).await?;
    let mut request = request::ask(QUESTION);
    request.reasoning = Some(ReasoningEffort::Off);
    let answer = answer::whole(&provider, &model, &request).await?;
    answer.is_text(ANSWER)?;

    request.reasoning = Some(ReasoningEffort::High);
    let answer = answer::whole(&provider, &model, &request).await?;
    ensure!(
        answer.reasoning().trim() == THOUGHT,
        "{:?}",
        answer.reasoning()
    );
    Ok(())
}

pub(crate) async fn thinking_without_an_answer_is_not_lost(live: Arc<Live>) -> Result<()> {
    let answer = live.chat(&request::ask("Think only.")).await?;
    // The parser deepseek_r1 drops <think> where it comes alone, and before 0.32 lets it through where the engine hands
    // it over with the next token.
    let thought = answer.reasoning();
    let thought = thought.trim().trim_start_matches("<think>").trim();
    ensure!(
        thought == "I only think about this and never answer.",
        "{:?}",
        answer.events
    );
    ensure!(answer.text().trim().is_empty(), "{:?}", answer.text());
    Ok(())
}

/// The parser of such a server takes everything before `</think>` for thinking, and here there is none.
pub(crate) async fn an_answer_that_the_parser_took_for_thinking_is_explained(
    live: Arc<Live>,
) -> Result<()> {
    let answer = live.chat(&request::ask("Say hello.")).await?;
    ensure!(
        answer.reasoning() == "Hello! How can I help you today?",
        "{:?}",
        answer.events
    );
    ensure!(answer.text().is_empty(), "{:?}", answer.text());
    ensure!(answer.has_note("reasoning-only"), "{:?}", answer.events);
    answer.finished(FinishReason::Stop)
}

pub(crate) async fn inline_thinking_is_split_off_for_a_reasoning_model(
    live: Arc<Live>,
) -> Result<()> {
    let mut model = live.model.clone();
    model.reasoning = true;
    let answer = answer::whole(&live.provider, &model, &request::ask(QUESTION)).await?;
    ensure!(
        answer.reasoning().trim() == THOUGHT,
        "{:?}",
        answer.reasoning()
    );
    ensure!(answer.text().trim() == ANSWER, "{:?}", answer.text());
    Ok(())
}

pub(crate) async fn inline_thinking_of_another_model_stays_text(live: Arc<Live>) -> Result<()> {
    let answer = live.chat(&request::ask(QUESTION)).await?;
    answer.is_text(&format!("<think>\n{THOUGHT}\n</think>\n\n{ANSWER}"))
}
