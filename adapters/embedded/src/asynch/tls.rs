use embedded_io_async::{Read, Write};
use starttls::Verification;

/// An encrypted stream, see [`Stream`](crate::Stream).
#[expect(async_fn_in_trait, reason = "as embedded-io-async has it")]
pub trait Stream: Read + Write {
    /// Says TLS's goodbye.
    ///
    /// # Errors
    /// Those of TLS; the connection is over all the same.
    async fn close(self) -> Result<(), Self::Error>;
}

/// Turns a socket into TLS, in the client's role, see [`Connect`](crate::Connect).
#[expect(async_fn_in_trait, reason = "as embedded-io-async has it")]
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
    /// Those of [`Connect::connect`](crate::Connect::connect).
    async fn connect<'t, S: Read + Write + 't>(
        &'t mut self,
        socket: S,
        alpn: Option<&'static [u8]>,
    ) -> Result<(Self::Stream<'t, S>, Verification), Self::Error>;
}

/// Turns a socket into TLS, in the server's role, see [`Accept`](crate::Accept).
#[expect(async_fn_in_trait, reason = "as embedded-io-async has it")]
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
    async fn accept<'t, S: Read + Write + 't>(
        &'t mut self,
        socket: S,
        early: &[u8],
    ) -> Result<Self::Stream<'t, S>, Self::Error>;
}
