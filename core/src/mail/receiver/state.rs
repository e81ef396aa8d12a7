use super::reply::Reply;
use crate::Error;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) enum State {
    /// The client's turn.
    Await,
    /// The client's turn, to respond to a challenge.
    Challenged(Challenge),
    /// The reply is due; then the state follows from `Then`.
    Say(Reply, Then),
    /// The application decides.
    Deciding(Question),
    /// The message arrives after `DATA`.
    Body {
        line_start: bool,
    },
    /// A chunk arrives after `BDAT`.
    Chunk(Chunk),
    /// The message is complete. The event is due.
    Whole(Whole),
    Leaving,
    /// The go-ahead is sent. The event is due.
    GoAhead,
    /// The caller was told to start TLS.
    Ready,
    Closed,
    Failed(Error),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) enum Then {
    Await,
    Challenged(Challenge),
    Body,
    Whole(Whole),
    Leave,
    GoAhead,
    TooManyErrors,
    TooManyCommands,
}

impl From<Then> for State {
    fn from(then: Then) -> Self {
        match then {
            Then::Await => Self::Await,
            Then::Challenged(challenge) => Self::Challenged(challenge),
            Then::Body => Self::Body { line_start: true },
            Then::Whole(whole) => Self::Whole(whole),
            Then::Leave => Self::Leaving,
            Then::GoAhead => Self::GoAhead,
            Then::TooManyErrors => Self::Failed(Error::TooManyErrors),
            Then::TooManyCommands => Self::Failed(Error::TooManyCommands),
        }
    }
}

/// The response that the client was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) enum Challenge {
    /// The message of PLAIN.
    Plain,
    /// The user name of LOGIN.
    User,
    /// The password of LOGIN.
    Password,
    /// The message of EXTERNAL.
    Authorization,
    /// The first message of SCRAM.
    #[cfg(feature = "scram")]
    ScramFirst {
        /// Whether the mechanism is `SCRAM-SHA-256-PLUS`.
        plus: bool,
    },
    /// The final message of SCRAM.
    #[cfg(feature = "scram")]
    ScramFinal,
    /// The client's consent to the server's signature: an empty line (RFC 4954 §4).
    #[cfg(feature = "scram")]
    ScramEnd,
}

/// The decision that the application was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) enum Question {
    Login,
    /// Which keys has the user of SCRAM?
    #[cfg(feature = "scram")]
    ScramFirst,
    /// Is the proof of SCRAM right?
    #[cfg(feature = "scram")]
    ScramFinal,
    Mail,
    Recipient,
    Message {
        index: u16,
    },
}

impl Question {
    /// Whether a client's identity is in question.
    pub(super) const fn is_login(self) -> bool {
        self.is_scram() || matches!(self, Self::Login)
    }

    /// Whether only a proof is an acceptance.
    pub(super) const fn is_scram(self) -> bool {
        #[cfg(feature = "scram")]
        return matches!(self, Self::ScramFirst | Self::ScramFinal);
        #[cfg(not(feature = "scram"))]
        false
    }
}

/// A chunk that is arriving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct Chunk {
    /// The number of bytes still to come.
    pub(super) left: usize,
    pub(super) is_last: bool,
}

/// A complete message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct Whole {
    /// The index of the recipient whose decision is pending; 0 for SMTP.
    pub(super) index: u16,
    /// The receiver's own reason for refusing the message.
    pub(super) refusal: Option<Reply>,
}

/// The state of the current mail.
#[derive(Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct Transaction {
    pub(super) stage: Stage,
    /// Whether its addresses may be UTF-8.
    pub(super) international: bool,
    /// The number of accepted recipients.
    pub(super) recipients: u16,
    /// The number of received bytes of the message.
    pub(super) octets: usize,
    /// The reply to every further chunk.
    pub(super) refusal: Option<Reply>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) enum Stage {
    #[default]
    None,
    /// MAIL was accepted.
    Envelope,
    /// A chunk has begun.
    Chunks {
        /// Whether the last chunk ended with a CR.
        after_cr: bool,
    },
}
