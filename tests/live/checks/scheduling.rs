//! A server that runs one chat at a time: who goes first, who waits, who is sent away.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use provider_host::policy::NetworkLimits;
use provider_host::{Chat, ErrorKind};
use tokio::time::Instant;

use crate::live::Live;
use crate::tap::Tap;
use crate::{answer, request};

/// A chat that has the engine for itself. Dropping it gives the engine free.
async fn occupy(live: &Live) -> Result<Chat> {
    live.until_running(0.0, Duration::from_secs(30)).await?;
    let mut chat = live
        .provider
        .chat(&live.model, &request::long(3_500))
        .await?;
    answer::some(&mut chat, 3).await?;
    Ok(chat)
}

/// Waits until so many chats wait in the server's queue.
async fn until_waiting(live: &Live, count: f64) -> Result<()> {
    let begun = Instant::now();
    loop {
        let waiting = live.probe.metric("vllm:num_requests_waiting").await?;
        if waiting == count {
            return Ok(());
        }
        ensure!(
            begun.elapsed() < Duration::from_secs(30),
            "{waiting} chats wait, not {count}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub(crate) async fn the_lower_priority_value_goes_first(live: Arc<Live>) -> Result<()> {
    let first = occupy(&live).await?;
    let mut waiting = Vec::new();
    // The one that matters more comes last. There is no room for a third.
    for (place, priority) in [5, -5].into_iter().enumerate() {
        let mut request = live.request("Count to one hundred.");
        request.priority = Some(priority);
        let to = live.clone();
        waiting.push(tokio::spawn(async move {
            let answer = to.chat(&request).await;
            answer.map(|_| (Instant::now(), priority))
        }));
        until_waiting(&live, (place + 1) as f64).await?;
    }
    drop(first);
    let mut ended = Vec::new();
    for chat in waiting {
        ended.push(chat.await.context("a task")??);
    }
    ended.sort();
    let order: Vec<i32> = ended.into_iter().map(|(_, priority)| priority).collect();
    ensure!(order == [-5, 5], "ended in the order {order:?}");
    Ok(())
}

pub(crate) async fn a_chat_that_waits_in_the_queue_is_kept_alive(live: Arc<Live>) -> Result<()> {
    let silence = Duration::from_millis(2_500);
    let limits = NetworkLimits::new()
        .with_first_byte_timeout(silence)
        .with_idle_timeout(silence);
    let tap = Tap::before(live.probe.authority()).await?;
    let provider = live.provider_at(&tap.url, limits)?;
    let first = occupy(&live).await?;
    let model = live.model.clone();
    let request = live.request("Say hello.");
    let waiting = tokio::spawn(async move { answer::whole(&provider, &model, &request).await });
    until_waiting(&live, 1.0).await?;
    tokio::time::sleep(silence * 2).await;
    drop(first);
    let answer = waiting.await.context("a task")??;
    answer.is_text("Hello! How can I help you today?")?;
    let comments = tap.count(": keep-alive");
    ensure!(comments >= 3, "{comments} comments came");
    Ok(())
}

pub(crate) async fn a_full_queue_is_overload(live: Arc<Live>) -> Result<()> {
    let first = occupy(&live).await?;
    let mut others = Vec::new();
    for place in 0..2_u8 {
        let mut chat = live.provider.chat(&live.model, &request::long(50)).await?;
        // Nothing comes while it waits; the wait has the request sent.
        let wait = tokio::time::timeout(Duration::from_millis(300), chat.next_batch(1)).await;
        ensure!(wait.is_err(), "it did not wait: {wait:?}");
        until_waiting(&live, f64::from(place + 1)).await?;
        others.push(chat);
    }
    let request = live.request("Say hello.");
    let (error, _) = answer::failure(&live.provider, &live.model, &request).await?;
    drop((first, others));
    ensure!(error.kind() == &ErrorKind::Overloaded, "{error:?}");
    ensure!(
        error.status() == Some(503) && error.retryable(),
        "{error:?}"
    );
    live.until_running(0.0, Duration::from_secs(30)).await?;
    live.ask("Say hello.").await.map(drop)
}
