//! Plugins and settings that are replaced while chats run.

mod drain;
mod offers;
mod server;
mod settings;
mod under_way;
#[path = "../support/variants.rs"]
pub(crate) mod variants;
mod watched;

use std::future::Future;

use provider_host::policy::{Binding, Grant, Origin, Secret, Secrets};
use provider_host::registry::{Registry, RegistryEvent, Slot, SwapPolicy, What};
use provider_host::types::{Event, FinishReason, Settings};
use provider_host::{Chat, ProviderOptions};
use tokio::sync::broadcast::Receiver;

use crate::support::{BOUND, ask, model, plugin, short_limits};
use server::{Numbered, PIECES};

/// Settings and grant for a server.
fn options(base_url: &str, key: &str) -> ProviderOptions {
    let mut secrets = Secrets::new();
    let key = secrets.mint(Secret::new(key).expect("a key"), Binding::api_key());
    let settings = Settings::at(base_url).with_api_key(key.expect("a placeholder").as_str());
    let limits = short_limits()
        .with_idle_timeout(BOUND)
        .with_first_byte_timeout(BOUND);
    let grant = Grant::new(Origin::parse(base_url).expect("an origin"))
        .with_secrets(secrets)
        .with_limits(limits.with_total_timeout(BOUND));
    ProviderOptions::new(settings, grant)
}

/// A registry with a slot of the embedded plugin, over a server.
pub(crate) async fn slot(policy: SwapPolicy) -> (Numbered, Registry, Slot) {
    let server = Numbered::start().await;
    let registry = Registry::with_policy(policy);
    let slot = registry
        .serve(plugin(), options(&server.base_url(), "key"))
        .expect("a slot");
    (server, registry, slot)
}

async fn begin(slot: &Slot) -> Chat {
    let (model, request) = (model("model"), ask("Count."));
    in_time(slot.chat(&model, &request)).await.expect("a chat")
}

/// Reads on until so many pieces have come; each has to be the next one. Whether the answer's finish came with the last.
async fn read(chat: &mut Chat, from: u32, to: u32) -> bool {
    let mut next = from;
    let mut finished = false;
    while next < to {
        for event in in_time(chat.next_batch(64)).await.expect("events") {
            finished |= event == Event::Finish(FinishReason::Stop);
            if let Event::Text(text) = event {
                for number in text.split_whitespace() {
                    assert_eq!(number.parse(), Ok(next), "lost, doubled or out of order");
                    next += 1;
                }
            }
        }
    }
    assert_eq!(next, to, "more than was sent");
    finished
}

/// Reads to the end, from a piece on.
async fn finish(mut chat: Chat, from: u32) {
    let mut finished = read(&mut chat, from, PIECES).await;
    loop {
        let batch = in_time(chat.next_batch(64)).await.expect("events");
        if batch.is_empty() {
            break;
        }
        assert!(!finished, "something behind the finish");
        finished = batch.contains(&Event::Finish(FinishReason::Stop));
    }
    assert!(finished);
}

async fn in_time<T>(what: impl Future<Output = T>) -> T {
    let outcome = tokio::time::timeout(BOUND, what).await;
    outcome.unwrap_or_else(|_| panic!("nothing within {BOUND:?}"))
}

/// The next event that is one of these.
pub(crate) async fn event(
    events: &mut Receiver<RegistryEvent>,
    is: impl Fn(&RegistryEvent) -> bool,
) -> RegistryEvent {
    loop {
        let event = in_time(events.recv()).await.expect("an event");
        if is(&event) {
            return event;
        }
    }
}

/// Everything that happened so far, by name and generation.
fn so_far(events: &mut Receiver<RegistryEvent>) -> Vec<(&'static str, Option<u64>)> {
    let name = |what: &What| match what {
        What::Noticed { .. } => "noticed",
        What::Gone { .. } => "gone",
        What::Unchanged => "unchanged",
        What::Refused { .. } => "refused",
        What::Loaded { .. } => "loaded",
        What::Serving(_) => "serving",
        What::Draining { .. } => "draining",
        What::Ended { .. } => "ended",
        What::Drained => "drained",
        _ => "new",
    };
    let mut all = Vec::new();
    while let Ok(event) = events.try_recv() {
        all.push((name(&event.what), event.generation));
    }
    all
}
