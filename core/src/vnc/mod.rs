//! VNC (RFB 3.8, RFC 6143) with VeNCrypt 0.2 (the community's *rfbproto*), up to TLS.
//!
//! ```text
//! S: RFB 003.008\n               C: RFB 003.008\n
//! S: n, n security types         C: 19                   VeNCrypt
//! S: 0 2                         C: 0 2                  its version
//! S: 0, n, n subtypes of u32     C: u32                  the chosen subtype
//! S: 1
//!    ═══════════════ TLS ═══════════════
//!                                                        your own client, as the subtype says
//! ```
//!
//! **Client.** It chooses the first [`Subtype`] of its own list that the server has; then a byte of value 1
//! starts TLS. It never chooses anonymous TLS (subtypes 257 to 259 and 263, and the security type 18),
//! which an active attacker can intercept. A server of another version than 3.8, without VeNCrypt or
//! without such a subtype offers no TLS. If the server has no VeNCrypt and the policy allows it, your own
//! client may continue in plaintext; the last reported frame has the list of security types. An empty list
//! with its reason is a refusal.
//!
//! **Server.** It lists VeNCrypt and, if the policy allows plaintext, the caller's security types without
//! TLS. Every refusal ends the connection, with a reason if the protocol has a message for it.
//!
//! Inside TLS the [`Subtype`] decides how the client authenticates and which side speaks first. Take
//! [`Client::subtype`] or [`Server::subtype`] before you consume the machine.
//!
//! **Limits.** A server's message has at most [`MAX_MESSAGE`] bytes: lists of 255 types and 63 subtypes,
//! reasons of 251 bytes.
//!
//! ```
//! use starttls::vnc::{self, Subtype};
//! use starttls::{Machine, Policy, Step, client};
//!
//! # fn main() -> Result<(), starttls::Error> {
//! let mut client = vnc::Client::new(&[Subtype::X509Plain, Subtype::X509None], Policy::Required);
//! let mut input = &b"RFB 003.008\n"[..];
//! let mut output = [0; 16];
//! assert!(matches!(client.step(&mut input, &mut output)?, Step::Event(client::Event::Received(_))));
//! assert_eq!(client.step(&mut input, &mut output)?, Step::Write(12));
//! assert_eq!(&output[..12], b"RFB 003.008\n");
//! # Ok(())
//! # }
//! ```

mod client;
mod messages;
mod server;

use core::time::Duration;

pub use messages::MAX_MESSAGE;
pub use server::{Offer, SecurityTypes};

use crate::server::Config;
use crate::{ArgumentError, Introduction, Phrases, Policy, Protocol, Roles};
use client::ClientGrammar;
use messages::{FromClient, FromServer};
use server::ServerGrammar;

/// A VNC client on its way to TLS.
pub type Client<'a> = crate::Client<ClientGrammar<'a>>;

/// A VNC server on its way to TLS.
pub type Server<'a> = crate::Server<ServerGrammar<'a>>;

/// The subtypes with certificates, those with a password first.
const SUBTYPES: &[Subtype] =
    &[Subtype::X509Plain, Subtype::X509Sasl, Subtype::X509Vnc, Subtype::X509None];

/// VNC in both roles.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Vnc;

impl Roles for Vnc {
    type Client<'a> = ClientGrammar<'a>;
    type Server<'a> = ServerGrammar<'a>;

    const PROTOCOL: Protocol = Protocol::VNC;
    const PHRASES: Phrases = Phrases {
        // A security result, as most subtypes have it.
        unavailable: b"\0\0\0\x01\0\0\0\x23The backend server is not available",
        ..Phrases::NONE
    };

    fn client<'a>(_: &Introduction<'a>, policy: Policy) -> Result<Client<'a>, ArgumentError> {
        Ok(Client::new(SUBTYPES, policy))
    }

    fn server<'a>(_: &Introduction<'a>, config: Config) -> Result<Server<'a>, ArgumentError> {
        let offer = Offer::new(SUBTYPES);
        Ok(Server::new(offer, config))
    }
}

/// The authentication of a VeNCrypt subtype inside TLS with a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
#[repr(u32)]
pub enum Subtype {
    /// No authentication. The server speaks first, with the result.
    X509None = 260,
    /// A password, by challenge and response. The server speaks first.
    X509Vnc = 261,
    /// A name and a password. The client speaks first.
    X509Plain = 262,
    /// SASL. The server speaks first, with its mechanisms.
    X509Sasl = 264,
}

impl Subtype {
    /// The number of the subtype.
    #[must_use]
    pub const fn number(self) -> u32 {
        self as u32
    }
}

const VERSION: &[u8; 12] = b"RFB 003.008\n";

/// VeNCrypt's security type.
const VENCRYPT: u8 = 19;

/// VeNCrypt's version.
const VENCRYPT_VERSION: [u8; 2] = [0, 2];

/// The standard sets no time limit.
const WAIT: Duration = Duration::from_secs(60);

/// Like `contains`, which would bring a panic into firmware.
#[expect(clippy::manual_contains, reason = "see above")]
fn lists(types: &[u8], one: u8) -> bool {
    types.iter().any(|kind| *kind == one)
}
