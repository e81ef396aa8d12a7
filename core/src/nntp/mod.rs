//! NNTP (RFC 3977) with STARTTLS (RFC 4642, RFC 8143), up to TLS.
//!
//! ```text
//! S: 200 NNTP ready, posting allowed
//! C: CAPABILITIES
//! S: 101 list follows
//! S: VERSION 2
//! S: STARTTLS
//! S: .
//! C: STARTTLS
//! S: 382 begin TLS now
//!    ═══════════════ TLS ═══════════════
//! C: your own client's first command; CAPABILITIES again, since earlier replies do not count
//! ```
//!
//! **Client.** Only 382 starts TLS. The client asks for the upgrade even if the server does not list it, or
//! does not know CAPABILITIES: an attacker can easily cut a plaintext list (RFC 8143 §2). `MODE READER`
//! does not belong before TLS, and the server does not list it inside (RFC 4642 §2.2.2).
//!
//! **Server.** It answers CAPABILITIES, MODE READER, HELP, QUIT and STARTTLS. Under [`Policy::Required`] it
//! answers everything else with 483, but never STARTTLS itself. It refuses AUTHINFO before TLS, whatever
//! the policy.
//!
//! **Limits.** A line has at most [`MAX_LINE`] bytes with its CRLF (RFC 3977 §3.1). A list of capabilities
//! has at most 128 lines.
//!
//! ```
//! use starttls::{Machine, Policy, Step, nntp};
//!
//! # fn main() -> Result<(), starttls::Error> {
//! let mut client = nntp::Client::new(Policy::Required);
//! let mut input = &b"201 news.example.org, no posting\r\n"[..];
//! let mut output = [0; 16];
//! client.step(&mut input, &mut output)?; // the greeting, as an event
//! assert_eq!(client.step(&mut input, &mut output)?, Step::Write(14));
//! assert_eq!(&output[..14], b"CAPABILITIES\r\n");
//! # Ok(())
//! # }
//! ```

mod client;
mod server;

use crate::server::Config;
use crate::{ArgumentError, Introduction, Phrases, Policy, Protocol, Roles};
use client::ClientGrammar;
use server::ServerGrammar;

/// The longest line, with its CRLF, in bytes.
pub const MAX_LINE: usize = 512;

/// An NNTP client on its way to TLS.
pub type Client = crate::Client<ClientGrammar>;

/// An NNTP server on its way to TLS.
pub type Server = crate::Server<ServerGrammar>;

/// NNTP in both roles.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Nntp;

impl Roles for Nntp {
    type Client<'a> = ClientGrammar;
    type Server<'a> = ServerGrammar;

    const PROTOCOL: Protocol = Protocol::NNTP;
    const PHRASES: Phrases = Phrases {
        greeting: b"200 localhost is connected over TLS\r\n",
        unavailable: b"400 The backend server is not available, closing\r\n",
        goodbye: b"QUIT\r\n",
        ..Phrases::NONE
    };

    fn client<'a>(_: &Introduction<'a>, policy: Policy) -> Result<Client, ArgumentError> {
        Ok(Client::new(policy))
    }

    fn server<'a>(_: &Introduction<'a>, config: Config) -> Result<Server, ArgumentError> {
        Ok(Server::new(config))
    }
}
