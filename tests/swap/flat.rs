//! Many swaps more, and what they leave behind.

use std::net::SocketAddr;

use provider_host::registry::{Offered, Registry};
use provider_host::{Engine, EngineOptions, Plugin};

use crate::{Options, figures, variants};

/// Plugins that take turns.
const PLUGINS: usize = 10;

/// Swaps before memory is looked at for the first time.
const WARM: usize = 100;

/// MiB that an allocator may keep more after the swaps than before.
const SLACK: u64 = 24;

/// Swaps plugins whose code is in the compile cache, with a chat at each tenth.
pub(crate) async fn run(options: &Options, address: SocketAddr, faults: &mut Vec<String>) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut engine = EngineOptions::default();
    engine.max_chats = 16;
    engine.cache_dir = Some(folder.path().join("cache"));
    let engine = Engine::new(engine).expect("an engine");
    let plugin = Plugin::embedded(&engine).expect("the plugin of this build");
    let slot = Registry::new()
        .serve(&plugin, crate::settings(address, ""))
        .expect("a slot");
    let plugins: Vec<Vec<u8>> = (0..PLUGINS)
        .map(|one| variants::noted(&one.to_string()))
        .collect();
    let mut before = 0;
    let began = std::time::Instant::now();
    for swap in 0..WARM + options.swaps {
        if swap == WARM {
            before = figures::resident_mib();
        }
        let outcome = slot.offer_bytes(plugins[swap % PLUGINS].clone()).await;
        if !matches!(outcome, Ok(Offered::Serving(_))) {
            faults.push(format!("swap {swap}: {outcome:?}"));
        }
        if swap % 10 == 0 {
            // It is begun, and left.
            let chat = slot.chat(&crate::model(), &crate::request()).await;
            let first = chat.expect("a chat").next_batch(1).await;
            first.expect("its first event");
        }
    }
    let after = figures::resident_mib();
    println!(
        "{} swaps more in {:.0} s: {before} MiB resident before, {after} MiB after",
        options.swaps,
        began.elapsed().as_secs_f32()
    );
    if after > before + SLACK {
        faults.push(format!("memory grew from {before} to {after} MiB"));
    }
}
