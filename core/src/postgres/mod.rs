//! PostgreSQL (protocol 3) with SSLRequest, or with TLS first (since PostgreSQL 17), up to TLS.
//!
//! ```text
//! C: 00 00 00 08 04 d2 16 2f                 SSLRequest: the client speaks first
//! S: S                                       one octet
//!    ═══════════════ TLS ═══════════════
//! C: StartupMessage …                        your own client
//! ```
//!
//! **Client.** `S` starts TLS and nothing else does; `N` is a refusal. `E` begins an ErrorMessage, of a
//! server in trouble or of one before 7.0: the connection ends, and its text is not read, since anybody
//! may have written it (CVE-2024-10977). An octet behind the `S` is an error (CVE-2021-23222).
//! [`SslMode`] and [`SslNegotiation`] are libpq's parameters, and [`Opening`] what they mean here.
//!
//! **TLS first.** `sslnegotiation=direct` has no plaintext phase and no machine: begin TLS on the same port
//! with ALPN [`Protocol::POSTGRES`](crate::Protocol::POSTGRES), and go on with
//! [`Tls::implicit`](crate::Tls::implicit). The server's machine sees it by the first octet, 0x16; see
//! [`Server::is_direct`](crate::Server::is_direct) for what it has to demand then.
//!
//! **Server.** It answers SSLRequest once, and GSSENCRequest once with `N`. A StartupMessage in clear is
//! refused with an ErrorResponse and a CancelRequest without a word, for it has no answer; both go on in
//! plaintext where the policy lets them, and are still unread then. Wrong lengths end the connection
//! without a word, as those of PostgreSQL do.
//!
//! **Limits.** The server decides by the first [`MAX_HEADER`] octets of a packet, and a packet may say that it
//! has at most [`MAX_PACKET`]. The client reads one octet.
//!
//! ```
//! use starttls::{Machine, Policy, Step, postgres};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mode: postgres::SslMode = "verify-full".parse()?;
//! let opening = postgres::Opening::new(mode, postgres::SslNegotiation::Postgres)?;
//! assert_eq!(opening, postgres::Opening::Upgrade(Policy::Required));
//! let mut client = postgres::Client::new(Policy::Required);
//! let mut output = [0; 8];
//! assert_eq!(client.step(&mut &b""[..], &mut output)?, Step::Write(8));
//! assert_eq!(&output, b"\x00\x00\x00\x08\x04\xd2\x16\x2f");
//! # Ok(())
//! # }
//! ```

mod client;
mod mode;
mod server;

pub use mode::{Checks, Opening, ParameterError, SslMode, SslNegotiation};

use crate::server::Config;
use crate::{ArgumentError, Introduction, Phrases, Policy, Protocol, Roles};
use client::ClientGrammar;
use server::ServerGrammar;

/// The octets by which a server decides: a packet's length and what it is.
pub const MAX_HEADER: usize = 8;

/// The longest packet before TLS, in octets: 10,000 behind its length, as in PostgreSQL.
pub const MAX_PACKET: u32 = 10_004;

/// `Int32(8) Int32(80877103)`.
const SSL_REQUEST: &[u8] = b"\x00\x00\x00\x08\x04\xd2\x16\x2f";

/// A PostgreSQL client on its way to TLS.
pub type Client = crate::Client<ClientGrammar>;

/// A PostgreSQL server on its way to TLS.
pub type Server = crate::Server<ServerGrammar>;

/// PostgreSQL in both roles.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Postgres;

impl Roles for Postgres {
    type Client<'a> = ClientGrammar;
    type Server<'a> = ServerGrammar;

    const PROTOCOL: Protocol = Protocol::POSTGRES;
    const PHRASES: Phrases = Phrases {
        unavailable: b"E\0\0\0\x3eSFATAL\0VFATAL\0C08006\0Mthe server behind is not available\0\0",
        ..Phrases::NONE
    };

    fn client<'a>(_: &Introduction<'a>, policy: Policy) -> Result<Client, ArgumentError> {
        Ok(Client::new(policy))
    }

    fn server<'a>(_: &Introduction<'a>, config: Config) -> Result<Server, ArgumentError> {
        Ok(Server::new(config))
    }
}
