//! TLS 1.3 by [`embedded_tls`], see [`ClientTls`].

use embedded_io_async::{ErrorType, Read, Write};
use embedded_tls::{TlsConnection, TlsContext};
use rand_core::CryptoRngCore;
use starttls::Verification;

use crate::conceal::conceal;
use crate::embedded_tls::{
    ClientCertificate, ClientTls, Error, Provider, config, expected, failed, outcome, read,
};
use crate::guard::{Guard, Guarded};
use crate::verify::{Judge, Suite, Time};

/// An encrypted stream over a socket.
pub struct Stream<'t, S: Read + Write> {
    connection: TlsConnection<'t, Guarded<'t, S>, Suite>,
    guard: &'t Guard,
}

conceal!("Stream", Stream<'_, S> [S: Read + Write]);

impl<S: Read + Write> ErrorType for Stream<'_, S> {
    type Error = Error;
}

impl<S: Read + Write> Read for Stream<'_, S> {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, Error> {
        if self.guard.closed.get() {
            return Ok(0);
        }
        self.guard.awaits_data();
        read(self.connection.read(buf).await, self.guard)
    }
}

impl<S: Read + Write> Write for Stream<'_, S> {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, Error> {
        self.connection.write(buf).await.map_err(|error| failed(error, self.guard))
    }

    async fn flush(&mut self) -> Result<(), Error> {
        self.connection.flush().await.map_err(|error| failed(error, self.guard))
    }
}

impl<S: Read + Write> super::Stream for Stream<'_, S> {
    async fn close(self) -> Result<(), Error> {
        let Self { connection, guard } = self;
        connection.close().await.map_or_else(|(_, error)| Err(failed(error, guard)), |_| Ok(()))
    }
}

impl<R: CryptoRngCore, T: Time, C: ClientCertificate> super::Connect for ClientTls<'_, R, T, C> {
    type Error = Error;
    type Stream<'t, S: Read + Write + 't>
        = Stream<'t, S>
    where
        Self: 't;

    async fn connect<'t, S: Read + Write + 't>(
        &'t mut self,
        socket: S,
        alpn: Option<&'static [u8]>,
    ) -> Result<(Stream<'t, S>, Verification), Error> {
        let (name, indication) = expected(self.name)?;
        let config = config(indication, alpn.as_slice(), self.fragment);
        let mut judge = Judge::new(&name, self.anchors, &mut self.time)?;
        self.guard = Guard::new();
        let guard = &self.guard;
        let mut connection = TlsConnection::new(Guarded { socket, guard }, self.read, self.write);
        let certificate = &self.certificate;
        let provider = Provider { random: &mut self.random, judge: &mut judge, certificate };
        let opened = connection.open(TlsContext::new(&config, provider)).await;
        outcome(opened, &judge, guard)
            .map(|verification| (Stream { connection, guard }, verification))
    }
}
