//! Dropping a chat ends it at the server; dropping a wait loses nothing.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use futures_core::Stream as _;
use provider_host::mock::{Mock, Options};
use provider_host::policy::NetworkLimits;
use provider_host::types::Event;
use provider_host::{Engine, EngineOptions, ErrorKind, Plugin};

use crate::support::{BOUND, ask, collect, model, provider, provider_of, text};

/// A mock that takes its time, so that a chat can be met half-way.
async fn slow_mock() -> Mock {
    Mock::start(Options {
        rate: Some(50.0),
        ..Options::default()
    })
    .await
    .expect("a mock")
}

/// Waits for something to become true at the server.
async fn eventually(what: &str, mut is: impl FnMut() -> bool) {
    let start = tokio::time::Instant::now();
    while !is() {
        assert!(start.elapsed() < BOUND, "not within {BOUND:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropping_a_chat_in_mid_stream_closes_the_connection() {
    let mock = slow_mock().await;
    let provider = provider(&mock.base_url(), "k", NetworkLimits::new());
    let mut chat = provider
        .chat(&model("mock-model"), &ask("Count to one hundred."))
        .await
        .expect("a chat");
    let mut seen = 0;
    while seen < 5 {
        seen += chat.next_batch(4).await.expect("events").len();
    }
    assert_eq!(mock.running(), 1);
    drop(chat);
    eventually("the server sees that its client left", || {
        mock.aborted() == 1
    })
    .await;
    eventually("no chat runs at the server", || mock.running() == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropping_a_chat_before_its_first_event_closes_the_connection() {
    let mock = Mock::start(Options {
        faults: vec!["silent-after:0".parse().expect("a fault")],
        ..Options::default()
    })
    .await
    .expect("a mock");
    let provider = provider(&mock.base_url(), "k", NetworkLimits::new());
    let mut chat = provider
        .chat(&model("mock-model"), &ask("Say hello."))
        .await
        .expect("a chat");
    let waited = tokio::time::timeout(Duration::from_millis(200), chat.next_batch(1)).await;
    assert!(waited.is_err(), "{waited:?}");
    drop(chat);
    eventually("the server sees that its client left", || {
        mock.aborted() == 1
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropping_the_wait_for_an_event_loses_no_event() {
    let mock = slow_mock().await;
    let provider = provider(&mock.base_url(), "k", NetworkLimits::new());
    let request = ask("Say hello.");
    let whole = provider
        .chat(&model("mock-model"), &request)
        .await
        .expect("a chat");
    let (whole, error) = collect(whole, 64).await;
    assert!(error.is_none(), "{error:?}");

    let mut chat = provider
        .chat(&model("mock-model"), &request)
        .await
        .expect("a chat");
    let mut events = Vec::new();
    let mut dropped = 0;
    loop {
        match tokio::time::timeout(Duration::from_millis(3), chat.next_batch(1)).await {
            Err(_) => dropped += 1,
            Ok(batch) => {
                let batch = batch.expect("events");
                if batch.is_empty() {
                    break;
                }
                events.extend(batch);
            }
        }
    }
    assert!(dropped > 0, "no wait was ever dropped");
    assert_eq!(text(&events), text(&whole));
    assert_eq!(events.len(), whole.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chat_is_a_stream_that_can_be_sent_to_another_task() {
    let mock = Mock::start(Options::default()).await.expect("a mock");
    let provider = provider(&mock.base_url(), "k", NetworkLimits::new());
    let chat = provider
        .chat(&model("mock-model"), &ask("Say hello."))
        .await
        .expect("a chat");
    let events = tokio::spawn(async move {
        let mut chat = chat;
        let mut events = Vec::new();
        while let Some(event) = poll_fn(|cx| Pin::new(&mut chat).poll_next(cx)).await {
            events.push(event.expect("no error"));
        }
        events
    })
    .await
    .expect("a task");
    assert!(matches!(events.first(), Some(Event::Start(_))));
    assert!(matches!(events.last(), Some(Event::Finish(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chats_run_beside_each_other_and_share_connections() {
    let mock = Mock::start(Options::default()).await.expect("a mock");
    let provider = provider(&mock.base_url(), "k", NetworkLimits::new());
    let mut expected = None;
    for _ in 0..3 {
        let chats: Vec<_> = (0..16)
            .map(|_| {
                let provider = provider.clone();
                tokio::spawn(async move {
                    let chat = provider
                        .chat(&model("mock-model"), &ask("Say hello."))
                        .await?;
                    let (events, error) = collect(chat, 64).await;
                    error.map_or(Ok(text(&events)), Err)
                })
            })
            .collect();
        for chat in chats {
            let answer = chat.await.expect("a task").expect("an answer");
            assert_eq!(expected.get_or_insert(answer.clone()), &answer);
        }
    }
    assert!(
        mock.connections() <= 16 * 2,
        "{} connections for 48 chats",
        mock.connections()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_is_full_says_so_and_has_room_again_when_a_chat_ends() {
    let mut options = EngineOptions::default();
    options.max_chats = 1;
    let engine = Engine::new(options).expect("an engine");
    let plugin = Plugin::embedded(&engine).expect("the plugin");
    let mock = slow_mock().await;
    let provider = provider_of(&plugin, &mock.base_url(), "k", NetworkLimits::new());

    let chat = provider
        .chat(&model("mock-model"), &ask("Say hello."))
        .await
        .expect("a chat");
    let full = provider
        .chat(&model("mock-model"), &ask("Say hello."))
        .await
        .expect_err("no room");
    assert_eq!(full.kind(), &ErrorKind::Overloaded, "{full:?}");
    assert!(full.retryable() && !full.request_sent(), "{full:?}");
    drop(chat);
    let again = provider
        .chat(&model("mock-model"), &ask("Say hello."))
        .await
        .expect("room");
    let (_, error) = collect(again, 64).await;
    assert!(error.is_none(), "{error:?}");
}
