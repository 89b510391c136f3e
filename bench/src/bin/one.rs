//! One reader over one answer, for a profiler: `one READER KIND PER_FRAME EVENTS TIMES`.

use std::hint::black_box;

use provider_bench::answer::{self, Kind};
use provider_bench::core;
use provider_bench::measure::thread_time;
use provider_bench::sandbox::{self, Memory};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [reader, kind, per_frame, events, times] = &arguments[..] else {
        eprintln!("usage: one sandbox|suspended|instance|core|prepare KIND PER_FRAME EVENTS TIMES");
        std::process::exit(2);
    };
    let kind = Kind::ALL.into_iter().find(|one| one.name() == kind);
    let kind = kind.expect("a kind of answer");
    let number = |text: &String| text.parse::<usize>().expect("a number");
    let (events, times) = (number(events), number(times));
    let frames = answer::frames(kind, events, number(per_frame));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let time = runtime.block_on(async {
        if reader == "prepare" {
            let began = thread_time();
            for _ in 0..times {
                black_box(core::prepare());
            }
            return thread_time() - began;
        }
        if reader == "core" {
            let began = thread_time();
            for _ in 0..times {
                black_box(core::decode(&frames));
            }
            return thread_time() - began;
        }
        let engine = sandbox::engine();
        let plugin = sandbox::plugin(&engine);
        let provider = sandbox::provider(&plugin, Memory::new(frames, reader == "suspended"));
        let (model, request) = (sandbox::model(), sandbox::request());
        black_box(sandbox::chat(&provider, &model, &request).await);
        if reader == "instance" {
            let began = thread_time();
            for _ in 0..times {
                provider.instantiate().await.expect("an instance");
            }
            return thread_time() - began;
        }
        let began = thread_time();
        for _ in 0..times {
            black_box(sandbox::chat(&provider, &model, &request).await);
        }
        thread_time() - began
    });
    println!("{:.1} ns per event", time as f64 / (events * times) as f64);
}
