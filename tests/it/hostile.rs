//! Attacks of a hostile plugin on its host, each beside a healthy chat of the same engine.
//!
//! The plugin is `tests/hostile`, built like any other. It has the grant for one server. What it tries, it reports; what
//! reached a server, the servers wrote down. Both must agree with the table, and the healthy chat must never notice. What
//! happened is written down in `docs/attacks.md`.

#[path = "../../host/build/component.rs"]
#[allow(dead_code, reason = "the recipe of every component")]
pub(crate) mod component;

mod ends;
mod table;
mod whole;
mod witness;
mod written;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use provider_host::mock::{Mock, Options};
use provider_host::policy::{
    Binding, Grant, NetworkLimits, Origin, SandboxLimits, Secret, Secrets,
};
use provider_host::route::{Fit, Route, Step, Target};
use provider_host::types::Settings;
use provider_host::{Error, Plugin, Provider, ProviderOptions};
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::support::{BOUND, ask, engine, model, provider, run, text};
use ends::{Ends, Made};
use table::ATTACKS;
use witness::Witness;
use written::WRITTEN;
pub(crate) use written::added;

const KEY: &str = "sk-the-real-key-0123456789abcdef";

/// What no attack may bring onto the wire.
const NEVER_SENT: &[&str] = &[
    "x-smuggled",
    "smuggled.example",
    ": smuggled",
    "7777",
    "100-continue",
    ": trailers",
    "gzip",
];

/// The one attack that may send the key: to the granted server, which sends it on.
const SENDS_THE_KEY: &str = "key-with-a-redirect";

/// How many attacks are made at the same time.
const AT_ONCE: usize = 8;

/// The hostile plugin's file.
pub(crate) fn file() -> &'static Path {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    FILE.get_or_init(|| {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .expect("a workspace");
        component::build_package(workspace, "hostile-provider").expect("the hostile plugin")
    })
}

pub(crate) fn plugin() -> &'static Plugin {
    static PLUGIN: OnceLock<Plugin> = OnceLock::new();
    PLUGIN.get_or_init(|| Plugin::from_file(engine(), file()).expect("a plugin like any other"))
}

/// A hostile provider, and the placeholder that it was given.
struct Hostile {
    provider: Provider,
    placeholder: String,
}

/// A hostile provider with its orders, and a grant for `granted`.
fn hostile(
    plugin: &Plugin,
    (attack, at): (&str, &str),
    (granted, other): (SocketAddr, SocketAddr),
    bounds: Bounds,
) -> Hostile {
    let mut secrets = Secrets::new();
    let key = secrets
        .mint(Secret::new(KEY).expect("a key"), Binding::api_key())
        .expect("a placeholder");
    let orders = json!({
        "attack": attack, "at": at,
        "granted": granted.to_string(), "other": other.to_string(),
    });
    let mut orders = orders.to_string();
    if let Some(order) = allocator_order(attack) {
        // The plugin's allocator is told by the length of what it is asked for.
        orders.extend(std::iter::repeat_n(' ', order - orders.len()));
    }
    let settings = Settings::new(orders).with_api_key(key.as_str());
    let origin = Origin::parse(&format!("http://{granted}/v1")).expect("an origin");
    let placeholder = key.as_str().to_owned();
    let grant = Grant::new(origin)
        .with_secrets(secrets)
        .with_limits(bounds.network);
    let options = ProviderOptions::new(settings, grant).with_sandbox(bounds.sandbox);
    let provider = Provider::new(plugin, options).expect("a provider");
    Hostile {
        provider,
        placeholder,
    }
}

/// The length of settings at which the plugin's allocator makes an attack.
fn allocator_order(attack: &str) -> Option<usize> {
    const ORDERS: usize = 60_000;
    let order = match attack {
        "allocator-loop" => 1,
        "allocator-trap" => 2,
        "allocator-outside" => 3,
        "allocator-last-byte" => 4,
        "allocator-memory" => 5,
        "allocator-host-call" => 6,
        _ => return None,
    };
    Some(ORDERS + order)
}

/// Makes the attack once.
async fn make(provider: &Provider, at: &str) -> Made {
    let (who, what) = (model("hostile"), ask("Attack."));
    let error: Option<Error> = match at {
        "check-settings" | "allocator" => provider.check_settings().await.err(),
        "list-models" => provider.list_models().await.err(),
        "resolve-model" => provider.resolve_model("hostile").await.err(),
        "count-tokens" => provider.count_tokens(&who, &what).await.err(),
        "check-health" => provider.check_health().await.err(),
        "route" => return through_a_route(provider).await,
        _ => {
            let (events, error) = run(provider, &who, &what).await;
            return Made { events, error };
        }
    };
    Made {
        error,
        ..Made::default()
    }
}

/// Chats with each model that the plugin may have, as an agent makes them: the prompt is counted, the limit fitted, and
/// what fails is tried again.
async fn through_a_route(provider: &Provider) -> Made {
    let mut made = Made::default();
    for id in ["0", "1", "2"] {
        for max_tokens in [None, Some(1), Some(u32::MAX)] {
            let mut request = ask("Attack.");
            request.max_tokens = max_tokens;
            let route = Route::new(Target::new(provider, id)).with_fit(Fit::Always);
            let mut chat = route.chat(request);
            loop {
                match chat.next_batch(64).await {
                    Ok(steps) if steps.is_empty() => break,
                    Ok(steps) => {
                        made.events
                            .extend(steps.into_iter().filter_map(|step| match step {
                                Step::Event(event) => Some(event),
                                _ => None,
                            }))
                    }
                    Err(error) => {
                        made.error = Some(error);
                        break;
                    }
                }
            }
        }
    }
    made
}

/// What is wrong with what reached the servers.
fn got_out(attack: &str, granted: &Witness, other: &Witness) -> Vec<String> {
    let mut wrong = Vec::new();
    if !other.seen().is_empty() {
        wrong.push(format!("another server was reached: {:?}", other.seen()));
    }
    for request in granted.seen() {
        let lower = request.to_lowercase();
        if let Some(never) = NEVER_SENT.iter().find(|never| lower.contains(**never)) {
            wrong.push(format!("{never:?} was sent: {request:?}"));
        }
        if request.contains(KEY) && attack != SENDS_THE_KEY {
            wrong.push(format!("the key was sent: {request:?}"));
        }
    }
    wrong
}

/// A chat that has nothing to do with any of it.
struct Healthy {
    provider: Provider,
    answer: String,
}

impl Healthy {
    async fn start(mock: &Mock) -> Self {
        let provider = provider(&mock.base_url(), "key", NetworkLimits::new());
        let (events, error) = run(&provider, &model("mock-model"), &ask("Say hello.")).await;
        assert!(error.is_none(), "{error:?}");
        Self {
            provider,
            answer: text(&events),
        }
    }

    /// Something else, and one chat after the other beside it; what they notice, if they notice anything.
    async fn beside<T>(&self, attack: impl Future<Output = T>) -> (T, Option<String>) {
        let over = AtomicBool::new(false);
        let attack = async {
            let ended = attack.await;
            over.store(true, Ordering::Relaxed);
            ended
        };
        let chats = async {
            loop {
                let noticed = self.notices().await;
                if noticed.is_some() || over.load(Ordering::Relaxed) {
                    return noticed;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::join!(attack, chats)
    }

    async fn notices(&self) -> Option<String> {
        let (who, what) = (model("mock-model"), ask("Say hello."));
        let (events, error) = run(&self.provider, &who, &what).await;
        let noticed = error.is_some() || text(&events) != self.answer;
        noticed.then(|| format!("the healthy chat noticed: {error:?}, {events:?}"))
    }
}

/// One row of the table, in one function: what happened, or what is wrong.
struct Run {
    row: usize,
    at: &'static str,
    happened: Result<String, Vec<String>>,
}

/// What an attack may use up.
struct Bounds {
    network: NetworkLimits,
    sandbox: SandboxLimits,
}

impl Bounds {
    /// A limit that has to end the attack is soon reached. The others are far away: guests that compute wait for each
    /// other, and the machine may be busy.
    fn of(ends: &Ends) -> Self {
        let (computing, total) = match ends {
            Ends::Limit("processor time") => (Duration::from_millis(100), 40),
            Ends::Limit("time (") => (Duration::from_secs(20), 1),
            // An answer without end is read to the end of its time.
            Ends::Steps(_) => (Duration::from_secs(20), 5),
            _ => (Duration::from_secs(20), 40),
        };
        Self {
            network: NetworkLimits::new()
                .with_first_byte_timeout(Duration::from_secs(3))
                .with_total_timeout(Duration::from_secs(total))
                .with_request_body_bytes(1 << 20),
            sandbox: SandboxLimits::new()
                .with_cpu_time_per_call(computing)
                .with_memory_bytes(256 << 20)
                .with_event_bytes(1 << 20),
        }
    }
}

/// Attacks once, beside a healthy chat.
async fn attack(
    plugin: &Plugin,
    (name, at): (&str, &str),
    ends: &Ends,
    healthy: &Healthy,
) -> Result<String, Vec<String>> {
    // What a chat leaves behind is looked for in the ones after it.
    let times = if name == "memory-of-others" { 25 } else { 1 };
    let mut happened = Ok(String::new());
    for _ in 0..times {
        let other = Witness::start("").await;
        let granted = Witness::start(&other.address.to_string()).await;
        let servers = (granted.address, other.address);
        let hostile = hostile(plugin, (name, at), servers, Bounds::of(ends));
        let attack = tokio::time::timeout(BOUND, make(&hostile.provider, at));
        let (made, noticed) = healthy.beside(attack).await;
        let said = made
            .as_ref()
            .map_or_else(|_| String::new(), |made| text(&made.events));
        let said_before = said.matches("said before").count();
        let judged = match made {
            Ok(made) => made.judge(ends, &[KEY, &hostile.placeholder]),
            Err(_) => Err(format!("it does not end within {BOUND:?}")),
        };
        let mut wrong: Vec<String> = noticed.into_iter().collect();
        if name == "trap-in-the-middle" && said_before != 3 {
            wrong.push(format!(
                "{said_before} of 3 events before the trap were given out"
            ));
        }
        wrong.extend(got_out(name, &granted, &other));
        happened = match judged {
            Err(why) => {
                wrong.push(why);
                Err(wrong)
            }
            Ok(words) if wrong.is_empty() => Ok(words),
            Ok(_) => Err(wrong),
        };
        if happened.is_err() {
            break;
        }
    }
    happened
}

/// Loads a file that was written by hand and, if it loads, starts a chat with it, beside a healthy one.
async fn load_and_attack(row: usize, healthy: &Healthy) -> Result<String, Vec<String>> {
    let written = &WRITTEN[row];
    let load = tokio::task::spawn_blocking(move || {
        let plugin = std::fs::read(file()).expect("the plugin's file");
        Plugin::from_bytes(engine(), &written.bytes(&plugin))
    });
    let (loaded, noticed) = healthy.beside(load).await;
    let mut wrong: Vec<String> = noticed.into_iter().collect();
    match loaded.expect("no panic") {
        Ok(plugin) => {
            return attack(&plugin, (written.name, "next"), &written.ends, healthy).await;
        }
        Err(error) => match Made::from(error).judge(&written.ends, &[KEY]) {
            Ok(words) if wrong.is_empty() => return Ok(words),
            Ok(_) => {}
            Err(why) => wrong.push(why),
        },
    }
    Err(wrong)
}

/// Makes each attack of the tables in each of its functions, a few at a time.
async fn make_all() -> Vec<Run> {
    let mock = Mock::start(Options::default()).await.expect("a mock");
    let healthy = Arc::new(Healthy::start(&mock).await);
    let room = Arc::new(Semaphore::new(AT_ONCE));
    plugin();
    let mut runs = JoinSet::new();
    for (row, of) in ATTACKS.iter().enumerate() {
        for (at, ends) in of
            .cases
            .iter()
            .flat_map(|(all, ends)| all.iter().map(move |at| (*at, ends)))
        {
            let (healthy, room) = (healthy.clone(), room.clone());
            runs.spawn(async move {
                let _place = room.acquire_owned().await.expect("a place");
                let happened = attack(plugin(), (of.name, at), ends, &healthy).await;
                Run { row, at, happened }
            });
        }
    }
    for row in 0..WRITTEN.len() {
        let (healthy, room) = (healthy.clone(), room.clone());
        runs.spawn(async move {
            let _place = room.acquire_owned().await.expect("a place");
            let happened = load_and_attack(row, &healthy).await;
            let row = ATTACKS.len() + row;
            Run {
                row,
                at: "load",
                happened,
            }
        });
    }
    runs.join_all().await
}

/// The table of the page, from what happened.
fn page(runs: &[Run]) -> String {
    use std::fmt::Write as _;
    let mut page =
        String::from("| attack | what it tries | in | how it ended |\n|---|---|---|---|\n");
    let names = ATTACKS.iter().map(|attack| (attack.name, attack.tries));
    let written = WRITTEN.iter().map(|written| (written.name, written.tries));
    for (row, (name, tries)) in names.chain(written).enumerate() {
        // In the order of the table, whatever the order in which they ended.
        let order: Vec<&str> = match ATTACKS.get(row) {
            Some(attack) => attack
                .cases
                .iter()
                .flat_map(|(at, _)| at.iter().copied())
                .collect(),
            None => vec!["load"],
        };
        let mut ends: Vec<(&str, Vec<&str>)> = Vec::new();
        for at in order {
            let run = runs.iter().find(|run| run.row == row && run.at == at);
            let Some(Ok(happened)) = run.map(|run| run.happened.as_deref()) else {
                continue;
            };
            match ends.iter_mut().find(|(end, _)| *end == happened) {
                Some((_, all)) => all.push(at),
                None => ends.push((happened, vec![at])),
            }
        }
        for (end, at) in ends {
            let at = match (at[0], end.starts_with("not loaded")) {
                ("load", false) => "instance".to_owned(),
                _ => at.join(", "),
            };
            let _ = writeln!(page, "| `{name}` | {tries} | {at} | {end} |");
        }
    }
    let attacks = ATTACKS.len() + WRITTEN.len();
    let escaped = runs.iter().filter(|run| run.happened.is_err()).count();
    let _ = writeln!(
        page,
        "\n{attacks} attacks, {} runs, each beside healthy chats; {escaped} escaped.",
        runs.len()
    );
    page
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_attack_of_a_plugin_ends_within_its_limits_and_no_healthy_chat_notices() {
    let runs = make_all().await;
    let mut failures = Vec::new();
    for run in &runs {
        let name = match ATTACKS.get(run.row) {
            Some(attack) => attack.name,
            None => WRITTEN[run.row - ATTACKS.len()].name,
        };
        for why in run.happened.as_ref().err().into_iter().flatten() {
            failures.push(format!("{name} in {}: {why}", run.at));
        }
    }
    assert!(
        failures.is_empty(),
        "{}\n{}",
        failures.len(),
        failures.join("\n")
    );
    crate::computed::block("docs/attacks.md", "plugins", &page(&runs));
}

#[test]
fn every_test_that_the_page_about_security_names_exists() {
    let page = include_str!("../../docs/security.md");
    let words = page.split('`').skip(1).step_by(2);
    let tests: Vec<&str> = words
        .filter(|word| word.starts_with("it::") || word.starts_with("provider_host::"))
        .collect();
    assert!(
        tests.len() > 10,
        "the page names its tests otherwise: {tests:?}"
    );
    for test in tests {
        assert!(crate::behaviour::page::exists(test), "{test} is not there");
    }
}

/// The test above proves nothing if nobody looks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_gets_out_is_seen() {
    let nobody = Witness::start("").await;
    let server = Witness::start("").await;
    let servers = (server.address, nobody.address);
    let attack = (SENDS_THE_KEY, "next");
    let hostile = hostile(plugin(), attack, servers, Bounds::of(&Ends::Well));
    let made = make(&hostile.provider, "next").await;
    assert!(made.error.is_none(), "{made:?}");
    assert_eq!(got_out(SENDS_THE_KEY, &server, &nobody), [""; 0]);
    let seen = got_out("another attack", &server, &nobody);
    assert!(
        seen.iter().any(|one| one.starts_with("the key was sent")),
        "{seen:?}"
    );
    let seen = got_out(SENDS_THE_KEY, &nobody, &server);
    assert!(
        seen.iter().any(|one| one.starts_with("another server")),
        "{seen:?}"
    );
}
