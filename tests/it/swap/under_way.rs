//! Chats that run while everything is offered that can be wrong: none of them notices.

use provider_host::registry::{Cause, Offered, Stage, SwapPolicy, What};

use super::{PIECES, begin, event, finish, in_time, read, slot, variants};
use crate::hostile_files::components;
use crate::support;

const CHATS: usize = 40;

/// What is offered, and the step that has to refuse it; none: it serves.
fn offers() -> Vec<(&'static str, Vec<u8>, Option<Stage>)> {
    let whole = variants::version("0.3.0");
    let cut = whole[..whole.len() / 2].to_vec();
    vec![
        ("a newer version", variants::version("0.1.1"), None),
        ("a truncated file", cut, Some(Stage::Read)),
        ("noise", vec![0x5a; 10_000], Some(Stage::Read)),
        (
            "a later contract",
            variants::contract("0.1.7"),
            Some(Stage::Version),
        ),
        (
            "the next contract",
            variants::contract("0.2.0"),
            Some(Stage::Contract),
        ),
        ("a codec", codec(), Some(Stage::Contract)),
        ("one that wants files", curious(), Some(Stage::Imports)),
        (
            "another provider",
            variants::named("vlmm"),
            Some(Stage::Identity),
        ),
        (
            "an older version",
            variants::version("0.1.0"),
            Some(Stage::Version),
        ),
        ("a newer one", variants::version("0.2.0"), None),
        ("an empty shell", shell(), Some(Stage::Compile)),
        ("one that lies about itself", lying(), Some(Stage::SelfTest)),
        ("the newest", variants::version("0.3.0"), None),
    ]
}

fn codec() -> Vec<u8> {
    let exports = ["llm:provider/info@0.1.0", "llm:provider/wire@0.1.0"];
    components::component(&[], &exports, &[])
}

fn curious() -> Vec<u8> {
    components::with_section(
        components::component(&["wasi:filesystem/types@0.2.0"], components::PROVIDER, &[]),
        provider_host::plugin::MANIFEST_SECTION,
        components::MANIFEST,
    )
}

/// It has the right names, and nothing behind them.
fn shell() -> Vec<u8> {
    components::with_section(
        components::component(&[], components::PROVIDER, &[]),
        provider_host::plugin::MANIFEST_SECTION,
        br#"{"id": "vllm", "label": "V", "api": "a", "version": "0.9.0", "config_schema": {}}"#,
    )
}

fn lying() -> Vec<u8> {
    variants::lying("0.2.1")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chats_that_run_lose_double_and_reorder_nothing_whatever_is_offered() {
    let (server, registry, slot) = slot(SwapPolicy::new()).await;
    let mut events = registry.subscribe();
    let mut chats = Vec::new();
    for _ in 0..CHATS {
        chats.push((begin(&slot).await, 0));
    }
    let offers = offers();
    let steps = u32::try_from(offers.len()).expect("a few");
    let mut serving = 1;
    for (step, (name, bytes, refused_at)) in (1..=steps).zip(offers) {
        // In the middle of each answer, with more of it on its way.
        let pieces = PIECES * step / (steps + 1);
        server.allow(pieces);
        for (chat, from) in &mut chats[..CHATS / 2] {
            read(chat, *from, pieces).await;
            *from = pieces;
        }
        let offered = in_time(slot.offer_bytes(bytes)).await;
        match (offered, refused_at) {
            (Ok(Offered::Serving(new)), None) => {
                serving += 1;
                assert_eq!(new.generation, serving, "{name}");
            }
            (Err(refusal), Some(stage)) => assert_eq!(refusal.stage(), stage, "{name}: {refusal}"),
            (offered, _) => panic!("{name}: {offered:?}"),
        }
        assert_eq!(slot.generation(), serving, "{name}");
    }
    server.allow(PIECES);
    for (chat, from) in chats {
        finish(chat, from).await;
    }
    let counters = slot.status().counters;
    let finished = u64::try_from(CHATS).expect("a few");
    assert_eq!((counters.started, counters.finished), (finished, finished));
    assert_eq!(
        (counters.failed, counters.dropped, counters.ended),
        (0, 0, 0)
    );
    assert_eq!((counters.swaps, counters.refusals), (3, 10));
    let first = |one: &provider_host::registry::RegistryEvent| {
        matches!(one.what, What::Drained) && one.generation == Some(1)
    };
    event(&mut events, first).await;
    // And new chats are answered by the newest.
    finish(begin(&slot).await, 0).await;
}

#[tokio::test]
async fn a_later_version_of_the_contract_serves_and_the_next_one_is_refused_with_a_sentence() {
    let (server, registry, slot) = slot(SwapPolicy::new()).await;
    let mut events = registry.subscribe();
    let offered = in_time(slot.offer_bytes(variants::contract("0.1.7"))).await;
    assert!(matches!(offered, Ok(Offered::Serving(_))), "{offered:?}");
    server.allow(PIECES);
    finish(begin(&slot).await, 0).await;
    let served = event(&mut events, |one| matches!(one.what, What::Serving(_))).await;
    assert!(matches!(served.what, What::Serving(Cause::Offered)));
    assert_eq!((served.generation, &*served.provider), (Some(2), "vllm"));

    let refusal = in_time(slot.offer_bytes(variants::contract("0.2.0"))).await;
    let refusal = refusal.expect_err("another contract");
    assert_eq!(refusal.stage(), Stage::Contract);
    let told = refusal.to_string();
    assert!(
        told.contains("speaks version `0.2.0` of the contract"),
        "{told}"
    );
    assert!(told.contains("reads any 0.1.x"), "{told}");
    let refused = event(&mut events, |one| matches!(one.what, What::Refused { .. })).await;
    assert_eq!(refused.generation, None);
    assert!(refused.digest.is_some() && refused.version.is_some());
}

#[tokio::test]
async fn a_plugin_that_decodes_something_else_does_not_serve() {
    let (_server, _registry, slot) = slot(SwapPolicy::new()).await;
    let refusal = in_time(slot.offer_bytes(variants::deaf())).await;
    let refusal = refusal.expect_err("a broken build");
    assert_eq!(refusal.stage(), Stage::SelfTest, "{refusal}");
    let told = refusal.to_string();
    assert!(told.contains("vLLM says hello"), "{told}");
    assert_eq!(
        slot.provider().plugin().digest(),
        support::plugin().digest()
    );
}
