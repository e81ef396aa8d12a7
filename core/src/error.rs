//! Everything that can go wrong, flat.

use core::fmt;

/// Why a machine stopped.
///
/// [`kind`](Self::kind) tells whose fault it is, [`rule`](Self::rule) names the promise or rule of
/// `tests/RULES.md` that was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Error {
    /// The output holds fewer than `needed` octets; nothing was written, call again with more.
    OutputTooSmall {
        /// The octets that this write takes.
        needed: usize,
    },
    /// The method may not be called in this state; nothing changed.
    OutOfOrder,
    /// The message has a CR or LF that stands alone, and the caller asked for strictness.
    BareLineEnd,
    /// The message has a line that is longer than mail allows, and can be sent if it is encoded.
    LineTooLong,
    /// The server does not offer what the caller needs; nothing changed.
    Unsupported,
    /// The message has more octets than the server takes; nothing changed.
    MessageTooLarge,
    /// The peer does not offer the upgrade and the policy requires it.
    NotOffered,
    /// The peer refused, by a well-formed reply, what cannot be done without.
    Refused,
    /// The peer is closing the connection and said so.
    Closing,
    /// The connection ended where the protocol does not allow it.
    Closed,
    /// The peer took longer than the caller wanted to wait.
    TimedOut,
    /// TLS is up, but nobody vouches for the peer and the policy or a credential needs it.
    Unverified,
    /// Octets were received in plaintext after the last plaintext octet.
    PlaintextAfterGoAhead {
        /// How many.
        unread: usize,
    },
    /// The peer spoke before it was asked.
    Unsolicited,
    /// A line or packet is longer than its limit.
    FrameTooLong,
    /// A reply goes on for more frames than its limit.
    ReplyTooLong,
    /// CR without LF.
    BareCr,
    /// LF without CR.
    BareLf,
    /// An octet of value zero in a line.
    Nul,
    /// The frame is not of the protocol's form.
    Syntax,
    /// A well-formed reply that is no answer to what was asked.
    UnexpectedReply,
    /// The lines of one reply carry different codes.
    MixedCodes,
    /// The client made more mistakes than the server puts up with.
    TooManyErrors,
    /// The client sent more commands than the server puts up with.
    TooManyCommands,
    /// The client speaks another protocol, as browsers do when they are misled.
    Foreign,
}

/// Whose fault an [`Error`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Kind {
    /// Our caller's; mend and call again.
    Caller,
    /// Nobody's: there is no upgrade to be had.
    NotOffered,
    /// The peer's decision.
    Refused,
    /// The connection ended or took too long.
    Lost,
    /// The peer broke the protocol, or somebody did on its behalf.
    Violation,
    /// The peer is not known to be who it should be.
    Unverified,
}

impl Error {
    /// Sorts the error by whose fault it is.
    #[must_use]
    pub const fn kind(self) -> Kind {
        match self {
            Self::OutputTooSmall { .. }
            | Self::OutOfOrder
            | Self::BareLineEnd
            | Self::LineTooLong
            | Self::Unsupported
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
            | Self::TooManyErrors
            | Self::TooManyCommands
            | Self::Foreign => Kind::Violation,
        }
    }

    /// Whether it is our caller's mistake, which leaves the machine as it was.
    #[must_use]
    pub const fn is_ours(self) -> bool {
        matches!(self.kind(), Kind::Caller)
    }

    /// The id of the promise or rule that was broken, as listed in `tests/RULES.md`.
    #[must_use]
    pub const fn rule(self) -> &'static str {
        match self {
            Self::OutputTooSmall { .. }
            | Self::BareLineEnd
            | Self::LineTooLong
            | Self::MessageTooLarge => "I12",
            Self::OutOfOrder => "I18",
            Self::NotOffered | Self::Refused | Self::Unsupported => "I5",
            Self::Closing | Self::Closed | Self::UnexpectedReply => "I4",
            Self::TimedOut => "I17",
            Self::Unverified | Self::Foreign | Self::TooManyErrors | Self::TooManyCommands => "I16",
            Self::PlaintextAfterGoAhead { .. } => "I2",
            Self::Unsolicited => "I6",
            Self::FrameTooLong
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
            Self::BareLineEnd => "the message has a CR or LF that stands alone",
            Self::LineTooLong => "the message has a line of more than 998 octets",
            Self::Unsupported => "the server does not offer what is needed",
            Self::MessageTooLarge => "the message is larger than the server takes",
            Self::NotOffered => "the peer does not offer TLS",
            Self::Refused => "the peer refused",
            Self::Closing => "the peer is closing the connection",
            Self::Closed => "the connection ended too early",
            Self::TimedOut => "the peer did not answer in time",
            Self::Unverified => "the peer's identity is not verified",
            Self::PlaintextAfterGoAhead { .. } => "plaintext arrived where only TLS may follow",
            Self::Unsolicited => "the peer spoke before it was asked",
            Self::FrameTooLong => "a line or packet is too long",
            Self::ReplyTooLong => "a reply has too many lines",
            Self::BareCr => "CR without LF",
            Self::BareLf => "LF without CR",
            Self::Nul => "an octet of value zero in a line",
            Self::Syntax => "not of the protocol's form",
            Self::UnexpectedReply => "the reply does not answer what was asked",
            Self::MixedCodes => "the lines of one reply carry different codes",
            Self::TooManyErrors => "the client made too many mistakes",
            Self::TooManyCommands => "the client sent too many commands",
            Self::Foreign => "the client speaks another protocol",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())?;
        match self {
            Self::OutputTooSmall { needed } => write!(f, ": {needed} octets are needed"),
            Self::PlaintextAfterGoAhead { unread } => write!(f, ": {unread} octets"),
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
    /// Nothing is there.
    Empty,
    /// Longer than its documented limit.
    TooLong,
    /// CR, LF, NUL or another octet that would end or change the command.
    Forbidden,
    /// An octet outside ASCII where the protocol has no way to carry it.
    NotAscii,
    /// Not of the documented form.
    Malformed,
}

impl fmt::Display for ArgumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "must not be empty",
            Self::TooLong => "is too long",
            Self::Forbidden => "contains a control character or another forbidden octet",
            Self::NotAscii => "contains a character outside ASCII",
            Self::Malformed => "is not of the form that the standard asks for",
        })
    }
}

impl core::error::Error for ArgumentError {}
