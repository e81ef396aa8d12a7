//! Everything that changes the state of a server.
//!
//! This file does not know which protocol is spoken.

use crate::{Error, Policy};

/// What a client's command means for the upgrade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Command<R> {
    /// Introduces the client and is answered with `R`.
    Hello(R),
    /// Asks for the upgrade.
    Upgrade,
    /// Answered with `R` in every state.
    Harmless(R),
    /// Answered with `R`, but only where the policy allows plaintext.
    Plain(R),
    /// Like [`Plain`](Self::Plain), and introduces the client.
    PlainHello(R),
    /// Would carry credentials; never in plaintext.
    Credentials,
    /// Begins the protocol's own work without TLS.
    SkipUpgrade,
    /// Belongs to work that has not begun.
    Premature,
    /// The grammar has no answer; the application may have one.
    Unhandled,
    /// Has no answer, and does nothing before TLS.
    Ignored,
    /// A mistake, answered with `R`.
    Fault(R),
    /// Ends the connection.
    Quit,
    /// A request of another protocol.
    Foreign,
    /// Not of the protocol's form, though the frame is.
    Malformed,
}

/// What a server says: the engine's words or the grammar's. Exhaustive: a grammar prints both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Said<R> {
    /// What every protocol's server has to say.
    Engine(Answer),
    /// The grammar's own reply.
    Grammar(R),
}

/// What the engine says on its own. Exhaustive: a grammar has a reply for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Answer {
    /// The server speaks first.
    Greeting,
    /// TLS starts behind this.
    GoAhead,
    /// TLS cannot be had now.
    Unavailable,
    /// Only the upgrade is allowed now.
    TlsRequired,
    /// Credentials need TLS.
    EncryptionRequired,
    /// Not now: something else has to come first.
    BadSequence,
    /// The command is not known.
    Unknown,
    /// The client's last command was answered; the server closes.
    Bye,
    /// Too many mistakes; the server closes.
    TooManyErrors,
    /// The client was silent for too long; the server closes.
    TooSlow,
    /// A frame was too long; the server closes.
    TooLong,
    /// A frame was not of the protocol's form; the server closes.
    Malformed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State<R> {
    /// The client's turn.
    Await,
    /// A reply is to be written, then the state is `Then`.
    Say(Said<R>, Then),
    /// The client asks for the upgrade; the caller is to be told.
    Asked,
    /// The caller decides on the upgrade.
    Deciding,
    /// The application answers a command.
    Answering,
    /// The client goes on in plaintext; the caller is to be told.
    Unasked,
    /// The caller was told to go on in plaintext.
    Plaintext,
    /// The go-ahead is sent; the caller is to be told.
    GoAhead,
    /// The caller was told to start TLS.
    Ready,
    /// The last word is sent; the caller is to be told.
    Leaving,
    /// The caller was told to close.
    Closed,
    Failed(Error),
}

/// What follows a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    Await,
    GoAhead,
    Leave,
    Fail(Error),
}

/// What a server knows besides its state.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    pub(crate) policy: Policy,
    /// TLS can be had.
    pub(crate) available: bool,
    /// The client has introduced itself, or the protocol has no introduction.
    pub(crate) greeted: bool,
}

impl<R> State<R> {
    /// What follows when a reply is written, behind which the connection may end.
    #[inline(always)]
    pub(crate) const fn said(then: Then, ends: bool) -> Self {
        match then {
            Then::Await if ends => Self::Leaving,
            Then::Await => Self::Await,
            Then::GoAhead => Self::GoAhead,
            Then::Leave => Self::Leaving,
            Then::Fail(error) => Self::Failed(error),
        }
    }

    /// What follows when the event is told.
    #[inline(always)]
    pub(crate) fn next(self) -> Self {
        match self {
            Self::Asked => Self::Deciding,
            Self::Answering => Self::Await,
            Self::Unasked => Self::Plaintext,
            Self::GoAhead => Self::Ready,
            Self::Leaving => Self::Closed,
            _ => self,
        }
    }

    /// Whether TLS may start, with these octets unread: those that begin a TLS record are its own.
    pub(crate) fn upgrade(self, unread: &[u8]) -> Result<(), Error> {
        const HANDSHAKE: u8 = 0x16;
        match (self, unread) {
            (Self::Ready, [] | [HANDSHAKE, ..]) => Ok(()),
            (Self::Ready, _) => Err(Error::PlaintextAfterGoAhead { unread: unread.len() }),
            (Self::Failed(error), _) => Err(error),
            _ => Err(Error::OutOfOrder),
        }
    }

    /// Whether the connection may go on in plaintext.
    pub(crate) fn plaintext(self) -> Result<(), Error> {
        match self {
            Self::Plaintext => Ok(()),
            Self::Failed(error) => Err(error),
            _ => Err(Error::OutOfOrder),
        }
    }
}

impl<R> State<R> {
    const fn engine(answer: Answer, then: Then) -> Self {
        Self::Say(Said::Engine(answer), then)
    }

    /// The server speaks first, where the protocol has a greeting.
    pub(crate) fn start(greets: bool) -> Self {
        if greets { Self::engine(Answer::Greeting, Then::Await) } else { Self::Await }
    }

    /// What the caller's decision on the upgrade leads to.
    pub(crate) fn decided(accepted: bool) -> Self {
        if accepted {
            Self::engine(Answer::GoAhead, Then::GoAhead)
        } else {
            Self::engine(Answer::Unavailable, Then::Await)
        }
    }

    /// What a command leads to that the application does not know either.
    pub(crate) fn unknown() -> Self {
        Self::engine(Answer::Unknown, Then::Await)
    }

    /// What one mistake too many leads to.
    pub(crate) fn too_many_errors() -> Self {
        Self::engine(Answer::TooManyErrors, Then::Fail(Error::TooManyErrors))
    }

    /// What a command leads to, and whether it was a mistake.
    pub(crate) fn after(command: Command<R>, facts: Facts) -> (Self, bool) {
        let fault = |answer: Answer| (Self::engine(answer, Then::Await), true);
        let required = matches!(facts.policy, Policy::Required);
        match command {
            Command::Foreign => (Self::Failed(Error::Foreign), false),
            Command::Malformed => (Self::Failed(Error::Syntax), false),
            Command::Quit => (Self::engine(Answer::Bye, Then::Leave), false),
            Command::Fault(reply) => (Self::Say(Said::Grammar(reply), Then::Await), true),
            Command::Ignored => (Self::Await, false),
            Command::Hello(reply) | Command::Harmless(reply) => {
                (Self::Say(Said::Grammar(reply), Then::Await), false)
            }

            Command::Upgrade if !facts.greeted => fault(Answer::BadSequence),
            Command::Upgrade if !facts.available => fault(Answer::Unavailable),
            Command::Upgrade => (Self::Asked, false),

            _ if required => fault(Answer::TlsRequired),
            Command::Plain(reply) | Command::PlainHello(reply) => {
                (Self::Say(Said::Grammar(reply), Then::Await), false)
            }
            Command::Credentials => fault(Answer::EncryptionRequired),
            Command::Premature => fault(Answer::BadSequence),
            Command::SkipUpgrade if !facts.greeted => fault(Answer::BadSequence),
            Command::SkipUpgrade => (Self::Unasked, false),
            Command::Unhandled => (Self::Answering, false),
        }
    }
}
