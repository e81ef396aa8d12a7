use core::fmt;

#[cfg(feature = "smtp")]
use starttls::mail::{Refusal, session::Command};
#[cfg(feature = "smtp")]
use starttls::smtp::Status;

/// Why an upgrade or a mail failed, on a socket that fails with `S` and by a TLS that fails with `T`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Error<S, T> {
    /// The socket failed in plaintext.
    Socket(S),
    /// The handshake failed, or TLS after it, the socket below included.
    Tls(T),
    /// The peer, or the caller, broke a rule, or the peer took too long or left.
    Protocol(starttls::Error),
    /// The server refused the mail, or a step towards it.
    #[cfg(feature = "smtp")]
    Rejected {
        /// What it refused.
        command: Command,
        /// The code of its reply, 400 to 599; below 500 it may fare better later.
        code: u16,
        /// The enhanced status code of its reply, where there is one (RFC 3463).
        status: Option<Status>,
    },
    /// The caller's message cannot be read.
    #[cfg(feature = "smtp")]
    Unreadable,
}

impl<S, T> Error<S, T> {
    /// The protocol's error, where it is one.
    #[must_use]
    pub const fn protocol(&self) -> Option<starttls::Error> {
        match self {
            Self::Protocol(error) => Some(*error),
            _ => None,
        }
    }
}

impl<S, T> From<starttls::Error> for Error<S, T> {
    fn from(error: starttls::Error) -> Self {
        Self::Protocol(error)
    }
}

impl<S: fmt::Debug, T: fmt::Debug> fmt::Display for Error<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(error) => write!(f, "the socket: {error:?}"),
            Self::Tls(error) => write!(f, "TLS: {error:?}"),
            Self::Protocol(error) => error.fmt(f),
            #[cfg(feature = "smtp")]
            Self::Rejected { command, code, .. } => {
                write!(f, "the server refused {command:?} with {code}")
            }
            #[cfg(feature = "smtp")]
            Self::Unreadable => f.write_str("the message cannot be read"),
        }
    }
}

impl<S, T> core::error::Error for Error<S, T>
where
    S: core::error::Error + 'static,
    T: core::error::Error + 'static,
{
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Socket(error) => Some(error),
            Self::Tls(error) => Some(error),
            Self::Protocol(error) => Some(error),
            #[cfg(feature = "smtp")]
            Self::Rejected { .. } | Self::Unreadable => None,
        }
    }
}

#[cfg(feature = "smtp")]
impl<S, T> From<Refusal> for Error<S, T> {
    fn from(Refusal { command, code, status, .. }: Refusal) -> Self {
        Self::Rejected { command, code, status }
    }
}

#[cfg(test)]
mod tests {
    use core::error::Error as _;

    use embedded_io::ErrorKind;

    use super::*;

    #[test]
    fn what_is_below_is_the_source() {
        let source = |error: Error<ErrorKind, ErrorKind>| error.source().is_some();
        assert!(source(Error::Socket(ErrorKind::Other)) && source(Error::Tls(ErrorKind::Other)));
        assert!(source(Error::Protocol(starttls::Error::Closed)));
        #[cfg(feature = "smtp")]
        assert!(!source(Error::Unreadable));
    }
}
