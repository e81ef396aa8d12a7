//! IRC with STARTTLS (IRCv3 `tls` 3.1, deprecated), up to TLS, and its successor, the policy `sts`.
//!
//! ```text
//! C: CAP LS 302                              the client speaks first
//! S: :irc.example.org CAP * LS :tls sts=port=6697
//! C: STARTTLS                                before NICK and USER
//! S: :irc.example.org 670 * :begin TLS now
//!    ═══════════════ TLS ═══════════════
//! C: CAP LS 302                              your own client; end it with CAP END
//! ```
//!
//! **Client.** Only 670 starts TLS; 691, 451 and 421 are refusals. All other messages are ignored at any
//! time, above all NOTICE and PING. The client asks for TLS whether or not `tls` is listed. A server that
//! does not know STARTTLS may be silent; then the connection fails after [`wait`](crate::Machine::wait).
//! `CAP LS` makes the server hold the registration until `CAP END`, also inside TLS.
//!
//! **`sts`.** A network that wants TLS announces a policy. Look for [`Sts`] in the reported lines, close
//! the connection, and connect to the policy's port with implicit TLS.
//!
//! **Server.** It answers CAP, PING, QUIT and STARTTLS. It refuses PASS, AUTHENTICATE, OPER, WEBIRC, SERVER
//! and PRIVMSG before TLS, whatever the policy. NICK and USER start the protocol's own work.
//!
//! **Limits.** A message has at most 512 bytes with its CRLF, and up to 8,191 bytes of tags before it
//! ([`MAX_MESSAGE`]).
//!
//! ```
//! use starttls::{Machine, Policy, Step, irc};
//!
//! # fn main() -> Result<(), starttls::Error> {
//! let mut client = irc::Client::new(Policy::Required);
//! let mut output = [0; 16];
//! assert_eq!(client.step(&mut &b""[..], &mut output)?, Step::Write(12));
//! assert_eq!(&output[..12], b"CAP LS 302\r\n");
//! # Ok(())
//! # }
//! ```

mod client;
mod message;
mod server;
mod sts;

pub use message::MAX_MESSAGE;
pub use server::Name;
pub use sts::Sts;

use crate::server::Config;
use crate::{ArgumentError, Introduction, Phrases, Policy, Protocol, Roles};
use client::ClientGrammar;
use message::Messages;
use server::ServerGrammar;

/// An IRC client on its way to TLS.
pub type Client = crate::Client<ClientGrammar>;

/// An IRC server on its way to TLS.
pub type Server<'a> = crate::Server<ServerGrammar<'a>>;

/// IRC in both roles.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Irc;

impl Roles for Irc {
    type Client<'a> = ClientGrammar;
    type Server<'a> = ServerGrammar<'a>;

    const PROTOCOL: Protocol = Protocol::IRC;
    const PHRASES: Phrases = Phrases {
        unavailable: b"ERROR :The backend server is not available\r\n",
        goodbye: b"QUIT\r\n",
        ..Phrases::NONE
    };

    fn client<'a>(_: &Introduction<'a>, policy: Policy) -> Result<Client, ArgumentError> {
        Ok(Client::new(policy))
    }

    fn server<'a>(names: &Introduction<'a>, config: Config) -> Result<Server<'a>, ArgumentError> {
        Ok(Server::new(Name::new(names.server)?, config))
    }
}
