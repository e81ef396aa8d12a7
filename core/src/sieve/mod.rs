//! ManageSieve (RFC 5804) with STARTTLS (RFC 5804 §2.2), up to TLS.
//!
//! ```text
//! S: "IMPLEMENTATION" "Example"
//! S: "SASL" ""
//! S: "SIEVE" "fileinto vacation"
//! S: "STARTTLS"
//! S: "VERSION" "1.0"
//! S: OK
//! C: STARTTLS
//! S: OK "begin TLS now"
//!    ═══════════════ TLS ═══════════════
//! S: "IMPLEMENTATION" …                      the server speaks first
//! ```
//!
//! **The server speaks first inside TLS**, unlike in other protocols here: it sends its capabilities again,
//! unasked, and the client waits for them ([`Protocol::server_first`](crate::Protocol::server_first)). A
//! server's application sends them with [`Capabilities::print`].
//!
//! **Client.** The greeting has to end with OK. Names of capabilities may be quoted or literal; an OK
//! inside a literal is no reply. The client does not follow referrals in NO and BYE. If the greeting does
//! not list STARTTLS, it asks once by CAPABILITY.
//!
//! **Server.** It answers CAPABILITY, NOOP, LOGOUT and STARTTLS. Before TLS it refuses AUTHENTICATE,
//! whatever the policy, and lists no mechanism.
//!
//! **Limits.** A line has at most [`MAX_FRAME`] bytes with its literals. A list of capabilities has at most
//! 128 lines.
//!
//! ```
//! use starttls::{Machine, Policy, Step, sieve};
//!
//! # fn main() -> Result<(), starttls::Error> {
//! let mut client = sieve::Client::new(Policy::Required);
//! let mut input = &b"\"SIEVE\" \"fileinto\"\r\n\"StartTLS\"\r\nOK\r\n"[..];
//! let mut output = [0; 16];
//! for _line in 0..3 {
//!     client.step(&mut input, &mut output)?; // as an event
//! }
//! assert_eq!(client.step(&mut input, &mut output)?, Step::Write(10));
//! assert_eq!(&output[..10], b"STARTTLS\r\n");
//! # Ok(())
//! # }
//! ```

mod client;
mod server;

pub use server::{Capabilities, Text};

use crate::server::Config;
use crate::{ArgumentError, Introduction, Phrases, Policy, Protocol, Roles};
use client::ClientGrammar;
use server::ServerGrammar;

use core::time::Duration;

/// The longest line, with its literals and CRLF, in bytes.
pub const MAX_FRAME: usize = 2048;

/// How long to wait for a reply.
const ANSWER_WAIT: Duration = Duration::from_secs(5 * 60);

/// A ManageSieve client on its way to TLS.
pub type Client = crate::Client<ClientGrammar>;

/// A ManageSieve server on its way to TLS.
pub type Server<'a> = crate::Server<ServerGrammar<'a>>;

/// ManageSieve in both roles.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Sieve;

impl Roles for Sieve {
    type Client<'a> = ClientGrammar;
    type Server<'a> = ServerGrammar<'a>;

    const PROTOCOL: Protocol = Protocol::SIEVE;
    const PHRASES: Phrases = Phrases {
        unavailable: b"BYE \"The backend server is not available\"\r\n",
        goodbye: b"LOGOUT\r\n",
        ..Phrases::NONE
    };

    fn client<'a>(_: &Introduction<'a>, policy: Policy) -> Result<Client, ArgumentError> {
        Ok(Client::new(policy))
    }

    fn server<'a>(_: &Introduction<'a>, config: Config) -> Result<Server<'a>, ArgumentError> {
        const NAME: Text<'_> = match Text::new("starttls") {
            Ok(name) => name,
            Err(_) => panic!(),
        };
        let capabilities = Capabilities { implementation: NAME, ..Default::default() };
        Ok(Server::new(capabilities, config))
    }
}
