//! The interface to a TLS library, which does the handshake and the cryptography.

use embedded_io::{Read, Write};
use starttls::Verification;

/// An encrypted stream.
///
/// After close_notify, a read returns 0 bytes. Without it, the end is an error of the kind
/// [`ConnectionAborted`](embedded_io::ErrorKind::ConnectionAborted), because an attacker may have truncated
/// the stream.
pub trait Stream: Read + Write {
    /// Sends close_notify.
    ///
    /// # Errors
    /// Those of TLS. The connection is closed in any case.
    fn close(self) -> Result<(), Self::Error>;
}

/// A client's TLS. It knows the expected name and the trusted authorities.
pub trait Connect {
    /// The error of TLS, including that of the socket below.
    type Error: embedded_io::Error;

    /// The encrypted stream.
    type Stream<'t, S: Read + Write + 't>: Stream<Error = Self::Error>
    where
        Self: 't;

    /// Performs the whole handshake over a socket that has sent and received nothing of TLS.
    ///
    /// `alpn` is the protocol id to offer (RFC 7301).
    ///
    /// # Errors
    /// The handshake failed, or the server did not verify and the caller requires that. An implementation
    /// must never return [`Verification::Verified`] for an unverified server.
    fn connect<'t, S: Read + Write + 't>(
        &'t mut self,
        socket: S,
        alpn: Option<&'static [u8]>,
    ) -> Result<(Self::Stream<'t, S>, Verification), Self::Error>;
}

/// A server's TLS.
pub trait Accept {
    /// The error of TLS, including that of the socket below.
    type Error: embedded_io::Error;

    /// The encrypted stream.
    type Stream<'t, S: Read + Write + 't>: Stream<Error = Self::Error>
    where
        Self: 't;

    /// Performs the whole handshake. `early` are the first bytes of the client, before those of the socket.
    ///
    /// # Errors
    /// The handshake failed.
    fn accept<'t, S: Read + Write + 't>(
        &'t mut self,
        socket: S,
        early: &[u8],
    ) -> Result<Self::Stream<'t, S>, Self::Error>;
}
