//! What every client process of the loopback measurement does: the modes, and one line of JSON.
//!
//! | mode | arguments | does | prints |
//! |---|---|---|---|
//! | `full` | URL… | one chat per URL, in order; the first is the warm-up | `{"runs":[{"cpu_us","wall_us","deltas","chars","usage","finish"}]}` |
//! | `paced` | WARM URL | a warm-up chat, then one whose pieces carry the time at which they were sent | `{"cpu_us","lat_us":[…]}` |
//! | `ttft` | URL COUNT | 20 warm-up chats, then COUNT one after another | `{"cpu_us","ttft_us":[…],"total_us":[…]}` |
//! | `conc` | URL K | K chats at once; delays of pieces later than `PEERS_SKIP_MS` (1000) after the start | `{"cpu_us","wall_us","rss_kb","hwm_kb","deltas","lat_us":[…]}` |
//! | `cold` | URL | one chat, then 0.3 s of nothing | `{"first_ns","cpu_us","rss_kb","hwm_kb"}` |
//!
//! `cpu_us` is user and system time of the whole process; stamps are of the monotonic clock. A URL is
//! `http://127.0.0.1:PORT/replay=n:50000,per:8/v1`, and what stands in its path tells the server what to answer.

use std::future::Future;
use std::time::Duration;

use serde_json::json;

use crate::measure::{now, process_time, status_kib};

/// The model that is asked for.
pub const MODEL: &str = "Qwen/Qwen3-8B";

/// What a user keeps of one answer.
#[derive(Debug, Default)]
pub struct Answer {
    /// All text.
    pub text: String,
    /// Pieces.
    pub deltas: u64,
    /// Tokens of the answer, as the server counts them.
    pub usage: u64,
    /// The answer said how it ended.
    pub finish: bool,
    /// When the first piece came.
    pub first: u64,
    /// Pieces are stamps: when each came, and how long after it was sent.
    pub delays: Vec<(u64, u64)>,
    stamped: bool,
}

impl Answer {
    fn new(stamped: bool) -> Self {
        Self {
            stamped,
            ..Self::default()
        }
    }

    /// Takes a piece of text.
    #[inline]
    pub fn delta(&mut self, text: &str) {
        if self.deltas == 0 {
            self.first = now();
        }
        self.deltas += 1;
        self.text.push_str(text);
        if self.stamped {
            let now = now();
            let sent = text.get(1..).and_then(|stamp| stamp.parse().ok());
            self.delays
                .push((now, now.saturating_sub(sent.unwrap_or(now))));
        }
    }

    fn account(&self, cpu: u64, wall: u64) -> serde_json::Value {
        json!({
            "cpu_us": cpu, "wall_us": wall / 1_000, "deltas": self.deltas, "chars": self.text.len(),
            "usage": self.usage, "finish": self.finish,
        })
    }
}

/// A client: streams one chat with the server at a base URL into an answer.
pub trait Client: 'static {
    /// One chat.
    fn chat(&self, base_url: &str, answer: Answer) -> impl Future<Output = Answer>;
}

/// Runs a client in the mode that the arguments name. `make` is called in the runtime, which has one thread unless
/// `PEERS_RT=multi` asks for tokio's default.
///
/// # Panics
///
/// The arguments are none of the above.
pub fn run<C: Client>(make: impl FnOnce() -> C) {
    let mut builder = match std::env::var("PEERS_RT").as_deref() {
        Ok("multi") => tokio::runtime::Builder::new_multi_thread(),
        _ => tokio::runtime::Builder::new_current_thread(),
    };
    let runtime = builder.enable_all().build().expect("a runtime");
    let line = runtime.block_on(async {
        let local = tokio::task::LocalSet::new();
        local.run_until(async { drive(make()).await }).await
    });
    println!("{line}");
}

async fn drive<C: Client>(client: C) -> serde_json::Value {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["full", ref urls @ ..] => full(&client, urls).await,
        ["paced", warm, url] => paced(&client, warm, url).await,
        ["ttft", url, count] => ttft(&client, url, number(count)).await,
        ["conc", url, streams] => conc(client, url, number(streams)).await,
        ["cold", url] => cold(&client, url).await,
        _ => panic!("modes: full URL…, paced WARM URL, ttft URL COUNT, conc URL K, cold URL"),
    }
}

fn number(text: &str) -> usize {
    text.parse().expect("a number")
}

async fn full<C: Client>(client: &C, urls: &[&str]) -> serde_json::Value {
    let mut runs = Vec::new();
    for url in urls {
        let (cpu, began) = (process_time(), now());
        let answer = client.chat(url, Answer::new(false)).await;
        runs.push(answer.account(process_time() - cpu, now() - began));
    }
    json!({ "runs": runs })
}

async fn paced<C: Client>(client: &C, warm: &str, url: &str) -> serde_json::Value {
    client.chat(warm, Answer::new(false)).await;
    let cpu = process_time();
    let answer = client.chat(url, Answer::new(true)).await;
    let cpu = process_time() - cpu;
    json!({ "cpu_us": cpu, "lat_us": microseconds(answer.delays.iter().map(|(_, delay)| *delay)) })
}

async fn ttft<C: Client>(client: &C, url: &str, count: usize) -> serde_json::Value {
    for _ in 0..20 {
        client.chat(url, Answer::new(false)).await;
    }
    let (mut first, mut total) = (Vec::new(), Vec::new());
    let cpu = process_time();
    for _ in 0..count {
        let began = now();
        let answer = client.chat(url, Answer::new(false)).await;
        total.push(now() - began);
        first.push(answer.first - began);
        assert!(answer.deltas == 8 && answer.usage == 8, "{answer:?}");
    }
    let cpu = process_time() - cpu;
    json!({ "cpu_us": cpu, "ttft_us": microseconds(first.into_iter()), "total_us": microseconds(total.into_iter()) })
}

async fn conc<C: Client>(client: C, url: &str, streams: usize) -> serde_json::Value {
    let skipped = std::env::var("PEERS_SKIP_MS").ok();
    let skipped = skipped
        .and_then(|text| text.parse().ok())
        .unwrap_or(1_000_u64)
        * 1_000_000;
    let client = std::rc::Rc::new(client);
    let (cpu, began) = (process_time(), now());
    let tasks: Vec<_> = (0..streams)
        .map(|_| {
            let (client, url) = (client.clone(), url.to_owned());
            tokio::task::spawn_local(async move { client.chat(&url, Answer::new(true)).await })
        })
        .collect();
    let mut answers = Vec::with_capacity(streams);
    for task in tasks {
        answers.push(task.await.expect("a chat"));
    }
    let (cpu, wall) = (process_time() - cpu, now() - began);
    let delays = answers.iter().flat_map(|answer| &answer.delays);
    let settled = delays.filter(|(at, _)| at - began > skipped);
    json!({
        "cpu_us": cpu, "wall_us": wall / 1_000, "rss_kb": status_kib("VmRSS"), "hwm_kb": status_kib("VmHWM"),
        "deltas": answers.iter().map(|answer| answer.deltas).sum::<u64>(),
        "lat_us": microseconds(settled.map(|(_, delay)| *delay)),
    })
}

async fn cold<C: Client>(client: &C, url: &str) -> serde_json::Value {
    let answer = client.chat(url, Answer::new(false)).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    json!({
        "first_ns": answer.first, "cpu_us": process_time(), "rss_kb": status_kib("VmRSS"), "hwm_kb": status_kib("VmHWM"),
        "deltas": answer.deltas, "usage": answer.usage, "finish": answer.finish,
    })
}

#[expect(clippy::cast_precision_loss, reason = "microseconds with one digit")]
fn microseconds(times: impl Iterator<Item = u64>) -> Vec<f64> {
    times.map(|time| (time / 100) as f64 / 10.0).collect()
}
