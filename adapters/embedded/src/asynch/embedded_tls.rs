//! TLS 1.3 by [`embedded_tls`], see [`ClientTls`].

use embedded_io_async::{ErrorType, Read, Write};
use embedded_tls::{TlsConnection, TlsContext};
use rand_core::CryptoRngCore;
use starttls::Verification;

use crate::conceal::conceal;
use crate::embedded_tls::{ClientTls, Error, Provider, config, expected, outcome, read};
use crate::verify::{Judge, Suite, Time};

/// An encrypted stream, over a socket.
pub struct Stream<'t, S: Read + Write>(TlsConnection<'t, S, Suite>);

conceal!("Stream", Stream<'_, S> [S: Read + Write]);

impl<S: Read + Write> ErrorType for Stream<'_, S> {
    type Error = Error;
}

impl<S: Read + Write> Read for Stream<'_, S> {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, Error> {
        read(self.0.read(buf).await)
    }
}

impl<S: Read + Write> Write for Stream<'_, S> {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, Error> {
        self.0.write(buf).await.map_err(Error::Tls)
    }

    async fn flush(&mut self) -> Result<(), Error> {
        self.0.flush().await.map_err(Error::Tls)
    }
}

impl<S: Read + Write> super::Stream for Stream<'_, S> {
    async fn close(self) -> Result<(), Error> {
        self.0.close().await.map_or_else(|(_, error)| Err(Error::Tls(error)), |_| Ok(()))
    }
}

impl<R: CryptoRngCore, T: Time> super::Connect for ClientTls<'_, R, T> {
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
        let mut connection = TlsConnection::new(socket, self.read, self.write);
        let provider = Provider { random: &mut self.random, judge: &mut judge };
        let opened = connection.open(TlsContext::new(&config, provider)).await;
        outcome(opened, &judge).map(|verification| (Stream(connection), verification))
    }
}
