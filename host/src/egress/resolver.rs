//! From a name to addresses: the seam where the resolver can be replaced.
//!
//! What a resolver says is judged, whoever it is: it cannot make an address reachable that the grant does not reach. It
//! names no port, so that it cannot choose one either.

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use tokio::net::lookup_host;

/// What [`Resolver::resolve`] gives back.
pub type Resolving<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>>;

/// Finds the addresses of a granted name. It is asked for each connection anew.
pub trait Resolver: Send + Sync + 'static {
    /// The addresses of `host`, a name in lower case, in the order in which they are to be tried. The time is bounded by the
    /// caller, who drops the future.
    fn resolve<'a>(&'a self, host: &'a str) -> Resolving<'a>;
}

/// The resolver of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve<'a>(&'a self, host: &'a str) -> Resolving<'a> {
        Box::pin(async move {
            // The port is a formality of the look-up.
            let found = lookup_host((host, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}
