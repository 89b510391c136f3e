//! A timer that is set again and again, and hardly ever goes off.
//!
//! Each wait has an end, mostly one that is far away and moves on with each piece that comes. Arming a timer for each of them
//! and taking it back costs more than the wait; so there is one for all of them, which is armed anew only when it goes off, or when it
//! would go off too late.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::time::{Instant, Sleep, sleep_until};

/// Nothing is armed until the first wait.
#[derive(Default)]
pub(crate) struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Ready when it is `due`, which may be another time at each call. To be polled in the runtime whose timer it is.
    pub(crate) fn poll(&mut self, due: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let timer = self.0.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if timer.deadline() > due {
            timer.as_mut().reset(due);
        }
        loop {
            ready!(timer.as_mut().poll(cx));
            if Instant::now() >= due {
                return Poll::Ready(());
            }
            // It was armed for an earlier wait, which ended.
            timer.as_mut().reset(due);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::task::Waker;
    use std::time::Duration;

    #[tokio::test]
    async fn it_goes_off_when_the_present_wait_is_due_whatever_it_was_armed_for() {
        let now = Instant::now();
        let far = now + Duration::from_secs(3600);
        let soon = now + Duration::from_millis(5);
        let mut quiet = Context::from_waker(Waker::noop());
        let mut alarm = Alarm::default();
        assert!(alarm.poll(far, &mut quiet).is_pending());
        poll_fn(|cx| alarm.poll(now, cx)).await; // armed for later
        assert!(alarm.poll(far, &mut quiet).is_pending(), "went off once");
        poll_fn(|cx| alarm.poll(soon, cx)).await;
        assert!(Instant::now() >= soon);
        let next = Instant::now() + Duration::from_millis(5);
        assert!(alarm.poll(next, &mut quiet).is_pending());
        tokio::time::sleep_until(next + Duration::from_millis(5)).await;
        assert!(alarm.poll(far, &mut quiet).is_pending(), "armed for sooner");
    }
}
