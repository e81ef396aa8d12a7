//! Everything that changes the state of a client.
//!
//! This file does not know which protocol is spoken.

use crate::{Error, Policy, Reason};

/// One question and its answer. Exhaustive: a grammar has something to say in each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Phase {
    /// The server speaks first.
    Greeting,
    /// The client asks what the server can do.
    Capabilities,
    /// The client introduces itself in the old way, to go on in plaintext.
    Fallback,
    /// The client asks for the upgrade.
    Upgrade,
}

/// What a grammar makes of one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Reply {
    /// The answer is not finished, or the frame is none of our business.
    More,
    /// The phase's one success token. In [`Phase::Capabilities`] that there is no more to be learned,
    /// also of a server that does not know the question, where the protocol has clients go on.
    Yes,
    /// A well-formed refusal.
    No,
    /// A well-formed refusal for the time being.
    NotNow,
    /// A well-formed answer behind which there is no upgrade any more.
    Never,
    /// The server says that it closes the connection.
    Closing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) enum State {
    /// The peer's turn.
    Await(Phase),
    /// Our turn.
    Ask(Phase),
    /// Our turn, but the server began to say something that nobody asked for.
    Listen(Phase),
    /// The go-ahead is read, or there is none; the caller is to be told.
    GoAhead,
    /// The caller was told to start TLS.
    Ready,
    /// There will be no upgrade; the caller is to be told.
    NoUpgrade(Reason),
    /// The caller was told to go on in plaintext.
    Plaintext(Reason),
    Failed(Error),
}

impl State {
    /// The server speaks first, or we do.
    pub(crate) const fn start(first: Phase) -> Self {
        match first {
            Phase::Greeting => Self::Await(first),
            _ => Self::Ask(first),
        }
    }

    /// What follows when the request is written or the event is told.
    #[inline(always)]
    pub(crate) const fn next(self, has_go_ahead: bool) -> Self {
        match self {
            Self::Ask(Phase::Upgrade) if !has_go_ahead => Self::GoAhead,
            Self::Ask(phase) => Self::Await(phase),
            Self::GoAhead => Self::Ready,
            Self::NoUpgrade(reason) => Self::Plaintext(reason),
            _ => self,
        }
    }

    /// Whether TLS may start, with so many octets unread.
    pub(crate) const fn upgrade(self, unread: usize) -> Result<(), Error> {
        match self {
            Self::Ready if unread == 0 => Ok(()),
            Self::Ready => Err(Error::PlaintextAfterGoAhead { unread }),
            Self::Failed(error) => Err(error),
            _ => Err(Error::OutOfOrder),
        }
    }

    /// Why the connection goes on in plaintext, if it may, with so many octets unread.
    pub(crate) const fn plaintext(self, unread: usize) -> Result<Reason, Error> {
        match self {
            Self::Plaintext(reason) if unread == 0 => Ok(reason),
            Self::Plaintext(_) => Err(Error::Unsolicited),
            Self::Failed(error) => Err(error),
            _ => Err(Error::OutOfOrder),
        }
    }

    /// What a frame leads to that nobody asked for.
    pub(crate) const fn unasked(phase: Phase, reply: Reply) -> Self {
        match reply {
            Reply::More => Self::Ask(phase),
            Reply::Closing => Self::Failed(Error::Closing),
            _ => Self::Failed(Error::Unsolicited),
        }
    }

    /// What a frame of an answer leads to.
    pub(crate) const fn after(
        phase: Phase,
        reply: Reply,
        offered: bool,
        policy: Policy,
        has_fallback: bool,
    ) -> Self {
        match (phase, reply, policy) {
            (_, Reply::More, _) => Self::Await(phase),
            (_, Reply::Closing, _) => Self::Failed(Error::Closing),
            (_, Reply::Never, Policy::Required) => Self::Failed(Error::NotOffered),
            (_, Reply::Never, _) => Self::NoUpgrade(Reason::NotOffered),

            // Some greetings say it already.
            (Phase::Greeting, Reply::Yes, _) if offered => Self::Ask(Phase::Upgrade),
            (Phase::Greeting, Reply::Yes, _) => Self::Ask(Phase::Capabilities),
            (Phase::Greeting, Reply::No | Reply::NotNow, _) => Self::Failed(Error::Refused),

            (Phase::Capabilities, Reply::Yes, _) if offered => Self::Ask(Phase::Upgrade),
            // A server that has trouble is no server without capabilities (RFC 5321 §3.2).
            (Phase::Capabilities, Reply::NotNow, _) => Self::Failed(Error::Refused),
            (Phase::Capabilities, _, Policy::Required) => Self::Failed(Error::NotOffered),
            (Phase::Capabilities, Reply::No, _) if has_fallback => Self::Ask(Phase::Fallback),
            (Phase::Capabilities, _, _) => Self::NoUpgrade(Reason::NotOffered),

            (Phase::Fallback, Reply::Yes, _) => Self::NoUpgrade(Reason::NotOffered),
            (Phase::Fallback, Reply::No | Reply::NotNow, _) => Self::Failed(Error::Refused),

            (Phase::Upgrade, Reply::Yes, _) => Self::GoAhead,
            (Phase::Upgrade, _, Policy::Required) => Self::Failed(Error::Refused),
            (Phase::Upgrade, _, _) => Self::NoUpgrade(Reason::Refused),
        }
    }
}
