//! Attacks of a hostile server on the host and on the real plugin in its sandbox, each beside a healthy chat.
//!
//! The servers are scripted byte by byte over TCP and TLS ([`scripted`]). Each attack must end in a typed error within
//! its limit, or, where it is harmless, in the right events; never in a fault of the plugin. The next chat of the same
//! provider must get its own answer, a redirect must lead nowhere, and no request may ask for a compressed answer or bring
//! a cookie back. `docs/attacks.md` has a row for each, written from the run.
//!
//! `ONLY_ATTACK=chunk` runs those attacks whose name has that in it, and writes nothing.

mod cuts;
mod events;
mod framing;
mod heads;
mod json;
mod models;
mod paths;
mod scripted;
mod tls;

use std::error::Error as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use provider_host::egress::TransportError;
use provider_host::mock::{Mock, Options};
use provider_host::policy::{Binding, Grant, NetworkLimits, Origin, Secret, Secrets};
use provider_host::types::{Event, Settings};
use provider_host::{Error, Provider, ProviderOptions};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::support::{BOUND, ask, model, plugin, provider, run, text};
use scripted::{ANSWER, Front, Reads, Server, Step};

/// How many attacks are under way at a time.
const AT_A_TIME: usize = 4;

/// What is asked of the hostile server.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Call {
    Chat,
    /// A chat of eight megabytes, more than the buffers of a socket hold.
    LargeChat,
    Models,
}

/// How an attack must end.
enum Ends {
    /// In an error of this kind.
    In(&'static str),
    /// In the whole answer: there is no harm in it.
    Harmless,
    /// In an answer that has these events, as the test sees them.
    With(fn(&[Event]) -> bool),
    /// In a list of so many models.
    Models(usize),
}

struct Attack {
    name: &'static str,
    what: &'static str,
    call: Call,
    front: Front,
    reads: Reads,
    steps: Vec<Step>,
    limits: NetworkLimits,
    ca_pem: Option<String>,
    /// The host of the base URL.
    host: &'static str,
    scheme: &'static str,
    /// How much later the next chat begins.
    pause: Duration,
    /// What came of the answer is not that of the honest server.
    any_text: bool,
    ends: Ends,
}

/// An attack on a chat over plain HTTP. No limit of time is near, unless the attack is on one.
fn attack(name: &'static str, what: &'static str, steps: Vec<Step>, ends: Ends) -> Attack {
    let far = Duration::from_secs(40);
    Attack {
        name,
        what,
        call: Call::Chat,
        front: Front::Plain,
        reads: Reads::Whole,
        steps,
        limits: NetworkLimits::new()
            .with_connect_timeout(far)
            .with_first_byte_timeout(far)
            .with_idle_timeout(far)
            .with_total_timeout(far),
        ca_pem: None,
        host: "127.0.0.1",
        scheme: "http",
        pause: Duration::ZERO,
        any_text: false,
        ends,
    }
}

impl Attack {
    /// On the list of models.
    fn on_models(self) -> Self {
        Self {
            call: Call::Models,
            ..self
        }
    }

    /// What comes before the end is of the attack.
    fn any_text(self) -> Self {
        Self {
            any_text: true,
            ..self
        }
    }

    /// With this answer instead of an honest one.
    fn answering(self, answer: &str) -> Self {
        let steps = vec![send(answer), Step::Silence];
        Self { steps, ..self }
    }

    fn limited(mut self, limit: impl FnOnce(NetworkLimits) -> NetworkLimits) -> Self {
        self.limits = limit(self.limits);
        self
    }

    /// A second until the first byte.
    fn first_byte_short(self) -> Self {
        self.limited(|limits| limits.with_first_byte_timeout(Duration::from_secs(1)))
    }

    /// A second of silence.
    fn idle_short(self) -> Self {
        self.limited(|limits| limits.with_idle_timeout(Duration::from_secs(1)))
    }

    /// Two seconds for everything.
    fn total_short(self) -> Self {
        self.limited(|limits| limits.with_total_timeout(Duration::from_secs(2)))
    }
}

fn send(bytes: impl Into<Vec<u8>>) -> Step {
    Step::Send(bytes.into())
}

fn provider_for(attack: &Attack, server: &Server) -> Provider {
    let base_url = format!(
        "{}://{}:{}/v1",
        attack.scheme,
        attack.host,
        server.address.port()
    );
    let mut secrets = Secrets::new();
    let key = secrets
        .mint(
            Secret::new("sk-the-real-key").expect("a key"),
            Binding::api_key(),
        )
        .expect("a placeholder");
    let settings = Settings::at(&base_url).with_api_key(key.as_str());
    let mut grant = Grant::new(Origin::parse(&base_url).expect("an origin"))
        .with_secrets(secrets)
        .with_limits(attack.limits.clone());
    if let Some(pem) = &attack.ca_pem {
        grant = grant.with_ca_pem(pem.as_bytes());
    }
    Provider::new(plugin(), ProviderOptions::new(settings, grant)).expect("a provider")
}

/// What came of a call.
struct Outcome {
    events: Vec<Event>,
    models: Option<usize>,
    error: Option<Error>,
}

async fn make(provider: &Provider, call: Call) -> Outcome {
    let question = match call {
        Call::LargeChat => "x".repeat(8 << 20),
        _ => "Say hello.".to_owned(),
    };
    let (mut events, mut models) = (Vec::new(), None);
    let error = match call {
        Call::Models => match provider.list_models().await {
            Ok(catalog) => {
                models = Some(catalog.models.len());
                None
            }
            Err(error) => Some(error),
        },
        Call::Chat | Call::LargeChat => {
            let (came, error) = run(provider, &model("m"), &ask(&question)).await;
            events = came;
            error
        }
    };
    Outcome {
        events,
        models,
        error,
    }
}

fn is_whole(events: &[Event]) -> bool {
    text(events) == ANSWER && matches!(events.last(), Some(Event::Finish(_)))
}

fn judge(attack: &Attack, outcome: &Outcome) -> Result<(), String> {
    let told = |what: &str| {
        let some = &outcome.events[..outcome.events.len().min(8)];
        let told = format!(
            "{what}: {:?}, {some:?}, {:?}",
            outcome.error, outcome.models
        );
        Err(told.chars().take(2000).collect())
    };
    let fits = match (&attack.ends, &outcome.error) {
        (Ends::In(kind), Some(error)) => error.kind_name() == *kind,
        (Ends::Harmless, None) => is_whole(&outcome.events),
        (Ends::With(fits), None) => fits(&outcome.events),
        (Ends::Models(count), None) => outcome.models == Some(*count),
        _ => false,
    };
    if !fits {
        return told("ended otherwise");
    }
    if !attack.any_text && !ANSWER.starts_with(&text(&outcome.events)) {
        return told("another text than the server's");
    }
    let Some(error) = &outcome.error else {
        return Ok(());
    };
    let message = error.message();
    if error.is_plugin_fault() {
        return told("the plugin failed");
    }
    if message.len() > 8 << 10 {
        return told("a long message");
    }
    if message.contains(|one: char| one.is_control()) {
        return told("a message that speaks to a terminal");
    }
    Ok(())
}

/// How it ended, as the page has it: what the run says, without what differs from run to run.
fn in_words(outcome: &Outcome) -> String {
    let Some(error) = &outcome.error else {
        return match outcome.models {
            Some(count) => format!("harmless: a list of {count}"),
            None => "harmless: the whole answer".to_owned(),
        };
    };
    // What the host says where it was the host that ended it; else the plugin's words behind the URL, without the advice.
    let by_the_host = error.source().and_then(|cause| cause.downcast_ref());
    let what = match by_the_host.map(TransportError::to_string) {
        Some(what) => what.replace(" (os error 104)", ""),
        None => {
            let message = error.message();
            let behind = message
                .split_once("/v1/")
                .and_then(|(_, rest)| rest.split_once(": "));
            let what = behind.map_or(message, |(_, what)| what);
            let what = what.split(" (").next().unwrap_or(what);
            what.split("; ").next().unwrap_or(what).to_owned()
        }
    };
    let short: String = without_port(&what).chars().take(120).collect();
    let more = if short.chars().count() == 120 {
        "…"
    } else {
        ""
    };
    format!("{}: {}{more}", error.kind_name(), short.replace('|', "\\|"))
}

/// The ports of this run say nothing to anybody else.
fn without_port(text: &str) -> String {
    for host in ["127.0.0.1:", "localhost:"] {
        if let Some((before, behind)) = text.split_once(host) {
            let behind = behind.trim_start_matches(|one: char| one.is_ascii_digit());
            return format!("{before}{host}PORT{behind}");
        }
    }
    text.to_owned()
}

/// What the run of one attack found: its row, and what went wrong.
struct Finding {
    row: String,
    failures: Vec<String>,
}

/// The plugin gives a list of models five seconds. A machine that is too busy to take 16 MiB in that time tries again.
const TRIES: usize = 4;

async fn play(attack: Attack, healthy: Provider, expected: Arc<str>) -> Finding {
    let may_be_late = attack.call == Call::Models && !matches!(attack.ends, Ends::In("timeout"));
    for _ in 1..TRIES {
        let (finding, late) = play_once(&attack, &healthy, &expected).await;
        if !(late && may_be_late) {
            return finding;
        }
    }
    play_once(&attack, &healthy, &expected).await.0
}

/// Makes an attack once; whether it ended because time ran out.
async fn play_once(attack: &Attack, healthy: &Provider, expected: &str) -> (Finding, bool) {
    let server = Server::start(attack.front.clone(), attack.reads, attack.steps.clone()).await;
    let provider = provider_for(attack, &server);
    let (who, what) = (model("mock-model"), ask("Say hello."));
    let started = tokio::time::Instant::now();
    let (outcome, beside) = tokio::join!(make(&provider, attack.call), run(healthy, &who, &what));
    let took = started.elapsed();
    let mut failures = Vec::new();
    let mut fails = |why: String| failures.push(format!("{}: {why}", attack.name));
    if let Err(why) = judge(attack, &outcome) {
        fails(why);
    }
    if took > BOUND {
        fails(format!("it took {took:?}"));
    }
    if beside.1.is_some() || text(&beside.0) != expected {
        fails(format!("the healthy chat noticed: {beside:?}"));
    }
    // What the attack leaves behind must not be the answer to anything else.
    if !matches!(attack.front, Front::Mute) && attack.ca_pem.is_none() && attack.scheme == "http" {
        tokio::time::sleep(attack.pause).await;
        let (events, error) = run(&provider, &model("m"), &ask("Say hello.")).await;
        if error.is_some() || !is_whole(&events) {
            fails(format!("the next chat noticed: {events:?}, {error:?}"));
        }
    }
    for request in server.requests() {
        let head = request.split("\r\n\r\n").next().unwrap_or_default();
        let head = head.to_ascii_lowercase();
        for never in ["accept-encoding", "cookie", "expect:", "te:", "upgrade"] {
            if head.contains(&format!("\n{never}")) {
                fails(format!("a request has {never}"));
            }
        }
    }
    let row = format!(
        "| `{}` | {} | {} |",
        attack.name,
        attack.what,
        in_words(&outcome)
    );
    let late = outcome
        .error
        .is_some_and(|error| error.kind_name() == "timeout");
    (Finding { row, failures }, late)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_attack_of_a_server_ends_within_its_limits_and_no_healthy_chat_notices() {
    let mock = Mock::start(Options::default()).await.expect("a mock");
    let healthy = provider(&mock.base_url(), "key", NetworkLimits::new());
    let (expected, _) = run(&healthy, &model("mock-model"), &ask("Say hello.")).await;
    let expected: Arc<str> = text(&expected).into();
    // Where redirects lead. Nobody may come.
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let target = elsewhere.local_addr().expect("an address");

    let mut attacks = Vec::new();
    attacks.extend(heads::attacks(target));
    attacks.extend(framing::attacks());
    attacks.extend(events::attacks());
    attacks.extend(json::attacks());
    attacks.extend(models::attacks());
    attacks.extend(tls::attacks());
    let only = std::env::var("ONLY_ATTACK").ok();
    if let Some(only) = &only {
        attacks.retain(|attack| attack.name.contains(only));
    }

    let room = Arc::new(Semaphore::new(AT_A_TIME));
    let findings: Arc<Mutex<Vec<(usize, Finding)>>> = Arc::default();
    let mut running = Vec::new();
    for (place, attack) in attacks.into_iter().enumerate() {
        let (room, findings) = (Arc::clone(&room), Arc::clone(&findings));
        let (healthy, expected) = (healthy.clone(), Arc::clone(&expected));
        running.push(tokio::spawn(async move {
            let _turn = room.acquire().await.expect("it is never closed");
            let finding = play(attack, healthy, expected).await;
            let mut all = findings.lock().unwrap_or_else(PoisonError::into_inner);
            all.push((place, finding));
        }));
    }
    for one in running {
        one.await.expect("an attack that ends");
    }
    let mut findings = std::mem::take(&mut *findings.lock().expect("no attack panicked"));
    findings.sort_by_key(|(place, _)| *place);
    if only.is_none() {
        findings.push((findings.len(), cuts::at_every_byte().await));
    }

    let failures: Vec<&str> = findings
        .iter()
        .flat_map(|(_, finding)| finding.failures.iter().map(String::as_str))
        .collect();
    assert!(
        failures.is_empty(),
        "{}\n{}",
        failures.len(),
        failures.join("\n")
    );
    let came = tokio::time::timeout(Duration::from_millis(50), elsewhere.accept()).await;
    assert!(came.is_err(), "a redirect was followed");

    if only.is_none() {
        let mut page =
            String::from("| attack | what the server does | how it ends |\n|---|---|---|\n");
        for (_, finding) in &findings {
            page.push_str(&finding.row);
            page.push('\n');
        }
        crate::computed::block("docs/attacks.md", "servers", &page);
    }
}
