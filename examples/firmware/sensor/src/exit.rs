use starttls::Error;

/// How it went, as the exit code of the emulator; on a board, what the log and a lamp say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, defmt::Format)]
#[repr(u8)]
#[non_exhaustive]
pub enum Exit {
    /// The server took the mail.
    Accepted = 0,
    /// The settings in flash are not whole.
    Settings = 10,
    /// No address was to be had from the network.
    NoAddress = 11,
    /// The server's name leads to no address.
    NoHost = 12,
    /// The server does not take the connection.
    NoConnection = 13,
    /// The server offers no STARTTLS.
    NotOffered = 20,
    /// The server offers STARTTLS and refuses it.
    Refused = 21,
    /// Plaintext came behind the go-ahead.
    PlaintextAfterGoAhead = 22,
    /// The server broke the protocol in another way.
    Violation = 23,
    /// The connection ended too early; nothing of the mail can have arrived.
    Closed = 24,
    /// The connection ended while the server's answer to the whole mail was awaited: it may have arrived.
    InDoubt = 25,
    /// The server took too long.
    TimedOut = 26,
    /// A buffer of ours is too small, or another mistake of ours.
    Ours = 27,
    /// The certificate leads to no CA that is trusted.
    UnknownIssuer = 30,
    /// The certificate is for other names.
    WrongName = 31,
    /// The certificate is no longer valid.
    Expired = 32,
    /// The certificate is not valid yet.
    NotYetValid = 33,
    /// TLS failed for another reason.
    Tls = 34,
    /// The server takes no login, or not this one.
    Login = 40,
    /// The server refused the mail or its recipient.
    Rejected = 41,
    /// A bug: the firmware panicked.
    Panic = 70,
}

impl From<Error> for Exit {
    fn from(error: Error) -> Self {
        match error {
            Error::NotOffered => Self::NotOffered,
            Error::Refused | Error::Closing => Self::Refused,
            Error::PlaintextAfterGoAhead { .. } => Self::PlaintextAfterGoAhead,
            Error::Closed => Self::Closed,
            Error::TimedOut => Self::TimedOut,
            error if error.is_ours() => Self::Ours,
            _ => Self::Violation,
        }
    }
}
