//! The only way out of the sandbox.
//!
//! Goes in: the HTTP requests of a guest. Comes out: those of them that the [`Grant`] covers, with the secrets in place
//! of their placeholders, to an address that was judged, within the limits; and their responses, bounded. It must never
//! send anything anywhere else, follow a redirect, or let a secret be seen.
//!
//! One [`Egress`] belongs to one configured provider and owns that provider's connections; [`Egress::hooks`] gives each
//! store its own door to it. Below the policy there is a seam, [`Transport`], where the network can be replaced.
//!
//! # What the guest is told
//!
//! A guest sees a failure as a WASI HTTP error code: from `future-incoming-response.get` until the response's head is
//! there, and from `http-error-code` of the stream's error while the body is read (see [`link_http_error_code`]). The host
//! keeps the words: [`Hooks::last_failure`].
//!
//! | [`TransportError`] | error code | sent? |
//! |---|---|---|
//! | `Denied` (scheme, host, port, path, query, base path, method, header, body of a GET, a misplaced secret) | `HTTP-request-denied` | no |
//! | `NotRecorded` | `HTTP-request-denied` | no |
//! | `TooManyRequests` | `connection-limit-reached` | no |
//! | `ConnectionsUsedUp`, `FurtherConnectionsUsedUp` (this host's budget) | `connection-limit-reached` | no |
//! | `LookupsUsedUp` (this host's threads for names) | `connection-limit-reached` | no |
//! | `OutOfResources` (descriptors, memory, local ports) | `connection-limit-reached` | no |
//! | `RequestBodyTooLarge` | `HTTP-request-body-size(limit)` | no |
//! | `RequestBody` | `internal-error(words)` | no |
//! | `NoMemory` | `internal-error(words)` | no |
//! | `Configuration` | `configuration-error` | no |
//! | `Dns` | `DNS-error(rcode: the resolver's words)` | no |
//! | `DnsTimeout` | `DNS-timeout` | no |
//! | `Prohibited` | `destination-IP-prohibited` | no |
//! | `Refused` | `connection-refused` | no |
//! | `Unreachable` | `destination-unavailable` | no |
//! | `ConnectTimeout`, `TlsTimeout` | `connection-timeout` | no |
//! | `Certificate` | `TLS-certificate-error` | no |
//! | `TlsAlert` | `TLS-alert-received(number, name)` | no |
//! | `ClientCertificate` | `TLS-alert-received(number, name)` | if there was no alert |
//! | `Proxy`: not reached, closed | `destination-unavailable` | no |
//! | `Proxy`: silent | `connection-timeout` | no |
//! | `Proxy`: 407, 403, another status | `HTTP-request-denied` | no |
//! | `Proxy`: its answer is not HTTP | `HTTP-protocol-error` | no |
//! | `Tls` | `TLS-protocol-error` | no |
//! | `FirstByteTimeout` (no byte of the body yet) | `HTTP-response-timeout` | yes |
//! | `IdleTimeout` (silence within the body) | `connection-read-timeout` | yes |
//! | `TotalTimeout` | `HTTP-response-timeout` | yes |
//! | `Closed` (before a head) | `connection-terminated` | yes |
//! | `Incomplete` (within the body) | `HTTP-response-incomplete` | yes |
//! | `Protocol` | `HTTP-protocol-error` | yes |
//! | `HeadersTooLarge` | `HTTP-response-header-section-size(limit)` | yes |
//! | `ResponseBodyTooLarge` | `HTTP-response-body-size(limit)` | yes |
//! | `ContentCoding` | `HTTP-response-content-coding(coding)` | yes |
//!
//! # Examples
//!
//! ```
//! use provider_host::egress::Egress;
//! use provider_host::policy::{Grant, Origin};
//!
//! let grant = Grant::new(Origin::parse("http://127.0.0.1:8000/v1")?);
//! let egress = Egress::new(grant)?;
//! // One per store; it goes into the store's `WasiHttpCtxView`.
//! let hooks = egress.hooks();
//! assert_eq!(hooks.last_failure(), None);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod body;
mod client_auth;
mod connections;
mod dial;
mod error;
mod error_code;
mod hooks;
mod link;
mod lookup;
mod metered;
mod network;
mod pool;
mod proxy;
pub mod recording;
mod resolver;
mod tls;
mod traffic;
mod transport;

pub(crate) use connections::Connections;
pub use error::TransportError;
pub use error_code::{error_code, link_http_error_code};
pub use hooks::Hooks;
pub use network::NetworkTransport;
pub use proxy::{ProxyFailure, ProxyFault};
pub use resolver::{Resolver, Resolving, SystemResolver};
pub(crate) use traffic::Traffic;
pub use transport::{Exchange, ResponseBody, SentAt, Timing, Transport};

use crate::memory::Held;
use crate::policy::Grant;
use connections::Share;
use std::fmt;
use std::sync::Arc;

/// The way out for one configured provider. Clones share the grant and the connections.
#[derive(Clone)]
pub struct Egress {
    shared: Arc<Shared>,
}

struct Shared {
    grant: Grant,
    transport: Arc<dyn Transport>,
}

impl Egress {
    /// A way out over the network. Nothing is resolved or connected yet.
    ///
    /// # Errors
    ///
    /// [`TransportError::Configuration`]: the configured authority is no certificate, the client
    /// certificate or its key cannot be used, or the host cannot have a certificate.
    pub fn new(grant: Grant) -> Result<Self, TransportError> {
        let transport = NetworkTransport::new(&grant)?;
        Ok(Self::with_transport(grant, Arc::new(transport)))
    }

    /// A way out over something else. Every rule but those of dialling applies as it does over the network.
    #[must_use]
    pub fn with_transport(grant: Grant, transport: Arc<dyn Transport>) -> Self {
        Self {
            shared: Arc::new(Shared { grant, transport }),
        }
    }

    /// The door for one store without an engine. Its connections count in the budget that this
    /// process has for all stores without an engine and all engines without
    /// [`EngineOptions::max_connections`](crate::EngineOptions::max_connections). What the host
    /// holds for its requests is charged to no engine.
    #[must_use]
    pub fn hooks(&self) -> Hooks {
        self.hooks_within(&Connections::of_process(), Arc::new(Held::unbounded()))
    }

    /// The door for one store whose connections count in this budget, and whose requests are
    /// charged to this memory.
    pub(crate) fn hooks_within(&self, connections: &Arc<Connections>, held: Arc<Held>) -> Hooks {
        let share = Share::new(Arc::clone(connections));
        Hooks::new(Arc::clone(&self.shared), share, held)
    }

    /// What is granted.
    #[must_use]
    pub fn grant(&self) -> &Grant {
        &self.shared.grant
    }
}

impl fmt::Debug for Egress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Egress")
            .field("grant", &self.shared.grant)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
