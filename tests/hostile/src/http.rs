//! One request, as an attacker makes it: nothing is checked before the host sees it.

use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{
    Fields, IncomingBody, IncomingResponse, Method, OutgoingBody, OutgoingRequest, RequestOptions,
    Scheme,
};
use wasip2::io::streams::StreamError;

/// What is asked, and of whom.
pub(crate) struct Ask<'a> {
    pub(crate) method: Method,
    pub(crate) scheme: Option<Scheme>,
    pub(crate) authority: Option<&'a str>,
    pub(crate) path: Option<&'a str>,
    pub(crate) headers: &'a [(&'a str, &'a [u8])],
    pub(crate) body: &'a [u8],
    pub(crate) trailers: &'a [(&'a str, &'a [u8])],
    /// Every time limit that a request may name, in nanoseconds.
    pub(crate) times: Option<u64>,
}

impl<'a> Ask<'a> {
    /// A plain `POST` to the chats' own path.
    pub(crate) const fn of(authority: &'a str) -> Self {
        Self {
            method: Method::Post,
            scheme: Some(Scheme::Http),
            authority: Some(authority),
            path: Some("/v1/chat/completions"),
            headers: &[],
            body: b"",
            trailers: &[],
            times: None,
        }
    }

    /// The same to another path.
    pub(crate) fn path(authority: &'a str, path: &'a str) -> Self {
        Self {
            path: Some(path),
            ..Self::of(authority)
        }
    }

    /// Asks, and says what became of it in one line. `answered` begins the line only if the server did answer.
    pub(crate) fn send(&self) -> String {
        match self.answer() {
            Ok(response) => format!("answered {}", response.status()),
            Err(why) => why,
        }
    }

    /// Asks, and reads the answer to its end.
    pub(crate) fn read(&self) -> String {
        match self.answer().and_then(|response| read(&response)) {
            Ok(length) => format!("read {length} bytes"),
            Err(why) => why,
        }
    }

    /// Asks, and waits for the head of the answer.
    pub(crate) fn answer(&self) -> Result<IncomingResponse, String> {
        let request = OutgoingRequest::new(fields(self.headers)?);
        let refused = |what: &'static str| move |()| format!("refused {what}");
        request
            .set_method(&self.method)
            .map_err(refused("method"))?;
        request
            .set_scheme(self.scheme.as_ref())
            .map_err(refused("scheme"))?;
        request
            .set_authority(self.authority)
            .map_err(refused("authority"))?;
        request
            .set_path_with_query(self.path)
            .map_err(refused("path"))?;
        let options = self.times.map(|time| {
            let options = RequestOptions::new();
            let _ = options.set_connect_timeout(Some(time));
            let _ = options.set_first_byte_timeout(Some(time));
            let _ = options.set_between_bytes_timeout(Some(time));
            options
        });
        let body = request.body().map_err(refused("body"))?;
        let answer = handle(request, options).map_err(|error| format!("denied {error:?}"))?;
        if !self.body.is_empty() {
            let stream = body.write().map_err(refused("write"))?;
            for piece in self.body.chunks(4096) {
                stream
                    .blocking_write_and_flush(piece)
                    .map_err(|error| format!("failed write: {error:?}"))?;
            }
        }
        let trailers = match self.trailers {
            [] => None,
            trailers => Some(fields(trailers)?),
        };
        OutgoingBody::finish(body, trailers).map_err(|error| format!("failed body: {error:?}"))?;
        answer.subscribe().block();
        match answer.get() {
            Some(Ok(Ok(response))) => Ok(response),
            Some(Ok(Err(error))) => Err(format!("denied {error:?}")),
            Some(Err(())) | None => Err("no answer".into()),
        }
    }
}

/// Header fields, added one by one.
pub(crate) fn fields(all: &[(&str, &[u8])]) -> Result<Fields, String> {
    let fields = Fields::new();
    for (name, value) in all {
        fields
            .append(name, value)
            .map_err(|error| format!("refused header: {error:?}"))?;
    }
    Ok(fields)
}

/// Reads an answer to its end, or to the error that stands there.
pub(crate) fn read(response: &IncomingResponse) -> Result<u64, String> {
    let mut length = 0;
    pieces(response, |piece| length += piece.len() as u64)?;
    Ok(length)
}

/// The same, and keeps what was read.
pub(crate) fn read_all(response: &IncomingResponse) -> Result<Vec<u8>, String> {
    let mut all = Vec::new();
    pieces(response, |piece| all.extend_from_slice(piece))?;
    Ok(all)
}

fn pieces(response: &IncomingResponse, mut each: impl FnMut(&[u8])) -> Result<(), String> {
    let body: IncomingBody = response.consume().map_err(|()| "no body".to_owned())?;
    let stream = body.stream().map_err(|()| "no stream".to_owned())?;
    loop {
        match stream.blocking_read(64 << 10) {
            Ok(piece) => each(&piece),
            Err(StreamError::Closed) => return Ok(()),
            Err(StreamError::LastOperationFailed(_)) => return Err("failed read".into()),
        }
    }
}
