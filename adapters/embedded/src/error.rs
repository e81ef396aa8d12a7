use core::fmt;

#[cfg(feature = "smtp")]
use starttls::mail::{Refusal, session::Command};
#[cfg(feature = "smtp")]
use starttls::smtp::Status;

/// Why an upgrade or a mail failed, on a socket with the error `S` and a TLS with the error `T`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Error<S, T> {
    /// The socket failed in plaintext.
    Socket(S),
    /// The handshake failed, or TLS after it. This includes errors of the socket inside TLS.
    Tls(T),
    /// The peer broke the protocol, timed out or left, or the caller called a method out of order.
    Protocol(starttls::Error),
    /// The server refused the mail or a step before it.
    #[cfg(feature = "smtp")]
    Rejected {
        /// The refused command.
        command: Command,
        /// The reply's code, 400 to 599. A retry is useful only below 500.
        code: u16,
        /// The reply's enhanced status code, if there is one (RFC 3463).
        status: Option<Status>,
    },
    /// The message's reader failed.
    #[cfg(feature = "smtp")]
    Unreadable,
}

impl<S, T> Error<S, T> {
    /// The protocol's error, if this is one.
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

impl<S: fmt::Display, T: fmt::Display> fmt::Display for Error<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(error) => write!(f, "the socket: {error}"),
            Self::Tls(error) => write!(f, "TLS: {error}"),
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
    fn the_text_includes_that_of_the_inner_error() {
        use core::fmt::Write as _;

        #[derive(Debug)]
        struct Below;

        impl fmt::Display for Below {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("it failed")
            }
        }

        let mut said = heapless::String::<64>::new();
        write!(said, "{}; {}", Error::<_, Below>::Socket(Below), Error::<Below, _>::Tls(Below))
            .expect("room");
        assert_eq!(said, "the socket: it failed; TLS: it failed");
    }

    #[test]
    fn the_inner_error_is_the_source() {
        let source = |error: Error<ErrorKind, ErrorKind>| error.source().is_some();
        assert!(source(Error::Socket(ErrorKind::Other)) && source(Error::Tls(ErrorKind::Other)));
        assert!(source(Error::Protocol(starttls::Error::Closed)));
        #[cfg(feature = "smtp")]
        assert!(!source(Error::Unreadable));
    }
}
