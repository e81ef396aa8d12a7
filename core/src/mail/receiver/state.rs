use super::reply::Reply;
use crate::Error;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) enum State {
    /// The client's turn.
    Await,
    /// The client's turn, to answer a challenge.
    Challenged(Challenge),
    /// A reply is to be written, then the state is `Then`.
    Say(Reply, Then),
    /// The application judges.
    Deciding(Question),
    /// The message arrives, behind `DATA`.
    Body {
        line_start: bool,
    },
    /// A piece of it arrives, behind `BDAT`.
    Chunk(Chunk),
    /// The message is whole; the application is to be asked.
    Whole(Whole),
    Leaving,
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
            Then::TooManyErrors => Self::Failed(Error::TooManyErrors),
            Then::TooManyCommands => Self::Failed(Error::TooManyCommands),
        }
    }
}

/// What a client was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) enum Challenge {
    /// The message of PLAIN.
    Plain,
    /// The user name of LOGIN.
    User,
    /// The password of LOGIN.
    Password,
}

/// What the application was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) enum Question {
    Login,
    Mail,
    Recipient,
    Message { index: u16 },
}

/// A chunk that arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct Chunk {
    /// How many octets are to come.
    pub(super) left: usize,
    pub(super) is_last: bool,
}

/// A message that is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct Whole {
    /// Which recipient is asked about; 0 for all of SMTP.
    pub(super) index: u16,
    /// Why it is refused in the application's place.
    pub(super) refusal: Option<Reply>,
}

/// What is known of the mail under way.
#[derive(Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct Transaction {
    pub(super) stage: Stage,
    /// It may have addresses in UTF-8.
    pub(super) international: bool,
    /// How many recipients were accepted.
    pub(super) recipients: u16,
    /// How many octets of the message came.
    pub(super) octets: usize,
    /// What every further chunk is told.
    pub(super) refusal: Option<Reply>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) enum Stage {
    #[default]
    None,
    /// MAIL was accepted.
    Envelope,
    /// A chunk was begun.
    Chunks {
        /// The last one ended with a CR.
        after_cr: bool,
    },
}
