use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::mem::MaybeUninit;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Poll, ready};

use starttls::{Error as Rule, Machine};
use starttls_common::{Doing, Link, Turn};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::time::{Instant, timeout_at};

use crate::{Error, Observer, Timeouts};

/// How much is read at a time: one TLS record.
const READ: usize = 16 * 1024;

/// Drives machines over a stream: reads when they need more, writes what they say.
///
/// It reads ahead only into the buffer that the machine looks at, and hands that buffer to the next
/// machine, so that nothing is lost between two machines in plaintext and nothing can slip across
/// the upgrade unseen. While it waits it holds what is unread, and no other memory.
pub struct Driver<'o, S> {
    pub(crate) stream: S,
    pub(crate) link: Link<'o>,
}

impl<S> fmt::Debug for Driver<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").field("link", &self.link).finish_non_exhaustive()
    }
}

impl<'o, S: AsyncRead + AsyncWrite + Unpin> Driver<'o, S> {
    /// A driver for a fresh connection; the total time starts now.
    pub fn new(stream: S, timeouts: Timeouts, observer: impl Observer + Send + 'o) -> Self {
        Self::over(stream, Link::new(timeouts, now(), observer))
    }

    pub(crate) const fn over(stream: S, link: Link<'o>) -> Self {
        Self { stream, link }
    }

    /// Received and not yet consumed.
    #[must_use]
    pub fn unread(&self) -> &[u8] {
        self.link.unread()
    }

    /// What watches, to tell it more.
    pub fn observer(&mut self) -> &mut (dyn Observer + Send + 'o) {
        self.link.observer()
    }

    /// Ends the driver; anything unread is lost.
    pub fn into_stream(self) -> S {
        self.stream
    }

    /// Runs a machine until `on_event` breaks; `None` if the peer ended the connection where the
    /// protocol lets it. What `on_event` puts into the vector is said next. When it breaks, what was
    /// said leaves with the next call of `run` or [`send`](Self::send), or by [`flush`](Self::flush).
    ///
    /// Cancel safe: nothing that was received or is to be sent gets lost, and the next call goes on
    /// where this one was, given the same machine.
    ///
    /// # Errors
    /// Those of the machine, of the stream and of `on_event`.
    pub async fn run<M: Machine, T>(
        &mut self,
        machine: &mut M,
        on_event: impl FnMut(&mut M, M::Event<'_>, &mut Vec<u8>) -> Result<ControlFlow<T>, Error>,
    ) -> Result<Option<T>, Error> {
        self.run_discreetly(machine, |_| false, on_event).await
    }

    /// The same, where an event tells whether its bytes carry a credential.
    pub(crate) async fn run_discreetly<M: Machine, T>(
        &mut self,
        machine: &mut M,
        is_credential: impl Fn(M::Event<'_>) -> bool,
        mut on_event: impl FnMut(&mut M, M::Event<'_>, &mut Vec<u8>) -> Result<ControlFlow<T>, Error>,
    ) -> Result<Option<T>, Error> {
        loop {
            match self.link.next(machine, now(), &is_credential, &mut on_event)? {
                // The driver knows whether the time is over.
                Turn::Write(until) => drop(self.write(until).await?),
                Turn::Flush(until) => drop(self.flush_stream(until).await?),
                Turn::Read(until) => self.read(until).await?,
                Turn::Shutdown => drop(self.stream.shutdown().await),
                Turn::Done(value) => return Ok(value),
            }
        }
    }

    /// Sends octets that no machine asked for.
    ///
    /// Cancel safe: what was not sent is sent by the next call.
    ///
    /// # Errors
    /// Those of the stream.
    pub async fn send(&mut self, octets: &[u8]) -> Result<(), Error> {
        self.link.say(octets);
        self.flush().await
    }

    /// Sends what was said.
    ///
    /// Cancel safe: what was not sent is sent by the next call.
    ///
    /// # Errors
    /// Those of the stream.
    pub async fn flush(&mut self) -> Result<(), Error> {
        while let Some(turn) = self.link.flush(now()) {
            let in_time = match turn {
                Turn::Write(until) => self.write(until).await?,
                Turn::Flush(until) => self.flush_stream(until).await?,
                _ => true,
            };
            if !in_time {
                return Err(self.link.error(Rule::TimedOut));
            }
        }
        Ok(())
    }

    /// Says goodbye below the protocol: TLS's close_notify, TCP's FIN.
    ///
    /// # Errors
    /// Those of the stream; a peer that is gone already is none.
    pub async fn close(mut self) -> Result<(), Error> {
        self.flush().await?;
        let until = self.link.write_deadline(now()).into();
        match timeout_at(until, self.stream.shutdown()).await {
            Ok(Err(error)) if !is_gone(&error) => Err(Error::io(Doing::Closing)(error)),
            Ok(_) => Ok(()),
            Err(_) => Err(self.link.error(Rule::TimedOut)),
        }
    }

    /// Whether it was in time.
    async fn write(&mut self, until: std::time::Instant) -> Result<bool, Error> {
        let write = self.stream.write(self.link.unsent());
        match timeout_at(until.into(), write).await {
            Ok(Ok(n)) => self.link.sent(n),
            Ok(Err(error)) => self.link.failed(Doing::Sending, error)?,
            Err(_) => return Ok(false),
        }
        Ok(true)
    }

    async fn flush_stream(&mut self, until: std::time::Instant) -> Result<bool, Error> {
        match timeout_at(until.into(), self.stream.flush()).await {
            Ok(Ok(())) => self.link.flushed(),
            Ok(Err(error)) => self.link.failed(Doing::Sending, error)?,
            Err(_) => return Err(self.link.error(Rule::TimedOut)),
        }
        Ok(true)
    }

    async fn read(&mut self, until: std::time::Instant) -> Result<(), Error> {
        match timeout_at(until.into(), self.more()).await {
            Ok(Err(error)) => self.link.failed(Doing::Receiving, error),
            Ok(Ok(())) | Err(_) => Ok(()),
        }
    }

    /// Receives what there is, or the end.
    fn more(&mut self) -> impl Future<Output = io::Result<()>> {
        poll_fn(|cx| {
            // Only while there is something: ten thousand that wait have no buffer.
            let mut room = [MaybeUninit::uninit(); READ];
            let mut room = ReadBuf::uninit(&mut room);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut room))?;
            match room.filled() {
                [] => self.link.received(0),
                bytes => self.link.receive(bytes),
            }
            Poll::Ready(Ok(()))
        })
    }
}

/// Whether the peer is gone, however that shows.
fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::NotConnected
    )
}

/// The runtime's time, which a test may move.
pub(crate) fn now() -> std::time::Instant {
    Instant::now().into_std()
}
