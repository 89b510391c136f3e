//! A stand-in for `vllm serve` 0.32: chat without a GPU, faults on demand.
//!
//! Demos, tests and users start it where a real server would be. It answers the
//! routes a provider uses (`/v1/models`, `/v1/chat/completions`, `/tokenize`,
//! `/health` and the like) in the shapes, headers, error texts and key order
//! that a real server was recorded with; its own output is held against those
//! recordings. What it says comes from a small script ([`messages`]); what goes
//! wrong is chosen by name ([`Fault`]); recorded exchanges are served byte for
//! byte ([`Replay`]).
//!
//! It listens on plain HTTP, keeps everything in memory, and must never be
//! needed by the host itself: it is behind the feature `mock`.
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! use provider_host::mock::{FaultKind, Mock, Options};
//!
//! let mock = Mock::start(Options::default()).await?;
//! println!("a vLLM is at {}", mock.base_url());
//! mock.set_faults([FaultKind::Overloaded.into()])?;
//! # Ok(())
//! # }
//! ```

mod answer;
mod cache;
mod connection;
pub(crate) mod dice;
mod engine;
mod fault;
mod head;
mod journal;
mod json;
mod meta;
mod misbehave;
mod output;
mod prompt;
mod refusal;
pub(crate) mod replay;
mod request;
mod routes;
mod script;
mod token;

#[cfg(test)]
mod fault_tests;
#[cfg(test)]
mod recorded_tests;
#[cfg(test)]
mod test_client;

pub use fault::{Fault, FaultKind, Target, UnknownFault};
pub use journal::Recorded;
pub use replay::{Cut, Pick, Replay};
pub use script::messages;

use cache::PrefixCache;
use journal::Journal;
use replay::Cases;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

/// Where chats go.
const CHAT_PATH: &str = "/v1/chat/completions";
/// Where models are listed.
const MODELS_PATH: &str = "/v1/models";

/// A model that the mock serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// The name clients ask for, and the `model` of every answer.
    pub id: String,
    /// `max_model_len`: tokens of prompt and answer together.
    pub context: u64,
    /// Further names for it; answers still carry `id`, as vLLM's do.
    pub aliases: Vec<String>,
}

impl Model {
    /// A model without aliases.
    pub fn new(id: impl Into<String>, context: u64) -> Self {
        Model {
            id: id.into(),
            context,
            aliases: Vec::new(),
        }
    }

    /// The same model under one more name.
    pub fn alias(mut self, name: impl Into<String>) -> Self {
        self.aliases.push(name.into());
        self
    }
}

/// Which generation of vLLM is imitated: the name of the reasoning field, and
/// the fields that came or went with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReasoningField {
    /// `reasoning` (vLLM 0.16 and later; 0.32 is what is imitated).
    #[default]
    Reasoning,
    /// `reasoning_content` (vLLM 0.11.0 and earlier).
    ReasoningContent,
    /// Both fields with the same text (vLLM 0.11.2 to 0.14).
    Both,
}

/// How the mock is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen; port 0 takes a free one. Default `127.0.0.1:0`.
    pub listen: SocketAddr,
    /// Keys that are accepted as `Authorization: Bearer KEY` under `/v1`. With
    /// none (the default) no key is asked for.
    pub api_keys: Vec<String>,
    /// Served models, the first of which answers requests that name none.
    /// Default: `mock-model` with 32,768 tokens.
    pub models: Vec<Model>,
    /// Faults, which take turns from request to request. Default: none.
    pub faults: Vec<Fault>,
    /// Recorded exchanges instead of the script.
    pub replay: Option<Replay>,
    /// Events a second of each chat; without it, as fast as the client reads.
    pub rate: Option<f64>,
    /// The generation of vLLM.
    pub generation: ReasoningField,
    /// `--enable-auto-tool-choice --tool-call-parser hermes`. Default true.
    pub tool_parser: bool,
    /// `--reasoning-parser qwen3`. Default true.
    pub reasoning_parser: bool,
    /// The model ends its thinking with `</think>` even if it had nothing to
    /// think. Without it such an answer arrives as reasoning, which is what a
    /// real server was seen to do. Default true.
    pub closes_thinking: bool,
    /// `--enable-prompt-tokens-details`: cached tokens in the usage. Default true.
    pub prompt_tokens_details: bool,
    /// How long an idle connection is kept after an answer. Default 5 s, as in
    /// vLLM (`VLLM_HTTP_TIMEOUT_KEEP_ALIVE`).
    pub keep_alive: Duration,
    /// Seed of ids and rubbish. Default 0: every start gives the same ids.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            api_keys: Vec::new(),
            models: vec![Model::new("mock-model", 32_768)],
            faults: Vec::new(),
            replay: None,
            rate: None,
            generation: ReasoningField::default(),
            tool_parser: true,
            reasoning_parser: true,
            closes_thinking: true,
            prompt_tokens_details: true,
            keep_alive: Duration::from_secs(5),
            seed: 0,
        }
    }
}

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    options: Options,
    faults: Mutex<Turns>,
    cases: Option<Mutex<Cases>>,
    cache: Mutex<PrefixCache>,
    journal: Journal,
    serial: AtomicU64,
    listener: Mutex<Option<TcpListener>>,
    /// The listener came or went.
    listening: Notify,
    /// Every open connection is to be reset.
    reset: Notify,
}

/// The faults and whose turn it is, for chats, model lists and the rest.
#[derive(Debug, Default)]
struct Turns {
    faults: Vec<Fault>,
    next: [usize; 3],
}

/// A lock whose holder panicked still guards plain values that are whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// The fault that befalls a request now, if any; its turn is taken.
    fn fault(&self, method: &str, path: &str) -> Option<Fault> {
        let (class, target) = match (method, path) {
            ("POST", CHAT_PATH) => (0, Target::Chats),
            ("GET", MODELS_PATH) => (1, Target::Models),
            _ => (2, Target::All),
        };
        let mut turns = lock(&self.faults);
        let mine: Vec<Fault> = turns
            .faults
            .iter()
            .copied()
            .filter(|f| f.target == target || f.target == Target::All)
            .collect();
        let fault = *mine.get(turns.next[class].checked_rem(mine.len())?)?;
        turns.next[class] += 1;
        (fault.kind != FaultKind::None).then_some(fault)
    }
}

/// A running mock server. It stops when this is dropped.
#[derive(Debug)]
pub struct Mock {
    shared: Arc<Shared>,
    address: SocketAddr,
    accepting: AbortHandle,
}

impl Mock {
    /// Starts a server on the current tokio runtime.
    ///
    /// # Errors
    /// When the address cannot be bound, or the replay's folder has no case.
    pub async fn start(options: Options) -> io::Result<Mock> {
        let cases = options
            .replay
            .as_ref()
            .map(Cases::load)
            .transpose()?
            .map(Mutex::new);
        let listener = TcpListener::bind(options.listen).await?;
        let address = listener.local_addr()?;
        let faults = options.faults.clone();
        let shared = Arc::new(Shared {
            options,
            faults: Mutex::default(),
            cases,
            cache: Mutex::default(),
            journal: Journal::default(),
            serial: AtomicU64::new(0),
            listener: Mutex::new(Some(listener)),
            listening: Notify::new(),
            reset: Notify::new(),
        });
        let accepting = tokio::spawn(connection::accept(Arc::clone(&shared))).abort_handle();
        let mock = Mock {
            shared,
            address,
            accepting,
        };
        mock.set_faults(faults)?;
        Ok(mock)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The base URL to configure: `http://127.0.0.1:PORT/v1`.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The latest requests, oldest first; at most 1,000 are kept.
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.journal.requests()
    }

    /// Chats whose client went away before the answer was complete.
    pub fn aborted(&self) -> u64 {
        self.shared.journal.aborted()
    }

    /// Chats being answered now.
    pub fn running(&self) -> u64 {
        self.shared.journal.running()
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> u64 {
        self.shared.journal.connections()
    }

    /// Connections open now.
    pub fn open_connections(&self) -> u64 {
        self.shared.journal.open()
    }

    /// Replaces the faults; the next request meets the first of them.
    /// [`FaultKind::Refuse`] anywhere among them closes the port until faults
    /// are set without it. Call it inside the runtime.
    ///
    /// # Errors
    /// When the port, given up for `refuse`, cannot be bound again.
    pub fn set_faults(&self, faults: impl IntoIterator<Item = Fault>) -> io::Result<()> {
        let faults: Vec<Fault> = faults.into_iter().collect();
        let refuse = faults.iter().any(|f| f.kind == FaultKind::Refuse);
        *lock(&self.shared.faults) = Turns {
            faults,
            next: [0; 3],
        };
        let mut listener = lock(&self.shared.listener);
        if refuse {
            *listener = None;
            self.shared.reset.notify_waiters();
        } else if listener.is_none() {
            let bound = std::net::TcpListener::bind(self.address)?;
            bound.set_nonblocking(true)?;
            *listener = Some(TcpListener::from_std(bound)?);
        }
        self.shared.listening.notify_one();
        Ok(())
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        self.accepting.abort();
        // The port is free at once, whenever the task comes to its end.
        *lock(&self.shared.listener) = None;
    }
}
