//! POP3 (RFC 1939) with STLS (RFC 2595 §4), up to TLS.
//!
//! ```text
//! S: +OK POP3 ready
//! C: CAPA
//! S: +OK
//! S: STLS
//! S: .
//! C: STLS
//! S: +OK begin TLS now
//!    ═══════════════ TLS ═══════════════
//! C: your own client's first command; CAPA again, since earlier replies do not count
//! ```
//!
//! **Client.** `+OK`, as a word of its own, starts TLS. A server without `CAPA` has no `STLS` (RFC 2595
//! §4). The greeting may carry a time stamp for `APOP`. It came in plaintext: do not use it inside TLS.
//!
//! **Server.** It answers CAPA, STLS and QUIT. It refuses USER, PASS, APOP and AUTH before TLS, whatever
//! the policy; mailboxes need a login. Its greeting has no time stamp.
//!
//! **Limits.** A response line has at most [`MAX_LINE`] bytes, a command [`MAX_COMMAND`] (RFC 2449 §4),
//! both with CRLF. A list of capabilities has at most 128 lines.
//!
//! ```
//! use starttls::{Machine, Policy, Step, pop3};
//!
//! # fn main() -> Result<(), starttls::Error> {
//! let mut client = pop3::Client::new(Policy::Required);
//! let mut input = &b"+OK ready <1896.697170952@mx.example.org>\r\n"[..];
//! let mut output = [0; 16];
//! client.step(&mut input, &mut output)?; // the greeting, as an event
//! assert_eq!(client.step(&mut input, &mut output)?, Step::Write(6));
//! assert_eq!(&output[..6], b"CAPA\r\n");
//! # Ok(())
//! # }
//! ```

mod client;
mod server;

use crate::server::Config;
use crate::{ArgumentError, Introduction, Phrases, Policy, Protocol, Roles};
use client::ClientGrammar;
use server::ServerGrammar;

/// The longest response line, with its CRLF, in bytes.
pub const MAX_LINE: usize = 512;

/// The longest command, with its CRLF, in bytes.
pub const MAX_COMMAND: usize = 255;

/// A POP3 client on its way to TLS.
pub type Client = crate::Client<ClientGrammar>;

/// A POP3 server on its way to TLS.
pub type Server = crate::Server<ServerGrammar>;

/// POP3 in both roles.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Pop3;

impl Roles for Pop3 {
    type Client<'a> = ClientGrammar;
    type Server<'a> = ServerGrammar;

    const PROTOCOL: Protocol = Protocol::POP3;
    const PHRASES: Phrases = Phrases {
        greeting: b"+OK localhost is connected over TLS\r\n",
        unavailable: b"-ERR [SYS/TEMP] The backend server is not available\r\n",
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
