//! Who computes next, where there is not time for all.
//!
//! A guest that only decodes what its server sends runs as soon as it can: it is paid for by its traffic
//! ([`Account`](super::account::Account)). One that computes beyond that waits here for a turn. Turns are given to few at a
//! time, for half of the processors at most, and to the one that owes least. So a thousand loops without end share one
//! half of the machine among each other, and a chat beside them does not meet them. One turn in [`OLDEST`] goes to the one
//! that has waited longest: whoever owes much waits for long where others come and owe less, but not for ever.
//!
//! A turn lasts for one poll of a call's future, which the engine's clock cuts off after a tick. It is given to whoever
//! asks next, and asked for by polling: a future that is not polled must not keep a turn that was given to it, so an
//! unused one is taken back by the clock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// How long a turn may lie unused before the next one gets it. An executor that is not overloaded polls within this time.
const UNUSED: Duration = Duration::from_millis(5);

/// Of so many turns one is given by age instead of by debt.
const OLDEST: u64 = 8;

/// The turns of one engine.
pub(crate) struct Turns {
    /// How many are given at the same time.
    slots: usize,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    next: u64,
    /// Turns that were waited for and given.
    turns: u64,
    /// By debt, then by arrival.
    waiting: BTreeSet<(u64, u64)>,
    /// By arrival: what each owes.
    wakers: BTreeMap<u64, (u64, Waker)>,
    /// Given and not yet taken.
    given: BTreeMap<u64, Instant>,
    /// Taken: guests that compute.
    running: usize,
}

impl Turns {
    /// Turns for half of the processors, for one at least.
    pub(crate) fn new() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self::with_slots((processors / 2).max(1))
    }

    fn with_slots(slots: usize) -> Self {
        Self {
            slots,
            queue: Mutex::default(),
        }
    }

    /// A place for one call; it stands in no queue yet.
    pub(crate) fn place(&self) -> Place<'_> {
        Place {
            turns: self,
            number: None,
        }
    }

    /// Takes back what was given and not used. Whether anybody waits for a turn, or has one.
    pub(crate) fn take_back(&self, now: Instant) -> bool {
        let mut queue = self.queue();
        let before = queue.given.len();
        queue
            .given
            .retain(|_, since| now.saturating_duration_since(*since) < UNUSED);
        let busy = before > 0 || queue.running > 0 || !queue.waiting.is_empty();
        if queue.given.len() < before {
            self.give(queue, now);
        }
        busy
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the free turns out.
    fn give(&self, mut queue: MutexGuard<'_, Queue>, now: Instant) {
        let mut woken = Vec::new();
        while queue.running + queue.given.len() < self.slots {
            let oldest = queue.wakers.first_key_value();
            let (Some((&number, &(owed, _))), Some(&least)) = (oldest, queue.waiting.first())
            else {
                break;
            };
            queue.turns += 1;
            let (owed, number) = match queue.turns.is_multiple_of(OLDEST) {
                true => (owed, number),
                false => least,
            };
            queue.waiting.remove(&(owed, number));
            queue.given.insert(number, now);
            woken.extend(queue.wakers.remove(&number).map(|(_, waker)| waker));
        }
        drop(queue);
        // A waker is foreign code: it must not find the queue locked.
        for waker in woken {
            waker.wake();
        }
    }
}

/// A call's place in the queue. Dropping it leaves the queue.
pub(crate) struct Place<'a> {
    turns: &'a Turns,
    number: Option<u64>,
}

impl<'a> Place<'a> {
    /// Ready when it is this call's turn; it ends when what comes back is dropped. The less is owed, the sooner.
    pub(crate) fn poll_turn(&mut self, debt: u64, cx: &mut Context<'_>) -> Poll<Turn<'a>> {
        let turns = self.turns;
        let mut queue = turns.queue();
        let number = *self.number.get_or_insert_with(|| {
            queue.next += 1;
            queue.next
        });
        if queue.given.remove(&number).is_none() {
            if let Some((owed, _)) = queue.wakers.remove(&number) {
                queue.waiting.remove(&(owed, number));
            }
            if queue.running + queue.given.len() >= turns.slots || !queue.waiting.is_empty() {
                queue.waiting.insert((debt, number));
                queue.wakers.insert(number, (debt, cx.waker().clone()));
                turns.give(queue, Instant::now());
                return Poll::Pending;
            }
        }
        queue.running += 1;
        self.number = None;
        Poll::Ready(Turn { turns })
    }

    /// Leaves the queue.
    pub(crate) fn leave(&mut self) {
        let Some(number) = self.number.take() else {
            return;
        };
        let mut queue = self.turns.queue();
        if let Some((owed, _)) = queue.wakers.remove(&number) {
            queue.waiting.remove(&(owed, number));
        }
        if queue.given.remove(&number).is_some() {
            self.turns.give(queue, Instant::now());
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.leave();
    }
}

/// A turn that is being used.
pub(crate) struct Turn<'a> {
    turns: &'a Turns,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut queue = self.turns.queue();
        queue.running -= 1;
        self.turns.give(queue, Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn poll<'a>(place: &mut Place<'a>, debt: u64, count: &Arc<Count>) -> Option<Turn<'a>> {
        let waker = Waker::from(count.clone());
        match place.poll_turn(debt, &mut Context::from_waker(&waker)) {
            Poll::Ready(turn) => Some(turn),
            Poll::Pending => None,
        }
    }

    fn woken(count: &Arc<Count>) -> usize {
        count.0.swap(0, Ordering::Relaxed)
    }

    #[test]
    fn the_one_that_owes_least_is_next() {
        let turns = Turns::with_slots(1);
        let counts: [Arc<Count>; 3] = Default::default();
        let (mut a, mut b, mut c) = (turns.place(), turns.place(), turns.place());
        let turn = poll(&mut a, 50, &counts[0]).expect("nobody else is there");
        assert!(poll(&mut b, 90, &counts[1]).is_none());
        assert!(poll(&mut c, 10, &counts[2]).is_none());
        drop(turn);
        assert_eq!(counts.each_ref().map(woken), [0, 0, 1]);
        assert!(poll(&mut a, 51, &counts[0]).is_none(), "c has the turn");
        assert!(poll(&mut b, 90, &counts[1]).is_none());
        drop(poll(&mut c, 10, &counts[2]).expect("its turn"));
        assert_eq!(counts.each_ref().map(woken), [1, 0, 0]);
    }

    #[test]
    fn whoever_owes_most_waits_for_long_and_not_for_ever() {
        let turns = Turns::with_slots(1);
        let (poor, quiet) = (Arc::new(Count::default()), Arc::new(Count::default()));
        let mut debtor = turns.place();
        let mut others: Vec<Place<'_>> = (0..3).map(|_| turns.place()).collect();
        let mut running = poll(&mut others[0], 1, &quiet);
        assert!(poll(&mut debtor, u64::MAX, &poor).is_none());
        let mut turns_of_others = 0;
        while woken(&poor) == 0 {
            assert!(turns_of_others < 2 * OLDEST, "it starves");
            // There is always somebody who owes less.
            for other in &mut others {
                if let Some(turn) = poll(other, 1, &quiet) {
                    running = Some(turn);
                    turns_of_others += 1;
                }
            }
            drop(running.take());
        }
        assert!(turns_of_others >= OLDEST / 2, "{turns_of_others}");
        assert!(poll(&mut debtor, u64::MAX, &poor).is_some());
    }

    #[test]
    fn a_turn_that_nobody_takes_is_given_to_the_next() {
        let turns = Turns::with_slots(1);
        let counts: [Arc<Count>; 3] = Default::default();
        let (mut a, mut b, mut c) = (turns.place(), turns.place(), turns.place());
        let turn = poll(&mut a, 1, &counts[0]).expect("nobody else is there");
        assert!(poll(&mut b, 1, &counts[1]).is_none());
        assert!(poll(&mut c, 2, &counts[2]).is_none());
        drop(turn);
        let now = Instant::now();
        turns.take_back(now);
        assert_eq!(counts.each_ref().map(woken), [0, 1, 0], "b may come still");
        turns.take_back(now + 2 * UNUSED);
        assert_eq!(counts.each_ref().map(woken), [0, 0, 1]);
        // The late one waits again, and is not forgotten.
        assert!(poll(&mut b, 1, &counts[1]).is_none());
        drop(poll(&mut c, 2, &counts[2]).expect("its turn"));
        assert!(poll(&mut b, 1, &counts[1]).is_some());
    }

    #[test]
    fn a_call_that_ends_leaves_the_queue() {
        let turns = Turns::with_slots(1);
        let counts: [Arc<Count>; 3] = Default::default();
        let (mut a, mut b, mut c) = (turns.place(), turns.place(), turns.place());
        let turn = poll(&mut a, 1, &counts[0]).expect("nobody else is there");
        assert!(poll(&mut b, 1, &counts[1]).is_none());
        assert!(poll(&mut c, 2, &counts[2]).is_none());
        drop(turn);
        drop(b);
        assert_eq!(woken(&counts[2]), 1, "what b was given goes to c");
        drop(c);
        assert!(poll(&mut a, 1, &counts[0]).is_some());
        let queue = turns.queue();
        assert!(queue.waiting.is_empty() && queue.wakers.is_empty() && queue.given.is_empty());
    }

    #[test]
    fn no_more_turns_are_given_than_there_are() {
        let turns = Turns::with_slots(2);
        let count = Arc::new(Count::default());
        let mut places: Vec<Place<'_>> = (0..5).map(|_| turns.place()).collect();
        let taken: Vec<Turn<'_>> = places
            .iter_mut()
            .filter_map(|place| poll(place, 7, &count))
            .collect();
        assert_eq!(taken.len(), 2);
        drop(taken);
        let again: Vec<Turn<'_>> = places
            .iter_mut()
            .filter_map(|place| poll(place, 7, &count))
            .collect();
        assert_eq!(again.len(), 2);
    }
}
