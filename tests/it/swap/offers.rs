//! What may be offered, and what becomes of it.

use provider_host::ErrorKind;
use provider_host::registry::{Cause, Exchange, Offered, SelfTest, Stage, SwapPolicy, What};
use provider_host::route::{Route, Step, Target};
use provider_host::types::Event;

use super::{PIECES, begin, event, finish, in_time, slot, so_far, variants};
use crate::support;

#[tokio::test]
async fn the_same_bytes_change_nothing() {
    let (_server, registry, slot) = slot(SwapPolicy::new()).await;
    let mut events = registry.subscribe();
    let offered = in_time(slot.offer_bytes(provider_host::plugin::EMBEDDED)).await;
    assert_eq!(
        offered.expect("no refusal"),
        Offered::Unchanged { generation: 1 }
    );
    assert_eq!(so_far(&mut events), [("unchanged", None)]);
}

#[tokio::test]
async fn one_call_returns_to_what_served_before_and_only_once() {
    let (server, registry, slot) = slot(SwapPolicy::new()).await;
    let first = slot.provider().plugin().digest().to_owned();
    let nothing = slot.roll_back().expect_err("nothing served before");
    assert_eq!(nothing.kind(), &ErrorKind::InvalidPlugin);

    in_time(slot.offer_bytes(variants::version("0.2.0")))
        .await
        .expect("a newer one");
    let previous = slot.status().previous.expect("what is kept");
    assert_eq!(
        (&*previous.0, &*previous.1),
        (first.as_str(), variants::VERSION)
    );
    let mut events = registry.subscribe();
    assert_eq!(slot.roll_back().expect("a generation"), 3);
    assert_eq!(slot.provider().plugin().digest(), first);
    assert_eq!(
        so_far(&mut events),
        [("serving", Some(3)), ("drained", Some(2))]
    );
    assert!(slot.roll_back().is_err(), "what failed is not kept");
    server.allow(PIECES);
    finish(begin(&slot).await, 0).await;
    // Who asks for it gets it all the same.
    let again = in_time(slot.offer_bytes(variants::version("0.2.0"))).await;
    assert!(matches!(again, Ok(Offered::Serving(_))), "{again:?}");
}

#[tokio::test]
async fn an_older_one_serves_where_that_is_allowed() {
    let (_server, _registry, slot) = slot(SwapPolicy::new().with_downgrades(true)).await;
    for version in ["0.2.0", "0.1.5"] {
        let offered = in_time(slot.offer_bytes(variants::version(version))).await;
        assert!(matches!(offered, Ok(Offered::Serving(_))), "{offered:?}");
    }
    assert_eq!(&*slot.status().serving.version, "0.1.5");
}

#[tokio::test]
async fn of_a_folder_the_highest_version_that_can_serve_is_taken() {
    let (_server, _registry, slot) = slot(SwapPolicy::new()).await;
    let folder = tempfile::tempdir().expect("a folder");
    let refusal = in_time(slot.offer_directory(folder.path())).await;
    assert_eq!(refusal.expect_err("an empty folder").stage(), Stage::Read);

    let write = |name: &str, bytes: Vec<u8>| {
        std::fs::write(folder.path().join(name), bytes).expect("a file")
    };
    write("old.wasm", variants::version("0.0.9"));
    let older = in_time(slot.offer_directory(folder.path())).await;
    assert_eq!(
        older.expect("nothing new"),
        Offered::Unchanged { generation: 1 }
    );
    write("a.wasm", variants::version("0.2.0"));
    write("b.wasm", variants::version("0.3.0"));
    write("broken.wasm", b"\0asm".to_vec());
    write("lying.wasm", variants::lying("0.9.0"));
    write("other.wasm", variants::named("vlmm"));
    write(".hidden.wasm", variants::version("0.8.0"));
    write("notes.txt", variants::version("0.7.0"));
    let offered = in_time(slot.offer_directory(folder.path())).await;
    assert!(matches!(offered, Ok(Offered::Serving(_))), "{offered:?}");
    assert_eq!(&*slot.status().serving.version, "0.3.0");
}

#[tokio::test]
async fn a_file_is_refused_by_its_name_and_a_signature_is_asked_for_where_the_policy_does() {
    use provider_host::plugin::trust::{Signatures, Trust};

    let trust = Trust::new(Signatures::Required);
    let (_server, _registry, slot) = slot(SwapPolicy::new().with_trust(trust)).await;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("p.wasm");
    std::fs::write(&path, variants::version("0.2.0")).expect("a file");
    let refusal = in_time(slot.offer_file(&path))
        .await
        .expect_err("nobody vouches");
    assert_eq!(refusal.stage(), Stage::Trust);
    assert_eq!(refusal.error().kind(), &ErrorKind::UntrustedPlugin);
    assert!(refusal.to_string().contains("p.wasm"), "{refusal}");
    let missing = in_time(slot.offer_file(folder.path().join("none.wasm"))).await;
    assert_eq!(missing.expect_err("no file").stage(), Stage::Read);
}

#[tokio::test]
async fn an_exchange_of_the_embedders_own_has_to_be_decoded_too() {
    let body = "data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"},\"finish_reason\":\"stop\"}]}\n\n\
                data: [DONE]\n\n";
    let answer = |text: &str| {
        let start = provider_host::types::StreamStart {
            id: "c".into(),
            model: "m".into(),
        };
        let events = vec![
            Event::Start(start),
            Event::Text(text.into()),
            Event::Finish(provider_host::types::FinishReason::Stop),
        ];
        SelfTest::new().with_exchange(Exchange::streamed("vllm", "mine", body, events))
    };
    let (_server, _registry, good) = slot(SwapPolicy::new().with_self_test(answer("Hi"))).await;
    let offered = in_time(good.offer_bytes(variants::version("0.2.0"))).await;
    assert!(matches!(offered, Ok(Offered::Serving(_))), "{offered:?}");
    let (_server, _registry, bad) = slot(SwapPolicy::new().with_self_test(answer("Ho"))).await;
    let refusal = in_time(bad.offer_bytes(variants::version("0.2.0"))).await;
    let refusal = refusal.expect_err("another text");
    assert!(refusal.to_string().contains("\"mine\""), "{refusal}");
}

#[tokio::test]
async fn two_providers_swap_independently() {
    let (server, registry, vllm) = slot(SwapPolicy::new()).await;
    let other = in_time(async {
        let bytes = variants::named("vlmm");
        provider_host::Plugin::from_bytes(support::engine(), &bytes).expect("a plugin")
    })
    .await;
    let other = registry
        .serve(&other, super::options(&server.base_url(), "key"))
        .expect("a slot");
    assert!(
        registry
            .serve(support::plugin(), super::options(&server.base_url(), "key"))
            .is_err()
    );
    in_time(vllm.offer_bytes(variants::version("0.2.0")))
        .await
        .expect("a newer one");
    assert_eq!((vllm.generation(), other.generation()), (2, 1));
    assert_eq!(registry.status().len(), 2);
    assert!(registry.provider("vlmm").is_some() && registry.provider("none").is_none());
}

#[tokio::test]
async fn a_plugin_that_never_answers_the_self_test_is_given_up_and_says_so() {
    let (_server, _registry, slot) = hostile_slot().await;
    // Its settings ask for an attack that its newer bytes carry out at once.
    let refusal = in_time(slot.offer_bytes(hostile("endless"))).await;
    let refusal = refusal.expect_err("a loop without end");
    assert_eq!(refusal.stage(), Stage::Settings, "{refusal}");
    assert_eq!(refusal.error().kind(), &ErrorKind::PluginLimit, "{refusal}");
    assert_eq!(slot.generation(), 1);
}

/// A slot of the hostile plugin, which loops when its settings are checked.
async fn hostile_slot() -> (
    super::Numbered,
    provider_host::registry::Registry,
    provider_host::registry::Slot,
) {
    let server = super::Numbered::start().await;
    let registry = provider_host::registry::Registry::new();
    let plugin = provider_host::Plugin::from_bytes(support::engine(), &hostile("first"));
    let mut options = super::options(&server.base_url(), "key");
    options.settings.config =
        Some(r#"{"attack":"endless-loop","at":"check-settings","granted":"127.0.0.1:1","other":"127.0.0.1:1"}"#.into());
    let slot = registry
        .serve(&plugin.expect("a plugin"), options)
        .expect("a slot");
    (server, registry, slot)
}

/// The hostile plugin, in bytes of its own.
fn hostile(note: &str) -> Vec<u8> {
    let bytes = std::fs::read(crate::hostile::file()).expect("the component");
    crate::hostile_files::components::with_section(bytes, "note", note.as_bytes())
}

#[tokio::test]
async fn a_route_over_a_slot_goes_to_what_serves() {
    let (server, registry, slot) = slot(SwapPolicy::new()).await;
    let route = Route::new(Target::of_slot(&slot, "model"));
    in_time(slot.offer_bytes(variants::version("0.2.0")))
        .await
        .expect("a newer one");
    server.allow(PIECES);
    let mut events = registry.subscribe();
    let mut chat = route.chat(support::ask("Count."));
    let mut finished = false;
    loop {
        let steps = in_time(chat.next_batch(64)).await.expect("steps");
        if steps.is_empty() {
            break;
        }
        finished |= steps
            .iter()
            .any(|step| matches!(step, Step::Event(Event::Finish(_))));
    }
    assert!(finished);
    assert_eq!(slot.status().counters.finished, 1);
    slot.roll_back().expect("the first");
    let serving = event(&mut events, |one| matches!(one.what, What::Serving(_))).await;
    assert!(matches!(
        serving.what,
        What::Serving(Cause::RolledBack { from: 2 })
    ));
}
