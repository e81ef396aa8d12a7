use core::fmt;

#[cfg(feature = "smtp")]
use starttls::mail::session::Command;
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

    /// What a task failed by, or else the stream below it.
    pub(crate) fn of(fault: Option<Fault>, stream: Option<Self>) -> Self {
        match (fault, stream) {
            (Some(fault), _) => fault.into(),
            (None, Some(error)) => error,
            (None, None) => Self::Protocol(starttls::Error::Closed),
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

impl<S: fmt::Debug, T: fmt::Debug> core::error::Error for Error<S, T> {}

/// What a task can fail with: all that has nothing to do with a socket.
#[derive(Debug)]
pub(crate) enum Fault {
    Protocol(starttls::Error),
    #[cfg(feature = "smtp")]
    Rejected {
        command: Command,
        code: u16,
        status: Option<Status>,
    },
    #[cfg(feature = "smtp")]
    Unreadable,
}

impl From<starttls::Error> for Fault {
    fn from(error: starttls::Error) -> Self {
        Self::Protocol(error)
    }
}

impl<S, T> From<Fault> for Error<S, T> {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Protocol(error) => Self::Protocol(error),
            #[cfg(feature = "smtp")]
            Fault::Rejected { command, code, status } => Self::Rejected { command, code, status },
            #[cfg(feature = "smtp")]
            Fault::Unreadable => Self::Unreadable,
        }
    }
}
