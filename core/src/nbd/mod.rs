//! NBD, Network Block Device (the project's `doc/proto.md`), fixed newstyle with `NBD_OPT_STARTTLS`, up to TLS.
//!
//! ```text
//! S: NBDMAGIC IHAVEOPT flags                 FIXED_NEWSTYLE among them
//! C: flags, IHAVEOPT STARTTLS 0              written at once
//! S: reply to STARTTLS: ACK 0
//!    ═══════════════ TLS ═══════════════
//! C: IHAVEOPT …                              your own client goes on with its options
//! ```
//!
//! **Client.** Only the ACK to STARTTLS, without data, starts TLS; an error of any kind is a refusal, except
//! that `NBD_REP_ERR_SHUTDOWN` ends the connection. A server without fixed newstyle has no TLS, which is found
//! out before anything is sent (CVE-2019-14842). STARTTLS is the first option and the only one.
//!
//! **Server.** Where TLS is required every option but STARTTLS and ABORT is answered with
//! `NBD_REP_ERR_TLS_REQD`, and EXPORT_NAME, which cannot be, ends the connection (FORCEDTLS). Where it is not,
//! all others are the protocol's own work, still unread (SELECTIVETLS, as your own server decides). No
//! option counts before TLS, so that none is left behind it (CVE-2021-3716).
//!
//! Flags are said once, before TLS, and both sides go by them behind it: [`Client::flags`](crate::Client::flags),
//! [`Server::flags`](crate::Server::flags). Whoever changes them on the way can at most confuse the two.
//!
//! **Limits.** The data of an option have at most [`MAX_OPTION`] octets, those of a reply [`MAX_TEXT`].
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

/// The most octets of data in an option: names have at most 4,096.
pub const MAX_OPTION: usize = 8192;

/// The most octets of data in a reply, a text for people.
pub const MAX_TEXT: usize = 4096;

/// What both sides say of the way they negotiate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Flags(u32);

impl Flags {
    /// `NBD_FLAG_FIXED_NEWSTYLE`: without it there is no TLS.
    pub const FIXED_NEWSTYLE: Self = Self(1);
    /// `NBD_FLAG_NO_ZEROES`: the reply to EXPORT_NAME ends without 124 zeros.
    pub const NO_ZEROES: Self = Self(2);

    /// These and those.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// As they are sent.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Whether all of `other` are among them.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// What a connection begins with, and every option.
const NBDMAGIC: &[u8] = b"NBDMAGIC";
const IHAVEOPT: &[u8] = b"IHAVEOPT";

/// What every reply to an option begins with.
const REPLY: &[u8] = b"\x00\x03\xe8\x89\x04\x55\x65\xa9";

const ACK: u32 = 1;

const STARTTLS: u32 = 5;

/// Whether `input` begins with `magic`, as far as it is there.
fn begins(input: &[u8], magic: &[u8]) -> bool {
    input.iter().zip(magic).all(|(octet, wanted)| octet == wanted)
}

/// The number at the start of `octets`.
const fn number(octets: &[u8]) -> Option<u32> {
    match octets {
        [a, b, c, d, ..] => Some(u32::from_be_bytes([*a, *b, *c, *d])),
        _ => None,
    }
}

/// How many octets a packet has: a header, and so much data.
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
        // Neither side has flags of its own, so that both have the same on either side of a proxy.
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
