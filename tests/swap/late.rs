//! Delays of quiet rounds and of rounds with swaps, and when the large ones were.

use std::sync::{Mutex, PoisonError};

use crate::figures::Delays;
use crate::machine::Machine;
use crate::paced::LATENESS;

/// What a delay is large from, in nanoseconds.
const LARGE: u64 = 5_000_000;

/// How close to the moment of a swap a delay has to be for the swap itself to be its cause, in nanoseconds.
const CLOSE: u64 = 20_000_000;

/// What is measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    Quiet,
    Swaps,
    /// Nothing.
    #[default]
    Between,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Quiet => "quiet",
            Self::Swaps => "with swaps",
            Self::Between => "between",
        }
    }
}

#[derive(Default)]
pub(crate) struct Late {
    quiet: Delays,
    swaps: Delays,
    state: Mutex<State>,
    /// The rounds that are over: what the machine did in each.
    rounds: Mutex<Rounds>,
}

#[derive(Default)]
struct Rounds {
    /// The one that is measured now.
    now: Option<(Kind, Machine)>,
    over: Vec<(Kind, String)>,
}

#[derive(Default)]
struct State {
    kind: Kind,
    /// When it arrived and how late, in rounds of a kind.
    large: Vec<(Kind, u64, u64)>,
    /// What was offered, from when to when.
    offers: Vec<(&'static str, u64, u64)>,
}

impl Late {
    pub(crate) fn begin(&self, kind: Kind) {
        self.lock().kind = kind;
        let mut rounds = self.rounds.lock().unwrap_or_else(PoisonError::into_inner);
        let late = LATENESS.take();
        if let Some((kind, machine)) = rounds.now.take() {
            let late = late.as_secs_f64() * 1e3;
            let row = format!("{late:>14.2}  {}", machine.since());
            rounds.over.push((kind, row));
        }
        rounds.now = (kind != Kind::Between).then(|| (kind, Machine::now()));
    }

    pub(crate) fn swapped(&self, name: &'static str, from: u64, to: u64) {
        self.lock().offers.push((name, from, to));
    }

    pub(crate) fn add(&self, arrived: u64, delay: u64) {
        let kind = {
            let mut state = self.lock();
            if delay > LARGE && state.kind != Kind::Between {
                let kind = state.kind;
                state.large.push((kind, arrived, delay));
            }
            state.kind
        };
        match kind {
            Kind::Quiet => self.quiet.add(delay),
            Kind::Swaps => self.swaps.add(delay),
            Kind::Between => {}
        }
    }

    pub(crate) fn print(&self) {
        let state = self.lock();
        println!(
            "{:<14}{:>9}{:>9}{:>9}{:>9}{:>9}{:>12}{:>22}",
            "delay in ms",
            "pieces",
            "p50",
            "p99",
            "p99.9",
            "max",
            "over 5 ms",
            "over quiet's max + 5"
        );
        let quiet = self.quiet.figures();
        for (kind, delays) in [(Kind::Quiet, &self.quiet), (Kind::Swaps, &self.swaps)] {
            let name = kind.name();
            let figures = delays.figures();
            let of_kind = || state.large.iter().filter(|one| one.0 == kind);
            #[allow(clippy::cast_precision_loss, reason = "milliseconds")]
            let beyond = of_kind()
                .filter(|one| one.2 as f64 / 1e6 > quiet.max + 5.0)
                .count();
            println!(
                "{name:<14}{:>9}{:>9.2}{:>9.2}{:>9.2}{:>9.2}{:>12}{beyond:>22}",
                figures.count,
                figures.p50,
                figures.p99,
                figures.p999,
                figures.max,
                of_kind().count(),
            );
        }
        println!(
            "{:<14}{:>14}  processor time stolen",
            "the machine", "server late"
        );
        let rounds = self.rounds.lock().unwrap_or_else(PoisonError::into_inner);
        for (kind, row) in &rounds.over {
            println!("{:<14}{row}", kind.name());
        }
        println!("pieces over 5 ms in rounds with swaps, by what was going on:");
        println!(
            "{:>9}  nothing was offered",
            state.count(|at| state.during(at).is_none())
        );
        println!(
            "{:>9}  within 20 ms of the moment of a swap",
            state.count(|at| state
                .offers
                .iter()
                .any(|offer| at.abs_diff(offer.2) < CLOSE))
        );
        let mut names: Vec<&str> = state.offers.iter().map(|offer| offer.0).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let of_name = || state.offers.iter().filter(|offer| offer.0 == name);
            let took: u64 = of_name().map(|offer| offer.2 - offer.1).sum();
            let count = u64::try_from(of_name().count()).expect("a few");
            println!(
                "{:>9}  while this was looked at: {name} ({count} times, {} ms each)",
                state.count(|at| state.during(at) == Some(name)),
                took / count / 1_000_000
            );
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn during(&self, at: u64) -> Option<&'static str> {
        let offer = self
            .offers
            .iter()
            .find(|offer| (offer.1..=offer.2 + CLOSE).contains(&at));
        offer.map(|offer| offer.0)
    }

    fn count(&self, is: impl Fn(u64) -> bool) -> usize {
        let swaps = self.large.iter().filter(|one| one.0 == Kind::Swaps);
        swaps.filter(|one| is(one.1)).count()
    }
}
