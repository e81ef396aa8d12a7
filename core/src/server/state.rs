//! All transitions of the server engine: [`State::after`] for a command, [`State::decided`] for the
//! caller's decision.
//!
//! The grammar interprets frames, so nothing here depends on a protocol. The engine in `mod.rs` decides
//! when a transition happens, and counts mistakes and commands.

use crate::{Error, Policy};

/// The meaning of a client's command for the upgrade.
///
/// Events show the text of [`Hello`](Self::Hello), [`PlainHello`](Self::PlainHello),
/// [`Harmless`](Self::Harmless), [`Plain`](Self::Plain), [`Upgrade`](Self::Upgrade) and
/// [`Quit`](Self::Quit). Use these only for commands that hold no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Command<R> {
    /// Introduces the client; the reply is `R`.
    Hello(R),
    /// Asks for the upgrade.
    Upgrade,
    /// Gets the reply `R` in every state.
    Harmless(R),
    /// Gets the reply `R`, but only if the policy allows plaintext.
    Plain(R),
    /// Like [`Plain`](Self::Plain), and introduces the client.
    PlainHello(R),
    /// Carries credentials, which are never accepted in plaintext.
    Credentials,
    /// Starts the protocol's own work without TLS.
    SkipUpgrade,
    /// Belongs to work that has not begun.
    Premature,
    /// Unknown to the grammar; the application may know it.
    Unhandled,
    /// Gets no reply and has no effect before TLS.
    Ignored,
    /// A mistake; the reply is `R`.
    Fault(R),
    /// Ends the connection.
    Quit,
    /// A request of another protocol.
    Foreign,
    /// Malformed content in a well-formed frame.
    Malformed,
}

impl<R> Command<R> {
    /// Whether the command is known to carry no secret.
    pub(crate) const fn is_public(&self) -> bool {
        matches!(
            self,
            Self::Hello(_)
                | Self::PlainHello(_)
                | Self::Harmless(_)
                | Self::Plain(_)
                | Self::Upgrade
                | Self::Quit
        )
    }
}

/// A reply of the server: the engine's or the grammar's.
///
/// The enum is exhaustive, because a grammar prints both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Said<R> {
    /// A reply that every protocol's server needs.
    Engine(Answer),
    /// The grammar's own reply.
    Grammar(R),
}

/// A reply of the engine.
///
/// The enum is exhaustive, because a grammar prints each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Answer {
    /// The greeting of a server that speaks first.
    Greeting,
    /// The go-ahead: TLS starts after it.
    GoAhead,
    /// TLS is not available now.
    Unavailable,
    /// Only the upgrade is allowed now.
    TlsRequired,
    /// Credentials need TLS.
    EncryptionRequired,
    /// Another command has to come first.
    BadSequence,
    /// The command is unknown.
    Unknown,
    /// The reply to the client's last command. The server closes the connection.
    Bye,
    /// The client made too many mistakes. The server closes the connection.
    TooManyErrors,
    /// The client was silent for too long. The server closes the connection.
    TooSlow,
    /// A frame was too long. The server closes the connection.
    TooLong,
    /// A frame was malformed. The server closes the connection.
    Malformed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) enum State<R> {
    /// The client's turn.
    Await,
    /// The reply is due; then the state follows from `Then`.
    Say(Said<R>, Then),
    /// The client asks for the upgrade. The event is due.
    Asked,
    /// The caller decides on the upgrade.
    Deciding,
    /// The application answers a command.
    Answering,
    /// The client continues in plaintext. The event is due.
    PlaintextWanted,
    /// The caller was told to continue in plaintext.
    Plaintext,
    /// The go-ahead is sent. The event is due.
    GoAhead,
    /// The caller was told to start TLS.
    Ready,
    /// The last reply is sent. The event is due.
    Leaving,
    /// The caller was told to close.
    Closed,
    Failed(Error),
}

/// What follows a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) enum Then {
    Await,
    GoAhead,
    Leave,
    Fail(Error),
}

/// The conditions that decide on a command, besides its meaning.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    pub(crate) policy: Policy,
    /// Whether TLS is available.
    pub(crate) available: bool,
    /// Whether the client has introduced itself, or the protocol needs no introduction.
    pub(crate) greeted: bool,
}

impl<R> State<R> {
    /// The state after a reply is written; `ends` tells whether the grammar ends the connection with it.
    #[inline(always)]
    pub(crate) const fn after_reply(then: Then, ends: bool) -> Self {
        match then {
            Then::Await if ends => Self::Leaving,
            Then::Await => Self::Await,
            Then::GoAhead => Self::GoAhead,
            Then::Leave => Self::Leaving,
            Then::Fail(error) => Self::Failed(error),
        }
    }

    /// The state after the event is returned.
    #[inline(always)]
    pub(crate) fn next(self) -> Self {
        match self {
            Self::Asked => Self::Deciding,
            Self::Answering => Self::Await,
            Self::PlaintextWanted => Self::Plaintext,
            Self::GoAhead => Self::Ready,
            Self::Leaving => Self::Closed,
            _ => self,
        }
    }

    /// Checks that TLS may start.
    pub(crate) fn upgrade(self) -> Result<(), Error> {
        match self {
            Self::Ready => Ok(()),
            Self::Failed(error) => Err(error),
            _ => Err(Error::OutOfOrder),
        }
    }

    /// Checks that the connection may continue in plaintext.
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

    /// The first state of a connection.
    pub(crate) fn start(greets: bool) -> Self {
        if greets { Self::engine(Answer::Greeting, Then::Await) } else { Self::Await }
    }

    /// The state after the caller's decision on the upgrade.
    pub(crate) fn decided(accepted: bool) -> Self {
        if accepted {
            Self::engine(Answer::GoAhead, Then::GoAhead)
        } else {
            Self::engine(Answer::Unavailable, Then::Await)
        }
    }

    /// The state after a command that the application does not know either.
    pub(crate) fn unknown() -> Self {
        Self::engine(Answer::Unknown, Then::Await)
    }

    /// The state after one mistake too many.
    pub(crate) fn too_many_errors() -> Self {
        Self::engine(Answer::TooManyErrors, Then::Fail(Error::TooManyErrors))
    }

    /// The state after a command, and whether the command was a mistake.
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
            // Whatever the policy: a passive attacker could read them (I5).
            Command::Credentials => fault(Answer::EncryptionRequired),
            Command::Premature => fault(Answer::BadSequence),
            Command::SkipUpgrade if !facts.greeted => fault(Answer::BadSequence),
            Command::SkipUpgrade => (Self::PlaintextWanted, false),
            Command::Unhandled => (Self::Answering, false),
        }
    }
}
