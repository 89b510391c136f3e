//! When a file that changes is read.

use std::time::Duration;

use tokio::time::Instant;

/// How much longer than [`Times::debounce`] a file must stay the same that was read again and again
/// lately. It bounds how often such a file costs anything to about once a second, and how late a
/// newer plugin is seen that is written over it.
const LONGEST_MORE: Duration = Duration::from_secs(1);

/// A file that was read so often in a row is read after those that were not.
const RESTLESS: u32 = 3;

/// The waits of a policy.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    debounce: Duration,
    most: Duration,
}

/// Why a file is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// It has stayed the same for long enough.
    Settled,
    /// It has kept changing for the longest wait.
    Overdue,
}

/// The changes of one file, and when it was read.
#[derive(Debug)]
pub(super) struct Settling {
    /// It has stayed as it is since.
    changed: Instant,
    /// The first change that was not followed by a look; none: all were.
    pending: Option<Instant>,
    /// It is read again then, because what was wrong with it passes.
    again: Option<Instant>,
    /// It was read while it kept changing, and is read again then: only content that is the same
    /// both times counts.
    confirm: Option<Instant>,
    looked: Option<Instant>,
    /// Looks in a row, each soon after the one before.
    looks: u32,
}

impl Times {
    pub(super) fn new(debounce: Duration, most: Duration) -> Self {
        Self {
            debounce,
            most: most.max(debounce),
        }
    }

    /// Between two looks at all files. A file that keeps changing makes no more of them.
    pub(super) fn pace(&self) -> Duration {
        let (least, most) = (Duration::from_millis(10), Duration::from_millis(250));
        self.debounce.clamp(least, most)
    }

    /// How long a file must stay the same after so many looks in a row.
    pub(super) fn settled(&self, looks: u32) -> Duration {
        let doubled = self.debounce.saturating_mul(1 << looks.min(16));
        doubled.min(self.debounce + LONGEST_MORE)
    }

    /// After how long a file that keeps changing is read, for the first of two times.
    fn overdue(&self) -> Duration {
        self.most.saturating_sub(self.debounce).max(self.debounce)
    }

    /// What stands for longer is forgotten.
    pub(super) fn most(&self) -> Duration {
        self.most
    }
}

impl Settling {
    /// A file that was not there before.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            changed: now,
            pending: Some(now),
            again: None,
            confirm: None,
            looked: None,
            looks: 0,
        }
    }

    /// It is not what it was at the scan before.
    pub(super) fn change(&mut self, now: Instant, times: &Times) {
        self.changed = now;
        // The change is followed by a look of its own.
        self.again = None;
        if self.pending.is_none() {
            let quiet = |at: Instant| now.duration_since(at) >= times.most;
            if self.looked.is_none_or(quiet) {
                self.looks = 0;
            }
            self.pending = Some(now);
        }
    }

    /// Whether it is to be read now.
    pub(super) fn due(&self, now: Instant, times: &Times) -> Option<Due> {
        let passed = |at: Instant| at <= now;
        let settled = self
            .pending
            .map(|_| self.changed + times.settled(self.looks));
        if settled.is_some_and(passed) || self.again.is_some_and(passed) {
            Some(Due::Settled)
        } else if self.overdue(times).is_some_and(passed) {
            Some(Due::Overdue)
        } else {
            None
        }
    }

    /// When it is to be read if nothing happens until then.
    pub(super) fn next(&self, times: &Times) -> Option<Instant> {
        let settled = self
            .pending
            .map(|_| self.changed + times.settled(self.looks));
        [settled, self.overdue(times), self.again]
            .into_iter()
            .flatten()
            .min()
    }

    fn overdue(&self, times: &Times) -> Option<Instant> {
        let pending = self.pending?;
        Some(self.confirm.unwrap_or(pending + times.overdue()))
    }

    /// Since when it has changes that nobody looked at.
    pub(super) fn pending(&self) -> Option<Instant> {
        self.pending
    }

    /// It was read, and what was found counts.
    pub(super) fn looked(&mut self, now: Instant) {
        self.looked = Some(now);
        self.looks = self.looks.saturating_add(1);
        (self.pending, self.again, self.confirm) = (None, None, None);
    }

    /// It was read while it kept changing, and what was found counts if it is found again.
    pub(super) fn unconfirmed(&mut self, now: Instant, times: &Times) {
        self.confirm = Some(now + times.debounce);
    }

    /// It was read twice while it kept changing, and was not the same.
    pub(super) fn unsteady(&mut self, now: Instant) {
        self.looked(now);
        self.pending = Some(now);
    }

    /// Whether it was read once of the two times.
    pub(super) fn is_unconfirmed(&self) -> bool {
        self.confirm.is_some()
    }

    /// It is read again at a time, changed or not.
    pub(super) fn again(&mut self, at: Instant) {
        self.again = Some(at);
    }

    /// Whether it was read often lately.
    pub(super) fn is_restless(&self) -> bool {
        self.looks >= RESTLESS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEBOUNCE: Duration = Duration::from_millis(250);
    const MOST: Duration = Duration::from_secs(5);

    fn times() -> Times {
        Times::new(DEBOUNCE, MOST)
    }

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn a_file_is_read_when_it_has_stayed_the_same() {
        let (now, times) = (Instant::now(), times());
        let mut file = Settling::new(now);
        assert_eq!(file.due(now + ms(249), &times), None);
        file.change(now + ms(200), &times);
        assert_eq!(file.due(now + ms(449), &times), None);
        assert_eq!(file.next(&times), Some(now + ms(450)));
        assert_eq!(file.due(now + ms(450), &times), Some(Due::Settled));
        file.looked(now + ms(450));
        assert_eq!(file.due(now + MOST * 9, &times), None, "nothing is new");
        assert_eq!(file.next(&times), None);
    }

    #[test]
    fn a_file_that_keeps_changing_is_read_twice_within_the_longest_wait() {
        let (now, times) = (Instant::now(), times());
        let mut file = Settling::new(now);
        let mut reads = Vec::new();
        for at in (0..=9_000).step_by(100) {
            file.change(now + ms(at), &times);
            if let Some(due) = file.due(now + ms(at), &times) {
                reads.push((at, due));
                match file.is_unconfirmed() {
                    true => file.looked(now + ms(at)),
                    false => file.unconfirmed(now + ms(at), &times),
                }
            }
        }
        assert_eq!(reads, [(4_800, Due::Overdue), (5_100, Due::Overdue)]);
    }

    #[test]
    fn each_look_in_a_row_makes_the_next_one_later_by_a_second_at_most() {
        let (mut now, times) = (Instant::now(), times());
        let mut file = Settling::new(now);
        let mut waits = Vec::new();
        for _ in 0..6 {
            let due = file.next(&times).expect("a change");
            waits.push((due - now).as_millis());
            assert_eq!(file.due(due, &times), Some(Due::Settled));
            file.looked(due);
            now = due + ms(10);
            file.change(now, &times);
        }
        assert_eq!(waits, [250, 500, 1_000, 1_250, 1_250, 1_250]);
        assert!(file.is_restless());
        file.looked(now);
        let later = now + MOST;
        file.change(later, &times);
        assert_eq!(file.next(&times), Some(later + DEBOUNCE), "it was quiet");
    }

    #[test]
    fn a_longest_wait_below_the_other_is_that() {
        let (now, times) = (Instant::now(), Times::new(DEBOUNCE, Duration::ZERO));
        let file = Settling::new(now);
        assert_eq!(file.due(now + ms(249), &times), None);
        assert!(file.due(now + DEBOUNCE, &times).is_some());
    }
}
