//! How late events were, second by second.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::figures::Delays;
use crate::machine::Passed;

/// What is later than this is too late.
pub(crate) const TOO_LATE: Duration = Duration::from_secs(1);

/// How far from a late event, in seconds, a pause of the machine may have been seen. Whoever runs
/// first after a pause is less late than whoever runs last.
const NEAR: usize = 3;

/// The largest lateness within each second of the run, in nanoseconds.
#[derive(Default)]
struct Seconds(Vec<AtomicU64>);

pub(crate) struct Record {
    chats: Seconds,
    controls: Seconds,
    servers: Seconds,
    chat_delays: Delays,
    control_delays: Delays,
    server_delays: Delays,
    failures: Mutex<Vec<String>>,
}

impl Seconds {
    fn new(seconds: u64) -> Self {
        // Starting takes its time as well.
        Self((0..seconds + 600).map(|_| AtomicU64::new(0)).collect())
    }

    /// Something that was due at a time was late.
    fn add(&self, due: u64, late: u64) {
        let second = usize::try_from(due / 1_000_000_000).unwrap_or(usize::MAX);
        if let Some(largest) = self.0.get(second) {
            largest.fetch_max(late, Ordering::Relaxed);
        }
    }

    fn at(&self, second: usize) -> Duration {
        let largest = self.0.get(second);
        Duration::from_nanos(largest.map_or(0, |largest| largest.load(Ordering::Relaxed)))
    }

    fn near(&self, second: usize) -> Duration {
        let seconds = second.saturating_sub(NEAR)..=second + NEAR;
        seconds
            .map(|second| self.at(second))
            .max()
            .unwrap_or_default()
    }
}

impl Record {
    pub(crate) const HEADER: &str = "  time    events  chats p50     p99   p99.9       max   \
                                     hyper p50     p99       max   server max   stolen";

    pub(crate) fn new(seconds: u64) -> Self {
        Self {
            chats: Seconds::new(seconds),
            controls: Seconds::new(seconds),
            servers: Seconds::new(seconds),
            chat_delays: Delays::default(),
            control_delays: Delays::default(),
            server_delays: Delays::default(),
            failures: Mutex::default(),
        }
    }

    pub(crate) fn chat(&self, written: u64, arrived: u64) {
        let late = arrived.saturating_sub(written);
        self.chats.add(written, late);
        self.chat_delays.add(late);
    }

    pub(crate) fn control(&self, written: u64, arrived: u64) {
        let late = arrived.saturating_sub(written);
        self.controls.add(written, late);
        self.control_delays.add(late);
    }

    pub(crate) fn server(&self, due: u64, late: u64) {
        self.servers.add(due, late);
        self.server_delays.add(late);
    }

    /// A chat failed, which none may.
    pub(crate) fn failed(&self, why: &str) {
        println!("a chat failed: {why}");
        self.failures
            .lock()
            .expect("no panic")
            .push(format!("a chat failed: {why}"));
    }

    /// Prints what was measured since the last time, and forgets it.
    pub(crate) fn print(&self, name: &str, at: Duration, machine: &Passed) {
        let (chats, hyper) = (self.chat_delays.figures(), self.control_delays.figures());
        let server = self.server_delays.figures();
        println!(
            "{:>5}{:>11} {:>10.2}{:>8.2}{:>8.2}{:>10.2}   {:>9.2}{:>8.2}{:>10.2}{:>13.2}   {machine} {name}",
            format!("{} s", at.as_secs()),
            chats.count,
            chats.p50,
            chats.p99,
            chats.p999,
            chats.max,
            hyper.p50,
            hyper.p99,
            hyper.max,
            server.max,
        );
        self.chat_delays.clear();
        self.control_delays.clear();
        self.server_delays.clear();
    }

    /// The seconds in which a chat was late for a reason that neither the control nor the server
    /// shares; and the chats that failed.
    pub(crate) fn late(&self) -> Vec<String> {
        let mut all = self.failures.lock().expect("no panic").clone();
        for second in 0..self.chats.0.len() {
            let ours = self.chats.at(second);
            let (control, server) = (self.controls.near(second), self.servers.near(second));
            if ours > TOO_LATE && control <= TOO_LATE && server <= TOO_LATE {
                all.push(format!(
                    "second {second}: a chat was late by {ours:.1?}, while hyper was late by \
                     {control:.1?} at most and the server by {server:.1?}"
                ));
            }
        }
        all
    }
}
