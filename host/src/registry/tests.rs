//! That nothing keeps what was replaced: seen from inside, where a plugin can be counted.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::{Registry, SwapPolicy};
use crate::bindings::types::Settings;
use crate::egress::{self, ResponseBody, Timing, Transport};
use crate::plugin::{EMBEDDED, Plugin};
use crate::policy::{Grant, Origin};
use crate::registry::self_test::BASE_URL;
use crate::registry::{Exchange, Slot};
use crate::{Chat, Engine, EngineOptions, ErrorKind, ProviderOptions};

/// A server that answers with a head and is silent.
struct Silent;

impl Transport for Silent {
    fn send(&self, _: http::Request<Bytes>, _: Timing) -> egress::Exchange<'_> {
        Box::pin(async {
            let body = ResponseBody::stream(Never);
            let mut response = http::Response::new(body);
            let stream = http::HeaderValue::from_static("text/event-stream");
            let headers = response.headers_mut();
            headers.insert(http::header::CONTENT_TYPE, stream);
            Ok(response)
        })
    }
}

struct Never;

impl http_body::Body for Never {
    type Data = Bytes;
    type Error = egress::TransportError;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        std::task::Poll::Pending
    }
}

/// The embedded plugin in bytes of its own.
fn variant(number: u8) -> Vec<u8> {
    let mut bytes = EMBEDDED.to_vec();
    bytes.extend([0, 6, 4, b'n', b'o', b't', b'e', number]);
    bytes
}

fn slot(policy: SwapPolicy) -> Slot {
    let engine = Engine::new(EngineOptions {
        max_chats: 8,
        ..EngineOptions::default()
    });
    let engine = engine.expect("an engine");
    let plugin = Plugin::embedded(&engine).expect("the plugin");
    let settings = Settings::at(BASE_URL)
        .with_api_key("any")
        .with_discovery(false);
    let grant = Grant::new(Origin::parse(BASE_URL).expect("an origin"));
    Registry::with_policy(policy)
        .serve_over(
            &plugin,
            ProviderOptions::new(settings, grant),
            Arc::new(Silent),
        )
        .expect("a slot")
}

async fn begin(slot: &Slot) -> Chat {
    let exchange = &Exchange::built_in()[0];
    let chat = slot.chat(exchange.model(), exchange.request()).await;
    chat.expect("a chat")
}

#[tokio::test]
async fn a_plugin_goes_with_its_last_chat_and_the_one_before_the_present_stays() {
    let slot = slot(SwapPolicy::new());
    let first = slot.provider().plugin().downgrade();
    let mut chat = begin(&slot).await;
    let read = tokio::time::timeout(Duration::from_millis(5), chat.next_batch(1)).await;
    assert!(read.is_err(), "the server is silent: {read:?}");
    slot.offer_bytes(variant(1)).await.expect("another");
    let second = slot.provider().plugin().downgrade();
    slot.offer_bytes(variant(2)).await.expect("another");
    assert!(first.upgrade().is_some(), "its chat runs");
    assert!(second.upgrade().is_some(), "it can be rolled back to");
    drop(chat);
    assert!(first.upgrade().is_none(), "nothing runs on it");
    slot.offer_bytes(variant(3)).await.expect("another");
    assert!(second.upgrade().is_none(), "two have come since");
    slot.roll_back().expect("the one before");
    let third = slot.provider().plugin().downgrade();
    drop(slot);
    assert!(third.upgrade().is_none(), "nothing is left of a slot");
}

#[tokio::test]
async fn a_chat_that_nobody_reads_keeps_no_plugin_after_the_deadline() {
    let slot = slot(SwapPolicy::new().with_drain_deadline(Duration::ZERO));
    let first = slot.provider().plugin().downgrade();
    let mut unread = begin(&slot).await;
    slot.offer_bytes(variant(1)).await.expect("another");
    slot.offer_bytes(variant(2)).await.expect("another");
    assert!(first.upgrade().is_none(), "the chat is ended, read or not");
    let error = unread.next_batch(1).await.expect_err("the end");
    assert_eq!(error.kind(), &ErrorKind::PluginRetired);
    assert!(unread.next_batch(1).await.expect("no more").is_empty());
}
