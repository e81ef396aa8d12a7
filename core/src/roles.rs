//! Client and server of any protocol, made from arguments that fit every protocol.

use crate::conceal::conceal;
use crate::server::Config;
use crate::{ArgumentError, Client, Policy, Protocol, Server, client, server};

/// A protocol in both roles, for programs that choose it at run time: a proxy, a probe, a test.
///
/// A program for one protocol calls `new` of that protocol's own machines, which take more options.
///
/// ```
/// use starttls::{Client, Introduction, Policy, Roles, client};
///
/// /// Works for every protocol.
/// fn waits<P: Roles>() -> bool {
///     let names = Introduction::new("mx.example.org", [7; 20]);
///     let client = P::client(&names, Policy::Required).expect("a name");
///     starttls::Machine::wait(&client).is_some()
/// }
///
/// # #[cfg(feature = "smtp")]
/// assert!(waits::<starttls::smtp::Smtp>());
/// ```
pub trait Roles: 'static {
    /// The grammar of the protocol's client.
    type Client<'a>: client::Grammar;

    /// The grammar of the protocol's server.
    type Server<'a>: server::Grammar;

    /// The protocol's names, ports and ALPN id.
    const PROTOCOL: Protocol;

    /// The protocol's words for places where no machine speaks.
    const PHRASES: Phrases = Phrases::NONE;

    /// A client at the start of a fresh connection, with options that most servers accept.
    ///
    /// # Errors
    /// The protocol does not allow one of the names.
    fn client<'a>(
        names: &Introduction<'a>,
        policy: Policy,
    ) -> Result<Client<Self::Client<'a>>, ArgumentError>;

    /// A server at the start of a fresh connection, which offers what it can by default.
    ///
    /// # Errors
    /// The protocol does not allow one of the names.
    fn server<'a>(
        names: &Introduction<'a>,
        config: Config,
    ) -> Result<Server<Self::Server<'a>>, ArgumentError>;
}

/// The names and random bytes that the two sides of a connection introduce themselves with.
///
/// A protocol uses those that it needs.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Introduction<'a> {
    /// The name of the client; `None` if it sends none.
    pub client: Option<&'a str>,
    /// The name of the server.
    pub server: &'a str,
    /// Random bytes for values that an attacker must not guess. Use fresh ones for each connection.
    pub random: [u8; 20],
    /// Whether the server can protect other connections than this one. If so, it lists `PBSZ`
    /// and `PROT` (RFC 4217 §6).
    pub protects_data: bool,
}

// The random bytes are secret until they are sent.
conceal!("Introduction", Introduction<'_>);

impl<'a> Introduction<'a> {
    /// An introduction with a server's name and no client's name.
    #[must_use]
    pub const fn new(server: &'a str, random: [u8; 20]) -> Self {
        Self { client: None, server, random, protects_data: true }
    }

    /// A number made of the first four random bytes.
    #[allow(dead_code, reason = "not every protocol needs one")]
    pub(crate) const fn number(&self) -> u32 {
        let [a, b, c, d, ..] = self.random;
        u32::from_be_bytes([a, b, c, d])
    }

    /// Sets the name of the client.
    #[must_use]
    pub const fn with_client(self, name: &'a str) -> Self {
        Self { client: Some(name), ..self }
    }
}

/// The bytes that a proxy sends on its own, between a client and a server of which one has no TLS.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Phrases {
    /// The greeting for a client. Empty if the protocol has none, or sends one inside TLS.
    pub greeting: &'static [u8],
    /// The reply for a client whose backend is missing. Empty if the protocol allows no unasked reply.
    pub unavailable: &'static [u8],
    /// A client's farewell to a server. Empty if a client just closes the connection.
    pub goodbye: &'static [u8],
    /// A client's bytes after the greeting, which it does not repeat inside TLS.
    pub opening: &'static [u8],
}

impl Phrases {
    /// The phrases of a protocol that has none.
    pub const NONE: Self = Self { greeting: b"", unavailable: b"", goodbye: b"", opening: b"" };
}
