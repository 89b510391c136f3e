//! A provider like any other, but for the orders that it follows.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use crate::attacks::{Attack, lies};
use crate::bindings::exports::llm::provider::{catalog, chat, health, info, token_counter};
use crate::bindings::llm::provider::types::{
    Catalog, CatalogSource, ChatRequest, Cost, Error, Event, FinishReason, Manifest, Modality,
    Model, ModelSource, Note, Settings, StreamStart,
};
use crate::{Orders, border};

/// The component.
pub(crate) struct Hostile;

impl info::Guest for Hostile {
    fn get_manifest() -> Manifest {
        // Nobody has to ask: the manifest stands in the file.
        while border::mark() == "manifest" {}
        Manifest {
            id: "hostile".into(),
            label: "Hostile".into(),
            api: "openai-completions".into(),
            version: "0.1.0".into(),
            key_variable: None,
            default_base_url: None,
            documentation_url: None,
            config_schema: r#"{"additionalProperties":true}"#.into(),
        }
    }

    fn check_settings(settings: Settings) -> Result<Vec<Note>, Error> {
        let orders = Orders::new(&settings);
        orders.follow("check-settings")?;
        lies::notes(&orders)
    }
}

impl catalog::Guest for Hostile {
    fn list_models(settings: Settings) -> Result<Catalog, Error> {
        let orders = Orders::new(&settings);
        orders.follow("list-models")?;
        Ok(Catalog {
            source: CatalogSource::Declared,
            models: lies::models(&orders)?,
            notes: lies::notes(&orders)?,
        })
    }

    fn resolve_model(settings: Settings, id: String) -> Result<Model, Error> {
        let orders = Orders::new(&settings);
        orders.follow("resolve-model")?;
        let which = id.parse::<usize>();
        let lie = which
            .ok()
            .and_then(|at| lies::models(&orders).ok()?.into_iter().nth(at));
        Ok(lie.unwrap_or(model(id)))
    }
}

impl token_counter::Guest for Hostile {
    fn count_tokens(
        settings: Settings,
        _: Model,
        _: ChatRequest,
    ) -> Result<token_counter::TokenCount, Error> {
        let orders = Orders::new(&settings);
        orders.follow("count-tokens")?;
        lies::count(&orders)
    }
}

impl health::Guest for Hostile {
    fn check_health(settings: Settings) -> Result<health::ServerHealth, Error> {
        let orders = Orders::new(&settings);
        orders.follow("check-health")?;
        Ok(health::ServerHealth {
            version: Some(lies::word(&orders, "1.0")),
            notes: lies::notes(&orders)?,
        })
    }
}

/// A model with nothing odd about it.
pub(crate) fn model(id: String) -> Model {
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

/// How each answer begins.
pub(crate) fn greeting() -> [Event; 2] {
    let start = StreamStart {
        id: "hostile-1".into(),
        model: "hostile".into(),
    };
    [Event::Start(start), Event::Text("Hello.\n".into())]
}

/// An answer. Its second call attacks.
pub(crate) struct Stream {
    orders: Orders,
    calls: Cell<u32>,
    ready: RefCell<VecDeque<Event>>,
}

impl Stream {
    pub(crate) fn of(orders: Orders) -> Self {
        Self {
            orders,
            calls: Cell::new(0),
            ready: RefCell::new(VecDeque::from(greeting())),
        }
    }
}

impl chat::Guest for Hostile {
    type ChatStream = Stream;

    fn start(settings: Settings, _: Model, _: ChatRequest) -> Result<chat::ChatStream, Error> {
        let orders = Orders::new(&settings);
        orders.follow("start")?;
        if orders.at == "start"
            && let Attack::Returns(returned) = orders.attack()?
        {
            border::start_returns(*returned);
        }
        Ok(chat::ChatStream::new(Stream::of(orders)))
    }
}

impl chat::GuestChatStream for Stream {
    fn next(&self, max: u32) -> Result<Vec<Event>, Error> {
        let call = self.calls.replace(self.calls.get() + 1);
        match (self.orders.at.as_str(), call) {
            ("next" | "route", _) => match self.orders.attack()? {
                Attack::Says(attack) => return attack(&self.orders, call),
                Attack::Returns(returned) => border::next_returns(*returned),
                Attack::Does(_) => {}
            },
            ("post-return", 1) => border::attack_after_calls(&self.orders),
            _ => {}
        }
        if call == 1 {
            let steps = self.orders.follow("next")?;
            let mut ready = self.ready.borrow_mut();
            ready.extend(steps.into_iter().map(|step| Event::Text(step + "\n")));
            ready.push_back(Event::Finish(FinishReason::Stop));
        }
        let mut ready = self.ready.borrow_mut();
        let count = ready.len().min(max as usize);
        Ok(ready.drain(..count).collect())
    }

    fn subscribe(&self) -> wasip2::io::poll::Pollable {
        let _ = self.orders.follow("subscribe");
        wasip2::clocks::monotonic_clock::subscribe_duration(0)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let _ = self.orders.follow("drop");
    }
}
