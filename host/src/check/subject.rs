//! A plugin under trial: how it is asked, and what it is told.
//!
//! The checks see what [`crate::Provider`] and [`crate::Chat`] keep from everybody else: how many events one call gave, what a
//! call after the end gives, what was sent. So they work on the sandbox itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use super::budget::CheckBudget;
use super::corpus::Recorded;
use super::guest::Guest;
use super::{Options, findings};
use crate::bindings::types::{Catalog, ChatRequest, Event, Model, Note, Settings, Tool};
use crate::egress::{Egress, Transport, TransportError};
use crate::error::{Error, ErrorKind, Result};
use crate::exercise::{BASE_URL, Failure, KEY, MODEL, Reply, Script, Seen, Wire, ask, model};
use crate::plugin::Plugin;
use crate::policy::{Binding, Grant, NetworkLimits, Origin, Secret, Secrets};
use crate::sandbox::Running;

/// Most events that are taken of one answer; no exchange has as many.
const MAX_EVENTS: usize = 100_000;

/// Most bytes of an answer that is tried many times.
const SMALL: usize = 24 << 10;

/// A plugin, and what it is tried with.
#[derive(Debug)]
pub struct Subject {
    pub(super) plugin: Plugin,
    pub(super) options: Options,
    pub(super) budget: Arc<CheckBudget>,
    origin: Origin,
    secrets: Secrets,
    pub(super) placeholder: String,
    /// Set once; none: it was not learned in time.
    known: OnceCell<Option<Known>>,
    /// What was sent that should not have been, over all calls.
    conduct: Mutex<BTreeSet<String>>,
}

/// What was learned of a plugin before the first check.
#[derive(Debug)]
struct Known {
    /// Recorded answers to what it asks for models with.
    listings: Vec<usize>,
    /// Why there is no listing to try, if none serves.
    no_listings: String,
    /// Recorded answers to what it asks for a chat with.
    chats: Vec<usize>,
    /// Why there is no chat to try, if none serves.
    no_chats: String,
    model: Model,
}

/// What became of a call.
#[derive(Debug)]
pub(super) struct Asked<T> {
    pub(super) result: std::result::Result<T, Failure>,
    pub(super) requests: Vec<Seen>,
}

impl<T> Asked<T> {
    pub(super) fn failure(&self) -> Option<&Failure> {
        self.result.as_ref().err()
    }

    /// What came, in a few words.
    pub(super) fn told(&self, value: impl FnOnce(&T) -> String) -> String {
        match &self.result {
            Ok(found) => value(found),
            Err(failure) => told(failure),
        }
    }
}

/// An error in a few words.
pub(super) fn told(failure: &Failure) -> String {
    format!("the error {}: {}", failure.kind, failure.message)
}

/// A chat, call by call.
#[derive(Clone, Debug, Default)]
pub(super) struct Talk {
    pub(super) events: Vec<Event>,
    pub(super) error: Option<Failure>,
    /// The error came from `start`.
    pub(super) never_began: bool,
    /// Of each call that gave events: how many were asked for, and how many came.
    pub(super) batches: Vec<(u32, usize)>,
    /// What the calls after the end gave.
    pub(super) after: Vec<String>,
    /// It gave more events than any exchange has.
    pub(super) endless: bool,
    pub(super) requests: Vec<Seen>,
}

impl Talk {
    pub(super) fn has_finish(&self) -> bool {
        matches!(self.events.last(), Some(Event::Finish(_)))
    }

    /// How it ended, in a few words.
    pub(super) fn end(&self) -> String {
        let events = self.events.len();
        match &self.error {
            Some(failure) => format!("{events} events and {}", told(failure)),
            None if self.endless => format!("more than {MAX_EVENTS} events"),
            None if self.has_finish() => format!("{events} events, the last one finish"),
            None => format!("{events} events and the end, without finish"),
        }
    }

    /// The events with pieces that follow each other put together, and the error's kind: what may not depend on cuts.
    pub(super) fn essence(&self) -> (Vec<Event>, Option<&str>) {
        let outcome = crate::exercise::Outcome {
            events: self.events.clone(),
            ..Default::default()
        };
        let kind = self.error.as_ref().map(|failure| failure.kind.as_str());
        (outcome.merged().events, kind)
    }
}

impl Subject {
    pub(super) fn new(plugin: Plugin, options: Options, budget: Arc<CheckBudget>) -> Result<Self> {
        let host = |why: String| Error::new(ErrorKind::Host, why);
        let mut secrets = Secrets::new();
        let placeholder = Secret::new(KEY)
            .and_then(|key| secrets.mint(key, Binding::api_key()))
            .map_err(|error| host(error.to_string()))?;
        Ok(Self {
            plugin,
            options,
            budget,
            origin: Origin::parse(BASE_URL).map_err(|error| host(error.to_string()))?,
            placeholder: placeholder.as_str().to_owned(),
            secrets,
            known: OnceCell::new(),
            conduct: Mutex::default(),
        })
    }

    /// Settings with the configuration that the suite was given, a key, and discovery.
    pub(super) fn settings(&self) -> Settings {
        self.configured(&[])
    }

    /// The same with further keys of the configuration.
    pub(super) fn configured(&self, more: &[(&str, serde_json::Value)]) -> Settings {
        let mut config = self.options.config.clone();
        config
            .entry("baseUrl")
            .or_insert_with(|| BASE_URL.to_owned().into());
        for (key, value) in more {
            config.insert((*key).to_owned(), value.clone());
        }
        self.settings_of(&serde_json::Value::from(config).to_string())
    }

    /// Settings with this text as the configuration.
    pub(super) fn settings_of(&self, config: &str) -> Settings {
        Settings {
            config: Some(config.to_owned()),
            api_key: Some(self.placeholder.clone()),
            discover: true,
            models: Vec::new(),
        }
    }

    /// Finds out what the plugin asks its server, to choose the recordings that answer that, and which model there is.
    ///
    /// Once, and no longer than a check may take. Whether it is known.
    pub(super) async fn get_to_know(&self, checks: usize) -> bool {
        let known = self.known.get_or_init(|| async {
            let until = self.budget.share(checks)?;
            tokio::time::timeout_at(until, self.learn()).await.ok()
        });
        known.await.is_some()
    }

    async fn learn(&self) -> Known {
        let nothing = || Reply::new(404, "text/plain", "");
        let list = self.list(&self.settings(), nothing()).await;
        let unknown = model(MODEL);
        let chat = self
            .chat_with(&unknown, &self.request(), nothing(), 64)
            .await;
        let listings = self.answers(&list.requests);
        let chats = spread(self.answers(&chat.requests), self.options.sample);
        let no_listings = self.unanswered("a list of models", &listings, &list);
        let asked = Asked {
            result: chat.error.map_or(Ok(()), Err),
            requests: chat.requests,
        };
        let no_chats = self.unanswered("a chat", &chats, &asked);
        let mut known = Known {
            listings,
            no_listings,
            chats,
            no_chats,
            model: unknown,
        };
        for at in &known.listings {
            let recorded = &self.options.exchanges[*at];
            if !recorded.is_good() {
                continue;
            }
            let found = self
                .list(&self.settings(), Reply::of(&recorded.exchange))
                .await;
            if let Ok(catalog) = found.result
                && let Some(first) = catalog.models.into_iter().next()
            {
                known.model = first;
                break;
            }
        }
        known
    }

    /// The recordings that answer what was asked.
    fn answers(&self, requests: &[Seen]) -> Vec<usize> {
        let Some(asked) = requests.first() else {
            return Vec::new();
        };
        let path = self.path_below_base(asked);
        let all = self.options.exchanges.iter().enumerate();
        let fits = all.filter(|(_, recorded)| {
            let recorded = &recorded.exchange;
            let recorded_path = recorded.path.split('?').next().unwrap_or_default();
            recorded.method == asked.method && !path.is_empty() && recorded_path.ends_with(path)
        });
        fits.map(|(at, _)| at).collect()
    }

    /// The base URL of the configuration.
    fn base_url(&self) -> &str {
        let url = self.options.config.get("baseUrl");
        url.and_then(|url| url.as_str()).unwrap_or(BASE_URL)
    }

    /// The path that the plugin adds to its base URL; the whole one if it is not below that.
    fn path_below_base<'a>(&self, asked: &'a Seen) -> &'a str {
        let below = asked
            .uri
            .strip_prefix(self.base_url().trim_end_matches('/'));
        let below = below.filter(|rest| rest.is_empty() || rest.starts_with(['/', '?']));
        let path = below.unwrap_or_else(|| {
            let rest = asked.uri.split_once("://").map_or("", |(_, rest)| rest);
            rest.find('/').map_or("", |at| &rest[at..])
        });
        path.split('?').next().unwrap_or_default()
    }

    /// Why none of the recordings answers what the plugin asked for.
    fn unanswered<T>(&self, what: &str, found: &[usize], asked: &Asked<T>) -> String {
        let Some(request) = asked.requests.first() else {
            let why = asked.failure().map(told).unwrap_or_default();
            return format!("it sends no request for {what}: {why}");
        };
        if !found.is_empty() {
            return format!(
                "no recorded answer to {what} came whole and with a status of success (where it is \
                 tried many times: with at most {} KiB)",
                SMALL >> 10
            );
        }
        let path = self.path_below_base(request);
        format!(
            "there is no recorded answer to {what}, {} {}. Exchanges are answered at {}, wherever \
             they were recorded; those serve that have this method and a path that ends in {path}. \
             Recorded are {}. Name a folder of exchanges of this protocol (--corpus), or the base \
             URL's own path in baseUrl (--config)",
            request.method,
            request.uri,
            self.base_url(),
            self.recorded_targets()
        )
    }

    /// What the recordings asked for, shortly.
    fn recorded_targets(&self) -> String {
        const NAMED: usize = 3;
        let mut targets: BTreeMap<String, usize> = BTreeMap::new();
        for recorded in &self.options.exchanges {
            let one = &recorded.exchange;
            let path = one.path.split('?').next().unwrap_or_default();
            let at = match &one.host {
                Some(host) => format!(" at {}", findings::quoted(host)),
                None => String::new(),
            };
            let target = format!("{} {}{at}", one.method, findings::quoted(path));
            *targets.entry(target).or_default() += 1;
        }
        let mut by_count: Vec<(String, usize)> = targets.into_iter().collect();
        by_count.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let others = by_count.len().saturating_sub(NAMED);
        let named = by_count.into_iter().take(NAMED);
        let mut named: Vec<String> = named
            .map(|(target, count)| format!("{target} ({count})"))
            .collect();
        if others > 0 {
            named.push(format!("{others} more"));
        }
        match named.is_empty() {
            true => "none".to_owned(),
            false => named.join(", "),
        }
    }

    /// Why no recorded chat can be tried.
    pub(super) fn no_chats(&self) -> String {
        let known = self.known.get().and_then(Option::as_ref);
        known.map_or_else(String::new, |known| known.no_chats.clone())
    }

    /// Why no recorded list of models can be tried.
    pub(super) fn no_listings(&self) -> String {
        let known = self.known.get().and_then(Option::as_ref);
        known.map_or_else(String::new, |known| known.no_listings.clone())
    }

    fn recorded<'a>(&'a self, of: impl Fn(&'a Known) -> &'a [usize]) -> Vec<&'a Recorded> {
        let known = self.known.get().and_then(Option::as_ref);
        let known = known.map(of).unwrap_or_default();
        known
            .iter()
            .map(|at| &self.options.exchanges[*at])
            .collect()
    }

    /// Recorded listings of models, good and bad.
    pub(super) fn listings(&self) -> Vec<&Recorded> {
        self.recorded(|known| &known.listings)
    }

    /// Recorded chats, good and bad.
    pub(super) fn chats(&self) -> Vec<&Recorded> {
        self.recorded(|known| &known.chats)
    }

    /// Recorded chats that came whole and may end well. Where nobody wrote down what they decode
    /// to, they may end in an error as well ([`Recorded::may_end_well`]).
    pub(super) fn good_chats(&self) -> Vec<&Recorded> {
        let all = self.chats().into_iter();
        all.filter(|recorded| recorded.may_end_well()).collect()
    }

    /// A few of them, small enough to be tried many times each.
    pub(super) fn few_chats(&self, count: usize) -> Vec<&Recorded> {
        let small = self.good_chats().into_iter();
        let small: Vec<_> = small
            .filter(|one| one.exchange.body.len() <= SMALL)
            .collect();
        spread((0..small.len()).collect(), count)
            .into_iter()
            .map(|at| small[at])
            .collect()
    }

    /// The model that chats are asked of: the first that the server lists.
    pub(super) fn model(&self) -> Model {
        let known = self.known.get().and_then(Option::as_ref);
        let known = known.map(|known| known.model.clone());
        known.unwrap_or_else(|| model(MODEL))
    }

    /// A request with a message and a tool.
    pub(super) fn request(&self) -> ChatRequest {
        let mut request = ask("Say hello.");
        request.tools.push(Tool {
            name: "get_weather".to_owned(),
            description: Some("The weather of a city".to_owned()),
            parameters: r#"{"type":"object","properties":{"city":{"type":"string"}}}"#.to_owned(),
        });
        request
    }

    /// A script that answers chats with `chat` and listings with what was recorded, or `models` in its place.
    pub(super) fn script(&self, models: Option<Reply>, chat: Option<Reply>) -> Script {
        let good = || {
            let mut listings = self.listings().into_iter();
            let good = listings.find(|recorded| recorded.is_good());
            good.map(|recorded| Reply::of(&recorded.exchange))
        };
        let mut script = Script::new();
        if let Some(models) = models.or_else(good) {
            // A listing by another name than OpenAI's is one of the rest.
            script = script.with_models(models.clone()).with_other(models);
        }
        match chat {
            Some(chat) => script.with_chat(chat),
            None => script,
        }
    }

    /// A store of its own over a transport.
    pub(super) async fn open(
        &self,
        transport: Arc<dyn Transport>,
    ) -> std::result::Result<Guest, Failure> {
        let patience = self.budget.patience();
        let limits = NetworkLimits::default().with_total_timeout(patience);
        let grant = Grant::new(self.origin.clone())
            .with_secrets(self.secrets.clone())
            .with_limits(limits);
        let egress = Egress::with_transport(grant, transport);
        let sandbox = self.options.sandbox.clone();
        let budget = self.budget.clone();
        let started = Guest::start(&self.plugin, &egress, sandbox, budget, patience).await;
        started.map_err(|error| Failure::of(&error))
    }

    /// `check-settings` over a wire that must not be used.
    pub(super) async fn check_settings(&self, settings: &Settings) -> Asked<Vec<Note>> {
        let wire = Wire::new(self.script(None, None));
        let result = match self.open(Arc::new(wire.clone())).await {
            Ok(mut sandbox) => {
                let result = sandbox.check_settings(settings).await;
                self.judge(&sandbox);
                result.map_err(|error| Failure::of(&error))
            }
            Err(failure) => Err(failure),
        };
        let requests = wire.requests();
        Asked { result, requests }
    }

    /// `list-models` where the server answers so.
    pub(super) async fn list(&self, settings: &Settings, reply: Reply) -> Asked<Catalog> {
        let wire = Wire::new(self.script(Some(reply), None));
        let result = match self.open(Arc::new(wire.clone())).await {
            Ok(mut sandbox) => {
                let result = sandbox.list_models(settings).await;
                self.judge(&sandbox);
                result.map_err(|error| Failure::of(&error))
            }
            Err(failure) => Err(failure),
        };
        let requests = wire.requests();
        Asked { result, requests }
    }

    /// `resolve-model` where the server answers so.
    pub(super) async fn resolve(
        &self,
        settings: &Settings,
        id: &str,
        reply: Reply,
    ) -> Asked<Model> {
        let wire = Wire::new(self.script(Some(reply), None));
        let result = match self.open(Arc::new(wire.clone())).await {
            Ok(mut sandbox) => {
                let result = sandbox.resolve_model(settings, id).await;
                self.judge(&sandbox);
                result.map_err(|error| Failure::of(&error))
            }
            Err(failure) => Err(failure),
        };
        let requests = wire.requests();
        Asked { result, requests }
    }

    /// `start` alone, with these settings.
    pub(super) async fn start(&self, settings: &Settings) -> Asked<()> {
        let wire = Wire::new(self.script(None, None));
        let result = match self.open(Arc::new(wire.clone())).await {
            Ok(mut sandbox) => {
                let started = sandbox.chat(settings, &self.model(), &self.request()).await;
                self.judge(&sandbox);
                started.map(|_| ()).map_err(|error| Failure::of(&error))
            }
            Err(failure) => Err(failure),
        };
        let requests = wire.requests();
        Asked { result, requests }
    }

    /// A chat to its end, in a store of its own, where the server answers so.
    pub(super) async fn chat(&self, reply: Reply, max: u32) -> Talk {
        self.chat_with(&self.model(), &self.request(), reply, max)
            .await
    }

    /// The same with another model and request.
    pub(super) async fn chat_with(
        &self,
        model: &Model,
        request: &ChatRequest,
        reply: Reply,
        max: u32,
    ) -> Talk {
        let wire = Wire::new(self.script(None, Some(reply)));
        let mut talk = match self.open(Arc::new(wire.clone())).await {
            Ok(mut sandbox) => {
                let talk = self.talk(&mut sandbox, model, request, max).await;
                self.judge(&sandbox);
                talk
            }
            Err(failure) => Talk {
                error: Some(failure),
                ..Talk::default()
            },
        };
        talk.requests = wire.requests();
        talk
    }

    /// A chat to its end, in a store that is there.
    pub(super) async fn talk(
        &self,
        sandbox: &mut Guest,
        model: &Model,
        request: &ChatRequest,
        max: u32,
    ) -> Talk {
        let mut talk = Talk::default();
        match sandbox.chat(&self.settings(), model, request).await {
            Ok(mut running) => follow(sandbox, &mut running, max, &mut talk).await,
            Err(error) => {
                talk.error = Some(Failure::of(&error));
                talk.never_began = true;
            }
        }
        talk
    }

    /// Writes down what the plugin tried to send and may not: to another server, or with the key
    /// where it does not belong. The host refused it.
    pub(super) fn judge(&self, sandbox: &Guest) {
        let mut found = BTreeSet::new();
        if let Some(TransportError::Denied(why)) = sandbox.last_failure() {
            found.insert(format!("a request that is not granted: {why}"));
        }
        let mut conduct = self.conduct.lock().unwrap_or_else(PoisonError::into_inner);
        conduct.extend(found);
    }

    /// What was sent so far that should not have been.
    pub(super) fn conduct(&self) -> Vec<String> {
        let conduct = self.conduct.lock().unwrap_or_else(PoisonError::into_inner);
        conduct.iter().cloned().collect()
    }
}

/// Reads an answer to its end, and a little beyond.
pub(super) async fn follow(sandbox: &mut Guest, running: &mut Running, max: u32, talk: &mut Talk) {
    loop {
        match sandbox.next(running, max).await {
            Ok(events) if events.is_empty() => break,
            Ok(events) => {
                talk.batches.push((max, events.len()));
                talk.events.extend(events);
                if talk.events.len() > MAX_EVENTS {
                    talk.endless = true;
                    return;
                }
            }
            Err(error) => {
                let failure = Failure::of(&error);
                // A store whose guest was stopped can't be entered again.
                let gone = findings::is_fault(&failure);
                talk.error = Some(failure);
                if gone {
                    return;
                }
                break;
            }
        }
    }
    for _ in 0..3 {
        match sandbox.next(running, max).await {
            Ok(events) if events.is_empty() => {}
            Ok(events) => talk.after.push(format!("{} events", events.len())),
            Err(error) => talk.after.push(told(&Failure::of(&error))),
        }
    }
}

/// At most `count` of them, spread over all.
fn spread(all: Vec<usize>, count: usize) -> Vec<usize> {
    if all.len() <= count {
        return all;
    }
    (0..count).map(|at| all[at * all.len() / count]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_spread_over_all() {
        assert_eq!(spread(vec![5, 6, 7], 3), [5, 6, 7]);
        assert_eq!(spread((0..10).collect(), 4), [0, 2, 5, 7]);
        assert!(spread(Vec::new(), 4).is_empty());
    }
}
