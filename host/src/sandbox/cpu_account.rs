//! CPU accounting of one store: what it has computed, and its credit.
//!
//! CPU time is counted from the beginning to the end of each poll of a call's future: all that the
//! guest, and the host on its behalf, does in between. Waiting costs nothing.
//!
//! An honest provider computes because it reads its server's answer. So each read that is handed to
//! the guest adds to its credit, so much for the read and so much for each byte, up to a
//! [`CREDIT_CAP`]: what it did not need earlier buys no seconds of computing later. A store starts
//! with [`CREDIT`]. One whose credit is used up computes with a [permit](super::scheduler) only, as
//! does one that is above its [fair share](super::fair_share).
//!
//! A store without a permit is not polled and so does not read. That must not keep an honest chat
//! there whose start, or whose long prompt, took more than its credit. So no more is owed than a
//! [`CREDIT`], and after each read a store without credit is polled once in advance: the read of
//! that poll pays for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::cpu_time::{self, nanos};
use super::fair_share::{FairShare, WINDOW, decayed, weighted};
use super::scheduler::Permit;
use crate::egress::Traffic;
use crate::policy::limits::{CREDIT, CREDIT_CAP, CREDIT_PER_BYTE, CREDIT_PER_READ};

/// Use is added to the engine's sum in portions of this size at least (weighted nanoseconds), so
/// that processors do not contend for the sum with each event of each stream.
const PORTION: u64 = 250_000;

/// A store that is younger than a [`WINDOW`] needs a permit while the limit is below this (weighted
/// nanoseconds), so that chats which are begun again and again get no more than those that last.
const NEW_LIMIT: u64 = 1_000_000;

/// A poll of this length is long: decoding takes a tenth of it.
const LONG_POLL: Duration = Duration::from_micros(500);

/// What a chat has computed is halved, with what of it was in long polls, when it is more than this
/// (nanoseconds): what it did long ago counts less.
const LONG_POLL_MEMORY: u64 = 1 << 24;

/// The CPU time of one store.
pub(super) struct CpuAccount {
    began: Instant,
    /// Nanoseconds of all polls that are over.
    spent: AtomicU64,
    /// `spent` when the present call began.
    before_call: AtomicU64,
    /// When the present poll began, in nanoseconds since `began`.
    entered: AtomicU64,
    /// When the last poll ended, in nanoseconds since `began`.
    left: AtomicU64,
    /// Nanoseconds that it may still compute without a permit; negative: what it owes.
    credit: AtomicI64,
    /// A read was handed to the guest since the last poll in advance.
    may_advance: AtomicBool,
    /// Weighted nanoseconds of the last polls without a permit, as of `left`.
    recent: AtomicU64,
    /// Nanoseconds of its short polls, as remembered.
    short: AtomicU64,
    /// Nanoseconds of its long polls, as remembered. Those of the start, within the first
    /// [`CREDIT`], are left out.
    long: AtomicU64,
    /// What of `recent` is not in the engine's sum yet.
    unreported: AtomicU64,
    /// The virtual time at which its last permit was used up.
    used_up: AtomicU64,
    /// Nanoseconds that it may still use with permits without being ranked later: what a start
    /// takes, so that a new chat need not wait a whole round after its first permit.
    start_grant: AtomicU64,
    traffic: Arc<Traffic>,
    share: Arc<FairShare>,
}

impl CpuAccount {
    pub(super) fn new(traffic: Arc<Traffic>, share: Arc<FairShare>) -> Self {
        share.join();
        Self {
            began: Instant::now(),
            spent: AtomicU64::new(0),
            before_call: AtomicU64::new(0),
            entered: AtomicU64::new(0),
            left: AtomicU64::new(0),
            credit: AtomicI64::new(signed(nanos(CREDIT))),
            may_advance: AtomicBool::new(true),
            recent: AtomicU64::new(0),
            short: AtomicU64::new(0),
            long: AtomicU64::new(0),
            unreported: AtomicU64::new(0),
            used_up: AtomicU64::new(0),
            start_grant: AtomicU64::new(nanos(CREDIT)),
            traffic,
            share,
        }
    }

    pub(super) fn begin_call(&self) {
        let spent = self.spent.load(Ordering::Relaxed);
        self.before_call.store(spent, Ordering::Relaxed);
    }

    /// How long the present poll has been running. Only to be asked from within one.
    pub(super) fn running_for(&self) -> Duration {
        Duration::from_nanos(self.now() - self.entered.load(Ordering::Relaxed))
    }

    /// What the present call has used up before its present poll.
    pub(super) fn before_this_poll(&self) -> Duration {
        let polls = self.spent.load(Ordering::Relaxed) - self.before_call.load(Ordering::Relaxed);
        Duration::from_nanos(polls)
    }

    /// Whether the store needs a permit to compute now.
    pub(super) fn needs_permit(&self) -> bool {
        let credit = self.credit.load(Ordering::Relaxed);
        let recent = self.recent.load(Ordering::Relaxed);
        let limit = self.share.limit();
        if credit > 0 && recent <= limit && limit >= nanos(CREDIT_CAP) {
            return false;
        }
        self.needs_permit_at(self.now())
    }

    fn needs_permit_at(&self, now: u64) -> bool {
        let idle = now.saturating_sub(self.left.load(Ordering::Relaxed));
        let limit = self.share.limit();
        let recent = decayed(self.recent.load(Ordering::Relaxed), idle, limit);
        let is_new = now < nanos(WINDOW) && limit < NEW_LIMIT;
        let is_long = limit < nanos(CREDIT_CAP) && self.computes_long();
        let paid = || {
            self.credit.load(Ordering::Relaxed) > 0
                || self.may_advance.swap(false, Ordering::Relaxed)
        };
        is_new || is_long || recent > limit || !paid()
    }

    /// Whether it has computed more in long polls than in short ones. Without this a thousand chats
    /// that pause together, until their recent use is forgotten, compute together after each pause,
    /// each for one poll. An honest chat has long polls too now and then.
    fn computes_long(&self) -> bool {
        self.long.load(Ordering::Relaxed) > self.short.load(Ordering::Relaxed)
    }

    /// Whether it is no new chat, and computes in short polls.
    pub(super) fn is_light(&self) -> bool {
        self.now() >= nanos(WINDOW) && !self.computes_long()
    }

    /// Adds a poll of this length to what is remembered.
    fn remember(&self, time: u64) {
        let mut short = self.short.load(Ordering::Relaxed);
        let mut long = self.long.load(Ordering::Relaxed);
        if time < nanos(LONG_POLL) {
            short += time;
        } else {
            long += time;
        }
        if short + long > LONG_POLL_MEMORY {
            short /= 2;
            long /= 2;
        }
        self.short.store(short, Ordering::Relaxed);
        self.long.store(long, Ordering::Relaxed);
    }

    /// The virtual time at which its last permit was used up.
    pub(super) fn used_up(&self) -> u64 {
        self.used_up.load(Ordering::Relaxed)
    }

    /// A permit was used for so long.
    pub(super) fn use_up(&self, permit: &Permit<'_>, used: Duration) {
        let grant = self.start_grant.load(Ordering::Relaxed);
        let granted = grant.min(nanos(used));
        self.start_grant.store(grant - granted, Ordering::Relaxed);
        let ranked = used.saturating_sub(Duration::from_nanos(granted));
        self.used_up.store(permit.used(ranked), Ordering::Relaxed);
    }

    fn now(&self) -> u64 {
        nanos(self.began.elapsed())
    }

    /// A poll begins. `precise`: what the operating system does meanwhile is not to be counted.
    pub(super) fn enter(&self, precise: bool) -> Instant {
        let now = cpu_time::begin(precise);
        let since = nanos(now.saturating_duration_since(self.began));
        self.entered.store(since, Ordering::Relaxed);
        now
    }

    /// A poll is over; the time now, and how long it computed.
    pub(super) fn leave(&self, entered: Instant, with_permit: bool) -> (Instant, Duration) {
        let (now, used) = cpu_time::since(entered);
        let at = nanos(now.saturating_duration_since(self.began));
        self.spend(nanos(used), at, with_permit);
        (now, used)
    }

    /// Adds a poll of this length that ended `at` this time.
    fn spend(&self, time: u64, at: u64, with_permit: bool) {
        let spent = self.spent.fetch_add(time, Ordering::Relaxed);
        if spent >= nanos(CREDIT) {
            self.remember(time);
        }
        let idle = at.saturating_sub(self.left.swap(at, Ordering::Relaxed));

        let (reads, bytes) = self.traffic.take();
        if reads > 0 {
            self.may_advance.store(true, Ordering::Relaxed);
        }
        let earned = (reads.saturating_mul(nanos(CREDIT_PER_READ)))
            .saturating_add(bytes.saturating_mul(nanos(CREDIT_PER_BYTE)));
        let credit = self.credit.load(Ordering::Relaxed);
        let credit = credit.saturating_add(signed(earned));
        let credit = credit.min(signed(nanos(CREDIT_CAP)));
        let credit = credit.saturating_sub(signed(time));
        let credit = credit.max(-signed(nanos(CREDIT)));
        self.credit.store(credit, Ordering::Relaxed);

        let used = weighted(time);
        let recent = decayed(
            self.recent.load(Ordering::Relaxed),
            idle,
            self.share.limit(),
        );
        let free = if with_permit { 0 } else { used };
        let recent = recent.saturating_add(free);
        self.recent.store(recent, Ordering::Relaxed);
        let unreported = self.unreported.load(Ordering::Relaxed) + free;
        let portion = if unreported < PORTION { 0 } else { unreported };
        let rest = unreported - portion;
        self.unreported.store(rest, Ordering::Relaxed);
        if portion > 0 {
            self.share.add(portion);
        }
    }
}

impl Drop for CpuAccount {
    fn drop(&mut self) {
        // Many short chats add up as well.
        self.share.add(*self.unreported.get_mut());
        self.share.leave();
    }
}

fn signed(nanos: u64) -> i64 {
    i64::try_from(nanos).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: u64 = 1_000_000;

    fn account() -> (CpuAccount, Arc<Traffic>, Arc<FairShare>) {
        let traffic = Arc::new(Traffic::default());
        let share = Arc::new(FairShare::new(2));
        let account = CpuAccount::new(traffic.clone(), share.clone());
        (account, traffic, share)
    }

    /// Long enough for all recent use to be forgotten.
    const LATER: u64 = 1_000 * MILLISECOND;

    #[test]
    fn a_read_buys_computing_and_what_was_not_bought_needs_a_permit() {
        let (account, traffic, _) = account();
        account.may_advance.store(false, Ordering::Relaxed);
        account.spend(nanos(CREDIT) - 1, 0, true);
        assert!(!account.needs_permit_at(LATER));
        account.spend(1, 0, true);
        assert!(account.needs_permit_at(LATER));
        traffic.count(0);
        account.spend(nanos(CREDIT_PER_READ) - 1, 0, true);
        assert!(!account.needs_permit_at(LATER));
    }

    #[test]
    fn reads_save_up_no_more_than_the_cap() {
        let (account, traffic, _) = account();
        for _ in 0..10_000 {
            traffic.count(64 << 10);
            account.spend(0, 0, true);
        }
        account.may_advance.store(false, Ordering::Relaxed);
        account.spend(nanos(CREDIT_CAP) - 1, 0, true);
        assert!(!account.needs_permit_at(LATER));
        account.spend(1, 0, true);
        assert!(account.needs_permit_at(LATER));
    }

    #[test]
    fn a_store_without_credit_is_polled_in_advance_once_a_read() {
        let (account, traffic, _) = account();
        account.spend(nanos(CREDIT), 0, true);
        assert!(!account.needs_permit_at(LATER), "in advance");
        assert!(account.needs_permit_at(LATER), "nothing was read since");
        traffic.count(0);
        account.spend(nanos(CREDIT_PER_READ), LATER, true);
        assert!(!account.needs_permit_at(2 * LATER), "in advance again");
        assert!(account.needs_permit_at(2 * LATER));
    }

    #[test]
    fn no_more_is_owed_than_a_few_reads_pay() {
        let (account, traffic, _) = account();
        account.spend(3_600_000 * MILLISECOND, 0, true);
        let reads = nanos(CREDIT) / nanos(CREDIT_PER_READ) + 1;
        (0..reads).for_each(|_| traffic.count(0));
        account.spend(0, 0, true);
        account.may_advance.store(false, Ordering::Relaxed);
        assert!(!account.needs_permit_at(LATER));
    }

    #[test]
    fn whoever_computes_beyond_its_share_needs_a_permit_in_spite_of_its_credit() {
        let (account, traffic, share) = account();
        let mut at = 0;
        let mut permits = 0;
        // A server that sends a byte at a time buys each millisecond; a hundred such chats.
        (0..99).for_each(|_| share.join());
        for _ in 0..1_000 {
            (0..4).for_each(|_| traffic.count(1));
            let with_permit = account.needs_permit_at(at);
            permits += u64::from(with_permit);
            at += MILLISECOND;
            account.spend(MILLISECOND, at, with_permit);
            // The others do the same.
            share.add(99 * MILLISECOND);
            share.adjust(Duration::from_millis(1));
        }
        assert!(permits > 900, "{permits}");
        // An honest chat of 20 short events a second beside it needs none.
        let honest = CpuAccount::new(traffic.clone(), share.clone());
        for _ in 0..100 {
            traffic.count(250);
            assert!(!honest.needs_permit_at(at));
            honest.spend(25_000, at, false);
            at += 50 * MILLISECOND;
        }
    }

    #[test]
    fn a_pause_gives_back_no_more_than_the_share_of_its_time() {
        let (account, traffic, share) = account();
        (0..999).for_each(|_| share.join());
        let mut without_permit = 0;
        let mut at = 0;
        for _ in 0..1_000 {
            // A thousand chats, each of which computes for a millisecond and pauses.
            traffic.count(1);
            let with_permit = account.needs_permit_at(at);
            without_permit += u64::from(!with_permit);
            account.spend(MILLISECOND, at, with_permit);
            at += 150 * MILLISECOND;
            for _ in 0..150 {
                share.add(7 * MILLISECOND);
                share.adjust(Duration::from_millis(1));
            }
        }
        // Half of two processors is a millisecond a second for each.
        let seconds = at / (1_000 * MILLISECOND);
        assert!(without_permit <= seconds, "{without_permit} in {seconds} s");
    }

    #[test]
    fn a_chat_with_long_polls_needs_permits_while_others_compute_too() {
        let (account, traffic, share) = account();
        let poll = |time: Duration, at| {
            traffic.count(64 << 10);
            account.spend(nanos(time), at, false);
        };
        // Each is looked at when all recent use is forgotten.
        poll(CREDIT, LATER);
        (0..99).for_each(|_| share.join());
        share.add(nanos(WINDOW));
        assert!(share.adjust(Duration::from_millis(1)));
        assert!(!account.needs_permit_at(100 * LATER), "it was its start");
        poll(LONG_POLL, 100 * LATER);
        assert!(account.needs_permit_at(200 * LATER));
        (0..50).for_each(|_| poll(LONG_POLL / 50, 200 * LATER));
        assert!(
            !account.needs_permit_at(300 * LATER),
            "as much in short polls"
        );
        (0..100).for_each(|_| poll(LONG_POLL, 300 * LATER));
        assert!(account.needs_permit_at(1_000 * LATER));
        while share.limit() < nanos(CREDIT_CAP) {
            share.adjust(Duration::from_millis(1));
        }
        assert!(
            !account.needs_permit_at(1_000 * LATER),
            "nobody else computes"
        );
    }

    #[test]
    fn what_short_chats_compute_adds_up() {
        let share = Arc::new(FairShare::new(2));
        for _ in 0..1_000 {
            let chat = CpuAccount::new(Arc::default(), share.clone());
            chat.spend(PORTION / 10, 0, false);
        }
        assert!(share.adjust(Duration::from_millis(1)), "it is not seen");
    }

    #[test]
    fn a_call_is_counted_by_its_own_polls() {
        let hour = Duration::from_secs(3600);
        let (account, ..) = account();
        account.spent.store(nanos(hour), Ordering::Relaxed);
        account.enter(false);
        assert_eq!(account.before_this_poll(), hour);
        account.begin_call();
        assert_eq!(account.before_this_poll(), Duration::ZERO);
        assert!(account.running_for() < hour);
        account.spend(nanos(hour), 0, true);
        assert_eq!(account.before_this_poll(), hour);
    }
}
