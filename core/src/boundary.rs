//! How a connection continues after its plaintext phase: over [`Tls`] or in [`Plaintext`].
//!
//! A session is built from one of these values and from configuration alone. They carry no data from the
//! peer, so nothing from before TLS can reach the session (I1).

use crate::{Error, Policy, Reason, Verification};

/// An established TLS connection: every later byte is encrypted.
///
/// ```
/// use starttls::{Error, Policy, Tls, Verification};
///
/// let tls = Tls::implicit(Policy::Required, Verification::Verified)?;
/// assert!(tls.is_implicit());
/// let stranger = Tls::implicit(Policy::Required, Verification::Unverified);
/// assert_eq!(stranger, Err(Error::Unverified));
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Tls {
    implicit: bool,
    verification: Verification,
}

impl Tls {
    /// A client's implicit TLS (RFC 8314 §3): the handshake came first, and the server's greeting follows
    /// inside TLS.
    ///
    /// # Errors
    /// [`Error::Unverified`] if `policy` is [`Policy::Required`] and the peer is not verified. Close the
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

    /// A server's implicit TLS, with a client that showed no certificate.
    #[must_use]
    pub const fn implicit_server() -> Self {
        Self::of_server(true, Verification::Unverified)
    }

    /// A server's implicit TLS. Pass [`Verification::Verified`] if the client showed a certificate that the
    /// server accepted.
    #[must_use]
    pub const fn implicit_server_of(client: Verification) -> Self {
        Self::of_server(true, client)
    }

    pub(crate) const fn of_server(implicit: bool, verification: Verification) -> Self {
        Self { implicit, verification }
    }

    /// Whether the TLS is implicit: it came first, without an upgrade.
    #[must_use]
    pub const fn is_implicit(&self) -> bool {
        self.implicit
    }

    /// How far the TLS layer identified the peer.
    #[must_use]
    pub const fn verification(&self) -> Verification {
        self.verification
    }
}

/// A connection that continues without TLS, which the policy allows.
#[derive(Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Plaintext {
    pub(crate) reason: Reason,
}

impl Plaintext {
    /// The reason why there is no TLS.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        self.reason
    }
}

/// The channel under a session: [`Tls`] or, by an explicit choice, [`Plaintext`].
pub trait Channel: sealed::Sealed {
    /// Whether the server's greeting is still to come.
    #[doc(hidden)]
    fn greets(&self) -> bool;
    /// Whether the channel is unencrypted.
    #[doc(hidden)]
    fn is_plaintext(&self) -> bool;
    /// Whether the channel is encrypted and the peer is verified.
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

/// Either channel, chosen at run time. One instance of a machine serves both, so firmware holds its code
/// once.
#[cfg(feature = "smtp")]
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
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
