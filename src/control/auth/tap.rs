//! A stream that bounds what may be read and remembers it for error messages.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Passes bytes through, up to a number of them.
pub(super) struct Tap<'a, S> {
    stream: &'a mut S,
    left_bytes: usize,
    heard: Vec<u8>,
}

impl<'a, S> Tap<'a, S> {
    pub(super) fn new(stream: &'a mut S, max_bytes: usize) -> Tap<'a, S> {
        Tap { stream, left_bytes: max_bytes, heard: Vec::new() }
    }

    /// What was read since the last [`Tap::forget`].
    pub(super) fn heard(&self) -> String {
        String::from_utf8_lossy(&self.heard).into_owned()
    }

    pub(super) fn forget(&mut self) {
        self.heard.clear();
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Tap<'_, S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let tap = self.get_mut();
        if tap.left_bytes == 0 {
            let error = "the other side said too much before it let us in";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
        }
        let room = tap.left_bytes.min(buf.remaining());
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(room));
        ready!(Pin::new(&mut *tap.stream).poll_read(cx, &mut part))?;
        tap.heard.extend_from_slice(part.filled());
        let filled = part.filled().len();
        tap.left_bytes -= filled;
        buf.advance(filled);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tap<'_, S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.get_mut().stream).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.get_mut().stream).poll_shutdown(cx)
    }
}
