use std::{fmt, io};

use starttls::mail::session::{Command, Fate};
use starttls::smtp::{Reply, Status};
use starttls::{ArgumentError, Kind};

/// Why an upgrade or a mail failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The network or the caller's reader failed.
    Io {
        /// What was being done.
        doing: Doing,
        /// What went wrong.
        error: io::Error,
    },
    /// The peer, or the caller, broke a rule.
    Protocol {
        /// Which.
        error: starttls::Error,
        /// The last thing the peer said, escaped; empty if it said nothing.
        said: String,
    },
    /// The TLS handshake failed; nothing was sent but the upgrade.
    Tls(rustls::Error),
    /// The server refused the mail, or a step towards it.
    Rejected {
        /// What it refused.
        command: Command,
        /// What it said.
        answer: Answer,
    },
    /// Something else went wrong after the message had begun.
    Unfinished {
        /// What became of the mail.
        fate: Fate,
        /// What went wrong.
        error: Box<Self>,
    },
    /// An argument cannot be used.
    Argument {
        /// Which.
        what: &'static str,
        /// Why.
        why: String,
    },
}

/// The operation that failed with an [`Error::Io`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Doing {
    /// Looking up the addresses of the host.
    LookingUp,
    /// Opening a TCP connection.
    Connecting,
    /// Setting an option of the socket: `TCP_NODELAY`, a timeout.
    SettingUp,
    /// The TLS handshake, for a reason other than TLS.
    Handshake,
    /// Sending to the peer.
    Sending,
    /// Receiving from the peer.
    Receiving,
    /// Closing the connection.
    Closing,
    /// Reading the caller's message.
    ReadingMessage,
    /// Something else, of an application's own.
    Other(&'static str),
}

impl fmt::Display for Doing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LookingUp => "looking up the host",
            Self::Connecting => "connecting",
            Self::SettingUp => "setting up the socket",
            Self::Handshake => "TLS handshake",
            Self::Sending => "sending",
            Self::Receiving => "receiving",
            Self::Closing => "closing",
            Self::ReadingMessage => "reading the message",
            Self::Other(doing) => doing,
        })
    }
}

impl Error {
    /// The protocol's error, where it is one.
    #[must_use]
    pub const fn protocol(&self) -> Option<starttls::Error> {
        match self {
            Self::Protocol { error, .. } => Some(*error),
            Self::Unfinished { error, .. } => error.protocol(),
            _ => None,
        }
    }

    /// What became of the mail that was to be sent; what has nothing to do with a mail sent none.
    ///
    /// A mail that is sent again after [`NotSent`](Fate::NotSent) or
    /// [`NotAccepted`](Fate::NotAccepted) cannot arrive twice; after [`Unknown`](Fate::Unknown) it
    /// can. [`Fate::is_safe_to_retry`] tells them apart. Whether it makes sense is another question:
    /// a [`Rejected`](Self::Rejected) mail will fare better only if the answer's code is below 500.
    #[must_use]
    pub const fn fate(&self) -> Fate {
        match self {
            Self::Unfinished { fate, .. } => *fate,
            Self::Rejected {
                command:
                    Command::Greeting
                    | Command::Hello
                    | Command::Helo
                    | Command::Auth
                    | Command::Mail
                    | Command::Recipient
                    | Command::Data
                    | Command::Reset
                    | Command::Quit,
                ..
            } => Fate::NotSent,
            // The message, or a piece of it.
            Self::Rejected { .. } => Fate::NotAccepted,
            _ => Fate::NotSent,
        }
    }

    /// Adds what became of the mail.
    #[must_use]
    pub fn with_fate(self, fate: Fate) -> Self {
        match fate {
            Fate::NotSent => self,
            fate => Self::Unfinished { fate, error: Box::new(self) },
        }
    }

    /// The TLS handshake failed, by TLS or by the network.
    #[must_use]
    pub fn handshake(error: io::Error) -> Self {
        match error.downcast::<rustls::Error>() {
            Ok(error) => Self::Tls(error),
            Err(error) => Self::io(Doing::Handshake)(error),
        }
    }

    /// An argument that cannot be used.
    pub fn argument(what: &'static str) -> impl Fn(ArgumentError) -> Self {
        move |error| Self::Argument { what, why: error.to_string() }
    }

    /// The network or a reader that failed.
    pub fn io(doing: Doing) -> impl Fn(io::Error) -> Self {
        move |error| Self::Io { doing, error }
    }
}

impl From<starttls::Error> for Error {
    fn from(error: starttls::Error) -> Self {
        Self::Protocol { error, said: String::new() }
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
            Self::Io { doing, error } => write!(f, "{doing}: {error}"),
            Self::Protocol { error, said } => {
                write!(f, "{error}")?;
                if error.kind() == Kind::Violation {
                    write!(f, " (rule {})", error.rule())?;
                }
                if said.is_empty() { Ok(()) } else { write!(f, "; the peer said: {said}") }
            }
            Self::Tls(error) => write!(f, "TLS: {error}"),
            Self::Rejected { command, answer } => {
                write!(f, "the server refused {}: {answer}", name(*command))
            }
            Self::Unfinished { fate, error } => {
                let fate = match fate {
                    Fate::NotSent | Fate::NotAccepted => "nobody got the mail",
                    Fate::Accepted => "the mail is delivered",
                    Fate::Unknown => "the server may have the mail",
                };
                write!(f, "{error}; {fate}")
            }
            Self::Argument { what, why } => write!(f, "{what} {why}"),
        }
    }
}

fn name(command: Command) -> &'static str {
    match command {
        Command::Auth => "the user name or password",
        Command::Mail => "the sender",
        Command::Recipient => "every recipient",
        _ => "the mail",
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { error, .. } => Some(error),
            Self::Protocol { error, .. } => Some(error),
            Self::Tls(error) => Some(error),
            Self::Unfinished { error, .. } => Some(error),
            Self::Rejected { .. } | Self::Argument { .. } => None,
        }
    }
}

/// What a server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Three digits, 200 to 599.
    pub code: u16,
    /// Its last line of text, escaped.
    pub text: String,
    /// The enhanced status code in front of the text, where there is one (RFC 3463).
    pub status: Option<Status>,
}

impl Answer {
    /// An answer of an application's own; a status code belongs into the text.
    #[must_use]
    pub fn new(code: u16, text: impl Into<String>) -> Self {
        Self { code, text: text.into(), status: None }
    }

    /// Whether it says yes: 2yz.
    #[must_use]
    pub const fn is_yes(&self) -> bool {
        matches!(self.code, 200..=299)
    }
}

impl From<Reply<'_>> for Answer {
    fn from(reply: Reply<'_>) -> Self {
        Self { code: reply.code(), text: reply.text().to_string(), status: reply.status() }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.text)
    }
}
