//! A mock server in the test's own process, and configurations that name it.

use std::ops::Deref;
use std::time::{Duration, Instant};

use provider_host::mock::{Fault, Mock, Model, Options, Recorded};
use serde_json::{Value, json};

use super::process::Home;
use crate::support::BOUND;

/// A mock server with a runtime of its own.
pub(crate) struct Server {
    // Before the runtime: it is dropped first.
    mock: Mock,
    _runtime: tokio::runtime::Runtime,
}

impl Server {
    pub(crate) fn start(options: Options) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let mock = runtime.block_on(Mock::start(options)).expect("a mock");
        Self {
            mock,
            _runtime: runtime,
        }
    }

    /// A server of the model `tiny`, which has a context of 4,096 tokens.
    pub(crate) fn tiny() -> Self {
        Self::start(tiny())
    }

    /// The same with faults.
    pub(crate) fn with_faults(faults: &[&str]) -> Self {
        Self::start(Options {
            faults: faults
                .iter()
                .map(|fault| fault.parse::<Fault>().expect("a fault"))
                .collect(),
            ..tiny()
        })
    }

    /// The same with a pace, in events a second.
    pub(crate) fn paced(rate: f64) -> Self {
        Self::start(Options {
            rate: Some(rate),
            ..tiny()
        })
    }

    /// The same with a key.
    pub(crate) fn guarded(key: &str) -> Self {
        Self::start(Options {
            api_keys: vec![key.to_owned()],
            ..tiny()
        })
    }

    /// A configuration that names this server, with all that it serves, and
    /// `tiny` as the model to use.
    pub(crate) fn configuration(&self) -> Value {
        json!({
            "models": {"providers": {"vllm": {"baseUrl": self.base_url()}}},
            "agents": {"defaults": {"model": "vllm/tiny", "models": {"vllm/*": {}}}},
        })
    }

    /// A configuration that declares these models, the first of which is used.
    pub(crate) fn declaring(&self, models: &Value) -> Value {
        let first = models[0]["id"].as_str().expect("an id");
        json!({
            "models": {"providers": {"vllm": {"baseUrl": self.base_url(), "models": models}}},
            "agents": {"defaults": {"model": format!("vllm/{first}")}},
        })
    }

    /// A home that is configured for this server.
    pub(crate) fn home(&self) -> Home {
        Home::configured(&self.configuration())
    }

    /// The chats that it was asked for.
    pub(crate) fn chats(&self) -> Vec<Recorded> {
        let mut requests = self.requests();
        requests.retain(|request| request.path == "/v1/chat/completions");
        requests
    }

    /// The body of the latest chat.
    pub(crate) fn last_body(&self) -> Value {
        let chats = self.chats();
        let last = chats.last().expect("a chat");
        serde_json::from_slice(&last.body).expect("a body of JSON")
    }

    /// Waits for something to become true at the server.
    #[track_caller]
    pub(crate) fn eventually(&self, what: &str, is: impl Fn(&Mock) -> bool) {
        let start = Instant::now();
        while !is(&self.mock) {
            assert!(start.elapsed() < BOUND, "not within {BOUND:?}: {what}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Deref for Server {
    type Target = Mock;

    fn deref(&self) -> &Mock {
        &self.mock
    }
}

fn tiny() -> Options {
    Options {
        models: vec![Model::new("tiny", 4_096)],
        ..Options::default()
    }
}
