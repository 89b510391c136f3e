//! One instance of a plugin, in a store of its own, under limits.
//!
//! What a guest can reach stands in [`GIVEN`]: HTTP through the egress layer, a
//! clock that counts, and the streams of both. There is no file system, no
//! environment, no socket, no randomness and no standard output to link, so that
//! a plugin that asks for one is refused before it runs.
//!
//! What a guest can use up is bounded: memory, tables, instances, resources it
//! holds, bytes a host call may copy, and processor time per call. A limit that
//! is reached ends the chat with a typed error and hurts nothing else.
//!
//! Everything dies with the store. Nothing is kept from one chat to the next.

mod clock;
mod cpu_account;
mod cpu_time;
mod fair_share;
mod kept;
mod meter;
mod pace;
mod scheduler;
#[cfg(feature = "check")]
mod trial;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use wasmtime::component::{
    Component, Instance, InstancePre, Linker, ResourceAny, ResourceTable, ResourceTableError,
};
use wasmtime::{PoolConcurrencyLimitError, Store, Trap, WasmCoreDump};
use wasmtime_wasi::clocks::{WasiClocksCtx, WasiClocksCtxView};
use wasmtime_wasi_http::{FieldMapError, WasiHttp, WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::bindings::{
    CountsTokens, CountsTokensIndices, ServerHealth, TellsHealth, TellsHealthIndices, TokenCount,
    WorldIndices, catalog, chat, info, types,
};
use crate::egress::{Egress, Hooks, TransportError, link_http_error_code};
use crate::engine::{ChatPlace, Engine};
use crate::error::{Error, ErrorKind, Result, printable};
use crate::grammar::Violation;
use crate::memory::{Charge, Held};
use crate::policy::SandboxLimits;
use crate::policy::limits::{COMPONENT_HANDLES, KEPT_BATCH_BYTES};

use clock::{Coarse, CoarseClock};
use cpu_account::CpuAccount;
pub(crate) use fair_share::FairShare;
use kept::KeptCharge;
use meter::{Meter, Stopped};
use pace::{Overdue, Pace};
pub(crate) use scheduler::Scheduler;

/// The interfaces that a plugin may import, without their versions: any 0.2.x.
pub(crate) const GIVEN: [&str; 6] = [
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:clocks/monotonic-clock",
    "wasi:http/types",
    "wasi:http/outgoing-handler",
];

/// The contract's own types may stand among the imports: they are no function.
const TYPES: &str = "llm:provider/types";

/// Whether this host gives an import, such as `wasi:io/poll@0.2.12`.
pub(crate) fn gives(import: &str) -> bool {
    match import.split_once('@') {
        Some((interface, version)) if interface == TYPES => version.starts_with("0.1."),
        Some((interface, version)) => GIVEN.contains(&interface) && version.starts_with("0.2."),
        None => false,
    }
}

/// What the host keeps for one store.
pub(crate) struct State {
    table: ResourceTable,
    http: WasiHttpCtx,
    clocks: WasiClocksCtx,
    hooks: Hooks,
    meter: Meter,
    held: Arc<Held>,
    kept: KeptCharge,
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            hooks: &mut self.hooks,
            table: &mut self.table,
            ctx: &mut self.http,
        }
    }
}

impl wasmtime_wasi_io::IoView for State {
    fn table(&mut self) -> &mut ResourceTable {
        &mut self.table
    }
}

/// A plugin, linked: what it offers is found, and an instance of it can be
/// started any number of times.
///
/// That its functions have the contract's types is looked at with the first
/// instance, for all of them; any other looks at what it uses.
pub(crate) struct Linked {
    pre: InstancePre<State>,
    world: WorldIndices,
    fits: AtomicBool,
    info: info::GuestIndices,
    catalog: catalog::GuestIndices,
    chat: chat::GuestIndices,
    token_counter: Option<CountsTokensIndices>,
    health: Option<TellsHealthIndices>,
}

impl Linked {
    /// Whether the plugin counts tokens.
    pub(crate) fn counts_tokens(&self) -> bool {
        self.token_counter.is_some()
    }

    /// Whether the plugin tells how its server is.
    pub(crate) fn tells_health(&self) -> bool {
        self.health.is_some()
    }
}

/// Links what [`GIVEN`] names, each by itself, and nothing else. `exports` are
/// the component's own: an interface beside the world that it offers must fit
/// the contract, and one that it leaves out is left out.
pub(crate) fn link(
    engine: &wasmtime::Engine,
    component: &Component,
    exports: &[String],
) -> wasmtime::Result<Linked> {
    use wasmtime_wasi::p2::bindings::clocks::monotonic_clock;
    use wasmtime_wasi_http::p2::bindings::http;

    let mut linker = Linker::<State>::new(engine);
    wasmtime_wasi_io::add_to_linker_async(&mut linker)?;
    monotonic_clock::add_to_linker::<_, CoarseClock>(&mut linker, |state: &mut State| {
        Coarse(WasiClocksCtxView {
            ctx: &mut state.clocks,
            table: &mut state.table,
        })
    })?;
    let options = wasmtime_wasi_http::p2::bindings::LinkOptions::default();
    http::types::add_to_linker::<_, WasiHttp>(&mut linker, &(&options).into(), State::http)?;
    http::outgoing_handler::add_to_linker::<_, WasiHttp>(&mut linker, State::http)?;
    link_http_error_code(&mut linker)?;
    kept::link_charges(&mut linker)?;
    let pre = linker.instantiate_pre(component)?;
    let offers = |interface: &str| {
        exports
            .iter()
            .any(|export| export.split('@').next() == Some(interface))
    };
    Ok(Linked {
        world: WorldIndices::new(&pre)?,
        fits: AtomicBool::new(false),
        info: info::GuestIndices::new(&pre)?,
        catalog: catalog::GuestIndices::new(&pre)?,
        chat: chat::GuestIndices::new(&pre)?,
        token_counter: offers("llm:provider/token-counter")
            .then(|| CountsTokensIndices::new(&pre))
            .transpose()?,
        health: offers("llm:provider/health")
            .then(|| TellsHealthIndices::new(&pre))
            .transpose()?,
        pre,
    })
}

/// An answer that a guest is giving.
pub(crate) struct Running {
    guest: chat::Guest,
    stream: ResourceAny,
    /// What is left of the time that the calls for it may take together.
    time_left: Duration,
}

/// One instance in its store.
pub(crate) struct Sandbox {
    store: Store<State>,
    instance: Instance,
    linked: Arc<Linked>,
    pace: Pace,
    /// The events that were returned last.
    batch: Charge,
    /// Behind the store, so that a place is free only when all that the store had is given back.
    _place: ChatPlace,
    /// The plugin's errors and notes are given out word for word: somebody is there to judge them.
    verbatim: bool,
}

/// An answer that goes on and on.
#[derive(Debug, thiserror::Error)]
#[error("its events have more than {0} bytes")]
struct TooManyEvents(u64);

impl Sandbox {
    /// Starts an instance from the pool.
    pub(crate) async fn start(
        engine: &Engine,
        linked: &Arc<Linked>,
        egress: &Egress,
        limits: SandboxLimits,
    ) -> Result<Self> {
        let place = engine.place().ok_or_else(no_place)?;
        let held = Arc::new(Held::new(engine.memory().clone()));
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.resource_table_entries);
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(limits.field_bytes);
        let host_call_fuel = limits.host_call_fuel;
        let header_bytes = egress.grant().limits.response_header_bytes;
        let hooks = egress.hooks_within(engine.connections(), held.clone());
        let account = Arc::new(CpuAccount::new(
            hooks.traffic(),
            engine.fair_share().clone(),
        ));
        let mut pace = Pace::new(
            egress.grant().limits.total_timeout,
            account.clone(),
            engine.scheduler().clone(),
            engine.clock().clone(),
        );
        let mut store = Store::new(
            linked.pre.engine(),
            State {
                table,
                http,
                clocks: WasiClocksCtx::default(),
                hooks,
                meter: Meter {
                    limits,
                    stopped_by: None,
                    memory: Charge::none(held.clone()),
                    tables: Charge::none(held.clone()),
                    account,
                    clock: engine.clock().clone(),
                },
                kept: KeptCharge::new(held.clone(), header_bytes),
                held: held.clone(),
            },
        );
        store.limiter(|state| &mut state.meter);
        store.set_hostcall_fuel(host_call_fuel);
        store.set_max_component_handles(COMPONENT_HANDLES);
        store.epoch_deadline_callback(|mut cx| Ok(cx.data_mut().meter.tick()));
        store.set_epoch_deadline(1);
        let start = linked.pre.instantiate_async(&mut store);
        let instance = match pace.of(start).await {
            Ok(instance) => instance,
            Err(error) => return Err(failure(&mut store, error, "start")),
        };
        if !linked.fits.load(Ordering::Relaxed) {
            match linked.world.load(&mut store, &instance) {
                Ok(_) => linked.fits.store(true, Ordering::Relaxed),
                Err(error) => return Err(failure(&mut store, error, "start")),
            }
        }
        Ok(Self {
            store,
            instance,
            linked: linked.clone(),
            pace,
            batch: Charge::none(held),
            _place: place,
            verbatim: false,
        })
    }

    /// `info.get-manifest`.
    pub(crate) async fn manifest(&mut self) -> Result<types::Manifest> {
        self.begin_call();
        let info = self.linked.info.load(&mut self.store, &self.instance);
        let info = self.outcome(info.map(Ok), "get-manifest")?;
        let call = info.call_get_manifest(&mut self.store);
        let result = self.pace.of(call).await;
        self.outcome(result.map(Ok), "get-manifest")
    }

    /// `info.check-settings`.
    pub(crate) async fn check_settings(
        &mut self,
        settings: &types::Settings,
    ) -> Result<Vec<types::Note>> {
        self.begin_call();
        let info = self.linked.info.load(&mut self.store, &self.instance);
        let info = self.outcome(info.map(Ok), "check-settings")?;
        let call = info.call_check_settings(&mut self.store, settings);
        let result = self.pace.of(call).await;
        let notes = self.outcome(result, "check-settings")?;
        Ok(self.shown(notes))
    }

    /// `catalog.list-models`.
    pub(crate) async fn list_models(
        &mut self,
        settings: &types::Settings,
    ) -> Result<types::Catalog> {
        self.begin_call();
        let catalog = self.linked.catalog.load(&mut self.store, &self.instance);
        let catalog = self.outcome(catalog.map(Ok), "list-models")?;
        let call = catalog.call_list_models(&mut self.store, settings);
        let result = self.pace.of(call).await;
        let mut catalog = self.outcome(result, "list-models")?;
        catalog.notes = self.shown(catalog.notes);
        Ok(catalog)
    }

    /// `catalog.resolve-model`.
    pub(crate) async fn resolve_model(
        &mut self,
        settings: &types::Settings,
        id: &str,
    ) -> Result<types::Model> {
        self.begin_call();
        let catalog = self.linked.catalog.load(&mut self.store, &self.instance);
        let catalog = self.outcome(catalog.map(Ok), "resolve-model")?;
        let call = catalog.call_resolve_model(&mut self.store, settings, id);
        let result = self.pace.of(call).await;
        self.outcome(result, "resolve-model")
    }

    /// `token-counter.count-tokens`; none if the plugin leaves it out.
    pub(crate) async fn count_tokens(
        &mut self,
        settings: &types::Settings,
        model: &types::Model,
        request: &types::ChatRequest,
    ) -> Result<Option<TokenCount>> {
        self.begin_call();
        let Some(indices) = &self.linked.token_counter else {
            return Ok(None);
        };
        let world = indices.load(&mut self.store, &self.instance);
        let world = self.outcome(world.map(Ok), "count-tokens")?;
        let counter = CountsTokens::llm_provider_token_counter(&world);
        let call = counter.call_count_tokens(&mut self.store, settings, model, request);
        let result = self.pace.of(call).await;
        self.outcome(result, "count-tokens").map(Some)
    }

    /// `health.check-health`; none if the plugin leaves it out.
    pub(crate) async fn check_health(
        &mut self,
        settings: &types::Settings,
    ) -> Result<Option<ServerHealth>> {
        self.begin_call();
        let Some(indices) = &self.linked.health else {
            return Ok(None);
        };
        let world = indices.load(&mut self.store, &self.instance);
        let world = self.outcome(world.map(Ok), "check-health")?;
        let health = TellsHealth::llm_provider_health(&world);
        let call = health.call_check_health(&mut self.store, settings);
        let result = self.pace.of(call).await;
        let mut health = self.outcome(result, "check-health")?;
        health.notes = self.shown(health.notes);
        Ok(Some(health))
    }

    /// `chat.start`.
    pub(crate) async fn chat(
        &mut self,
        settings: &types::Settings,
        model: &types::Model,
        request: &types::ChatRequest,
    ) -> Result<Running> {
        self.begin_call();
        let guest = self.linked.chat.load(&mut self.store, &self.instance);
        let guest = self.outcome(guest.map(Ok), "start")?;
        let call = guest.call_start(&mut self.store, settings, model, request);
        let result = self.pace.of(call).await;
        let stream = self.outcome(result, "start")?;
        Ok(Running {
            guest,
            stream,
            time_left: self.pace.patience(),
        })
    }

    /// `chat-stream.next`. An answer is one exchange, so that all calls for it have the time of one together.
    pub(crate) async fn next(
        &mut self,
        running: &mut Running,
        max: u32,
    ) -> Result<Vec<types::Event>> {
        self.begin_call();
        // Who asks for more has taken those before.
        let _ = self.batch.set(0);
        let stream = running.guest.chat_stream();
        let call = stream.call_next(&mut self.store, running.stream, max);
        let result = self.pace.within(&mut running.time_left, call).await;
        let mut events = self.outcome(result, "next")?;
        for event in &mut events {
            if let types::Event::Note(note) = event {
                self.show(note);
            }
        }
        Ok(events)
    }

    /// Bytes that the events of one answer may have.
    pub(crate) fn event_bytes(&self) -> u64 {
        self.store.data().meter.limits.event_bytes
    }

    /// Charges the events that were returned last, until the next are asked for: whoever reads the answer may be slow. A few
    /// are part of what every store keeps.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Overloaded`] if there is not as much memory.
    pub(crate) fn keep_batch(&mut self, bytes: u64) -> Result<()> {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        if bytes <= KEPT_BATCH_BYTES || self.batch.set(bytes) {
            return Ok(());
        }
        let error = self.store.data_mut().no_memory();
        Err(failure(&mut self.store, error, "next"))
    }

    /// The error of an answer that has more than that.
    pub(crate) fn too_many_events(&mut self) -> Error {
        let limit = self.event_bytes();
        // Whatever was refused before did not stop it.
        self.store.data_mut().meter.stopped_by = None;
        failure(&mut self.store, TooManyEvents(limit).into(), "next")
    }

    /// The error of an answer that left the grammar.
    pub(crate) fn misbehaved(&self, violation: Violation) -> Error {
        Error::new(
            ErrorKind::PluginMisbehaved,
            format!(
                "the plugin broke the contract in `next`: {violation}; its chat has ended, no \
                 other is concerned"
            ),
        )
        .caused_by(violation)
        .sent(self.store.data().hooks.request_sent())
    }

    fn begin_call(&mut self) {
        self.pace.begin_call();
        self.store.set_epoch_deadline(1);
    }

    /// Tells apart what the provider says went wrong and what became of the
    /// provider.
    fn outcome<T>(
        &mut self,
        result: wasmtime::Result<std::result::Result<T, types::Error>>,
        call: &str,
    ) -> Result<T> {
        match result {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(self.told(error)),
            Err(error) => Err(failure(&mut self.store, error, call)),
        }
    }

    /// Notes without secrets: they are for people, and may quote a server that
    /// says its caller's key back.
    fn shown(&self, mut notes: Vec<types::Note>) -> Vec<types::Note> {
        notes.iter_mut().for_each(|note| self.show(note));
        notes
    }

    fn show(&self, note: &mut types::Note) {
        if self.verbatim {
            return;
        }
        let message = std::mem::take(&mut note.message);
        note.message = printable(self.store.data().hooks.redact(message));
    }

    /// The provider's error, with what the transport knows of it and no secret.
    fn told(&mut self, error: types::Error) -> Error {
        let hooks = &self.store.data().hooks;
        let error = Error::from(error);
        if self.verbatim {
            return error;
        }
        // An error with a status is what the server said.
        if let Some(cause) = hooks.overload().filter(|_| error.status().is_none()) {
            // The host's own doing, whatever the plugin makes of it.
            let advice = cause.advice().unwrap_or_default();
            let message = format!("{cause} ({advice})");
            return Error::new(ErrorKind::Overloaded, message)
                .caused_by(cause)
                .sent(hooks.request_sent())
                .retryable_later();
        }
        let transport_speaks = matches!(
            error.kind(),
            ErrorKind::Unreachable
                | ErrorKind::Timeout
                | ErrorKind::Interrupted
                | ErrorKind::Protocol
        );
        let redact = |text| hooks.redact(text);
        let cause = hooks.last_failure();
        let Some(cause) = cause.filter(|cause| {
            // Only the host knows why a request was not granted, whatever the plugin makes of it.
            transport_speaks || matches!(cause, TransportError::Denied(_))
        }) else {
            return error.map_texts(redact).bounded();
        };
        if !transport_speaks {
            return error.map_texts(redact).bounded().caused_by(cause);
        }
        if let TransportError::Proxy(failure) = &cause {
            // No code of WASI speaks of a proxy between this host and the server.
            let kind = match failure.is_timeout() {
                true => ErrorKind::Timeout,
                false => ErrorKind::Unreachable,
            };
            let told = Error::new(kind, failure.to_string()).map_texts(redact);
            let told = match failure.is_retryable() {
                true => told.retryable_later(),
                false => told,
            };
            return told.bounded().caused_by(cause);
        }
        if let TransportError::RequestBodyTooLarge { .. } | TransportError::NotRecorded(_) = cause {
            // A plugin is told a code that has no place among the causes it knows; it is the caller's own doing.
            let advice = cause.advice().unwrap_or_default();
            let message = format!("{cause} ({advice})");
            return Error::new(ErrorKind::InvalidRequest, message).caused_by(cause);
        }
        let detail = cause.detail().filter(|detail| !detail.is_empty());
        error
            .map_message(|message| match detail {
                Some(detail) if !message.contains(&detail) => with_detail(&message, &detail),
                _ => message,
            })
            .map_texts(redact)
            .bounded()
            .caused_by(cause)
    }
}

/// A message and what the transport knows beside it: behind what happened, and
/// before what to do about it, which stands in parentheses at the end.
fn with_detail(message: &str, detail: &str) -> String {
    let mut open = 0_u32;
    let advice = message.char_indices().rev().find_map(|(at, one)| {
        match one {
            ')' => open += 1,
            '(' => open = open.saturating_sub(1),
            _ => {}
        }
        (open == 0).then_some(at)
    });
    match advice.filter(|_| message.ends_with(')')) {
        Some(at) => {
            let (happened, advice) = message.split_at(at);
            format!("{}: {detail} {advice}", happened.trim_end())
        }
        None => format!("{message} ({detail})"),
    }
}

/// The error of a chat for which there is no place.
fn no_place() -> Error {
    Error::new(
        ErrorKind::Overloaded,
        "this host runs as many chats as it may; try again when one has ended, or raise \
         EngineOptions::max_chats",
    )
    .retryable_later()
}

/// What stopped a guest.
fn failure(store: &mut Store<State>, error: wasmtime::Error, call: &str) -> Error {
    let core_dump = error
        .downcast_ref::<WasmCoreDump>()
        .map(|dump| dump.serialize(&mut *store, "plugin"));
    let state = store.data_mut();
    let sent = state.hooks.request_sent();
    let limits = &state.meter.limits;
    let trap = error.downcast_ref::<Trap>().copied();
    let overdue = error.downcast_ref::<Overdue>();
    if state.meter.stopped_by == Some(Stopped::SharedMemory) {
        return Error::new(
            ErrorKind::Overloaded,
            format!(
                "the plugin needed more memory in `{call}` than this host's chats have left of what they share ({} MiB); \
                 try again when one has ended, or raise EngineOptions::shared_guest_memory",
                state.held.stock() >> 20
            ),
        )
        .caused_by(error)
        .sent(sent)
        .retryable_later();
    }
    let limit = match (state.meter.stopped_by, trap) {
        (Some(Stopped::Memory), _) => Some(format!("memory ({} MiB)", limits.memory_bytes >> 20)),
        (Some(Stopped::ProcessorTime), _) | (_, Some(Trap::Interrupt)) => Some(format!(
            "processor time ({} s in one call)",
            limits.cpu_time_per_call.as_secs_f32()
        )),
        (Some(Stopped::TableElements), _) => {
            Some(format!("table elements ({})", limits.table_elements))
        }
        (Some(Stopped::SharedMemory), _) => None,
        (None, Some(Trap::StackOverflow)) => Some("stack".to_owned()),
        (None, None) if overdue.is_some() => overdue.map(|Overdue(patience)| {
            format!(
                "time ({} s for one call or one answer, waiting included)",
                patience.as_secs_f32()
            )
        }),
        (None, None) => of_the_host(&error, limits),
        (None, _) => None,
    };
    let error = match limit {
        Some(limit) => Error::new(
            ErrorKind::PluginLimit,
            format!(
                "the plugin reached a limit of its sandbox in `{call}`: {limit}; its chat has \
                 ended, no other is concerned"
            ),
        )
        .caused_by(error),
        None => {
            let why = state.hooks.redact(format!("{:#}", Root(&error)));
            Error::new(
                ErrorKind::PluginTrapped,
                format!(
                    "the plugin failed in `{call}` and was stopped: {why}; its chat has ended, no \
                     other is concerned"
                ),
            )
            .caused_by(error)
        }
    };
    error.sent(sent).with_core_dump(core_dump)
}

/// The limit of what the host keeps or copies for a guest that an error tells of.
fn of_the_host(error: &wasmtime::Error, limits: &SandboxLimits) -> Option<String> {
    if error.is::<TooManyEvents>() {
        return Some(format!(
            "events ({} bytes in one answer)",
            limits.event_bytes
        ));
    }
    if let Some(ResourceTableError::Full) = error.downcast_ref() {
        return Some(format!("handles ({})", limits.resource_table_entries));
    }
    if let Some(FieldMapError::TotalSizeTooBig | FieldMapError::TooManyFields) =
        error.downcast_ref()
    {
        return Some(format!("header fields ({} bytes)", limits.field_bytes));
    }
    // wasmtime's errors for these have no names.
    let root = error.root_cause().to_string();
    if root.ends_with("store handle limit exceeded") {
        return Some(format!("handles of the component ({COMPONENT_HANDLES})"));
    }
    if error.is::<PoolConcurrencyLimitError>() {
        // Each total of the pool is that of so many stores, all at their limits.
        return Some(format!("a place in the pool ({root})"));
    }
    if root.starts_with("too much data is being copied") {
        let bytes = limits.host_call_fuel;
        return Some(format!(
            "data of one call ({bytes} bytes from the plugin to the host)"
        ));
    }
    let what = root.strip_prefix("resource limit exceeded: ")?;
    Some(match what.split(' ').next()? {
        "memory" => format!("memories ({})", limits.memories),
        "table" => format!("tables ({})", limits.tables),
        "instance" => format!("instances ({})", limits.instances),
        _ => what.to_owned(),
    })
}

/// The innermost cause of an error: what is above it are addresses in a guest.
struct Root<'a>(&'a wasmtime::Error);

impl std::fmt::Display for Root<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let root: &dyn std::error::Error = self.0.root_cause();
        write!(f, "{root}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_transport_knows_stands_before_what_to_do() {
        for (message, told) in [
            (
                "GET u: refused (check (it))",
                "GET u: refused: why (check (it))",
            ),
            ("GET u: refused", "GET u: refused (why)"),
            ("GET u (a): refused", "GET u (a): refused (why)"),
            ("unbalanced)", "unbalanced) (why)"),
            ("(all)", ": why (all)"),
            ("", " (why)"),
        ] {
            assert_eq!(with_detail(message, "why"), told);
        }
    }

    #[test]
    fn a_plugin_is_given_http_io_and_a_clock_of_wasi_0_2_and_nothing_else() {
        for import in [
            "wasi:io/poll@0.2.0",
            "wasi:http/outgoing-handler@0.2.12",
            "wasi:clocks/monotonic-clock@0.2.3",
            "llm:provider/types@0.1.0",
        ] {
            assert!(gives(import), "{import}");
        }
        for import in [
            "wasi:io/poll",
            "wasi:io/poll@0.3.0",
            "wasi:filesystem/types@0.2.12",
            "wasi:cli/environment@0.2.12",
            "wasi:sockets/tcp@0.2.12",
            "wasi:random/random@0.2.12",
            "wasi:clocks/wall-clock@0.2.12",
            "wasi:http/incoming-handler@0.2.12",
            "llm:provider/chat@0.1.0",
            "env",
        ] {
            assert!(!gives(import), "{import}");
        }
    }
}
