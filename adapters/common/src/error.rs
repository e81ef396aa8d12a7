use std::io::ErrorKind;
use std::{fmt, io, iter, mem};

use starttls::mail::session::{Command, Fate};
use starttls::smtp::{Reply, Status};
use starttls::{ArgumentError, Kind};
use starttls_rustls::explain;

use crate::Advice;
use crate::hello::NotTls;

/// Why an upgrade or a mail failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// Reading or writing failed: the network, or the message's reader.
    Io {
        /// The operation that failed.
        doing: Doing,
        /// The error of the operating system or of the reader.
        error: io::Error,
    },
    /// The peer broke the protocol, or the caller called a method out of order.
    Protocol {
        /// The error of the protocol.
        error: starttls::Error,
        /// The peer's last words, escaped. Empty if it sent nothing.
        said: String,
    },
    /// TLS failed, during the handshake or after it.
    ///
    /// A server's alert can arrive after the handshake is complete for the client (RFC 8446 §4.4.2.4). During
    /// the handshake the client has sent nothing but the upgrade.
    Tls(rustls::Error),
    /// The server refused the mail or a step before it.
    Rejected {
        /// The refused command.
        command: Command,
        /// The server's reply.
        answer: Answer,
        /// The reply that refused each recipient, in the envelope's order. Empty if the server refused the
        /// mail before it received a recipient.
        recipients: Vec<Answer>,
    },
    /// Another error occurred after the mail's transaction had begun.
    Unfinished {
        /// Whether the mail was sent.
        fate: Fate,
        /// The error.
        error: Box<Self>,
        /// The reply that accepted or refused each recipient, in the envelope's order.
        ///
        /// It is the reply to `RCPT`, LMTP's reply after the message, or the reply of an earlier transaction
        /// of [`send_to_all`](crate::Connection::send_to_all). `None` means that the recipient shares `fate`;
        /// such recipients may be missing at the end of the list.
        recipients: Vec<Option<Answer>>,
    },
    /// The proxy cannot be reached, refused, or broke its protocol. The server was not reached.
    Proxy {
        /// The proxy's host and port.
        proxy: String,
        /// The error of the connection to the proxy.
        error: Box<Self>,
    },
    /// An argument is invalid.
    Argument {
        /// The argument.
        what: &'static str,
        /// The reason.
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
    /// Setting a socket option: `TCP_NODELAY` or a timeout.
    SettingUp,
    /// The TLS handshake, if it failed for a reason outside TLS, such as a lost connection.
    Handshake,
    /// Sending to the peer.
    Sending,
    /// Receiving from the peer.
    Receiving,
    /// Closing the connection.
    Closing,
    /// Reading the caller's message.
    ReadingMessage,
    /// Waiting for a connection of a [`Pool`](crate::Pool): all are in use until the mail's deadline, or the
    /// pool is shut down.
    Waiting,
    /// An operation of the application.
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
            Self::Waiting => "waiting for a connection",
            Self::Other(doing) => doing,
        })
    }
}

impl Error {
    /// The protocol's error, if this is one.
    #[must_use]
    pub const fn protocol(&self) -> Option<starttls::Error> {
        match self {
            Self::Protocol { error, .. } => Some(*error),
            Self::Unfinished { error, .. } => error.protocol(),
            _ => None,
        }
    }

    /// The first line, escaped, that the peer sent instead of TLS. `None` if it speaks TLS.
    #[must_use]
    pub fn plaintext_answer(&self) -> Option<&str> {
        match self {
            Self::Tls(rustls::Error::Other(error)) => {
                error.0.downcast_ref::<NotTls>().map(|answer| answer.said.as_str())
            }
            Self::Unfinished { error, .. } => error.plaintext_answer(),
            _ => None,
        }
    }

    /// Whether the mail was sent. An error without a mail means [`NotSent`](Fate::NotSent).
    ///
    /// A retry after [`NotSent`](Fate::NotSent) or [`NotAccepted`](Fate::NotAccepted) cannot deliver the mail
    /// twice; after [`Unknown`](Fate::Unknown) it can. [`Fate::is_safe_to_retry`] tells them apart. A retry
    /// of a [`Rejected`](Self::Rejected) mail is useful only if the reply's code is below 500.
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
            // These commands carry the message or a chunk of it.
            Self::Rejected { .. } => Fate::NotAccepted,
            _ => Fate::NotSent,
        }
    }

    /// Whether the same mail may succeed on a later attempt, and cannot arrive twice by it.
    ///
    /// These are failures of the network, the end of the connection, a time limit, and replies with a code
    /// below 500. A certificate or login that is wrong now is wrong on the next attempt, too.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Unfinished { fate, error, .. } => fate.is_safe_to_retry() && error.is_temporary(),
            Self::Io { doing, .. } => !matches!(doing, Doing::ReadingMessage | Doing::Other(_)),
            Self::Protocol { .. } => {
                matches!(self.advice(), Advice::TryLater | Advice::WaitLonger)
            }
            Self::Rejected { answer, .. } => answer.code < 500,
            Self::Proxy { error, .. } => {
                error.is_temporary() && self.advice() != Advice::CheckLogin
            }
            Self::Tls(_) | Self::Argument { .. } => false,
        }
    }

    /// Adds the mail's fate.
    #[must_use]
    pub fn with_fate(self, fate: Fate) -> Self {
        match fate {
            Fate::NotSent => self,
            fate => Self::Unfinished { fate, error: Box::new(self), recipients: Vec::new() },
        }
    }

    /// Adds the replies for the recipients.
    pub(crate) fn with_known(mut self, known: Vec<Option<Answer>>) -> Self {
        if let Self::Unfinished { recipients, .. } = &mut self {
            *recipients = known;
        }
        self
    }

    /// Adds the replies of earlier transactions. `places` are the recipients of the last one.
    pub(crate) fn with_earlier(mut self, answers: Vec<Answer>, places: &[usize]) -> Self {
        if let Self::Unfinished { recipients, .. } = &mut self {
            let mut all: Vec<_> = answers.into_iter().map(Some).collect();
            let known = mem::take(recipients).into_iter().chain(iter::repeat(None));
            for (place, answer) in places.iter().zip(known) {
                if let Some(place) = all.get_mut(*place) {
                    *place = answer;
                }
            }
            *recipients = all;
        }
        self
    }

    /// The error of a failed handshake, whether TLS or the network caused it.
    #[must_use]
    pub fn handshake(error: io::Error) -> Self {
        Self::io(Doing::Handshake)(error)
    }

    /// An error for an invalid argument.
    pub fn argument(what: &'static str) -> impl Fn(ArgumentError) -> Self {
        move |error| Self::Argument { what, why: error.to_string() }
    }

    /// An error of the network or of a reader; [`Error::Tls`] if `error` contains one of rustls.
    pub fn io(doing: Doing) -> impl Fn(io::Error) -> Self {
        move |error| match error.downcast::<rustls::Error>() {
            Ok(error) => Self::Tls(error),
            Err(error) => Self::Io { doing, error },
        }
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

/// For event loops with [`starttls_rustls`], so that they have the same advice.
impl From<starttls_rustls::Error> for Error {
    fn from(error: starttls_rustls::Error) -> Self {
        match error {
            starttls_rustls::Error::Protocol(error) => error.into(),
            starttls_rustls::Error::Tls(error) => error.into(),
            truncated @ starttls_rustls::Error::Truncated => {
                Self::io(Doing::Receiving)(io::Error::new(ErrorKind::UnexpectedEof, truncated))
            }
            other => rustls::Error::General(other.to_string()).into(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { doing: Doing::Handshake, error } if is_gone(error.kind()) => f.write_str(
                "TLS handshake: the peer ended the connection without an alert that says why",
            ),
            Self::Io { doing, error } => write!(f, "{doing}: {error}"),
            Self::Protocol { error, said } => {
                write!(f, "{error}")?;
                if error.kind() == Kind::Violation {
                    write!(f, " (rule {})", error.rule())?;
                }
                if said.is_empty() { Ok(()) } else { write!(f, "; the peer said: {said}") }
            }
            Self::Tls(error) => write!(f, "TLS: {}", explain(error)),
            Self::Rejected { command, answer, .. } => {
                write!(f, "the server refused {}: {answer}", name(*command))
            }
            Self::Unfinished { fate, error, .. } => {
                let fate = match fate {
                    Fate::NotSent | Fate::NotAccepted => "no recipient got the mail",
                    Fate::Accepted => "the mail is delivered",
                    Fate::Unknown => "the server may have the mail",
                };
                write!(f, "{error}; {fate}")
            }
            Self::Proxy { proxy, error } => write!(f, "proxy {proxy}: {error}"),
            Self::Argument { what, why } => write!(f, "{what} {why}"),
        }
    }
}

/// Whether the error means that the peer is gone.
pub(crate) const fn is_gone(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::UnexpectedEof
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe
            | ErrorKind::NotConnected
    )
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
            Self::Unfinished { error, .. } | Self::Proxy { error, .. } => Some(error),
            Self::Rejected { .. } | Self::Argument { .. } => None,
        }
    }
}

/// A server's reply.
///
/// ```
/// use starttls_common::Answer;
///
/// let answer = Answer::new(450, "4.2.0 Mailbox busy, try again later");
/// assert!(!answer.is_yes());
/// assert_eq!(answer.status.map(|status| status.to_string()).as_deref(), Some("4.2.0"));
/// assert_eq!(answer.to_string(), "450 4.2.0 Mailbox busy, try again later");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Three digits, 200 to 599.
    pub code: u16,
    /// The reply's text, escaped, with `\n` between its lines.
    pub text: String,
    /// The enhanced status code before the text, if there is one (RFC 3463).
    pub status: Option<Status>,
}

impl Answer {
    /// A reply of the application. Put an enhanced status code, if any, at the start of `text`.
    #[must_use]
    pub fn new(code: u16, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { code, status: Status::of(code, &text), text }
    }

    /// Whether the reply is positive: 2yz.
    #[must_use]
    pub const fn is_yes(&self) -> bool {
        matches!(self.code, 200..=299)
    }

    /// Whether the reply means that the mail has too many recipients.
    ///
    /// This is 452, or 552, which RFC 5321 §4.5.3.1.10 equates with it, with the status X.5.3 (RFC 3463 §3.6)
    /// or without a status.
    #[must_use]
    pub fn is_too_many(&self) -> bool {
        let is_it = |status: Status| (status.subject(), status.detail()) == (5, 3);
        matches!(self.code, 452 | 552) && self.status.is_none_or(is_it)
    }
}

impl From<Reply<'_>> for Answer {
    fn from(reply: Reply<'_>) -> Self {
        Self { code: reply.code(), text: reply.text().to_string(), status: reply.status() }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.text.replace('\n', " "))
    }
}
