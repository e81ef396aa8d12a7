use core::fmt;

/// Why a connection failed.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Error {
    /// The peer broke the protocol, or the caller called a method out of order.
    ///
    /// [`starttls::Error::kind`] tells which. The caller's mistakes leave the connection unchanged.
    Protocol(starttls::Error),
    /// TLS failed. The output includes the alert that tells the peer why.
    Tls(#[cfg_attr(feature = "defmt", defmt(Debug2Format))] rustls::Error),
    /// The connection ended without close_notify: an attacker may have truncated it.
    Truncated,
    /// A message of the TLS handshake does not fit into the receive buffer.
    MessageTooLong,
    /// The client sent early data, which an attacker can replay. Forbid it in the server's configuration.
    EarlyData,
    /// An internal error: rustls is in an unexpected state. Please report it.
    Internal,
}

impl Error {
    /// The protocol's error, if this is one.
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
            Self::Tls(error) => write!(f, "TLS: {}", crate::explain(error)),
            Self::Truncated => f.write_str("the connection ended without TLS's goodbye"),
            Self::MessageTooLong => f.write_str("a message of the TLS handshake is too long"),
            Self::EarlyData => f.write_str("the client sent early data"),
            Self::Internal => {
                f.write_str("internal error: rustls is in an unexpected state; please report it")
            }
        }
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Protocol(error) => Some(error),
            // Without `std`, the error of rustls does not implement this trait.
            #[cfg(feature = "std")]
            Self::Tls(error) => Some(error),
            _ => None,
        }
    }
}
