//! The errors of all machines, as flat enums.

use core::fmt;

/// The reason why a machine stopped.
///
/// [`kind`](Self::kind) tells whose fault it is. [`rule`](Self::rule) names the promise or rule of
/// `tests/RULES.md` that was broken.
///
/// ```
/// use starttls::{Error, Kind};
///
/// let error = Error::PlaintextAfterGoAhead { unread: 12 };
/// assert_eq!((error.kind(), error.rule()), (Kind::Violation, "I2"));
/// assert_eq!(error.to_string(), "plaintext arrived where only TLS may follow: 12 bytes");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Error {
    /// The output buffer holds fewer than `needed` bytes. Nothing was written; call again with a larger
    /// one, and with the input as it is now: the rest of a truncated frame may have been taken from it.
    OutputTooSmall {
        /// The number of bytes that this write takes.
        needed: usize,
    },
    /// The method may not be called in this state. Nothing changed.
    OutOfOrder,
    /// The message has a bare CR or LF, and the caller chose to reject those.
    BareLineEnd,
    /// The message has a line of more than 998 bytes (RFC 5322 §2.1.1). It can be sent if it is encoded.
    LineTooLong,
    /// The message has a NUL byte. It can be sent if it is encoded.
    NulInMessage,
    /// The message cannot be forwarded whole: its lines have every boundary that could end it, or it is not
    /// the one that was inspected. It can be attached as a file.
    NotForwardable,
    /// The server does not offer `AUTH` (RFC 4954). Nothing changed.
    NoAuth,
    /// The server does not offer `AUTH` with a mechanism that fits the credentials, or with the one that
    /// they name. Nothing changed.
    NoMechanism,
    /// The message has bytes above 127, and the server does not offer `8BITMIME` (RFC 6152). Nothing
    /// changed.
    NoEightBitMime,
    /// An address or a header field is not ASCII, and the server does not offer `SMTPUTF8` (RFC 6531).
    /// Nothing changed.
    NoSmtpUtf8,
    /// The mail asks for delivery reports, and the server does not offer `DSN` (RFC 3461). Nothing changed.
    NoDsn,
    /// The mail requires TLS on every hop, and the server does not offer `REQUIRETLS` (RFC 8689).
    /// Nothing changed.
    NoRequireTls,
    /// The message is to be sent in chunks, and the server does not offer `CHUNKING` (RFC 3030). Nothing
    /// changed.
    NoChunking,
    /// The message exceeds the size that the server accepts. Nothing changed.
    MessageTooLarge,
    /// The peer does not offer the upgrade, and the policy requires it.
    NotOffered,
    /// The peer refused a necessary step by a well-formed reply.
    Refused,
    /// The peer announced that it closes the connection.
    Closing,
    /// The connection ended where the protocol does not allow it.
    Closed,
    /// The peer did not respond within the caller's time limit.
    TimedOut,
    /// TLS is up and the peer is not verified, although the policy or a credential requires it.
    Unverified,
    /// Plaintext bytes arrived after the boundary.
    PlaintextAfterGoAhead {
        /// The number of these bytes.
        unread: usize,
    },
    /// The peer sent data before it was asked.
    Unsolicited,
    /// A line or packet exceeds its limit.
    FrameTooLong,
    /// A reply has more frames than its limit.
    ReplyTooLong,
    /// A CR without an LF.
    BareCr,
    /// An LF without a CR.
    BareLf,
    /// A NUL byte in a line.
    Nul,
    /// A frame violates the protocol's syntax.
    Syntax,
    /// A well-formed reply that the protocol does not allow here.
    UnexpectedReply,
    /// The lines of one reply carry different codes.
    MixedCodes,
    /// The server asks for more hash iterations than the caller allows.
    TooManyIterations,
    /// The client made more mistakes than the server tolerates.
    TooManyErrors,
    /// The client sent more commands than the server allows.
    TooManyCommands,
    /// The peer speaks another protocol, as a misdirected browser does. Inside implicit TLS: the handshake
    /// did not agree on the ALPN id that the protocol [demands](crate::Protocol::demands_alpn).
    Foreign,
}

/// Whose fault an [`Error`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Kind {
    /// The call cannot succeed as it is. Correct it and call again.
    Caller,
    /// The peer has no upgrade. This is no fault.
    NotOffered,
    /// The peer refused.
    Refused,
    /// The connection ended or timed out.
    Lost,
    /// The peer violated the protocol, or an attacker did in its place.
    Violation,
    /// The peer's identity is not verified.
    Unverified,
}

impl Error {
    /// Classifies the error by whose fault it is.
    #[must_use]
    pub const fn kind(self) -> Kind {
        match self {
            Self::OutputTooSmall { .. }
            | Self::OutOfOrder
            | Self::BareLineEnd
            | Self::LineTooLong
            | Self::NulInMessage
            | Self::NotForwardable
            | Self::NoAuth
            | Self::NoMechanism
            | Self::NoEightBitMime
            | Self::NoSmtpUtf8
            | Self::NoDsn
            | Self::NoRequireTls
            | Self::NoChunking
            | Self::MessageTooLarge => Kind::Caller,
            Self::NotOffered => Kind::NotOffered,
            Self::Refused | Self::Closing => Kind::Refused,
            Self::Closed | Self::TimedOut => Kind::Lost,
            Self::Unverified => Kind::Unverified,
            Self::PlaintextAfterGoAhead { .. }
            | Self::Unsolicited
            | Self::FrameTooLong
            | Self::ReplyTooLong
            | Self::BareCr
            | Self::BareLf
            | Self::Nul
            | Self::Syntax
            | Self::UnexpectedReply
            | Self::MixedCodes
            | Self::TooManyIterations
            | Self::TooManyErrors
            | Self::TooManyCommands
            | Self::Foreign => Kind::Violation,
        }
    }

    /// Whether the error is the caller's mistake. Such an error leaves the machine unchanged.
    #[must_use]
    pub const fn is_ours(self) -> bool {
        matches!(self.kind(), Kind::Caller)
    }

    /// Whether a mail server lacks an extension that the caller needs, by its `EHLO` or `LHLO` reply inside
    /// the channel.
    #[must_use]
    pub const fn is_unsupported(self) -> bool {
        matches!(
            self,
            Self::NoAuth
                | Self::NoMechanism
                | Self::NoEightBitMime
                | Self::NoSmtpUtf8
                | Self::NoDsn
                | Self::NoRequireTls
                | Self::NoChunking
        )
    }

    /// The id of the broken promise or rule in `tests/RULES.md`.
    #[must_use]
    pub const fn rule(self) -> &'static str {
        match self {
            Self::OutputTooSmall { .. }
            | Self::BareLineEnd
            | Self::LineTooLong
            | Self::NulInMessage
            | Self::NotForwardable
            | Self::MessageTooLarge => "I12",
            Self::OutOfOrder => "I18",
            Self::NotOffered
            | Self::Refused
            | Self::NoAuth
            | Self::NoMechanism
            | Self::NoEightBitMime
            | Self::NoSmtpUtf8
            | Self::NoDsn
            | Self::NoRequireTls
            | Self::NoChunking => "I5",
            Self::Closing | Self::Closed | Self::UnexpectedReply => "I4",
            Self::TimedOut => "I17",
            Self::Unverified | Self::Foreign | Self::TooManyErrors | Self::TooManyCommands => "I16",
            Self::PlaintextAfterGoAhead { .. } => "I2",
            Self::Unsolicited => "I6",
            Self::FrameTooLong
            | Self::TooManyIterations
            | Self::ReplyTooLong
            | Self::BareCr
            | Self::BareLf
            | Self::Nul
            | Self::Syntax
            | Self::MixedCodes => "I11",
        }
    }

    const fn message(self) -> &'static str {
        match self {
            Self::OutputTooSmall { .. } => "the output buffer is too small",
            Self::OutOfOrder => "the method may not be called in this state",
            Self::BareLineEnd => "the message has a bare CR or LF",
            Self::LineTooLong => "the message has a line of more than 998 bytes",
            Self::NulInMessage => "the message has a NUL byte",
            Self::NotForwardable => "the message cannot be forwarded whole; attach it as a file",
            Self::NoAuth => "the server does not offer AUTH",
            Self::NoMechanism => "the server does not offer a usable AUTH mechanism",
            Self::NoEightBitMime => {
                "the server does not offer 8BITMIME, which a message with bytes above 127 needs"
            }
            Self::NoSmtpUtf8 => {
                "the server does not offer SMTPUTF8, which addresses or a header outside ASCII need"
            }
            Self::NoDsn => "the server does not offer DSN, which reports on the delivery need",
            Self::NoRequireTls => "the server does not offer REQUIRETLS",
            Self::NoChunking => "the server does not offer CHUNKING",
            Self::MessageTooLarge => "the message is larger than the server accepts",
            Self::NotOffered => "the peer does not offer TLS",
            Self::Refused => "the peer refused",
            Self::Closing => "the peer is closing the connection",
            Self::Closed => "the connection ended too early",
            Self::TimedOut => "the peer did not answer in time",
            Self::Unverified => "the peer's identity is not verified",
            Self::PlaintextAfterGoAhead { .. } => "plaintext arrived where only TLS may follow",
            Self::Unsolicited => "the peer sent data before it was asked",
            Self::FrameTooLong => "a line or packet is too long",
            Self::ReplyTooLong => "a reply has too many lines",
            Self::BareCr => "CR without LF",
            Self::BareLf => "LF without CR",
            Self::Nul => "a NUL byte in a line",
            Self::Syntax => "malformed line or packet",
            Self::UnexpectedReply => "unexpected reply",
            Self::MixedCodes => "the lines of one reply carry different codes",
            Self::TooManyIterations => "the server asks for more hash iterations than allowed",
            Self::TooManyErrors => "the client made too many mistakes",
            Self::TooManyCommands => "the client sent too many commands",
            Self::Foreign => "the peer speaks another protocol",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())?;
        match self {
            Self::OutputTooSmall { needed } => write!(f, ": {needed} bytes are needed"),
            Self::PlaintextAfterGoAhead { unread } => write!(f, ": {unread} bytes"),
            _ => Ok(()),
        }
    }
}

impl core::error::Error for Error {}

/// Why a value may not be put into a command, a reply or a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ArgumentError {
    /// The value is empty.
    Empty,
    /// The value exceeds its documented limit.
    TooLong,
    /// The value has a CR, LF, NUL or another byte that would end or change the command.
    Forbidden,
    /// The value has a byte outside ASCII, which the protocol cannot carry.
    NotAscii,
    /// The value is not of the documented form.
    Malformed,
}

impl fmt::Display for ArgumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "must not be empty",
            Self::TooLong => "is too long",
            Self::Forbidden => "contains a control character or another forbidden byte",
            Self::NotAscii => "contains a character outside ASCII",
            Self::Malformed => "is malformed",
        })
    }
}

impl core::error::Error for ArgumentError {}
