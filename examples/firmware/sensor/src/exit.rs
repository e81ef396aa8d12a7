use starttls::Error;
use starttls::mail::session::{Command, Fate};

/// The result, as the exit code of the emulator; a board shows it in its log and by a lamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, defmt::Format)]
#[repr(u8)]
#[non_exhaustive]
pub enum Exit {
    /// The server accepted the mail.
    Accepted = 0,
    /// The settings in flash are incomplete or malformed.
    Settings = 10,
    /// The network assigned no address.
    NoAddress = 11,
    /// DNS has no address for the server's name.
    NoHost = 12,
    /// The TCP connection failed.
    NoConnection = 13,
    /// The server does not offer STARTTLS.
    NotOffered = 20,
    /// The server offers STARTTLS but refuses it.
    Refused = 21,
    /// Plaintext arrived after the go-ahead.
    PlaintextAfterGoAhead = 22,
    /// The server broke the protocol in another way.
    Violation = 23,
    /// The connection ended too early; the mail cannot have arrived.
    Closed = 24,
    /// The connection ended before the server's reply to the mail: it may have arrived.
    InDoubt = 25,
    /// The server took too long.
    TimedOut = 26,
    /// A buffer is too small, or another mistake of the firmware.
    Ours = 27,
    /// The certificate does not lead to the trusted CA.
    UnknownIssuer = 30,
    /// The certificate is for other names.
    WrongName = 31,
    /// The certificate is no longer valid.
    Expired = 32,
    /// The certificate is not valid yet.
    NotYetValid = 33,
    /// TLS failed for another reason.
    Tls = 34,
    /// The server accepts no login, or not this one.
    Login = 40,
    /// The server refused the mail or its recipient.
    Rejected = 41,
    /// A bug: the firmware panicked.
    Panic = 70,
}

impl Exit {
    /// A description for the log; [`Fate`] explains [`Self::InDoubt`].
    #[must_use]
    pub fn text(self) -> defmt::Str {
        match self {
            Self::Accepted => defmt::intern!("the server accepted the mail"),
            Self::Settings => defmt::intern!("the settings in flash are incomplete or malformed"),
            Self::NoAddress => defmt::intern!("the network assigned no address"),
            Self::NoHost => defmt::intern!("DNS has no address for the server's name"),
            Self::NoConnection => defmt::intern!("the connection to the server failed"),
            Self::NotOffered => defmt::intern!("the server does not offer STARTTLS"),
            Self::Refused => defmt::intern!("the server refused STARTTLS, or is closing"),
            Self::PlaintextAfterGoAhead => {
                defmt::intern!("the server sent plaintext after the go-ahead")
            }
            Self::Violation => defmt::intern!("the server broke the protocol"),
            Self::Closed => defmt::intern!("the connection ended, and no mail arrived"),
            Self::InDoubt => defmt::intern!("the connection ended, and the mail may have arrived"),
            Self::TimedOut => defmt::intern!("the server took too long"),
            Self::Ours => {
                defmt::intern!("a buffer is too small, or another mistake of the firmware")
            }
            Self::UnknownIssuer => defmt::intern!("the certificate's issuer is not trusted"),
            Self::WrongName => defmt::intern!("the certificate is for another name"),
            Self::Expired => defmt::intern!("the certificate has expired"),
            Self::NotYetValid => defmt::intern!("the certificate is not valid yet"),
            Self::Tls => defmt::intern!("TLS failed"),
            Self::Login => defmt::intern!("the server rejected the login"),
            Self::Rejected => defmt::intern!("the server rejected the mail or its recipient"),
            Self::Panic => defmt::intern!("the firmware panicked"),
        }
    }

    /// Converts a mailer's error; `tls` converts an error of TLS.
    pub fn of<S, T>(
        error: &starttls_embedded::Error<S, T>,
        fate: Fate,
        tls: impl FnOnce(&T) -> Self,
    ) -> Self {
        use starttls_embedded::Error as Failure;
        match error {
            Failure::Rejected { command: Command::Auth, .. } => Self::Login,
            Failure::Rejected { .. } => Self::Rejected,
            _ if !fate.is_safe_to_retry() => Self::InDoubt,
            Failure::Socket(_) => Self::Closed,
            Failure::Tls(error) => tls(error),
            Failure::Protocol(error) => match error {
                Error::NotOffered => Self::NotOffered,
                Error::Refused | Error::Closing => Self::Refused,
                Error::PlaintextAfterGoAhead { .. } => Self::PlaintextAfterGoAhead,
                Error::Closed => Self::Closed,
                Error::TimedOut => Self::TimedOut,
                Error::Unverified => Self::UnknownIssuer,
                error if error.is_ours() => Self::Ours,
                _ => Self::Violation,
            },
            _ => Self::Ours,
        }
    }
}
