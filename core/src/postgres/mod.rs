//! PostgreSQL (protocol 3) with SSLRequest, or with implicit TLS (since PostgreSQL 17), up to TLS.
//!
//! ```text
//! C: 00 00 00 08 04 d2 16 2f                 SSLRequest: the client speaks first
//! S: S                                       one byte
//!    ═══════════════ TLS ═══════════════
//! C: StartupMessage …                        your own client
//! ```
//!
//! **Client.** Only `S` starts TLS; `N` is a refusal. `E` starts an ErrorResponse, of a server in trouble
//! or of one before 7.0. The connection fails, and its text is not read, since an attacker may have written
//! it (CVE-2024-10977). A byte after the `S` is an error (CVE-2021-23222). [`SslMode`] and
//! [`SslNegotiation`] are libpq's parameters, and [`Opening`] is their meaning here.
//!
//! **Implicit TLS.** `sslnegotiation=direct` has no plaintext phase and no machine. Start TLS on the same
//! port with the ALPN id of [`Protocol::POSTGRES`](crate::Protocol::POSTGRES), and continue with
//! [`Tls::implicit`](crate::Tls::implicit). The server's machine recognises it by the first byte, 0x16.
//! [`Server::is_direct`](crate::Server::is_direct) tells what it has to demand then.
//!
//! **Server.** It answers one SSLRequest, and one GSSENCRequest with `N`. If TLS is required, it refuses a
//! clear StartupMessage with an ErrorResponse, and drops a CancelRequest without a reply, as that has none.
//! If the policy allows plaintext, both continue, still unread. A wrong length closes the connection
//! without a reply, as in PostgreSQL.
//!
//! **Limits.** The server decides by the first [`MAX_HEADER`] bytes of a packet, whose announced length is
//! at most [`MAX_PACKET`]. The client reads one byte.
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

/// The number of bytes by which a server decides: a packet's length and code.
pub const MAX_HEADER: usize = 8;

/// The longest packet before TLS, in bytes: 10,000 after its length field, as in PostgreSQL.
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
        unavailable: b"E\0\0\0\x3fSFATAL\0VFATAL\0C08006\0Mthe backend server is not available\0\0",
        ..Phrases::NONE
    };

    fn client<'a>(_: &Introduction<'a>, policy: Policy) -> Result<Client, ArgumentError> {
        Ok(Client::new(policy))
    }

    fn server<'a>(_: &Introduction<'a>, config: Config) -> Result<Server, ArgumentError> {
        Ok(Server::new(config))
    }
}
