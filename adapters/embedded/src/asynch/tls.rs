use embedded_io_async::{Read, Write};
use starttls::Verification;

/// An encrypted stream, see [`Stream`](crate::Stream).
#[expect(async_fn_in_trait, reason = "as in embedded-io-async")]
pub trait Stream: Read + Write {
    /// Sends close_notify.
    ///
    /// # Errors
    /// Those of TLS. The connection is closed in any case.
    async fn close(self) -> Result<(), Self::Error>;
}

/// A client's TLS, see [`Connect`](crate::Connect).
#[expect(async_fn_in_trait, reason = "as in embedded-io-async")]
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
    /// Those of [`Connect::connect`](crate::Connect::connect).
    async fn connect<'t, S: Read + Write + 't>(
        &'t mut self,
        socket: S,
        alpn: Option<&'static [u8]>,
    ) -> Result<(Self::Stream<'t, S>, Verification), Self::Error>;
}

/// A server's TLS, see [`Accept`](crate::Accept).
#[expect(async_fn_in_trait, reason = "as in embedded-io-async")]
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
    async fn accept<'t, S: Read + Write + 't>(
        &'t mut self,
        socket: S,
        early: &[u8],
    ) -> Result<Self::Stream<'t, S>, Self::Error>;
}
