//! From a name to addresses: the seam where the resolver can be replaced.
//!
//! What a resolver says is judged, whoever it is: it cannot make an address reachable that the grant does not reach. It
//! names no port, so that it cannot choose one either.

use super::connections::descriptor_limit;
use super::lookup::{LookupFailure, LookupOutcome, Lookups, RecentFailure};
use crate::policy::limits::{LOOKUP_THREADS, LOOKUP_TIME};
use crate::shortage;
use std::future::Future;
use std::io;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

/// What [`Resolver::resolve`] gives back.
pub type Resolving<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>>;

/// Finds the addresses of a granted name.
///
/// It is asked for each connection anew, but once for all connections of a provider that wait at
/// the same time. A failure is given to whoever asks within
/// [`LOOKUP_FAILURE_KEPT`](crate::policy::limits::LOOKUP_FAILURE_KEPT) after it.
pub trait Resolver: Send + Sync + 'static {
    /// The addresses of `host`, a name in lower case, in the order in which they are to be tried.
    ///
    /// Each connection bounds the time that it waits. The future is polled by one of those that
    /// wait, and is kept while nobody does. It is dropped when it is done, or once a connection
    /// needs the name after [`LOOKUP_TIME`].
    fn resolve<'a>(&'a self, host: &'a str) -> Resolving<'a>;
}

/// The resolver of this machine.
///
/// All providers of the process share its threads, of which there are at most
/// [`LOOKUP_THREADS`], and one lookup for each name.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve<'a>(&'a self, host: &'a str) -> Resolving<'a> {
        Box::pin(system().look_up(host))
    }
}

/// The lookups of this process.
fn system() -> &'static Lookups {
    static LOOKUPS: OnceLock<Lookups> = OnceLock::new();
    LOOKUPS.get_or_init(|| {
        // A lookup holds a socket or two. Connections may take half of the descriptors.
        let affordable = descriptor_limit().unwrap_or(usize::MAX) / 8;
        Lookups::new(LOOKUP_THREADS.min(affordable).max(8), get_addresses)
    })
}

/// Asks the C library.
fn get_addresses(name: &str) -> io::Result<Vec<IpAddr>> {
    // The port is a formality.
    match (name, 0).to_socket_addrs() {
        Ok(found) => Ok(found.map(|address| address.ip()).collect()),
        // Without a descriptor for its files and sockets, the C library says that there is no such
        // name, or that the name server failed.
        Err(error) => Err(shortage::now().unwrap_or(error)),
    }
}

/// Another resolver, asked once for all who wait.
pub(super) struct SharedResolver {
    resolver: Arc<dyn Resolver>,
    known: Mutex<KnownLookup>,
}

#[derive(Default)]
struct KnownLookup {
    lookup: Option<(Instant, Arc<Lookup>)>,
    failed: RecentFailure,
}

/// A lookup. Whoever holds it polls it; the others wait until they may, or until it is done.
type Lookup = tokio::sync::Mutex<LookupStep>;

enum LookupStep {
    Looking(Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>),
    /// It is being polled. Seen by the next one, it says that the poll panicked.
    Polled,
    Done(LookupOutcome),
}

impl SharedResolver {
    pub(super) fn new(resolver: Arc<dyn Resolver>) -> Self {
        Self {
            resolver,
            known: Mutex::default(),
        }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, KnownLookup> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn join(&self, host: &str) -> Result<Arc<Lookup>, LookupFailure> {
        let now = Instant::now();
        let mut known = self.known();
        if let Some(failure) = known.failed.at(now) {
            return Err(failure.clone());
        }
        match &known.lookup {
            Some((began, lookup)) if now.duration_since(*began) < LOOKUP_TIME => {
                return Ok(Arc::clone(lookup));
            }
            _ => {}
        }
        let (resolver, host) = (Arc::clone(&self.resolver), host.to_owned());
        let looking = Box::pin(async move { resolver.resolve(&host).await });
        let lookup = Arc::new(Lookup::new(LookupStep::Looking(looking)));
        known.lookup = Some((now, Arc::clone(&lookup)));
        Ok(lookup)
    }

    /// Forgets a lookup that is done, and keeps its failure. The first who sees its end does that.
    fn finish(&self, lookup: &Arc<Lookup>, outcome: &LookupOutcome) {
        let mut known = self.known();
        let current = |(_, one): &(_, Arc<Lookup>)| Arc::ptr_eq(one, lookup);
        if !known.lookup.as_ref().is_some_and(current) {
            return;
        }
        known.lookup = None;
        known.failed.keep(outcome, Instant::now());
    }
}

impl Resolver for SharedResolver {
    /// To be asked for one name only: that of the provider's origin.
    fn resolve<'a>(&'a self, host: &'a str) -> Resolving<'a> {
        Box::pin(async move {
            let lookup = self.join(host)?;
            let mut step = lookup.lock().await;
            let outcome = std::future::poll_fn(|cx| step.poll(cx)).await;
            self.finish(&lookup, &outcome);
            Ok(outcome?.to_vec())
        })
    }
}

impl LookupStep {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<LookupOutcome> {
        let outcome = match std::mem::replace(self, Self::Polled) {
            Self::Looking(mut looking) => match looking.as_mut().poll(cx) {
                Poll::Pending => {
                    *self = Self::Looking(looking);
                    return Poll::Pending;
                }
                Poll::Ready(found) => found
                    .map(Arc::from)
                    .map_err(|error| LookupFailure::new(&error)),
            },
            Self::Polled => Err(LookupFailure::new(&io::Error::other(
                "the resolver panicked",
            ))),
            Self::Done(outcome) => outcome,
        };
        *self = Self::Done(outcome.clone());
        Poll::Ready(outcome)
    }
}
