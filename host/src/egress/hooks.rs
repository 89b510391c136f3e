//! What stands between one store's `wasi:http` and the transport.
//!
//! A request comes in as the guest made it. It is judged against the grant, its body is gathered, its secrets are put in,
//! and it goes to the transport with what time it has. The response comes back bounded. Nothing is retried here and
//! nothing is followed: a redirect is an answer like any other.

use super::body::{BoundedBody, Bounds};
use super::connections::Share;
use super::transport::{ResponseBody, SentAt, Timing};
use super::{Shared, Traffic, TransportError};
use crate::memory::{Charge, Held};
use crate::policy::limits::{EXCHANGE_BYTES, FOREVER, OUTGOING_PIECE_BYTES};
use crate::policy::search::Matcher;
use crate::policy::secret::REDACTED;
use crate::policy::{Denial, NetworkLimits};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use http_body_util::BodyExt;
use std::borrow::Cow;
use std::fmt;
use std::future::ready;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use tracing::Instrument as _;
use wasmtime_wasi_http::{
    DEFAULT_FORBIDDEN_HEADERS, Error as WasiError, RequestOptions, WasiBody, WasiHttpHooks,
};

/// Taken out of every request: how the message is framed, what its encoding may be and whether the server answers in
/// between is decided here, not by the guest. (Those in wasmtime's own list never get this far.)
const STRIPPED: [HeaderName; 5] = [
    header::CONTENT_LENGTH,
    header::ACCEPT_ENCODING,
    header::EXPECT,
    header::TE,
    header::TRAILER,
];

/// The HTTP side of one store. Made by [`Egress::hooks`](super::Egress::hooks).
pub struct Hooks {
    shared: Arc<Shared>,
    share: Share,
    under_way: Arc<UnderWay>,
    failures: Arc<Failures>,
    sent: Arc<AtomicBool>,
    traffic: Arc<Traffic>,
    held: Arc<Held>,
}

impl Hooks {
    pub(super) fn new(shared: Arc<Shared>, share: Share, held: Arc<Held>) -> Self {
        Self {
            shared,
            share,
            held,
            under_way: Arc::default(),
            failures: Arc::default(),
            sent: Arc::default(),
            traffic: Arc::default(),
        }
    }

    /// What has come for this store.
    pub(crate) fn traffic(&self) -> Arc<Traffic> {
        Arc::clone(&self.traffic)
    }

    /// Whether a request of this store may have reached the server.
    #[must_use]
    pub fn request_sent(&self) -> bool {
        self.sent.load(Ordering::Relaxed)
    }

    /// Takes the grant's secrets out of a text that goes to people.
    #[must_use]
    pub fn redact(&self, text: String) -> String {
        match self.shared.grant.secrets.redact(&text) {
            Cow::Borrowed(_) => text,
            Cow::Owned(redacted) => redacted,
        }
    }

    /// The last failure of any request of this store, with its cause in words. Later successes do not clear it.
    #[must_use]
    pub fn last_failure(&self) -> Option<TransportError> {
        self.failures.last()
    }

    /// The failure of a request for which this host had no room, unless another one was answered
    /// since.
    pub(crate) fn overload(&self) -> Option<TransportError> {
        self.last_failure()
            .filter(TransportError::is_overload)
            .filter(|_| !self.failures.answered_since())
    }

    /// How many requests are under way, their bodies included.
    #[must_use]
    pub fn requests_under_way(&self) -> usize {
        self.under_way.requests.load(Ordering::Relaxed)
    }

    /// Sends one request, as [`WasiHttpHooks::send_request`] does.
    fn exchange(
        &self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
    ) -> impl Future<Output = Result<http::Response<WasiBody>, WasiError>> + Send + use<> {
        let shared = Arc::clone(&self.shared);
        let failures = Arc::clone(&self.failures);
        let sent = Arc::clone(&self.sent);
        let traffic = Arc::clone(&self.traffic);
        let share = self.share.clone();
        let slot = Slot::take(
            &self.under_way,
            shared.grant.limits.concurrent_requests,
            &self.held,
            EXCHANGE_BYTES + head_bytes(&request),
        );
        // What is refused holds nothing until the task that says so has its turn.
        let accepted = slot.map(|slot| (request, slot));
        async move {
            let started = Instant::now();
            let (request, mut slot) = accepted.map_err(|error| failures.record(error))?;
            let uri = request.uri().clone();
            let path = uri.path();
            let options = options.unwrap_or_default();
            let outcome = exchange(&shared, share, request, options, started, &mut slot).await;
            if !matches!(&outcome, Err(error) if !error.request_sent()) {
                sent.store(true, Ordering::Relaxed);
            }
            match outcome {
                Ok((response, bounds)) => {
                    failures.note_answer();
                    let status = response.status().as_u16();
                    tracing::debug!(path, status, elapsed = ?started.elapsed(), "response");
                    Ok(response.map(|body| {
                        BoundedBody::new(body, bounds, slot, failures, traffic).boxed_unsync()
                    }))
                }
                Err(error) => {
                    tracing::debug!(path, %error, elapsed = ?started.elapsed(), "request failed");
                    Err(failures.record(error))
                }
            }
        }
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks")
            .field("origin", &self.shared.grant.origin)
            .field("requests_under_way", &self.requests_under_way())
            .finish_non_exhaustive()
    }
}

impl WasiHttpHooks for Hooks {
    fn is_forbidden_header(&mut self, name: &HeaderName) -> bool {
        // The default makes a closure on the heap for each name.
        DEFAULT_FORBIDDEN_HEADERS.contains(name)
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        OUTGOING_PIECE_BYTES
    }

    fn set_host_header(&mut self) -> bool {
        // The transport writes the granted origin's, whatever the guest's authority looks like.
        false
    }

    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        response_processed: Box<dyn Future<Output = Result<(), WasiError>> + Send>,
    ) -> Box<dyn Future<Output = Result<Answer, WasiError>> + Send> {
        drop(response_processed);
        // It runs in a task of its own, and is to be told of as part of what the guest does it for.
        let exchange = self.exchange(request, options).in_current_span();
        Box::new(async move {
            let nothing_left: Box<dyn Future<Output = _> + Send> = Box::new(ready(Ok(())));
            Ok((exchange.await?, nothing_left))
        })
    }
}

/// A response, and what is left to do for its request: nothing, the body carries its connection.
type Answer = (
    http::Response<WasiBody>,
    Box<dyn Future<Output = Result<(), WasiError>> + Send>,
);

async fn exchange(
    shared: &Shared,
    share: Share,
    request: http::Request<WasiBody>,
    options: RequestOptions,
    started: Instant,
    slot: &mut Slot,
) -> Result<(http::Response<ResponseBody>, Bounds), TransportError> {
    let limits = &shared.grant.limits;
    let timing = timing(limits, &options, started);
    let too_late = || TransportError::TotalTimeout {
        after: limits.total_timeout,
    };

    let (parts, body) = request.into_parts();
    judge(shared, &parts)?;
    let gathered = gather(&parts.method, body, limits.request_body_bytes, slot);
    let body = match timeout_at(timing.deadline, gathered).await {
        Ok(body) => body?,
        Err(_) => return Err(too_late()),
    };
    let mut headers = outgoing(parts.headers);
    let secrets = &shared.grant.secrets;
    secrets
        .put_in(&parts.uri, &mut headers, &body)
        .map_err(Denial::from)?;
    // After the secrets: that a placeholder is misplaced says more than that the field is refused.
    shared.grant.judge_headers(headers.keys())?;
    let mut request = http::Request::new(body);
    *request.method_mut() = parts.method;
    *request.uri_mut() = parts.uri;
    *request.headers_mut() = headers;
    request.extensions_mut().insert(share);

    let called = Instant::now();
    let response = shared.transport.send(request, timing).await;
    let mut response = response.map_err(|error| {
        // Each phase is also cut by the deadline, and then it was not the phase's own time that ran out. While there
        // is no connection, that is what people have to know, whichever of the two it was.
        if error.is_timeout() && error.request_sent() && Instant::now() >= timing.deadline {
            too_late()
        } else {
            error
        }
    })?;
    let matcher = Arc::clone(secrets.guest());
    scrub_head(&mut response, &matcher);
    admit(&response, limits)?;
    own_values(response.headers_mut());

    let SentAt(sent) = response.extensions_mut().remove().unwrap_or(SentAt(called));
    let bounds = Bounds {
        first_byte: timing.first_byte.saturating_sub(sent.elapsed()),
        first_byte_allowed: timing.first_byte,
        idle: shorter(options.between_bytes_timeout, limits.idle_timeout),
        deadline: timing.deadline,
        total_allowed: limits.total_timeout,
        bytes: limits.response_body_bytes,
        matcher,
    };
    Ok((response, bounds))
}

/// The guest may ask for less time than the limits give, not for more.
fn timing(limits: &NetworkLimits, options: &RequestOptions, started: Instant) -> Timing {
    Timing::new(
        shorter(options.connect_timeout, limits.connect_timeout),
        shorter(options.first_byte_timeout, limits.first_byte_timeout),
        started + limits.total_timeout.min(FOREVER),
    )
}

fn shorter(asked: Option<Duration>, limit: Duration) -> Duration {
    asked.map_or(limit, |asked| asked.min(limit)).min(FOREVER)
}

fn judge(shared: &Shared, request: &http::request::Parts) -> Result<(), TransportError> {
    shared.grant.judge(&request.uri)?;
    if request.method != Method::GET && request.method != Method::POST {
        return Err(Denial::Method(request.method.clone()).into());
    }
    let announced = request.headers.get_all(header::CONTENT_LENGTH);
    if !takes_body(&request.method) && announced.iter().any(|length| length != "0") {
        return Err(Denial::Body(request.method.clone()).into());
    }
    Ok(())
}

/// Whether HTTP gives a body of such a request a meaning (RFC 9110 §9.3). Servers differ in whether they read the body of
/// another one or take it for the next request.
fn takes_body(method: &Method) -> bool {
    method == Method::POST
}

/// Gathers a request's body. A body of one piece is not copied.
async fn gather(
    method: &Method,
    mut body: WasiBody,
    limit: u64,
    slot: &mut Slot,
) -> Result<Bytes, TransportError> {
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| TransportError::RequestBody(error.to_string()))?;
        if !takes_body(method) && frame.data_ref().is_none_or(|data| !data.is_empty()) {
            return Err(Denial::Body(method.clone()).into());
        }
        let Ok(data) = frame.into_data() else {
            return Err(TransportError::RequestBody(
                "trailers are not supported".to_owned(),
            ));
        };
        slot.weigh(data.len() as u64, limit)?;
        if first.is_empty() {
            first = data;
        } else {
            if rest.is_empty() {
                rest.extend_from_slice(&first);
            }
            rest.extend_from_slice(&data);
        }
    }
    Ok(if rest.is_empty() {
        first
    } else {
        rest.freeze()
    })
}

/// The header fields that go out: without what is decided here.
fn outgoing(mut headers: HeaderMap) -> HeaderMap {
    for name in &STRIPPED {
        headers.remove(name);
    }
    headers
}

/// Takes secrets out of a response's head, in the names and the values of its fields.
///
/// The length of a body that quotes a secret would tell how long the secret is, and would not be
/// that of what the guest reads. So a guest whose grant has secrets to be found is told none.
fn scrub_head(response: &mut http::Response<ResponseBody>, matcher: &Matcher) {
    if matcher.is_empty() {
        return;
    }
    response.headers_mut().remove(header::CONTENT_LENGTH);
    scrub_fields(response.headers_mut(), matcher);
}

/// Takes secrets out of the names and the values of header or trailer fields.
pub(super) fn scrub_fields(fields: &mut HeaderMap, matcher: &Matcher) {
    let shown = |name: &HeaderName| matches!(matcher.text(name.as_str()), Cow::Borrowed(_));
    if !fields.keys().all(shown) {
        let mut scrubbed = HeaderMap::with_capacity(fields.len());
        for (name, value) in fields.iter() {
            // `*` may stand in a name (RFC 9110 §5.6.2), so that a name stays one.
            let name = HeaderName::from_bytes(matcher.text(name.as_str()).as_bytes());
            if let Ok(name) = name {
                scrubbed.append(name, value.clone());
            }
        }
        *fields = scrubbed;
    }
    for value in fields.values_mut() {
        if let Cow::Owned(scrubbed) = matcher.bytes(value.as_bytes()) {
            // What is left of a valid value is valid.
            *value = HeaderValue::from_bytes(&scrubbed)
                .unwrap_or_else(|_| HeaderValue::from_static(REDACTED));
        }
    }
}

/// Gives each value memory of its own. As it comes, it keeps all of the connection's buffer that it was read into, for as
/// long as a guest keeps a field.
pub(super) fn own_values(fields: &mut HeaderMap) {
    for value in fields.values_mut() {
        if let Ok(owned) = HeaderValue::from_bytes(value.as_bytes()) {
            *value = owned;
        }
    }
}

/// Refuses a response by its head.
fn admit(
    response: &http::Response<ResponseBody>,
    limits: &NetworkLimits,
) -> Result<(), TransportError> {
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Err(TransportError::Protocol(
            "the server switched to another protocol".to_owned(),
        ));
    }
    for coding in response.headers().get_all(header::CONTENT_ENCODING) {
        if !coding.as_bytes().eq_ignore_ascii_case(b"identity") {
            return Err(coded(coding));
        }
    }
    // Of the codings of a transfer, hyper takes off `chunked` alone, and leaves what is below it in the body.
    for coding in response.headers().get_all(header::TRANSFER_ENCODING) {
        if !coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
            return Err(coded(coding));
        }
    }
    // A length that is announced need not be waited for.
    let announced = http_body::Body::size_hint(response.body()).lower();
    if announced > limits.response_body_bytes {
        return Err(TransportError::ResponseBodyTooLarge {
            limit: limits.response_body_bytes,
        });
    }
    Ok(())
}

fn coded(coding: &HeaderValue) -> TransportError {
    TransportError::ContentCoding(String::from_utf8_lossy(coding.as_bytes()).into_owned())
}

/// What the head of a request takes, in bytes: a guest may choose each part of it.
fn head_bytes<B>(request: &http::Request<B>) -> usize {
    let uri = request.uri();
    let authority = uri
        .authority()
        .map_or(0, |authority| authority.as_str().len());
    request.method().as_str().len()
        + authority
        + uri.path().len()
        + uri.query().map_or(0, str::len)
        + crate::memory::fields::bytes(request.headers())
}

/// The requests of one store that are under way.
#[derive(Default)]
pub(super) struct UnderWay {
    requests: AtomicUsize,
    /// Bytes of their bodies.
    bytes: AtomicU64,
}

/// One request under way. Dropping it makes room for another.
pub(super) struct Slot {
    under_way: Arc<UnderWay>,
    /// Bytes of its body.
    bytes: u64,
    /// What the host holds for it, the body included.
    charge: Charge,
    /// What all chats of the engine share, in bytes.
    shared: usize,
}

impl Slot {
    fn take(
        under_way: &Arc<UnderWay>,
        limit: usize,
        held: &Arc<Held>,
        bytes: usize,
    ) -> Result<Self, TransportError> {
        let before = under_way.requests.fetch_add(1, Ordering::Relaxed);
        // Made before the checks, so that a refused request gives its number back as well.
        let mut slot = Self {
            under_way: Arc::clone(under_way),
            bytes: 0,
            charge: Charge::none(Arc::clone(held)),
            shared: held.stock(),
        };
        if before >= limit {
            return Err(TransportError::TooManyRequests { limit });
        }
        slot.charge(bytes)?;
        Ok(slot)
    }

    fn charge(&mut self, bytes: usize) -> Result<(), TransportError> {
        if self.charge.grow(bytes) {
            return Ok(());
        }
        Err(TransportError::NoMemory {
            shared: self.shared,
        })
    }

    /// Adds a piece of the body; all bodies under way count together.
    fn weigh(&mut self, bytes: u64, limit: u64) -> Result<(), TransportError> {
        self.bytes = self.bytes.saturating_add(bytes);
        let before = self.under_way.bytes.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) > limit {
            return Err(TransportError::RequestBodyTooLarge { limit });
        }
        self.charge(usize::try_from(bytes).unwrap_or(usize::MAX))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.under_way.requests.fetch_sub(1, Ordering::Relaxed);
        self.under_way
            .bytes
            .fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// What failed last in one store.
#[derive(Default)]
pub(super) struct Failures {
    last: Mutex<Option<TransportError>>,
    answered_since: AtomicBool,
}

impl Failures {
    /// Keeps the failure for people, and gives back what the guest is told.
    pub(super) fn record(&self, error: TransportError) -> WasiError {
        let code = error.code();
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        self.answered_since.store(false, Ordering::Relaxed);
        code
    }

    /// A request was answered.
    fn note_answer(&self) {
        self.answered_since.store(true, Ordering::Relaxed);
    }

    /// Whether a request was answered since the last failure.
    fn answered_since(&self) -> bool {
        self.answered_since.load(Ordering::Relaxed)
    }

    fn last(&self) -> Option<TransportError> {
        self.last
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::SharedMemory;
    use crate::policy::limits::GUEST_MEMORY_RESERVE;

    #[test]
    fn the_bodies_of_all_requests_under_way_count_together() {
        let under_way = Arc::new(UnderWay::default());
        let held = Arc::new(Held::unbounded());
        let mut first = Slot::take(&under_way, 4, &held, 0).unwrap();
        let mut second = Slot::take(&under_way, 4, &held, 0).unwrap();
        first.weigh(60, 100).unwrap();
        second.weigh(40, 100).unwrap();
        let refused = second.weigh(1, 100).unwrap_err();
        assert_eq!(refused, TransportError::RequestBodyTooLarge { limit: 100 });
        drop(first);
        second.weigh(59, 100).unwrap();
        drop(second);
        assert_eq!(under_way.bytes.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_body_is_charged_as_it_comes_and_given_back_with_its_request() {
        let shared = Arc::new(SharedMemory::new(100));
        let held = Arc::new(Held::new(shared.clone()));
        let under_way = Arc::new(UnderWay::default());
        let reserve = GUEST_MEMORY_RESERVE as u64;
        let mut slot = Slot::take(&under_way, 4, &held, 10).unwrap();
        slot.weigh(reserve, u64::MAX).unwrap();
        slot.weigh(90, u64::MAX).unwrap();
        assert_eq!(shared.taken(), 100);
        let refused = Err(TransportError::NoMemory { shared: 100 });
        assert_eq!(slot.weigh(1, u64::MAX), refused);
        assert_eq!(Slot::take(&under_way, 4, &held, 1).err(), refused.err());
        assert_eq!(under_way.requests.load(Ordering::Relaxed), 1);
        drop(slot);
        assert_eq!(shared.taken(), 0);
    }
}
