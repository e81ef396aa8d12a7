use std::ops::ControlFlow;

use starttls::Machine;
use starttls_common::{self as common, Error, Observer, Timeouts, ready};

use crate::{Blocking, Socket};

/// Drives machines over a blocking stream: reads when they need more, writes what they say.
///
/// It reads ahead only into the buffer that the machine looks at, and hands that buffer to the next
/// machine, so that nothing is lost between two machines in plaintext and nothing can slip across
/// the upgrade unseen.
#[derive(Debug)]
pub struct Driver<'o, S>(pub(crate) common::Driver<'o, S, Blocking>);

impl<'o, S: Socket> Driver<'o, S> {
    /// A driver for a fresh connection; the total time starts now.
    pub fn new(stream: S, timeouts: Timeouts, observer: impl Observer + Send + 'o) -> Self {
        Self(common::Driver::new(stream, timeouts, observer))
    }

    /// Received and not yet consumed.
    #[must_use]
    pub fn unread(&self) -> &[u8] {
        self.0.unread()
    }

    /// What watches, to tell it more.
    pub fn observer(&mut self) -> &mut (dyn Observer + Send + 'o) {
        self.0.observer()
    }

    /// Ends the driver; anything unread is lost.
    pub fn into_stream(self) -> S {
        self.0.into_stream()
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
        ready(self.0.run(machine, on_event))
    }

    /// Sends octets that no machine asked for.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn send(&mut self, octets: &[u8]) -> Result<(), Error> {
        ready(self.0.send(octets))
    }

    /// Sends what was said.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn flush(&mut self) -> Result<(), Error> {
        ready(self.0.flush())
    }

    /// Says goodbye below the protocol: TLS's close_notify, TCP's FIN.
    ///
    /// # Errors
    /// Those of the stream; a peer that is gone already is none.
    pub fn close(self) -> Result<(), Error> {
        ready(self.0.close())
    }
}
