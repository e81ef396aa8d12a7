//! TLS 1.3 by [`embedded_tls`], in the client's role, without a heap.

use core::fmt;

use embedded_io::{ErrorKind, ErrorType, Read, Write};
use embedded_tls::blocking::TlsConnection;
use embedded_tls::{
    CryptoProvider, MaxFragmentLength, TlsConfig, TlsContext, TlsError, TlsVerifier,
};
use rand_core::CryptoRngCore;
use rustls_pki_types::{ServerName, TrustAnchor};
use starttls::Verification;

use crate::conceal::conceal;
use crate::verify::{Judge, Problem, Suite, Time};

/// The buffers of TLS: a record of `READ` octets that is received, and one of `WRITE` that is said.
///
/// A server may send records of up to 16,640 octets; one that agrees on less
/// ([`ClientTls::with_max_fragment_length`]) or is known to send less needs less. Its certificates have
/// to fit into one record.
pub struct Records<const READ: usize = 16_640, const WRITE: usize = 1024> {
    read: [u8; READ],
    write: [u8; WRITE],
}

impl<const READ: usize, const WRITE: usize> Records<READ, WRITE> {
    /// Empty buffers. `WRITE` has to be at least 512, for the longest first message of a client; less
    /// does not compile.
    #[must_use]
    pub const fn new() -> Self {
        const { assert!(WRITE >= 512, "WRITE of Records is below 512") }
        Self { read: [0; READ], write: [0; WRITE] }
    }
}

impl<const READ: usize, const WRITE: usize> Default for Records<READ, WRITE> {
    fn default() -> Self {
        Self::new()
    }
}

// They hold plaintext.
conceal!("Records", Records<READ, WRITE> [const READ: usize, const WRITE: usize]);

/// Why TLS failed.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Error {
    /// The server is not whom it should be. Nothing was said to it but the handshake.
    Certificate(Problem),
    /// The protocol or the socket below failed.
    Tls(TlsError),
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        Self::Certificate(problem)
    }
}

impl embedded_io::Error for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Tls(TlsError::Io(kind)) => *kind,
            Self::Tls(TlsError::IoError | TlsError::ConnectionClosed) => {
                ErrorKind::ConnectionAborted
            }
            _ => ErrorKind::Other,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate(problem) => problem.fmt(f),
            Self::Tls(error) => write!(f, "{error:?}"),
        }
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Certificate(problem) => Some(problem),
            Self::Tls(error) => Some(error),
        }
    }
}

/// Nobody needs to know the time.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct NoTime;

impl Time for NoTime {
    fn now(&mut self) -> Option<u64> {
        None
    }
}

/// Whom a client expects, whom it trusts, and what it needs for a handshake.
pub struct ClientTls<'a, R, T> {
    pub(crate) name: &'a str,
    pub(crate) anchors: Option<&'a [TrustAnchor<'a>]>,
    pub(crate) time: T,
    pub(crate) random: R,
    pub(crate) read: &'a mut [u8],
    pub(crate) write: &'a mut [u8],
    pub(crate) fragment: Option<MaxFragmentLength>,
}

impl<'a, R: CryptoRngCore, T: Time> ClientTls<'a, R, T> {
    /// Expects `name`, a host's name or an address: what the caller asked for, never what the server
    /// said. Trusts whom one of `anchors` vouches for at that `time`.
    #[must_use]
    pub fn new<const READ: usize, const WRITE: usize>(
        name: &'a str,
        anchors: &'a [TrustAnchor<'a>],
        time: T,
        random: R,
        Records { read, write }: &'a mut Records<READ, WRITE>,
    ) -> Self {
        Self { name, anchors: Some(anchors), time, random, read, write, fragment: None }
    }

    /// Asks the server for records of no more than so many octets (RFC 6066 §4); many do not know the
    /// extension and send what they like.
    #[must_use]
    pub const fn with_max_fragment_length(mut self, length: MaxFragmentLength) -> Self {
        self.fragment = Some(length);
        self
    }
}

impl<'a, R: CryptoRngCore> ClientTls<'a, R, NoTime> {
    /// Lets anybody answer for `name`, and read and change everything:
    /// [`Verification::Unverified`]. Where the policy requires TLS it fails all the same, and no
    /// credential is ever shown to such a server.
    #[must_use]
    pub fn dangerous_without_verification<const READ: usize, const WRITE: usize>(
        name: &'a str,
        random: R,
        Records { read, write }: &'a mut Records<READ, WRITE>,
    ) -> Self {
        Self { name, anchors: None, time: NoTime, random, read, write, fragment: None }
    }
}

conceal!("ClientTls", ClientTls<'_, R, T> [R, T]);

/// Who is expected, and what a client says of that: a host's name, no address (RFC 6066 §3).
pub(crate) fn expected(name: &str) -> Result<(ServerName<'_>, Option<&str>), Problem> {
    match ServerName::try_from(name) {
        Ok(server @ ServerName::DnsName(_)) => Ok((server, Some(name))),
        Ok(address) => Ok((address, None)),
        Err(_) => Err(Problem::BadName),
    }
}

/// What a client says of itself.
pub(crate) fn config<'c>(
    name: Option<&'c str>,
    alpn: &'c [&'c [u8]],
    fragment: Option<MaxFragmentLength>,
) -> TlsConfig<'c> {
    let mut config = TlsConfig::new();
    if let Some(name) = name {
        config = config.with_server_name(name);
    }
    if !alpn.is_empty() {
        config = config.with_alpn(alpn);
    }
    match fragment {
        Some(length) => config.with_max_fragment_length(length),
        None => config,
    }
}

/// What a handshake asks of its caller.
pub(crate) struct Provider<'p, 'j, R> {
    pub(crate) random: &'p mut R,
    pub(crate) judge: &'p mut Judge<'j>,
}

impl<R: CryptoRngCore> CryptoProvider for Provider<'_, '_, R> {
    type CipherSuite = Suite;
    type Signature = [u8; 0];

    fn rng(&mut self) -> impl CryptoRngCore {
        &mut *self.random
    }

    fn verifier(&mut self) -> Result<&mut impl TlsVerifier<Suite>, TlsError> {
        Ok(&mut *self.judge)
    }
}

/// What a handshake came to.
pub(crate) fn outcome(
    opened: Result<(), TlsError>,
    judge: &Judge<'_>,
) -> Result<Verification, Error> {
    match (opened, judge.verdict()) {
        (Ok(()), Ok(verification)) => Ok(verification),
        // A handshake that failed for another reason left nothing proven.
        (Err(error), _) if judge.problem().is_none() => Err(Error::Tls(error)),
        (_, Err(problem)) => Err(Error::Certificate(problem)),
        (Err(error), _) => Err(Error::Tls(error)),
    }
}

/// What was read, the end included.
pub(crate) fn read(read: Result<usize, TlsError>) -> Result<usize, Error> {
    match read {
        // With TLS's goodbye or without.
        Err(TlsError::ConnectionClosed | TlsError::IoError) => Ok(0),
        other => other.map_err(Error::Tls),
    }
}

/// An encrypted stream, over a socket.
pub struct Stream<'t, S: Read + Write>(TlsConnection<'t, S, Suite>);

conceal!("Stream", Stream<'_, S> [S: Read + Write]);

impl<S: Read + Write> ErrorType for Stream<'_, S> {
    type Error = Error;
}

impl<S: Read + Write> Read for Stream<'_, S> {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, Error> {
        read(self.0.read(buf))
    }
}

impl<S: Read + Write> Write for Stream<'_, S> {
    fn write(&mut self, buf: &[u8]) -> Result<usize, Error> {
        self.0.write(buf).map_err(Error::Tls)
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.0.flush().map_err(Error::Tls)
    }
}

impl<S: Read + Write> crate::Stream for Stream<'_, S> {
    fn close(self) -> Result<(), Error> {
        self.0.close().map_or_else(|(_, error)| Err(Error::Tls(error)), |_| Ok(()))
    }
}

impl<R: CryptoRngCore, T: Time> crate::Connect for ClientTls<'_, R, T> {
    type Error = Error;
    type Stream<'t, S: Read + Write + 't>
        = Stream<'t, S>
    where
        Self: 't;

    fn connect<'t, S: Read + Write + 't>(
        &'t mut self,
        socket: S,
        alpn: Option<&'static [u8]>,
    ) -> Result<(Stream<'t, S>, Verification), Error> {
        let (name, indication) = expected(self.name)?;
        let config = config(indication, alpn.as_slice(), self.fragment);
        let mut judge = Judge::new(&name, self.anchors, &mut self.time)?;
        let mut connection = TlsConnection::new(socket, self.read, self.write);
        let provider = Provider { random: &mut self.random, judge: &mut judge };
        let opened = connection.open(TlsContext::new(&config, provider));
        outcome(opened, &judge).map(|verification| (Stream(connection), verification))
    }
}
