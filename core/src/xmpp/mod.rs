//! XMPP (RFC 6120) with STARTTLS (RFC 6120 §5, RFC 7590), up to TLS: users' clients to servers, and servers
//! among each other ([`s2s`]).
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
//! **Client.** Only an empty `<proceed/>` of the namespace of TLS starts it. Where TLS is required the
//! client asks for it even if it is not among the features (RFC 7590 §3.1); else only if it is. `<failure/>`
//! ends the stream and so the connection, whatever the policy. A server without the version 1.0 has no
//! features.
//!
//! **Server.** Where TLS is required it offers that and nothing else, and answers whatever else is said
//! with `<policy-violation/>` and the end of the stream. Where the policy allows plaintext, stanzas are the
//! protocol's own work. SASL, and an `<iq/>` with the password of a login or an account, is refused before
//! TLS, whatever the policy, and not shown. [`Server::to`] says whose certificate the client wants.
//!
//! **Limits.** The header, each other child of the stream and each of the blanks between them is a frame, of
//! at most [`MAX_FRAME`] octets. Elements nest [`MAX_DEPTH`] deep and have [`MAX_ATTRIBUTES`] attributes. The
//! header declares [`MAX_PREFIXES`] namespaces, by prefixes of [`MAX_PREFIX`] octets. Names are ASCII, the encoding is UTF-8.
//! There are no comments, CDATA sections, processing instructions, document types and no entities but the
//! five that need no declaration.
//!
//! **Stricter than XML.** References by number, `]>` in text, declared prefixes that begin with `xml`, elements
//! of the prefix `xml`, and an XML declaration with more than `version='1.0'` and UTF-8 as `encoding` are refused:
//! what comes before TLS needs none of them. **Not looked for**, because nothing that counts has it: noncharacters
//! of Unicode, an attribute by two prefixes of one namespace, and a prefix for one of XML's own namespaces. Of a
//! `version` only what stands in front of its point counts; a namespace spelled with references is not the one
//! that is meant; and any prefix of the streams' namespace ends the stream.
//!
//! ```
//! use starttls::{Machine, Policy, Step, xmpp};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let domain = xmpp::Domain::new("im.example.org")?;
//! let mut client = xmpp::Client::new(domain, Policy::Required);
//! let mut output = [0; xmpp::MAX_HEADER];
//! let Step::Write(n) = client.step(&mut &b""[..], &mut output)? else { panic!("not its header") };
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

/// The longest header of a stream or child of it, in octets.
pub const MAX_FRAME: usize = 4096;

/// How deep elements nest, the child of the stream among them.
pub const MAX_DEPTH: usize = 16;

/// How many attributes an element may have, declarations of namespaces among them.
pub const MAX_ATTRIBUTES: usize = 16;

/// How many namespaces the header of a stream may declare, the default one among them.
pub const MAX_PREFIXES: usize = 4;

/// The longest prefix that it may declare, in octets.
pub const MAX_PREFIX: usize = 8;

/// The most octets that are sent at once.
pub const MAX_HEADER: usize = 2 * Domain::MAX + 320;

/// An XMPP client on its way to TLS.
pub type Client<'a> = crate::Client<ClientGrammar<'a>>;

/// An XMPP server on its way to TLS.
pub type Server<'a> = crate::Server<ServerGrammar<'a>>;

/// Servers among each other: the same with the namespace `jabber:server`, and with both domains in the
/// header of the client's stream.
pub mod s2s {
    use super::{ClientGrammar, ServerGrammar, ServerToServer};

    /// A server as another one's client, on its way to TLS.
    pub type Client<'a> = crate::Client<ClientGrammar<'a, ServerToServer>>;

    /// A server of another one, on its way to TLS.
    pub type Server<'a> = crate::Server<ServerGrammar<'a, ServerToServer>>;
}

/// XMPP between users' clients and servers in both roles.
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

/// XMPP between servers in both roles.
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
        /// Who asks before TLS; inside, the caller says who it is.
        const NOBODY: &str = "starttls.invalid";
        let from = Domain::new(names.client.unwrap_or(NOBODY))?;
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

/// Prints the header of a stream (RFC 6120 §4.7), up to the end of a value.
fn put_header(content: &[u8], out: &mut Writer<'_>) {
    out.put(b"<?xml version='1.0'?><stream:stream xmlns='");
    out.put(content);
    out.put(b"' xmlns:stream='");
    out.put(STREAMS);
}

/// The end of it, from the end of a value on.
const HEADER_END: &[u8] = b"' version='1.0'>";
