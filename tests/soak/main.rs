//! Paced streams for a long time: is one of them ever late for a reason of ours?
//!
//! Chats stream from a paced server, on a runtime with as many threads as there are processors.
//! Each event carries the time at which it was written. Beside the chats there are streams that the
//! runtime reads with hyper alone, in the same process: the control. The server runs on a thread of
//! its own and records how late it is against its own schedule. A pause of the machine delays all
//! three. The run fails if a chat was late by more than [`TOO_LATE`] while the control and the
//! server were not, or if a chat fails.
//!
//! ```text
//! cargo test -p provider-host --test soak                             60 s, as CI does
//! cargo test -p provider-host --test soak -- --seconds 3600           an hour
//! cargo test -p provider-host --test soak -- --streams 2000           the load of the standstill
//! cargo test -p provider-host --test soak -- --streams 2000 --busy 200
//! ```
//!
//! `--busy N` adds N tasks to the runtime that compute for a millisecond at a time.
//! `--rate N` sets the events a second of each stream.

#[path = "../neighbours/figures.rs"]
#[allow(dead_code, reason = "shared with other measurements")]
mod figures;
#[path = "../support/machine.rs"]
mod machine;
#[path = "../support/paced.rs"]
mod paced;
mod record;
mod server;
#[path = "../support/timed.rs"]
mod timed;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use provider_host::types::{ChatRequest, Model};
use provider_host::{Engine, EngineOptions, Provider};

use figures::resident_mib;
use machine::Machine;
use paced::{control, now};
use record::{Record, TOO_LATE};

/// Streams that hyper reads.
const CONTROLS: usize = 20;

/// How often a line is printed.
const LINE: Duration = Duration::from_secs(60);

struct Options {
    seconds: u64,
    streams: usize,
    rate: u32,
    busy: usize,
}

fn main() -> ExitCode {
    let options = match options(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(why) => {
            eprintln!("soak: {why}; see the top of tests/soak/main.rs");
            return ExitCode::from(2);
        }
    };
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(processors)
        .enable_all()
        .build()
        .expect("a runtime");
    let failed = runtime.block_on(soak(&options, processors));
    // The streams that are left end with the process.
    std::process::exit(i32::from(failed));
}

fn options(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options {
        seconds: 60,
        streams: 500,
        rate: 20,
        busy: 0,
    };
    while let Some(name) = arguments.next() {
        let value = arguments
            .next()
            .ok_or_else(|| format!("{name} has no value"))?;
        let number: u32 = value
            .parse()
            .map_err(|error| format!("{name} {value}: {error}"))?;
        match name.as_str() {
            "--seconds" => options.seconds = number.max(1).into(),
            "--streams" => options.streams = number as usize,
            "--rate" => options.rate = number.max(1),
            "--busy" => options.busy = number as usize,
            _ => return Err(format!("there is no option {name}")),
        }
    }
    Ok(options)
}

/// Runs it; true if it failed.
async fn soak(options: &Options, processors: usize) -> bool {
    let record = Arc::new(Record::new(options.seconds));
    let server = server::start(options.rate, record.clone());
    let mut engine = EngineOptions::default();
    engine.max_chats = u32::try_from(options.streams + 16).expect("fewer streams");
    let engine = Engine::new(engine).expect("an engine");
    let provider = timed::provider(&engine, server);
    let gaps: Arc<Vec<Gap>> = Arc::new((0..options.streams).map(|_| Gap::default()).collect());

    println!(
        "{} chats and {CONTROLS} streams by hyper, {} events a second each, {} busy tasks, \
         {processors} processors, {} s; delays in ms",
        options.streams, options.rate, options.busy, options.seconds
    );
    for _ in 0..options.busy {
        tokio::spawn(busy());
    }
    for stream in 0..options.streams {
        tokio::spawn(chats(
            provider.clone(),
            record.clone(),
            gaps.clone(),
            stream,
        ));
    }
    for _ in 0..CONTROLS {
        let record = record.clone();
        tokio::spawn(control::read(server, move |written, arrived| {
            record.control(written, arrived);
        }));
    }

    // The chats' start is measured apart: all of them begin at once.
    let began = Instant::now();
    let machine = Machine::now();
    let starting = Duration::from_secs(10).min(Duration::from_secs(options.seconds) / 4);
    tokio::time::sleep(starting).await;
    println!("{}", Record::HEADER);
    record.print("start", began.elapsed(), &machine.since());
    gaps.iter().for_each(Gap::forget);
    let end = began + Duration::from_secs(options.seconds);
    while Instant::now() < end {
        let machine = Machine::now();
        let line = LINE.min(end.saturating_duration_since(Instant::now()));
        tokio::time::sleep(line).await;
        record.print("", began.elapsed(), &machine.since());
    }

    let mut largest: Vec<u64> = gaps.iter().map(Gap::largest).collect();
    largest.sort_unstable();
    let at = |share: usize| {
        let place = (largest.len() * share / 100).min(largest.len().saturating_sub(1));
        largest.get(place).copied().unwrap_or(0) / 1_000_000
    };
    println!(
        "largest gap of each chat after the start, in ms: p50 {}, p99 {}, max {}; resident {} MiB",
        at(50),
        at(99),
        at(100),
        resident_mib()
    );
    let silent = gaps.iter().filter(|gap| gap.is_silent()).count();
    let late = record.late();
    for second in &late {
        println!("FAILED: {second}");
    }
    if silent > 0 {
        println!("FAILED: {silent} chats got nothing for the last {TOO_LATE:?}");
    }
    late.is_empty()
        .then(|| println!("no chat was late for a reason of ours"));
    !late.is_empty() || silent > 0
}

/// The largest time between two events of one stream.
#[derive(Default)]
struct Gap {
    last: AtomicU64,
    largest: AtomicU64,
}

impl Gap {
    fn arrived(&self, at: u64) {
        let last = self.last.swap(at, Ordering::Relaxed);
        if last > 0 {
            self.largest
                .fetch_max(at.saturating_sub(last), Ordering::Relaxed);
        }
    }

    fn forget(&self) {
        self.largest.store(0, Ordering::Relaxed);
    }

    /// The gap that lasts is one as well.
    fn largest(&self) -> u64 {
        let open = now().saturating_sub(self.last.load(Ordering::Relaxed));
        self.largest.load(Ordering::Relaxed).max(open)
    }

    fn is_silent(&self) -> bool {
        let open = now().saturating_sub(self.last.load(Ordering::Relaxed));
        Duration::from_nanos(open) > 2 * TOO_LATE
    }
}

/// One chat after the other.
async fn chats(provider: Provider, record: Arc<Record>, gaps: Arc<Vec<Gap>>, stream: usize) {
    let (model, request) = (
        Model::new("model", 40_960, 8_192),
        ChatRequest::user("Count."),
    );
    loop {
        let mut chat = match provider.chat(&model, &request).await {
            Ok(chat) => chat,
            Err(error) => return record.failed(&error.to_string()),
        };
        loop {
            let batch = match chat.next_batch(64).await {
                Ok(batch) => batch,
                Err(error) => return record.failed(&error.to_string()),
            };
            if batch.is_empty() {
                break;
            }
            let arrived = now();
            for written in timed::written(&batch) {
                record.chat(written, arrived);
                gaps[stream].arrived(arrived);
            }
        }
    }
}

/// Computes for a millisecond at a time.
async fn busy() {
    loop {
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(1) {
            std::hint::spin_loop();
        }
        tokio::task::yield_now().await;
    }
}
