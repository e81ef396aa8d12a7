use std::fmt;
use std::io::ErrorKind;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use starttls::Machine;
use starttls_common::{Doing, Error, Link, Observer, Timeouts, Turn};

use crate::socket::{Socket, is_gone, is_timeout};

/// How much is read at a time: one TLS record.
const READ: usize = 16 * 1024;

/// Drives machines over a blocking stream: reads when they need more, writes what they say.
///
/// It reads ahead only into the buffer that the machine looks at, and hands that buffer to the next
/// machine, so that nothing is lost between two machines in plaintext and nothing can slip across
/// the upgrade unseen.
pub struct Driver<'o, S> {
    pub(crate) stream: S,
    pub(crate) link: Link<'o>,
    /// What the stream was told last.
    timeout: Option<Duration>,
}

impl<S> fmt::Debug for Driver<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").field("link", &self.link).finish_non_exhaustive()
    }
}

impl<'o, S: Socket> Driver<'o, S> {
    /// A driver for a fresh connection; the total time starts now.
    pub fn new(stream: S, timeouts: Timeouts, observer: impl Observer + Send + 'o) -> Self {
        Self::over(stream, Link::new(timeouts, Instant::now(), observer))
    }

    pub(crate) const fn over(stream: S, link: Link<'o>) -> Self {
        Self { stream, link, timeout: None }
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
    /// # Errors
    /// Those of the machine, of the stream and of `on_event`.
    pub fn run<M: Machine, T>(
        &mut self,
        machine: &mut M,
        on_event: impl FnMut(&mut M, M::Event<'_>, &mut Vec<u8>) -> Result<ControlFlow<T>, Error>,
    ) -> Result<Option<T>, Error> {
        self.run_discreetly(machine, |_| false, on_event)
    }

    /// The same, where an event tells whether its bytes carry a credential.
    pub(crate) fn run_discreetly<M: Machine, T>(
        &mut self,
        machine: &mut M,
        is_credential: impl Fn(M::Event<'_>) -> bool,
        mut on_event: impl FnMut(&mut M, M::Event<'_>, &mut Vec<u8>) -> Result<ControlFlow<T>, Error>,
    ) -> Result<Option<T>, Error> {
        loop {
            match self.link.next(machine, Instant::now(), &is_credential, &mut on_event)? {
                Turn::Write(until) => self.write(until)?,
                Turn::Flush(until) => self.flush_stream(until)?,
                Turn::Read(until) => self.read(until)?,
                Turn::Shutdown => drop(self.stream.finish()),
                Turn::Done(value) => return Ok(value),
            }
        }
    }

    /// Sends octets that no machine asked for.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn send(&mut self, octets: &[u8]) -> Result<(), Error> {
        self.link.say(octets);
        self.flush()
    }

    /// Sends what was said.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn flush(&mut self) -> Result<(), Error> {
        while let Some(turn) = self.link.flush(Instant::now()) {
            match turn {
                Turn::Write(until) => {
                    self.write(until)?;
                    self.in_time(until)?;
                }
                Turn::Flush(until) => {
                    self.flush_stream(until)?;
                    self.in_time(until)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Says goodbye below the protocol: TLS's close_notify, TCP's FIN.
    ///
    /// # Errors
    /// Those of the stream; a peer that is gone already is none.
    pub fn close(mut self) -> Result<(), Error> {
        self.flush()?;
        match self.stream.finish() {
            Err(error) if !is_gone(&error) => Err(Error::io(Doing::Closing)(error)),
            _ => Ok(()),
        }
    }

    fn write(&mut self, until: Instant) -> Result<(), Error> {
        self.bound(until)?;
        let unsent = self.link.unsent();
        match self.stream.write(&unsent[..unsent.len().min(READ)]) {
            Ok(n) => self.link.sent(n),
            Err(error) if is_timeout(&error) || error.kind() == ErrorKind::Interrupted => {}
            Err(error) => self.link.failed(Doing::Sending, error)?,
        }
        Ok(())
    }

    fn flush_stream(&mut self, until: Instant) -> Result<(), Error> {
        self.bound(until)?;
        match self.stream.flush() {
            Ok(()) => self.link.flushed(),
            Err(error) if is_timeout(&error) || error.kind() == ErrorKind::Interrupted => {
                self.in_time(until)?;
            }
            Err(error) => self.link.failed(Doing::Sending, error)?,
        }
        Ok(())
    }

    fn read(&mut self, until: Instant) -> Result<(), Error> {
        self.bound(until)?;
        self.stream.acknowledge();
        match self.stream.receive(self.link.room(READ)) {
            Ok(Some(n)) => self.link.received(n),
            Ok(None) => {}
            // The driver knows whether the time is over.
            Err(error) if is_timeout(&error) || error.kind() == ErrorKind::Interrupted => {}
            Err(error) => self.link.failed(Doing::Receiving, error)?,
        }
        Ok(())
    }

    /// Where no machine looks at the clock.
    fn in_time(&self, until: Instant) -> Result<(), Error> {
        if Instant::now() < until || self.link.unsent().is_empty() {
            return Ok(());
        }
        Err(self.link.error(starttls::Error::TimedOut))
    }

    /// Has the next wait of the stream end then: a little early rather than by another system call.
    fn bound(&mut self, until: Instant) -> Result<(), Error> {
        let left = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        let is_near = |set: Duration| set >= left / 2 && set <= left + left / 64;
        if !self.timeout.is_some_and(is_near) {
            self.stream.set_timeout(left).map_err(Error::io(Doing::SettingUp))?;
            self.timeout = Some(left);
        }
        Ok(())
    }
}
