//! One request, as an attacker makes it: nothing is checked before the host sees it.

use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{Fields, Method, OutgoingBody, OutgoingRequest, Scheme};

/// What is asked, and of whom.
pub(crate) struct Ask<'a> {
    pub(crate) method: Method,
    pub(crate) scheme: Option<Scheme>,
    pub(crate) authority: Option<&'a str>,
    pub(crate) path: Option<&'a str>,
    pub(crate) headers: &'a [(&'a str, &'a [u8])],
    pub(crate) body: &'a [u8],
}

impl<'a> Ask<'a> {
    /// A plain `POST` to the models' own path.
    pub(crate) const fn of(authority: &'a str) -> Self {
        Self {
            method: Method::Post,
            scheme: Some(Scheme::Http),
            authority: Some(authority),
            path: Some("/v1/chat/completions"),
            headers: &[],
            body: b"",
        }
    }

    /// Asks, and says what became of it in one line. `answered` begins the line only if the server did answer.
    pub(crate) fn send(&self) -> String {
        match self.exchange() {
            Ok(status) => format!("answered {status}"),
            Err(why) => why,
        }
    }

    fn exchange(&self) -> Result<u16, String> {
        let fields = Fields::new();
        for (name, value) in self.headers {
            fields
                .append(name, value)
                .map_err(|error| format!("refused header: {error:?}"))?;
        }
        let request = OutgoingRequest::new(fields);
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
        let body = request.body().map_err(refused("body"))?;
        let answer = handle(request, None).map_err(|error| format!("denied {error:?}"))?;
        if !self.body.is_empty() {
            let stream = body.write().map_err(refused("write"))?;
            for piece in self.body.chunks(4096) {
                stream
                    .blocking_write_and_flush(piece)
                    .map_err(|error| format!("failed write: {error:?}"))?;
            }
        }
        OutgoingBody::finish(body, None).map_err(|error| format!("failed body: {error:?}"))?;
        answer.subscribe().block();
        match answer.get() {
            Some(Ok(Ok(response))) => Ok(response.status()),
            Some(Ok(Err(error))) => Err(format!("denied {error:?}")),
            Some(Err(())) | None => Err("no answer".into()),
        }
    }
}
