//! What becomes of a generation that was replaced.

use std::time::Duration;

use provider_host::ErrorKind;
use provider_host::registry::{SwapPolicy, What};

use super::{PIECES, begin, event, finish, in_time, read, slot, variants};
use crate::support;

#[tokio::test]
async fn a_chat_that_outlasts_the_deadline_ends_in_an_error_that_says_so() {
    let policy = SwapPolicy::new().with_drain_deadline(Duration::from_millis(50));
    let (server, registry, slot) = slot(policy).await;
    server.allow(5);
    let mut begun = begin(&slot).await;
    read(&mut begun, 0, 5).await;
    let mut waiting = begin(&slot).await;
    let mut events = registry.subscribe();
    in_time(slot.offer_bytes(variants::version("0.2.0")))
        .await
        .expect("a newer one");
    let draining = event(&mut events, |one| matches!(one.what, What::Draining { .. })).await;
    assert!(matches!(draining.what, What::Draining { chats: 2 }));
    // The reader sleeps, and is woken.
    let error = in_time(begun.next_batch(64)).await.expect_err("the end");
    assert_eq!(error.kind(), &ErrorKind::PluginRetired);
    assert_eq!(error.kind_name(), "plugin-retired");
    assert!(!error.retryable(), "some of it was handed out");
    for words in ["vllm 0.1.0 (generation 1)", "ask again", "drain_deadline"] {
        assert!(error.message().contains(words), "{}", error.message());
    }
    assert!(
        in_time(begun.next_batch(64))
            .await
            .expect("nothing more")
            .is_empty()
    );
    let ended = event(&mut events, |one| matches!(one.what, What::Ended { .. })).await;
    assert_eq!(ended.generation, Some(1));
    // What nobody reads is ended, too, and may be asked again: nothing of it was seen.
    let error = in_time(waiting.next_batch(64)).await.expect_err("the end");
    assert_eq!(error.kind(), &ErrorKind::PluginRetired);
    assert!(error.retryable());
    let counters = slot.status().counters;
    assert_eq!((counters.ended, counters.failed), (2, 0));
    // A chat of the present generation is not concerned.
    let after = begin(&slot).await;
    server.allow(PIECES);
    finish(after, 0).await;
}

#[tokio::test]
async fn no_time_to_drain_is_no_time() {
    let (server, _registry, slot) =
        slot(SwapPolicy::new().with_drain_deadline(Duration::ZERO)).await;
    server.allow(1);
    let mut chat = begin(&slot).await;
    read(&mut chat, 0, 1).await;
    in_time(slot.offer_bytes(variants::version("0.2.0")))
        .await
        .expect("a newer one");
    let error = in_time(chat.next_batch(64)).await.expect_err("the end");
    assert_eq!(error.kind(), &ErrorKind::PluginRetired);
}

#[tokio::test]
async fn a_generation_that_was_replaced_is_listed_until_its_last_chat_is_gone() {
    let (server, registry, slot) = slot(SwapPolicy::new()).await;
    server.allow(1);
    let mut chat = begin(&slot).await;
    read(&mut chat, 0, 1).await;
    let mut events = registry.subscribe();
    in_time(slot.offer_bytes(variants::version("0.2.0")))
        .await
        .expect("a newer one");
    in_time(slot.offer_bytes(variants::version("0.3.0")))
        .await
        .expect("a newer one");
    let draining = slot.status().draining;
    assert_eq!(draining.len(), 1, "{draining:?}");
    assert_eq!((draining[0].number, draining[0].chats), (1, 1));
    in_time(slot.offer_bytes(variants::version("0.4.0")))
        .await
        .expect("a newer one");
    server.allow(PIECES);
    finish(chat, 1).await;
    let drained = |one: &provider_host::registry::RegistryEvent| {
        matches!(one.what, What::Drained) && one.generation == Some(1)
    };
    event(&mut events, drained).await;
    assert!(slot.status().draining.is_empty());
}

#[tokio::test]
async fn a_chat_that_is_dropped_leaves_its_generation() {
    let (server, registry, slot) = slot(SwapPolicy::new()).await;
    server.allow(1);
    let mut chat = begin(&slot).await;
    read(&mut chat, 0, 1).await;
    assert_eq!(slot.status().serving.chats, 1);
    let mut events = registry.subscribe();
    in_time(slot.offer_bytes(variants::version("0.2.0")))
        .await
        .expect("a newer one");
    drop(chat);
    event(&mut events, |one| matches!(one.what, What::Drained)).await;
    assert_eq!(slot.status().counters.dropped, 1);
    assert_eq!(
        support::plugin().digest(),
        slot.status().previous.expect("kept").0.as_ref()
    );
}
