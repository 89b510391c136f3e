//! A thousand chats, and plugins that are swapped under them: does one of them notice?
//!
//! One engine, one runtime with as many threads as there are processors, one process. The chats stream from a paced server
//! on a thread of its own; each piece carries its number and the time at which it was written. What ends is begun anew, so
//! that the chats stand on many generations. Quiet rounds and rounds with ten offers each take turns, so that a drift of the
//! machine is in both. Half of the offers are no plugins that may serve.
//!
//! `cargo test -p provider-host --test swap` runs it. A piece that is lost, doubled or out of order, a chat that is dropped,
//! an offer that ends otherwise than it should, and memory that grows make it fail; delays are a measurement and no gate:
//! a machine that others use too makes each of them larger. `-- in-process` compiles in this process and not in another;
//! `-- chats=N rounds=N swaps=N` makes it smaller.

#[path = "../../host/build/component.rs"]
#[allow(dead_code, reason = "the recipe of every component")]
mod component;
#[path = "../it/hostile_files/components.rs"]
#[allow(dead_code, reason = "components for other tests, too")]
mod components;
#[path = "../neighbours/figures.rs"]
#[allow(dead_code, reason = "figures of another measurement, too")]
mod figures;
mod flat;
mod late;
#[path = "../support/machine.rs"]
mod machine;
mod offers;
#[path = "../support/paced.rs"]
mod paced;
mod server;
#[path = "../support/variants.rs"]
#[allow(dead_code, reason = "variants for other tests, too")]
mod variants;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use provider_host::plugin::Compiler;
use provider_host::policy::{Grant, Origin};
use provider_host::registry::{Offered, Registry, Slot};
use provider_host::types::{ChatRequest, Event, Model, Settings};
use provider_host::{Engine, EngineOptions, Plugin, ProviderOptions};

use late::{Kind, Late};
use paced::now;

/// Pieces a second of each chat.
const RATE: u32 = 4;

/// How long a round is, and how long the chats settle before the first.
const ROUND: Duration = Duration::from_secs(15);
const SETTLE: Duration = Duration::from_secs(10);

/// The argument that this program starts itself with to compile.
const COMPILER: &str = "compile";

/// What the command line says.
pub(crate) struct Options {
    chats: usize,
    rounds: usize,
    pub(crate) swaps: usize,
    in_process: bool,
}

impl Options {
    fn read() -> Self {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let number = |name: &str, default| {
            let value = arguments
                .iter()
                .find_map(|one| one.strip_prefix(name)?.strip_prefix('='));
            value.map_or(default, |value| value.parse().expect("a number"))
        };
        Self {
            chats: number("chats", 1_000),
            rounds: number("rounds", 5),
            swaps: number("swaps", 1_000),
            in_process: arguments.iter().any(|one| one == "in-process"),
        }
    }
}

fn main() -> std::process::ExitCode {
    if std::env::args().nth(1).as_deref() == Some(COMPILER) {
        provider_host::plugin::serve_compiler().expect("somebody who reads");
        return std::process::ExitCode::SUCCESS;
    }
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(processors)
        .enable_all()
        .build()
        .expect("a runtime");
    let faults = runtime.block_on(measure(&Options::read(), processors));
    for fault in &faults {
        println!("FAILED: {fault}");
    }
    // The chats that are left end with the process.
    std::process::exit(i32::from(!faults.is_empty()));
}

/// What the chats came to.
#[derive(Default)]
struct Counts {
    begun: AtomicU64,
    finished: AtomicU64,
    pieces: AtomicU64,
}

async fn measure(options: &Options, processors: usize) -> Vec<String> {
    let mut engine = EngineOptions::default();
    engine.max_chats = 2_000;
    engine.compiler = if options.in_process {
        Compiler::InProcess
    } else {
        Compiler::this_program([COMPILER]).expect("this program")
    };
    let engine = Engine::new(engine).expect("an engine");
    let address = server::start(RATE);
    let registry = Registry::new();
    let plugin = Plugin::embedded(&engine).expect("the plugin of this build");
    let slot = registry
        .serve(&plugin, settings(address, ""))
        .expect("a slot");
    let hostile = offers::hostile();
    let looping = "\"attack\":\"endless-loop\",\"at\":\"check-settings\",\"granted\":\"127.0.0.1:1\",\"other\":\"127.0.0.1:1\",";
    let bad = Plugin::from_bytes(&engine, &hostile).expect("a plugin like any other");
    let bad = registry
        .serve(&bad, settings(address, looping))
        .expect("a slot");

    let (late, counts) = (Arc::new(Late::default()), Arc::new(Counts::default()));
    let stop = Arc::new(AtomicBool::new(false));
    let chats: Vec<_> = (0..options.chats)
        .map(|_| {
            tokio::spawn(talk(
                slot.clone(),
                late.clone(),
                counts.clone(),
                stop.clone(),
            ))
        })
        .collect();
    tokio::time::sleep(SETTLE).await;
    println!(
        "{} chats of {RATE} pieces a second, {} processors, compiled {}; {} MiB resident",
        options.chats,
        processors,
        if options.in_process {
            "on a thread of low priority"
        } else {
            "in a process of low priority"
        },
        figures::resident_mib()
    );
    let mut faults = Vec::new();
    for round in 0..options.rounds {
        late.begin(Kind::Quiet);
        tokio::time::sleep(ROUND).await;
        late.begin(Kind::Swaps);
        let began = tokio::time::Instant::now();
        let offers = offers::round(round, &hostile);
        let pause = ROUND / u32::try_from(offers.len()).expect("ten");
        for (number, offer) in (1..).zip(offers) {
            let to = if offer.to_hostile { &bad } else { &slot };
            let from = now();
            let outcome = to.offer_bytes(offer.bytes).await;
            late.swapped(offer.name, from, now());
            let served = matches!(outcome, Ok(Offered::Serving(_)));
            if served != offer.serves {
                faults.push(format!("{} in round {round}: {outcome:?}", offer.name));
            }
            tokio::time::sleep_until(began + pause * number).await;
        }
        late.begin(Kind::Between);
    }
    stop.store(true, Ordering::Relaxed);
    let mut generations = 0;
    for chat in chats {
        match chat.await.expect("a task") {
            Ok(over) => generations += u64::from(over),
            Err(fault) => faults.push(fault),
        }
    }
    late.print();
    report(&counts, &slot, options, generations, &mut faults);
    flat::run(options, address, &mut faults).await;
    faults
}

fn report(counts: &Counts, slot: &Slot, options: &Options, over: u64, faults: &mut Vec<String>) {
    let (begun, finished) = (
        counts.begun.load(Ordering::Relaxed),
        counts.finished.load(Ordering::Relaxed),
    );
    let status = slot.status();
    println!(
        "{begun} chats begun, {finished} finished, {} pieces, each in its place; {over} times a swap came in the middle of a \
         chat; generation {} serves, {} refusals here",
        counts.pieces.load(Ordering::Relaxed),
        status.serving.number,
        status.counters.refusals
    );
    if begun != finished || status.counters.finished != finished {
        faults.push(format!(
            "{begun} chats begun, {finished} finished; {status:?}"
        ));
    }
    let wanted = u64::try_from(options.rounds * 5).expect("a few");
    if status.counters.swaps != wanted {
        faults.push(format!("{} swaps, not {wanted}", status.counters.swaps));
    }
}

/// One chat after the other. How often a swap came in the middle of one.
async fn talk(
    slot: Slot,
    late: Arc<Late>,
    counts: Arc<Counts>,
    stop: Arc<AtomicBool>,
) -> Result<u32, String> {
    let mut over = 0;
    while !stop.load(Ordering::Relaxed) {
        let began = slot.generation();
        counts.begun.fetch_add(1, Ordering::Relaxed);
        read(&slot, &late, &counts).await?;
        counts.finished.fetch_add(1, Ordering::Relaxed);
        over += u32::from(slot.generation() != began);
    }
    Ok(over)
}

/// One chat to its end; what is wrong with it.
async fn read(slot: &Slot, late: &Late, counts: &Counts) -> Result<(), String> {
    let failed =
        |error: provider_host::Error| format!("a chat ended in {}: {error}", error.kind_name());
    let mut chat = slot.chat(&model(), &request()).await.map_err(failed)?;
    let (mut next, mut end, mut finished) = (0_u64, None, false);
    loop {
        let batch = chat.next_batch(64).await.map_err(failed)?;
        if batch.is_empty() {
            break;
        }
        let arrived = now();
        for event in &batch {
            finished |= matches!(event, Event::Finish(_));
            let Event::Text(text) = event else { continue };
            for piece in text.split_whitespace() {
                let (number, value) = piece
                    .split_once(':')
                    .ok_or(format!("half a piece: {piece:?}"))?;
                let value: u64 = value
                    .parse()
                    .map_err(|_| format!("a broken piece: {piece:?}"))?;
                if number == "end" {
                    end = Some(value);
                } else if number.parse() == Ok(next) {
                    next += 1;
                    late.add(arrived, arrived.saturating_sub(value));
                } else {
                    return Err(format!("piece {number} where {next} should be"));
                }
            }
        }
    }
    counts.pieces.fetch_add(next, Ordering::Relaxed);
    match end {
        Some(sent) if sent == next && finished => Ok(()),
        end => Err(format!("{next} pieces of {end:?}, finished: {finished}")),
    }
}

pub(crate) fn settings(address: std::net::SocketAddr, orders: &str) -> ProviderOptions {
    let base_url = format!("http://{address}/v1");
    let settings = Settings::new(format!("{{{orders}\"baseUrl\":\"{base_url}\"}}"))
        .with_api_key("any")
        .with_discovery(false);
    let grant = Grant::new(Origin::parse(&base_url).expect("an origin"));
    ProviderOptions::new(settings, grant)
}

pub(crate) fn model() -> Model {
    Model::new("model", 40_960, 8_192)
}

pub(crate) fn request() -> ChatRequest {
    ChatRequest::user("Count.")
}
