use core::fmt;

/// Why a connection failed.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Error {
    /// The peer, or the caller, broke a rule; see [`starttls::Error::kind`] for whose fault it is.
    /// The caller's mistakes leave the connection as it was.
    Protocol(starttls::Error),
    /// TLS failed. The alert that says why to the peer is among what is to be sent.
    Tls(#[cfg_attr(feature = "defmt", defmt(Debug2Format))] rustls::Error),
    /// The connection ended without TLS's goodbye: somebody may have cut it off.
    Truncated,
    /// A message of the handshake does not fit into the receive buffer.
    MessageTooLong,
    /// The client sent data with its first flight, which anybody could send again; the server's
    /// configuration must not allow that.
    EarlyData,
    /// rustls does not do what its documentation says; a defect.
    Internal,
}

impl Error {
    /// The protocol's error, where it is one.
    #[must_use]
    pub const fn protocol(&self) -> Option<starttls::Error> {
        match self {
            Self::Protocol(error) => Some(*error),
            _ => None,
        }
    }
}

impl From<starttls::Error> for Error {
    fn from(error: starttls::Error) -> Self {
        Self::Protocol(error)
    }
}

impl From<rustls::Error> for Error {
    fn from(error: rustls::Error) -> Self {
        Self::Tls(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protocol(error) => error.fmt(f),
            Self::Tls(error) => write!(f, "TLS: {error}"),
            Self::Truncated => f.write_str("the connection ended without TLS's goodbye"),
            Self::MessageTooLong => f.write_str("a message of the TLS handshake is too long"),
            Self::EarlyData => f.write_str("the client sent early data"),
            Self::Internal => f.write_str("rustls is in a state that it should not be in"),
        }
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Protocol(error) => Some(error),
            // Without std rustls's is none.
            #[cfg(feature = "std")]
            Self::Tls(error) => Some(error),
            _ => None,
        }
    }
}
