//! TLS by rustls, see [`ClientTls`] and [`ServerTls`].

use embedded_io_async::{ErrorType, Read, Write};
use starttls::Verification;
use starttls_rustls::{Connection, Engine};

use crate::rustls::{ClientTls, Error, Mute, MuteServer, Next, ServerTls};
use crate::rustls::{read, received, sent, shake, write};

/// An encrypted stream over a socket.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Stream<S, E: Engine> {
    connection: Connection<E>,
    socket: S,
}

impl<S: Read + Write, E: Engine> Stream<S, E> {
    async fn run<T>(
        &mut self,
        mut step: impl FnMut(&mut Connection<E>) -> Result<Next<T>, Error>,
    ) -> Result<T, Error> {
        loop {
            let next = step(&mut self.connection);
            match next {
                Ok(Next::Done(value)) => return Ok(value),
                Ok(Next::Send) => self.send().await?,
                Ok(Next::Receive) => {
                    self.send().await?;
                    let octets = self.socket.read(self.connection.receive_buffer()).await;
                    received(&mut self.connection, octets)?;
                }
                Err(error) => {
                    // Sends the alert that explains the failure. The connection has failed already, so its
                    // error is ignored.
                    let _ = self.send().await;
                    return Err(error);
                }
            }
        }
    }

    async fn send(&mut self) -> Result<(), Error> {
        while !self.connection.to_send().is_empty() {
            let octets = self.socket.write(self.connection.to_send()).await;
            sent(&mut self.connection, octets)?;
        }
        self.socket.flush().await.map_err(|error| Error::Socket(embedded_io::Error::kind(&error)))
    }
}

impl<S, E: Engine> ErrorType for Stream<S, E> {
    type Error = Error;
}

impl<S: Read + Write, E: Engine> Read for Stream<S, E> {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, Error> {
        self.run(|connection| read(connection, buf)).await
    }
}

impl<S: Read + Write, E: Engine> Write for Stream<S, E> {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, Error> {
        self.run(|connection| write(connection, buf)).await
    }

    async fn flush(&mut self) -> Result<(), Error> {
        self.send().await
    }
}

impl<S: Read + Write, E: Engine> super::Stream for Stream<S, E> {
    async fn close(mut self) -> Result<(), Error> {
        self.send().await?;
        self.connection.close()?;
        self.send().await
    }
}

impl super::Connect for ClientTls {
    type Error = Error;
    type Stream<'t, S: Read + Write + 't> = Stream<S, starttls::Client<Mute>>;

    async fn connect<'t, S: Read + Write + 't>(
        &'t mut self,
        socket: S,
        alpn: Option<&'static [u8]>,
    ) -> Result<(Self::Stream<'t, S>, Verification), Error> {
        let mut stream = Stream { connection: self.begin(alpn), socket };
        let verification = stream.run(shake).await?;
        Ok((stream, verification))
    }
}

impl super::Accept for ServerTls {
    type Error = Error;
    type Stream<'t, S: Read + Write + 't> = Stream<S, starttls::Server<MuteServer>>;

    async fn accept<'t, S: Read + Write + 't>(
        &'t mut self,
        socket: S,
        early: &[u8],
    ) -> Result<Self::Stream<'t, S>, Error> {
        let mut stream = Stream { connection: self.begin(early)?, socket };
        stream.run(shake).await?;
        stream.send().await?;
        Ok(stream)
    }
}
