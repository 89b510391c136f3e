//! CPU credit: reads from a server that helps its plugin do not buy seconds of computing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use provider_host::policy::{Grant, Origin};
use provider_host::types::Settings;
use provider_host::{Engine, EngineOptions, Plugin, Provider, ProviderOptions};
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::support::{ask, model};

#[path = "../../support/paced.rs"]
#[allow(dead_code, reason = "shared with measurements")]
mod paced;
#[path = "../../support/timed.rs"]
mod timed;
use crate::machine;

/// Chats that buy credit.
const HOSTILE: usize = 32;

/// Events of the honest chat that are measured, at 20 a second.
const EVENTS: u32 = 60;

/// How much later than alone, twice over, a quarter of the honest events may be. They are later by
/// one or two milliseconds, and were by 13 to 60 before credit had a cap and a fair share. A quarter
/// and not the median, because other tests run on the same processors.
const LATER: Duration = Duration::from_millis(8);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_honest_event_is_not_delayed_by_chats_that_buy_credit_with_single_bytes() {
    beside("credit-by-single-bytes").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_honest_event_is_not_delayed_by_chats_that_buy_credit_with_bulk() {
    beside("credit-by-bulk").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_honest_event_is_not_delayed_by_chats_that_spend_credit_at_once() {
    beside("credit-spent-at-once").await;
}

/// One at a time: each has an engine of its own, with a share of its own of the processors.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

async fn beside(attack: &'static str) {
    let _alone = ALONE.lock().await;
    let mut options = EngineOptions::default();
    options.max_chats = 64;
    let engine = Engine::new(options).expect("an engine");
    let honest = timed::provider(&engine, paced::start(stream));
    let alone = delays(&honest).await;
    let attacking = attack_with(&engine, attack);
    // The attacks have begun by then.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let beside = delays(&honest).await;
    attacking.store(false, Ordering::Relaxed);
    let [alone, beside] = [alone, beside].map(|delays| delays[delays.len() / 4]);
    println!("a quarter within {alone:?} alone, {beside:?} beside {HOSTILE} chats of {attack}");
    assert!(
        beside < 2 * alone + LATER,
        "{attack}: three quarters of the honest events were late by more than {beside:?}, and by \
         {alone:?} without the attack"
    );
}

/// Starts the hostile chats; they end when this is false.
fn attack_with(engine: &Engine, attack: &str) -> Arc<AtomicBool> {
    let hostile =
        Plugin::from_file(engine, crate::hostile::file()).expect("a plugin like any other");
    let helper = paced::start(help);
    let attacking = Arc::new(AtomicBool::new(true));
    for _ in 0..HOSTILE {
        let orders = json!({
            "attack": attack, "at": "next",
            "granted": helper.to_string(), "other": "127.0.0.1:1",
        });
        let origin = Origin::parse(&format!("http://{helper}/v1")).expect("an origin");
        let options = ProviderOptions::new(Settings::new(orders.to_string()), Grant::new(origin));
        let provider = Provider::new(&hostile, options).expect("a provider");
        let attacking = attacking.clone();
        tokio::spawn(async move {
            let mut chat = provider
                .chat(&model("hostile"), &ask("Attack."))
                .await
                .expect("the attack begins");
            while attacking.load(Ordering::Relaxed) {
                let batch = chat.next_batch(64).await.expect("the attack goes on");
                assert!(!batch.is_empty(), "the attack is over");
            }
        });
    }
    attacking
}

/// The delays of an honest chat's events, the least first.
async fn delays(provider: &Provider) -> Vec<Duration> {
    let mut chat = provider
        .chat(&model("model"), &ask("Count."))
        .await
        .expect("an honest chat begins");
    let mut delays = Vec::new();
    while delays.len() < EVENTS as usize {
        let batch = chat.next_batch(64).await.expect("an honest chat goes on");
        assert!(!batch.is_empty(), "{} events came", delays.len());
        let arrived = paced::now();
        for written in timed::written(&batch) {
            delays.push(Duration::from_nanos(arrived.saturating_sub(written)));
        }
    }
    delays.sort_unstable();
    delays
}

/// Sends what buys credit, as fast as it is taken.
async fn help(mut socket: TcpStream) -> std::io::Result<()> {
    let path = timed::path(&mut socket).await?;
    let piece = match path.as_deref() {
        None => return Ok(()),
        Some("/drops") => b"1\r\na\r\n".repeat(1_000),
        Some(_) => {
            let mut piece = b"10000\r\n".to_vec();
            piece.resize(piece.len() + 0x1_0000, b'a');
            piece.extend_from_slice(b"\r\n");
            piece
        }
    };
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n";
    socket.write_all(head.as_bytes()).await?;
    loop {
        socket.write_all(&piece).await?;
    }
}

/// Streams at a steady pace.
async fn stream(mut socket: TcpStream) -> std::io::Result<()> {
    if timed::path(&mut socket).await?.is_none() {
        return Ok(());
    }
    let pace = paced::beat(20, Duration::ZERO);
    timed::stream(&mut socket, pace, 2 * EVENTS, |_| ()).await
}
