//! A network that is a script: a [`Transport`] in memory.
//!
//! It keeps what a real transport keeps: a status that is none, a header that HTTP does not allow and a head that is too
//! large are refused below the seam, so that nothing gets above it that could not have come over a socket.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};
use http_body::{Body, Frame};
use serde::{Deserialize, Serialize};

use super::exchange::Kind;
use super::reply::{Answer, Ending, Latin1, Reply, Step};
use crate::egress::{self, ResponseBody, Timing, Transport, TransportError};
use crate::policy::limits::{RESPONSE_HEADER_BYTES, RESPONSE_HEADER_FIELDS};

/// What comes back, by what was asked for. Each list is gone through in order; its last reply is given again and again, and
/// where a list is empty the answer is 404 without a body.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Script {
    /// For listings of models.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<Reply>,
    /// For chats.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chat: Vec<Reply>,
    /// For counts of a prompt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tokenize: Vec<Reply>,
    /// For the rest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other: Vec<Reply>,
}

impl Script {
    /// 404 for everything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a reply to listings of models.
    #[must_use]
    pub fn with_models(mut self, reply: Reply) -> Self {
        self.models.push(reply);
        self
    }

    /// Adds a reply to chats.
    #[must_use]
    pub fn with_chat(mut self, reply: Reply) -> Self {
        self.chat.push(reply);
        self
    }

    /// Adds a reply to counts of a prompt.
    #[must_use]
    pub fn with_tokenize(mut self, reply: Reply) -> Self {
        self.tokenize.push(reply);
        self
    }

    /// Adds a reply to the rest.
    #[must_use]
    pub fn with_other(mut self, reply: Reply) -> Self {
        self.other.push(reply);
        self
    }

    /// The replies to one kind of request.
    #[must_use]
    pub fn replies(&self, kind: Kind) -> &[Reply] {
        match kind {
            Kind::Models => &self.models,
            Kind::Chat => &self.chat,
            Kind::Tokenize => &self.tokenize,
            Kind::Other => &self.other,
        }
    }

    /// The same, to be changed.
    pub fn replies_mut(&mut self, kind: Kind) -> &mut Vec<Reply> {
        match kind {
            Kind::Models => &mut self.models,
            Kind::Chat => &mut self.chat,
            Kind::Tokenize => &mut self.tokenize,
            Kind::Other => &mut self.other,
        }
    }
}

/// A request as a server would have got it, its secrets in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// GET or POST.
    pub method: String,
    /// The absolute URI.
    pub uri: String,
    /// Header fields, without those that belong to the transport (`host`, the framing).
    pub headers: Vec<(String, Bytes)>,
    /// The body.
    pub body: Bytes,
}

/// The network of an [`super::Runner`]. Clones are one wire.
#[derive(Clone, Debug)]
pub struct Wire {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    script: Script,
    seen: Mutex<Vec<Seen>>,
    under_way: AtomicUsize,
}

impl Wire {
    /// A wire over which this comes back.
    #[must_use]
    pub fn new(script: Script) -> Self {
        Self {
            inner: Arc::new(Inner {
                script,
                seen: Mutex::default(),
                under_way: AtomicUsize::new(0),
            }),
        }
    }

    /// The requests that were sent, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<Seen> {
        self.seen().clone()
    }

    /// How many exchanges are under way, their bodies included.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.inner.under_way.load(Ordering::Relaxed)
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Vec<Seen>> {
        let seen = self.inner.seen.lock();
        seen.unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the request down; what comes back for it.
    fn take(&self, request: http::Request<Bytes>) -> Option<Reply> {
        let (parts, body) = request.into_parts();
        let method = parts.method.to_string();
        let kind = Kind::of(&method, parts.uri.path());
        let headers = parts.headers.iter();
        let request = Seen {
            uri: parts.uri.to_string(),
            headers: headers
                .map(|(name, value)| {
                    let value = Bytes::copy_from_slice(value.as_bytes());
                    (name.as_str().to_owned(), value)
                })
                .collect(),
            method,
            body,
        };
        let mut seen = self.seen();
        let before = seen.iter().filter(|one| one.kind() == kind).count();
        seen.push(request);
        let replies = self.inner.script.replies(kind);
        replies.get(before).or(replies.last()).cloned()
    }
}

impl Seen {
    /// What it is for.
    #[must_use]
    pub fn kind(&self) -> Kind {
        let uri = self.uri.parse::<http::Uri>().unwrap_or_default();
        Kind::of(&self.method, uri.path())
    }
}

impl Transport for Wire {
    fn send(&self, request: http::Request<Bytes>, _: Timing) -> egress::Exchange<'_> {
        let under_way = UnderWay::begin(&self.inner);
        let reply = self.take(request);
        Box::pin(async move {
            let reply = reply.unwrap_or_else(|| Reply::new(404, "text/plain", Bytes::new()));
            match reply {
                Reply::NoAnswer(why) => Err(why.error()),
                Reply::Answer(answer) => {
                    let (head, body) = split(answer)?;
                    let body = ScriptedBody {
                        steps: body.0.into_iter(),
                        end: Some(body.1),
                        received: false,
                        _under_way: under_way,
                    };
                    Ok(head.map(|()| ResponseBody::stream(body)))
                }
            }
        })
    }
}

type Head = http::Response<()>;

/// Head and body, if a real transport would let them through.
fn split(answer: Answer) -> Result<(Head, (Vec<Step>, Ending)), TransportError> {
    let broken = |what: &str| TransportError::Protocol(format!("invalid HTTP {what} parsed"));
    let size: usize = answer
        .headers
        .iter()
        .map(|(name, value)| name.len() + value.0.len() + 4)
        .sum();
    if size > RESPONSE_HEADER_BYTES || answer.headers.len() > RESPONSE_HEADER_FIELDS {
        return Err(TransportError::HeadersTooLarge {
            limit: RESPONSE_HEADER_BYTES,
            fields: RESPONSE_HEADER_FIELDS,
        });
    }
    let mut head = http::Response::new(());
    *head.status_mut() = StatusCode::from_u16(answer.status)
        .ok()
        .filter(|status| !status.is_informational() || *status == StatusCode::SWITCHING_PROTOCOLS)
        .ok_or_else(|| broken("status-code"))?;
    for (name, Latin1(value)) in &answer.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| broken("header"))?;
        let value = HeaderValue::from_maybe_shared(value.clone()).map_err(|_| broken("header"))?;
        head.headers_mut().append(name, value);
    }
    Ok((head, (answer.steps, answer.end)))
}

/// Counts an exchange from the request to the end of its body.
struct UnderWay(Arc<Inner>);

impl UnderWay {
    fn begin(inner: &Arc<Inner>) -> Self {
        inner.under_way.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(inner))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

struct ScriptedBody {
    steps: std::vec::IntoIter<Step>,
    /// Taken when it was told.
    end: Option<Ending>,
    received: bool,
    _under_way: UnderWay,
}

impl Body for ScriptedBody {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        loop {
            match self.steps.next() {
                // No network gives a frame without a byte.
                Some(Step::Bytes(Latin1(bytes))) if bytes.is_empty() => {}
                Some(Step::Bytes(Latin1(bytes))) => {
                    self.received = true;
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
                Some(Step::Pause) => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                None => {
                    let received = self.received;
                    let error = self.end.take().and_then(|end| end.error(received));
                    return Poll::Ready(error.map(Err));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;
    use std::time::Duration;
    use tokio::time::Instant;

    fn ask(method: &str, uri: &str) -> http::Request<Bytes> {
        let request = http::Request::builder().method(method).uri(uri);
        request.body(Bytes::from_static(b"{}")).expect("a request")
    }

    async fn send(
        wire: &Wire,
        method: &str,
        uri: &str,
    ) -> Result<http::Response<ResponseBody>, TransportError> {
        let soon = Duration::from_secs(1);
        let timing = Timing::new(soon, soon, Instant::now() + soon);
        wire.send(ask(method, uri), timing).await
    }

    #[tokio::test]
    async fn each_kind_of_request_gets_its_replies_in_order_and_the_last_again() {
        let script = Script::new()
            .with_models(Reply::new(200, "x", "models"))
            .with_chat(Reply::new(500, "x", "first"))
            .with_chat(Reply::new(200, "x", "second"));
        let wire = Wire::new(script);
        for (method, uri, status, body) in [
            ("POST", "http://h/v1/chat/completions", 500, "first"),
            ("GET", "http://h/v1/models", 200, "models"),
            ("POST", "http://h/v1/chat/completions", 200, "second"),
            ("POST", "http://h/v1/chat/completions", 200, "second"),
            ("GET", "http://h/health", 404, ""),
        ] {
            let response = send(&wire, method, uri).await.expect("an answer");
            assert_eq!(response.status(), status, "{uri}");
            assert_eq!(wire.under_way(), 1);
            let found = response.into_body().collect().await.expect("a body");
            assert_eq!(found.to_bytes(), body, "{uri}");
            assert_eq!(wire.under_way(), 0);
        }
        let seen = wire.requests();
        assert_eq!(seen.len(), 5);
        assert_eq!(
            (seen[1].method.as_str(), seen[1].kind()),
            ("GET", Kind::Models)
        );
    }

    #[tokio::test]
    async fn a_body_comes_in_its_pieces_and_ends_as_it_should() {
        let reply = Reply::new(200, "x", "abcd").cut_every(2);
        let wire = Wire::new(Script::new().with_chat(reply.ending(Ending::Reset)));
        let response = send(&wire, "POST", "http://h/").await.expect("an answer");
        let mut body = response.into_body();
        let mut pieces = Vec::new();
        let error = loop {
            match body.frame().await.expect("an end in an error") {
                Ok(frame) => pieces.push(frame.into_data().expect("data")),
                Err(error) => break error,
            }
        };
        assert_eq!(pieces, ["ab", "cd"]);
        assert!(matches!(error, TransportError::Incomplete(_)), "{error}");
        drop(body);
        assert_eq!(wire.under_way(), 0);
    }

    #[tokio::test]
    async fn what_no_socket_could_bring_is_refused_as_the_network_would() {
        let answer = |status, name: &str, value: &'static [u8]| {
            Reply::Answer(Answer {
                status,
                headers: vec![(name.to_owned(), Bytes::from_static(value).into())],
                steps: Vec::new(),
                end: Ending::Complete,
            })
        };
        let wide = vec![b'v'; RESPONSE_HEADER_BYTES];
        let wide: &'static [u8] = Box::leak(wide.into_boxed_slice());
        for (reply, protocol) in [
            (answer(99, "a", b"b"), true),
            (answer(100, "a", b"b"), true),
            (answer(200, "a b", b"b"), true),
            (answer(200, "a", b"b\r\nc"), true),
            (answer(200, "a", wide), false),
            (Reply::NoAnswer(super::super::NoAnswer::NoHttp), true),
        ] {
            let told = format!("{reply:?}");
            let wire = Wire::new(Script::new().with_chat(reply));
            let error = send(&wire, "POST", "http://h/").await.expect_err("refused");
            let found = matches!(error, TransportError::Protocol(_));
            assert_eq!(found, protocol, "{error}: {}", &told[..told.len().min(200)]);
            assert_eq!(wire.under_way(), 0);
        }
    }
}
