//! Everything that can go wrong between a plugin's request and the last byte of its answer.
//!
//! A [`TransportError`] keeps the cause in words for the people who have to mend it. The guest is told less: the WASI error
//! code that [`TransportError::code`] gives, by the table in [`crate::egress`].
//!
//! Words that a server, a resolver or a library chose are kept as they are, and quoted wherever they are shown: within a
//! bound, and without what a terminal would act on.

use super::proxy::ProxyFailure;
use crate::policy::quote::quote;
use crate::policy::{Denial, Prohibited};
use crate::shortage;
use std::net::SocketAddr;
use std::time::Duration;
use wasmtime_wasi_http::Error as WasiError;

/// A failed request, with its cause in words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The request is outside the grant. Nothing was sent.
    #[error("the plugin's request is not granted: {0}")]
    Denied(#[from] Denial),
    /// The store has as many requests under way as it may have. Nothing was sent.
    #[error("the plugin has {limit} requests under way already, which is its limit")]
    TooManyRequests {
        /// The limit.
        limit: usize,
    },
    /// This host has as many connections open as it may have. Nothing was sent.
    #[error("this host has {limit} connections to model servers open, as many as it may have")]
    ConnectionsUsedUp {
        /// The limit.
        limit: usize,
    },
    /// The store has a connection, and what all stores may have beyond one each is in use. Nothing
    /// was sent.
    #[error(
        "this chat has a connection already, and the {limit} that this host's chats may have beyond \
         one each are in use"
    )]
    FurtherConnectionsUsedUp {
        /// The limit.
        limit: usize,
    },
    /// This host looks up as many names as it may at once, and none of them came to an end. Nothing
    /// was sent.
    #[error(
        "the name {host} was not looked up: the {limit} lookups that this host may have under way \
         got no answer yet"
    )]
    LookupsUsedUp {
        /// The name.
        host: String,
        /// The limit.
        limit: usize,
    },
    /// The process or the machine has no descriptor, memory or local port left. Nothing was sent.
    #[error("this host can't open {what}: {}", quote(.detail))]
    OutOfResources {
        /// What was to be opened.
        what: String,
        /// The operating system's words.
        detail: String,
    },
    /// The request's body is larger than allowed. Nothing was sent.
    #[error("the request is larger than {limit} bytes, the limit of this host")]
    RequestBodyTooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// All chats of the engine together hold as much memory as they may. Nothing was sent.
    #[error(
        "the request needs more memory than this host's chats have left of what they share ({} MiB)",
        .shared >> 20
    )]
    NoMemory {
        /// What the chats of the engine share, in bytes.
        shared: usize,
    },
    /// The guest did not finish the request's body. Nothing was sent.
    #[error("the plugin did not finish the request's body: {}", quote(.0))]
    RequestBody(String),
    /// What was configured for the connection cannot be used. Nothing was sent.
    #[error("{0}")]
    Configuration(String),
    /// The host's name was not resolved.
    #[error("the name {host} could not be resolved ({})", quote(.detail))]
    Dns {
        /// The name.
        host: String,
        /// The resolver's words.
        detail: String,
    },
    /// The resolver did not answer in time.
    #[error("the name {host} was not resolved within {after:?}")]
    DnsTimeout {
        /// The name.
        host: String,
        /// The time allowed.
        after: Duration,
    },
    /// Every address of the name is out of the grant's reach.
    #[error("connection not allowed: {0}")]
    Prohibited(Prohibited),
    /// Nothing listens on the port.
    #[error("{address} refused the connection")]
    Refused {
        /// The address that was dialled last.
        address: SocketAddr,
    },
    /// There is no way to the address.
    #[error("{address} cannot be reached: {}", quote(.detail))]
    Unreachable {
        /// The address that was dialled last.
        address: SocketAddr,
        /// The operating system's words.
        detail: String,
    },
    /// There was no TCP connection in time.
    #[error("{host} did not accept a connection within {after:?}")]
    ConnectTimeout {
        /// The host and port.
        host: String,
        /// The time allowed.
        after: Duration,
    },
    /// The TCP connection stood, and TLS was not agreed on in time.
    #[error(
        "{host} accepted the connection, but did not answer the TLS handshake within {after:?}"
    )]
    TlsTimeout {
        /// The host and port.
        host: String,
        /// The time allowed for TCP and TLS together.
        after: Duration,
    },
    /// The server's certificate is not trusted, or is for another name.
    #[error("the certificate of {host} is not accepted ({})", quote(.detail))]
    Certificate {
        /// The name or address that the certificate had to be for.
        host: String,
        /// The verifier's words.
        detail: String,
    },
    /// The server ended the TLS handshake with an alert.
    #[error("{host} ended the TLS handshake with the alert {}", quote(.alert))]
    TlsAlert {
        /// The host.
        host: String,
        /// The alert's number (RFC 8446 §6).
        id: u8,
        /// The alert's name.
        alert: String,
    },
    /// The server asked for a client certificate and then ended the connection before it answered a
    /// request: it got no certificate, or one that it does not accept.
    #[error("{host} asked for a client certificate and {}{}",
        if *presented { "did not accept the one of `request.tls.cert`" } else { "got none" },
        alert.as_deref().map(|alert| format!(" (alert {})", quote(alert))).unwrap_or_default())]
    ClientCertificate {
        /// The name or address that the server's own certificate had to be for.
        host: String,
        /// Whether there was one to present.
        presented: bool,
        /// The name of the alert that the server sent; `None`: it closed the connection.
        alert: Option<String>,
        /// The alert's number.
        id: Option<u8>,
    },
    /// The proxy could not be reached, or did not let the request through. The server did not see
    /// it.
    #[error(transparent)]
    Proxy(Box<ProxyFailure>),
    /// The server does not speak TLS, or not a version that is safe.
    #[error("no TLS connection to {host} ({})", quote(.detail))]
    Tls {
        /// The host.
        host: String,
        /// The TLS library's words.
        detail: String,
    },
    /// The server took the request and then sent no byte of a body in time.
    #[error("no answer from the server within {after:?}")]
    FirstByteTimeout {
        /// The time allowed.
        after: Duration,
    },
    /// The server began to answer and then went silent.
    #[error("the server sent nothing for {after:?} in the middle of its answer")]
    IdleTimeout {
        /// The time allowed.
        after: Duration,
    },
    /// The request took longer than any may take.
    #[error("the answer was not complete within {after:?}, the limit for a whole request")]
    TotalTimeout {
        /// The time allowed.
        after: Duration,
    },
    /// The server closed the connection before it answered.
    #[error("the server closed the connection without an answer ({})", quote(.0))]
    Closed(String),
    /// The server closed the connection in the middle of its answer.
    #[error("the server's answer broke off ({})", quote(.0))]
    Incomplete(String),
    /// What came back is not HTTP/1.1.
    #[error("the server's answer is not valid HTTP ({})", quote(.0))]
    Protocol(String),
    /// The response's header section, or its trailer section, is larger than allowed.
    #[error(
        "the header section of the server's answer is larger than {limit} bytes or has more than {fields} fields"
    )]
    HeadersTooLarge {
        /// The limit in bytes.
        limit: usize,
        /// The limit in fields.
        fields: usize,
    },
    /// The response's body is larger than allowed.
    #[error("the server's answer is larger than {limit} bytes")]
    ResponseBodyTooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The response is compressed, which was not asked for.
    #[error("the server's answer is compressed ({}) although that was not asked for", quote(.0))]
    ContentCoding(String),
    /// A replay has no exchange for the request ([`Replay`](super::recording::Replay)). Nothing was sent.
    #[error("the recording has no answer to {0}")]
    NotRecorded(String),
}

impl TransportError {
    /// What the user can do about it, as a sentence without a full stop; none where the cause itself says it.
    ///
    /// The error's own text says what happened. The two are apart because who shows them has different places for
    /// them: a message and a hint, a line of a check, a field of a log.
    #[must_use]
    pub fn advice(&self) -> Option<&'static str> {
        Some(match self {
            Self::ConnectionsUsedUp { .. } | Self::FurtherConnectionsUsedUp { .. } => {
                "try again when a chat has ended, or raise the limit on open files (ulimit -n) or \
                 EngineOptions::max_connections"
            }
            Self::LookupsUsedUp { .. } => {
                "try again later, and look for providers whose names the name server of this \
                 machine does not answer"
            }
            Self::OutOfResources { .. } => shortage::REMEDY,
            Self::RequestBodyTooLarge { .. } => "send fewer or smaller images",
            Self::NoMemory { .. } => {
                "try again when a chat has ended, or raise EngineOptions::shared_guest_memory"
            }
            Self::Dns { .. } => {
                "check the host in `baseUrl`, and that this machine can look up names"
            }
            Self::DnsTimeout { .. } => "check the network and the name server of this machine",
            Self::Refused { .. } => {
                "nothing listens there: start the server, or correct the host and port in `baseUrl`"
            }
            Self::Unreachable { .. } => "check the host in `baseUrl`, and the network",
            Self::ConnectTimeout { .. } => {
                "check the host and port in `baseUrl`; a firewall that drops packets looks like this"
            }
            Self::TlsTimeout { .. } => {
                "if the server speaks plain HTTP, write http:// in `baseUrl`; else it may be overloaded"
            }
            Self::Certificate { .. } => {
                "if your own authority signed it, name that authority's certificate in `request.tls.ca`; else check \
                 that `baseUrl` has the name that the certificate is for"
            }
            Self::TlsAlert { .. } => {
                "the server wants another TLS version or a certificate of yours, or is another server; check \
                 `baseUrl`"
            }
            Self::ClientCertificate {
                presented: false, ..
            } => {
                "set `request.tls.cert` and `request.tls.key` to a certificate that the server \
                 accepts"
            }
            Self::ClientCertificate { .. } => {
                "the certificate in `request.tls.cert` has to be in date and signed by an \
                 authority that the server trusts; where others stand between the two, they have \
                 to follow it in the same file"
            }
            Self::Tls { .. } => {
                "if the server speaks plain HTTP, as vLLM does by default, write http:// in `baseUrl`"
            }
            Self::FirstByteTimeout { .. }
            | Self::IdleTimeout { .. }
            | Self::TotalTimeout { .. } => {
                "look at the server's log for the reason; `timeoutSeconds` sets how long it is waited for"
            }
            Self::Closed(_) => {
                "look at the log of the server, and of a proxy before it, for the reason; if there is nothing, \
                 something else listens on that port"
            }
            Self::Incomplete(_) => {
                "look at the log of the server, and of a proxy before it, for the reason"
            }
            Self::Protocol(_) => {
                "something else listens there, or the server speaks TLS: check the port in `baseUrl`, and write \
                 https:// if it does"
            }
            Self::HeadersTooLarge { .. } => {
                "a proxy or login page before the server adds large headers, most often cookies: reach the server \
                 without it, or make them smaller"
            }
            Self::ResponseBodyTooLarge { .. } => "check that `baseUrl` is that of a vLLM server",
            Self::ContentCoding(_) => {
                "a proxy before the server compresses without being asked: switch compression off there for this path"
            }
            Self::NotRecorded(_) => {
                "replay what was recorded, with the same settings, or record it again"
            }
            Self::Denied(_)
            | Self::TooManyRequests { .. }
            | Self::RequestBody(_)
            | Self::Configuration(_)
            | Self::Proxy(_)
            | Self::Prohibited(_) => return None,
        })
    }

    /// What the error knows beyond its code, for a message that already says what the code says: the name, the
    /// address, the time, the library's words.
    #[must_use]
    pub fn detail(&self) -> Option<String> {
        Some(match self {
            Self::Denied(denial) => denial.to_string(),
            Self::Prohibited(prohibited) => prohibited.to_string(),
            Self::Dns { host, detail } => format!("{host}: {}", quote(detail)),
            Self::DnsTimeout { after, .. }
            | Self::ConnectTimeout { after, .. }
            | Self::FirstByteTimeout { after }
            | Self::IdleTimeout { after }
            | Self::TotalTimeout { after } => format!("given up after {after:?}"),
            Self::TlsTimeout { .. } => {
                "the connection stood; the TLS handshake was not answered".to_owned()
            }
            Self::HeadersTooLarge { limit, fields } => {
                format!("more than {} KiB or {fields} fields", limit >> 10)
            }
            Self::Unreachable { detail, .. }
            | Self::Certificate { detail, .. }
            | Self::Tls { detail, .. }
            | Self::Closed(detail)
            | Self::Incomplete(detail)
            | Self::Protocol(detail)
            | Self::ContentCoding(detail)
            | Self::TlsAlert { alert: detail, .. } => quote(detail),
            Self::Configuration(detail) => detail.clone(),
            Self::ClientCertificate { .. } => self.to_string(),
            Self::Proxy(failure) => failure.to_string(),
            Self::TooManyRequests { limit } => format!("{limit} are under way already"),
            Self::ResponseBodyTooLarge { limit } => format!("more than {limit} bytes"),
            _ => return None,
        })
    }

    /// Whether this host had no room for the request, which says nothing about the server.
    #[must_use]
    pub fn is_overload(&self) -> bool {
        matches!(
            self,
            Self::ConnectionsUsedUp { .. }
                | Self::FurtherConnectionsUsedUp { .. }
                | Self::LookupsUsedUp { .. }
                | Self::OutOfResources { .. }
                | Self::NoMemory { .. }
        )
    }

    /// Whether the server may have seen the request.
    ///
    /// A request that was sent again because a pooled connection turned out to be closed counts as its second sending.
    #[must_use]
    pub fn request_sent(&self) -> bool {
        matches!(
            self,
            Self::FirstByteTimeout { .. }
                | Self::IdleTimeout { .. }
                | Self::TotalTimeout { .. }
                | Self::Closed(_)
                | Self::Incomplete(_)
                | Self::Protocol(_)
                | Self::HeadersTooLarge { .. }
                | Self::ResponseBodyTooLarge { .. }
                | Self::ContentCoding(_)
                // Without an alert the connection was closed, perhaps on the request.
                | Self::ClientCertificate { alert: None, .. }
        )
    }

    /// Whether time ran out.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        if let Self::Proxy(failure) = self {
            return failure.is_timeout();
        }
        matches!(
            self,
            Self::DnsTimeout { .. }
                | Self::ConnectTimeout { .. }
                | Self::TlsTimeout { .. }
                | Self::FirstByteTimeout { .. }
                | Self::IdleTimeout { .. }
                | Self::TotalTimeout { .. }
        )
    }

    /// Whether policy refused it, so that trying again is no use until the configuration changes.
    #[must_use]
    pub fn is_policy(&self) -> bool {
        matches!(self, Self::Denied(_) | Self::Prohibited(_))
    }

    /// The WASI error that the guest is told, by the table in [`crate::egress`].
    #[must_use]
    pub fn code(&self) -> WasiError {
        match self {
            Self::Denied(_) | Self::NotRecorded(_) => WasiError::HttpRequestDenied,
            Self::TooManyRequests { .. }
            | Self::ConnectionsUsedUp { .. }
            | Self::FurtherConnectionsUsedUp { .. }
            | Self::LookupsUsedUp { .. }
            | Self::OutOfResources { .. } => WasiError::ConnectionLimitReached,
            Self::RequestBodyTooLarge { limit } => WasiError::HttpRequestBodySize(Some(*limit)),
            Self::RequestBody(_) | Self::NoMemory { .. } => {
                WasiError::InternalError(Some(self.to_string()))
            }
            Self::Configuration(_) => WasiError::ConfigurationError,
            Self::Dns { detail, .. } => WasiError::DnsError {
                rcode: Some(quote(detail)),
                info_code: None,
            },
            Self::DnsTimeout { .. } => WasiError::DnsTimeout,
            Self::Prohibited(_) => WasiError::DestinationIpProhibited,
            Self::Refused { .. } => WasiError::ConnectionRefused,
            Self::Unreachable { .. } => WasiError::DestinationUnavailable,
            Self::ConnectTimeout { .. } | Self::TlsTimeout { .. } => WasiError::ConnectionTimeout,
            Self::Certificate { .. } => WasiError::TlsCertificateError,
            Self::TlsAlert { id, alert, .. } => WasiError::TlsAlertReceived {
                alert_id: Some(*id),
                alert_message: Some(quote(alert)),
            },
            Self::ClientCertificate { alert, id, .. } => WasiError::TlsAlertReceived {
                alert_id: *id,
                alert_message: alert.as_deref().map(quote),
            },
            Self::Proxy(failure) => failure.code(),
            Self::Tls { .. } => WasiError::TlsProtocolError,
            Self::FirstByteTimeout { .. } | Self::TotalTimeout { .. } => {
                WasiError::HttpResponseTimeout
            }
            Self::IdleTimeout { .. } => WasiError::ConnectionReadTimeout,
            Self::Closed(_) => WasiError::ConnectionTerminated,
            Self::Incomplete(_) => WasiError::HttpResponseIncomplete,
            Self::Protocol(_) => WasiError::HttpProtocolError,
            Self::HeadersTooLarge { limit, .. } => {
                WasiError::HttpResponseHeaderSectionSize(u32::try_from(*limit).ok())
            }
            Self::ResponseBodyTooLarge { limit } => WasiError::HttpResponseBodySize(Some(*limit)),
            Self::ContentCoding(coding) => {
                WasiError::HttpResponseContentCoding(Some(quote(coding)))
            }
        }
    }
}
