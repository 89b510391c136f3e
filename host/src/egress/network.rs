//! The transport that is the network: HTTP/1.1 over TCP or TLS, with connections that are used again.
//!
//! It is built on hyper's connection and not on a general client, because one origin needs no more than a stack of
//! connections, and because a general client hides two things that matter here: how long the connecting took, and
//! whether a request that failed met a connection that had been used before.
//!
//! # When a request is sent twice
//!
//! vLLM closes a connection that was idle for five seconds. A request that is written at that very moment meets a closed
//! connection. RFC 9112 §9.3.1 and RFC 9110 §9.2.2 let a client repeat a request that a server closed a reused connection
//! on without answering, if it knows that it was not processed. So a request is repeated once, on a new connection, if and
//! only if it went out on a *reused* connection that was closed before a byte of an answer came. At worst a server that
//! died between reading and answering generates twice; vLLM aborts the first when its connection goes.
//!
//! # Behind a proxy
//!
//! An `https` origin is reached through a tunnel (`CONNECT`, see `dial`); from here on it is as a
//! connection of its own. A request to an `http` origin goes to the proxy with the whole URL in its
//! first line (RFC 9112 §3.2.2), because proxies refuse tunnels to other ports than 443 by default.
//! Either way a connection is for this one origin.
//!
//! # When a connection is used again
//!
//! A request that a server did not read to its end is followed, on the same connection, by the next one. A server that
//! answered without reading takes the rest of the first for a request of its own, and its answer for that of the next chat.
//! So a connection is used again if and only if
//!
//! - the request was written to its last byte before a byte of an answer came ([`Progress`]),
//! - it had no body, or its status is 2xx and no line of its body reads as a request (`reads_as_request`): an
//!   error is often answered before the body is read, and so is a success by a server that ignores bodies,
//! - the answer is HTTP/1.1, says in one way only where it ends, and was read to that end,
//! - nothing came behind it, and the server did not announce that it closes the connection.

use super::connections::{Share, SocketPlace};
use super::dial::{Dialer, Stream};
use super::link::Link;
use super::metered::{Metered, Progress, RequestBody, Useless};
use super::pool::Pool;
use super::proxy::ProxyFailure;
use super::resolver::{Resolver, SharedResolver, SystemResolver};
use super::transport::{Exchange, ResponseBody, SentAt, Timing, Transport};
use super::{TransportError, tls};
use crate::policy::{Grant, Origin};
use bytes::Bytes;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, StatusCode, Uri, header};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1::Builder;
use hyper_util::rt::TokioIo;
use std::error::Error as _;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker, ready};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// hyper's least buffer; a smaller one is refused by panic.
const MIN_BUFFER_BYTES: usize = 8192;

/// The most that is read from a connection before the guest has taken it.
const READ_BUFFER_BYTES: usize = 64 << 10;

/// How many full buffers may be read for nothing. hyper reads one ahead of the guest, and hands one over.
const USELESS_BUFFERS: usize = 4;

/// The network, as far as one grant lets it be seen.
pub struct NetworkTransport {
    dialer: Dialer,
    pool: Arc<Pool>,
    http: Builder,
    useless_limit: usize,
    host: HeaderValue,
    origin: Origin,
    /// The same as `host`, for a request line with the whole URL.
    authority: Authority,
    header_limit: usize,
    field_limit: usize,
    interim_limit: usize,
}

impl NetworkTransport {
    /// A transport to the origin of `grant`, whose name this machine resolves. Nothing is connected yet.
    ///
    /// # Errors
    ///
    /// [`TransportError::Configuration`]: the configured authority is no certificate, the client
    /// certificate or its key cannot be used, or the host cannot have a certificate.
    pub fn new(grant: &Grant) -> Result<Self, TransportError> {
        Self::with_shared(grant, Arc::new(SystemResolver))
    }

    /// The same with another resolver. Each address that it names is judged as this machine's own are.
    ///
    /// # Errors
    ///
    /// As [`NetworkTransport::new`].
    pub fn with_resolver(
        grant: &Grant,
        resolver: Arc<dyn Resolver>,
    ) -> Result<Self, TransportError> {
        Self::with_shared(grant, Arc::new(SharedResolver::new(resolver)))
    }

    /// The same with a resolver that makes one lookup for all who wait.
    fn with_shared(grant: &Grant, resolver: Arc<dyn Resolver>) -> Result<Self, TransportError> {
        let authority = grant.origin.authority();
        let unusable = |what: &str| {
            TransportError::Configuration(format!("{authority:?} cannot stand in {what}"))
        };
        let host = HeaderValue::from_str(&authority).map_err(|_| unusable("a Host field"))?;
        let uri_authority = Authority::try_from(authority.as_str());
        let uri_authority = uri_authority.map_err(|_| unusable("a request line"))?;
        let limits = &grant.limits;
        // Room for a header section of the limit, so that the limit is what refuses it.
        let buffer = READ_BUFFER_BYTES
            .max(limits.response_header_bytes.saturating_add(1))
            .max(MIN_BUFFER_BYTES);
        let mut http = Builder::new();
        http.max_header_size(limits.response_header_bytes)
            .max_headers(limits.response_header_fields)
            .max_buf_size(buffer);
        Ok(Self {
            dialer: Dialer::new(grant, resolver)?,
            pool: Arc::new(Pool::new(
                limits.pool_idle_connections,
                limits.pool_idle_timeout,
            )),
            http,
            useless_limit: buffer.saturating_mul(USELESS_BUFFERS),
            host,
            origin: grant.origin.clone(),
            authority: uri_authority,
            header_limit: limits.response_header_bytes,
            field_limit: limits.response_header_fields,
            interim_limit: limits.interim_responses,
        })
    }

    async fn exchange(
        &self,
        request: http::Request<Bytes>,
        timing: Timing,
    ) -> Result<http::Response<ResponseBody>, TransportError> {
        let mut request = self.on_the_wire(request);
        let share = request.extensions_mut().remove();
        let share = share.unwrap_or_else(Share::unknown);
        if let Some(link) = self.pool.take(&share)? {
            let progress = link.progress().clone();
            match self.send_on(link, request.clone(), &timing).await {
                Err(TransportError::Closed(why)) if !progress.answered() => {
                    tracing::debug!(
                        why,
                        "reused connection was closed, sending again on a new one"
                    );
                }
                outcome => return outcome,
            }
        }
        let link = self.connect(&timing, &share).await?;
        self.send_on(link, request, &timing).await
    }

    /// The request as HTTP/1.1 wants it: origin-form target, `Host`, a body of known length. To a
    /// proxy that forwards it, absolute-form target and the credentials for the proxy.
    fn on_the_wire(&self, request: http::Request<Bytes>) -> http::Request<Bytes> {
        let (mut parts, body) = request.into_parts();
        let target = parts.uri.into_parts().path_and_query;
        let target = target.unwrap_or_else(|| PathAndQuery::from_static("/"));
        parts.uri = match self.dialer.forwarding_proxy() {
            None => Uri::from(target),
            Some(proxy) => {
                if let Some(credentials) = proxy.authorization() {
                    let name = header::PROXY_AUTHORIZATION;
                    parts.headers.insert(name, credentials.clone());
                }
                self.absolute(target)
            }
        };
        parts.version = http::Version::HTTP_11;
        parts.headers.insert(header::HOST, self.host.clone());
        http::Request::from_parts(parts, body)
    }

    /// A target of the origin as a whole URL.
    fn absolute(&self, target: PathAndQuery) -> Uri {
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(Scheme::HTTP);
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(target.clone());
        // Of these three parts each is valid, and none is missing.
        Uri::from_parts(parts).unwrap_or_else(|_| Uri::from(target))
    }

    /// Opens a connection. Where the process has no descriptor left, idle connections are closed,
    /// and it is tried once more.
    async fn connect(&self, timing: &Timing, share: &Share) -> Result<Link, TransportError> {
        let started = Instant::now();
        let (by, allowed) = (timing.connected_by(), timing.connect);
        let frees = |error: &TransportError| {
            matches!(error, TransportError::OutOfResources { .. })
                && share.connections().close_all_idle()
        };
        let addresses = match self.dialer.addresses(by, allowed).await {
            Err(error) if frees(&error) => self.dialer.addresses(by, allowed).await,
            outcome => outcome,
        }?;
        let place = share.open()?;
        let stream = match self.dialer.connect(&addresses, by, allowed).await {
            Err(error) if frees(&error) => self.dialer.connect(&addresses, by, allowed).await,
            outcome => outcome,
        }?;
        let link = match stream {
            Stream::Plain(tcp) => self.handshake(tcp, place).await,
            Stream::Tls(tls) => self.handshake(tls, place).await,
        };
        let link = link.map_err(|error| self.head_failure(&error))?;
        tracing::debug!(elapsed = ?started.elapsed(), "connected");
        Ok(link)
    }

    async fn handshake<T>(&self, io: T, place: SocketPlace) -> Result<Link, hyper::Error>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (useless, progress) = (Useless::default(), Progress::default());
        let io = Metered::new(io, useless.clone(), progress.clone(), self.useless_limit);
        let (http, connection) = self.http.handshake(TokioIo::new(io)).await?;
        Ok(Link::new(http, connection, useless, progress, place))
    }

    async fn send_on(
        &self,
        mut link: Link,
        mut request: http::Request<Bytes>,
        timing: &Timing,
    ) -> Result<http::Response<ResponseBody>, TransportError> {
        let flood = self.bound_interim(&mut request);
        let useless = link.useless().clone();
        useless.forget();
        let progress = link.progress().clone();
        progress.begin(!request.body().is_empty());
        let body_is_safe = !reads_as_request(request.body());
        let has_body = !request.body().is_empty();
        let request = request.map(|body| RequestBody::new(body, progress.clone()));
        let sent = Instant::now();
        let answer = tokio::select! {
            // First, so that a flood is called one whatever it ran into meanwhile.
            biased;
            () = flood.notified() => return Err(self.interim_flood()),
            answer = timeout_at(timing.answered_by(sent), link.send(request)) => answer,
        };
        if !matches!(answer, Ok(Some(Ok(_)))) && has_come(&flood) {
            return Err(self.interim_flood());
        }
        let mut response = match answer {
            Err(_) => {
                return Err(TransportError::FirstByteTimeout {
                    after: timing.first_byte,
                });
            }
            Ok(Some(Err(error))) => return Err(self.answer_failure(&error)),
            Ok(None) => {
                let closed = TransportError::Closed("connection closed".to_owned());
                return Err(self.dialer.explain(closed));
            }
            Ok(Some(Ok(response))) => response,
        };
        useless.forget();
        self.dialer.answered();
        if let Some(proxy) = self.dialer.forwarding_proxy()
            && let Some(failure) = ProxyFailure::of_answer(proxy, &self.origin, &response)
        {
            return Err(failure.into());
        }
        response.extensions_mut().insert(SentAt(sent));
        let read = !has_body || (response.status().is_success() && body_is_safe);
        let reusable = read && progress.written_before_answer() && may_be_reused(&response);
        Ok(response.map(|incoming| {
            ResponseBody::network(NetworkBody {
                incoming: Some(incoming),
                link: Some(link),
                pool: reusable.then(|| Arc::clone(&self.pool)),
            })
        }))
    }

    /// Counts the interim answers to a request; says when there are too many. hyper passes over any number of them.
    fn bound_interim<T>(&self, request: &mut http::Request<T>) -> Arc<Notify> {
        let (flood, seen) = (Arc::new(Notify::new()), AtomicUsize::new(0));
        let (limit, notify) = (self.interim_limit, Arc::clone(&flood));
        hyper::ext::on_informational(request, move |_| {
            if seen.fetch_add(1, Ordering::Relaxed) >= limit {
                notify.notify_one();
            }
        });
        flood
    }

    fn interim_flood(&self) -> TransportError {
        let limit = self.interim_limit;
        let why = format!("more than {limit} interim answers (1xx) before the answer itself");
        TransportError::Protocol(why)
    }

    /// Sorts what hyper says before the head of a response is there.
    fn answer_failure(&self, error: &hyper::Error) -> TransportError {
        match self.head_failure(error) {
            // The handshake was over and the request had left: what came for an answer is no TLS. An alert may be the
            // end of a handshake still, as the server sees it (RFC 8446 §4.4.2.4).
            TransportError::Tls { detail, .. } => {
                TransportError::Protocol(format!("the TLS connection broke: {detail}"))
            }
            other => other,
        }
    }

    fn head_failure(&self, error: &hyper::Error) -> TransportError {
        self.dialer.explain(self.sorted(error))
    }

    fn sorted(&self, error: &hyper::Error) -> TransportError {
        if error.is_parse_too_large() {
            return TransportError::HeadersTooLarge {
                limit: self.header_limit,
                fields: self.field_limit,
            };
        }
        if let Some(io) = io_cause(error) {
            if tls::rustls_cause(io).is_some() {
                return tls::failure(self.origin.host_text(), io);
            }
            return match io.kind() {
                io::ErrorKind::InvalidData => TransportError::Protocol(io.to_string()),
                _ => TransportError::Closed(io.to_string()),
            };
        }
        if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
            return TransportError::Closed(error.to_string());
        }
        TransportError::Protocol(in_full(error))
    }
}

/// Whether a notification is there, without waiting for it.
fn has_come(notify: &Notify) -> bool {
    let mut quiet = Context::from_waker(Waker::noop());
    pin!(notify.notified()).poll(&mut quiet).is_ready()
}

impl Transport for NetworkTransport {
    fn send(&self, request: http::Request<Bytes>, timing: Timing) -> Exchange<'_> {
        Box::pin(self.exchange(request, timing))
    }
}

/// Whether an answer leaves its connection fit for another request, as far as its head says. hyper knows of the fields
/// `connection` and `keep-alive`.
fn may_be_reused<T>(response: &http::Response<T>) -> bool {
    let (status, headers) = (response.status(), response.headers());
    // A server whose engine died answers 500 for as long as it is asked on a connection that it has, and ends only when
    // that is closed: vLLM 0.32 after a SIGTERM. A new connection is refused, which is the truth.
    let internal = status == StatusCode::INTERNAL_SERVER_ERROR;
    // The server gave up waiting for the request (RFC 9110 §15.5.9).
    let timed_out = status == StatusCode::REQUEST_TIMEOUT;
    // Two ways to say where an answer ends may be read as two answers by a proxy in between (RFC 9112 §6.3).
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    let (length, more) = (lengths.next(), lengths.next());
    let coded = headers.contains_key(header::TRANSFER_ENCODING);
    let two_ends = more.is_some() || (coded && length.is_some());
    // These have no body whatever their fields say (RFC 9112 §6.3), and a server that says otherwise may send one.
    let without_body = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let contradiction = without_body && (coded || length.is_some_and(|length| length != "0"));
    let old = response.version() != http::Version::HTTP_11;
    !(internal || timed_out || two_ends || contradiction || old)
}

/// Whether a part of a request's body could be taken for a request, by a server that did not read the body. JSON in one
/// line can't: it begins with a brace or a bracket, which no method holds (RFC 9110 §5.6.2), and has no line break that
/// would end it. Some servers read other characters as a method, so nothing else passes.
fn reads_as_request(body: &[u8]) -> bool {
    let begins = matches!(body.first(), None | Some(b'{' | b'['));
    !begins || body.iter().any(|byte| matches!(byte, b'\n' | b'\r'))
}

/// The body of a response, and the connection that it comes on.
pub(super) struct NetworkBody {
    /// `None` once it has ended.
    incoming: Option<Incoming>,
    /// `None` once the connection was given back.
    link: Option<Link>,
    /// Where it goes then; `None`: it is closed.
    pool: Option<Arc<Pool>>,
}

impl NetworkBody {
    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let (Some(incoming), Some(link)) = (&mut self.incoming, &mut self.link) else {
            return Poll::Ready(None);
        };
        let frame = ready!(link.poll_for(cx, |cx| Pin::new(&mut *incoming).poll_frame(cx)));
        match frame.flatten() {
            Some(Ok(frame)) => {
                link.useless().forget();
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(error)) => {
                self.close();
                Poll::Ready(Some(Err(error)))
            }
            None => {
                self.end();
                Poll::Ready(None)
            }
        }
    }

    /// The whole body was read: the connection can carry another request.
    fn end(&mut self) {
        // First, so that hyper sees that nobody reads any more.
        self.incoming = None;
        if let (Some(link), Some(pool)) = (self.link.take(), &self.pool) {
            pool.put(link);
        }
    }

    fn close(&mut self) {
        self.incoming = None;
        self.link = None;
    }
}

impl Body for NetworkBody {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        self.poll_next(cx).map_err(|error| body_failure(&error))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.incoming.as_ref().map(Body::size_hint);
        rest.unwrap_or_else(|| SizeHint::with_exact(0))
    }
}

impl Drop for NetworkBody {
    fn drop(&mut self) {
        // A reader may have had enough before it saw the end, which may be there.
        let mut quiet = Context::from_waker(Waker::noop());
        if self.incoming.is_some() && !matches!(self.poll_next(&mut quiet), Poll::Ready(None)) {
            self.close();
        }
    }
}

/// Sorts what hyper says in the middle of a body.
fn body_failure(error: &hyper::Error) -> TransportError {
    if let Some(io) = io_cause(error) {
        return match io.kind() {
            // hyper's word for chunks that make no sense.
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
                TransportError::Protocol(io.to_string())
            }
            _ => TransportError::Incomplete(io.to_string()),
        };
    }
    if error.is_parse() {
        TransportError::Protocol(in_full(error))
    } else {
        TransportError::Incomplete(in_full(error))
    }
}

fn io_cause(error: &hyper::Error) -> Option<&io::Error> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref() {
            return Some(io);
        }
        cause = error.source();
    }
    None
}

/// An error with its causes.
fn in_full(error: &hyper::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
