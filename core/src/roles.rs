//! Both machines of any protocol, made from what every protocol can be told.

use crate::server::Config;
use crate::{ArgumentError, Client, Policy, Protocol, Server, client, server};

/// A protocol in both roles, for programs that speak whichever one a URL names: a proxy, a probe, a
/// test. Who speaks one protocol calls `new` of its own machines, which know more of it.
///
/// ```
/// use starttls::{Client, Introduction, Policy, Roles, client};
///
/// /// The same for each.
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
    /// The grammar of its client.
    type Client<'a>: client::Grammar;

    /// The grammar of its server.
    type Server<'a>: server::Grammar;

    /// Names and numbers.
    const PROTOCOL: Protocol;

    /// What is said where no machine speaks.
    const PHRASES: Phrases = Phrases::NONE;

    /// A client at the start of a fresh connection, which takes what most servers have.
    ///
    /// # Errors
    /// No peer of this protocol can have such a name.
    fn client<'a>(
        names: &Introduction<'a>,
        policy: Policy,
    ) -> Result<Client<Self::Client<'a>>, ArgumentError>;

    /// A server at the start of a fresh connection, which offers what it can without knowing more.
    ///
    /// # Errors
    /// No peer of this protocol can have such a name.
    fn server<'a>(
        names: &Introduction<'a>,
        config: Config,
    ) -> Result<Server<Self::Server<'a>>, ArgumentError>;
}

/// What the two sides of a connection say of themselves, as far as a protocol has them say it.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Introduction<'a> {
    /// The name of the client; `None` where it would not say one.
    pub client: Option<&'a str>,
    /// The name of the server.
    pub server: &'a str,
    /// For what nobody may guess; another one for each connection.
    pub random: [u8; 20],
}

impl<'a> Introduction<'a> {
    /// Of a client that says no name of its own.
    #[must_use]
    pub const fn new(server: &'a str, random: [u8; 20]) -> Self {
        Self { client: None, server, random }
    }

    /// A number of four of the random octets.
    #[allow(dead_code, reason = "not every protocol needs one")]
    pub(crate) const fn number(&self) -> u32 {
        let [a, b, c, d, ..] = self.random;
        u32::from_be_bytes([a, b, c, d])
    }

    /// With a name of the client.
    #[must_use]
    pub const fn with_client(self, name: &'a str) -> Self {
        Self { client: Some(name), ..self }
    }
}

/// What is said where no machine speaks: the words of a program that stands between a client and a
/// server, one of which has no TLS.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Phrases {
    /// For a client that expects a greeting; empty where it does not, or where one comes inside TLS.
    pub greeting: &'static [u8],
    /// For a client that has nobody to talk to; empty where nothing can be said unasked.
    pub unavailable: &'static [u8],
    /// For a server, from a client that leaves; empty where it just goes.
    pub goodbye: &'static [u8],
    /// What a client says after the greeting, and not again inside TLS.
    pub opening: &'static [u8],
}

impl Phrases {
    /// Of a protocol that has none of them.
    pub const NONE: Self = Self { greeting: b"", unavailable: b"", goodbye: b"", opening: b"" };
}
