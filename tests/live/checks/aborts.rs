//! Chats that end before their answer: the caller leaves, or the server does.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use provider_host::ErrorKind;
use provider_host::policy::NetworkLimits;
use provider_host::types::{Event, FinishReason};
use tokio::time::Instant;

use crate::live::Live;
use crate::{answer, request};

pub(crate) async fn the_server_sees_a_dropped_chat_within_half_a_second(
    live: Arc<Live>,
) -> Result<()> {
    live.until_running(0.0, Duration::from_secs(30)).await?;
    let mut chat = live
        .provider
        .chat(&live.model, &request::long(3_500))
        .await?;
    answer::some(&mut chat, 5).await?;
    live.until_running(1.0, Duration::from_secs(10)).await?;
    drop(chat);
    live.until_running(0.0, Duration::from_millis(500))
        .await
        .map(drop)
}

/// A server that hangs keeps its connections open: nothing but the client's own patience ends such a chat.
pub(crate) async fn a_server_that_goes_silent_in_mid_stream_ends_in_a_time_out(
    live: Arc<Live>,
) -> Result<()> {
    let patience = Duration::from_secs(3);
    let provider = live.provider_with(NetworkLimits::new().with_idle_timeout(patience))?;
    let mut chat = provider.chat(&live.model, &request::long(3_500)).await?;
    let before = answer::some(&mut chat, 10).await?;
    ensure!(!before.is_empty(), "nothing came");
    let (error, waited) = {
        let _stopped = Stopped::new(live.pid)?;
        let begun = Instant::now();
        let (after, error) = answer::collect(chat).await;
        let end = after.last();
        let error = error.with_context(|| format!("the chat ended well, with {end:?}"))?;
        (error, begun.elapsed())
    };
    ensure!(error.kind() == &ErrorKind::Timeout, "{error:?}");
    ensure!(error.request_sent(), "{error:?}");
    // Patience begins with the last byte, which may have come before the server was stopped; and what was on its way
    // then takes a moment to be read.
    ensure!(waited > patience / 2, "after {waited:?}");
    ensure!(
        waited < patience + Duration::from_secs(10),
        "after {waited:?}"
    );
    // The server is as it was, and gave up the chat.
    live.until_running(0.0, Duration::from_secs(30)).await?;
    live.ask("Say hello.").await.map(drop)
}

/// What a client sees of a terminating vLLM is a race within the server: silence on an open connection, an error in the
/// stream, or a finish that says `abort`. None of it may look like a whole answer, and none may last. A server that sends
/// comments to keep the connection alive goes on with them when its engine is dead, so that only the time for the whole
/// exchange ends such a chat.
pub(crate) async fn a_server_that_is_told_to_end_in_mid_stream_never_looks_done(
    live: Arc<Live>,
) -> Result<()> {
    let patience = Duration::from_secs(4);
    let altogether = Duration::from_secs(10);
    let limits = NetworkLimits::new()
        .with_idle_timeout(patience)
        .with_total_timeout(altogether);
    let provider = live.provider_with(limits)?;
    let mut chat = provider.chat(&live.model, &request::long(3_500)).await?;
    let before = answer::some(&mut chat, 10).await?;
    ensure!(!before.is_empty(), "nothing came");
    signal("TERM", live.pid)?;
    let begun = Instant::now();
    let (after, error) = answer::collect(chat).await;
    let waited = begun.elapsed();
    ensure!(
        waited < altogether + Duration::from_secs(5),
        "after {waited:?}"
    );
    match error {
        Some(error) => {
            let kinds = [
                ErrorKind::Timeout,
                ErrorKind::Server,
                ErrorKind::Interrupted,
            ];
            ensure!(kinds.contains(error.kind()), "{error:?}");
            ensure!(error.request_sent(), "{error:?}");
        }
        None => {
            let abort = Event::Finish(FinishReason::Other("abort".into()));
            ensure!(
                after.last() == Some(&abort),
                "it ended with {:?}",
                after.last()
            );
        }
    }

    // The next chat of the same provider is told that nobody is there, as soon as that is so.
    let request = live.request("Say hello.");
    let gone = Instant::now();
    loop {
        let (error, _) = answer::failure(&provider, &live.model, &request).await?;
        if error.kind() == &ErrorKind::Unreachable {
            return Ok(());
        }
        ensure!(gone.elapsed() < Duration::from_secs(30), "{error:?}");
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

/// A process that does nothing until this is dropped.
struct Stopped(u32);

impl Stopped {
    fn new(pid: u32) -> Result<Self> {
        signal("STOP", pid)?;
        Ok(Self(pid))
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        // A server that is gone has nothing to go on with.
        let _ = signal("CONT", self.0);
    }
}

/// The standard library has no signals.
fn signal(name: &str, pid: u32) -> Result<()> {
    let status = Command::new("kill")
        .args(["-s", name, &pid.to_string()])
        .status()
        .with_context(|| format!("sending SIG{name}"))?;
    ensure!(status.success(), "SIG{name} was not sent: {status}");
    Ok(())
}
