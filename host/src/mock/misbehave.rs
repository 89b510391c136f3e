//! Answers that break off, stall or are no HTTP: written on the bare socket.
//!
//! A healthy response comes in, frame by frame (one frame is one event), and
//! the fault decides what of it reaches the wire. Nothing here holds more than
//! one frame, so an endless answer costs the mock no memory: the client's own
//! reading sets the pace, and its leaving ends it.

use super::Shared;
use super::answer::DONE;
use super::connection::Takeover;
use super::dice::Dice;
use super::fault::{Fault, FaultKind};
use super::journal::Done;
use super::refusal::engine_died_event;
use super::replay::{Case, Ending};
use axum::body::Body;
use bytes::Bytes;
use http::{Response, header};
use http_body_util::BodyExt;
use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::TcpStream;

/// What becomes of the connection.
pub(crate) enum Next {
    /// It serves the next request.
    Again,
    /// It is closed.
    Close,
    /// It is reset.
    Reset,
    /// The socket is taken over first.
    Play(Takeover),
}

/// Plays a takeover to its end, or until the client is gone.
pub(crate) async fn play(shared: &Shared, stream: &TcpStream, takeover: Takeover) -> Next {
    let wire = Wire { stream };
    match takeover {
        Takeover::Fault(fault, response) => {
            let done = response.extensions().get::<Done>().cloned();
            let seed = shared.options.seed ^ shared.serial.fetch_add(1, Ordering::Relaxed);
            let next = spoil(&wire, fault, response, done.clone(), seed).await;
            next.unwrap_or(Next::Close)
        }
        Takeover::Case(case, cuts) => {
            let running = shared.journal.begin();
            match replay(&wire, &case, &cuts, shared.options.rate).await {
                Ok(next) => {
                    running.done().set();
                    next
                }
                Err(_) => Next::Close,
            }
        }
    }
}

/// Writes a recorded answer.
async fn replay(
    wire: &Wire<'_>,
    case: &Case,
    cuts: &[usize],
    rate: Option<f64>,
) -> io::Result<Next> {
    let mut rest = case.raw.clone();
    for cut in cuts {
        let piece = rest.split_to((*cut).min(rest.len()));
        wire.write(&piece).await?;
        let events = piece.windows(2).filter(|w| w == b"\n\n").count();
        match rate.filter(|r| r.is_finite() && *r > 0.0) {
            Some(rate) => {
                tokio::time::sleep(Duration::from_secs_f64(
                    (events as f64 / rate).min(86_400.0),
                ))
                .await
            }
            // Lets the client see the cut.
            None => tokio::task::yield_now().await,
        }
    }
    match case.ending {
        Ending::KeepAlive => Ok(Next::Again),
        Ending::Close => Ok(Next::Close),
        Ending::Silent => Err(wire.gone().await),
    }
}

/// Writes what a fault leaves of a response.
async fn spoil(
    wire: &Wire<'_>,
    fault: Fault,
    mut response: Response<Body>,
    done: Option<Done>,
    seed: u64,
) -> io::Result<Next> {
    // The server's own doing is no abort by the client.
    let ours = || {
        if let Some(done) = &done {
            done.set();
        }
    };
    match fault.kind {
        FaultKind::Refuse | FaultKind::CloseBeforeHeaders => {
            ours();
            return Ok(Next::Close);
        }
        FaultKind::Silent => {
            // The chat goes on in the server, so to speak: `response` lives.
            return Err(wire.gone().await);
        }
        FaultKind::Garbage => {
            ours();
            let mut dice = Dice::new(seed);
            let rubbish: Vec<u8> = (0..512).map(|_| dice.below(256) as u8).collect();
            wire.write(&rubbish).await?;
            return Ok(Next::Close);
        }
        FaultKind::LyingContentLength => {
            ours();
            let body = response
                .body_mut()
                .collect()
                .await
                .map_err(io::Error::other)?
                .to_bytes();
            response
                .headers_mut()
                .insert(header::CONTENT_LENGTH, (body.len() + 65_536).into());
            wire.write(head(&response, false).as_bytes()).await?;
            wire.write(&body).await?;
            return Ok(Next::Close);
        }
        FaultKind::HugeBody => {
            response.headers_mut().remove(header::CONTENT_LENGTH);
            response.headers_mut().insert(
                header::CONTENT_TYPE,
                http::HeaderValue::from_static("application/json"),
            );
            wire.write(head(&response, true).as_bytes()).await?;
            wire.chunk(b"{\"object\":\"list\",\"data\":[\"").await?;
            return Err(wire.flood().await);
        }
        FaultKind::SlowDrip => {
            let chunked = !response.headers().contains_key(header::CONTENT_LENGTH);
            wire.drip(head(&response, chunked).as_bytes(), fault.number)
                .await?;
            while let Some(frame) = next_frame(&mut response).await? {
                let bytes = if chunked {
                    framed(&frame)
                } else {
                    frame.to_vec()
                };
                wire.drip(&bytes, fault.number).await?;
            }
            if chunked {
                wire.drip(LAST_CHUNK, fault.number).await?;
            }
            return Ok(Next::Again);
        }
        FaultKind::WrongContentType => {
            response.headers_mut().insert(
                header::CONTENT_TYPE,
                http::HeaderValue::from_static("text/plain; charset=utf-8"),
            );
        }
        _ => {}
    }
    if response.headers().contains_key(header::CONTENT_LENGTH) {
        return whole(wire, fault, response, &ours).await;
    }
    wire.write(head(&response, true).as_bytes()).await?;
    let at = match fault.kind {
        FaultKind::ResetBeforeFirstEvent => 0,
        _ => fault.number,
    };
    let mut given = 0;
    loop {
        if given == at
            && let Some(next) = strike(wire, fault, &ours).await?
        {
            return Ok(next);
        }
        let frame = tokio::select! {
            frame = next_frame(&mut response) => frame?,
            gone = wire.gone() => return Err(gone),
        };
        let Some(frame) = frame else { break };
        given += 1;
        if fault.kind == FaultKind::NoDone && frame == DONE.as_bytes() {
            continue;
        }
        wire.chunk(&frame).await?;
    }
    // An answer shorter than N is spoiled at its end.
    if given < at
        && let Some(next) = strike(wire, fault, &ours).await?
    {
        return Ok(next);
    }
    wire.write(LAST_CHUNK).await?;
    Ok(Next::Again)
}

/// What happens after N events; none when the stream goes on.
async fn strike(wire: &Wire<'_>, fault: Fault, ours: &impl Fn()) -> io::Result<Option<Next>> {
    match fault.kind {
        FaultKind::ResetBeforeFirstEvent | FaultKind::ResetMidStream => {
            ours();
            // What was written is to arrive: a reset overtakes unsent bytes.
            tokio::time::sleep(Duration::from_millis(20)).await;
            Ok(Some(Next::Reset))
        }
        FaultKind::CloseMidStream => {
            ours();
            Ok(Some(Next::Close))
        }
        FaultKind::SilentAfter => Err(wire.gone().await),
        FaultKind::TruncatedChunk => {
            ours();
            wire.write(b"400\r\ndata: {\"id\":\"chatcmpl-").await?;
            Ok(Some(Next::Close))
        }
        FaultKind::InvalidJson => {
            wire.chunk(b"data: {\"id\":\"chatcmpl-0\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\n\n").await?;
            Ok(None)
        }
        FaultKind::ErrorInStream => {
            ours();
            wire.chunk(engine_died_event().as_bytes()).await?;
            wire.chunk(DONE.as_bytes()).await?;
            wire.write(LAST_CHUNK).await?;
            Ok(Some(Next::Again))
        }
        FaultKind::EndlessLine => {
            wire.chunk(b"data: {\"choices\":[{\"delta\":{\"content\":\"")
                .await?;
            Err(wire.flood().await)
        }
        _ => Ok(None),
    }
}

/// The same faults on an answer of known length: they strike in its middle.
async fn whole(
    wire: &Wire<'_>,
    fault: Fault,
    mut response: Response<Body>,
    ours: &impl Fn(),
) -> io::Result<Next> {
    let head = head(&response, false);
    let body = response
        .body_mut()
        .collect()
        .await
        .map_err(io::Error::other)?
        .to_bytes();
    let half = body.len() / 2;
    wire.write(head.as_bytes()).await?;
    match fault.kind {
        FaultKind::ResetBeforeFirstEvent | FaultKind::ResetMidStream => {
            if fault.kind == FaultKind::ResetMidStream {
                wire.write(&body[..half]).await?;
            }
            strike(wire, fault, ours)
                .await
                .map(|next| next.unwrap_or(Next::Reset))
        }
        FaultKind::CloseMidStream | FaultKind::TruncatedChunk => {
            ours();
            wire.write(&body[..half]).await?;
            Ok(Next::Close)
        }
        FaultKind::SilentAfter => {
            wire.write(&body[..half]).await?;
            Err(wire.gone().await)
        }
        FaultKind::InvalidJson => {
            let mut spoiled = body.to_vec();
            spoiled[half..].fill(b'}');
            wire.write(&spoiled).await?;
            Ok(Next::Again)
        }
        _ => {
            wire.write(&body).await?;
            Ok(Next::Again)
        }
    }
}

async fn next_frame(response: &mut Response<Body>) -> io::Result<Option<Bytes>> {
    loop {
        match response.body_mut().frame().await {
            None => return Ok(None),
            Some(frame) => {
                if let Ok(data) = frame.map_err(io::Error::other)?.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

/// The end of a chunked body.
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Status line and headers of a response.
fn head(response: &Response<Body>, chunked: bool) -> String {
    let status = response.status();
    let mut out = format!(
        "HTTP/1.1 {} {}\r\n",
        status.as_u16(),
        status.canonical_reason().unwrap_or("")
    );
    for (name, value) in response.headers() {
        out.push_str(&format!(
            "{name}: {}\r\n",
            String::from_utf8_lossy(value.as_bytes())
        ));
    }
    if chunked {
        out.push_str("transfer-encoding: chunked\r\n");
    }
    out.push_str("\r\n");
    out
}

fn framed(bytes: &[u8]) -> Vec<u8> {
    let mut out = format!("{:x}\r\n", bytes.len()).into_bytes();
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
    out
}

/// The bare socket.
struct Wire<'a> {
    stream: &'a TcpStream,
}

impl Wire<'_> {
    async fn write(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            self.stream.writable().await?;
            match self.stream.try_write(bytes) {
                Ok(n) => bytes = &bytes[n..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn chunk(&self, bytes: &[u8]) -> io::Result<()> {
        self.write(&framed(bytes)).await
    }

    /// One byte at a time, `pause` milliseconds apart.
    async fn drip(&self, bytes: &[u8], pause: u64) -> io::Result<()> {
        for byte in bytes {
            self.write(std::slice::from_ref(byte)).await?;
            if pause > 0 {
                tokio::time::sleep(Duration::from_millis(pause)).await;
            } else {
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }

    /// Writes chunks of the same letter until the client is gone.
    async fn flood(&self) -> io::Error {
        let chunk = framed(&[b'a'; 16_384]);
        loop {
            if let Err(error) = self.write(&chunk).await {
                return error;
            }
        }
    }

    /// Waits until the client closes or resets the connection.
    async fn gone(&self) -> io::Error {
        let closed = || io::Error::from(io::ErrorKind::ConnectionAborted);
        loop {
            match self.stream.ready(Interest::READABLE).await {
                Err(error) => return error,
                Ok(ready) if ready.is_read_closed() => return closed(),
                Ok(_) => {}
            }
            match self.stream.peek(&mut [0]).await {
                Ok(0) => return closed(),
                Err(error) => return error,
                // It sends on, unheard: look again later.
                Ok(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }
}
