//! Fuzzing any provider plugin in its sandbox.
//!
//! An execution takes a recorded exchange, changes it where servers go wrong (JSON, events, heads, bytes, ends, cuts), now
//! and then changes what is asked as well, runs the plugin over it and judges what must hold of every answer
//! ([`Invariant`]): first as it is, then the same bytes in one piece and cut otherwise. Nothing is dialled and nothing is
//! waited for, so that a core does thousands of runs a second.
//!
//! Execution *i* of a seed depends on seed, number and recordings alone ([`Input::generate`]). Which thread it runs on and
//! what ran before make no difference, because each run has a store of its own.
//!
//! What broke an invariant is made small and kept as a [`Finding`].

mod asked;
mod dice;
mod finding;
mod input;
mod judge;
mod minimize;
mod mutate;
mod resident;
mod sse;
mod tree;
mod words;

use std::collections::BTreeSet;
use std::future::{Future, poll_fn};
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

pub use finding::Finding;
pub use input::Input;
pub use judge::{Broken, Invariant};
pub use resident::resident_bytes;

use super::exchange::Exchange;
use super::outcome::Outcome;
use super::runner::Runner;
use crate::error::{Error, ErrorKind, Result};
use crate::plugin::Plugin;
use crate::policy::{NetworkLimits, SandboxLimits};
use judge::Execution;

/// What stands in an input for the key's placeholder.
pub const KEY_HERE: &str = "{key}";

/// Most bytes that come back in one input: what "bounded input" means.
pub const MAX_INPUT: usize = 1 << 20;

/// Executions that making a finding small may take.
const MINIMIZE: u32 = 2_000;

/// Time that it may take: a plugin that loops takes seconds for each of them.
const MINIMIZE_TIME: Duration = Duration::from_secs(30);

/// Findings after which nobody looks for more.
pub const MAX_FINDINGS: usize = 20;

/// Executions before the memory is looked at for the first time: caches and pools are filled by then.
const WARM: u64 = 1_000;

/// Memory that the host may grow by after that, whatever it did: allocators keep some.
const GROWTH: u64 = 64 << 20;

/// A call that waits for something else than the wire is given up after this.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often an execution under way is held against the fuzzer's own end.
const LOOK: Duration = Duration::from_millis(100);

/// How long, how often, from which seed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// What everything is drawn from.
    pub seed: u64,
    /// Most executions.
    pub executions: Option<u64>,
    /// Most time. An execution that is under way then is ended and does not count.
    pub time: Option<Duration>,
    /// Threads; each has a runtime of its own.
    pub threads: usize,
}

impl Options {
    /// No bound, on as many threads as there are processors.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            executions: None,
            time: None,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }

    /// Bounds the number of executions.
    #[must_use]
    pub fn with_executions(mut self, executions: u64) -> Self {
        self.executions = Some(executions);
        self
    }

    /// Bounds the time.
    #[must_use]
    pub fn with_time(mut self, time: Duration) -> Self {
        self.time = Some(time);
        self
    }

    /// Sets the number of threads.
    #[must_use]
    pub fn with_threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }
}

/// What was done.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Totals {
    /// Inputs that were judged.
    pub executions: u64,
    /// How often the plugin was run for that: most inputs are run three times.
    pub runs: u64,
    /// Findings, each of its own kind.
    pub findings: usize,
    /// Executions that broke an invariant in a way that was found before.
    pub repeated: u64,
    /// Sorts of outcomes that were seen: events by their names, ends, kinds of errors. A measure of how far the inputs
    /// reach.
    pub sorts: usize,
    /// Bytes that came back over the wires, each input's once.
    pub bytes: u64,
    /// How long it took.
    pub time: Duration,
    /// Memory of this process after the first thousand executions, in bytes, where the system tells.
    pub resident_early: Option<u64>,
    /// And at the end.
    pub resident: Option<u64>,
    /// A digest over inputs and outcomes, the same for the same executions in any order.
    pub digest: u64,
}

impl Totals {
    /// Whether the process grew by more than allocators may keep: something is not given back.
    #[must_use]
    pub fn has_grown(&self) -> bool {
        match (self.resident_early, self.resident) {
            (Some(early), Some(now)) => now.saturating_sub(early) > GROWTH,
            _ => false,
        }
    }
}

/// What is told while it runs.
#[derive(Debug)]
#[non_exhaustive]
pub enum Progress<'a> {
    /// A finding, small already.
    Found(&'a Finding),
    /// A second has passed.
    Tick(&'a Totals),
}

/// Fuzzes a plugin with recorded exchanges.
#[derive(Debug)]
pub struct Fuzzer<'a> {
    runner: Runner,
    recorded: &'a [Exchange],
    config: String,
}

impl<'a> Fuzzer<'a> {
    /// A fuzzer with the sandbox's default limits.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Host`]: there is no recording, or the operating system gave no random bytes for a placeholder.
    pub fn new(plugin: &Plugin, recorded: &'a [Exchange]) -> Result<Self> {
        if recorded.is_empty() {
            let why = "there is no recorded exchange to start from";
            return Err(Error::new(ErrorKind::Host, why));
        }
        let network = NetworkLimits::new().with_total_timeout(PATIENCE);
        Ok(Self {
            runner: Runner::new(plugin)?.with_limits(network),
            recorded,
            config: with_base_url(serde_json::Map::new()),
        })
    }

    /// Sets the configuration that most inputs have: the provider's entry in an agent's configuration. Its `baseUrl` is
    /// replaced by that of the wire.
    #[must_use]
    pub fn with_config(mut self, entry: serde_json::Map<String, serde_json::Value>) -> Self {
        self.config = with_base_url(entry);
        self
    }

    /// Sets the limits of the sandbox.
    #[must_use]
    pub fn with_sandbox(mut self, sandbox: SandboxLimits) -> Self {
        self.runner = self.runner.with_sandbox(sandbox);
        self
    }

    /// Runs a finding's input once more; how it broke its invariants, if it still does.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Host`]: no runtime could be had.
    pub fn replay(&self, finding: &Finding) -> Result<(Outcome, Option<Broken>)> {
        let execution = runtime()?.block_on(judged(&self.runner, &finding.input));
        Ok((execution.outcome, execution.broken))
    }

    /// Runs until a bound of `options` is met, `stop` is set, or [`MAX_FINDINGS`] are there. Blocks; `progress` is called
    /// from this thread and others.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Host`]: no runtime or thread could be had.
    pub fn run(
        &self,
        options: &Options,
        stop: &AtomicBool,
        progress: &(dyn Fn(Progress<'_>) + Sync),
    ) -> Result<Totals> {
        let shared = Shared {
            options,
            stop,
            progress,
            started: Instant::now(),
            next: AtomicU64::new(0),
            over: AtomicBool::new(false),
            tally: Mutex::default(),
        };
        let failed = std::thread::scope(|scope| {
            let mut threads = Vec::new();
            for number in 0..options.threads.max(1) {
                let thread = std::thread::Builder::new()
                    .name(format!("fuzz-{number}"))
                    .spawn_scoped(scope, || self.work(&shared))
                    .map_err(|error| host("start a thread", &error));
                threads.push(thread);
            }
            shared.watch();
            let ended = threads.into_iter().map(|thread| match thread?.join() {
                Ok(ended) => ended,
                Err(_) => Err(Error::new(ErrorKind::Host, "a thread of the fuzzer failed")),
            });
            ended.collect::<Vec<Result<()>>>()
        });
        failed.into_iter().collect::<Result<()>>()?;
        let mut totals = lock(&shared.tally).totals.clone();
        totals.time = shared.started.elapsed();
        totals.resident = resident_bytes();
        Ok(totals)
    }

    fn work(&self, shared: &Shared<'_>) -> Result<()> {
        let end = Ended(&shared.over);
        let runtime = runtime()?;
        while let Some(number) = shared.take() {
            let input = Input::generate(self.recorded, &self.config, shared.options.seed, number);
            let Some(execution) = shared.in_time(&runtime, judged(&self.runner, &input)) else {
                // Ended in the middle: nothing is known of it.
                break;
            };
            let new = shared.count(&input, &execution);
            if let (true, Some(broken)) = (new, execution.broken) {
                self.keep(shared, &runtime, input, number, &broken);
            }
        }
        drop(end);
        Ok(())
    }

    /// Makes a finding small and tells of it.
    fn keep(
        &self,
        shared: &Shared<'_>,
        runtime: &tokio::runtime::Runtime,
        input: Input,
        number: u64,
        broken: &Broken,
    ) {
        let invariant = broken.invariant;
        let (mut again, begun) = (None, Instant::now());
        let small = minimize::minimize(input, invariant, MINIMIZE, &mut |input| {
            if shared.is_over() || begun.elapsed() > MINIMIZE_TIME {
                return false;
            }
            let execution = shared.in_time(runtime, judged(&self.runner, input));
            match execution.and_then(|execution| execution.broken) {
                Some(now) if now.invariant == invariant && kind_of(&now) == kind_of(broken) => {
                    again = Some(now.how);
                    true
                }
                _ => false,
            }
        });
        let finding = Finding::new(
            invariant,
            again.unwrap_or_else(|| broken.how.clone()),
            self.runner.plugin().digest(),
            (shared.options.seed, number),
            small,
        );
        (shared.progress)(Progress::Found(&finding));
    }
}

fn with_base_url(mut entry: serde_json::Map<String, serde_json::Value>) -> String {
    entry.insert("baseUrl".to_owned(), super::BASE_URL.into());
    serde_json::Value::Object(entry).to_string()
}

/// The runtime of one thread.
fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .map_err(|error| host("start the asynchronous runtime", &error))
}

fn host(what: &str, error: &std::io::Error) -> Error {
    Error::new(ErrorKind::Host, format!("could not {what}: {error}"))
}

/// An execution; a panic of the host is a finding as well.
async fn judged(runner: &Runner, input: &Input) -> Execution {
    let mut run = pin!(judge::execute(runner, input));
    let polled = poll_fn(|cx| {
        let poll = AssertUnwindSafe(|| run.as_mut().poll(cx));
        match std::panic::catch_unwind(poll) {
            Ok(polled) => polled.map(Ok),
            Err(panic) => Poll::Ready(Err(panic)),
        }
    });
    polled.await.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Execution {
            outcome: Outcome::default(),
            broken: Some(Broken {
                invariant: Invariant::Host,
                how: format!("the host panicked: {}", text.unwrap_or("without a word")),
            }),
            runs: 1,
        }
    })
}

/// Tells findings apart: the invariant, and the words of its breaking up to what differs from input to input.
fn kind_of(broken: &Broken) -> (Invariant, String) {
    let words = broken
        .how
        .split(['"', '{', '\n'])
        .next()
        .unwrap_or_default();
    let words = words.chars().filter(|one| !one.is_ascii_digit());
    (broken.invariant, words.take(100).collect())
}

struct Shared<'a> {
    options: &'a Options,
    stop: &'a AtomicBool,
    progress: &'a (dyn Fn(Progress<'_>) + Sync),
    started: Instant,
    next: AtomicU64,
    /// A thread has ended, and with it the run.
    over: AtomicBool,
    tally: Mutex<Tally>,
}

#[derive(Default)]
struct Tally {
    totals: Totals,
    kinds: BTreeSet<(Invariant, String)>,
    sorts: BTreeSet<u64>,
}

/// Ends the run with its thread, however that ends.
struct Ended<'a>(&'a AtomicBool);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Shared<'_> {
    /// The time is over, or somebody wants it to end.
    fn is_over(&self) -> bool {
        let over = |time| self.started.elapsed() >= time;
        self.options.time.is_some_and(over) || self.stop.load(Ordering::Relaxed)
    }

    /// Runs something to its end; none if the fuzzer's own end came first. A plugin may wait in each
    /// of an execution's runs for as long as a call may take.
    fn in_time<T>(
        &self,
        runtime: &tokio::runtime::Runtime,
        run: impl Future<Output = T>,
    ) -> Option<T> {
        let ended = async {
            while !self.is_over() {
                tokio::time::sleep(LOOK).await;
            }
        };
        runtime.block_on(async {
            tokio::select! {
                biased;
                done = run => Some(done),
                () = ended => None,
            }
        })
    }

    /// The number of the next execution, if there is one.
    fn take(&self) -> Option<u64> {
        if self.is_over() || self.enough() {
            return None;
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let beyond = |most: u64| number >= most;
        (!self.options.executions.is_some_and(beyond)).then_some(number)
    }

    fn enough(&self) -> bool {
        lock(&self.tally).totals.findings >= MAX_FINDINGS
    }

    /// Counts an execution; whether it is a finding of a new kind.
    fn count(&self, input: &Input, execution: &Execution) -> bool {
        let (sort, digest) = digests(input, &execution.outcome);
        let mut tally = lock(&self.tally);
        let tally = &mut *tally;
        tally.sorts.insert(sort);
        let totals = &mut tally.totals;
        totals.executions += 1;
        totals.runs += execution.runs;
        totals.bytes += input.received() as u64;
        totals.digest = totals.digest.wrapping_add(digest);
        totals.sorts = tally.sorts.len();
        if totals.executions == WARM {
            totals.resident_early = resident_bytes();
        }
        let Some(broken) = &execution.broken else {
            return false;
        };
        let new = tally.kinds.insert(kind_of(broken));
        totals.findings += usize::from(new);
        totals.repeated += u64::from(!new);
        new
    }

    /// Tells how it goes, once a second, until the threads have ended.
    fn watch(&self) {
        let mut told = Instant::now();
        while !self.over.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(20));
            if told.elapsed() >= Duration::from_secs(1) {
                told = Instant::now();
                let mut totals = lock(&self.tally).totals.clone();
                totals.time = self.started.elapsed();
                (self.progress)(Progress::Tick(&totals));
            }
        }
    }
}

/// FNV-1a: the same on every machine and in every version.
struct Fnv(u64);

impl Fnv {
    fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl std::io::Write for Fnv {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What sort of outcome it is, and a digest of the input and what became of it.
fn digests(input: &Input, outcome: &Outcome) -> (u64, u64) {
    use std::io::Write as _;

    let (mut sort, mut digest) = (Fnv::new(), Fnv::new());
    // Writing into a number does not fail.
    let _ = serde_json::to_writer(&mut digest, input);
    let mut before = serde_json::Value::Null;
    for line in outcome.lines() {
        let _ = serde_json::to_writer(&mut digest, &line);
        for name in ["type", "code", "reason"] {
            if line["type"] != before || name != "type" {
                let _ = write!(sort, "{};", line[name]);
            }
        }
        let error = &line["error"];
        let _ = write!(sort, "{}{}", error["kind"], error["status"]);
        before = line["type"].clone();
    }
    (sort.0, digest.0)
}

/// A lock that is held for a moment only: poisoning means nothing to it.
fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
