//! Many chats, and the connections under them.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use provider_host::policy::NetworkLimits;

use crate::answer;
use crate::live::Live;
use crate::tap::Tap;

const HELLO: &str = "Hello! How can I help you today?";

pub(crate) async fn sixteen_chats_at_once_are_not_mixed_up(live: Arc<Live>) -> Result<()> {
    const QUESTIONS: [&str; 4] = [
        "Say hello.",
        "Show me code.",
        "Greet me in many scripts.",
        "Count to one hundred.",
    ];
    let mut alone = Vec::new();
    for question in QUESTIONS {
        alone.push(live.ask(question).await?.text());
    }
    for round in 0..3 {
        let chats: Vec<_> = (0..16)
            .map(|place| {
                let live = live.clone();
                tokio::spawn(async move { live.ask(QUESTIONS[place % QUESTIONS.len()]).await })
            })
            .collect();
        for (place, chat) in chats.into_iter().enumerate() {
            let answer = chat.await.context("a task")?;
            let answer = answer.with_context(|| format!("round {round}, chat {place}"))?;
            answer.is_text(&alone[place % QUESTIONS.len()])?;
        }
    }
    Ok(())
}

pub(crate) async fn a_connection_is_used_again(live: Arc<Live>) -> Result<()> {
    let tap = Tap::before(live.probe.authority()).await?;
    let provider = live.provider_at(&tap.url, NetworkLimits::new())?;
    for pause in [0, 0, 500, 2_000] {
        let request = live.request("Say hello.");
        answer::whole(&provider, &live.model, &request)
            .await?
            .is_text(HELLO)?;
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
    ensure!(
        tap.connections() == 1,
        "{} connections for 4 chats",
        tap.connections()
    );
    Ok(())
}

/// vLLM closes a connection that was idle for five seconds. Whoever writes to it at that moment has sent a request into
/// nothing; with the default limits connections are given up before, and here also with a pool that keeps them too long.
pub(crate) async fn no_chat_fails_when_the_server_closes_idle_connections(
    live: Arc<Live>,
) -> Result<()> {
    const CHATS: usize = 4;
    let careless = NetworkLimits::new().with_pool_idle_timeout(Duration::from_secs(60));
    let mut runs = Vec::new();
    for limits in [NetworkLimits::new(), careless.clone()] {
        for pause in [4_500, 4_900, 4_980, 5_000, 5_020, 5_100, 5_500] {
            let (live, limits) = (live.clone(), limits.clone());
            runs.push(tokio::spawn(async move {
                let tap = Tap::before(live.probe.authority()).await?;
                let provider = live.provider_at(&tap.url, limits)?;
                for _ in 0..CHATS {
                    let request = live.request("Say hello.");
                    let answer = answer::whole(&provider, &live.model, &request).await;
                    let answer = answer.with_context(|| format!("after a pause of {pause} ms"))?;
                    answer.is_text(HELLO)?;
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                }
                anyhow::Ok((pause, tap.connections()))
            }));
        }
    }
    let mut connections = Vec::new();
    for run in runs {
        connections.push(run.await.context("a task")??);
    }
    // Both ends of the range did what they are there for: a pool that keeps connections used one again before the
    // server closed it, and met a closed one after that.
    let (early, late) = (connections[7].1, connections[13].1);
    ensure!(
        early == 1,
        "pauses of 4.5 s took {early} connections: {connections:?}"
    );
    ensure!(
        late == CHATS,
        "pauses of 5.5 s took {late} connections: {connections:?}"
    );
    Ok(())
}
