//! A connection on which not too much is read for nothing.
//!
//! Between two pieces of a body a server may send what is no content: leading zeros of a chunk's size, spaces behind it,
//! interim answers, trailers. No limit on bodies counts those, and some of them hyper takes without end, so a server could keep
//! a processor busy for as long as it may be silent. So the bytes are counted where they come in, and counted anew
//! whenever one of them was of use.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
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

/// A stream that fails once more than `limit` bytes were read for nothing.
pub(super) struct Metered<T> {
    stream: T,
    useless: Useless,
    limit: usize,
}

impl<T> Metered<T> {
    pub(super) fn new(stream: T, useless: Useless, limit: usize) -> Self {
        Self {
            stream,
            useless,
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
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
