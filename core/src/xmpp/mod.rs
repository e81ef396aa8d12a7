//! XMPP (RFC 6120) with STARTTLS (RFC 6120 §5, RFC 7590), up to TLS: between users' clients and servers,
//! and between servers ([`s2s`]).
//!
//! ```text
//! C: <?xml version='1.0'?><stream:stream xmlns='jabber:client' … to='im.example.org' version='1.0'>
//! S: <?xml version='1.0'?><stream:stream xmlns='jabber:client' … from='im.example.org' id='…' version='1.0'>
//! S: <stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls></stream:features>
//! C: <starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>
//! S: <proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>
//!    ═══════════════ TLS ═══════════════
//! C: your own client's stream header, as on a fresh connection
//! ```
//!
//! **Client.** Only an empty `<proceed/>` of the TLS namespace starts TLS. If TLS is required, the client
//! asks for it even if the features do not list it (RFC 7590 §3.1); else only if they do. `<failure/>` ends
//! the stream and so the connection, whatever the policy. A server without version 1.0 has no features.
//!
//! **Server.** If TLS is required, it offers nothing else, and answers everything else with
//! `<policy-violation/>` and the end of the stream. If the policy allows plaintext, stanzas are the
//! protocol's own work. SASL, and an `<iq/>` with the password of a login or an account, are refused before
//! TLS, whatever the policy, and are not shown. [`Server::to`] tells for which domain the client wants a
//! certificate. If the client's header has a `from`,
//! the server's header repeats it as `to` (RFC 6120 §4.7.2): the bare address of a user, the domain of a server. The
//! server omits `to` if that is longer than [`MAX_JID`] bytes, or is not an address.
//!
//! **Limits.** The header, each other child of the stream and each blank between them is a frame, of at
//! most [`MAX_FRAME`] bytes. Elements nest at most [`MAX_DEPTH`] deep and have at most [`MAX_ATTRIBUTES`]
//! attributes. The header declares at most [`MAX_PREFIXES`] namespaces, with prefixes of at most
//! [`MAX_PREFIX`] bytes. Names are ASCII, and the encoding is UTF-8. Comments, CDATA sections, processing
//! instructions, document types and all entities except the five predefined ones are refused.
//!
//! **Stricter than XML.** These are refused, because no dialogue before TLS needs them: references by
//! number, `]>` in text, declared prefixes that begin with `xml`, elements of the prefix `xml`, and an XML
//! declaration with more than `version='1.0'` and UTF-8 as its `encoding`.
//!
//! **Not checked**, because no element that counts can have them: noncharacters of Unicode, an attribute by
//! two prefixes of one namespace, and a prefix for one of XML's own namespaces. Only the part of a
//! `version` before its point counts. A namespace that is written with references does not match. Any
//! prefix of the streams' namespace ends the stream.
//!
//! ```
//! use starttls::{Machine, Policy, Step, xmpp};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let domain = xmpp::Domain::new("im.example.org")?;
//! let mut client = xmpp::Client::new(domain, Policy::Required);
//! let mut output = [0; xmpp::MAX_HEADER];
//! let Step::Write(n) = client.step(&mut &b""[..], &mut output)? else { panic!("no header") };
//! assert!(output[..n].ends_with(b" to='im.example.org' version='1.0'>"));
//! # Ok(())
//! # }
//! ```

mod client;
mod framing;
mod link;
mod server;
mod stream;
mod xml;

pub use link::Domain;
pub use server::StreamId;

use crate::server::Config;
use crate::{ArgumentError, Introduction, Policy, Protocol, Roles};
use client::ClientGrammar;
use link::ServerToServer;
use server::ServerGrammar;

use crate::wire::Writer;
use stream::STREAMS;

/// The longest header of a stream or child of it, in bytes.
pub const MAX_FRAME: usize = 4096;

/// The maximum depth of nested elements, including the child of the stream.
pub const MAX_DEPTH: usize = 16;

/// The maximum number of an element's attributes, including namespace declarations.
pub const MAX_ATTRIBUTES: usize = 16;

/// The maximum number of namespaces that the header declares, including the default one.
pub const MAX_PREFIXES: usize = 4;

/// The longest prefix that the header declares, in bytes.
pub const MAX_PREFIX: usize = 8;

/// The longest bare address of a client that a server's header repeats, in bytes.
pub const MAX_JID: usize = 255;

/// The longest output of one step, in bytes.
pub const MAX_HEADER: usize = 2 * Domain::MAX + 320;

/// An XMPP client on its way to TLS.
pub type Client<'a> = crate::Client<ClientGrammar<'a>>;

/// An XMPP server on its way to TLS.
pub type Server<'a> = crate::Server<ServerGrammar<'a>>;

/// XMPP between servers: the namespace is `jabber:server`, and the header of the client's stream names both
/// domains.
pub mod s2s {
    use super::{ClientGrammar, ServerGrammar, ServerToServer};

    /// A server in the role of a client, on its way to TLS.
    pub type Client<'a> = crate::Client<ClientGrammar<'a, ServerToServer>>;

    /// A server for other servers, on its way to TLS.
    pub type Server<'a> = crate::Server<ServerGrammar<'a, ServerToServer>>;
}

/// XMPP between users' clients and servers, in both roles.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Xmpp;

impl Roles for Xmpp {
    type Client<'a> = ClientGrammar<'a>;
    type Server<'a> = ServerGrammar<'a>;

    const PROTOCOL: Protocol = Protocol::XMPP;

    fn client<'a>(names: &Introduction<'a>, policy: Policy) -> Result<Client<'a>, ArgumentError> {
        Ok(Client::new(Domain::new(names.server)?, policy))
    }

    fn server<'a>(names: &Introduction<'a>, config: Config) -> Result<Server<'a>, ArgumentError> {
        Ok(Server::new(Domain::new(names.server)?, stream_id(names), config))
    }
}

/// XMPP between servers, in both roles.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct XmppServer;

impl Roles for XmppServer {
    type Client<'a> = ClientGrammar<'a, ServerToServer>;
    type Server<'a> = ServerGrammar<'a, ServerToServer>;

    const PROTOCOL: Protocol = Protocol::XMPP_SERVER;

    fn client<'a>(
        names: &Introduction<'a>,
        policy: Policy,
    ) -> Result<s2s::Client<'a>, ArgumentError> {
        /// The domain before TLS; inside, the caller names its own.
        const ANONYMOUS: &str = "starttls.invalid";
        let from = Domain::new(names.client.unwrap_or(ANONYMOUS))?;
        Ok(s2s::Client::between(from, Domain::new(names.server)?, policy))
    }

    fn server<'a>(
        names: &Introduction<'a>,
        config: Config,
    ) -> Result<s2s::Server<'a>, ArgumentError> {
        Ok(s2s::Server::new(Domain::new(names.server)?, stream_id(names), config))
    }
}

fn stream_id(names: &Introduction<'_>) -> StreamId {
    let [a, b, c, d, e, f, g, h, ..] = names.random;
    StreamId::new(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
}

/// Prints the header of a stream (RFC 6120 §4.7), up to the end of its last value.
fn put_header(content: &[u8], out: &mut Writer<'_>) {
    out.put(b"<?xml version='1.0'?><stream:stream xmlns='");
    out.put(content);
    out.put(b"' xmlns:stream='");
    out.put(STREAMS);
}

/// The rest of the header, after its last value.
const HEADER_END: &[u8] = b"' version='1.0'>";
