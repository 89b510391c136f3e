//! Everything that can go wrong between a plugin's request and the last byte of its answer.
//!
//! A [`TransportError`] keeps the cause in words for the people who have to mend it. The guest is told less: the WASI error
//! code that [`TransportError::code`] gives, by the table in [`crate::egress`].

use crate::policy::{Denial, Prohibited};
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
    /// The request's body is larger than allowed. Nothing was sent.
    #[error(
        "the request is larger than {limit} bytes; send fewer or smaller images, or raise the limit"
    )]
    RequestBodyTooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The guest did not finish the request's body. Nothing was sent.
    #[error("the plugin did not finish the request's body: {0}")]
    RequestBody(String),
    /// What was configured for the connection cannot be used. Nothing was sent.
    #[error("{0}")]
    Configuration(String),
    /// The host's name was not resolved.
    #[error("the name {host} could not be resolved ({detail}); check the host in `baseUrl`")]
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
    #[error("{address} refused the connection; is the server running, and is the port right?")]
    Refused {
        /// The address that was dialled last.
        address: SocketAddr,
    },
    /// There is no way to the address.
    #[error("{address} cannot be reached: {detail}")]
    Unreachable {
        /// The address that was dialled last.
        address: SocketAddr,
        /// The operating system's words.
        detail: String,
    },
    /// TCP and TLS were not done in time.
    #[error("{host} did not accept a connection within {after:?}")]
    ConnectTimeout {
        /// The host and port.
        host: String,
        /// The time allowed.
        after: Duration,
    },
    /// The server's certificate is not trusted, or is for another name.
    #[error(
        "the certificate of {host} is not accepted ({detail}); if it is signed by your own authority, give that \
         authority's certificate in `request.tls.ca`"
    )]
    Certificate {
        /// The name or address that the certificate had to be for.
        host: String,
        /// The verifier's words.
        detail: String,
    },
    /// The server ended the TLS handshake with an alert.
    #[error("{host} ended the TLS handshake with the alert {alert}")]
    TlsAlert {
        /// The host.
        host: String,
        /// The alert's number (RFC 8446 §6).
        id: u8,
        /// The alert's name.
        alert: String,
    },
    /// The server does not speak TLS, or not a version that is safe.
    #[error(
        "no TLS connection to {host} ({detail}); if the server speaks plain HTTP, use http:// in `baseUrl`"
    )]
    Tls {
        /// The host.
        host: String,
        /// The TLS library's words.
        detail: String,
    },
    /// The server took the request and then sent no byte of a body in time.
    #[error(
        "no answer from the server within {after:?}; it may be overloaded or still loading the model"
    )]
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
    #[error("the server closed the connection without an answer ({0})")]
    Closed(String),
    /// The server closed the connection in the middle of its answer.
    #[error("the server's answer broke off ({0})")]
    Incomplete(String),
    /// What came back is not HTTP/1.1.
    #[error(
        "the server's answer is not valid HTTP ({0}); if the server speaks TLS, use https:// in `baseUrl`"
    )]
    Protocol(String),
    /// The response's header section is larger than allowed.
    #[error("the header section of the server's answer is larger than {limit} bytes")]
    HeadersTooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The response's body is larger than allowed.
    #[error("the server's answer is larger than {limit} bytes")]
    ResponseBodyTooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The response is compressed, which was not asked for.
    #[error(
        "the server's answer is compressed ({0}) although that was not asked for; switch it off in the proxy"
    )]
    ContentCoding(String),
}

impl TransportError {
    /// What the error knows beyond its code, for a message that already says what the code says: the name, the
    /// address, the time, the library's words.
    #[must_use]
    pub fn detail(&self) -> Option<String> {
        Some(match self {
            Self::Denied(denial) => denial.to_string(),
            Self::Prohibited(prohibited) => prohibited.to_string(),
            Self::Dns { host, detail } => format!("{host}: {detail}"),
            Self::DnsTimeout { after, .. }
            | Self::ConnectTimeout { after, .. }
            | Self::FirstByteTimeout { after }
            | Self::IdleTimeout { after }
            | Self::TotalTimeout { after } => format!("after {after:?}"),
            Self::Unreachable { detail, .. }
            | Self::Certificate { detail, .. }
            | Self::Tls { detail, .. }
            | Self::Configuration(detail)
            | Self::Closed(detail)
            | Self::Incomplete(detail)
            | Self::Protocol(detail) => detail.clone(),
            Self::TlsAlert { alert, .. } => alert.clone(),
            _ => return None,
        })
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
        )
    }

    /// Whether time ran out.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(
            self,
            Self::DnsTimeout { .. }
                | Self::ConnectTimeout { .. }
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
            Self::Denied(_) => WasiError::HttpRequestDenied,
            Self::TooManyRequests { .. } => WasiError::ConnectionLimitReached,
            Self::RequestBodyTooLarge { limit } => WasiError::HttpRequestBodySize(Some(*limit)),
            Self::RequestBody(_) => WasiError::InternalError(Some(self.to_string())),
            Self::Configuration(_) => WasiError::ConfigurationError,
            Self::Dns { detail, .. } => WasiError::DnsError {
                rcode: Some(detail.clone()),
                info_code: None,
            },
            Self::DnsTimeout { .. } => WasiError::DnsTimeout,
            Self::Prohibited(_) => WasiError::DestinationIpProhibited,
            Self::Refused { .. } => WasiError::ConnectionRefused,
            Self::Unreachable { .. } => WasiError::DestinationUnavailable,
            Self::ConnectTimeout { .. } => WasiError::ConnectionTimeout,
            Self::Certificate { .. } => WasiError::TlsCertificateError,
            Self::TlsAlert { id, alert, .. } => WasiError::TlsAlertReceived {
                alert_id: Some(*id),
                alert_message: Some(alert.clone()),
            },
            Self::Tls { .. } => WasiError::TlsProtocolError,
            Self::FirstByteTimeout { .. } | Self::TotalTimeout { .. } => {
                WasiError::HttpResponseTimeout
            }
            Self::IdleTimeout { .. } => WasiError::ConnectionReadTimeout,
            Self::Closed(_) => WasiError::ConnectionTerminated,
            Self::Incomplete(_) => WasiError::HttpResponseIncomplete,
            Self::Protocol(_) => WasiError::HttpProtocolError,
            Self::HeadersTooLarge { limit } => {
                WasiError::HttpResponseHeaderSectionSize(u32::try_from(*limit).ok())
            }
            Self::ResponseBodyTooLarge { limit } => WasiError::HttpResponseBodySize(Some(*limit)),
            Self::ContentCoding(coding) => {
                WasiError::HttpResponseContentCoding(Some(coding.clone()))
            }
        }
    }
}
