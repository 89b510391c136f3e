//! HTTP over WASI 0.2: sends a request of the core and reads its answer.
//!
//! Nothing here knows what the bytes mean. Waiting is left to the host: every
//! wait is a pollable's, so that the host may run other guests meanwhile.

use alloc::string::String;
use alloc::vec::Vec;

use wasip2::clocks::monotonic_clock;
use wasip2::http::types::{
    Fields, FutureIncomingResponse, HeaderError, IncomingBody, IncomingResponse, Method,
    OutgoingBody, OutgoingRequest, RequestOptions, Scheme,
};
use wasip2::io::poll::{self, Pollable};
use wasip2::io::streams::{InputStream, OutputStream, StreamError};

use super::wasi_http;
use crate::number::push_integer;
use crate::text;
use crate::types::{HttpRequest, TransportFailure, TransportFailureKind as Kind};

/// Most bytes taken by one read. The host gives what has arrived, so that the
/// number only bounds a burst.
const READ: u64 = 64 * 1024;

/// An exchange whose request has been handed to the host.
pub(super) struct Exchange {
    state: State,
    deadline: Option<Pollable>,
}

enum State {
    Waiting(FutureIncomingResponse),
    // Dropped in this order: a stream is a child of its body, and a body of its
    // response.
    Reading {
        stream: InputStream,
        _body: IncomingBody,
        _response: IncomingResponse,
    },
    Over,
}

/// What a step of an exchange brought.
pub(super) enum Step {
    /// The head of the answer.
    Head {
        status: u16,
        headers: Vec<(String, Vec<u8>)>,
    },
    /// The next bytes of its body.
    Bytes(Vec<u8>),
    /// Nothing yet. Only where the caller did not want to wait.
    Nothing,
    /// The end of the body.
    End,
}

/// Time limits that the core asks for, in milliseconds; the host has its own
/// beside them.
#[derive(Default, Clone, Copy)]
pub(super) struct Timeouts {
    /// Until the head of the answer, and between two pieces of its body.
    pub(super) silence_ms: Option<u64>,
    /// For the whole exchange.
    pub(super) total_ms: Option<u64>,
}

impl Exchange {
    /// Sends a request. The answer is not waited for.
    pub(super) fn send(
        request: &HttpRequest,
        timeouts: Timeouts,
    ) -> Result<Self, TransportFailure> {
        let outgoing = outgoing(request)?;
        let body = (!request.body.is_empty())
            .then(|| outgoing.body())
            .transpose()
            .map_err(|()| refused("the host gives no request body"))?;
        let options = timeouts.silence_ms.map(|ms| {
            let options = RequestOptions::new();
            // A host that supports no time limits says so; its own then hold.
            let ns = Some(ms.saturating_mul(1_000_000));
            let _ = options.set_connect_timeout(ns);
            let _ = options.set_first_byte_timeout(ns);
            let _ = options.set_between_bytes_timeout(ns);
            options
        });
        let deadline = timeouts
            .total_ms
            .map(|ms| monotonic_clock::subscribe_duration(ms.saturating_mul(1_000_000)));
        let future = wasi_http::send(outgoing, options)?;
        if let Some(body) = body {
            write_body(body, &request.body);
        }
        Ok(Self {
            state: State::Waiting(future),
            deadline,
        })
    }

    /// The next step; waits for it if `wait`.
    pub(super) fn step(&mut self, wait: bool) -> Result<Step, TransportFailure> {
        let step = match &self.state {
            State::Waiting(future) => {
                // No server has answered by now.
                if wait {
                    self.wait_until(&future.subscribe())?;
                }
                match wasi_http::answer(future) {
                    Some(answer) => answer.and_then(|response| self.answered(response)),
                    None => Ok(Step::Nothing),
                }
            }
            State::Reading { stream, .. } if wait && self.deadline.is_none() => {
                chunk(stream.blocking_read(READ))
            }
            State::Reading { stream, .. } => match stream.read(READ) {
                // Nothing there: now, and only now, a poll is worth its cost.
                Ok(bytes) if bytes.is_empty() && wait => {
                    self.wait_until(&stream.subscribe())?;
                    return self.step(true);
                }
                Ok(bytes) if bytes.is_empty() => Ok(Step::Nothing),
                result => chunk(result),
            },
            State::Over => Ok(Step::End),
        };
        if matches!(step, Ok(Step::End) | Err(_)) {
            self.state = State::Over;
        }
        step
    }

    /// A pollable that is ready when [`Exchange::step`] would not wait.
    pub(super) fn subscribe(&self) -> Pollable {
        match &self.state {
            State::Waiting(future) => future.subscribe(),
            State::Reading { stream, .. } => stream.subscribe(),
            State::Over => monotonic_clock::subscribe_duration(0),
        }
    }

    /// Bounds the rest of the exchange.
    pub(super) fn hurry(&mut self, ms: u64) {
        self.deadline = Some(monotonic_clock::subscribe_duration(ms * 1_000_000));
    }

    /// Reads on to the end of the body, at most for `ms` milliseconds and
    /// `limit` bytes, so that the connection can be used again.
    pub(super) fn drain(mut self, ms: u64, limit: usize) {
        let mut read = 0;
        loop {
            // The end has mostly come along with the last bytes, and a clock is not for nothing.
            match self.step(self.deadline.is_some()) {
                Ok(Step::Bytes(bytes)) => read += bytes.len(),
                Ok(Step::Nothing) => self.hurry(ms),
                _ => return,
            }
            if read > limit {
                return;
            }
        }
    }

    fn answered(&mut self, response: IncomingResponse) -> Result<Step, TransportFailure> {
        let status = response.status();
        let headers = response.headers().entries();
        let Ok(body) = response.consume() else {
            return Err(refused("the host gave the answer's body away twice"));
        };
        let Ok(stream) = body.stream() else {
            return Err(refused("the host gave the answer's stream away twice"));
        };
        self.state = State::Reading {
            stream,
            _body: body,
            _response: response,
        };
        Ok(Step::Head { status, headers })
    }

    /// Waits for a pollable, or for the deadline, which is a failure.
    fn wait_until(&self, ready: &Pollable) -> Result<(), TransportFailure> {
        let first = match &self.deadline {
            Some(deadline) => poll::poll(&[ready, deadline]),
            None => poll::poll(&[ready]),
        };
        if first.contains(&0) {
            return Ok(());
        }
        Err(TransportFailure {
            kind: Kind::ReadTimeout,
            message: "the time for the whole exchange ran out".into(),
        })
    }
}

fn chunk(result: Result<Vec<u8>, StreamError>) -> Result<Step, TransportFailure> {
    match result {
        Ok(bytes) => Ok(Step::Bytes(bytes)),
        Err(StreamError::Closed) => Ok(Step::End),
        Err(StreamError::LastOperationFailed(error)) => Err(wasi_http::stream_failure(&error)
            .unwrap_or_else(|| TransportFailure {
                kind: Kind::Closed,
                message: error.to_debug_string(),
            })),
    }
}

/// The request, as far as it goes without its body.
fn outgoing(request: &HttpRequest) -> Result<OutgoingRequest, TransportFailure> {
    let mut headers: Vec<(String, Vec<u8>)> = Vec::with_capacity(request.headers.len() + 1);
    for (name, value) in &request.headers {
        headers.push((name.clone(), value.as_bytes().to_vec()));
    }
    if !request.body.is_empty() {
        let mut length = String::new();
        push_integer(&mut length, request.body.len() as u64);
        headers.push(("content-length".into(), length.into_bytes()));
    }
    let fields = Fields::from_list(&headers).map_err(|_| refused_header(&headers))?;
    let outgoing = OutgoingRequest::new(fields);
    let (scheme, rest) = match text::split(&request.url, "://") {
        Some(("https", rest)) => (Scheme::Https, rest),
        Some((_, rest)) => (Scheme::Http, rest),
        None => (Scheme::Http, request.url.as_str()),
    };
    let (authority, path) = text::cut(rest, text::first_of(rest, b"/?"));
    let method = if request.method == "GET" {
        Method::Get
    } else {
        Method::Post
    };
    let not_taken = |()| {
        refused(&text::concat(&[
            "the host does not take the URL ",
            &request.url,
        ]))
    };
    outgoing.set_method(&method).map_err(not_taken)?;
    outgoing.set_scheme(Some(&scheme)).map_err(not_taken)?;
    outgoing.set_authority(Some(authority)).map_err(not_taken)?;
    outgoing
        .set_path_with_query(Some(path))
        .map_err(not_taken)?;
    Ok(outgoing)
}

/// Which header the host does not take.
fn refused_header(headers: &[(String, Vec<u8>)]) -> TransportFailure {
    let refusal = headers.iter().find_map(|header| {
        let error = Fields::from_list(core::slice::from_ref(header)).err()?;
        let why = match error {
            HeaderError::InvalidSyntax => "`: it is no header",
            HeaderError::Forbidden => "`: it is not for plugins to set",
            HeaderError::Immutable => "`: there is no more setting",
        };
        Some(["the host does not take the header `", &header.0, why])
    });
    match refusal {
        Some(why) => refused(&text::concat(&why)),
        None => refused("the host does not take the headers of the request"),
    }
}

/// Writes the whole body as the host takes it. A host that stops taking it has
/// an answer to give: that tells why.
fn write_body(body: OutgoingBody, bytes: &[u8]) {
    if let Ok(stream) = body.write() {
        let _ = write_all(&stream, bytes);
    }
    wasi_http::finish(&body);
}

fn write_all(stream: &OutputStream, mut bytes: &[u8]) -> Result<(), StreamError> {
    while !bytes.is_empty() {
        let room = usize::try_from(stream.check_write()?).unwrap_or(usize::MAX);
        if room == 0 {
            poll::poll(&[&stream.subscribe()]);
            continue;
        }
        let (now, later) = bytes.split_at(room.min(bytes.len()));
        stream.write(now)?;
        bytes = later;
    }
    stream.flush()?;
    Ok(())
}

fn refused(why: &str) -> TransportFailure {
    TransportFailure {
        kind: Kind::Denied,
        message: why.into(),
    }
}
