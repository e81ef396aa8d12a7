//! How a socket becomes TLS. The handshake and the cryptography are another library's.

use embedded_io::{Read, Write};
use starttls::Verification;

/// An encrypted stream.
///
/// Its end is a read of 0 octets, with or without TLS's goodbye: the protocol knows whether it may
/// end there.
pub trait Stream: Read + Write {
    /// Says TLS's goodbye.
    ///
    /// # Errors
    /// Those of TLS; the connection is over all the same.
    fn close(self) -> Result<(), Self::Error>;
}

/// Turns a socket into TLS, in the client's role. Knows whom to expect there, and whom to trust.
pub trait Connect {
    /// Why TLS fails, the socket below included.
    type Error: embedded_io::Error;

    /// What is encrypted.
    type Stream<'t, S: Read + Write + 't>: Stream<Error = Self::Error>
    where
        Self: 't;

    /// The whole handshake, over a socket on which nothing of TLS was said. `alpn` is the protocol to
    /// ask for (RFC 7301).
    ///
    /// # Errors
    /// The handshake failed, or the peer is not whom it should be and the caller did not say that it
    /// may be anyone. [`Verification::Verified`] is said of nobody who was not verified.
    fn connect<'t, S: Read + Write + 't>(
        &'t mut self,
        socket: S,
        alpn: Option<&'static [u8]>,
    ) -> Result<(Self::Stream<'t, S>, Verification), Self::Error>;
}

/// Turns a socket into TLS, in the server's role.
pub trait Accept {
    /// Why TLS fails, the socket below included.
    type Error: embedded_io::Error;

    /// What is encrypted.
    type Stream<'t, S: Read + Write + 't>: Stream<Error = Self::Error>
    where
        Self: 't;

    /// The whole handshake. `early` is what the client has said of it already, before anything that
    /// comes from the socket.
    ///
    /// # Errors
    /// The handshake failed.
    fn accept<'t, S: Read + Write + 't>(
        &'t mut self,
        socket: S,
        early: &[u8],
    ) -> Result<Self::Stream<'t, S>, Self::Error>;
}
