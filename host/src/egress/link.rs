//! One connection, moved by whoever waits for it.
//!
//! hyper splits a connection in two: the handle that requests are given to, and a future that moves the bytes. That future
//! usually gets a task of its own, and then each piece of an answer takes two turns of the scheduler: the connection's
//! task reads it and wakes the chat's, which takes it and wakes the connection's. Here the connection is polled by the one
//! task that waits for its answer. A piece costs one wake-up, and all pieces that have arrived can be taken in one go.
//!
//! The two halves wake each other while they are polled, which would only have the task run once more for nothing.
//! [`Signal`] swallows those: what is woken from inside of a poll is polled again at once. But not for ever: a socket whose
//! task has used up its turn (tokio's cooperative budget) wakes it and says that it has nothing, until the task has yielded.
//!
//! A connection that nobody waits for is not moved: one that is idle sees its end when it is taken out of the
//! [pool](super::pool), or when the pool is swept.

use super::connections::{Connections, SocketPlace};
use super::metered::{Progress, RequestBody, Useless};
use hyper::body::Incoming;
use hyper::client::conn::http1::{Connection, SendRequest};
use hyper_util::rt::TokioIo;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Handle;

/// How often a connection is polled in one go because it was woken meanwhile.
const PASSES: usize = 3;

/// The half that moves the bytes, until the connection is closed.
type Mover = Pin<Box<dyn Future<Output = Result<(), hyper::Error>> + Send>>;

/// A connection.
pub(super) struct Link {
    /// `None` only while it is dropped.
    http: Option<SendRequest<RequestBody>>,
    /// `None` once it is closed.
    mover: Option<Mover>,
    signal: Arc<Signal>,
    waker: Waker,
    useless: Useless,
    progress: Progress,
    runtime: Handle,
    /// Last, because the socket is closed before its place is another's.
    place: SocketPlace,
}

/// What became of the answer that was waited for.
pub(super) type Answered = Option<Result<http::Response<Incoming>, hyper::Error>>;

impl Link {
    /// A connection on which the handshake is over. To be called on the runtime that its socket belongs to.
    pub(super) fn new<T>(
        http: SendRequest<RequestBody>,
        connection: Connection<TokioIo<T>, RequestBody>,
        useless: Useless,
        progress: Progress,
        place: SocketPlace,
    ) -> Self
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let signal = Arc::new(Signal::default());
        Self {
            http: Some(http),
            mover: Some(Box::pin(connection)),
            waker: Waker::from(Arc::clone(&signal)),
            signal,
            useless,
            progress,
            runtime: Handle::current(),
            place,
        }
    }

    /// Its place in a budget of connections.
    pub(super) fn place(&mut self) -> &mut SocketPlace {
        &mut self.place
    }

    /// Whether its place is one of this budget.
    pub(super) fn is_of(&self, connections: &Arc<Connections>) -> bool {
        Arc::ptr_eq(self.place.connections(), connections)
    }

    /// The runtime that its socket belongs to.
    pub(super) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// What was read on it for nothing.
    pub(super) fn useless(&self) -> &Useless {
        &self.useless
    }

    /// How far the exchange on it has come.
    pub(super) fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Sends a request and waits for the head of its answer. None: the connection was closed, and hyper does not say why.
    pub(super) async fn send(&mut self, request: http::Request<RequestBody>) -> Answered {
        let mut answer = pin!(self.http.as_mut()?.send_request(request));
        std::future::poll_fn(|cx| self.poll_for(cx, |cx| answer.as_mut().poll(cx))).await
    }

    /// Moves bytes until `take` has something. Ready with nothing: the connection is closed, and there is nothing more
    /// to come.
    pub(super) fn poll_for<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut take: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<Option<T>> {
        self.signal.listen(cx.waker());
        for _ in 0..PASSES {
            self.signal.enter();
            let closed = self.poll_mover();
            // Only what is moved just above can make it ready.
            match take(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(taken) => {
                    self.signal.leave();
                    return Poll::Ready(Some(taken));
                }
                Poll::Pending if closed => {
                    self.signal.leave();
                    return Poll::Ready(None);
                }
                Poll::Pending => {
                    if self.signal.leave() {
                        return Poll::Pending;
                    }
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Lets it notice what happened to it, and tells whether it can carry a request now.
    pub(super) fn is_ready(&mut self) -> bool {
        self.signal.enter();
        let closed = self.poll_mover();
        self.signal.leave();
        !closed && self.http.as_ref().is_some_and(SendRequest::is_ready)
    }

    /// True: it is closed.
    fn poll_mover(&mut self) -> bool {
        let Some(mover) = &mut self.mover else {
            return true;
        };
        let Poll::Ready(end) = mover.as_mut().poll(&mut Context::from_waker(&self.waker)) else {
            return false;
        };
        self.mover = None;
        if let Err(error) = end {
            tracing::debug!(%error, "connection ended");
        }
        true
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // Without the other half hyper closes it as the protocol wants it, if it can be done without waiting.
        self.http = None;
        self.poll_mover();
    }
}

/// Wakes the task that waits, unless it is just being polled.
#[derive(Default)]
struct Signal {
    state: AtomicU8,
    task: Mutex<Option<Waker>>,
}

/// Nobody is polling: who wakes, wakes the task.
const OUTSIDE: u8 = 0;
/// The connection is being polled.
const INSIDE: u8 = 1;
/// It was woken meanwhile.
const WOKEN: u8 = 2;

impl Signal {
    /// From now on `task` is woken.
    fn listen(&self, task: &Waker) {
        let mut listening = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *listening {
            Some(known) => known.clone_from(task),
            none => *none = Some(task.clone()),
        }
    }

    fn enter(&self) {
        self.state.store(INSIDE, Ordering::Release);
    }

    /// False: it was woken meanwhile, and is to be polled again by whoever would wait now.
    fn leave(&self) -> bool {
        self.state.swap(OUTSIDE, Ordering::AcqRel) == INSIDE
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let inside =
            self.state
                .compare_exchange(INSIDE, WOKEN, Ordering::AcqRel, Ordering::Acquire);
        if let Ok(_) | Err(WOKEN) = inside {
            return;
        }
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        let task = task.clone();
        if let Some(task) = task {
            task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    #[derive(Default)]
    struct Counter(AtomicUsize);

    impl Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn only_what_wakes_from_outside_wakes_the_task() {
        let counter = Arc::new(Counter::default());
        let woken = || counter.0.load(Ordering::Relaxed);
        let signal = Arc::new(Signal::default());
        let waker = Waker::from(Arc::clone(&signal));
        waker.wake_by_ref();
        signal.listen(&Waker::from(Arc::clone(&counter)));

        signal.enter();
        waker.wake_by_ref();
        waker.wake_by_ref();
        assert!(!signal.leave(), "it is to be polled again");
        assert_eq!(woken(), 0);

        signal.enter();
        assert!(signal.leave());
        waker.wake_by_ref();
        assert_eq!(woken(), 1);
    }
}
