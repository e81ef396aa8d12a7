use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_lite::{AsyncRead, AsyncWrite};

/// The maximum number of reads in a row that are ready.
const READS: u8 = 64;

/// A stream that yields now and then.
///
/// TLS reads until it has data for its caller. A peer that always has bytes ready, such as records without
/// contents, would otherwise keep it in one endless poll, and no timeout could fire.
#[derive(Debug)]
pub struct Fair<S> {
    stream: S,
    reads: u8,
}

impl<S> Fair<S> {
    pub(crate) const fn new(stream: S) -> Self {
        Self { stream, reads: 0 }
    }

    /// The inner stream.
    pub const fn get_ref(&self) -> &S {
        &self.stream
    }

    /// The inner stream.
    pub const fn get_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    /// The inner stream.
    pub fn into_inner(self) -> S {
        self.stream
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Fair<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if self.reads >= READS {
            self.reads = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.reads += 1;
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if read.is_pending() {
            self.reads = 0;
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Fair<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, octets)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::{Duration, Instant};

    use futures_lite::future::block_on;

    use super::*;
    use crate::within;

    /// A stream that always has bytes ready.
    struct Flood;

    impl AsyncRead for Flood {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buffer: &mut [u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(buffer.len()))
        }
    }

    /// Reads like a TLS that finds no data in the received bytes.
    async fn read_for_ever(mut stream: Fair<Flood>) -> io::Result<()> {
        poll_fn(|cx| {
            loop {
                if Pin::new(&mut stream).poll_read(cx, &mut [0; 8]).is_pending() {
                    return Poll::Pending;
                }
            }
        })
        .await
    }

    #[test]
    fn a_flood_yields() {
        let until = Instant::now() + Duration::from_millis(50);
        let ended = block_on(within(until, read_for_ever(Fair::new(Flood))));
        assert!(matches!(ended, Ok(None)));
    }
}
