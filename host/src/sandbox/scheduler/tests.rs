//! The queue alone, with a clock that the test moves.

use super::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;

#[derive(Default)]
struct WakeCount(AtomicUsize);

impl Wake for WakeCount {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn with_permits(permits: usize) -> Scheduler {
    Scheduler::new(2 * permits)
}

fn poll<'a>(
    entry: &mut QueueEntry<'a>,
    used_up: u64,
    count: &Arc<WakeCount>,
) -> Option<Permit<'a>> {
    poll_as(entry, used_up, false, count)
}

fn poll_as<'a>(
    entry: &mut QueueEntry<'a>,
    used_up: u64,
    is_light: bool,
    count: &Arc<WakeCount>,
) -> Option<Permit<'a>> {
    let waker = Waker::from(count.clone());
    match entry.poll_permit(used_up, is_light, &mut Context::from_waker(&waker)) {
        Poll::Ready(permit) => Some(permit),
        Poll::Pending => None,
    }
}

fn woken(count: &Arc<WakeCount>) -> usize {
    count.0.swap(0, Ordering::Relaxed)
}

fn is_empty(scheduler: &Scheduler) -> bool {
    let queue = scheduler.queue();
    queue.waiting.is_empty()
        && queue.wakers.is_empty()
        && queue.called.is_empty()
        && queue.late.is_empty()
        && queue.in_use == 0
}

#[test]
fn the_one_that_used_least_is_next() {
    let scheduler = with_permits(1);
    let counts: [Arc<WakeCount>; 3] = Default::default();
    let [mut a, mut b, mut c] = std::array::from_fn(|_| scheduler.entry());
    let permit = poll(&mut a, 50, &counts[0]).expect("nobody else is there");
    assert!(poll(&mut b, 90, &counts[1]).is_none());
    assert!(poll(&mut c, 10, &counts[2]).is_none());
    drop(permit);
    assert_eq!(counts.each_ref().map(woken), [0, 0, 1]);
    assert!(poll(&mut a, 51, &counts[0]).is_none(), "c is called");
    assert!(poll(&mut b, 90, &counts[1]).is_none());
    drop(poll(&mut c, 10, &counts[2]).expect("it was called"));
    assert_eq!(counts.each_ref().map(woken), [1, 0, 0]);
}

#[test]
fn the_one_that_used_most_waits_long_and_not_for_ever() {
    let scheduler = with_permits(1);
    let (poor, quiet) = (
        Arc::new(WakeCount::default()),
        Arc::new(WakeCount::default()),
    );
    let mut debtor = scheduler.entry();
    let mut others: Vec<QueueEntry<'_>> = (0..3).map(|_| scheduler.entry()).collect();
    let mut running = poll(&mut others[0], 1, &quiet);
    assert!(poll(&mut debtor, u64::MAX, &poor).is_none());
    let mut permits_of_others = 0;
    while woken(&poor) == 0 {
        assert!(permits_of_others < 2 * OLDEST, "it starves");
        // There is always one that used less.
        for other in &mut others {
            if let Some(permit) = poll(other, 1, &quiet) {
                running = Some(permit);
                permits_of_others += 1;
            }
        }
        drop(running.take());
    }
    assert!(permits_of_others >= OLDEST / 2, "{permits_of_others}");
    let mut newcomer = scheduler.entry();
    assert!(
        poll(&mut newcomer, 1, &quiet).is_none(),
        "nobody comes before it"
    );
    assert!(poll(&mut debtor, u64::MAX, &poor).is_some());
}

#[test]
fn while_a_called_chat_is_late_the_next_one_is_called_and_the_first_that_comes_computes() {
    let scheduler = with_permits(1);
    let counts: [Arc<WakeCount>; 3] = Default::default();
    let [mut a, mut b, mut c] = std::array::from_fn(|_| scheduler.entry());
    let permit = poll(&mut a, 1, &counts[0]).expect("nobody else is there");
    assert!(poll(&mut b, 1, &counts[1]).is_none());
    assert!(poll(&mut c, 2, &counts[2]).is_none());
    drop(permit);
    let now = Instant::now();
    scheduler.tick(now);
    assert_eq!(counts.each_ref().map(woken), [0, 1, 0], "b is not late yet");
    scheduler.tick(now + 2 * LATE);
    assert_eq!(counts.each_ref().map(woken), [0, 0, 1]);
    let permit = poll(&mut b, 1, &counts[1]).expect("it is late, and a permit is free");
    assert!(poll(&mut c, 2, &counts[2]).is_none(), "the limit holds");
    drop(permit);
    assert_eq!(woken(&counts[2]), 1, "it is called again");
    drop(poll(&mut c, 2, &counts[2]).expect("it was called"));
    drop((a, b, c));
    assert!(is_empty(&scheduler));
}

/// The standstill: an executor that polls each task once after each tick, and never within
/// [`LATE`] of its call.
#[test]
fn all_waiting_chats_compute_on_an_executor_that_is_always_late() {
    let scheduler = with_permits(1);
    let quiet = Arc::new(WakeCount::default());
    let mut running = scheduler.entry();
    let permit = poll(&mut running, 1, &quiet);
    let mut waiting: Vec<QueueEntry<'_>> = (0..2).map(|_| scheduler.entry()).collect();
    for entry in &mut waiting {
        assert!(poll(entry, 1, &quiet).is_none());
    }
    drop(permit);
    let mut now = Instant::now();
    let mut computed = [0; 2];
    for _ in 0..10 {
        now += 2 * LATE;
        scheduler.tick(now);
        for (entry, computed) in waiting.iter_mut().zip(&mut computed) {
            if let Some(permit) = poll(entry, 1, &quiet) {
                *computed += 1;
                drop(permit);
            }
        }
    }
    assert!(computed.iter().all(|&times| times >= 5), "{computed:?}");
}

#[test]
fn more_are_called_while_all_are_late_and_fewer_when_they_come_in_vain() {
    let scheduler = with_permits(1);
    let quiet = Arc::new(WakeCount::default());
    let mut first = scheduler.entry();
    let permit = poll(&mut first, 0, &quiet);
    let mut entries: Vec<QueueEntry<'_>> = (0..1_000).map(|_| scheduler.entry()).collect();
    for entry in &mut entries {
        assert!(poll(entry, 1, &quiet).is_none());
    }
    drop(permit);
    assert_eq!(woken(&quiet), 1);
    let mut now = Instant::now();
    let mut called = 0;
    for _ in 0..8 {
        now += 2 * LATE;
        scheduler.tick(now);
        called += woken(&quiet);
    }
    assert!(called > 100, "{called}");
    assert!(scheduler.queue().extra_calls <= MAX_EXTRA_CALLS);
    // All of them come at once: one computes, the others come in vain.
    let mut running = Vec::new();
    for entry in &mut entries {
        running.extend(poll(entry, 1, &quiet));
    }
    assert_eq!(running.len(), 1);
    assert_eq!(scheduler.queue().extra_calls, 0);
}

#[test]
fn a_newcomer_that_used_least_takes_a_free_permit() {
    let scheduler = with_permits(1);
    let quiet = Arc::new(WakeCount::default());
    let [mut a, mut b, mut c, mut d] = std::array::from_fn(|_| scheduler.entry());
    let permit = poll(&mut a, 1, &quiet);
    assert!(poll(&mut b, 70, &quiet).is_none());
    drop(permit);
    // b is called, and its executor is slow.
    assert!(poll(&mut c, 70, &quiet).is_none());
    let permit = poll(&mut d, 69, &quiet).expect("it is before all others");
    assert!(poll(&mut b, 70, &quiet).is_none(), "the limit holds");
    drop(permit);
    assert!(poll(&mut b, 70, &quiet).is_some());
}

/// A thousand endless loops and a chat that uses a twentieth of their quantum now and then.
#[test]
fn loops_share_evenly_and_a_light_chat_is_hardly_delayed() {
    const LOOPS: usize = 1_000;
    const QUANTUM: Duration = Duration::from_millis(1);
    let scheduler = with_permits(1);
    let quiet = Arc::new(WakeCount::default());
    let mut loops: Vec<_> = (0..LOOPS).map(|_| (scheduler.entry(), 0, 0)).collect();
    let (mut light, mut light_used_up, mut longest) = (scheduler.entry(), 0, 0);
    let mut waiting = None;
    for turn in 0..20 * LOOPS {
        // Each loop asks again at once; whoever has the permit uses its quantum.
        let mut permits = 0;
        for (entry, used_up, had) in &mut loops {
            if let Some(permit) = poll(entry, *used_up, &quiet) {
                *used_up = permit.used(QUANTUM);
                *had += 1;
                permits += 1;
            }
        }
        assert!(permits <= LOOPS);
        if turn % 50 == 0 {
            waiting.get_or_insert(turn);
        }
        if let Some(since) = waiting
            && let Some(permit) = poll(&mut light, light_used_up, &quiet)
        {
            light_used_up = permit.used(QUANTUM / 20);
            longest = longest.max(turn - since);
            waiting = None;
        }
    }
    let turns = loops.iter().map(|(_, _, had)| *had);
    let (least, most) = (turns.clone().min().unwrap(), turns.max().unwrap());
    assert!(most <= 2 * least + 2, "{least} to {most}");
    assert!(longest <= 3, "{longest}");
}

#[test]
fn a_light_chat_comes_before_those_that_begin() {
    let scheduler = with_permits(1);
    let counts: [Arc<WakeCount>; 3] = Default::default();
    let [mut a, mut b, mut c] = std::array::from_fn(|_| scheduler.entry());
    let ahead = nanos(HEAD_START);
    let mut permit = poll(&mut a, 5 * ahead, &counts[0]);
    for (turn, used_up) in [0, 4 * ahead + 1].into_iter().enumerate() {
        assert!(permit.is_some(), "turn {turn}");
        assert!(poll(&mut b, 0, &counts[1]).is_none(), "one that begins");
        assert!(poll_as(&mut c, used_up, true, &counts[2]).is_none());
        drop(permit);
        assert_eq!(counts.each_ref().map(woken), [0, 0, 1], "turn {turn}");
        permit = poll_as(&mut c, used_up, true, &counts[2]);
        b.leave();
    }
    // One that has used more than others is ranked by that.
    assert!(poll(&mut b, 0, &counts[1]).is_none(), "one that begins");
    drop(permit);
    assert_eq!(counts.each_ref().map(woken), [0, 1, 0]);
    assert!(poll_as(&mut c, 6 * ahead, true, &counts[2]).is_none());
}

#[test]
fn whatever_wakes_a_waiting_chat_does_not_move_it_back() {
    let scheduler = with_permits(1);
    let counts: [Arc<WakeCount>; 3] = Default::default();
    let [mut a, mut b, mut c] = std::array::from_fn(|_| scheduler.entry());
    let permit = poll(&mut a, 0, &counts[0]);
    assert!(poll(&mut b, 1, &counts[1]).is_none());
    assert!(poll(&mut c, 2, &counts[2]).is_none());
    assert!(poll(&mut b, 3, &counts[1]).is_none());
    drop(permit);
    assert_eq!(counts.each_ref().map(woken), [0, 1, 0]);
}

#[test]
fn a_call_that_ends_leaves_the_queue() {
    let scheduler = with_permits(1);
    let counts: [Arc<WakeCount>; 3] = Default::default();
    let [mut a, mut b, mut c] = std::array::from_fn(|_| scheduler.entry());
    let permit = poll(&mut a, 1, &counts[0]).expect("nobody else is there");
    assert!(poll(&mut b, 1, &counts[1]).is_none());
    assert!(poll(&mut c, 2, &counts[2]).is_none());
    drop(permit);
    drop(b);
    assert_eq!(woken(&counts[2]), 1, "c is called in place of b");
    drop(c);
    assert!(poll(&mut a, 1, &counts[0]).is_some());
    assert!(is_empty(&scheduler));
}

#[test]
fn no_more_permits_are_in_use_than_there_are() {
    let scheduler = with_permits(2);
    let quiet = Arc::new(WakeCount::default());
    let mut entries: Vec<QueueEntry<'_>> = (0..5).map(|_| scheduler.entry()).collect();
    for _ in 0..3 {
        let taken: Vec<Permit<'_>> = entries
            .iter_mut()
            .filter_map(|entry| poll(entry, 7, &quiet))
            .collect();
        assert_eq!(taken.len(), 2);
    }
}
