//! Runs model-provider plugins that need not be trusted.
//!
//! A provider plugin is a WebAssembly component of the world
//! [`llm:provider/provider`](https://component-model.bytecodealliance.org/design/wit.html).
//! This crate loads it, puts each chat into a sandbox of its own, lets it reach
//! one server and nothing else, and keeps the API key out of it.
//!
//! ```no_run
//! use futures_core::Stream;
//! use provider_host::policy::{Grant, Origin, Secret, Secrets};
//! use provider_host::types::{ChatRequest, Event, Settings};
//! use provider_host::{Engine, EngineOptions, Plugin, Provider, ProviderOptions};
//!
//! # async fn example(request: ChatRequest) -> Result<(), Box<dyn std::error::Error>> {
//! let engine = Engine::new(EngineOptions::default())?;
//! let plugin = Plugin::from_file(&engine, "vllm-provider.wasm".as_ref())?;
//!
//! // The key stays here; the plugin is given what stands for it.
//! let mut secrets = Secrets::new();
//! let key = secrets.mint(Secret::new("sk-real")?)?;
//! let settings = Settings {
//!     config: Some(r#"{"baseUrl": "http://127.0.0.1:8000/v1"}"#.into()),
//!     api_key: Some(key.as_str().into()),
//!     discover: true,
//!     models: vec![],
//! };
//! let grant = Grant::new(Origin::parse("http://127.0.0.1:8000")?).with_secrets(secrets);
//! let provider = Provider::new(&plugin, ProviderOptions::new(settings, grant))?;
//!
//! let model = provider.resolve_model("Qwen/Qwen3-8B").await?;
//! let mut chat = provider.chat(&model, &request).await?;
//! loop {
//!     let events = chat.next_batch(64).await?;
//!     if events.is_empty() {
//!         break;
//!     }
//!     for event in events {
//!         if let Event::Text(text) = event {
//!             print!("{text}");
//!         }
//!     }
//! }
//! // A chat is also a `Stream`; dropping it, at any time, cancels it.
//! fn is_stream(_: &impl Stream<Item = provider_host::Result<Event>>) {}
//! is_stream(&chat);
//! # Ok(())
//! # }
//! ```
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
//!   answers.
//! - [`route`]: a list of models and one answer: retries, refits, fallbacks.
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
//! | `check` | yes | any plugin over exchanges in memory (`exercise`), and held against the contract (`check`) |
//! | `cli` | yes | the command line `provider-host` |
//!
//! An embedder takes `default-features = false`. The crate sets up no logging
//! (it speaks `tracing`), has no globals but what wasmtime has, and runs on the
//! embedder's tokio runtime.

mod bindings;
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
pub mod grammar;
#[cfg(feature = "mock")]
pub mod mock;
pub mod plugin;
pub mod policy;
mod provider;
pub mod route;
mod sandbox;
mod wiring;

pub use bindings::{ServerHealth, TokenCount, types};
pub use chat::{BATCH, Chat};
pub use engine::{DEFAULT_MAX_CHATS, Engine, EngineOptions, MAX_GUEST_MEMORY, default_cache_dir};
pub use error::{Error, ErrorKind, Result};
pub use plugin::Plugin;
pub use provider::{Provider, ProviderOptions};
pub use wiring::Wiring;
