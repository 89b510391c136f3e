//! A chat as a whole has an end: the caller's, who may drop it whatever the guest is in the middle of, or that of its
//! time, though each call of it is over at once.

use std::time::Duration;

use provider_host::ErrorKind;

use super::witness::Witness;
use super::{Bounds, hostile, plugin};
use crate::hostile::ends::Ends;
use crate::support::{BOUND, ask, model};

/// What a guest may be in the middle of for as long as it likes, and where.
const IN_THE_MIDDLE: &[(&str, &str)] = &[
    ("endless-loop", "next"),
    ("endless-loop", "post-return"),
    ("endless-host-calls", "next"),
    ("costly-host-calls", "next"),
    ("bulk-instructions", "next"),
    ("endless-yields", "next"),
    ("endless-wait", "next"),
    ("body-that-nobody-reads", "next"),
    ("endless-request", "next"),
    ("endless-answer", "next"),
    ("silence-again-and-again", "next"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chat_that_is_dropped_in_the_middle_of_an_attack_is_gone_at_once() {
    for (attack, at) in IN_THE_MIDDLE {
        let other = Witness::start("").await;
        let granted = Witness::start(&other.address.to_string()).await;
        let servers = (granted.address, other.address);
        let hostile = hostile(plugin(), (attack, at), servers, Bounds::of(&Ends::Well));
        let chat = hostile
            .provider
            .chat(&model("hostile"), &ask("Attack."))
            .await;
        let mut chat = chat.expect("a chat");
        let first = chat.next_batch(64).await.expect("its greeting");
        assert_eq!(first.len(), 2, "{attack}");
        let more = tokio::time::timeout(Duration::from_millis(50), chat.next_batch(64)).await;
        assert!(more.is_err(), "{attack} in {at}: {more:?}");
        // A guest that went on to run while it is dropped would never let go of this thread.
        let dropped = tokio::task::spawn_blocking(move || drop(chat));
        let dropped = tokio::time::timeout(BOUND, dropped).await;
        assert!(dropped.is_ok(), "{attack} in {at} holds its host");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_always_ready_ends_when_its_time_is_up() {
    let other = Witness::start("").await;
    let servers = (other.address, other.address);
    let mut bounds = Bounds::of(&Ends::Limit("time ("));
    bounds.sandbox.event_bytes = u64::MAX;
    let hostile = hostile(plugin(), ("endless-thinking", "next"), servers, bounds);
    let chat = hostile
        .provider
        .chat(&model("hostile"), &ask("Attack."))
        .await;
    let mut chat = chat.expect("a chat");
    let end = async {
        loop {
            match chat.next_batch(64).await {
                Ok(events) => assert!(!events.is_empty(), "it has no end of its own"),
                Err(error) => return error,
            }
        }
    };
    let error = tokio::time::timeout(BOUND, end).await.expect("an end");
    assert_eq!(error.kind(), &ErrorKind::PluginLimit, "{error}");
    assert!(error.message().contains("time (3 s"), "{error}");
}
