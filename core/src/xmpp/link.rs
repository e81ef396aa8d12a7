use super::namespaces::{Namespace, STREAMS, TLS, look_up};
use crate::Protocol;

/// Who speaks to whom.
pub trait Link: sealed::Sealed {
    /// Names and numbers.
    const PROTOCOL: Protocol;

    /// The namespace of its stanzas.
    #[doc(hidden)]
    const CONTENT: &'static [u8];

    /// Whether the client says whose it is.
    #[doc(hidden)]
    const HAS_FROM: bool;
}

/// A user's client to a server (RFC 6120 §2.3).
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct ClientToServer;

/// A server to another one.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct ServerToServer;

impl Link for ClientToServer {
    const PROTOCOL: Protocol = Protocol::XMPP;
    const CONTENT: &'static [u8] = b"jabber:client";
    const HAS_FROM: bool = false;
}

impl Link for ServerToServer {
    const PROTOCOL: Protocol = Protocol::XMPP_SERVER;
    const CONTENT: &'static [u8] = b"jabber:server";
    const HAS_FROM: bool = true;
}

/// What a client has to know.
pub(super) fn client_names<L: Link>(name: &[u8]) -> Namespace {
    look_up(
        &[(STREAMS, Namespace::Streams), (TLS, Namespace::Tls), (L::CONTENT, Namespace::Content)],
        name,
    )
}

/// What a server has to know.
pub(super) fn server_names<L: Link>(name: &[u8]) -> Namespace {
    look_up(
        &[
            (STREAMS, Namespace::Streams),
            (TLS, Namespace::Tls),
            (L::CONTENT, Namespace::Content),
            (b"urn:ietf:params:xml:ns:xmpp-sasl", Namespace::Login),
            (b"urn:xmpp:sasl:2", Namespace::Login),
            (b"jabber:iq:auth", Namespace::Login),
            (b"jabber:iq:register", Namespace::Login),
        ],
        name,
    )
}

mod sealed {
    pub trait Sealed: core::fmt::Debug {}
    impl Sealed for super::ClientToServer {}
    impl Sealed for super::ServerToServer {}
}
