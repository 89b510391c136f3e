//! A provider that attacks its host: what the sandbox is tested with.
//!
//! It is built like any provider, and the host cannot tell it from one before it runs. The settings say which attack it
//! makes, and in which function; without one it behaves. An attack that is stopped by the sandbox never returns. One that
//! is refused step by step returns what became of each step, and the answer of the chat is that list, so that the test
//! sees what the attacker saw.
#![cfg(target_arch = "wasm32")]

mod attacks;
mod bindings;
mod http;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use bindings::exports::llm::provider::{catalog, chat, info};
use bindings::llm::provider::types::{
    Catalog, CatalogSource, ChatRequest, Cost, Error, ErrorKind, Event, FinishReason, Manifest,
    Modality, Model, ModelSource, Note, Settings, StreamStart,
};

#[allow(unsafe_code, reason = "the attribute names a section of the file")]
#[unsafe(link_section = "llm-provider-manifest")]
#[used]
static MANIFEST: [u8; JSON.len()] = {
    let mut bytes = [0; JSON.len()];
    bytes.copy_from_slice(JSON);
    bytes
};

const JSON: &[u8] = br#"{"id":"hostile","label":"Hostile","api":"openai-completions","version":"0.1.0","config_schema":{}}"#;

/// What the settings order.
pub(crate) struct Orders {
    /// Name of the attack.
    attack: String,
    /// The function that makes it.
    at: String,
    /// The server that the grant names: `host:port`.
    pub(crate) granted: String,
    /// A server that it does not name.
    pub(crate) other: String,
    /// The placeholder of the key.
    pub(crate) key: String,
}

impl Orders {
    fn new(settings: &Settings) -> Self {
        let config = settings.config.as_deref().unwrap_or_default();
        // The test writes them without anything to escape.
        let field = |name: &str| {
            let (_, rest) = config.split_once(&format!("\"{name}\":\""))?;
            rest.split_once('"').map(|(value, _)| value.to_owned())
        };
        let field = |name| field(name).unwrap_or_default();
        Self {
            attack: field("attack"),
            at: field("at"),
            granted: field("granted"),
            other: field("other"),
            key: settings.api_key.clone().unwrap_or_default(),
        }
    }

    /// Attacks, if this is the place; gives what became of the steps.
    fn follow(&self, at: &str) -> Result<Vec<String>, Error> {
        if self.at != at {
            return Ok(Vec::new());
        }
        match attacks::ALL.iter().find(|(name, _)| *name == self.attack) {
            Some((_, attack)) => Ok(attack(self)),
            None => Err(error(format!("there is no attack {:?}", self.attack))),
        }
    }
}

fn error(message: String) -> Error {
    Error {
        kind: ErrorKind::Other("hostile".into()),
        message,
        status: None,
        code: None,
        retryable: false,
        retry_after_ms: None,
        request_sent: false,
        limit: None,
        requested: None,
    }
}

/// The component.
pub(crate) struct Hostile;

impl info::Guest for Hostile {
    fn get_manifest() -> Manifest {
        Manifest {
            id: "hostile".into(),
            label: "Hostile".into(),
            api: "openai-completions".into(),
            version: "0.1.0".into(),
            key_variable: None,
            default_base_url: None,
            documentation_url: None,
            config_schema: "{}".into(),
        }
    }

    fn check_settings(settings: Settings) -> Result<Vec<Note>, Error> {
        Orders::new(&settings)
            .follow("check-settings")
            .map(|_| Vec::new())
    }
}

impl catalog::Guest for Hostile {
    fn list_models(settings: Settings) -> Result<Catalog, Error> {
        Orders::new(&settings).follow("list-models")?;
        Ok(Catalog {
            source: CatalogSource::Declared,
            models: vec![model("hostile".into())],
            notes: Vec::new(),
        })
    }

    fn resolve_model(settings: Settings, id: String) -> Result<Model, Error> {
        Orders::new(&settings).follow("resolve-model")?;
        Ok(model(id))
    }
}

fn model(id: String) -> Model {
    Model {
        name: id.clone(),
        id,
        reasoning: false,
        input: vec![Modality::Text],
        cost: Cost {
            input: 0.0,
            output: 0.0,
            cache_read: 0.0,
            cache_write: 0.0,
        },
        context_window: 4096,
        max_tokens: 1024,
        parent: None,
        source: ModelSource::Declared,
    }
}

struct Stream {
    orders: Orders,
    calls: Cell<u32>,
    ready: RefCell<VecDeque<Event>>,
}

impl chat::Guest for Hostile {
    type ChatStream = Stream;

    fn start(settings: Settings, _: Model, _: ChatRequest) -> Result<chat::ChatStream, Error> {
        let orders = Orders::new(&settings);
        orders.follow("start")?;
        let start = StreamStart {
            id: "hostile-1".into(),
            model: "hostile".into(),
        };
        let ready = VecDeque::from([Event::Start(start), Event::Text("Hello.\n".into())]);
        Ok(chat::ChatStream::new(Stream {
            orders,
            calls: Cell::new(0),
            ready: RefCell::new(ready),
        }))
    }
}

impl chat::GuestChatStream for Stream {
    fn next(&self, max: u32) -> Result<Vec<Event>, Error> {
        let call = self.calls.replace(self.calls.get() + 1);
        if call == 1 {
            let steps = self.orders.follow("next")?;
            let mut ready = self.ready.borrow_mut();
            ready.extend(steps.into_iter().map(|step| Event::Text(step + "\n")));
            ready.push_back(Event::Finish(FinishReason::Stop));
        }
        let mut ready = self.ready.borrow_mut();
        let count = if self.orders.attack == attacks::MORE_EVENTS_THAN_ASKED {
            ready.len()
        } else {
            ready.len().min(max as usize)
        };
        Ok(ready.drain(..count).collect())
    }

    fn subscribe(&self) -> wasip2::io::poll::Pollable {
        wasip2::clocks::monotonic_clock::subscribe_duration(0)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let _ = self.orders.follow("drop");
    }
}
