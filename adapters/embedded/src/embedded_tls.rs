//! TLS 1.3 by [`embedded_tls`], in the client's role, without a heap.

use core::fmt;

use embedded_io::{ErrorKind, ErrorType, Read, Write};
use embedded_tls::alert::AlertDescription;
use embedded_tls::blocking::TlsConnection;
use embedded_tls::{
    Certificate, CryptoProvider, MaxFragmentLength, SignatureScheme, TlsConfig, TlsContext,
    TlsError, TlsVerifier,
};
use p256::ecdsa::signature::SignerMut;
use rand_core::CryptoRngCore;
use rustls_pki_types::{ServerName, TrustAnchor};
use starttls::Verification;
use zeroize::Zeroize as _;

pub use crate::client_certificate::{ClientCertificate, NoCertificate, NoKey, P256Certificate};
use crate::conceal::conceal;
pub use crate::guard::Breach;
use crate::guard::{Guard, Guarded};
use crate::verify::{Judge, Problem, Suite, Time};

/// The record buffers of TLS: `READ` bytes to receive, `WRITE` bytes to send.
///
/// A server may send records of up to 16,640 bytes. A smaller `READ` is enough for a server that agrees to
/// [`ClientTls::with_max_fragment_length`] or is known to send less. The server's certificates have to fit
/// into one record.
///
/// ```
/// use starttls_embedded::embedded_tls::Records;
///
/// let records = Records::<4_096>::new();
/// # let _ = records;
/// ```
pub struct Records<const READ: usize = 16_640, const WRITE: usize = 1024> {
    read: [u8; READ],
    write: [u8; WRITE],
}

impl<const READ: usize, const WRITE: usize> Records<READ, WRITE> {
    /// Empty buffers. `WRITE` must be at least 512, for the longest ClientHello. A smaller value does not
    /// compile.
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

// The buffers hold plaintext, possibly a password.
impl<const READ: usize, const WRITE: usize> Drop for Records<READ, WRITE> {
    fn drop(&mut self) {
        self.read.zeroize();
        self.write.zeroize();
    }
}

conceal!("Records", Records<READ, WRITE> [const READ: usize, const WRITE: usize]);

/// Why TLS failed.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Error {
    /// The server's certificate was rejected. Nothing but the handshake was sent to the server.
    Certificate(Problem),
    /// The TLS protocol or the socket below it failed.
    Tls(TlsError),
    /// The received records are not the server's, or are incomplete.
    Breach(Breach),
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
            Self::Breach(breach) => breach.kind(),
            _ => ErrorKind::Other,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate(problem) => problem.fmt(f),
            Self::Tls(error) => f.write_str(words(error)),
            Self::Breach(breach) => breach.fmt(f),
        }
    }
}

/// A description of an error of embedded-tls. Its own `Display` prints its `Debug`.
const fn words(error: &TlsError) -> &'static str {
    match error {
        TlsError::HandshakeAborted(_, alert) => match alert {
            AlertDescription::HandshakeFailure => {
                "the server sent the alert handshake_failure: it has no cipher suite in common with us, or demands a \
                 certificate of the client"
            }
            AlertDescription::ProtocolVersion => {
                "the server sent the alert protocol_version: it does not support TLS 1.3"
            }
            AlertDescription::CertificateRequired => {
                "the server sent the alert certificate_required: it demands a client certificate"
            }
            AlertDescription::NoApplicationProtocol => {
                "the server sent the alert no_application_protocol: it does not support the offered protocol (ALPN)"
            }
            AlertDescription::UnrecognizedName => {
                "the server sent the alert unrecognized_name: it does not know the server name that we sent (SNI)"
            }
            _ => "the server sent an alert",
        },
        TlsError::AbortHandshake(..) => "the client aborted the handshake",
        TlsError::ConnectionClosed => "the server ended the connection",
        TlsError::IoError | TlsError::Io(_) => "the socket failed",
        TlsError::InsufficientSpace | TlsError::OutOfMemory => {
            "a buffer is too small for the server's records"
        }
        TlsError::InvalidCipherSuite | TlsError::InvalidSupportedVersions => {
            "the server supports no TLS version and cipher suite that are accepted here"
        }
        TlsError::CryptoError | TlsError::InvalidSignature => {
            "a message was changed on the way, or a key is wrong"
        }
        _ => "the server's TLS is malformed or not compatible",
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Certificate(problem) => Some(problem),
            Self::Tls(error) => Some(error),
            Self::Breach(breach) => Some(breach),
        }
    }
}

/// A clock without time, for a client that verifies no server.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct NoTime;

impl Time for NoTime {
    fn now(&mut self) -> Option<u64> {
        None
    }
}

/// A client's TLS: the expected name, the trusted authorities, and what a handshake needs.
///
/// ```
/// use rand_core::CryptoRngCore;
/// use rustls_pki_types::CertificateDer;
/// use starttls_embedded::embedded_tls::{ClientTls, Records};
/// use starttls_embedded::verify;
///
/// fn with_tls(
///     authority: &[u8],                       // the CA's certificate, in DER
///     unix_time: impl FnMut() -> Option<u64>, // seconds, from SNTP or a clock with a battery
///     random: impl CryptoRngCore,             // the hardware's generator
/// ) -> Result<(), verify::Problem> {
///     let authority = CertificateDer::from(authority);
///     let anchors = [verify::anchor(&authority)?];
///     let mut records = Records::<16_640, 1024>::new();
///     let tls = ClientTls::new("mail.example.org", &anchors, unix_time, random, &mut records);
///     // Pass `&mut tls` to a `Mailer` or to `upgrade`.
///     drop(tls);
///     Ok(())
/// }
/// ```
pub struct ClientTls<'a, R, T, C = NoCertificate> {
    pub(crate) name: &'a str,
    pub(crate) anchors: Option<&'a [TrustAnchor<'a>]>,
    pub(crate) time: T,
    pub(crate) random: R,
    pub(crate) read: &'a mut [u8],
    pub(crate) write: &'a mut [u8],
    pub(crate) fragment: Option<MaxFragmentLength>,
    pub(crate) certificate: C,
    pub(crate) guard: Guard,
}

impl<'a, R: CryptoRngCore, T: Time> ClientTls<'a, R, T> {
    /// Expects a certificate with `name`, a host name or IP address, issued by one of `anchors` and valid at
    /// `time`.
    ///
    /// The name is the one that the caller asked for, never one that the server sent.
    #[must_use]
    pub fn new<const READ: usize, const WRITE: usize>(
        name: &'a str,
        anchors: &'a [TrustAnchor<'a>],
        time: T,
        random: R,
        Records { read, write }: &'a mut Records<READ, WRITE>,
    ) -> Self {
        let (anchors, certificate, guard) = (Some(anchors), NoCertificate, Guard::new());
        Self { name, anchors, time, random, read, write, fragment: None, certificate, guard }
    }

    /// Shows the server a certificate if it requests one.
    #[must_use]
    pub fn with_certificate<C: ClientCertificate>(self, certificate: C) -> ClientTls<'a, R, T, C> {
        let Self { name, anchors, time, random, read, write, fragment, guard, .. } = self;
        ClientTls { name, anchors, time, random, read, write, fragment, certificate, guard }
    }

    /// Requests records of at most this size (RFC 6066 §4). Many servers ignore the extension.
    #[must_use]
    pub const fn with_max_fragment_length(mut self, length: MaxFragmentLength) -> Self {
        self.fragment = Some(length);
        self
    }
}

impl<'a, R: CryptoRngCore> ClientTls<'a, R, NoTime> {
    /// Accepts any server as [`Verification::Unverified`], so that an active attacker can read and change
    /// everything.
    ///
    /// A policy that requires TLS still rejects such a server, and credentials are never sent to it.
    #[must_use]
    pub fn dangerous_without_verification<const READ: usize, const WRITE: usize>(
        name: &'a str,
        random: R,
        Records { read, write }: &'a mut Records<READ, WRITE>,
    ) -> Self {
        let (certificate, guard) = (NoCertificate, Guard::new());
        let (anchors, time, fragment) = (None, NoTime, None);
        Self { name, anchors, time, random, read, write, fragment, certificate, guard }
    }
}

conceal!("ClientTls", ClientTls<'_, R, T, C> [R, T, C]);

/// The expected name, and the SNI for it: a host name, but no IP address (RFC 6066 §3).
pub(crate) fn expected(name: &str) -> Result<(ServerName<'_>, Option<&str>), Problem> {
    match ServerName::try_from(name) {
        Ok(server @ ServerName::DnsName(_)) => Ok((server, Some(name))),
        Ok(address) => Ok((address, None)),
        Err(_) => Err(Problem::BadName),
    }
}

/// The client's part of the handshake.
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

/// The callbacks of a handshake.
pub(crate) struct Provider<'p, 'j, R, C> {
    pub(crate) random: &'p mut R,
    pub(crate) judge: &'p mut Judge<'j>,
    pub(crate) certificate: &'p C,
}

impl<R: CryptoRngCore, C: ClientCertificate> CryptoProvider for Provider<'_, '_, R, C> {
    type CipherSuite = Suite;
    type Signature = C::Signature;

    fn rng(&mut self) -> impl CryptoRngCore {
        &mut *self.random
    }

    fn verifier(&mut self) -> Result<&mut impl TlsVerifier<Suite>, TlsError> {
        Ok(&mut *self.judge)
    }

    fn signer(&mut self) -> Result<(impl SignerMut<Self::Signature>, SignatureScheme), TlsError> {
        let (_, key, scheme) = self.certificate.shown().ok_or(TlsError::Unimplemented)?;
        Ok((key, scheme))
    }

    fn client_cert(&mut self) -> Option<Certificate<impl AsRef<[u8]>>> {
        self.certificate.shown().map(|(der, ..)| Certificate::X509(der))
    }
}

/// The result of a handshake.
pub(crate) fn outcome(
    opened: Result<(), TlsError>,
    judge: &Judge<'_>,
    guard: &Guard,
) -> Result<Verification, Error> {
    match (opened, judge.verdict()) {
        (Ok(()), Ok(verification)) => {
            guard.open();
            Ok(verification)
        }
        // If the handshake failed for another reason, the verifier has no verdict to report.
        (Err(error), _) if judge.problem().is_none() => Err(failed(error, guard)),
        (_, Err(problem)) => Err(Error::Certificate(problem)),
        (Err(error), _) => Err(failed(error, guard)),
    }
}

/// The error of TLS. A breach found by the guard takes precedence, because TLS saw only its consequence.
pub(crate) fn failed(error: TlsError, guard: &Guard) -> Error {
    guard.breach().map_or(Error::Tls(error), Error::Breach)
}

/// The result of a read, with close_notify as the end.
pub(crate) fn read(read: Result<usize, TlsError>, guard: &Guard) -> Result<usize, Error> {
    match read {
        Err(TlsError::ConnectionClosed) => {
            guard.closed.set(true);
            Ok(0)
        }
        other => other.map_err(|error| failed(error, guard)),
    }
}

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
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, Error> {
        if self.guard.closed.get() {
            return Ok(0);
        }
        self.guard.awaits_data();
        read(self.connection.read(buf), self.guard)
    }
}

impl<S: Read + Write> Write for Stream<'_, S> {
    fn write(&mut self, buf: &[u8]) -> Result<usize, Error> {
        self.connection.write(buf).map_err(|error| failed(error, self.guard))
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.connection.flush().map_err(|error| failed(error, self.guard))
    }
}

impl<S: Read + Write> crate::Stream for Stream<'_, S> {
    fn close(self) -> Result<(), Error> {
        let Self { connection, guard } = self;
        connection.close().map_or_else(|(_, error)| Err(failed(error, guard)), |_| Ok(()))
    }
}

impl<R: CryptoRngCore, T: Time, C: ClientCertificate> crate::Connect for ClientTls<'_, R, T, C> {
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
        self.guard = Guard::new();
        let guard = &self.guard;
        let mut connection = TlsConnection::new(Guarded { socket, guard }, self.read, self.write);
        let certificate = &self.certificate;
        let provider = Provider { random: &mut self.random, judge: &mut judge, certificate };
        let opened = connection.open(TlsContext::new(&config, provider));
        outcome(opened, &judge, guard)
            .map(|verification| (Stream { connection, guard }, verification))
    }
}
