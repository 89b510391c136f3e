//! The contract's conformance suite: any provider plugin, held against what `llm:provider` says.
//!
//! A plugin that need not be trusted may still be wrong, and whoever writes one should know before anybody relies on it. Each
//! [`Check`] is one sentence of the contract. It runs the plugin in the sandbox that a chat runs in, over exchanges in
//! memory ([`crate::exercise`]), and says that the sentence holds, or what was done, what came and where the contract says
//! otherwise, or why it could not be tried.
//!
//! What a server of the plugin's own protocol says when all is well is nothing that a suite can make up: it is taken from
//! recorded exchanges, the built-in ones (for plugins that speak OpenAI's protocol) or those of a folder. Everything else,
//! refusals, silence, broken connections, pages of proxies, is the same for every protocol.
//!
//! `provider-host plugin check` is this, and `docs/check.md` has the list.
//!
//! ```no_run
//! # async fn example(engine: &provider_host::Engine, bytes: &[u8]) -> provider_host::Result<()> {
//! use provider_host::check::{Options, Suite};
//!
//! let suite = Suite::new(engine, bytes, Options::default())?;
//! for report in suite.run().await {
//!     println!("{}", report.check.says);
//!     for reason in report.verdict.reasons() {
//!         println!("  {reason}");
//!     }
//! }
//! # Ok(())
//! # }
//! ```

mod budget;
mod cancel;
mod catalog;
mod chat;
mod corpus;
mod errors;
mod findings;
mod guest;
mod limits;
mod manifest;
mod settings;
mod state;
mod subject;
mod transport;

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::exercise::BASE_URL;
use crate::plugin::{Inspection, Plugin, inspect};
use crate::policy::{Origin, SandboxLimits};

use budget::CheckBudget;

pub use corpus::{Expected, Recorded};
pub use findings::{Findings, Verdict};
pub use subject::Subject;

/// What the checks are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    /// What the plugin says of itself.
    Manifest,
    /// What it makes of its settings.
    Settings,
    /// Which models there are.
    Catalog,
    /// A streamed answer.
    Chat,
    /// What goes wrong.
    Errors,
    /// What is given up.
    Cancel,
    /// What it uses, and what it sends.
    Limits,
    /// What is left of one chat for the next.
    State,
}

impl Group {
    /// The name, as it is printed.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Manifest => "manifest",
            Self::Settings => "settings",
            Self::Catalog => "catalog",
            Self::Chat => "chat",
            Self::Errors => "errors",
            Self::Cancel => "cancel",
            Self::Limits => "limits",
            Self::State => "state",
        }
    }
}

/// One sentence of the contract, to be tried.
pub struct Check {
    /// What it is about.
    pub group: Group,
    /// Its name: kebab-case, stable.
    pub name: &'static str,
    /// The sentence.
    pub says: &'static str,
    /// Where the contract says so: a name of `wit/`, and its words.
    pub contract: &'static str,
    run: Run,
}

/// A check at work.
type Running<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;
type Run = for<'a> fn(&'a Subject, &'a mut Findings) -> Running<'a>;

impl std::fmt::Debug for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.group.name(), self.name)
    }
}

/// Declares a group's checks: name, sentence, place in the contract, function.
macro_rules! checks {
    ($group:ident: $($name:literal, $says:literal, $contract:literal, $run:path;)*) => {
        pub(super) const CHECKS: &[$crate::check::Check] = &[$($crate::check::Check {
            group: $crate::check::Group::$group,
            name: $name,
            says: $says,
            contract: $contract,
            run: |subject, findings| Box::pin($run(subject, findings)),
        },)*];
    };
}
use checks;

/// All checks, in the order in which they run.
pub fn all() -> impl Iterator<Item = &'static Check> {
    [
        manifest::CHECKS,
        settings::CHECKS,
        catalog::CHECKS,
        chat::CHECKS,
        errors::CHECKS,
        cancel::CHECKS,
        state::CHECKS,
        // Last: it also reads what all the others sent.
        limits::CHECKS,
    ]
    .into_iter()
    .flatten()
}

/// What a plugin is checked with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// What a server of the plugin's protocol says.
    pub exchanges: Vec<Recorded>,
    /// The plugin's configuration, a JSON object; a server that it names has to be that of
    /// [`BASE_URL`], which stands in it as `baseUrl` if nothing else does ([`Options::validate`]).
    pub config: serde_json::Map<String, serde_json::Value>,
    /// Most recorded chats that are tried; of more, these many spread over all.
    pub sample: usize,
    /// What the plugin's code may use.
    pub sandbox: SandboxLimits,
    /// How long one exchange may take, and how long the end of one is waited for. Nothing here takes
    /// any time, so that this only ends what would never come. 30 s by default. Once twice as much
    /// was waited in vain, it is a second.
    pub patience: Duration,
    /// How long all of it may take, loading the plugin included: [`DEADLINE`]. What was not tried
    /// until then is [`Verdict::NotTried`]. A third of it is for whichever check needs it, the rest
    /// is kept for the checks in equal parts.
    pub deadline: Duration,
}

/// How long a suite may take, by default. An honest plugin takes some seconds; one that waits or
/// computes in each call for as long as it may, and is tried with everything all the same, less than
/// five minutes.
pub const DEADLINE: Duration = Duration::from_secs(300);

impl Default for Options {
    fn default() -> Self {
        Self {
            exchanges: Recorded::built_in(),
            config: serde_json::Map::new(),
            sample: 64,
            sandbox: SandboxLimits::default(),
            patience: Duration::from_secs(30),
            deadline: DEADLINE,
        }
    }
}

impl Options {
    /// Takes other exchanges than the built-in ones.
    #[must_use]
    pub fn with_exchanges(mut self, exchanges: Vec<Recorded>) -> Self {
        self.exchanges = exchanges;
        self
    }

    /// Sets the plugin's configuration.
    #[must_use]
    pub fn with_config(mut self, config: serde_json::Map<String, serde_json::Value>) -> Self {
        self.config = config;
        self
    }

    /// Whether the suite can answer for the server that the configuration names. The suite answers
    /// at [`BASE_URL`] only; the path may be another one. What is no URL is left to the plugin.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Host`]: `baseUrl` is the URL of another server.
    pub fn validate(&self) -> Result<()> {
        let Some(url) = self.config.get("baseUrl").and_then(|url| url.as_str()) else {
            return Ok(());
        };
        match (Origin::parse(url), Origin::parse(BASE_URL)) {
            (Ok(named), Ok(own)) if named != own => Err(Error::new(
                ErrorKind::Host,
                format!(
                    "baseUrl is {named}, and no server is asked: the recorded exchanges are \
                     answered at {BASE_URL}, wherever they were recorded. Leave baseUrl out, or \
                     name {BASE_URL} (the path may be another one)"
                ),
            )),
            _ => Ok(()),
        }
    }

    /// Sets how many recorded chats are tried.
    #[must_use]
    pub fn with_sample(mut self, sample: usize) -> Self {
        self.sample = sample;
        self
    }

    /// Sets how long something that does not come is waited for.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Sets how long all of it may take. Nothing is tried in no time.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sets the limits of the sandbox.
    #[must_use]
    pub fn with_sandbox(mut self, sandbox: SandboxLimits) -> Self {
        self.sandbox = sandbox;
        self
    }
}

/// What became of a check.
#[derive(Debug)]
pub struct Report {
    /// The check.
    pub check: &'static Check,
    /// How it ended.
    pub verdict: Verdict,
}

/// A plugin, and everything that it is held against.
#[derive(Debug)]
pub struct Suite {
    inspection: Inspection,
    loaded: Loaded,
    budget: Arc<CheckBudget>,
    /// Checks that were begun.
    begun: AtomicUsize,
}

#[derive(Debug)]
enum Loaded {
    Plugin(Box<Subject>),
    /// This host does not load it.
    Refused(Error),
    /// It was still being compiled at the deadline.
    Late,
}

impl Suite {
    /// Loads a plugin. One that this host does not load, for what it imports, say, is a finding of the suite. Blocks, no
    /// longer than [`Options::deadline`]: a plugin that takes longer to compile is compiled on by a thread of its own, within
    /// the engine's limits, and not tried.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidPlugin`]: the bytes are no component of the contract's world `provider`.
    /// [`ErrorKind::Host`]: the operating system gave no thread, or no random bytes for a
    /// placeholder, or the configuration names another server ([`Options::validate`]).
    pub fn new(engine: &Engine, bytes: &[u8], options: Options) -> Result<Self> {
        let began = Instant::now();
        options.validate()?;
        let inspection = inspect(bytes)?;
        let world = inspection.world.as_deref().unwrap_or_default();
        if !world.starts_with("llm:provider/provider@") {
            return Err(Error::new(
                ErrorKind::InvalidPlugin,
                "the file is no plugin: it does not export the world `llm:provider/provider`",
            ));
        }
        let loaded = load(
            engine,
            bytes,
            options.deadline.saturating_sub(began.elapsed()),
        )?;
        let budget = CheckBudget::new(&options, began.elapsed(), all().count());
        let budget = Arc::new(budget);
        let loaded = match loaded {
            None => Loaded::Late,
            Some(Err(error)) => Loaded::Refused(error),
            Some(Ok(plugin)) => {
                let subject = Subject::new(plugin, options, budget.clone())?;
                Loaded::Plugin(Box::new(subject))
            }
        };
        Ok(Self {
            inspection,
            loaded,
            budget,
            begun: AtomicUsize::new(0),
        })
    }

    /// What the file says of itself.
    pub fn inspection(&self) -> &Inspection {
        &self.inspection
    }

    /// Runs every check, one after the other.
    pub async fn run(&self) -> Vec<Report> {
        let mut reports = Vec::new();
        for check in all() {
            reports.push(self.check(check).await);
        }
        reports
    }

    /// Runs one check. The time of [`Options::deadline`] begins with the first one.
    pub async fn check(&self, check: &'static Check) -> Report {
        let begun = self.begun.fetch_add(1, Ordering::Relaxed) + 1;
        let behind = all().count().saturating_sub(begun);
        let mut findings = Findings::default();
        let verdict = match &self.loaded {
            Loaded::Plugin(subject) => self.tried(check, subject, behind).await,
            Loaded::Refused(error) => {
                if check.name == manifest::LOADS {
                    findings.tried();
                    findings.add("the host loads it", error.message());
                } else {
                    findings.skip("the host does not load it");
                }
                findings.verdict(check.contract)
            }
            Loaded::Late => {
                let seconds = self.budget.deadline().as_secs_f32();
                let why = "the plugin was still being compiled then";
                Verdict::NotTried(format!("the deadline of {seconds} s has passed; {why}"))
            }
        };
        Report { check, verdict }
    }

    async fn tried(&self, check: &Check, subject: &Subject, behind: usize) -> Verdict {
        let known = subject.get_to_know(behind + 1).await;
        let unknown = (!known).then(|| self.over());
        let Some(until) = self.budget.share(behind) else {
            let seconds = self.budget.deadline().as_secs_f32();
            let why = "before this check was begun";
            return Verdict::NotTried(format!("the deadline of {seconds} s had passed {why}"));
        };
        let mut findings = Findings::default();
        let run = (check.run)(subject, &mut findings);
        if tokio::time::timeout_at(until, run).await.is_err() {
            return findings.ended(self.over(), check.contract);
        }
        match (findings.verdict(check.contract), unknown) {
            // What a check is tried with is chosen by what the plugin asks its server.
            (Verdict::Skipped(_), Some(_)) => Verdict::NotTried(
                "what the plugin asks its server was not found out in time".to_owned(),
            ),
            (verdict, _) => verdict,
        }
    }

    /// Why something was ended.
    fn over(&self) -> String {
        let deadline = self.budget.deadline().as_secs_f32();
        let what = match self.budget.is_over() {
            true => format!("the deadline of {deadline} s passed"),
            false => format!("this check's part of the {deadline} s of all was over"),
        };
        format!("{what}; {}", self.budget.doing())
    }
}

/// Loads a plugin; none: it takes longer than there is time.
fn load(engine: &Engine, bytes: &[u8], time: Duration) -> Result<Option<Result<Plugin>>> {
    let (engine, bytes) = (engine.clone(), bytes.to_vec());
    let (sender, loaded) = mpsc::sync_channel(1);
    let compile = move || {
        // Nobody waits any more where it took too long.
        let _ = sender.send(Plugin::from_bytes(&engine, &bytes));
    };
    let thread = std::thread::Builder::new().name("check-load".to_owned());
    thread.spawn(compile).map_err(|error| {
        let why = format!("could not start a thread: {error}");
        Error::new(ErrorKind::Host, why).caused_by(error)
    })?;
    match loaded.recv_timeout(time) {
        Ok(loaded) => Ok(Some(loaded)),
        Err(mpsc::RecvTimeoutError::Timeout) => Ok(None),
        Err(mpsc::RecvTimeoutError::Disconnected) => Err(Error::new(
            ErrorKind::Host,
            "the thread that loads the plugin failed",
        )),
    }
}
