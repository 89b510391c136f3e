//! Attacks of a hostile plugin on its host, each beside a healthy chat of the same engine.
//!
//! The plugin is `tests/hostile`, built like any other. It has the grant for one server. What it tries, it reports; what
//! reached a server, the servers wrote down. Both must agree with the table, and the healthy chat must never notice.

#[path = "../../host/build/component.rs"]
#[allow(dead_code, reason = "the recipe of every component")]
mod component;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use provider_host::mock::{Mock, Options};
use provider_host::policy::{Grant, NetworkLimits, Origin, SandboxLimits, Secret, Secrets};
use provider_host::types::{Event, Settings};
use provider_host::{Error, ErrorKind, Plugin, Provider, ProviderOptions};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::support::{ask, engine, model, provider, run, text};

const KEY: &str = "sk-the-real-key-0123456789abcdef";

/// How an attack ends.
enum Ends {
    /// The sandbox stops it at this limit.
    Limit(&'static str),
    /// It is stopped as a program that failed, in these words.
    Trap(&'static str),
    /// It comes back, and each of its steps begins with one of these. `answered` means the granted server.
    Steps(&'static [&'static str]),
}

impl Ends {
    /// As the page about security puts it.
    fn in_words(&self) -> String {
        match self {
            Self::Limit(limit) => format!("limit: {}", limit.trim_end_matches(" (")),
            Self::Trap(why) => format!("stopped: {why}"),
            Self::Steps(steps) => format!("comes back: {}", steps.join("; ")),
        }
    }
}

struct Attack {
    name: &'static str,
    /// The functions it is made in.
    at: &'static [&'static str],
    ends: Ends,
}

const fn attack(name: &'static str, at: &'static [&'static str], ends: Ends) -> Attack {
    Attack { name, at, ends }
}

/// The functions of the contract that are called with settings.
const EVERYWHERE: &[&str] = &[
    "check-settings",
    "list-models",
    "resolve-model",
    "start",
    "next",
];

const ATTACKS: &[Attack] = &[
    attack("endless-loop", EVERYWHERE, Ends::Limit("processor time")),
    attack(
        "endless-host-calls",
        EVERYWHERE,
        Ends::Limit("processor time"),
    ),
    attack(
        "endless-wait",
        &["list-models", "next"],
        Ends::Limit("time ("),
    ),
    attack("body-that-nobody-reads", &["next"], Ends::Limit("time (")),
    attack("recursion", EVERYWHERE, Ends::Limit("stack")),
    attack(
        "recursion-in-memory",
        EVERYWHERE,
        Ends::Trap("out of bounds memory access"),
    ),
    attack("memory", EVERYWHERE, Ends::Limit("memory")),
    attack("trap", EVERYWHERE, Ends::Trap("unreachable")),
    attack(
        "pollables",
        &["next"],
        Ends::Trap("resource table has no free keys"),
    ),
    attack(
        "fields",
        &["next"],
        Ends::Trap("resource table has no free keys"),
    ),
    attack(
        "header-bytes",
        &["next"],
        Ends::Trap("total size of fields exceeds limit"),
    ),
    attack(
        "more-events-than-asked",
        &["next"],
        Ends::Steps(&["one more"]),
    ),
    attack(
        "unfinished-requests",
        &["next"],
        Ends::Steps(&["4 waiting, 60 denied, 0 answered"]),
    ),
    attack("giant-path", &["next"], Ends::Steps(&["refused path"])),
    attack("giant-body", &["next"], Ends::Steps(&["failed write"])),
    attack("other-origins", &["next"], Ends::Steps(&["denied"])),
    attack(
        "addresses-by-other-names",
        &["next"],
        Ends::Steps(&["denied", "refused authority"]),
    ),
    attack(
        "odd-authorities",
        &["next"],
        Ends::Steps(&["denied", "refused authority"]),
    ),
    attack(
        "odd-paths",
        &["next"],
        Ends::Steps(&["denied", "refused path", "answered 200"]),
    ),
    attack(
        "odd-methods",
        &["next"],
        Ends::Steps(&["denied", "refused method"]),
    ),
    attack("odd-headers", &["next"], Ends::Steps(&["refused header"])),
    attack(
        "framing-headers",
        &["next"],
        Ends::Steps(&["failed body", "refused header", "answered 200"]),
    ),
    attack(
        "key-outside-header-values",
        &["next"],
        Ends::Steps(&["answered 200"]),
    ),
    attack("key-to-another-origin", &["next"], Ends::Steps(&["denied"])),
];

/// What no attack may bring onto the wire.
const NEVER_SENT: &[&str] = &[KEY, "smuggled", "7777", "100-continue", "trailers", "gzip"];

/// A server that writes down every byte it gets and answers each request in two.
struct Witness {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Witness {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let all = seen.clone();
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let at = {
                    let mut all = lock(&all);
                    all.push(Vec::new());
                    all.len() - 1
                };
                let all = all.clone();
                tokio::spawn(async move {
                    let mut piece = [0; 64 << 10];
                    while let Ok(length @ 1..) = socket.read(&mut piece).await {
                        let whole = {
                            let bytes = &mut lock(&all)[at];
                            bytes.extend_from_slice(&piece[..length]);
                            is_whole(bytes)
                        };
                        let answer =
                            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
                        if whole && socket.write_all(answer).await.is_err() {
                            break;
                        }
                    }
                });
            }
        });
        Self { address, seen }
    }

    /// What came, a text for each connection.
    fn seen(&self) -> Vec<String> {
        let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
        lock(&self.seen).iter().map(text).collect()
    }
}

fn lock<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether head and body of a request are there.
fn is_whole(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.to_ascii_lowercase();
    let length = length.split("content-length: ").nth(1);
    let length = length.and_then(|rest| rest.lines().next()?.parse().ok());
    body.len() >= length.unwrap_or(0)
}

fn plugin() -> &'static Plugin {
    static PLUGIN: OnceLock<Plugin> = OnceLock::new();
    PLUGIN.get_or_init(|| {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .expect("a workspace");
        let built =
            component::build_package(workspace, "hostile-provider").expect("the hostile plugin");
        Plugin::from_file(engine(), &built).expect("a plugin like any other")
    })
}

/// A hostile provider with its orders, and a grant for `granted`.
fn hostile(attack: &str, at: &str, granted: SocketAddr, other: SocketAddr) -> Provider {
    let mut secrets = Secrets::new();
    let key = secrets
        .mint(Secret::new(KEY).expect("a key"))
        .expect("a placeholder");
    let orders = json!({
        "attack": attack, "at": at,
        "granted": granted.to_string(), "other": other.to_string(),
    });
    let settings = Settings {
        config: Some(orders.to_string()),
        api_key: Some(key.as_str().to_owned()),
        discover: true,
        models: Vec::new(),
    };
    let origin = Origin::parse(&format!("http://{granted}/v1")).expect("an origin");
    let network = NetworkLimits::new()
        .with_first_byte_timeout(Duration::from_secs(1))
        .with_total_timeout(Duration::from_secs(1))
        .with_request_body_bytes(1 << 20);
    let grant = Grant::new(origin)
        .with_secrets(secrets)
        .with_limits(network);
    let sandbox = SandboxLimits::new().with_cpu_time_per_call(Duration::from_millis(200));
    let options = ProviderOptions::new(settings, grant).with_sandbox(sandbox);
    Provider::new(plugin(), options).expect("a provider")
}

/// Makes the attack; what the plugin said, and the error it ended in.
async fn make(provider: &Provider, at: &str) -> (Vec<Event>, Option<Error>) {
    let error = match at {
        "check-settings" => provider.check_settings().await.err(),
        "list-models" => provider.list_models().await.err(),
        "resolve-model" => provider.resolve_model("hostile").await.err(),
        _ => return run(provider, &model("hostile"), &ask("Attack.")).await,
    };
    (Vec::new(), error)
}

fn judge(ends: &Ends, events: &[Event], error: Option<&Error>) -> Result<(), String> {
    let told = |what: &str| Err(format!("{what}: {error:?}, {events:?}"));
    match (ends, error) {
        (Ends::Limit(words), Some(error)) => {
            if error.kind() != &ErrorKind::PluginLimit || !error.message().contains(words) {
                return told("not at the limit");
            }
        }
        (Ends::Trap(words), Some(error)) => {
            if error.kind() != &ErrorKind::PluginTrapped || !error.message().contains(words) {
                return told("not stopped as it should be");
            }
        }
        (Ends::Steps(allowed), None) => {
            let text = text(events);
            let steps: Vec<&str> = text.lines().skip(1).collect();
            let as_said = |step: &&str| allowed.iter().any(|begin| step.starts_with(begin));
            if steps.is_empty() || !steps.iter().all(as_said) {
                return told("a step went otherwise");
            }
        }
        _ => return told("ended otherwise"),
    }
    match error {
        Some(error) if error.message().len() > 4 << 10 => told("a long message"),
        Some(error) if error.message().contains(KEY) => told("the key is in the message"),
        _ => Ok(()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_attack_of_a_plugin_ends_within_its_limits_and_no_healthy_chat_notices() {
    let mock = Mock::start(Options::default()).await.expect("a mock");
    let healthy = provider(&mock.base_url(), "key", NetworkLimits::new());
    let (expected, _) = run(&healthy, &model("mock-model"), &ask("Say hello.")).await;
    let expected = text(&expected);
    let mut failures = Vec::new();
    for attack in ATTACKS {
        for at in attack.at {
            let (granted, other) = (Witness::start().await, Witness::start().await);
            let provider = hostile(attack.name, at, granted.address, other.address);
            let (who, what) = (model("mock-model"), ask("Say hello."));
            let (ended, beside) = tokio::join!(make(&provider, at), run(&healthy, &who, &what));
            let mut fails = |why: String| failures.push(format!("{} in {at}: {why}", attack.name));
            if let Err(why) = judge(&attack.ends, &ended.0, ended.1.as_ref()) {
                fails(why);
            }
            if beside.1.is_some() || text(&beside.0) != expected {
                fails(format!("the healthy chat noticed: {beside:?}"));
            }
            if !other.seen().is_empty() {
                fails(format!("another server was reached: {:?}", other.seen()));
            }
            for request in granted.seen() {
                let lower = request.to_lowercase();
                if NEVER_SENT.iter().any(|never| lower.contains(never)) {
                    fails(format!("what must not be sent was: {request:?}"));
                }
            }
        }
    }
    assert!(
        failures.is_empty(),
        "{}\n{}",
        failures.len(),
        failures.join("\n")
    );
}

#[test]
fn the_page_about_security_has_each_attack_and_its_end() {
    let page = include_str!("../../docs/security.md");
    let rows: Vec<&str> = page
        .lines()
        .filter(|line| line.starts_with("| `"))
        .collect();
    for attack in ATTACKS {
        let begins = format!("| `{}` |", attack.name);
        let ends = format!("| {} | {} |", attack.at.join(", "), attack.ends.in_words());
        let found = rows
            .iter()
            .any(|row| row.starts_with(&begins) && row.ends_with(&ends));
        assert!(found, "docs/security.md has no row {begins} … {ends}");
    }
    assert_eq!(
        rows.len(),
        ATTACKS.len(),
        "docs/security.md has another row"
    );
}
