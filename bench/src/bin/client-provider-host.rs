//! The sandboxed provider, as an embedder runs it: one engine, one provider a server, a chat in a sandbox of its own.

use std::cell::RefCell;
use std::collections::HashMap;

use provider_bench::client::{self, Answer, Client};
use provider_bench::sandbox;
use provider_host::policy::{Grant, Origin};
use provider_host::types::{ChatRequest, Event, Model};
use provider_host::{Plugin, Provider, ProviderOptions};

struct Ours {
    plugin: Plugin,
    providers: RefCell<HashMap<String, Provider>>,
    model: Model,
    request: ChatRequest,
}

impl Ours {
    fn new() -> Self {
        let engine = sandbox::engine();
        Self {
            plugin: sandbox::plugin(&engine),
            providers: RefCell::default(),
            model: sandbox::model(),
            request: sandbox::request(),
        }
    }

    fn provider(&self, base_url: &str) -> Provider {
        let make = || {
            let grant = Grant::new(Origin::parse(base_url).expect("an origin"));
            let options = ProviderOptions::new(sandbox::settings(base_url), grant);
            Provider::new(&self.plugin, options).expect("a provider")
        };
        let mut providers = self.providers.borrow_mut();
        providers
            .entry(base_url.to_owned())
            .or_insert_with(make)
            .clone()
    }
}

impl Client for Ours {
    async fn chat(&self, base_url: &str, mut answer: Answer) -> Answer {
        let provider = self.provider(base_url);
        let mut chat = provider
            .chat(&self.model, &self.request)
            .await
            .expect("a chat");
        loop {
            let batch = chat.next_batch(256).await.expect("an honest answer");
            if batch.is_empty() {
                return answer;
            }
            for event in batch {
                match event {
                    Event::Text(text) => answer.delta(&text),
                    Event::Usage(usage) => answer.usage = usage.output,
                    Event::Finish(_) => answer.finish = true,
                    _ => {}
                }
            }
        }
    }
}

fn main() {
    client::run(Ours::new);
}
