use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::ops::ControlFlow;
use std::time::Instant;

use starttls::{Error as Rule, Machine};

use crate::error::is_gone;
use crate::{Doing, Error, Link, Observer, PeerCertificate, PeerTls, Runtime, Timeouts, Turn};

/// The bytes of a message that leave within one wait: one TLS record.
const PASSED: usize = 16 * 1024;

/// Drives machines over a stream `S`, with the I/O of `R`.
///
/// It reads only into the buffer that the machine reads from, and the next machine continues with that
/// buffer. So no plaintext is lost between two machines, and none crosses the upgrade unseen. While it waits,
/// it holds the unread bytes and no other memory.
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
    /// A driver for a new connection. The total time starts now.
    pub fn new(stream: S, timeouts: Timeouts, observer: impl Observer + Send + 'o) -> Self {
        Self::over(stream, Link::new(timeouts, R::now(), observer))
    }

    /// A driver that takes over a link.
    pub const fn over(stream: S, link: Link<'o>) -> Self {
        Self { stream, link, runtime: PhantomData }
    }

    /// The stream and the link, for [`over`](Self::over).
    pub fn into_parts(self) -> (S, Link<'o>) {
        (self.stream, self.link)
    }

    /// The stream.
    #[must_use]
    pub const fn stream(&self) -> &S {
        &self.stream
    }

    /// The bytes that were received and not yet consumed.
    #[must_use]
    pub fn unread(&self) -> &[u8] {
        self.link.unread()
    }

    /// On a server: the client's certificate, if the configuration requests one. The configuration's verifier
    /// has accepted it.
    #[must_use]
    pub fn certificate(&self) -> Option<&PeerCertificate> {
        self.link.certificate()
    }

    /// On a server: the agreed TLS, after the handshake.
    #[must_use]
    pub fn tls(&self) -> Option<&PeerTls> {
        self.link.tls().map(|tls| &**tls)
    }

    /// The observer.
    pub fn observer(&mut self) -> &mut (dyn Observer + Send + 'o) {
        self.link.observer()
    }

    /// Keeps the peer's words out of errors: on a server they may contain a password.
    pub const fn never_quote(&mut self) {
        self.link.never_quote();
    }

    /// The stream. Unread bytes are lost.
    pub fn into_stream(self) -> S {
        self.stream
    }

    /// Runs a machine until `on_event` breaks.
    ///
    /// `None` means that the peer ended the connection where the protocol allows it. The bytes that
    /// `on_event` appends to the vector are sent next. After a break they leave with the next call of `run`
    /// or [`send`](Self::send), or with [`flush`](Self::flush).
    ///
    /// This method is cancel safe: no received or unsent byte is lost, and the next call with the same
    /// machine continues.
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

    /// Like [`run`](Self::run), but keeps credentials from the observer. `is_credential` tells whether an
    /// event's bytes carry one.
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
                // A write that timed out is no error here: the link checks the deadline on its next turn.
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

    /// Sends bytes without a machine.
    ///
    /// This method is cancel safe: the next call sends the rest.
    ///
    /// # Errors
    /// Those of the stream.
    pub async fn send(&mut self, octets: &[u8]) -> Result<(), Error> {
        self.link.say(octets);
        self.flush().await
    }

    /// Sends the pending output.
    ///
    /// This method is cancel safe: the next call sends the rest.
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

    /// Writes bytes that are not in the buffer. Nothing may be unsent before them.
    ///
    /// Each [`PASSED`] bytes have one wait, so that a peer gains no time by reading single bytes.
    pub(crate) async fn pass(&mut self, octets: &[u8]) -> Result<(), Error> {
        for piece in octets.chunks(PASSED) {
            let until = self.link.write_deadline(R::now());
            self.pass_within(piece, until).await?;
        }
        Ok(())
    }

    async fn pass_within(&mut self, mut octets: &[u8], until: Instant) -> Result<(), Error> {
        self.link.observer().sent(octets);
        while !octets.is_empty() {
            match R::write(&mut self.stream, octets, until).await {
                Ok(Some(0)) => return Err(self.link.error(Rule::Closed)),
                Ok(Some(n)) => {
                    self.link.passed();
                    octets = &octets[n..];
                }
                Ok(None) if R::now() >= until => return Err(self.link.error(Rule::TimedOut)),
                Ok(None) => {}
                Err(error) => {
                    self.broken(error, until).await?;
                    return Err(self.link.error(Rule::Closed));
                }
            }
        }
        Ok(())
    }

    /// Closes the connection: TLS's close_notify and TCP's FIN.
    ///
    /// # Errors
    /// Those of the stream. A peer that is already gone is no error.
    pub async fn close(mut self) -> Result<(), Error> {
        self.flush().await?;
        let until = self.link.write_deadline(R::now());
        match R::shutdown(&mut self.stream, until).await {
            Err(error) if !is_gone(error.kind()) => Err(Error::io(Doing::Closing)(error)),
            Ok(false) => Err(self.link.error(Rule::TimedOut)),
            _ => Ok(()),
        }
    }

    /// Writes once. `false` if the stream accepted nothing in time.
    async fn write(&mut self, until: Instant) -> Result<bool, Error> {
        match R::write(&mut self.stream, self.link.unsent(), until).await {
            Ok(Some(n)) => self.link.sent(n),
            Ok(None) => return Ok(false),
            Err(error) => Box::pin(self.broken(error, until)).await?,
        }
        Ok(true)
    }

    async fn flush_stream(&mut self, until: Instant) -> Result<(), Error> {
        match R::flush(&mut self.stream, until).await {
            Ok(true) => self.link.flushed(),
            Ok(false) if R::now() < until => {}
            Ok(false) => return Err(self.link.error(Rule::TimedOut)),
            Err(error) => Box::pin(self.broken(error, until)).await?,
        }
        Ok(())
    }

    /// Handles a failed write. A TLS peer that closed the connection may have sent an alert that still waits
    /// to be read; it explains more than a broken pipe.
    async fn broken(&mut self, error: io::Error, until: Instant) -> Result<(), Error> {
        if is_gone(error.kind()) {
            let read = R::read(&mut self.stream, &mut self.link, until).await;
            if let Err(alert @ Error::Tls(_)) = read.map_err(Error::io(Doing::Receiving)) {
                return Err(alert);
            }
        }
        self.link.failed(Doing::Sending, error)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Error as IoError, ErrorKind};

    use rustls::AlertDescription;

    use super::*;
    use crate::{Silent, ready};

    /// A stream that can no longer be written; the function is the error of its next read.
    struct Gone(fn() -> IoError);

    enum Broken {}

    impl Runtime<Gone> for Broken {
        fn now() -> Instant {
            Instant::now()
        }

        async fn read(stream: &mut Gone, _: &mut Link<'_>, _: Instant) -> io::Result<bool> {
            Err((stream.0)())
        }

        async fn write(_: &mut Gone, _: &[u8], _: Instant) -> io::Result<Option<usize>> {
            Err(ErrorKind::BrokenPipe.into())
        }

        async fn flush(_: &mut Gone, _: Instant) -> io::Result<bool> {
            Err(ErrorKind::BrokenPipe.into())
        }

        async fn shutdown(_: &mut Gone, _: Instant) -> io::Result<bool> {
            Ok(true)
        }
    }

    #[test]
    fn an_alert_counts_more_than_a_broken_pipe() {
        fn alert() -> IoError {
            let alert = rustls::Error::AlertReceived(AlertDescription::CertificateRequired);
            IoError::new(ErrorKind::InvalidData, alert)
        }
        let failed = |waiting| {
            let mut driver =
                Driver::<Gone, Broken>::new(Gone(waiting), Timeouts::default(), Silent);
            ready(driver.send(b"EHLO me\r\n")).expect_err("nothing is written")
        };
        assert!(matches!(failed(alert), Error::Tls(rustls::Error::AlertReceived(_))));
        let sending = failed(|| ErrorKind::ConnectionReset.into());
        assert!(matches!(sending, Error::Io { doing: Doing::Sending, .. }), "{sending}");
    }
}
