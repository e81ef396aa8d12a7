//! MySQL and MariaDB (client/server protocol, version 10) with SSLRequest, up to TLS.
//!
//! ```text
//! S: initial handshake packet                sequence number 0, lists CLIENT_SSL
//! C: SSLRequest                              sequence number 1, no reply
//!    ═══════════════ TLS ═══════════════
//! C: HandshakeResponse …                     sequence number 2: your own client
//! ```
//!
//! **Client.** It sends nothing to a server that does not list CLIENT_SSL and CLIENT_PROTOCOL_41
//! (CVE-2015-3152, CVE-2017-3305). An ERR packet in place of the greeting is a refusal, and its text is
//! only reported. TLS starts after the SSLRequest. A byte after the greeting is an error, because the
//! server does not speak again before the client.
//!
//! Before you consume the machine, take what your own client needs inside TLS: the server's handshake
//! ([`Client::handshake`](crate::Client::handshake)), the capabilities to repeat
//! ([`Client::request`](crate::Client::request)) and the sequence number ([`SEQUENCE_IN_TLS`]). **The
//! server's handshake is not authenticated**: choose the authentication method inside TLS, by the verified
//! server, and never let a plugin of the server's choice have the password in clear.
//!
//! **Server.** The caller provides the [`Greeting`]. If TLS is required, the machine refuses a clear
//! HandshakeResponse with ERR 3159 and reads only its first bytes; else it is the protocol's own work. A
//! client sends its ClientHello without waiting, so bytes after the SSLRequest go to TLS. Inside TLS, read
//! the client's capabilities again: [`SslRequest::repeated`].
//!
//! **Limits.** The client reads packets of at most [`MAX_PACKET`] bytes. The server decides by the first
//! [`MAX_HEADER`] bytes of a packet, whose announced payload has at most [`MAX_RESPONSE`] bytes.
//!
//! ```
//! use starttls::{Machine, Policy, Step, mysql};
//!
//! # fn main() -> Result<(), starttls::Error> {
//! let mut client = mysql::Client::new(mysql::SslRequest::default(), Policy::Required);
//! let mut input = &b"\x4a\0\0\0\x0a8.0.36\0\x07\0\0\0abcdefgh\0\xff\xff\x2d\x02\0\xff\xdf\x15\
//!     \0\0\0\0\0\0\0\0\0\0ijklmnopqrst\0caching_sha2_password\0"[..];
//! let mut output = [0; 36];
//! assert!(matches!(client.step(&mut input, &mut output)?, Step::Event(_)));
//! assert_eq!(client.step(&mut input, &mut output)?, Step::Write(36));
//! assert_eq!(output[..4], [32, 0, 0, 1]);
//! let handshake = client.handshake().expect("it has arrived");
//! assert_eq!(handshake.plugin.as_untrusted_bytes(), b"caching_sha2_password");
//! assert_eq!(handshake.scramble().count(), 20);
//! # Ok(())
//! # }
//! ```

mod client;
mod greeting;
mod handshake;
mod request;
mod server;

pub use greeting::{Greeting, Scramble, Text};
pub use handshake::Handshake;
pub use request::SslRequest;

use crate::server::Config;
use crate::{ArgumentError, Introduction, Phrases, Policy, Protocol, Roles};
use client::ClientGrammar;
use server::ServerGrammar;

/// The longest packet of a server before TLS, with its header, in bytes.
pub const MAX_PACKET: usize = 640;

/// The number of bytes by which a server decides: a packet's header and the fixed part of a response.
pub const MAX_HEADER: usize = 36;

/// The longest payload of a client before TLS, in bytes.
pub const MAX_RESPONSE: u32 = 1 << 17;

/// The sequence number of the client's first packet inside TLS.
pub const SEQUENCE_IN_TLS: u8 = 2;

/// The sequence number of the client's first packet in a connection that stays in plaintext.
pub const SEQUENCE_IN_PLAINTEXT: u8 = 1;

/// The capabilities that matter here.
pub mod capability {
    /// `CLIENT_LONG_PASSWORD` of MySQL. A MariaDB server leaves it unset and has further capabilities.
    pub const LONG_PASSWORD: u32 = 1;
    /// `CLIENT_LONG_FLAG`.
    pub const LONG_FLAG: u32 = 1 << 2;
    /// `CLIENT_CONNECT_WITH_DB`.
    pub const CONNECT_WITH_DB: u32 = 1 << 3;
    /// `CLIENT_PROTOCOL_41`.
    pub const PROTOCOL_41: u32 = 1 << 9;
    /// `CLIENT_SSL`.
    pub const SSL: u32 = 1 << 11;
    /// `CLIENT_TRANSACTIONS`.
    pub const TRANSACTIONS: u32 = 1 << 13;
    /// `CLIENT_SECURE_CONNECTION`.
    pub const SECURE_CONNECTION: u32 = 1 << 15;
    /// `CLIENT_PLUGIN_AUTH`.
    pub const PLUGIN_AUTH: u32 = 1 << 19;
    /// `CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA`.
    pub const PLUGIN_AUTH_LENENC: u32 = 1 << 21;
}

/// The capabilities that both sides need for TLS.
const NEEDED: u32 = capability::SSL | capability::PROTOCOL_41;

/// A MySQL client on its way to TLS.
pub type Client = crate::Client<ClientGrammar>;

/// A MySQL server on its way to TLS.
pub type Server<'a> = crate::Server<ServerGrammar<'a>>;

/// MySQL in both roles.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Mysql;

impl Roles for Mysql {
    type Client<'a> = ClientGrammar;
    type Server<'a> = ServerGrammar<'a>;

    const PROTOCOL: Protocol = Protocol::MYSQL;
    const PHRASES: Phrases = Phrases {
        // An ERR packet that answers the client's first packet inside TLS.
        unavailable: b"\x2c\0\0\x03\xff\x51\x04#HY000The backend server is not available",
        ..Phrases::NONE
    };

    fn client<'a>(_: &Introduction<'a>, policy: Policy) -> Result<Client, ArgumentError> {
        Ok(Client::new(SslRequest::default(), policy))
    }

    fn server<'a>(names: &Introduction<'a>, config: Config) -> Result<Server<'a>, ArgumentError> {
        const VERSION: Text<'_> = match Text::new("8.0.0-starttls") {
            Ok(version) => version,
            Err(_) => panic!(),
        };
        Ok(Server::new(Greeting::new(VERSION, 1, Scramble::new(names.random)), config))
    }
}
