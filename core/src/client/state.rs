//! All transitions of the client engine: [`State::after`] for a frame of a reply, [`State::unasked`] for an
//! unasked frame.
//!
//! The grammar interprets frames and tells whether the upgrade is offered, so nothing here depends on a
//! protocol. The engine in `mod.rs` decides when a transition happens.

use crate::{Error, Policy, Reason};

/// One request and its reply.
///
/// The enum is exhaustive, because a grammar has to handle every phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Phase {
    /// The server speaks first.
    Greeting,
    /// The client asks for the server's capabilities.
    Capabilities,
    /// The client introduces itself in an older way and continues in plaintext.
    Fallback,
    /// The client asks for the upgrade.
    Upgrade,
}

/// The meaning of one frame, as a grammar reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Reply {
    /// The reply is not complete, or the frame has no meaning here.
    More,
    /// Success. In [`Phase::Capabilities`] it means that there is no more to learn. That includes a server
    /// that does not know the request, if the protocol lets clients continue then.
    Yes,
    /// A well-formed refusal.
    No,
    /// A well-formed temporary refusal.
    NotNow,
    /// A well-formed refusal of this client. It does not tell what the server offers to others.
    Refused,
    /// A well-formed reply after which the server has no upgrade.
    Never,
    /// The server announces that it closes the connection.
    Closing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) enum State {
    /// The server's turn.
    Await(Phase),
    /// The client's turn.
    Ask(Phase),
    /// The client's turn, but an unasked frame has begun to arrive.
    Listen(Phase),
    /// The go-ahead is read, or the protocol has none. The event is due.
    GoAhead,
    /// The caller was told to start TLS.
    Ready,
    /// The server has no upgrade. The event is due.
    NoUpgrade(Reason),
    /// The caller was told to continue in plaintext.
    Plaintext(Reason),
    Failed(Error),
}

impl State {
    /// The first state of a connection.
    pub(crate) const fn start(first: Phase) -> Self {
        match first {
            Phase::Greeting => Self::Await(first),
            _ => Self::Ask(first),
        }
    }

    /// The state after the request is written or the event is returned.
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

    /// Checks that TLS may start with `unread` bytes left over.
    pub(crate) const fn upgrade(self, unread: usize) -> Result<(), Error> {
        match self {
            Self::Ready if unread == 0 => Ok(()),
            Self::Ready => Err(Error::PlaintextAfterGoAhead { unread }),
            Self::Failed(error) => Err(error),
            _ => Err(Error::OutOfOrder),
        }
    }

    /// The reason for plaintext, if the connection may continue so with `unread` bytes left over.
    pub(crate) const fn plaintext(self, unread: usize) -> Result<Reason, Error> {
        match self {
            Self::Plaintext(reason) if unread == 0 => Ok(reason),
            Self::Plaintext(_) => Err(Error::Unsolicited),
            Self::Failed(error) => Err(error),
            _ => Err(Error::OutOfOrder),
        }
    }

    /// The state after an unasked frame.
    pub(crate) const fn unasked(phase: Phase, reply: Reply) -> Self {
        match reply {
            Reply::More => Self::Ask(phase),
            Reply::Closing => Self::Failed(Error::Closing),
            _ => Self::Failed(Error::Unsolicited),
        }
    }

    /// The state after a frame of a reply.
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

            // Some greetings list the upgrade already.
            (Phase::Greeting, Reply::Yes, _) if offered => Self::Ask(Phase::Upgrade),
            (Phase::Greeting, Reply::Yes, _) => Self::Ask(Phase::Capabilities),
            (Phase::Greeting, Reply::No | Reply::NotNow | Reply::Refused, _) => {
                Self::Failed(Error::Refused)
            }

            (Phase::Capabilities, Reply::Yes, _) if offered => Self::Ask(Phase::Upgrade),
            // A server in trouble, or one that refuses this client, still has capabilities (RFC 5321 §3.2).
            // Plaintext here would be a downgrade.
            (Phase::Capabilities, Reply::NotNow | Reply::Refused, _) => {
                Self::Failed(Error::Refused)
            }
            (Phase::Capabilities, _, Policy::Required) => Self::Failed(Error::NotOffered),
            (Phase::Capabilities, Reply::No, _) if has_fallback => Self::Ask(Phase::Fallback),
            (Phase::Capabilities, _, _) => Self::NoUpgrade(Reason::NotOffered),

            (Phase::Fallback, Reply::Yes, _) => Self::NoUpgrade(Reason::NotOffered),
            (Phase::Fallback, Reply::No | Reply::NotNow | Reply::Refused, _) => {
                Self::Failed(Error::Refused)
            }

            (Phase::Upgrade, Reply::Yes, _) => Self::GoAhead,
            (Phase::Upgrade, _, Policy::Required) => Self::Failed(Error::Refused),
            (Phase::Upgrade, _, _) => Self::NoUpgrade(Reason::Refused),
        }
    }
}
