//! RDP (MS-RDPBCGR §2.2.1.1 and §2.2.1.2), up to TLS.
//!
//! ```text
//! C: X.224 connection request, with its security protocols               the client speaks first
//! S: X.224 connection confirm, with the chosen one
//!    ═══════════════ TLS ═══════════════
//!                                                        your own client, as the protocol says
//! ```
//!
//! **Client.** Only a confirm that chooses one of the requested [`Protocols`] starts TLS. A server without
//! negotiation, or one that chooses none of them, continues with RDP's own security. That is not TLS, so
//! the connection fails under [`Policy::Required`]. The failures 2 and 3 (TLS is not allowed, there is no
//! certificate) mean that the server has no TLS. The others are refusals. All of them end the connection,
//! whatever the policy.
//!
//! **Server.** It chooses the first protocol of its own list that the client supports. If there is none, it
//! tells the client which protocol it requires (failure 1 or 5). If the policy allows plaintext, the
//! connection instead continues without TLS, with the request still unread. A cookie or a routing token is
//! only reported.
//!
//! Inside TLS both sides have to repeat the negotiation: the chosen protocol, the requested ones and the
//! flags. Take [`Client::chosen`] or [`Server::negotiated`] before you consume the machine.
//!
//! **Limits.** A request has at most [`MAX_REQUEST`] bytes, a confirm [`MAX_CONFIRM`].
//!
//! ```
//! use starttls::rdp::{self, Protocols};
//! use starttls::{Machine, Policy, Step};
//!
//! # fn main() -> Result<(), starttls::Error> {
//! let mut client = rdp::Client::new(Protocols::SSL.with(Protocols::HYBRID), Policy::Required);
//! let mut output = [0; 19];
//! assert_eq!(client.step(&mut &b""[..], &mut output)?, Step::Write(19));
//! assert_eq!(&output, b"\x03\0\0\x13\x0e\xe0\0\0\0\0\0\x01\0\x08\0\x03\0\0\0");
//! # Ok(())
//! # }
//! ```

mod client;
mod server;
mod tpkt;

use core::time::Duration;

pub use client::{Chosen, Cookie};
pub use server::{Negotiated, Offer};
pub use tpkt::{MAX_CONFIRM, MAX_REQUEST};

use crate::server::Config;
use crate::{ArgumentError, Introduction, Policy, Protocol, Roles};
use client::ClientGrammar;
use server::ServerGrammar;
use tpkt::Tpkt;

/// An RDP client on its way to TLS.
pub type Client<'a> = crate::Client<ClientGrammar<'a>>;

/// An RDP server on its way to TLS.
pub type Server<'a> = crate::Server<ServerGrammar<'a>>;

/// RDP in both roles.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Rdp;

impl Roles for Rdp {
    type Client<'a> = ClientGrammar<'a>;
    type Server<'a> = ServerGrammar<'a>;

    const PROTOCOL: Protocol = Protocol::RDP;

    fn client<'a>(_: &Introduction<'a>, policy: Policy) -> Result<Client<'a>, ArgumentError> {
        Ok(Client::new(Protocols::SSL.with(Protocols::HYBRID), policy))
    }

    fn server<'a>(_: &Introduction<'a>, config: Config) -> Result<Server<'a>, ArgumentError> {
        Ok(Server::new(Offer { security: &[Security::Ssl], flags: 0 }, config))
    }
}

/// A security protocol that runs over TLS. Its value is its bit in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
#[repr(u8)]
pub enum Security {
    /// TLS alone.
    Ssl = 1,
    /// CredSSP inside TLS.
    Hybrid = 2,
    /// RDSTLS inside TLS.
    RdsTls = 4,
    /// CredSSP inside TLS, then the early authorization result.
    HybridEx = 8,
}

impl Security {
    const ALL: [Self; 4] = [Self::Ssl, Self::Hybrid, Self::RdsTls, Self::HybridEx];

    const fn bit(self) -> u8 {
        self as u8
    }
}

/// A set of one or more security protocols.
///
/// ```
/// use starttls::rdp::{Protocols, Security};
///
/// let protocols = Protocols::SSL.with(Protocols::RDSTLS);
/// assert!(protocols.contains(Security::Ssl) && !protocols.contains(Security::Hybrid));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Protocols(u8);

impl Protocols {
    /// TLS alone.
    pub const SSL: Self = Self::only(Security::Ssl);
    /// CredSSP. A client that supports it has to support plain TLS, too.
    pub const HYBRID: Self = Self::only(Security::Hybrid);
    /// RDSTLS.
    pub const RDSTLS: Self = Self::only(Security::RdsTls);
    /// CredSSP with the early authorization result. It asks for CredSSP, too.
    pub const HYBRID_EX: Self = Self::only(Security::HybridEx).with(Self::HYBRID);

    /// The set of this one.
    #[must_use]
    pub const fn only(one: Security) -> Self {
        Self(one.bit())
    }

    /// The protocols of both sets.
    #[must_use]
    pub const fn with(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Whether the set has `one`.
    #[must_use]
    pub const fn contains(self, one: Security) -> bool {
        self.0 & one.bit() != 0
    }
}

/// `TYPE_RDP_NEG_REQ`, `TYPE_RDP_NEG_RSP`, `TYPE_RDP_NEG_FAILURE`, `TYPE_RDP_CORRELATION_INFO`.
const REQUEST: u8 = 1;
const RESPONSE: u8 = 2;
const FAILURE: u8 = 3;
const CORRELATION: u8 = 6;

/// X.224's codes of a connection request, a confirm and a disconnect request (§13.3 to 13.5).
const CONNECTION_REQUEST: u8 = 0xe0;
const CONNECTION_CONFIRM: u8 = 0xd0;
const DISCONNECT_REQUEST: u8 = 0x80;

/// The standard sets no time limit.
const WAIT: Duration = Duration::from_secs(60);
