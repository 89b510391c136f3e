//! A thousand hostile chats beside a hundred healthy ones: do the healthy ones notice?
//!
//! One engine, one runtime with as many threads as there are processors, one process. The healthy
//! chats stream from a paced server on a thread of its own. Each event carries the time at which it
//! was written, and its delay is what passed until the chat gave it out. First the healthy chats
//! are alone, then beside the hostile ones, and last beside hostile ones that are set apart: these
//! have an engine of their own, and a runtime whose threads have a low priority. Streams that hyper
//! alone reads, on the healthy chats' runtime, are the control: what delays these too is not for a
//! reason of the chats. Whatever ends is begun anew, so that there are as many at the end as at the
//! beginning. The hostile ones talk to a server of their own, which helps them.
//!
//! `cargo test -p provider-host --test neighbours` runs it and prints the table; names of attacks
//! after `--` are the only ones then, and a number is that of the hostile chats. It is a measurement
//! and no gate: a machine that others use too makes every figure larger, and the ratio is what to
//! read. Processor time that was stolen, and how late the server was, stand beside it.

#[path = "../../host/build/component.rs"]
#[allow(dead_code, reason = "the recipe of every component")]
mod component;
mod figures;
#[path = "../support/machine.rs"]
mod machine;
#[path = "../support/paced.rs"]
mod paced;
mod server;
#[path = "../support/timed.rs"]
mod timed;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use provider_host::policy::{Grant, NetworkLimits, Origin, SandboxLimits};
use provider_host::types::{ChatRequest, Model, Settings};
use provider_host::{Engine, EngineOptions, Error, Plugin, Provider, ProviderOptions};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinSet;

use figures::{Delays, resident_mib};
use machine::Machine;
use paced::{control, now};

const HEALTHY: usize = 100;
const HOSTILE: usize = 1_000;

/// Streams that hyper reads.
const CONTROLS: usize = 20;

/// Events a second of each healthy chat.
const RATE: u32 = 20;

/// How long each phase is measured, and how long it may settle before.
const PHASE: Duration = Duration::from_secs(20);
const SETTLE: Duration = Duration::from_secs(5);

/// What the hostile ones do, in equal parts.
const ATTACKS: &[&str] = &[
    "endless-loop",
    "endless-host-calls",
    "endless-wait",
    "endless-yields",
    "recursion",
    "memory",
    "memory-touched",
    "pollables",
    "header-bytes",
    "unfinished-requests",
    "body-that-nobody-reads",
    "endless-text",
    "computing-trickle",
    "credit-by-single-bytes",
    "credit-by-bulk",
    "credit-spent-at-once",
    "requests-at-once",
    "credit-under-the-slow-clock",
    "credit-after-a-pause",
];

/// What the hostile ones came to, by attack.
type Ends = Arc<Mutex<BTreeMap<String, u64>>>;

fn main() {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let runtime = Builder::new_multi_thread()
        .worker_threads(processors)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(measure(processors));
}

async fn measure(processors: usize) {
    let (numbers, named): (Vec<String>, Vec<String>) = std::env::args()
        .skip(1)
        .partition(|argument| argument.parse::<usize>().is_ok());
    let hostile_chats = numbers
        .first()
        .map_or(HOSTILE, |number| number.parse().expect("a number"));
    let attacks: Vec<&'static str> = ATTACKS
        .iter()
        .copied()
        .filter(|attack| named.is_empty() || named.iter().any(|name| name == attack))
        .collect();
    assert!(!attacks.is_empty(), "no such attack; there are {ATTACKS:?}");
    let engine = engine();
    let paced = server::start(RATE);
    let helper = server::start_helper();
    let healthy = timed::provider(&engine, paced);
    let hostile = plugin(&engine, "hostile-provider");

    let delays = Arc::new(Delays::default());
    let controls = Arc::new(Delays::default());
    for _ in 0..CONTROLS {
        let controls = controls.clone();
        tokio::spawn(control::read(paced, move |written, arrived| {
            controls.add(arrived.saturating_sub(written));
        }));
    }
    let stop = Arc::new(AtomicBool::new(false));
    for _ in 0..HEALTHY {
        tokio::spawn(stream(healthy.clone(), delays.clone(), stop.clone()));
    }
    println!(
        "{HEALTHY} healthy chats of {RATE} events a second, {hostile_chats} hostile ones, {processors} processors; delays in ms"
    );
    println!(
        "{:<22}{:>9}{:>9}{:>9}{:>9}{:>10}{:>12}{:>13}  stolen",
        "", "events", "p50", "p99", "p99.9", "max", "resident", "server late"
    );

    let before = phase("alone", &delays, &controls).await;
    let ends = Ends::default();
    let low_priority = low_priority_runtime(processors);
    let separate = plugin(&self::engine(), "hostile-provider");
    let places = [
        ("beside hostile chats", &Handle::current(), &hostile),
        ("these set apart", low_priority.handle(), &separate),
    ];
    for (place, runtime, hostile) in places {
        let mut attackers = JoinSet::new();
        for number in 0..hostile_chats {
            let attack = attacks[number % attacks.len()];
            // Requests that are refused at once, so that no server is busy.
            let granted = match attack {
                "requests-at-once" => SocketAddr::from(([127, 0, 0, 1], 1)),
                _ => helper,
            };
            let provider = hostile_provider(hostile, attack, granted);
            attackers.spawn_on(attack_on(provider, attack, ends.clone()), runtime);
        }
        let beside = phase(place, &delays, &controls).await;
        println!("p99 {place} / alone: {:.2}", beside / before);
        attackers.shutdown().await;
    }
    stop.store(true, Ordering::Relaxed);
    println!("What became of the hostile chats:");
    for (end, count) in ends.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        println!("{count:>8}  {end}");
    }
    // The healthy chats end with the process.
    std::process::exit(0);
}

/// Measures for a while; prints a row for the chats and one for the control, and gives back the p99 of
/// the former.
async fn phase(name: &str, delays: &Delays, controls: &Delays) -> f64 {
    tokio::time::sleep(SETTLE).await;
    delays.clear();
    controls.clear();
    paced::LATENESS.take();
    let machine = Machine::now();
    tokio::time::sleep(PHASE).await;
    let (passed, late) = (machine.since(), paced::LATENESS.take());
    let figures = delays.figures();
    println!(
        "{name:<22}{:>9}{:>9.2}{:>9.2}{:>9.2}{:>10.2}{:>8} MiB{:>13.2}  {passed}",
        figures.count,
        figures.p50,
        figures.p99,
        figures.p999,
        figures.max,
        resident_mib(),
        late.as_secs_f64() * 1e3
    );
    let control = controls.figures();
    println!(
        "{:<22}{:>9}{:>9.2}{:>9.2}{:>9.2}{:>10.2}",
        "  hyper", control.count, control.p50, control.p99, control.p999, control.max
    );
    figures.p99
}

/// One healthy chat after the other.
async fn stream(provider: Provider, delays: Arc<Delays>, stop: Arc<AtomicBool>) {
    while !stop.load(Ordering::Relaxed) {
        let mut chat = provider
            .chat(&model(), &request())
            .await
            .expect("a healthy chat begins");
        loop {
            let batch = chat.next_batch(64).await.expect("a healthy chat goes on");
            if batch.is_empty() {
                break;
            }
            let arrived = now();
            for written in timed::written(&batch) {
                delays.add(arrived.saturating_sub(written));
            }
        }
    }
}

/// One attack after the other, with a pause like that of a user who tries again.
async fn attack_on(provider: Provider, attack: &str, ends: Ends) {
    loop {
        let end = match converse(&provider).await {
            Ok(()) => "came to its end".to_owned(),
            Err(error) => format!("{}: {}", error.kind_name(), limit_of(&error)),
        };
        let end = format!("{attack}: {end}");
        *ends
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(end)
            .or_default() += 1;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn converse(provider: &Provider) -> Result<(), Error> {
    let mut chat = provider.chat(&model(), &request()).await?;
    while !chat.next_batch(64).await?.is_empty() {}
    Ok(())
}

/// A runtime whose threads compute while no other thread wants to.
fn low_priority_runtime(threads: usize) -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(threads).enable_all();
    // Linux has a priority for each thread, elsewhere it is that of the process.
    #[cfg(target_os = "linux")]
    builder.on_thread_start(|| {
        rustix::process::setpriority_process(None, 19).expect("a lower priority");
    });
    builder.build().expect("a runtime")
}

/// The part of a message that says what happened.
fn limit_of(error: &Error) -> String {
    let message = error.message();
    let end = message.find("; its chat").unwrap_or(message.len());
    message[..end].to_owned()
}

fn hostile_provider(plugin: &Plugin, attack: &str, granted: SocketAddr) -> Provider {
    let settings = Settings::new(format!(
        r#"{{"attack":"{attack}","at":"next","granted":"{granted}","other":"127.0.0.1:1"}}"#
    ))
    .with_discovery(false);
    let grant = Grant::new(Origin::parse(&format!("http://{granted}/v1")).expect("an origin"))
        .with_limits(NetworkLimits::new());
    let options = ProviderOptions::new(settings, grant).with_sandbox(SandboxLimits::new());
    Provider::new(plugin, options).expect("a provider")
}

fn engine() -> Engine {
    let mut options = EngineOptions::default();
    options.max_chats = 2_000;
    Engine::new(options).expect("an engine")
}

fn plugin(engine: &Engine, package: &str) -> Plugin {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("a workspace");
    let built = component::build_package(workspace, package).expect("the component");
    Plugin::from_file(engine, &built).expect("a plugin like any other")
}

fn model() -> Model {
    Model::new("model", 40_960, 8_192)
}

fn request() -> ChatRequest {
    ChatRequest::user("Count.")
}
