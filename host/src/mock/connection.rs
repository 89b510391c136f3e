//! Connections: hyper for what is healthy, the bare socket for what is not.
//!
//! Every request is read by hyper, whatever will become of it. A healthy one is
//! answered by the router through hyper. For a fault that breaks HTTP, or a
//! recording, hyper is dropped in the middle of the request and the socket
//! itself is written to; if the answer ends cleanly, a new hyper goes on with
//! the same socket. So faults can change from request to request on one
//! connection.

use super::Shared;
use super::fault::{Fault, FaultKind};
use super::head;
use super::journal::{Connected, Recorded};
use super::misbehave::{self, Next};
use super::refusal::Refusal;
use super::replay::Case;
use super::{CHAT_PATH, lock, routes};
use axum::Router;
use axum::body::{Body, HttpBody};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::{Frame, Incoming};
use hyper::service::Service;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Most bytes of a request body; more than any prompt that fits a context.
const LARGEST_BODY: usize = 64 << 20;

/// Accepts until it is aborted; its connections end with it.
pub(crate) async fn accept(shared: Arc<Shared>) {
    let router = routes::router(Arc::clone(&shared));
    let mut connections = JoinSet::new();
    loop {
        let accepted = poll_fn(|cx| match lock(&shared.listener).as_ref() {
            Some(listener) => listener.poll_accept(cx),
            None => Poll::Pending,
        });
        tokio::select! {
            accepted = accepted => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve(Arc::clone(&shared), router.clone(), stream));
                }
                Err(error) => {
                    // Out of descriptors, most likely; others must finish first.
                    tracing::warn!(%error, "the mock could not accept a connection");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            },
            () = shared.listening.notified() => {}
            Some(_) = connections.join_next() => {}
        }
    }
}

/// What takes the place of a healthy answer.
pub(crate) enum Takeover {
    /// The healthy answer, spoiled by a fault.
    Fault(Fault, Response<Body>),
    /// A recorded answer and the lengths of its writes.
    Case(Case, Vec<usize>),
}

async fn serve(shared: Arc<Shared>, router: Router, stream: TcpStream) {
    let connected = shared.journal.connect();
    // Events must leave when they are written, as uvicorn's do.
    let _ = stream.set_nodelay(true);
    let stream = Arc::new(stream);
    let mut reset = std::pin::pin!(shared.reset.notified());
    reset.as_mut().enable();
    loop {
        let (sender, takeover) = oneshot::channel();
        let line = Arc::new(Line {
            taken: Arc::new(AtomicBool::new(false)),
            takeover: Mutex::new(Some(sender)),
            rest: Arc::default(),
        });
        let socket = Socket {
            stream: Arc::clone(&stream),
            taken: Arc::clone(&line.taken),
        };
        let handler = {
            let (shared, line) = (Arc::clone(&shared), Arc::clone(&line));
            let service = TowerToHyperService::new(router.clone());
            hyper::service::service_fn(move |request| {
                handle(
                    Arc::clone(&shared),
                    Arc::clone(&line),
                    service.clone(),
                    request,
                )
            })
        };
        let next = {
            let http = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(socket), handler);
            tokio::select! {
                _ = http => return,
                () = line.rest.expired(shared.options.keep_alive) => return,
                () = &mut reset => Next::Reset,
                taken = takeover => match taken {
                    Ok(taken) => Next::Play(taken),
                    Err(_) => return,
                },
            }
        };
        let next = match next {
            Next::Play(taken) => tokio::select! {
                next = misbehave::play(&shared, &stream, taken) => next,
                () = &mut reset => Next::Reset,
            },
            other => other,
        };
        match next {
            Next::Again => {}
            Next::Reset => {
                let _ = stream.set_zero_linger();
                break;
            }
            Next::Close | Next::Play(_) => break,
        }
    }
    // The socket closes with the last handle on it, before the count goes down.
    drop(stream);
    drop::<Connected>(connected);
}

/// One request: healthy through the router, or handed over.
async fn handle(
    shared: Arc<Shared>,
    line: Arc<Line>,
    router: TowerToHyperService<Router>,
    request: Request<Incoming>,
) -> io::Result<Response<Resting>> {
    let busy = line.rest.begin();
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, LARGEST_BODY)
        .collect()
        .await
        .map_err(io::Error::other)?
        .to_bytes();
    let path = parts
        .uri
        .path_and_query()
        .map_or("/", |p| p.as_str())
        .to_owned();
    shared.journal.record(Recorded {
        method: parts.method.clone(),
        path: path.clone(),
        headers: parts.headers.clone(),
        body: body.clone(),
    });
    let method = parts.method.as_str().to_owned();
    let wants_close = parts
        .headers
        .get(header::CONNECTION)
        .is_some_and(|v| v.as_bytes().eq_ignore_ascii_case(b"close"));
    let case_name = parts
        .headers
        .get("x-mock-case")
        .and_then(|v| v.to_str().ok())
        .map(str::to_owned);
    let fault = shared.fault(&method, &path);
    let recorded = shared.cases.as_ref().map(|cases| {
        let asked: Option<serde_json::Value> = serde_json::from_slice(&body).ok();
        let model = asked
            .as_ref()
            .and_then(|b| b.get("model"))
            .and_then(|m| m.as_str());
        let name = case_name.as_deref().or(model);
        let mut cases = lock(cases);
        match cases.find(&method, &path, name) {
            Some(case) => {
                let cuts = cases.cuts(case.raw.len());
                Ok(Takeover::Case(case, cuts))
            }
            None if path == CHAT_PATH => {
                Err(Refusal::no_model(name.unwrap_or_default(), &cases.names()))
            }
            None => Err(Refusal::no_route()),
        }
    });
    let refused = || routes::guard(&shared, &parts.method, parts.uri.path(), &parts.headers);
    let mut response = match (fault.and_then(plain).or_else(refused), recorded) {
        (Some(response), _) => response,
        (None, Some(Ok(case))) => return line.hand_over(case).await,
        (None, Some(Err(problem))) if path == CHAT_PATH => head::refusal(problem),
        (None, _) => {
            let request = Request::from_parts(parts, Body::from(body));
            match router.call(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            }
        }
    };
    if let Some(fault) = fault.filter(|f| plain(*f).is_none() && response.status().is_success()) {
        return line.hand_over(Takeover::Fault(fault, response)).await;
    }
    if wants_close {
        response
            .headers_mut()
            .insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response.map(|body| Resting { body, _busy: busy }))
}

/// The answer of a fault that is plain HTTP and needs no request.
fn plain(fault: Fault) -> Option<Response<Body>> {
    const PAGE: &str = "<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body><h1>Sign in to the network</h1></body></html>\n";
    Some(match fault.kind {
        FaultKind::RateLimited => head::refusal(Refusal::rate_limited(fault.number)),
        FaultKind::Overloaded => head::refusal(Refusal::busy()),
        FaultKind::Unauthorized => head::refusal(Refusal::unauthorized()),
        FaultKind::NotFound => head::refusal(Refusal::no_model("mock-model", &["another-model"])),
        FaultKind::ServerError => head::refusal(Refusal::engine_died()),
        FaultKind::EmptyBody => head::empty(200),
        FaultKind::Html => {
            let mut page = head::json(200, PAGE);
            page.headers_mut().insert(
                header::CONTENT_TYPE,
                HeaderValue::from_static("text/html; charset=utf-8"),
            );
            page
        }
        _ => return None,
    })
}

/// One hyper connection's tie to the task that owns the socket.
struct Line {
    taken: Arc<AtomicBool>,
    takeover: Mutex<Option<oneshot::Sender<Takeover>>>,
    rest: Arc<Rest>,
}

impl Line {
    /// Gives the socket away. hyper reads no more from here on, and is dropped.
    async fn hand_over<T>(&self, takeover: Takeover) -> T {
        self.taken.store(true, Ordering::SeqCst);
        if let Some(sender) = lock(&self.takeover).take() {
            // The receiver is the task that polls this future: it is there.
            let _ = sender.send(takeover);
        }
        std::future::pending().await
    }
}

/// When a connection began to be idle.
#[derive(Debug, Default)]
struct Rest {
    since: Mutex<Option<Instant>>,
    changed: Notify,
}

impl Rest {
    fn begin(self: &Arc<Self>) -> Busy {
        *lock(&self.since) = None;
        Busy(Arc::clone(self))
    }

    /// Returns when the connection was idle for `limit` after an answer. One
    /// that has asked nothing yet is not idle, as with uvicorn.
    async fn expired(&self, limit: Duration) {
        loop {
            let since = *lock(&self.since);
            match since {
                None => self.changed.notified().await,
                Some(since) if since.elapsed() >= limit => return,
                Some(since) => tokio::time::sleep_until(since + limit).await,
            }
        }
    }
}

/// A request being answered; idleness begins when it is dropped.
#[derive(Debug)]
struct Busy(Arc<Rest>);

impl Drop for Busy {
    fn drop(&mut self) {
        *lock(&self.0.since) = Some(Instant::now());
        self.0.changed.notify_one();
    }
}

/// A body which keeps its connection busy until it is sent.
struct Resting {
    body: Body,
    _busy: Busy,
}

impl HttpBody for Resting {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        self.body.size_hint()
    }
}

/// hyper's end of the socket; deaf once the socket was given away.
struct Socket {
    stream: Arc<TcpStream>,
    taken: Arc<AtomicBool>,
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.taken.load(Ordering::SeqCst) {
            return Poll::Pending;
        }
        loop {
            ready!(self.stream.poll_read_ready(cx))?;
            match self.stream.try_read(buf.initialize_unfilled()) {
                Ok(n) => {
                    buf.advance(n);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.stream.poll_write_ready(cx))?;
            match self.stream.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// The socket closes when its last handle is dropped, right after this.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
