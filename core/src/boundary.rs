//! What is left of a connection when its plaintext phase is over.
//!
//! A session that follows is built from one of these and from configuration alone. They carry
//! nothing that the peer said.

use crate::{Error, Policy, Reason, Verification};

/// TLS is up: everything from here on is encrypted.
#[derive(Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Tls {
    implicit: bool,
    verification: Verification,
}

impl Tls {
    /// TLS that came first, on a port of its own (RFC 8314 §3): the server's greeting is yet to come.
    ///
    /// # Errors
    /// [`Error::Unverified`] if the policy requires a verified peer and this one is not. Close the
    /// connection.
    pub fn implicit(policy: Policy, verification: Verification) -> Result<Self, Error> {
        Self::new(true, policy, verification)
    }

    pub(crate) fn new(
        implicit: bool,
        policy: Policy,
        verification: Verification,
    ) -> Result<Self, Error> {
        if policy == Policy::Required && verification != Verification::Verified {
            return Err(Error::Unverified);
        }
        Ok(Self { implicit, verification })
    }

    /// TLS that came first, as a server sees it, whose clients need no certificate.
    #[must_use]
    pub const fn implicit_server() -> Self {
        Self::of_server(true)
    }

    pub(crate) const fn of_server(implicit: bool) -> Self {
        Self { implicit, verification: Verification::Unverified }
    }

    /// Whether TLS came first, without an upgrade.
    #[must_use]
    pub const fn is_implicit(&self) -> bool {
        self.implicit
    }

    /// How far the peer was identified.
    #[must_use]
    pub const fn verification(&self) -> Verification {
        self.verification
    }
}

/// The connection goes on without TLS, which the policy allows.
#[derive(Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Plaintext {
    pub(crate) reason: Reason,
}

impl Plaintext {
    /// Why there is no TLS.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        self.reason
    }
}

/// What a session runs over: [`Tls`] or, knowingly, [`Plaintext`].
pub trait Channel: sealed::Sealed {
    /// Whether the server's greeting is still to come.
    #[doc(hidden)]
    fn greets(&self) -> bool;
    /// Whether it is not encrypted.
    #[doc(hidden)]
    fn is_plaintext(&self) -> bool;
    /// Whether it is encrypted and the peer is known.
    #[doc(hidden)]
    fn is_verified(&self) -> bool;
}

impl Channel for Tls {
    fn greets(&self) -> bool {
        self.implicit
    }

    fn is_plaintext(&self) -> bool {
        false
    }

    fn is_verified(&self) -> bool {
        self.verification == Verification::Verified
    }
}

impl Channel for Plaintext {
    fn greets(&self) -> bool {
        false
    }

    fn is_plaintext(&self) -> bool {
        true
    }

    fn is_verified(&self) -> bool {
        false
    }
}

/// A channel of which only the value says whether it is encrypted: one machine serves both, so that
/// firmware has its code once.
#[cfg(feature = "smtp")]
#[derive(Debug)]
pub(crate) enum AnyChannel {
    Tls(Tls),
    Plaintext(Plaintext),
}

#[cfg(feature = "smtp")]
impl AnyChannel {
    fn channel(&self) -> &dyn Channel {
        match self {
            Self::Tls(tls) => tls,
            Self::Plaintext(plaintext) => plaintext,
        }
    }
}

#[cfg(feature = "smtp")]
impl Channel for AnyChannel {
    fn greets(&self) -> bool {
        self.channel().greets()
    }

    fn is_plaintext(&self) -> bool {
        self.channel().is_plaintext()
    }

    fn is_verified(&self) -> bool {
        self.channel().is_verified()
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Tls {}
    impl Sealed for super::Plaintext {}
    #[cfg(feature = "smtp")]
    impl Sealed for super::AnyChannel {}
}
