//! NUT, the protocol of Network UPS Tools (RFC 9271), with STARTTLS (RFC 9271 §4.2.11), up to TLS.
//!
//! ```text
//! C: STARTTLS                                the client speaks first
//! S: OK STARTTLS
//!    ═══════════════ TLS ═══════════════
//! C: USERNAME …                              your own client
//! ```
//!
//! **Client.** Only `OK STARTTLS` starts TLS; `ERR` with its reason is a refusal. The protocol has no
//! greeting and no list of capabilities.
//!
//! **Server.** It answers VER, NETVER, HELP, LOGOUT and STARTTLS. It refuses USERNAME and PASSWORD before
//! TLS, whatever the policy. Commands that need no login (LIST, GET) continue in plaintext if the policy
//! allows it.
//!
//! **Limits.** Lines end with LF alone and have at most [`MAX_LINE`] bytes with it. A CR is an error.
//!
//! ```
//! use starttls::{Machine, Policy, Step, nut};
//!
//! # fn main() -> Result<(), starttls::Error> {
//! let mut client = nut::Client::new(Policy::Required);
//! let mut output = [0; 16];
//! assert_eq!(client.step(&mut &b""[..], &mut output)?, Step::Write(9));
//! assert_eq!(&output[..9], b"STARTTLS\n");
//! # Ok(())
//! # }
//! ```

mod client;
mod server;

use crate::server::Config;
use crate::{ArgumentError, Introduction, Phrases, Policy, Protocol, Roles};
use client::ClientGrammar;
use server::ServerGrammar;

/// The longest line, with its LF, in bytes.
pub const MAX_LINE: usize = 512;

/// A NUT client on its way to TLS.
pub type Client = crate::Client<ClientGrammar>;

/// A NUT server on its way to TLS.
pub type Server = crate::Server<ServerGrammar>;

/// NUT in both roles.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Nut;

impl Roles for Nut {
    type Client<'a> = ClientGrammar;
    type Server<'a> = ServerGrammar;

    const PROTOCOL: Protocol = Protocol::NUT;
    const PHRASES: Phrases = Phrases { goodbye: b"LOGOUT\n", ..Phrases::NONE };

    fn client<'a>(_: &Introduction<'a>, policy: Policy) -> Result<Client, ArgumentError> {
        Ok(Client::new(policy))
    }

    fn server<'a>(_: &Introduction<'a>, config: Config) -> Result<Server, ArgumentError> {
        Ok(Server::new(config))
    }
}
