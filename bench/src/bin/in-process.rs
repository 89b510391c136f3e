//! Cost per event in one process and on one thread, the answer's bytes from memory.
//!
//! `cargo xtask bench in-process [--rounds N] [--events N]`. Each round runs every row once, one after another; cells are
//! the median of the rounds with the smallest and the largest, ratios are taken within a round.

use std::hint::black_box;

use bytes::Bytes;
use provider_bench::answer::{self, Kind, Read};
use provider_bench::measure::{Spread, thread_time};
use provider_bench::sandbox::{self, Memory};
use provider_bench::{core, native};
use provider_host::types::ChatRequest;
use provider_host::{Plugin, Provider};

struct Options {
    rounds: usize,
    events: usize,
    /// Only answers of this kind, and nothing that comes once a chat.
    kind: Option<Kind>,
}

fn main() {
    let options = options();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(measure(&options));
}

fn options() -> Options {
    let mut options = Options {
        rounds: 7,
        events: 100_000,
        kind: None,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().unwrap_or_default();
        let kind = Kind::ALL.iter().find(|kind| kind.name() == value);
        match (name.as_str(), value.parse(), kind) {
            ("--rounds", Ok(number), _) => options.rounds = number,
            ("--events", Ok(number), _) => options.events = number,
            ("--kind", _, Some(kind)) => options.kind = Some(*kind),
            _ => {
                eprintln!("usage: in-process [--rounds N] [--events N] [--kind text|reasoning|…]");
                std::process::exit(2);
            }
        }
    }
    options
}

/// What reads an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reader {
    Sandbox,
    SandboxSuspended,
    Core,
    AsyncOpenai,
    SerdeMinimal,
    Floor,
}

impl Reader {
    const ALL: [Self; 6] = [
        Self::Sandbox,
        Self::SandboxSuspended,
        Self::Core,
        Self::AsyncOpenai,
        Self::SerdeMinimal,
        Self::Floor,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Sandbox => "vllm-provider in its sandbox",
            Self::SandboxSuspended => "the same, no two frames at once",
            Self::Core => "its core, native",
            Self::AsyncOpenai => "eventsource-stream + async-openai types",
            Self::SerdeMinimal => "memchr + serde_json, minimal",
            Self::Floor => "line ends found, bytes copied",
        }
    }

    /// Whether it reads what this answer is made of.
    fn reads(self, kind: Kind) -> bool {
        // OpenAI has no field for thinking.
        !(self == Self::AsyncOpenai && kind == Kind::Reasoning)
    }
}

async fn measure(options: &Options) {
    let engine = sandbox::engine();
    let plugin = sandbox::plugin(&engine);
    println!(
        "{} events, {} rounds; ns of this thread per event: median (smallest–largest); × is to eventsource-stream + \
         async-openai types in the same round\n",
        options.events, options.rounds
    );
    for kind in Kind::ALL {
        if options.kind.is_some_and(|only| only != kind) {
            continue;
        }
        println!(
            "| {} | 1 a frame | × | 8 a frame | × | 64 a frame | × |",
            kind.name()
        );
        println!("|---|---|---|---|---|---|---|");
        let mut cells: Vec<Vec<String>> = vec![Vec::new(); Reader::ALL.len()];
        for per_frame in [1, 8, 64] {
            let figures = compare(options, &plugin, kind, per_frame).await;
            for (row, (spread, ratio)) in cells.iter_mut().zip(figures) {
                row.push(spread);
                row.push(ratio);
            }
        }
        for (reader, cells) in Reader::ALL.iter().zip(cells) {
            println!("| {} | {} |", reader.name(), cells.join(" | "));
        }
        println!();
    }
    if options.kind.is_none() {
        whole(options, &plugin).await;
    }
}

/// Every reader over one answer; a cell and its ratio each.
async fn compare(
    options: &Options,
    plugin: &Plugin,
    kind: Kind,
    per_frame: usize,
) -> Vec<(String, String)> {
    let frames = answer::frames(kind, options.events, per_frame);
    let model = sandbox::model();
    let request = sandbox::request();
    let provider = sandbox::provider(plugin, Memory::new(frames.clone(), false));
    let suspended = sandbox::provider(plugin, Memory::new(frames.clone(), true));
    let expected = core::decode(&frames);
    let mut readings = vec![Vec::new(); Reader::ALL.len()];
    for _ in 0..options.rounds {
        for (reader, readings) in Reader::ALL.iter().zip(&mut readings) {
            if !reader.reads(kind) {
                continue;
            }
            let began = thread_time();
            let read = match reader {
                Reader::Sandbox => sandbox::chat(&provider, &model, &request).await,
                Reader::SandboxSuspended => sandbox::chat(&suspended, &model, &request).await,
                Reader::Core => core::decode(&frames),
                Reader::AsyncOpenai => native::async_openai(&frames).await,
                Reader::SerdeMinimal => native::serde_minimal(&frames),
                Reader::Floor => native::floor(&frames),
            };
            let time = thread_time() - began;
            check(*reader, black_box(read), expected);
            readings.push(time as f64 / options.events as f64);
        }
    }
    let base = readings[Reader::ALL
        .iter()
        .position(|reader| *reader == Reader::AsyncOpenai)
        .expect("it is among them")]
    .clone();
    readings
        .iter()
        .map(|readings| {
            let ratios: Vec<f64> = readings.iter().zip(&base).map(|(a, b)| a / b).collect();
            (cell(readings, 0), ratio(&ratios))
        })
        .collect()
}

/// No reader may leave out what another reads.
fn check(reader: Reader, read: Read, expected: Read) {
    if reader != Reader::Floor {
        assert_eq!(read, expected, "{reader:?} read something else");
    }
}

fn cell(readings: &[f64], digits: usize) -> String {
    if readings.is_empty() {
        return "–".to_owned();
    }
    let Spread { min, median, max } = Spread::of(readings);
    format!("**{median:.digits$}** ({min:.digits$}–{max:.digits$})")
}

fn ratio(ratios: &[f64]) -> String {
    match ratios {
        [] => "–".to_owned(),
        ratios => format!("{:.2}", Spread::of(ratios).median),
    }
}

/// What comes once a chat, and not once an event.
async fn whole(options: &Options, plugin: &Plugin) {
    const TIMES: usize = 2_000;
    let model = sandbox::model();
    let request = sandbox::request();
    let short = sandbox::provider(plugin, Memory::new(answer::frames(Kind::Text, 8, 1), false));
    let listing: Vec<Bytes> = vec![answer::models(1_000)];
    let listing = sandbox::provider(plugin, Memory::new(listing, false));
    let long = ChatRequest::user(&"Say it again. ".repeat(3_600));
    let mut rows: [(&str, Vec<f64>); 5] = [
        ("an instance started and dropped", Vec::new()),
        ("settings checked, in an instance of its own", Vec::new()),
        (
            "a chat of 8 tokens, from the instance to its end",
            Vec::new(),
        ),
        ("the same with a prompt of 50 KB", Vec::new()),
        ("a listing of 1,000 models", Vec::new()),
    ];
    for _ in 0..options.rounds {
        let [instance, settings, chat, prompt, models] = &mut rows;
        instance.1.push(
            per_time(TIMES, async || {
                short.instantiate().await.expect("an instance");
            })
            .await,
        );
        settings.1.push(
            per_time(TIMES, async || {
                short.check_settings().await.expect("settings like any");
            })
            .await,
        );
        chat.1.push(
            per_time(TIMES, async || {
                let read = sandbox::chat(&short, &model, &request).await;
                assert_eq!(read.pieces, 8);
            })
            .await,
        );
        prompt.1.push(
            per_time(TIMES / 4, async || {
                let read = sandbox::chat(&short, &model, &long).await;
                assert_eq!(read.pieces, 8);
            })
            .await,
        );
        models
            .1
            .push(per_time(TIMES / 100, async || list(&listing).await).await);
    }
    println!("| once | µs of this thread |\n|---|---|");
    for (name, readings) in rows {
        println!("| {name} | {} |", cell(&readings, 1));
    }
}

async fn list(provider: &Provider) {
    let catalog = provider.list_models().await.expect("a listing");
    assert_eq!(catalog.models.len(), 1_000);
}

/// Microseconds of one time, of many, once it has been done for a while.
async fn per_time(times: usize, mut act: impl AsyncFnMut()) -> f64 {
    for _ in 0..times / 4 {
        act().await;
    }
    let began = thread_time();
    for _ in 0..times {
        act().await;
    }
    (thread_time() - began) as f64 / times as f64 / 1e3
}
