//! TLS 1.2 and 1.3 by [rustls](https://docs.rs/rustls) 0.23 through [`starttls_rustls`], in both roles, with
//! a heap.
//!
//! The caller's configurations of rustls provide the cryptography, the verifier and the clock.

use crate::conceal::conceal;
use alloc::sync::Arc;
use core::fmt;

use embedded_io::{ErrorKind, ErrorType, Read, Write};
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ServerConfig};
use starttls::smtp::{ClientGrammar, ServerGrammar, Smtp};
use starttls::{Policy, Verification};
use starttls_rustls::{Client, Connection, Engine, Event, Server, Step};

/// A grammar without an ALPN id. Its machine never runs; it only fills the type.
pub(crate) type Mute = ClientGrammar<'static, Smtp>;
pub(crate) type MuteServer = ServerGrammar<'static, Smtp>;

/// Why TLS failed.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Error {
    /// The TLS protocol failed, for example the verification of a certificate.
    Tls(starttls_rustls::Error),
    /// The socket below TLS failed.
    Socket(#[cfg_attr(feature = "defmt", defmt(Debug2Format))] ErrorKind),
}

impl From<starttls_rustls::Error> for Error {
    fn from(error: starttls_rustls::Error) -> Self {
        Self::Tls(error)
    }
}

impl embedded_io::Error for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Socket(kind) => *kind,
            Self::Tls(starttls_rustls::Error::Truncated) => ErrorKind::ConnectionAborted,
            Self::Tls(error) if error.protocol() == Some(starttls::Error::Closed) => {
                ErrorKind::ConnectionAborted
            }
            Self::Tls(_) => ErrorKind::Other,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tls(error) => error.fmt(f),
            Self::Socket(kind) => write!(f, "the socket: {kind:?}"),
        }
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Tls(error) => Some(error),
            Self::Socket(_) => None,
        }
    }
}

/// A client's TLS: the name of the server, and the configuration of rustls.
#[derive(Clone)]
pub struct ClientTls {
    name: ServerName<'static>,
    config: Arc<ClientConfig>,
    verifier: Option<Arc<dyn ServerCertVerifier>>,
}

conceal!("ClientTls", ClientTls);

impl ClientTls {
    /// Expects a certificate with `name`: the name that the caller asked for, never one that the server sent.
    ///
    /// Every certificate that the verifier of `config` accepts counts as verified, so it must not accept
    /// every one.
    #[must_use]
    pub const fn new(name: ServerName<'static>, config: Arc<ClientConfig>) -> Self {
        Self { name, config, verifier: None }
    }

    /// Completes the handshake with any certificate; `verifier` then decides whether the server is verified.
    ///
    /// A policy that requires TLS still rejects an unverified server, after the handshake.
    #[must_use]
    pub fn lenient(
        name: ServerName<'static>,
        config: Arc<ClientConfig>,
        verifier: Arc<dyn ServerCertVerifier>,
    ) -> Self {
        Self { name, config, verifier: Some(verifier) }
    }

    pub(crate) fn begin(&self, alpn: Option<&'static [u8]>) -> Client<Mute> {
        let mut config = Arc::clone(&self.config);
        if let Some(alpn) = alpn {
            Arc::make_mut(&mut config).alpn_protocols.push(alpn.to_vec());
        }
        let tls = match &self.verifier {
            Some(verifier) => starttls_rustls::ClientTls::lenient(config, Arc::clone(verifier)),
            None => starttls_rustls::ClientTls::new(config),
        };
        // Opportunistic, because the caller of the handshake applies the policy to its verdict.
        Client::implicit(Policy::Opportunistic, &tls, self.name.clone())
    }
}

/// A server's TLS: its certificate and cryptography.
#[derive(Clone)]
pub struct ServerTls {
    config: Arc<ServerConfig>,
}

conceal!("ServerTls", ServerTls);

impl ServerTls {
    /// Uses this configuration of rustls.
    #[must_use]
    pub const fn new(config: Arc<ServerConfig>) -> Self {
        Self { config }
    }

    /// Starts a handshake with the client's early bytes. An error if they do not all fit: a handshake without
    /// some of them would be another one.
    pub(crate) fn begin(&self, mut early: &[u8]) -> Result<Server<MuteServer>, Error> {
        let mut connection = Server::implicit(Arc::clone(&self.config));
        while !early.is_empty() {
            let room = connection.receive_buffer();
            let (now, rest) = early.split_at(room.len().min(early.len()));
            if now.is_empty() {
                return Err(starttls_rustls::Error::MessageTooLong.into());
            }
            room.iter_mut().zip(now).for_each(|(place, octet)| *place = *octet);
            connection.received(now.len());
            early = rest;
        }
        Ok(connection)
    }
}

/// The next action of a stream.
pub(crate) enum Next<T> {
    /// Send the output.
    Send,
    /// Send the output, then receive.
    Receive,
    Done(T),
}

/// The next step of a handshake.
pub(crate) fn shake<E: Engine>(
    connection: &mut Connection<E>,
) -> Result<Next<Verification>, Error> {
    Ok(match connection.step()? {
        Step::Event(Event::Established(tls)) => Next::Done(tls.verification()),
        Step::Event(_) | Step::Write => Next::Send,
        Step::Read => Next::Receive,
        Step::End => return Err(Error::Tls(starttls::Error::Closed.into())),
    })
}

/// The next step of a read.
pub(crate) fn read<E: Engine>(
    connection: &mut Connection<E>,
    buf: &mut [u8],
) -> Result<Next<usize>, Error> {
    Ok(match connection.read_into(buf) {
        Ok(Step::Event(n)) => Next::Done(n),
        Ok(Step::Read) => Next::Receive,
        Ok(Step::Write) => Next::Send,
        Ok(Step::End) => Next::Done(0),
        Err(error) => return Err(error.into()),
    })
}

/// The next step of a write.
pub(crate) fn write<E: Engine>(
    connection: &mut Connection<E>,
    buf: &[u8],
) -> Result<Next<usize>, Error> {
    Ok(match connection.write(buf)? {
        0 if !buf.is_empty() => Next::Send,
        n => Next::Done(n),
    })
}

/// Bytes were received, or the end of input.
pub(crate) fn received<E: Engine, S: embedded_io::Error>(
    connection: &mut Connection<E>,
    received: Result<usize, S>,
) -> Result<(), Error> {
    match received {
        Ok(0) => connection.end_of_input(),
        Ok(n) => connection.received(n),
        Err(error) => return Err(Error::Socket(error.kind())),
    }
    Ok(())
}

/// Bytes were sent.
pub(crate) fn sent<E: Engine, S: embedded_io::Error>(
    connection: &mut Connection<E>,
    sent: Result<usize, S>,
) -> Result<(), Error> {
    match sent {
        Ok(0) => Err(Error::Socket(ErrorKind::BrokenPipe)),
        Ok(n) => {
            connection.sent(n);
            Ok(())
        }
        Err(error) => Err(Error::Socket(error.kind())),
    }
}

/// An encrypted stream over a socket.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Stream<S, E: Engine> {
    connection: Connection<E>,
    socket: S,
}

impl<S: Read + Write, E: Engine> Stream<S, E> {
    fn run<T>(
        &mut self,
        mut step: impl FnMut(&mut Connection<E>) -> Result<Next<T>, Error>,
    ) -> Result<T, Error> {
        loop {
            let next = step(&mut self.connection);
            match next {
                Ok(Next::Done(value)) => return Ok(value),
                Ok(Next::Send) => self.send()?,
                Ok(Next::Receive) => {
                    self.send()?;
                    let octets = self.socket.read(self.connection.receive_buffer());
                    received(&mut self.connection, octets)?;
                }
                Err(error) => {
                    // Sends the alert that explains the failure. The connection has failed already, so its
                    // error is ignored.
                    let _ = self.send();
                    return Err(error);
                }
            }
        }
    }

    fn send(&mut self) -> Result<(), Error> {
        while !self.connection.to_send().is_empty() {
            let octets = self.socket.write(self.connection.to_send());
            sent(&mut self.connection, octets)?;
        }
        self.socket.flush().map_err(|error| Error::Socket(embedded_io::Error::kind(&error)))
    }
}

impl<S, E: Engine> ErrorType for Stream<S, E> {
    type Error = Error;
}

impl<S: Read + Write, E: Engine> Read for Stream<S, E> {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, Error> {
        self.run(|connection| read(connection, buf))
    }
}

impl<S: Read + Write, E: Engine> Write for Stream<S, E> {
    fn write(&mut self, buf: &[u8]) -> Result<usize, Error> {
        self.run(|connection| write(connection, buf))
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.send()
    }
}

impl<S: Read + Write, E: Engine> crate::Stream for Stream<S, E> {
    fn close(mut self) -> Result<(), Error> {
        self.send()?;
        self.connection.close()?;
        self.send()
    }
}

impl crate::Connect for ClientTls {
    type Error = Error;
    type Stream<'t, S: Read + Write + 't> = Stream<S, starttls::Client<Mute>>;

    fn connect<'t, S: Read + Write + 't>(
        &'t mut self,
        socket: S,
        alpn: Option<&'static [u8]>,
    ) -> Result<(Self::Stream<'t, S>, Verification), Error> {
        let mut stream = Stream { connection: self.begin(alpn), socket };
        let verification = stream.run(shake)?;
        Ok((stream, verification))
    }
}

impl crate::Accept for ServerTls {
    type Error = Error;
    type Stream<'t, S: Read + Write + 't> = Stream<S, starttls::Server<MuteServer>>;

    fn accept<'t, S: Read + Write + 't>(
        &'t mut self,
        socket: S,
        early: &[u8],
    ) -> Result<Self::Stream<'t, S>, Error> {
        let mut stream = Stream { connection: self.begin(early)?, socket };
        stream.run(shake)?;
        stream.send()?;
        Ok(stream)
    }
}
