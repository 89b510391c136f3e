//! A chat that somebody else may end.
//!
//! A chat belongs to whoever reads it. One that runs on a plugin that was
//! replaced may have to end before its reader is done: its store is given back
//! at once, and the reader finds a typed error where the next events would be.
//!
//! A batch costs one lock that nobody else wants. Nothing is done for an event.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use super::{Chat, Slot, lock};
use crate::error::Error;

/// How a chat ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// As the contract says it should.
    Finished,
    /// In an error of its own.
    Failed,
    /// It was recalled.
    Recalled,
    /// Its reader dropped it first.
    Dropped,
}

/// Is told once how a chat ended.
pub(crate) type Ended = Box<dyn FnOnce(End) + Send>;

/// What can end a chat. It is made before the chat is, so that one which is just beginning can be ended, too.
#[derive(Clone)]
pub(crate) struct Leash {
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    state: State,
    /// Its reader has been given something.
    begun: bool,
    reader: Option<Waker>,
    ended: Option<Ended>,
}

enum State {
    /// There is no answer yet.
    Starting,
    Running(Pin<Box<dyn Future<Output = ()> + Send>>),
    /// To be told to the reader.
    Recalled(Option<Error>),
    Over,
}

impl Leash {
    pub(crate) fn new() -> Self {
        Self {
            shared: Arc::new(Mutex::new(Shared {
                state: State::Starting,
                begun: false,
                reader: None,
                ended: None,
            })),
        }
    }

    /// Ends the chat, unless it has ended: its store goes now, whether somebody reads it or not. `error` is told whether
    /// anything was handed out. Says whether there was something to end.
    pub(crate) fn recall(&self, error: impl FnOnce(bool) -> Error) -> bool {
        let (driver, reader, ended) = {
            let mut shared = self.lock();
            if !matches!(shared.state, State::Starting | State::Running(_)) {
                return false;
            }
            let error = error(shared.begun);
            let driver = std::mem::replace(&mut shared.state, State::Recalled(Some(error)));
            (driver, shared.reader.take(), shared.ended.take())
        };
        drop(driver);
        if let Some(ended) = ended {
            ended(End::Recalled);
        }
        if let Some(reader) = reader {
            reader.wake();
        }
        true
    }

    /// Goes on with the answer, or tells that it was recalled.
    fn poll(&self, slot: &Mutex<Slot>, cx: &mut Context<'_>) -> Poll<()> {
        let mut guard = self.lock();
        let shared = &mut *guard;
        match &mut shared.state {
            State::Running(driver) => {
                if driver.as_mut().poll(cx).is_pending() {
                    if !shared.begun {
                        shared.begun = lock(slot).batch.is_some();
                    }
                    match &mut shared.reader {
                        Some(reader) => reader.clone_from(cx.waker()),
                        None => shared.reader = Some(cx.waker().clone()),
                    }
                    return Poll::Pending;
                }
                let failed = matches!(&lock(slot).batch, Some(Err(_)));
                let end = if failed { End::Failed } else { End::Finished };
                let driver = std::mem::replace(&mut shared.state, State::Over);
                let ended = shared.ended.take();
                drop(guard);
                drop(driver);
                if let Some(ended) = ended {
                    ended(end);
                }
            }
            State::Recalled(error) => lock(slot).batch = error.take().map(Err),
            State::Starting | State::Over => {}
        }
        Poll::Ready(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Shared> {
        // What panics is the driver, and the chat ends with it.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Chat {
    /// Puts the chat on a leash; `ended` is told how it ended, once.
    pub(crate) fn overseen(mut self, leash: &Leash, ended: Ended) -> Self {
        let overseen = Box::pin(Overseen {
            leash: leash.clone(),
            slot: self.slot.clone(),
        });
        let driver = std::mem::replace(&mut self.driver, overseen);
        let mut shared = leash.lock();
        if matches!(shared.state, State::Starting) {
            shared.state = State::Running(driver);
            shared.ended = Some(ended);
        } else {
            drop(shared);
            // It was recalled while it began.
            drop(driver);
            ended(End::Recalled);
        }
        self
    }
}

/// Drives what is on the leash.
struct Overseen {
    leash: Leash,
    slot: Arc<Mutex<Slot>>,
}

impl Future for Overseen {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.leash.poll(&self.slot, cx)
    }
}

impl Drop for Overseen {
    fn drop(&mut self) {
        // The store goes with its reader.
        let (state, ended) = {
            let mut shared = self.leash.lock();
            let state = std::mem::replace(&mut shared.state, State::Over);
            (state, shared.ended.take())
        };
        drop(state);
        if let Some(ended) = ended {
            ended(End::Dropped);
        }
    }
}
