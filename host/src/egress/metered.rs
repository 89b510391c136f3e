//! A connection of which it is known what went out, what came in, and in which order.
//!
//! # What was read for nothing
//!
//! Between two pieces of a body a server may send what is no content: leading zeros of a chunk's size, spaces behind it,
//! interim answers, trailers. No limit on bodies counts those, and some of them hyper takes without end, so a server could keep
//! a processor busy for as long as it may be silent. So the bytes are counted where they come in, and counted anew
//! whenever one of them was of use.
//!
//! # Whether a request was written before its answer came
//!
//! A server that answers before it has the whole request may leave the rest unread, and take it for the next request on the
//! connection. hyper does not tell: it hands out an answer while the request still stands in its buffer. [`Progress`] is
//! set by the body when hyper takes it, by a flush that leaves nothing to write, and by the first byte that comes in.

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What was read since something of it was of use. Shared between a connection and the answer that comes on it.
#[derive(Clone, Default)]
pub(super) struct Useless(Arc<AtomicUsize>);

impl Useless {
    /// Something was of use.
    pub(super) fn forget(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

/// How far the exchange on a connection has come. Shared by the connection, the request's body and who waits for the
/// answer, which are polled by one task.
#[derive(Clone, Default)]
pub(super) struct Progress(Arc<AtomicU8>);

/// The request's body, if there is one, was handed to hyper as a whole.
const BODY_TAKEN: u8 = 1;
/// Bytes of the request were written.
const WROTE: u8 = 2;
/// All bytes of the request were written and flushed.
const WRITTEN: u8 = 4;
/// Bytes came in before all of the request was written.
const EARLY: u8 = 8;
/// Bytes came in after the request had begun to go out.
const ANSWERED: u8 = 16;

impl Progress {
    /// The next request begins.
    pub(super) fn begin(&self, has_body: bool) {
        let taken = if has_body { 0 } else { BODY_TAKEN };
        self.0.store(taken, Ordering::Relaxed);
    }

    /// Whether the whole request was written, and nothing came in before that.
    pub(super) fn written_before_answer(&self) -> bool {
        let state = self.0.load(Ordering::Relaxed);
        state & (WRITTEN | EARLY) == WRITTEN
    }

    /// Whether the server has begun to answer.
    pub(super) fn answered(&self) -> bool {
        self.0.load(Ordering::Relaxed) & ANSWERED != 0
    }

    fn body_taken(&self) {
        self.0.fetch_or(BODY_TAKEN, Ordering::Relaxed);
    }

    fn wrote(&self, bytes: usize) {
        if bytes > 0 {
            self.0.fetch_or(WROTE, Ordering::Relaxed);
        }
    }

    /// hyper flushes a stream only when its own buffer is empty.
    fn flushed(&self) {
        if self.0.load(Ordering::Relaxed) & (BODY_TAKEN | WROTE) == BODY_TAKEN | WROTE {
            self.0.fetch_or(WRITTEN, Ordering::Relaxed);
        }
    }

    fn read(&self, bytes: usize) {
        let state = self.0.load(Ordering::Relaxed);
        let early = if state & WRITTEN == 0 { EARLY } else { 0 };
        let answered = if state & WROTE != 0 { ANSWERED } else { 0 };
        if bytes > 0 && state & (early | answered) != early | answered {
            self.0.fetch_or(early | answered, Ordering::Relaxed);
        }
    }
}

/// A request's body, which tells its connection's [`Progress`] when hyper has taken it.
pub(super) struct RequestBody {
    /// `None`: taken, or empty.
    bytes: Option<Bytes>,
    progress: Progress,
}

impl RequestBody {
    pub(super) fn new(bytes: Bytes, progress: Progress) -> Self {
        Self {
            bytes: Some(bytes).filter(|bytes| !bytes.is_empty()),
            progress,
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.progress.body_taken();
        Poll::Ready(self.bytes.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}

/// A stream that fails once more than `limit` bytes were read for nothing, and that keeps its [`Progress`].
pub(super) struct Metered<T> {
    stream: T,
    useless: Useless,
    progress: Progress,
    limit: usize,
}

impl<T> Metered<T> {
    pub(super) fn new(stream: T, useless: Useless, progress: Progress, limit: usize) -> Self {
        Self {
            stream,
            useless,
            progress,
            limit,
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Metered<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, into))?;
        let read = into.filled().len().saturating_sub(before);
        self.progress.read(read);
        let so_far = self.useless.0.fetch_add(read, Ordering::Relaxed);
        if so_far.saturating_add(read) > self.limit {
            let kib = self.limit >> 10;
            let why = format!("more than {kib} KiB of framing without any content");
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, why)));
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Metered<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
        self.progress.wrote(written);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, pieces))?;
        self.progress.wrote(written);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.progress.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_written_when_its_body_was_taken_and_the_buffer_was_emptied() {
        let progress = Progress::default();
        progress.begin(true);
        progress.flushed();
        progress.wrote(10);
        progress.flushed();
        assert!(!progress.written_before_answer(), "its body is missing");
        progress.body_taken();
        progress.wrote(10);
        assert!(!progress.written_before_answer(), "not flushed");
        progress.flushed();
        assert!(progress.written_before_answer() && !progress.answered());
        progress.read(0);
        assert!(!progress.answered(), "the end is not an answer");
        progress.read(1);
        assert!(progress.written_before_answer() && progress.answered());

        progress.begin(false);
        progress.flushed();
        assert!(!progress.written_before_answer(), "its head is missing");
        progress.wrote(10);
        progress.flushed();
        assert!(progress.written_before_answer());
    }

    #[test]
    fn what_comes_in_before_the_last_byte_went_out_is_early() {
        let progress = Progress::default();
        progress.begin(true);
        progress.read(1);
        assert!(!progress.answered(), "nothing was asked yet");
        progress.begin(true);
        progress.body_taken();
        progress.wrote(10);
        progress.read(1);
        progress.wrote(10);
        progress.flushed();
        assert!(progress.answered() && !progress.written_before_answer());
    }
}
