//! IMAP (RFC 9051, RFC 3501) with STARTTLS (RFC 9051 §6.2.1, RFC 2595 §3.1), up to TLS.
//!
//! ```text
//! S: * OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED] ready
//! C: KDPAHBEC1 CAPABILITY                  left out if the greeting lists STARTTLS
//! S: * CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED
//! S: KDPAHBEC1 OK done
//! C: KDPAHBEC2 STARTTLS
//! S: KDPAHBEC2 OK begin TLS now
//!    ═══════════════ TLS ═══════════════
//! C: your own client's first command; CAPABILITY again, since earlier replies do not count
//! ```
//!
//! **Client.** Only the tagged OK with the request's tag starts TLS. Untagged responses are ignored at any
//! time, except `BYE` and requested capabilities. Literals are framed, and their content is never a
//! response. `PREAUTH` rules out TLS (RFC 9051 §7.1.4): under [`Policy::Required`] the connection fails.
//!
//! **Server.** It answers CAPABILITY, NOOP, ID, LOGOUT and STARTTLS. Before TLS it refuses LOGIN and
//! AUTHENTICATE with NO, whatever the policy, announces this by LOGINDISABLED, and does not let a client
//! send the literals of their arguments.
//!
//! **Limits.** A response or command has at most [`MAX_FRAME`] bytes with its literals, a tag at most
//! [`MAX_TAG`].
//!
//! ```
//! use starttls::{Machine, Policy, Step, client, imap};
//!
//! # fn main() -> Result<(), starttls::Error> {
//! let tag = imap::Tag::new(0x1234_5678); // a fresh random number for each connection
//! let mut client = imap::Client::new(tag, Policy::Required);
//! let mut input = &b"* OK [CAPABILITY IMAP4rev1 STARTTLS] ready\r\n"[..];
//! let mut output = [0; 64];
//! assert!(matches!(client.step(&mut input, &mut output)?, Step::Event(client::Event::Received(_))));
//! assert_eq!(client.step(&mut input, &mut output)?, Step::Write(20));
//! assert_eq!(&output[..20], b"BCDEFGHI2 STARTTLS\r\n");
//! # Ok(())
//! # }
//! ```

mod client;
mod server;

use core::time::Duration;

pub use client::Tag;

use crate::server::Config;
use crate::{ArgumentError, Introduction, Phrases, Policy, Protocol, Roles};
use client::ClientGrammar;
use server::ServerGrammar;

/// The longest response or command, with its literals and the CRLF, in bytes.
pub const MAX_FRAME: usize = 2048;

/// The longest tag of a client, in bytes.
pub const MAX_TAG: usize = 64;

/// How long to wait for a reply. A server waits at least half an hour (RFC 9051 §5.4).
const ANSWER_WAIT: Duration = Duration::from_secs(5 * 60);

/// An IMAP client on its way to TLS.
pub type Client = crate::Client<ClientGrammar>;

/// An IMAP server on its way to TLS.
pub type Server = crate::Server<ServerGrammar>;

/// IMAP in both roles.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Imap;

impl Roles for Imap {
    type Client<'a> = ClientGrammar;
    type Server<'a> = ServerGrammar;

    const PROTOCOL: Protocol = Protocol::IMAP;
    const PHRASES: Phrases = Phrases {
        greeting: b"* OK localhost is connected over TLS\r\n",
        unavailable: b"* BYE The backend server is not available\r\n",
        goodbye: b"bye LOGOUT\r\n",
        ..Phrases::NONE
    };

    fn client<'a>(names: &Introduction<'a>, policy: Policy) -> Result<Client, ArgumentError> {
        Ok(Client::new(Tag::new(names.number()), policy))
    }

    fn server<'a>(_: &Introduction<'a>, config: Config) -> Result<Server, ArgumentError> {
        Ok(Server::new(config))
    }
}
