use std::ops::ControlFlow;

use starttls::Machine;
use starttls_common::{self as common, Error, Observer, Timeouts, ready};

use crate::{Blocking, Socket};

/// Drives machines over a blocking stream.
///
/// It reads only into the buffer that the machine reads from, and the next machine continues with that
/// buffer. So no plaintext is lost between two machines, and none crosses the upgrade unseen.
///
/// ```no_run
/// use std::net::TcpStream;
/// use std::time::Duration;
///
/// use starttls::{Policy, smtp};
/// use starttls_std::{ClientTls, Driver, Error, Silent, Timeouts, Upgraded, upgrade_or_plaintext};
///
/// /// Upgrades within ten seconds, or continues in plaintext.
/// fn upgrade(stream: TcpStream, tls: &ClientTls) -> Result<(), Error> {
///     let timeouts = Timeouts::new().with_total(Duration::from_secs(10));
///     let driver = Driver::new(stream, timeouts, Silent);
///     let name = smtp::Domain::new("client.example.org").expect("a constant");
///     let client = smtp::Client::new(name, Policy::Opportunistic);
///     match upgrade_or_plaintext(driver, client, tls, "mail.example.org")? {
///         Upgraded::Tls(driver, _tls) => drop(driver.into_stream()),
///         Upgraded::Plaintext(driver, _plaintext) => drop(driver.into_stream()),
///     }
///     Ok(())
/// }
/// ```
#[derive(Debug)]
pub struct Driver<'o, S>(pub(crate) common::Driver<'o, S, Blocking>);

impl<'o, S: Socket> Driver<'o, S> {
    /// A driver for a new connection. The total time starts now.
    pub fn new(stream: S, timeouts: Timeouts, observer: impl Observer + Send + 'o) -> Self {
        Self(common::Driver::new(stream, timeouts, observer))
    }

    /// The bytes that were received and not yet consumed.
    #[must_use]
    pub fn unread(&self) -> &[u8] {
        self.0.unread()
    }

    /// The observer.
    pub fn observer(&mut self) -> &mut (dyn Observer + Send + 'o) {
        self.0.observer()
    }

    /// The stream. Unread bytes are lost.
    pub fn into_stream(self) -> S {
        self.0.into_stream()
    }

    /// Runs a machine until `on_event` breaks.
    ///
    /// `None` means that the peer ended the connection where the protocol allows it. The bytes that
    /// `on_event` appends to the vector are sent next. After a break they leave with the next call of `run`
    /// or [`send`](Self::send), or with [`flush`](Self::flush).
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

    /// Sends bytes without a machine.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn send(&mut self, octets: &[u8]) -> Result<(), Error> {
        ready(self.0.send(octets))
    }

    /// Sends the pending output.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn flush(&mut self) -> Result<(), Error> {
        ready(self.0.flush())
    }

    /// Closes the connection: TLS's close_notify and TCP's FIN.
    ///
    /// # Errors
    /// Those of the stream. A peer that is already gone is no error.
    pub fn close(self) -> Result<(), Error> {
        ready(self.0.close())
    }
}
