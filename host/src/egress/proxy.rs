//! An HTTP proxy: a tunnel through it, and what it answers instead of the server.
//!
//! The proxy is told the origin's host and port and the credentials for itself. Inside of a tunnel
//! there is TLS with the origin, so that the proxy sees neither requests nor the key.

use super::TransportError;
use crate::policy::limits::PROXY_ANSWER_BYTES;
use crate::policy::quote::quote;
use crate::policy::{Origin, Proxy};
use http::{HeaderMap, StatusCode, header};
use std::fmt;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use wasmtime_wasi_http::Error as WasiError;
use zeroize::Zeroizing;

/// How a proxy kept a request from its server. No part of it holds the credentials for the proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProxyFailure {
    /// The proxy's host and port.
    pub proxy: String,
    /// The server's host and port.
    pub target: String,
    /// What happened.
    pub fault: ProxyFault,
    /// The status of the proxy's answer, if there was one.
    pub status: Option<u16>,
    /// The words of the system or of the proxy. They are quoted where they are shown.
    pub detail: String,
    /// The time allowed, where it ran out.
    pub after: Option<Duration>,
}

/// What happened at a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyFault {
    /// There is no connection to the proxy.
    Unreachable,
    /// The proxy did not accept a connection in time.
    ConnectTimeout,
    /// The proxy did not answer in time.
    Silent,
    /// The proxy closed the connection before it had answered.
    Closed,
    /// What the proxy answered is not HTTP, or more than it may be.
    Protocol,
    /// The proxy wants a user name and a password, and there are none (407).
    CredentialsMissing,
    /// The proxy does not accept the user name and password (407).
    CredentialsRefused,
    /// The proxy does not allow the request (403).
    Forbidden,
    /// The proxy answered with another status.
    Status,
}

impl ProxyFailure {
    fn new(proxy: &Proxy, origin: &Origin, fault: ProxyFault) -> Self {
        Self {
            proxy: proxy.address(),
            target: target(origin),
            fault,
            status: None,
            detail: String::new(),
            after: None,
        }
    }

    fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    fn after(mut self, after: Duration) -> Self {
        self.after = Some(after);
        self
    }

    /// The proxy's name has no address.
    pub(super) fn without_address(proxy: &Proxy, origin: &Origin) -> Self {
        Self::new(proxy, origin, ProxyFault::Unreachable).detail("its name has no address")
    }

    /// A refusal by its status. For 407 the detail is what the proxy offers for authentication, for
    /// other statuses the reason phrase.
    fn of_status(proxy: &Proxy, origin: &Origin, status: u16, detail: &str) -> Self {
        let fault = match status {
            407 if proxy.has_credentials() => ProxyFault::CredentialsRefused,
            407 => ProxyFault::CredentialsMissing,
            403 => ProxyFault::Forbidden,
            _ => ProxyFault::Status,
        };
        let mut failure = Self::new(proxy, origin, fault).detail(detail);
        failure.status = Some(status);
        failure
    }

    /// What a forwarding proxy answered in the place of the server, as far as that can be told:
    /// 407, which no server sends, and errors that say that they are the proxy's own.
    pub(super) fn of_answer<T>(
        proxy: &Proxy,
        origin: &Origin,
        response: &http::Response<T>,
    ) -> Option<Self> {
        let (status, headers) = (response.status(), response.headers());
        if status == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
            let offered = offered(headers);
            return Some(Self::of_status(proxy, origin, 407, &offered));
        }
        if status.is_success() || !is_of_the_proxy(headers) {
            return None;
        }
        let reason = status.canonical_reason().unwrap_or_default();
        Some(Self::of_status(proxy, origin, status.as_u16(), reason))
    }

    /// Whether time ran out.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(self.fault, ProxyFault::ConnectTimeout | ProxyFault::Silent)
    }

    /// Whether the same request may get through later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self.fault {
            ProxyFault::Unreachable
            | ProxyFault::ConnectTimeout
            | ProxyFault::Silent
            | ProxyFault::Closed => true,
            ProxyFault::Status => self
                .status
                .is_some_and(|status| status >= 500 || status == 429),
            _ => false,
        }
    }

    /// What the guest is told.
    pub(super) fn code(&self) -> WasiError {
        match self.fault {
            ProxyFault::Unreachable | ProxyFault::Closed => WasiError::DestinationUnavailable,
            ProxyFault::ConnectTimeout | ProxyFault::Silent => WasiError::ConnectionTimeout,
            ProxyFault::Protocol => WasiError::HttpProtocolError,
            _ => WasiError::HttpRequestDenied,
        }
    }

    /// Status and reason, as they came.
    fn answered(&self) -> String {
        let status = self.status.unwrap_or_default();
        match self.detail.is_empty() {
            true => status.to_string(),
            false => format!("{status} {}", quote(&self.detail)),
        }
    }

    /// For a 407: which kinds of authentication the proxy offers, if Basic is not among them.
    fn only_offers(&self) -> Option<String> {
        let offered = self.detail.as_str();
        let basic = offered
            .split(", ")
            .any(|scheme| scheme.eq_ignore_ascii_case("basic"));
        (!offered.is_empty() && !basic).then(|| quote(offered))
    }
}

impl fmt::Display for ProxyFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { proxy, target, .. } = self;
        let after = self.after.unwrap_or_default();
        match self.fault {
            ProxyFault::Unreachable => write!(
                f,
                "the proxy {proxy} can't be reached ({}); check host and port in `request.proxy`, \
                 and that the proxy runs",
                quote(&self.detail)
            ),
            ProxyFault::ConnectTimeout => write!(
                f,
                "the proxy {proxy} did not accept a connection within {after:?}; check host and \
                 port in `request.proxy`, and the network"
            ),
            ProxyFault::Silent => write!(
                f,
                "the proxy {proxy} did not answer within {after:?} when it was asked for a \
                 connection to {target}; it may not reach that server, or not be an HTTP proxy: \
                 check `request.proxy`, and the proxy's log"
            ),
            ProxyFault::Closed => write!(
                f,
                "the proxy {proxy} closed the connection without an answer when it was asked for \
                 a connection to {target}; check `request.proxy`, and the proxy's log"
            ),
            ProxyFault::Protocol => write!(
                f,
                "what answers at {proxy} is not a usable HTTP proxy ({}); check host and port in \
                 `request.proxy`",
                quote(&self.detail)
            ),
            ProxyFault::CredentialsMissing | ProxyFault::CredentialsRefused
                if self.only_offers().is_some() =>
            {
                write!(
                    f,
                    "the proxy {proxy} wants authentication by {} (407), and only Basic is \
                     supported: use a proxy that takes a user name and a password, or none",
                    self.only_offers().unwrap_or_default()
                )
            }
            ProxyFault::CredentialsMissing => write!(
                f,
                "the proxy {proxy} wants a user name and a password (407), and `request.proxy` \
                 has none: write its URL as http://USER:PASSWORD@HOST:PORT"
            ),
            ProxyFault::CredentialsRefused => write!(
                f,
                "the proxy {proxy} does not accept the user name and password of `request.proxy` \
                 (407); characters such as @, :, / and % have to be percent-encoded there (@ is \
                 %40)"
            ),
            ProxyFault::Forbidden => write!(
                f,
                "the proxy {proxy} does not allow a connection to {target} ({}); have its rules \
                 allow that host and port, or leave `request.proxy` out if the server can be \
                 reached without it",
                self.answered()
            ),
            ProxyFault::Status if self.status.is_some_and(|status| status >= 500) => write!(
                f,
                "the proxy {proxy} did not get through to {target} ({}); check that the server \
                 runs, and that the proxy can reach the host and port in `baseUrl`",
                self.answered()
            ),
            ProxyFault::Status => write!(
                f,
                "the proxy {proxy} did not open a connection to {target} ({}); check that \
                 `request.proxy` names an HTTP proxy, and its rules",
                self.answered()
            ),
        }
    }
}

impl std::error::Error for ProxyFailure {}

impl From<ProxyFailure> for TransportError {
    fn from(failure: ProxyFailure) -> Self {
        Self::Proxy(Box::new(failure))
    }
}

/// What a failure to look up or to dial means, where it is the proxy that was looked up or dialled.
pub(super) fn unreachable(proxy: &Proxy, origin: &Origin, error: TransportError) -> TransportError {
    let failure = |fault| ProxyFailure::new(proxy, origin, fault);
    let unreachable = |detail: String| failure(ProxyFault::Unreachable).detail(detail).into();
    match error {
        TransportError::Dns { detail, .. } => {
            unreachable(format!("its name could not be resolved: {detail}"))
        }
        TransportError::DnsTimeout { after, .. } => {
            unreachable(format!("its name was not resolved within {after:?}"))
        }
        TransportError::Refused { address } => {
            unreachable(format!("{address} refused the connection"))
        }
        TransportError::Unreachable { address, detail } => {
            unreachable(format!("{address}: {detail}"))
        }
        TransportError::ConnectTimeout { after, .. } => {
            failure(ProxyFault::ConnectTimeout).after(after).into()
        }
        other => other,
    }
}

/// Has the proxy connect to the origin (RFC 9110 §9.3.6).
pub(super) async fn open_tunnel(
    tcp: &mut TcpStream,
    proxy: &Proxy,
    origin: &Origin,
    deadline: Instant,
    allowed: Duration,
) -> Result<(), TransportError> {
    let failure = |fault| ProxyFailure::new(proxy, origin, fault);
    let exchange = async {
        let request = connect_request(proxy, origin);
        // A proxy that refuses may close before it has read: what it said is read all the same.
        let written = tcp.write_all(&request).await;
        match (read_head(tcp).await, written) {
            (Ok(head), _) => Ok(head),
            (Err(ProxyFault::Closed), Err(error)) => {
                Err(failure(ProxyFault::Closed).detail(error.to_string()))
            }
            (Err(ProxyFault::Closed), Ok(())) => Err(failure(ProxyFault::Closed)),
            (Err(fault), _) => {
                let limit = PROXY_ANSWER_BYTES >> 10;
                Err(failure(fault).detail(format!("the head of its answer is over {limit} KiB")))
            }
        }
    };
    let head = match timeout_at(deadline, exchange).await {
        Err(_) => return Err(failure(ProxyFault::Silent).after(allowed).into()),
        Ok(head) => head?,
    };
    let protocol = |why: String| failure(ProxyFault::Protocol).detail(why);
    let answer = Head::parse(&head.text).map_err(|why| protocol(why.to_owned()))?;
    match answer.status {
        200..=299 if head.more => {
            // The server says nothing before the client does.
            Err(protocol("it sent data behind its answer to CONNECT".to_owned()).into())
        }
        200..=299 => Ok(()),
        407 => Err(ProxyFailure::of_status(proxy, origin, 407, &answer.offered).into()),
        status => Err(ProxyFailure::of_status(proxy, origin, status, &answer.reason).into()),
    }
}

fn connect_request(proxy: &Proxy, origin: &Origin) -> Zeroizing<Vec<u8>> {
    let target = target(origin);
    let mut request = Zeroizing::new(Vec::with_capacity(256));
    request
        .extend_from_slice(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n").as_bytes());
    if let Some(credentials) = proxy.authorization() {
        request.extend_from_slice(b"Proxy-Authorization: ");
        request.extend_from_slice(credentials.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    request
}

/// Host and port, the latter always (RFC 9112 §3.2.3).
fn target(origin: &Origin) -> String {
    format!("{}:{}", origin.host_text(), origin.port())
}

/// The head of an answer.
struct RawHead {
    text: Vec<u8>,
    /// Bytes came behind it.
    more: bool,
}

/// Reads the head of the final answer: interim answers (1xx) are passed over.
async fn read_head(tcp: &mut TcpStream) -> Result<RawHead, ProxyFault> {
    let mut bytes = Vec::with_capacity(1024);
    let mut begin = 0;
    loop {
        while let Some(length) = memchr::memmem::find(&bytes[begin..], b"\r\n\r\n") {
            let end = begin + length + 4;
            let interim = Head::parse(&bytes[begin..end]).is_ok_and(|head| head.status < 200);
            if !interim {
                return Ok(RawHead {
                    more: bytes.len() > end,
                    text: bytes[begin..end].to_vec(),
                });
            }
            begin = end;
        }
        if bytes.len() > PROXY_ANSWER_BYTES {
            return Err(ProxyFault::Protocol);
        }
        let mut piece = [0; 1024];
        match tcp.read(&mut piece).await {
            Ok(0) | Err(_) if bytes.is_empty() => return Err(ProxyFault::Closed),
            // What is no HTTP often ends with the connection, and is named for what it is.
            Ok(0) | Err(_) if Head::parse(&bytes[begin..]).is_err() => {
                return Ok(RawHead {
                    text: bytes.split_off(begin),
                    more: false,
                });
            }
            Ok(0) | Err(_) => return Err(ProxyFault::Closed),
            Ok(read) => bytes.extend_from_slice(&piece[..read]),
        }
        // A greeting of another protocol, whose server now waits.
        let known = bytes.len().min(b"HTTP/".len());
        if begin == 0 && !b"HTTP/".starts_with(&bytes[..known]) {
            return Ok(RawHead {
                text: bytes,
                more: false,
            });
        }
    }
}

/// Status, reason and what is offered for authentication.
struct Head {
    status: u16,
    reason: String,
    offered: String,
}

impl Head {
    fn parse(head: &[u8]) -> Result<Self, &'static str> {
        let text = String::from_utf8_lossy(head);
        let mut lines = text.split("\r\n");
        let line = lines.next().unwrap_or_default();
        let mut parts = line.splitn(3, ' ');
        match parts.next() {
            Some("HTTP/1.1" | "HTTP/1.0") => {}
            _ => return Err("its answer is not HTTP/1.1"),
        }
        let status = parts.next().unwrap_or_default();
        let is_status = status.len() == 3 && status.bytes().all(|byte| byte.is_ascii_digit());
        let status = is_status.then(|| status.parse().ok()).flatten();
        let status = status.ok_or("its answer has no status")?;
        let fields = lines.filter_map(|line| line.split_once(':'));
        let name = header::PROXY_AUTHENTICATE;
        let offered = fields
            .filter(|(field, _)| field.trim().eq_ignore_ascii_case(name.as_str()))
            .filter_map(|(_, value)| scheme(value));
        Ok(Self {
            status,
            reason: parts.next().unwrap_or_default().trim().to_owned(),
            offered: joined(offered),
        })
    }
}

/// The kinds of authentication that a 407 offers.
fn offered(headers: &HeaderMap) -> String {
    let values = headers.get_all(header::PROXY_AUTHENTICATE);
    joined(
        values
            .iter()
            .filter_map(|value| scheme(value.to_str().ok()?)),
    )
}

/// The kind of authentication that a challenge begins with.
fn scheme(challenge: &str) -> Option<&str> {
    challenge.split_whitespace().next()
}

fn joined<'a>(schemes: impl Iterator<Item = &'a str>) -> String {
    schemes.collect::<Vec<_>>().join(", ")
}

/// Whether an error says that a proxy made it: by RFC 9209, or by Squid's own header.
fn is_of_the_proxy(headers: &HeaderMap) -> bool {
    let said = |value: &http::HeaderValue| {
        let text = value.to_str().unwrap_or_default();
        text.split(';')
            .any(|part| part.trim().starts_with("error="))
    };
    headers.contains_key("x-squid-error") || headers.get_all("proxy-status").iter().any(said)
}
