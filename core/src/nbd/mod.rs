//! NBD, Network Block Device (the project's `doc/proto.md`), fixed newstyle with `NBD_OPT_STARTTLS`, up to TLS.
//!
//! ```text
//! S: NBDMAGIC IHAVEOPT flags                 FIXED_NEWSTYLE among them
//! C: flags, IHAVEOPT STARTTLS 0              in one write
//! S: reply to STARTTLS: ACK 0
//!    ═══════════════ TLS ═══════════════
//! C: IHAVEOPT …                              your own client continues with options
//! ```
//!
//! **Client.** Only the ACK to STARTTLS, without data, starts TLS. Any error is a refusal, except that
//! `NBD_REP_ERR_SHUTDOWN` closes the connection. A server without fixed newstyle has no TLS, and the client
//! sends it nothing (CVE-2019-14842). STARTTLS is the only option that the client sends.
//!
//! **Server.** If TLS is required, it answers every option but STARTTLS and ABORT with
//! `NBD_REP_ERR_TLS_REQD`; only EXPORT_NAME, which has no error reply, ends the connection (FORCEDTLS).
//! Else all other options are the protocol's own work, still unread (SELECTIVETLS, as your own server
//! decides). No option has an effect before TLS, so none survives the upgrade (CVE-2021-3716).
//!
//! The flags are exchanged once, before TLS, and hold inside it, too:
//! [`Client::flags`](crate::Client::flags), [`Server::flags`](crate::Server::flags). An attacker who
//! changes them can at most make the two sides disagree.
//!
//! **Limits.** The data of an option has at most [`MAX_OPTION`] bytes, that of a reply [`MAX_TEXT`].
//!
//! ```
//! use starttls::{Machine, Policy, Step, nbd};
//!
//! # fn main() -> Result<(), starttls::Error> {
//! let mut client = nbd::Client::new(nbd::Flags::NO_ZEROES, Policy::Required);
//! let mut input = &b"NBDMAGICIHAVEOPT\x00\x03"[..];
//! let mut output = [0; 20];
//! assert!(matches!(client.step(&mut input, &mut output)?, Step::Event(_)));
//! assert_eq!(client.step(&mut input, &mut output)?, Step::Write(20));
//! assert_eq!(&output, b"\x00\x00\x00\x03IHAVEOPT\x00\x00\x00\x05\x00\x00\x00\x00");
//! # Ok(())
//! # }
//! ```

mod client;
mod server;

use crate::server::Config;
use crate::{ArgumentError, Introduction, Phrases, Policy, Protocol, Roles};
use client::ClientGrammar;
use server::ServerGrammar;

/// The longest data of an option, in bytes. Names have at most 4,096 bytes.
pub const MAX_OPTION: usize = 8192;

/// The longest data of a reply, a text for people, in bytes.
pub const MAX_TEXT: usize = 4096;

/// The handshake flags of either side.
///
/// ```
/// use starttls::nbd::Flags;
///
/// let flags = Flags::FIXED_NEWSTYLE.with(Flags::NO_ZEROES);
/// assert!(flags.has(Flags::NO_ZEROES) && flags.bits() == 3);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Flags(u32);

impl Flags {
    /// `NBD_FLAG_FIXED_NEWSTYLE`: TLS needs it.
    pub const FIXED_NEWSTYLE: Self = Self(1);
    /// `NBD_FLAG_NO_ZEROES`: the reply to EXPORT_NAME leaves out 124 zeros.
    pub const NO_ZEROES: Self = Self(2);

    /// The flags of both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The flags as sent.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Whether all flags of `other` are set.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// The magic of a connection's start, and of every option.
const NBDMAGIC: &[u8] = b"NBDMAGIC";
const IHAVEOPT: &[u8] = b"IHAVEOPT";

/// The magic of every reply to an option.
const REPLY: &[u8] = b"\x00\x03\xe8\x89\x04\x55\x65\xa9";

const ACK: u32 = 1;

const STARTTLS: u32 = 5;

/// Whether `input` begins with `magic`, as far as it has arrived.
fn begins(input: &[u8], magic: &[u8]) -> bool {
    input.iter().zip(magic).all(|(octet, wanted)| octet == wanted)
}

/// The number at the front of `octets`.
const fn number(octets: &[u8]) -> Option<u32> {
    match octets {
        [a, b, c, d, ..] => Some(u32::from_be_bytes([*a, *b, *c, *d])),
        _ => None,
    }
}

/// The length of a packet: a header and its data.
fn sum(header: usize, data: u32) -> usize {
    usize::try_from(data).unwrap_or(usize::MAX).saturating_add(header)
}

/// An NBD client on its way to TLS.
pub type Client = crate::Client<ClientGrammar>;

/// An NBD server on its way to TLS.
pub type Server = crate::Server<ServerGrammar>;

/// NBD in both roles.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Nbd;

impl Roles for Nbd {
    type Client<'a> = ClientGrammar;
    type Server<'a> = ServerGrammar;

    const PROTOCOL: Protocol = Protocol::NBD;
    const PHRASES: Phrases = Phrases {
        // No flags of either side's own, so that both ends of a proxy agree.
        greeting: b"NBDMAGICIHAVEOPT\0\x01",
        // NBD_OPT_ABORT.
        goodbye: b"IHAVEOPT\0\0\0\x02\0\0\0\0",
        opening: b"\0\0\0\x01",
        ..Phrases::NONE
    };

    fn client<'a>(_: &Introduction<'a>, policy: Policy) -> Result<Client, ArgumentError> {
        Ok(Client::new(Flags::default(), policy))
    }

    fn server<'a>(_: &Introduction<'a>, config: Config) -> Result<Server, ArgumentError> {
        Ok(Server::new(Flags::default(), config))
    }
}
