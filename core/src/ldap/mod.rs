//! LDAP (RFC 4511) with StartTLS (RFC 4511 §4.14, RFC 4513 §3), up to TLS.
//!
//! ```text
//! C: ExtendedRequest 1.3.6.1.4.1.1466.20037  the client speaks first
//! S: ExtendedResponse success(0)
//!    ═══════════════ TLS ═══════════════
//! C: BindRequest …                           your own client
//! ```
//!
//! **Client.** Only the extended response with the messageID of the request and the resultCode
//! success(0) starts TLS; every other resultCode is a refusal, with whatever referral it has. A responseName has to be
//! StartTLS's own, and there is no responseValue. A Notice of Disconnection ends the connection, any other
//! message is an error: nothing else was asked for.
//!
//! **Server.** It answers StartTLS and no other extended operation. Every other request is answered with
//! confidentialityRequired(13) in the response of its kind. Where the policy allows plaintext, a search, an
//! anonymous bind, a deletion or a change of a name is the protocol's own work. A bind with any proof,
//! and what may write or compare a password (modify, add, compare, Password Modify), is refused before
//! TLS, whatever the policy, and not shown. What is no request is answered with a Notice of Disconnection.
//!
//! **Limits.** A message has at most [`MAX_MESSAGE`] octets. Lengths are definite and take at most four octets more
//! than their first, also where fewer would do; a messageID is at most 2³¹ − 1.
//!
//! ```
//! use starttls::{Machine, Policy, Step, client, ldap};
//!
//! # fn main() -> Result<(), starttls::Error> {
//! let mut client = ldap::Client::new(Policy::Required);
//! let mut output = [0; 31];
//! assert_eq!(client.step(&mut &b""[..], &mut output)?, Step::Write(31));
//! assert_eq!(&output, b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037");
//! let mut input = &b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00"[..];
//! assert!(matches!(client.step(&mut input, &mut output)?, Step::Event(client::Event::Received(_))));
//! assert_eq!(client.step(&mut input, &mut output)?, Step::Event(client::Event::UpgradeReady));
//! # Ok(())
//! # }
//! ```

mod ber;
mod client;
mod message;
mod server;

use crate::server::Config;
use crate::{ArgumentError, Introduction, Phrases, Policy, Protocol, Roles};
use client::ClientGrammar;
use server::ServerGrammar;

/// The longest message, in octets, with its tag and length.
pub const MAX_MESSAGE: usize = 4096;

/// An LDAP client on its way to TLS.
pub type Client = crate::Client<ClientGrammar>;

/// An LDAP server on its way to TLS.
pub type Server = crate::Server<ServerGrammar>;

/// LDAP in both roles.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Ldap;

impl Roles for Ldap {
    type Client<'a> = ClientGrammar;
    type Server<'a> = ServerGrammar;

    const PROTOCOL: Protocol = Protocol::LDAP;
    const PHRASES: Phrases = Phrases {
        // Notice of Disconnection, unavailable(52).
        unavailable: b"\x30\x47\x02\x01\x00\x78\x42\x0a\x01\x34\x04\x00\x04\x23The server behind \
            is not available.\x8a\x161.3.6.1.4.1.1466.20036",
        // UnbindRequest.
        goodbye: b"\x30\x05\x02\x01\x02\x42\x00",
        ..Phrases::NONE
    };

    fn client<'a>(_: &Introduction<'a>, policy: Policy) -> Result<Client, ArgumentError> {
        Ok(Client::new(policy))
    }

    fn server<'a>(_: &Introduction<'a>, config: Config) -> Result<Server, ArgumentError> {
        Ok(Server::new(config))
    }
}
