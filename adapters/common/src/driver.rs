use std::fmt;
use std::io::ErrorKind;
use std::marker::PhantomData;
use std::ops::ControlFlow;
use std::time::Instant;

use starttls::{Error as Rule, Machine};

use crate::{Doing, Error, Link, Observer, Runtime, Timeouts, Turn};

/// Drives machines over a stream `S`, by the kind of I/O `R`: reads when they need more, writes what they say.
///
/// It reads ahead only into the buffer that the machine looks at, and hands that buffer to the next
/// machine, so that nothing is lost between two machines in plaintext and nothing can slip across
/// the upgrade unseen. While it waits it holds what is unread, and no other memory.
pub struct Driver<'o, S, R> {
    pub(crate) stream: S,
    pub(crate) link: Link<'o>,
    runtime: PhantomData<fn() -> R>,
}

impl<S, R> fmt::Debug for Driver<'_, S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").field("link", &self.link).finish_non_exhaustive()
    }
}

impl<'o, S, R: Runtime<S>> Driver<'o, S, R> {
    /// A driver for a fresh connection; the total time starts now.
    pub fn new(stream: S, timeouts: Timeouts, observer: impl Observer + Send + 'o) -> Self {
        Self::over(stream, Link::new(timeouts, R::now(), observer))
    }

    /// A driver that takes over a link.
    pub const fn over(stream: S, link: Link<'o>) -> Self {
        Self { stream, link, runtime: PhantomData }
    }

    /// The stream, and the link to take it over.
    pub fn into_parts(self) -> (S, Link<'o>) {
        (self.stream, self.link)
    }

    /// The stream.
    #[must_use]
    pub const fn stream(&self) -> &S {
        &self.stream
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

    /// Errors will not say what the peer said: a client may have said its password.
    pub const fn never_quote(&mut self) {
        self.link.never_quote();
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

    /// The same, where an event tells whether its bytes carry a credential, which the observer is not shown.
    ///
    /// # Errors
    /// Those of [`run`](Self::run).
    pub async fn run_discreetly<M: Machine, T>(
        &mut self,
        machine: &mut M,
        is_credential: impl Fn(M::Event<'_>) -> bool,
        mut on_event: impl FnMut(&mut M, M::Event<'_>, &mut Vec<u8>) -> Result<ControlFlow<T>, Error>,
    ) -> Result<Option<T>, Error> {
        loop {
            match self.link.next(machine, R::now(), &is_credential, &mut on_event)? {
                // The link knows whether the time is over.
                Turn::Write(until) => drop(self.write(until).await?),
                Turn::Flush(until) => self.flush_stream(until).await?,
                Turn::Read(until) => {
                    if let Err(error) = R::read(&mut self.stream, &mut self.link, until).await {
                        self.link.failed(Doing::Receiving, error)?;
                    }
                }
                Turn::Shutdown => {
                    let until = self.link.write_deadline(R::now());
                    let _ = R::shutdown(&mut self.stream, until).await;
                }
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
        while let Some(turn) = self.link.flush(R::now()) {
            match turn {
                Turn::Write(until) if !self.write(until).await? && R::now() >= until => {
                    return Err(self.link.error(Rule::TimedOut));
                }
                Turn::Flush(until) => self.flush_stream(until).await?,
                _ => {}
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
        let until = self.link.write_deadline(R::now());
        match R::shutdown(&mut self.stream, until).await {
            Err(error) if !is_gone(error.kind()) => Err(Error::io(Doing::Closing)(error)),
            Ok(false) => Err(self.link.error(Rule::TimedOut)),
            _ => Ok(()),
        }
    }

    /// Whether anything was written.
    async fn write(&mut self, until: Instant) -> Result<bool, Error> {
        match R::write(&mut self.stream, self.link.unsent(), until).await {
            Ok(Some(n)) => self.link.sent(n),
            Ok(None) => return Ok(false),
            Err(error) => self.link.failed(Doing::Sending, error)?,
        }
        Ok(true)
    }

    async fn flush_stream(&mut self, until: Instant) -> Result<(), Error> {
        match R::flush(&mut self.stream, until).await {
            Ok(true) => self.link.flushed(),
            Ok(false) if R::now() < until => {}
            Ok(false) => return Err(self.link.error(Rule::TimedOut)),
            Err(error) => self.link.failed(Doing::Sending, error)?,
        }
        Ok(())
    }
}

/// Whether the peer is gone, however that shows.
const fn is_gone(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::UnexpectedEof
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe
            | ErrorKind::NotConnected
    )
}
