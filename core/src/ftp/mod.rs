//! FTP (RFC 959) with AUTH TLS (RFC 4217, RFC 2228): the control connection up to TLS, and then the
//! protection of the data connections.
//!
//! ```text
//! S: 220 FTP ready
//! C: FEAT
//! S: 211-Features:
//! S:  AUTH TLS
//! S:  PBSZ
//! S:  PROT
//! S: 211 End
//! C: AUTH TLS
//! S: 234 begin TLS now
//!    ═══════════════ TLS ═══════════════
//! C: PBSZ 0                                  Protection
//! S: 200 PBSZ=0
//! C: PROT P
//! S: 200 data connections are private
//! C: USER …                                  your own client
//! ```
//!
//! **Client.** Only 234 starts TLS; 334, which belongs to other mechanisms of RFC 2228, is an error. The
//! client asks for TLS even if the server does not know FEAT. A 230 greeting means that a user is already
//! logged in, which rules out TLS. Your own client logs in inside TLS and never sends CCC or REIN, which
//! would end TLS. [`Protection`] asks for private data connections.
//!
//! **Data connections.** [`DataConnection`] tells how to set up TLS there. The FTP client is the TLS client
//! on each of them, whichever side opened it (RFC 4217 §7), with the same name as on the control
//! connection. A resumed session proves to the server that it is the same client (RFC 4217 §10.2), and many
//! servers demand that. So give both connections one TLS configuration with a session store, and let the
//! control connection's tickets arrive before the first data connection.
//!
//! **Server.** It answers FEAT, AUTH, NOOP, SYST, HELP, OPTS and QUIT. It refuses USER, PASS and ACCT
//! before TLS, whatever the policy. Inside TLS, [`Guard`] answers the commands of RFC 2228 and knows
//! whether a transfer is protected.
//!
//! **Limits.** A line has at most [`MAX_LINE`] bytes with its CRLF, a reply at most 128 lines.
//!
//! ```
//! use starttls::{Machine, Policy, Step, ftp};
//!
//! # fn main() -> Result<(), starttls::Error> {
//! let mut client = ftp::Client::new(Policy::Required);
//! let mut input = &b"220-hello\r\n everybody\r\n220 ready\r\n"[..];
//! let mut output = [0; 16];
//! for _line in 0..3 {
//!     client.step(&mut input, &mut output)?; // as an event
//! }
//! assert_eq!(client.step(&mut input, &mut output)?, Step::Write(6));
//! assert_eq!(&output[..6], b"FEAT\r\n");
//! # Ok(())
//! # }
//! ```

mod client;
mod data;
mod guard;
mod protection;
mod reply;
mod server;

pub use data::DataConnection;
pub use guard::Guard;
pub use protection::{Event, Protection};

use crate::server::Config;
use crate::{ArgumentError, Introduction, Phrases, Policy, Protocol, Roles};
use client::ClientGrammar;
use server::ServerGrammar;

use core::time::Duration;

/// The longest line, with its CRLF, in bytes.
pub const MAX_LINE: usize = 1024;

/// How long to wait for a reply or a command.
const WAIT: Duration = Duration::from_secs(5 * 60);

/// An FTP client on its way to TLS.
pub type Client = crate::Client<ClientGrammar>;

/// An FTP server on its way to TLS.
pub type Server = crate::Server<ServerGrammar>;

/// FTP in both roles.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Ftp;

impl Roles for Ftp {
    type Client<'a> = ClientGrammar;
    type Server<'a> = ServerGrammar;

    const PROTOCOL: Protocol = Protocol::FTP;
    const PHRASES: Phrases = Phrases {
        greeting: b"220 localhost is connected over TLS\r\n",
        unavailable: b"421 The backend server is not available, closing\r\n",
        goodbye: b"QUIT\r\n",
        ..Phrases::NONE
    };

    fn client<'a>(_: &Introduction<'a>, policy: Policy) -> Result<Client, ArgumentError> {
        Ok(Client::new(policy))
    }

    fn server<'a>(names: &Introduction<'a>, config: Config) -> Result<Server, ArgumentError> {
        Ok(match names.protects_data {
            true => Server::new(config),
            false => Server::without_data_protection(config),
        })
    }
}
