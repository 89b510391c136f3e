//! The wasmtime engine, set up once for all plugins of a process.
//!
//! It compiles components and gives each chat a store out of a pool. What a
//! store may do is not its business: that is the sandbox's.

mod clock;
mod slice;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use wasmtime::{Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig};

pub(crate) use clock::Clock;

use crate::egress::Connections;
use crate::error::{Error, ErrorKind, Result};
use crate::folders::UserFolders;
use crate::memory::SharedMemory;
use crate::plugin::Compiler;
use crate::plugin::cache::CompileCache;
use crate::plugin::compile::MARK;
use crate::policy::CompileLimits;
use crate::policy::limits::{
    INSTANCE_BYTES, INSTANCES, MEMORIES, SHARED_GUEST_MEMORY, STACK_BYTES, TABLE_ELEMENTS, TABLES,
};
use crate::sandbox::{FairShare, Scheduler};

/// Most chats at once, by default. Each reserves 4 GiB of address space (no
/// memory), which is how wasmtime does without bounds checks.
pub const DEFAULT_MAX_CHATS: u32 = 6_000;

/// The most memory that any grant may allow a guest: the size of a slot in the
/// pool, in bytes.
pub const MAX_GUEST_MEMORY: usize = 1 << 30;

/// Bytes of touched memory that a slot of the pool keeps between two chats, by
/// default: what a chat with a prompt of 50 KB touches.
pub const WARM_MEMORY: usize = 192 << 10;

/// How an [`Engine`] is set up.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct EngineOptions {
    /// Where compiled plugins are kept between runs; none: nowhere. See
    /// [`default_cache_dir`].
    pub cache_dir: Option<PathBuf>,
    /// Most chats at once, over all plugins: [`DEFAULT_MAX_CHATS`]. One more
    /// fails as overloaded.
    pub max_chats: u32,
    /// Bytes that all guests may hold together, beyond what each may hold
    /// whatever the others do
    /// ([`GUEST_MEMORY_RESERVE`](crate::policy::limits::GUEST_MEMORY_RESERVE)):
    /// [`SHARED_GUEST_MEMORY`]. It is linear memory, and what the host holds for
    /// a guest: bodies of requests, header fields, events that nobody has taken.
    /// A chat that wants more fails as overloaded.
    pub shared_guest_memory: usize,
    /// Most connections to model servers that its chats have open together, idle ones included. A
    /// chat that needs one more fails as overloaded; one that has a connection may have more only
    /// out of a quarter of these
    /// ([`CONNECTIONS_BEYOND_FIRST`](crate::policy::limits::CONNECTIONS_BEYOND_FIRST)).
    ///
    /// None, the default: half of what the process may have open
    /// ([`CONNECTIONS_OF_DESCRIPTORS`](crate::policy::limits::CONNECTIONS_OF_DESCRIPTORS)), by its
    /// soft limit when the engine is made, for all engines without a number of their own together.
    pub max_connections: Option<u32>,
    /// Bytes of memory that stay with a chat's place when it ends, cleared, for
    /// the next chat: [`WARM_MEMORY`]. Only what was touched stays, as many times
    /// over as there were chats at once. Giving it back to the system and
    /// taking it again is up to half of what a short chat costs; 0 does that. It has
    /// an effect where the system tells what was touched (Linux 6.7 and later).
    pub warm_memory: usize,
    /// Keep a core dump of a plugin that traps with its error, for a debugger.
    /// It holds all of the guest's memory. Off by default.
    pub core_dumps: bool,
    /// Where plugins are compiled: by default in this process, where nothing
    /// bounds what that takes. A host that loads files of others sets
    /// [`Compiler::Child`].
    pub compiler: Compiler,
    /// What a plugin may have, and its compiling take.
    pub compile_limits: CompileLimits,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            cache_dir: None,
            max_chats: DEFAULT_MAX_CHATS,
            shared_guest_memory: SHARED_GUEST_MEMORY,
            max_connections: None,
            warm_memory: WARM_MEMORY,
            core_dumps: false,
            compiler: Compiler::default(),
            compile_limits: CompileLimits::default(),
        }
    }
}

/// [`UserFolders::cache`] of this process: `$XDG_CACHE_HOME/provider-host`, else
/// `~/.cache/provider-host`; none where no home is known.
pub fn default_cache_dir() -> Option<PathBuf> {
    UserFolders::of_process().cache().ok()
}

/// Compiles plugins and runs them. Cheap to clone; the clones are one engine.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    wasmtime: wasmtime::Engine,
    cache: Option<CompileCache>,
    compiler: Compiler,
    compile_limits: CompileLimits,
    max_chats: u32,
    chats: Arc<AtomicU32>,
    memory: Arc<SharedMemory>,
    connections: Arc<Connections>,
    scheduler: Arc<Scheduler>,
    fair_share: Arc<FairShare>,
    clock: Arc<Clock>,
}

impl Engine {
    /// Sets an engine up and starts its clock, a thread that ends with it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Host`] if the process can't have one: the machine is not
    /// supported, or the address space is limited; or if it was itself started
    /// to compile plugins, and would start another process for that.
    pub fn new(options: EngineOptions) -> Result<Self> {
        if options.compiler != Compiler::InProcess && std::env::var_os(MARK).is_some() {
            return Err(Error::new(
                ErrorKind::Host,
                format!(
                    "this process was started to compile plugins ({MARK} is set) and sets up a host instead: \
                     its `main` must call provider_host::plugin::serve_compiler() for the arguments that it was \
                     given"
                ),
            ));
        }
        let wasmtime = wasmtime::Engine::new(&config(&options)).map_err(|error| {
            Error::new(
                ErrorKind::Host,
                format!(
                    "could not set up the WebAssembly engine for {} chats: {error:#}; \
                     if the address space is limited (ulimit -v), lift the limit or lower max_chats",
                    options.max_chats
                ),
            )
        })?;
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let scheduler = Arc::new(Scheduler::new(processors));
        let fair_share = Arc::new(FairShare::new(processors));
        let clock = start_clock(&wasmtime, scheduler.clone(), fair_share.clone())?;
        Ok(Self {
            inner: Arc::new(Inner {
                wasmtime,
                cache: options
                    .cache_dir
                    .map(|dir| CompileCache::new(dir, options.compile_limits.output_bytes)),
                compiler: options.compiler,
                compile_limits: options.compile_limits,
                max_chats: options.max_chats,
                chats: Arc::default(),
                memory: Arc::new(SharedMemory::new(options.shared_guest_memory)),
                connections: match options.max_connections {
                    Some(most) => Connections::new(usize::try_from(most).unwrap_or(usize::MAX)),
                    None => Connections::of_process(),
                },
                scheduler,
                fair_share,
                clock,
            }),
        })
    }

    pub(crate) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.inner.wasmtime
    }

    pub(crate) fn cache(&self) -> Option<&CompileCache> {
        self.inner.cache.as_ref()
    }

    /// What all guests may hold together.
    pub(crate) fn memory(&self) -> &Arc<SharedMemory> {
        &self.inner.memory
    }

    /// A place for one more chat; none if there are as many as there may be.
    pub(crate) fn place(&self) -> Option<ChatPlace> {
        let most = self.inner.max_chats;
        let more = |chats: u32| (chats < most).then_some(chats + 1);
        self.inner
            .chats
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, more)
            .ok()
            .map(|_| ChatPlace(self.inner.chats.clone()))
    }

    /// The connections that its chats may have open together.
    pub(crate) fn connections(&self) -> &Arc<Connections> {
        &self.inner.connections
    }

    /// The permits for chats that have used up their credit or their share.
    pub(crate) fn scheduler(&self) -> &Arc<Scheduler> {
        &self.inner.scheduler
    }

    /// What chats may compute without a permit.
    pub(crate) fn fair_share(&self) -> &Arc<FairShare> {
        &self.inner.fair_share
    }

    pub(crate) fn clock(&self) -> &Arc<Clock> {
        &self.inner.clock
    }

    pub(crate) fn compiler(&self) -> &Compiler {
        &self.inner.compiler
    }

    pub(crate) fn compile_limits(&self) -> &CompileLimits {
        &self.inner.compile_limits
    }

    /// Bytes that guests hold at present out of what they share
    /// ([`EngineOptions::shared_guest_memory`]): 0 while each holds no more than
    /// its reserve. For who sets that option by what chats need.
    pub fn shared_guest_memory_used(&self) -> usize {
        self.inner.memory.taken()
    }

    /// The most chats at once, over all plugins.
    pub fn max_chats(&self) -> u32 {
        self.inner.max_chats
    }
}

/// A place that a chat has. Dropping it makes room for another.
pub(crate) struct ChatPlace(Arc<AtomicU32>);

impl Drop for ChatPlace {
    fn drop(&mut self) {
        // What the chat gave back is there for who takes the place.
        self.0.fetch_sub(1, Ordering::Release);
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("max_chats", &self.inner.max_chats)
            .finish_non_exhaustive()
    }
}

/// A limit of one store as the pool takes it.
fn per_chat(limit: usize) -> u32 {
    u32::try_from(limit).unwrap_or(u32::MAX)
}

fn config(options: &EngineOptions) -> Config {
    let mut pool = PoolingAllocationConfig::new();
    // What one component may have, so that one with more is refused when it is loaded.
    pool.max_core_instances_per_component(per_chat(INSTANCES))
        .max_memories_per_component(per_chat(MEMORIES))
        .max_memories_per_module(per_chat(MEMORIES))
        .max_tables_per_component(per_chat(TABLES))
        .max_tables_per_module(per_chat(TABLES))
        .table_elements(TABLE_ELEMENTS)
        .max_memory_size(MAX_GUEST_MEMORY)
        .max_core_instance_size(INSTANCE_BYTES)
        .max_component_instance_size(INSTANCE_BYTES);
    // Each total is that for as many chats, all of components that have as much as they may. So what one chat has is never
    // what another one lacks.
    let total = |each: usize| options.max_chats.saturating_mul(per_chat(each));
    pool.total_component_instances(options.max_chats)
        .total_stacks(options.max_chats)
        .total_core_instances(total(INSTANCES))
        .total_memories(total(MEMORIES))
        .total_tables(total(TABLES))
        .table_keep_resident(4 << 10);
    if PoolingAllocationConfig::is_pagemap_scan_available() {
        // The kernel tells which pages a chat has touched. Those are cleared by
        // hand and stay where they are, for the next chat to touch: giving them
        // back and faulting them in again was a fifth of what a short chat costs.
        pool.pagemap_scan(Enabled::Yes)
            .linear_memory_keep_resident(options.warm_memory);
    }

    let mut config = code();
    config
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .wasm_backtrace_max_frames(std::num::NonZeroUsize::new(8))
        .coredump_on_trap(options.core_dumps);
    config
}

/// An engine that compiles and runs nothing, for a process of its own. It has no
/// pool, so that it needs no address space; its code fits every [`Engine`].
pub(crate) fn compiling() -> wasmtime::Result<wasmtime::Engine> {
    wasmtime::Engine::new(&code())
}

/// The same for a thread of a process that does other things: it compiles on that thread alone.
pub(crate) fn compiling_aside() -> wasmtime::Result<wasmtime::Engine> {
    wasmtime::Engine::new(code().parallel_compilation(false))
}

/// The settings that machine code depends on.
fn code() -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        // A 0.2 guest has no use for the machinery of 0.3, which costs
        // every call.
        .concurrency_support(false)
        .max_wasm_stack(STACK_BYTES);
    config
}

/// How often the fair share is adapted and late chats are looked for, at most. Chats report what they
/// use in portions, and within less time these say little.
const ADJUSTMENT: Duration = Duration::from_millis(1);

/// Ticks the engine's epoch until the engine is gone, while guests run.
fn start_clock(
    engine: &wasmtime::Engine,
    scheduler: Arc<Scheduler>,
    fair_share: Arc<FairShare>,
) -> Result<Arc<Clock>> {
    let weak = engine.weak();
    let (sender, receiver) = std::sync::mpsc::sync_channel(1);
    let thread = std::thread::Builder::new()
        .name("epoch-clock".into())
        .stack_size(64 << 10)
        .spawn(move || {
            slice::shorten();
            // The thread is told of its clock, which has to know its thread.
            let Ok(clock): Result<Arc<Clock>, _> = receiver.recv() else {
                return;
            };
            let mut ticked = Instant::now();
            let mut adjusted = ticked;
            let mut busy = false;
            loop {
                clock.wait(busy);
                clock.rest(ticked.elapsed());
                let Some(engine) = weak.upgrade() else { break };
                engine.increment_epoch();
                drop(engine);
                ticked = Instant::now();
                let elapsed = ticked.saturating_duration_since(adjusted);
                if elapsed >= ADJUSTMENT {
                    let over = fair_share.adjust(elapsed);
                    busy = scheduler.tick(ticked) || over;
                    adjusted = ticked;
                }
            }
        })
        .map_err(|error| {
            Error::new(
                ErrorKind::Host,
                format!("could not start the engine's clock thread: {error}"),
            )
        })?;
    let clock = Arc::new(Clock::new(thread.thread().clone()));
    let _ = sender.send(clock.clone());
    Ok(clock)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_options_make_an_engine_on_an_ordinary_machine() {
        let engine = Engine::new(EngineOptions::default()).expect("an engine");
        assert_eq!(engine.max_chats(), DEFAULT_MAX_CHATS);
    }

    #[test]
    fn code_of_the_compiling_engine_fits_every_engine() {
        use std::hash::{DefaultHasher, Hash as _, Hasher as _};

        let hash = |engine: &wasmtime::Engine| {
            let mut hasher = DefaultHasher::new();
            engine.precompile_compatibility_hash().hash(&mut hasher);
            hasher.finish()
        };
        let aside = compiling_aside().expect("an engine");
        let compiling = hash(&compiling().expect("an engine"));
        assert_eq!(hash(&aside), compiling, "aside");
        for (max_chats, core_dumps) in [(1, false), (1, true), (DEFAULT_MAX_CHATS, false)] {
            let engine = Engine::new(EngineOptions {
                max_chats,
                core_dumps,
                ..EngineOptions::default()
            })
            .expect("an engine");
            assert_eq!(
                hash(engine.wasmtime()),
                compiling,
                "{max_chats} {core_dumps}"
            );
        }
    }

    #[test]
    fn the_clock_ends_with_its_engine() {
        let engine = Engine::new(EngineOptions {
            max_chats: 1,
            ..EngineOptions::default()
        })
        .expect("an engine");
        let weak = engine.wasmtime().weak();
        drop(engine);
        let start = std::time::Instant::now();
        // The clock holds the engine for the length of a tick at most.
        while weak.upgrade().is_some() {
            assert!(start.elapsed().as_secs() < 30, "the engine is still held");
            std::thread::sleep(crate::policy::limits::EPOCH_TICK);
        }
    }
}
