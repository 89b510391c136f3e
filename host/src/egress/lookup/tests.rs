//! Lookups by a function that blocks for ever for some names.

use super::*;
use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Names that are answered from now on, and how often each function call began.
#[derive(Default)]
struct Server {
    answered: Mutex<HashSet<String>>,
    news: Condvar,
    asked: AtomicUsize,
}

impl Server {
    fn look_up(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if name.starts_with("unknown") {
            return Err(io::Error::other("no such name"));
        }
        let mut answered = self.answered.lock().unwrap();
        while name.starts_with("dead") && !answered.contains(name) {
            answered = self.news.wait(answered).unwrap();
        }
        Ok(vec![[127, 0, 0, 1].into()])
    }

    fn answer(&self, name: &str) {
        self.answered.lock().unwrap().insert(name.to_owned());
        self.news.notify_all();
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn lookups(most: usize) -> (Lookups, Arc<Server>) {
    let server = Arc::<Server>::default();
    let function = Arc::clone(&server);
    let lookups = Lookups::new(most, move |name| function.look_up(name));
    (lookups, server)
}

/// Longer than anything here takes, shorter than a hang.
const PATIENCE: Duration = Duration::from_secs(20);

async fn found(lookups: &Lookups, name: &str) -> io::Result<Vec<IpAddr>> {
    timeout(PATIENCE, lookups.look_up(name))
        .await
        .expect("an end")
}

/// Waits until so many lookups hold a thread.
async fn until_busy(lookups: &Lookups, busy: usize) {
    while lookups.busy() < busy {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn is_used_up(outcome: &io::Result<Vec<IpAddr>>) -> bool {
    let error = outcome.as_ref().err().and_then(|error| error.get_ref());
    error.is_some_and(|inner| inner.is::<LookupsUsedUp>())
}

#[tokio::test]
async fn all_who_wait_for_a_name_share_one_lookup_and_who_leaves_ends_nothing() {
    let (lookups, server) = lookups(8);
    let begun = Arc::new(AtomicUsize::new(0));
    let ask = || {
        let (lookups, begun) = (lookups.clone(), begun.clone());
        tokio::spawn(async move {
            // It asks within the same poll.
            begun.fetch_add(1, Ordering::SeqCst);
            lookups.look_up("dead").await
        })
    };
    let left: Vec<_> = (0..300).map(|_| ask()).collect();
    until_busy(&lookups, 1).await;
    for waiter in left {
        waiter.abort();
        let _ = waiter.await;
    }
    begun.store(0, Ordering::SeqCst);
    let waiters: Vec<_> = (0..300).map(|_| ask()).collect();
    while begun.load(Ordering::SeqCst) < waiters.len() {
        tokio::task::yield_now().await;
    }
    assert!(found(&lookups, "honest").await.is_ok());
    assert_eq!(server.asked(), 2);
    assert!(waiters.iter().all(|waiter| !waiter.is_finished()));
    server.answer("dead");
    for waiter in waiters {
        assert!(waiter.await.unwrap().is_ok());
    }
    assert_eq!(server.asked(), 2);
    // What was found is not kept: the next connection is judged by what the name says then.
    assert!(found(&lookups, "dead").await.is_ok());
    assert_eq!(server.asked(), 3);
}

#[tokio::test]
async fn a_failure_is_kept_for_a_short_time() {
    let (lookups, server) = lookups(8);
    for _ in 0..300 {
        assert!(found(&lookups, "unknown").await.is_err());
    }
    assert_eq!(server.asked(), 1);
    tokio::time::sleep(LOOKUP_FAILURE_KEPT + Duration::from_millis(50)).await;
    assert!(found(&lookups, "unknown").await.is_err());
    assert_eq!(server.asked(), 2);
}

#[tokio::test]
async fn names_that_nobody_answers_leave_threads_to_those_that_are_answered() {
    let (lookups, server) = lookups(64);
    assert!(found(&lookups, "honest").await.is_ok());
    let dead: Vec<_> = (0..100)
        .map(|number| {
            let lookups = lookups.clone();
            tokio::spawn(async move { lookups.look_up(&format!("dead{number}")).await })
        })
        .collect();
    // An eighth of the threads is for names that are known to be fast.
    until_busy(&lookups, 56).await;
    assert!(found(&lookups, "honest").await.is_ok());
    assert!(found(&lookups, "localhost").await.is_ok());
    // Those that got no thread say so, and do not blame the name.
    for waiter in dead.into_iter().skip(56) {
        assert!(is_used_up(&waiter.await.unwrap()));
    }
    assert!(lookups.threads() <= 65);
    (0..56).for_each(|number| server.answer(&format!("dead{number}")));
}

#[tokio::test]
async fn a_name_that_was_slow_does_not_get_the_last_quarter() {
    let (lookups, server) = lookups(8);
    let ask = |name: String| {
        let lookups = lookups.clone();
        tokio::spawn(async move { lookups.look_up(&name).await })
    };
    let slow: Vec<_> = (0..7).map(|number| ask(format!("dead{number}"))).collect();
    until_busy(&lookups, 7).await;
    tokio::time::sleep(LOOKUP_SLOW + Duration::from_millis(50)).await;
    for (number, waiter) in slow.into_iter().enumerate() {
        server.answer(&format!("dead{number}"));
        assert!(waiter.await.unwrap().is_ok());
    }
    server.answered.lock().unwrap().clear();
    let slow: Vec<_> = (0..7).map(|number| ask(format!("dead{number}"))).collect();
    until_busy(&lookups, 6).await;
    assert!(found(&lookups, "new").await.is_ok());
    for waiter in slow.into_iter().skip(6) {
        assert!(is_used_up(&waiter.await.unwrap()));
    }
    (0..7).for_each(|number| server.answer(&format!("dead{number}")));
}

#[tokio::test]
async fn localhost_is_looked_up_when_all_threads_are_used() {
    let (lookups, server) = lookups(8);
    for name in [
        "dead0", "dead1", "dead2", "dead3", "dead4", "dead5", "dead6", "dead7",
    ] {
        server.answer(name);
        assert!(found(&lookups, name).await.is_ok(), "known to be fast");
    }
    server.answered.lock().unwrap().clear();
    for number in 0..8 {
        let lookups = lookups.clone();
        tokio::spawn(async move { lookups.look_up(&format!("dead{number}")).await });
    }
    until_busy(&lookups, 8).await;
    assert!(is_used_up(&found(&lookups, "dead8").await));
    assert!(found(&lookups, "localhost").await.is_ok());
    // The one that was refused waits no more, and is no work once there is a thread.
    (0..8).for_each(|number| server.answer(&format!("dead{number}")));
    assert!(found(&lookups, "honest").await.is_ok());
    assert_eq!(server.asked(), 8 + 8 + 2);
}

#[tokio::test]
async fn a_function_that_panics_is_a_failure_and_costs_no_thread() {
    let lookups = Lookups::new(8, |name| match name {
        "panics" => panic!("a bug"),
        _ => Ok(Vec::new()),
    });
    for number in 0..20 {
        assert!(found(&lookups, "panics").await.is_err());
        assert!(found(&lookups, &format!("honest{number}")).await.is_ok());
    }
    assert_eq!(lookups.busy(), 0);
}

#[tokio::test]
async fn names_that_are_done_are_forgotten() {
    let (lookups, _) = lookups(8);
    for number in 0..3 * NAMES_KEPT {
        assert!(found(&lookups, &format!("honest{number}")).await.is_ok());
    }
    assert!(lookups.0.lock().names.len() <= NAMES_KEPT);
}
