//! Runs model-provider plugins that need not be trusted.
//!
//! A provider plugin is a WebAssembly component of the world
//! [`llm:provider/provider`](https://component-model.bytecodealliance.org/design/wit.html).
//! This crate loads it, puts each chat into a sandbox of its own, lets it reach
//! one server and nothing else, and keeps the API key out of it.
//!
//! ```no_run
//! use provider_host::types::{ChatRequest, Event};
//! use provider_host::{Engine, EngineOptions, Plugin, Provider};
//!
//! # async fn example(key: String) -> provider_host::Result<()> {
//! let engine = Engine::new(EngineOptions::default())?;
//! let plugin = Plugin::from_file(&engine, "vllm-provider.wasm".as_ref())?;
//! // The key stays here; the plugin is given what stands for it.
//! let provider = Provider::builder(&plugin)
//!     .base_url("http://127.0.0.1:8000/v1")
//!     .api_key(key)
//!     .build()?;
//!
//! let model = provider.resolve_model("Qwen/Qwen3-8B").await?;
//! let mut chat = provider.chat(&model, &ChatRequest::user("Say hello.")).await?;
//! while let Some(event) = chat.next_event().await? {
//!     if let Event::Text(text) = event {
//!         print!("{text}");
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A [`Chat`] is also a `Stream` of events, gives out what is ready in batches ([`Chat::next_batch`]), or waits for the whole
//! ([`Chat::collect`]). Dropping it, at any time, cancels it: the connection is closed and the server stops generating. A
//! [`Route`](route::Route) adds retries, limits that fit and fallbacks. More is in the repository's `examples/`.
//!
//! # Layers
//!
//! Each is ignorant of the ones that follow.
//!
//! - [`policy`]: grants, origins, addresses, limits, secrets. No socket, no
//!   WebAssembly.
//! - [`egress`]: the way out. Judges each request by its grant, dials what was
//!   judged, puts secrets in.
//! - the sandbox: one store a chat, under limits.
//! - [`Engine`], [`Plugin`]: compile, inspect, cache.
//! - [`Provider`], [`Chat`]: a plugin with settings and a grant, and what it
//!   answers; [`ProviderBuilder`], [`Answer`] and the functions of [`types`]
//!   make them in a line each.
//! - [`registry`]: plugins and settings that are replaced while chats run.
//! - [`route`]: a list of models and one answer: retries, refits, fallbacks.
//! - [`telemetry`]: beside all of these, what is told of a chat while it runs.
//! - [`file`](mod@file), [`UserFolders`]: bounded reading of files, and where a user's files are.
//! - [`configuration`], [`credentials`]: an agent's configuration file and key
//!   profiles, for hosts that share OpenClaw's.
//!
//! # Features
//!
//! | feature | default | what |
//! |---|---|---|
//! | `embedded-plugin` | yes | builds and embeds `vllm-provider` (`Plugin::embedded`) |
//! | `mock` | yes | the mock vLLM server (`mock`) |
//! | `signatures` | yes | plugin files signed with minisign ([`plugin`]`::trust`) |
//! | `otel` | yes | metrics of [`telemetry`] to an OpenTelemetry `Meter`; one crate without dependencies |
//! | `check` | yes | any plugin over exchanges in memory (`exercise`), and held against the contract (`check`) |
//! | `watch` | yes | plugin files are noticed by the system's own means ([`registry`]) |
//! | `cli` | yes | the command line `provider-host` |
//!
//! An embedder takes `default-features = false`. The crate sets up no logging
//! (it speaks `tracing`), has no globals but what wasmtime has, and runs on the
//! embedder's tokio runtime, of one thread or of many. Everything that is handed
//! out is `Send + 'static`.
//!
//! # What is stable
//!
//! Versions follow [Semantic Versioning](https://semver.org/); before 1.0 a breaking
//! change raises the minor number.
//!
//! - Structs of options and enums that may grow are `#[non_exhaustive]`: made by
//!   `new` or `default` and `with_…`, and matched with an arm for the rest. New
//!   fields, variants and defaults of limits are no breaking change.
//! - [`types`], [`TokenCount`] and [`ServerHealth`] are generated from the contract
//!   and change with *its* version, whatever this crate's is. All fields are public,
//!   so that a new one breaks whoever names them all: the constructors
//!   ([`ChatRequest::new`](types::ChatRequest::new) and the like) stay.
//! - Features stay what they are; `default` may grow. `mock`, `check` and
//!   `exercise` are for tests, and may change in a minor version.
//! - Words of messages, `Debug` texts and `tracing` events are for people.
//!   [`ErrorKind`] and the predicates of [`Error`] are for programs.
//! - Versions of wasmtime, hyper and tokio are no part of the interface, except
//!   where their types stand in it: [`egress::Transport`], [`egress::Hooks`].

mod alarm;
mod answer;
mod bindings;
mod builder;
mod chat;
#[cfg(feature = "check")]
pub mod check;
pub mod configuration;
pub mod credentials;
pub mod egress;
mod engine;
mod error;
#[cfg(feature = "check")]
pub mod exercise;
pub mod file;
mod folders;
pub mod grammar;
mod memory;
#[cfg(feature = "mock")]
pub mod mock;
pub mod plugin;
pub mod policy;
mod provider;
pub mod registry;
mod request;
pub mod route;
mod sandbox;
mod shortage;
pub mod telemetry;
mod wiring;

pub use answer::Answer;
pub use bindings::{ServerHealth, TokenCount, types};
pub use builder::ProviderBuilder;
pub use chat::{BATCH, Chat};
pub use engine::{
    DEFAULT_MAX_CHATS, Engine, EngineOptions, MAX_GUEST_MEMORY, WARM_MEMORY, default_cache_dir,
};
pub use error::{Error, ErrorKind, Result};
pub use folders::{NoHome, UserFolders, process_environment};
pub use plugin::Plugin;
pub use provider::{Provider, ProviderOptions};
pub use telemetry::Telemetry;
pub use wiring::Wiring;
