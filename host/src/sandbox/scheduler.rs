//! The fair scheduler: which guest computes next when not all of them may compute at once.
//!
//! A guest that only decodes what its server sends runs as soon as its task is polled. One that
//! computes beyond its [CPU credit](super::cpu_account) or beyond its
//! [fair share](super::fair_share) needs a permit for each poll. There are permits for half of the
//! processors, so that the other half stays free for those that need none.
//!
//! Permits go round by start-time fair queueing (Goyal, Vin and Cheng, SIGCOMM 1996): a chat's rank
//! is the virtual time at which it asked, or the one at which its last permit was used up if that is
//! later, and the lowest rank is next. Virtual time is the rank of the permit that was taken last. So a thousand
//! endless loops share the permits evenly among each other, and a chat that has used little, or
//! begins, comes before all that have just had their turn; and one that has lasted for a while with
//! short polls only comes before those that begin. One call in [`OLDEST`] goes to the chat
//! that has waited longest, so that no number of new chats keeps it waiting for ever.
//!
//! # Calls, not reservations
//!
//! A chat that waits is called: its task is woken. The limit is enforced where a permit is taken,
//! so a call reserves nothing. On a busy executor a task may be polled long after it was woken. A
//! reservation would then leave the permit unused while every other chat waits; and taking the
//! reservation back in favour of a chat that is polled just as late leads to a standstill in which
//! nobody computes. So:
//!
//! - A called chat that has not come within [`LATE`] no longer counts, and the next one is called.
//! - A late chat may still take a permit when it comes, if one is free.
//! - While permits are free and all called chats are late, more chats are called at once, twice as
//!   many with each tick of the clock, until some of them come in vain.
//! - A chat that is not called may take a free permit if its rank is before that of all chats that
//!   wait or are called.
//!
//! The price: on a slow executor more chats are called than there are permits, the first one that
//! comes takes the permit, and the order by rank gets weaker.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::cpu_time::nanos;

/// After this time a called chat counts as late. An executor that is not overloaded polls a woken
/// task sooner.
const LATE: Duration = Duration::from_millis(5);

/// How much earlier a chat is ranked whose polls are short and that has lasted for a while: more than
/// the start of one that begins, so that a healthy stream does not wait behind many of these.
const HEAD_START: Duration = Duration::from_millis(2);

/// One of so many calls goes by age instead of by rank.
const OLDEST: u64 = 8;

/// The most chats that are called at a time beyond the free permits. A wake-up in vain costs about
/// a microsecond.
const MAX_EXTRA_CALLS: usize = 256;

/// The permits of one engine.
pub(crate) struct Scheduler {
    permits: usize,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    last_number: u64,
    /// The rank of the permit that was taken last, in nanoseconds of computing.
    virtual_time: u64,
    /// How many calls were made.
    calls: u64,
    /// By rank, then by arrival.
    waiting: BTreeSet<(u64, u64)>,
    /// By arrival: each waiting chat's rank and waker.
    wakers: BTreeMap<u64, (u64, Waker)>,
    /// Called and not yet come, by arrival.
    called: BTreeMap<u64, CalledChat>,
    /// Called more than [`LATE`] ago and not yet come: the ranks of their calls.
    late: BTreeMap<u64, u64>,
    /// Chats that may be called beyond the free permits.
    extra_calls: usize,
    /// Permits that are in use.
    in_use: usize,
    /// A permit was taken since the last tick.
    taken: bool,
}

struct CalledChat {
    at: Instant,
    /// The rank that a newcomer must be before to take the permit first. 0 for a chat that was
    /// called by its age, so that nobody comes before it again.
    rank: u64,
}

impl Scheduler {
    /// Permits for half of the processors, and at least one.
    pub(crate) fn new(processors: usize) -> Self {
        Self {
            permits: (processors / 2).max(1),
            queue: Mutex::default(),
        }
    }

    /// A call's entry in the queue. It does not wait yet.
    pub(crate) fn entry(&self) -> QueueEntry<'_> {
        QueueEntry {
            scheduler: self,
            number: None,
            rank: 0,
        }
    }

    /// Calls other chats in place of those that are late. To be called with each tick of the clock.
    /// True if a chat waits for a permit or holds one.
    pub(crate) fn tick(&self, now: Instant) -> bool {
        let mut queue = self.queue();
        let Queue { called, late, .. } = &mut *queue;
        called.retain(|&number, call| {
            let in_time = now.saturating_duration_since(call.at) < LATE;
            if !in_time {
                late.insert(number, call.rank);
            }
            in_time
        });
        let taken = std::mem::take(&mut queue.taken);
        let idle = queue.in_use == 0 && !taken;
        if idle && !queue.late.is_empty() && !queue.waiting.is_empty() {
            queue.extra_calls = (2 * queue.extra_calls).clamp(1, MAX_EXTRA_CALLS);
        }
        // A late chat that nobody waits behind needs no clock.
        let busy = queue.in_use > 0 || !queue.called.is_empty() || !queue.waiting.is_empty();
        self.call(queue, now);
        busy
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls as many waiting chats as there are free permits, and the extra ones.
    fn call(&self, mut queue: MutexGuard<'_, Queue>, now: Instant) {
        if queue.waiting.is_empty() {
            return;
        }
        let mut woken = Vec::new();
        while queue.in_use + queue.called.len() < self.permits + queue.extra_calls {
            let oldest = queue.wakers.first_key_value();
            let (Some((&number, &(rank, _))), Some(&first)) = (oldest, queue.waiting.first())
            else {
                break;
            };
            queue.calls += 1;
            let by_age = queue.calls.is_multiple_of(OLDEST);
            let (rank, number) = if by_age { (rank, number) } else { first };
            queue.waiting.remove(&(rank, number));
            let rank = if by_age { 0 } else { rank };
            queue.called.insert(number, CalledChat { at: now, rank });
            woken.extend(queue.wakers.remove(&number).map(|(_, waker)| waker));
        }
        drop(queue);
        // A waker is foreign code: it must not find the queue locked.
        for waker in woken {
            waker.wake();
        }
    }
}

impl Queue {
    /// Removes a waiting chat; its rank, if it was waiting.
    fn stop_waiting(&mut self, number: u64) -> Option<u64> {
        let (rank, _) = self.wakers.remove(&number)?;
        self.waiting.remove(&(rank, number));
        Some(rank)
    }

    /// Removes a chat from the called ones; the rank of its call, if it was among them.
    fn answer_call(&mut self, number: u64) -> Option<u64> {
        let call = self.called.remove(&number).map(|call| call.rank);
        call.or_else(|| self.late.remove(&number))
    }

    /// Whether a chat of this rank that was not called comes before all that wait, and a permit is
    /// left after those called ones that come before it.
    fn is_next(&self, rank: u64, permits: usize) -> bool {
        let first = self.waiting.first();
        let before = self.called.values().filter(|call| call.rank <= rank);
        first.is_none_or(|&(first, _)| rank < first) && self.in_use + before.count() < permits
    }
}

/// A call's entry in the queue. Dropping it leaves the queue.
pub(crate) struct QueueEntry<'a> {
    scheduler: &'a Scheduler,
    /// Set while it waits.
    number: Option<u64>,
    /// Its rank since it waits: whatever wakes it meanwhile does not move it back.
    rank: u64,
}

impl<'a> QueueEntry<'a> {
    /// Ready with a permit, which is in use until it is dropped. `used_up` is the virtual time at
    /// which the chat's last permit was used up ([`Permit::used`]), 0 if there was none. `is_light`:
    /// its polls are short, and it gets a [`HEAD_START`].
    pub(crate) fn poll_permit(
        &mut self,
        used_up: u64,
        is_light: bool,
        cx: &mut Context<'_>,
    ) -> Poll<Permit<'a>> {
        let scheduler = self.scheduler;
        let mut queue = scheduler.queue();
        let number = match self.number {
            Some(number) => number,
            None => {
                queue.last_number += 1;
                let ahead = if is_light { nanos(HEAD_START) } else { 0 };
                self.rank = queue.virtual_time.saturating_sub(ahead).max(used_up);
                *self.number.insert(queue.last_number)
            }
        };
        queue.stop_waiting(number);
        let called = queue.answer_call(number);
        let free = queue.in_use < scheduler.permits;
        if free && (called.is_some() || queue.is_next(self.rank, scheduler.permits)) {
            queue.in_use += 1;
            queue.virtual_time = queue.virtual_time.max(called.unwrap_or(self.rank));
            queue.taken = true;
            self.number = None;
            return Poll::Ready(Permit {
                scheduler,
                rank: self.rank,
            });
        }
        if called.is_some() {
            // It came in vain: more were called than find a permit.
            queue.extra_calls /= 2;
        }
        queue.waiting.insert((self.rank, number));
        queue.wakers.insert(number, (self.rank, cx.waker().clone()));
        scheduler.call(queue, Instant::now());
        Poll::Pending
    }

    /// Leaves the queue.
    pub(crate) fn leave(&mut self) {
        let Some(number) = self.number.take() else {
            return;
        };
        let mut queue = self.scheduler.queue();
        queue.stop_waiting(number);
        if queue.answer_call(number).is_some() {
            self.scheduler.call(queue, Instant::now());
        }
    }
}

impl Drop for QueueEntry<'_> {
    fn drop(&mut self) {
        self.leave();
    }
}

/// The right to compute during one poll.
pub(crate) struct Permit<'a> {
    scheduler: &'a Scheduler,
    rank: u64,
}

impl Permit<'_> {
    /// The virtual time at which it is used up by computing for so long.
    pub(crate) fn used(&self, time: Duration) -> u64 {
        self.rank.saturating_add(nanos(time))
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let mut queue = self.scheduler.queue();
        queue.in_use -= 1;
        if !queue.waiting.is_empty() {
            self.scheduler.call(queue, Instant::now());
        }
    }
}

#[cfg(test)]
mod tests;
