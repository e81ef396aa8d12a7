//! IRC with STARTTLS (IRCv3 `tls` 3.1, deprecated) and `sts`, the policy that took its place, up to TLS.
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
//! **Client.** 670 starts TLS and nothing else does; 691, 451 and 421 are refusals. What else a server
//! says, NOTICE and PING above all, means nothing, at any time. It asks for TLS whether `tls` is listed or
//! not. A server that does not know STARTTLS may be silent: the end of [`wait`](crate::Machine::wait)
//! ends it. `CAP LS` makes the server wait with the registration for `CAP END`, inside TLS, too.
//!
//! **`sts`.** A network that wants TLS says so by a policy: look for [`Sts`] in the lines that are
//! reported, close, and connect to its port with TLS first.
//!
//! **Server.** It answers CAP, PING, QUIT and STARTTLS. PASS, AUTHENTICATE, OPER, WEBIRC, SERVER and PRIVMSG are refused before TLS,
//! whatever the policy; NICK and USER begin the protocol's own work.
//!
//! **Limits.** A message has at most 512 octets with its CRLF, and 8,191 more of tags in front of it
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
        unavailable: b"ERROR :The server behind is not available\r\n",
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
