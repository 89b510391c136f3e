//! What is counted.

use std::hint::black_box;

use provider_host::{Engine, EngineOptions, Plugin};

use crate::answer::{self, Kind};
use crate::sandbox::Memory;
use crate::{core, sandbox};

/// A piece of work that is done few times, and many times.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// What is counted in it, for the table.
    pub(crate) unit: &'static str,
    /// How many of them one time has.
    pub(crate) units: usize,
    pub(crate) few: usize,
    pub(crate) many: usize,
}

/// Events of an answer: its beginning and its end count for little.
const EVENTS: usize = 2_000;

const fn events(name: &'static str, many: usize) -> Scenario {
    Scenario {
        name,
        unit: "event",
        units: EVENTS,
        few: 1,
        many,
    }
}

const fn once(name: &'static str, unit: &'static str, many: usize) -> Scenario {
    Scenario {
        name,
        unit,
        units: 1,
        few: 20,
        many,
    }
}

/// The scenario of a whole chat.
pub(crate) const A_CHAT: &str = "sandbox: a chat of 8 tokens";

pub(crate) const SCENARIOS: &[Scenario] = &[
    events("core: text", 11),
    events("core: tool arguments", 11),
    events("core: text, usage in every chunk", 6),
    once("core: a request made", "request", 1_020),
    events("sandbox: text, one event at a time", 4),
    events("sandbox: text, 64 events at a time", 11),
    once(A_CHAT, "chat", 220),
];

/// Does the work of a scenario.
pub(crate) fn run(name: &str, times: usize) {
    match name {
        "core: text" => decode(Kind::Text, times),
        "core: tool arguments" => decode(Kind::Tool, times),
        "core: text, usage in every chunk" => decode(Kind::Usage, times),
        "core: a request made" => {
            for _ in 0..times {
                black_box(core::prepare());
            }
        }
        "sandbox: text, one event at a time" => chats(EVENTS, 1, times),
        "sandbox: text, 64 events at a time" => chats(EVENTS, 64, times),
        A_CHAT => chats(8, 1, times),
        _ => panic!("no scenario {name:?}"),
    }
}

fn decode(kind: Kind, times: usize) {
    let frames = answer::frames(kind, EVENTS, 1);
    for _ in 0..times {
        black_box(core::decode(&frames));
    }
}

fn chats(events: usize, per_frame: usize, chats: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let mut options = EngineOptions::default();
        // A pool of the usual size has more address space than valgrind follows.
        options.max_chats = 2;
        // Compiling under valgrind takes its time, and once is enough.
        options.cache_dir = provider_host::default_cache_dir();
        let engine = Engine::new(options).expect("an engine");
        let plugin = Plugin::embedded(&engine).expect("the plugin of this build");
        let frames = answer::frames(Kind::Text, events, per_frame);
        let provider = sandbox::provider(&plugin, Memory::new(frames, true));
        let (model, request) = (sandbox::model(), sandbox::request());
        for _ in 0..chats {
            let read = sandbox::chat(&provider, &model, &request).await;
            assert_eq!(read.pieces, events as u64);
        }
    });
}
