//! From a granted origin to a connected stream: resolve, judge, dial, and TLS.
//!
//! An origin behind a proxy is reached over a connection to the proxy, whose address the user named
//! and which is therefore not judged. What the origin's name leads to, the proxy decides.
//!
//! The name is resolved here and nowhere else, every address is judged, and the judged address is the one that is
//! dialled, so an answer of the resolver cannot change between the two.

use super::TransportError;
use super::lookup::LookupsUsedUp;
use super::proxy::{self, ProxyFailure};
use super::resolver::Resolver;
use super::tls::Tls;
use crate::policy::origin::Scheme;
use crate::policy::{Grant, Origin, Proxy, Reach};
use crate::shortage;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::client::TlsStream;

/// A connection to the origin, before HTTP.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

pub(super) struct Dialer {
    origin: Origin,
    reach: Reach,
    resolver: Arc<dyn Resolver>,
    max_addresses: usize,
    tls: Option<Tls>,
    proxy: Option<Proxy>,
}

impl Dialer {
    pub(super) fn new(grant: &Grant, resolver: Arc<dyn Resolver>) -> Result<Self, TransportError> {
        let tls = match grant.origin.scheme() {
            Scheme::Http => None,
            Scheme::Https => Some(Tls::new(grant)?),
        };
        Ok(Self {
            origin: grant.origin.clone(),
            reach: grant.reach,
            resolver,
            max_addresses: grant.limits.addresses_per_name,
            tls,
            proxy: grant.proxy.clone(),
        })
    }

    /// The proxy that a request to an `http` origin is sent to, with the whole URL. An `https`
    /// origin has a tunnel through it, of which requests know nothing.
    pub(super) fn forwarding_proxy(&self) -> Option<&Proxy> {
        self.proxy.as_ref().filter(|_| self.tls.is_none())
    }

    /// The server answered a request.
    pub(super) fn answered(&self) {
        if let Some(tls) = &self.tls {
            tls.answered();
        }
    }

    /// Names the cause of a failure where more is known of it than the connection tells.
    pub(super) fn explain(&self, error: TransportError) -> TransportError {
        match &self.tls {
            Some(tls) => tls.explain(error),
            None => error,
        }
    }

    /// The addresses that may be dialled, by `deadline`; `allowed` is the time that the message
    /// about late ones names.
    pub(super) async fn addresses(
        &self,
        deadline: Instant,
        allowed: Duration,
    ) -> Result<Vec<SocketAddr>, TransportError> {
        let Some(proxy) = &self.proxy else {
            return self.judge(self.resolve(&self.origin, deadline, allowed).await?);
        };
        // What a name leads to is the proxy's to find out. An address can be judged.
        if let Some(ip) = self.origin.ip() {
            self.reach.judge(ip).map_err(TransportError::Prohibited)?;
        }
        let found = self.resolve(proxy.origin(), deadline, allowed).await;
        let found = found.map_err(|error| proxy::unreachable(proxy, &self.origin, error))?;
        let most = self.max_addresses.max(1);
        let addresses: Vec<_> = (found.into_iter().take(most))
            .map(|ip| SocketAddr::new(ip.to_canonical(), proxy.origin().port()))
            .collect();
        match addresses.is_empty() {
            true => Err(ProxyFailure::without_address(proxy, &self.origin).into()),
            false => Ok(addresses),
        }
    }

    /// Connects to one of these addresses by `deadline`.
    pub(super) async fn connect(
        &self,
        addresses: &[SocketAddr],
        deadline: Instant,
        allowed: Duration,
    ) -> Result<Stream, TransportError> {
        let tcp = self.connect_any(addresses, deadline, allowed).await;
        let mut tcp = match &self.proxy {
            Some(proxy) => tcp.map_err(|error| proxy::unreachable(proxy, &self.origin, error))?,
            None => tcp?,
        };
        // Small requests must not wait for each other's acknowledgements; a socket that refuses this still works.
        let _ = tcp.set_nodelay(true);
        let Some(tls) = &self.tls else {
            return Ok(Stream::Plain(tcp));
        };
        if let Some(proxy) = &self.proxy {
            proxy::open_tunnel(&mut tcp, proxy, &self.origin, deadline, allowed).await?;
        }
        match timeout_at(deadline, tls.handshake(tcp)).await {
            Ok(stream) => Ok(Stream::Tls(Box::new(stream?))),
            Err(_) => Err(TransportError::TlsTimeout {
                host: self.host(),
                after: allowed,
            }),
        }
    }

    async fn resolve(
        &self,
        origin: &Origin,
        deadline: Instant,
        allowed: Duration,
    ) -> Result<Vec<IpAddr>, TransportError> {
        if let Some(ip) = origin.ip() {
            return Ok(vec![ip]);
        }
        let host = origin.host_text();
        match timeout_at(deadline, self.resolver.resolve(host)).await {
            Ok(Ok(addresses)) => Ok(addresses),
            Ok(Err(error)) => Err(lookup_failure(host, &error)),
            Err(_) => Err(TransportError::DnsTimeout {
                host: host.to_owned(),
                after: allowed,
            }),
        }
    }

    /// Keeps the addresses that may be dialled, in the form in which they are dialled, and no more of them than are tried.
    fn judge(&self, addresses: Vec<IpAddr>) -> Result<Vec<SocketAddr>, TransportError> {
        let mut allowed = Vec::new();
        let mut prohibited = None;
        for address in addresses {
            if allowed.len() >= self.max_addresses.max(1) {
                break;
            }
            match self.reach.judge(address) {
                Ok(ip) => allowed.push(SocketAddr::new(ip, self.origin.port())),
                Err(error) => {
                    tracing::debug!(%error, "address left out");
                    prohibited.get_or_insert(error);
                }
            }
        }
        match prohibited {
            _ if !allowed.is_empty() => Ok(allowed),
            Some(prohibited) => Err(TransportError::Prohibited(prohibited)),
            None => Err(TransportError::Dns {
                host: self.origin.host_text().to_owned(),
                detail: "the name has no address".to_owned(),
            }),
        }
    }

    /// Dials one address after the other; each gets an even share of the time that is left, so that one which drops
    /// packets does not use it all up.
    async fn connect_any(
        &self,
        addresses: &[SocketAddr],
        deadline: Instant,
        allowed: Duration,
    ) -> Result<TcpStream, TransportError> {
        let mut failure = None;
        for (tried, &address) in addresses.iter().enumerate() {
            let left = u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
            let now = Instant::now();
            let share = deadline.saturating_duration_since(now) / left;
            match timeout_at(now + share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => {
                    let found = connect_failure(address, &error);
                    if matches!(found, TransportError::OutOfResources { .. }) {
                        // It says nothing about the address, and the next one would say it as well.
                        return Err(found);
                    }
                    failure = Some(found);
                }
                Err(_) => {
                    failure.get_or_insert_with(|| self.too_late(allowed));
                }
            }
        }
        Err(failure.unwrap_or_else(|| self.too_late(allowed)))
    }

    fn too_late(&self, allowed: Duration) -> TransportError {
        TransportError::ConnectTimeout {
            host: self.host(),
            after: allowed,
        }
    }

    /// Host and port, for messages.
    fn host(&self) -> String {
        format!("{}:{}", self.origin.host_text(), self.origin.port())
    }
}

fn lookup_failure(host: &str, error: &io::Error) -> TransportError {
    let host = host.to_owned();
    let used_up = error.get_ref().and_then(|inner| inner.downcast_ref());
    if let Some(LookupsUsedUp { limit }) = used_up {
        return TransportError::LookupsUsedUp {
            host,
            limit: *limit,
        };
    }
    if shortage::is(error) {
        return TransportError::OutOfResources {
            what: format!("what it needs to look up {host}"),
            detail: error.to_string(),
        };
    }
    TransportError::Dns {
        host,
        detail: error.to_string(),
    }
}

fn connect_failure(address: SocketAddr, error: &io::Error) -> TransportError {
    if shortage::of_connecting(error, address) {
        return TransportError::OutOfResources {
            what: format!("a connection to {address}"),
            detail: error.to_string(),
        };
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => TransportError::Refused { address },
        _ => TransportError::Unreachable {
            address,
            detail: error.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::resolver::SystemResolver;
    use super::*;

    fn dialer(url: &str) -> Dialer {
        let grant = Grant::new(Origin::parse(url).unwrap());
        Dialer::new(&grant, Arc::new(SystemResolver)).unwrap()
    }

    #[test]
    fn only_the_addresses_within_reach_are_dialled() {
        let resolved = ["10.0.0.1", "::ffff:8.8.8.8", "169.254.169.254"];
        let resolved = resolved.map(|address| address.parse().unwrap()).to_vec();
        let dialled = dialer("http://api.example.com").judge(resolved).unwrap();
        assert_eq!(dialled, ["8.8.8.8:80".parse().unwrap()]);
    }

    #[test]
    fn a_public_name_that_resolves_to_a_private_address_is_not_dialled() {
        let resolved = vec!["192.168.0.7".parse().unwrap()];
        let error = dialer("http://api.example.com")
            .judge(resolved)
            .unwrap_err();
        assert!(matches!(error, TransportError::Prohibited(_)), "{error}");
    }

    #[test]
    fn a_name_without_addresses_is_a_resolver_failure() {
        let error = dialer("http://api.example.com")
            .judge(Vec::new())
            .unwrap_err();
        assert!(matches!(error, TransportError::Dns { .. }), "{error}");
    }

    #[test]
    fn of_a_name_with_a_thousand_addresses_no_more_are_dialled_than_are_allowed() {
        let resolved = vec!["8.8.8.8".parse().unwrap(); 1000];
        let dialled = dialer("http://api.example.com").judge(resolved).unwrap();
        assert_eq!(dialled.len(), crate::policy::limits::ADDRESSES_PER_NAME);
    }

    #[tokio::test]
    async fn the_next_address_is_tried_when_one_refuses() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let live = listener.local_addr().unwrap();
        let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let dead = closed.local_addr().unwrap();
        drop(closed);
        let allowed = Duration::from_secs(5);
        let stream = dialer("http://localhost")
            .connect_any(&[dead, live], Instant::now() + allowed, allowed)
            .await
            .unwrap();
        assert_eq!(stream.peer_addr().unwrap(), live);
    }
}
