//! An in-memory pipe that implements both families of I/O traits.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};

use tokio::io::ReadBuf;

/// One direction.
#[derive(Debug, Default)]
struct Way {
    octets: VecDeque<u8>,
    /// All bytes ever written.
    all: Vec<u8>,
    /// The writer has closed.
    ended: bool,
    /// The reader has closed.
    gone: bool,
}

/// An end of a pipe. Every other poll is [`Pending`](Poll::Pending), and it takes a few bytes at a time, so that its
/// user waits at each await point. Dropping it closes it.
#[derive(Debug)]
pub struct End {
    to: Arc<Mutex<Way>>,
    from: Arc<Mutex<Way>>,
    goes: bool,
}

/// The most bytes that one write takes.
const PIECE: usize = 700;

/// Returns two ends; each reads what the other writes.
#[must_use]
pub fn pipe() -> (End, End) {
    let (one, two) = (Arc::<Mutex<Way>>::default(), Arc::<Mutex<Way>>::default());
    let here = End { to: Arc::clone(&one), from: Arc::clone(&two), goes: false };
    (here, End { to: two, from: one, goes: false })
}

fn lock(way: &Mutex<Way>) -> MutexGuard<'_, Way> {
    way.lock().expect("no panic")
}

impl End {
    /// Returns a function that lists all bytes ever written to this end, even after it is dropped.
    pub fn written(&self) -> impl Fn() -> Vec<u8> + use<> {
        let way = Arc::clone(&self.to);
        move || lock(&way).all.clone()
    }

    fn halts(&mut self) -> bool {
        self.goes = !self.goes;
        self.goes
    }

    fn read(&mut self, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.halts() {
            return Poll::Pending;
        }
        let mut from = lock(&self.from);
        if from.octets.is_empty() && !from.ended {
            return Poll::Pending;
        }
        let n = buffer.len().min(from.octets.len());
        for (place, octet) in buffer.iter_mut().zip(from.octets.drain(..n)) {
            *place = octet;
        }
        Poll::Ready(Ok(n))
    }

    fn write(&mut self, octets: &[u8]) -> Poll<io::Result<usize>> {
        if self.halts() {
            return Poll::Pending;
        }
        let mut to = lock(&self.to);
        if to.gone {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let octets = &octets[..octets.len().min(PIECE)];
        to.octets.extend(octets);
        to.all.extend(octets);
        Poll::Ready(Ok(octets.len()))
    }

    fn flush(&mut self) -> Poll<io::Result<()>> {
        if self.halts() { Poll::Pending } else { Poll::Ready(Ok(())) }
    }

    fn close(&mut self) -> Poll<io::Result<()>> {
        if self.halts() {
            return Poll::Pending;
        }
        lock(&self.to).ended = true;
        Poll::Ready(Ok(()))
    }
}

impl Drop for End {
    fn drop(&mut self) {
        lock(&self.to).ended = true;
        lock(&self.from).gone = true;
    }
}

impl tokio::io::AsyncRead for End {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let free = buffer.initialize_unfilled();
        let read = self.read(free);
        read.map_ok(|n| buffer.advance(n))
    }
}

impl tokio::io::AsyncWrite for End {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.write(octets)
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.flush()
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.close()
    }
}

impl futures_lite::AsyncRead for End {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.read(buffer)
    }
}

impl futures_lite::AsyncWrite for End {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.write(octets)
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.flush()
    }

    fn poll_close(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.close()
    }
}
