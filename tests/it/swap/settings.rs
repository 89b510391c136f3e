//! Settings that change, and what survives of what was there.

use provider_host::ErrorKind;
use provider_host::registry::{Cause, Stage, SwapPolicy, What};

use super::{
    Numbered, PIECES, begin, event, finish, in_time, options, read, slot, so_far, variants,
};

#[tokio::test]
async fn another_server_serves_the_next_chat_and_not_the_one_that_runs() {
    let (server, registry, slot) = slot(SwapPolicy::new()).await;
    let other = Numbered::start().await;
    other.allow(PIECES);
    server.allow(1);
    let mut chat = begin(&slot).await;
    read(&mut chat, 0, 1).await;
    let mut events = registry.subscribe();
    let served = in_time(slot.configure(options(&other.base_url(), "key"))).await;
    assert_eq!(served.expect("settings").generation, 2);
    let serving = event(&mut events, |one| matches!(one.what, What::Serving(_))).await;
    assert!(matches!(serving.what, What::Serving(Cause::Configured)));
    finish(begin(&slot).await, 0).await;
    assert_eq!((server.connections(), other.connections()), (1, 1));
    server.allow(PIECES);
    finish(chat, 1).await;
    // And back, to a connection that is there still.
    slot.roll_back().expect("the first server");
    finish(begin(&slot).await, 0).await;
    assert_eq!((server.connections(), other.connections()), (1, 1));
}

#[tokio::test]
async fn settings_that_the_plugin_does_not_take_change_nothing() {
    let (server, registry, slot) = slot(SwapPolicy::new()).await;
    let mut events = registry.subscribe();
    let mut wrong = options(&server.base_url(), "key");
    wrong.settings.config = Some(r#"{"baseUrl": 7}"#.into());
    let refusal = in_time(slot.configure(wrong)).await.expect_err("no URL");
    assert_eq!(refusal.stage(), Stage::Settings);
    assert_eq!(refusal.error().kind(), &ErrorKind::InvalidConfig);
    assert_eq!(so_far(&mut events), [("refused", Some(1))]);
    assert_eq!(slot.generation(), 1);
}

#[tokio::test]
async fn connections_survive_a_swap_of_the_plugin_and_of_the_key() {
    let (server, _registry, slot) = slot(SwapPolicy::new()).await;
    server.allow(PIECES);
    finish(begin(&slot).await, 0).await;
    in_time(slot.offer_bytes(variants::version("0.2.0")))
        .await
        .expect("a newer one");
    finish(begin(&slot).await, 0).await;
    in_time(slot.configure(options(&server.base_url(), "another")))
        .await
        .expect("settings");
    finish(begin(&slot).await, 0).await;
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn the_models_survive_a_swap_of_the_plugin_and_not_one_of_the_settings() {
    let (server, _registry, slot) = slot(SwapPolicy::new()).await;
    let first = in_time(slot.models()).await.expect("models");
    assert_eq!(first.catalog.models.len(), 1);
    in_time(slot.offer_bytes(variants::version("0.2.0")))
        .await
        .expect("a newer one");
    let kept = in_time(slot.models()).await.expect("models");
    assert_eq!(kept.asked, first.asked, "nobody was asked");
    in_time(slot.configure(options(&server.base_url(), "another")))
        .await
        .expect("settings");
    let anew = in_time(slot.models()).await.expect("models");
    assert!(anew.asked > first.asked, "the server was asked");
}
