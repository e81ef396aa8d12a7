//! LDAP (RFC 4511) with StartTLS (RFC 4511 §4.14, RFC 4513 §3), up to TLS.
//!
//! ```text
//! C: ExtendedRequest 1.3.6.1.4.1.1466.20037  the client speaks first
//! S: ExtendedResponse success(0)
//!    ═══════════════ TLS ═══════════════
//! C: BindRequest …                           your own client
//! ```
//!
//! **Client.** Only the extended response with the request's messageID and the resultCode success(0) starts
//! TLS. Every other resultCode is a refusal, and its referral is ignored. A responseName has to be that of
//! StartTLS, and there may be no responseValue. A Notice of Disconnection closes the connection. Any other
//! message is an error, since the client asked for nothing else.
//!
//! **Server.** It answers StartTLS and no other extended operation. It answers every other request with
//! confidentialityRequired(13), in the response of its kind. If the policy allows plaintext, a search, an
//! anonymous bind, a deletion or a renaming is the protocol's own work. A bind with any credential, and
//! operations that may write or compare a password (modify, add, compare, Password Modify), are refused
//! before TLS, whatever the policy, and are not shown. Anything that is not a request gets a Notice of
//! Disconnection.
//!
//! **Limits.** A message has at most [`MAX_MESSAGE`] bytes. Lengths are definite. A long length has at most
//! four bytes after its first one, even if fewer would do. A messageID is at most 2³¹ − 1.
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
mod result;
mod server;

use crate::server::Config;
use crate::{ArgumentError, Introduction, Phrases, Policy, Protocol, Roles};
use client::ClientGrammar;
use server::ServerGrammar;

/// The longest message, with its tag and length, in bytes.
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
        unavailable: b"\x30\x47\x02\x01\x00\x78\x42\x0a\x01\x34\x04\x00\x04\x23The backend server \
            is not available\x8a\x161.3.6.1.4.1.1466.20036",
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
