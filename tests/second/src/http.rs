//! HTTP over WASI 0.2: the one file that waits and sends.
//!
//! Every wait is a pollable's, so that the host may run other guests meanwhile. The host has time limits of its own; this
//! provider asks for none beside them.

use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, IncomingBody, IncomingResponse, Method,
    OutgoingBody, OutgoingRequest, Scheme, http_error_code,
};
use wasip2::io::poll::Pollable;
use wasip2::io::streams::{InputStream, StreamError};

use crate::bindings::llm::provider::types::{Error, ErrorKind};
use crate::error::{self, Head};
use crate::settings::Config;

/// Most bytes of one read. What has arrived comes, so that the number only bounds a burst.
const READ: u64 = 64 << 10;

/// Most bytes of a list of models: ten thousand of them are 4 MB.
const LIST_LIMIT: usize = 16 << 20;

/// Most bytes of an error's body that are looked at.
const ERROR_LIMIT: usize = 64 << 10;

/// An exchange whose request has been handed to the host.
pub(crate) struct Exchange {
    /// What was asked, for messages.
    what: String,
    state: State,
}

enum State {
    Waiting(FutureIncomingResponse),
    // Dropped in this order: a stream is a child of its body, and a body of its response.
    Reading {
        stream: InputStream,
        _body: IncomingBody,
        _response: IncomingResponse,
        status: u16,
    },
}

/// Sends a `GET` and reads its whole answer.
pub(crate) fn fetch(config: &Config, path: &str) -> Result<(Head, Vec<u8>), Error> {
    let mut exchange = Exchange::send(config, &Method::Get, path, &[])?;
    let head = exchange.head()?;
    let body = exchange.rest(LIST_LIMIT)?;
    Ok((head, body))
}

impl Exchange {
    /// Sends a `POST` of JSON. The answer is not waited for.
    pub(crate) fn post(config: &Config, path: &str, body: &[u8]) -> Result<Self, Error> {
        Self::send(config, &Method::Post, path, body)
    }

    fn send(config: &Config, method: &Method, path: &str, body: &[u8]) -> Result<Self, Error> {
        let name = match method {
            Method::Get => "GET",
            _ => "POST",
        };
        let what = format!("{name} {}{path}", config.base.url);
        let refused = |part: &str| {
            let why = format!("{what}: the host does not take {part}");
            error::plain(ErrorKind::InvalidRequest, why)
        };
        let fields = Fields::new();
        for (name, value) in config.request_headers() {
            fields
                .append(&name, value.as_bytes())
                .map_err(|_| refused(&format!("the header {name}")))?;
        }
        let request = OutgoingRequest::new(fields);
        let scheme = match config.base.is_https {
            true => Scheme::Https,
            false => Scheme::Http,
        };
        let target = format!("{}{path}", config.base.path);
        request
            .set_method(method)
            .map_err(|()| refused("the method"))?;
        request
            .set_scheme(Some(&scheme))
            .and_then(|()| request.set_authority(Some(&config.base.authority)))
            .and_then(|()| request.set_path_with_query(Some(&target)))
            .map_err(|()| refused("the base URL"))?;
        let outgoing = request.body().map_err(|()| refused("a body"))?;
        let future = handle(request, None).map_err(|code| error::transport(&what, None, &code))?;
        write(outgoing, body);
        Ok(Self {
            what,
            state: State::Waiting(future),
        })
    }

    /// The next bytes of a successful answer; none at its end. Another status is an error.
    pub(crate) fn read(&mut self) -> Result<Option<Vec<u8>>, Error> {
        if let State::Waiting(_) = self.state {
            let head = self.head()?;
            if !(200..300).contains(&head.status) {
                return Err(error::status(
                    &head,
                    &self.rest(ERROR_LIMIT).unwrap_or_default(),
                ));
            }
        }
        self.bytes()
    }

    /// A pollable that is ready when [`Exchange::read`] would make progress.
    pub(crate) fn subscribe(&self) -> Pollable {
        match &self.state {
            State::Waiting(future) => future.subscribe(),
            State::Reading { stream, .. } => stream.subscribe(),
        }
    }

    /// Waits for the head of the answer.
    fn head(&mut self) -> Result<Head, Error> {
        let State::Waiting(future) = &self.state else {
            return Err(self.broken("the head was read twice"));
        };
        future.subscribe().block();
        let response = match future.get() {
            Some(Ok(Ok(response))) => response,
            Some(Ok(Err(code))) => return Err(error::transport(&self.what, None, &code)),
            Some(Err(())) | None => return Err(self.broken("the host gave no answer")),
        };
        let status = response.status();
        let seconds = response.headers().get("retry-after");
        let seconds = seconds
            .first()
            .and_then(|value| std::str::from_utf8(value).ok());
        let retry_after_ms = seconds.and_then(|text| text.trim().parse::<u32>().ok());
        let body = response.consume().map_err(|()| self.broken("no body"))?;
        let stream = body.stream().map_err(|()| self.broken("no body"))?;
        self.state = State::Reading {
            stream,
            _body: body,
            _response: response,
            status,
        };
        Ok(Head {
            exchange: self.what.clone(),
            status,
            retry_after_ms: retry_after_ms.map(|seconds| u64::from(seconds) * 1_000),
        })
    }

    fn bytes(&mut self) -> Result<Option<Vec<u8>>, Error> {
        let State::Reading { stream, status, .. } = &self.state else {
            return Err(self.broken("the body came before the head"));
        };
        match stream.blocking_read(READ) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(StreamError::Closed) => Ok(None),
            Err(StreamError::LastOperationFailed(failure)) => {
                let code = http_error_code(&failure).unwrap_or(ErrorCode::ConnectionTerminated);
                Err(error::transport(&self.what, Some(*status), &code))
            }
        }
    }

    /// The rest of the body, as far as `limit`.
    fn rest(&mut self, limit: usize) -> Result<Vec<u8>, Error> {
        let mut body = Vec::new();
        while body.len() < limit
            && let Some(bytes) = self.bytes()?
        {
            body.extend(bytes);
        }
        body.truncate(limit);
        Ok(body)
    }

    fn broken(&self, why: &str) -> Error {
        error::plain(ErrorKind::Protocol, format!("{}: {why}", self.what))
    }
}

/// Writes the whole body as the host takes it. A host that stops taking it has an answer to give: that tells why.
fn write(body: OutgoingBody, bytes: &[u8]) {
    if let Ok(stream) = body.write() {
        for piece in bytes.chunks(4096) {
            if stream.blocking_write_and_flush(piece).is_err() {
                break;
            }
        }
    }
    let _ = OutgoingBody::finish(body, None);
}
