//! What a plugin may reach, with which secrets, and how much of it.
//!
//! Goes in: the provider's configured base URL, its secrets and its limits. Comes out: verdicts. Does this request stay
//! on the granted origin? May this address be dialled? What does this header value become on the wire?
//!
//! Nothing here opens a socket, reads a clock or knows that the plugin is WebAssembly: every rule can be tested as a
//! function of its arguments, and the layers above only carry the verdicts out.
//!
//! Everything is denied unless a [`Grant`] allows it, and a grant allows exactly one [`Origin`].

pub mod address;
pub mod binding;
pub(crate) mod header;
pub mod identity;
pub mod limits;
pub mod origin;
pub mod path;
pub mod proxy;
pub(crate) mod quote;
pub(crate) mod search;
pub mod secret;
pub mod visible;

pub use address::{AddressClass, Prohibited, Reach};
pub use binding::{Binding, Misplaced};
pub use identity::ClientIdentity;
pub use limits::{CompileLimits, NetworkLimits, SandboxLimits};
pub use origin::{Denial, Origin, OriginError};
pub use path::BasePath;
pub use proxy::{Proxy, ProxyUrlError};
pub use secret::{Placeholder, Secret, SecretError, Secrets};

use http::HeaderName;

/// What one configured provider may do with the network.
///
/// One grant belongs to one provider of the configuration. It is made once, before any plugin code runs, and never
/// changes afterwards: a new configuration is a new grant.
///
/// # Examples
///
/// ```
/// use provider_host::policy::{Binding, Grant, Origin, Secret, Secrets};
///
/// let origin = Origin::parse("https://gpu.example.org/v1")?;
/// let mut secrets = Secrets::new();
/// // What the plugin is given as its key; the key itself never leaves `secrets`.
/// let key = secrets.mint(Secret::new("sk-real")?, Binding::api_key())?;
/// let grant = Grant::new(origin).with_secrets(secrets);
/// assert!(key.as_str().starts_with("placeholder-"));
/// # let _ = grant;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Grant {
    /// The only origin that requests may go to.
    pub origin: Origin,
    /// The part of the origin that requests may go to.
    pub base_path: BasePath,
    /// Which kinds of addresses the origin's name may resolve to.
    pub reach: Reach,
    /// The secrets that may be sent to the origin, each in the header fields that it is bound to.
    pub secrets: Secrets,
    /// Names of the header fields that the user configured. The plugin may send these whatever they are
    /// called; the others are judged by their names ([`Grant::judge_headers`]).
    pub configured_headers: Vec<HeaderName>,
    /// Certificates in PEM form that are trusted beside the system's, for this origin only (`request.tls.ca`).
    pub ca_pem: Option<Vec<u8>>,
    /// The name that the origin's certificate has to be for, and that is sent as server name (SNI),
    /// where it is not that of the origin (`request.tls.serverName`).
    pub server_name: Option<String>,
    /// What is presented if the origin asks for a client certificate (`request.tls.cert`,
    /// `request.tls.key`).
    pub client_identity: Option<ClientIdentity>,
    /// The proxy that the origin is reached through; `None`: it is dialled itself
    /// (`request.proxy`).
    pub proxy: Option<Proxy>,
    /// How long, how large, how many.
    pub limits: NetworkLimits,
}

impl Grant {
    /// A grant for every path of `origin` with no secrets, the system's certificates and the default limits.
    ///
    /// The reach follows from the origin's host, see [`Reach::of`].
    #[must_use]
    pub fn new(origin: Origin) -> Self {
        let reach = Reach::of(&origin);
        Self {
            origin,
            base_path: BasePath::everything(),
            reach,
            secrets: Secrets::new(),
            configured_headers: Vec::new(),
            ca_pem: None,
            server_name: None,
            client_identity: None,
            proxy: None,
            limits: NetworkLimits::default(),
        }
    }

    /// Ends the grant at a path: what lies beside it belongs to others.
    #[must_use]
    pub fn with_base_path(mut self, base_path: BasePath) -> Self {
        self.base_path = base_path;
        self
    }

    /// Judges the target of a guest's request: its origin as [`Origin::matches`] does, and its path and query by
    /// [`path`], where those of the configured base URL are exempt.
    ///
    /// # Errors
    ///
    /// The first reason found.
    pub fn judge(&self, target: &http::Uri) -> Result<(), Denial> {
        self.origin.is_origin_of(target)?;
        self.base_path.judge(target.path(), target.query())
    }

    /// Whether a connection that was made under another grant may carry the requests of this one: it leads to the same
    /// place, was judged by the same rules, and what comes over it is held to the same limits. Secrets and times belong to
    /// requests, not to connections.
    pub(crate) fn dials_like(&self, other: &Self) -> bool {
        let limits = |grant: &Self| {
            let limits = &grant.limits;
            (
                limits.response_header_bytes,
                limits.response_header_fields,
                limits.interim_responses,
                limits.addresses_per_name,
                limits.pool_idle_timeout,
                limits.pool_idle_connections,
            )
        };
        self.origin == other.origin
            && self.reach == other.reach
            && self.ca_pem == other.ca_pem
            && self.server_name == other.server_name
            && self.client_identity == other.client_identity
            && self.proxy == other.proxy
            && limits(self) == limits(other)
    }

    /// Lets the origin's name resolve to private and loopback addresses too: `request.allowPrivateNetwork`.
    ///
    /// `false` leaves the reach that follows from the host. Link-local and metadata addresses stay out of reach.
    #[must_use]
    pub fn with_private_network(mut self, allow: bool) -> Self {
        if allow {
            self.reach = Reach::Private;
        }
        self
    }

    /// Sets the secrets that are substituted on the way out.
    #[must_use]
    pub fn with_secrets(mut self, secrets: Secrets) -> Self {
        self.secrets = secrets;
        self
    }

    /// Adds header fields that the user configured, in addition to those that are known already.
    #[must_use]
    pub fn with_configured_headers(mut self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        for name in names {
            if !self.configured_headers.contains(&name) {
                self.configured_headers.push(name);
            }
        }
        self
    }

    /// Judges the names of the header fields that a guest's request has.
    ///
    /// Refused are names by which a gateway, a proxy or a framework is told another path, method, host, file or user
    /// (`x-original-url`, `x-http-method-override`, `x-forwarded-host`, `cookie`), names of standard fields that a
    /// provider does not need, and names of other characters than letters, digits and hyphens. Fields of
    /// [`Grant::configured_headers`] are exempt.
    ///
    /// # Errors
    ///
    /// [`Denial::Header`] for the first that is refused.
    pub fn judge_headers<'h>(
        &self,
        names: impl IntoIterator<Item = &'h HeaderName>,
    ) -> Result<(), Denial> {
        for name in names {
            if self.configured_headers.contains(name) {
                continue;
            }
            header::judge(name.as_str()).map_err(|why| Denial::Header {
                name: quote::quote(name.as_str()),
                why,
            })?;
        }
        Ok(())
    }

    /// Trusts the certificates of `pem` beside those of the system. They are read when the egress is built.
    #[must_use]
    pub fn with_ca_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.ca_pem = Some(pem.into());
        self
    }

    /// Sets the name that the origin's certificate has to be for, instead of the origin's host.
    #[must_use]
    pub fn with_server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// Presents a client certificate to the origin, if it asks for one. It is read when the egress
    /// is built.
    #[must_use]
    pub fn with_client_identity(mut self, identity: ClientIdentity) -> Self {
        self.client_identity = Some(identity);
        self
    }

    /// Reaches the origin through a proxy: an `https` origin by a tunnel (`CONNECT`), an `http`
    /// origin by requests with the whole URL in their first line.
    ///
    /// The proxy's own address is dialled whatever it is, because the user named it. The origin's
    /// name is resolved by the proxy, so that the addresses it leads to are not judged; an origin
    /// that is an address is judged as ever.
    #[must_use]
    pub fn with_proxy(mut self, proxy: Proxy) -> Self {
        self.proxy = Some(proxy);
        self
    }

    /// Replaces the limits.
    #[must_use]
    pub fn with_limits(mut self, limits: NetworkLimits) -> Self {
        self.limits = limits;
        self
    }
}
