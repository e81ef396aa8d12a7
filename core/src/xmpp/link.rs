//! Domains, and the two kinds of streams.

use super::stream::{Namespace, STREAMS, TLS, look_up};
use crate::{ArgumentError, Protocol};

/// The domain of a server: at most 255 bytes of UTF-8.
///
/// It has no character that would end an XML attribute or that belongs to another part of an address
/// (RFC 7622 §3.2), no control character, and none that XML cannot have (U+FFFE and U+FFFF).
///
/// ```
/// use starttls::{ArgumentError, xmpp::Domain};
///
/// assert!(Domain::new("im.example.org").is_ok());
/// assert_eq!(Domain::new("me@example.org"), Err(ArgumentError::Forbidden));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Domain<'a>(&'a str);

impl<'a> Domain<'a> {
    /// The longest domain, in bytes.
    pub const MAX: usize = 255;

    /// Checks a domain. In a constant, the check happens at compile time.
    ///
    /// # Errors
    /// [`ArgumentError::Empty`], [`ArgumentError::TooLong`], [`ArgumentError::Forbidden`].
    pub const fn new(domain: &'a str) -> Result<Self, ArgumentError> {
        let mut rest = match domain.as_bytes() {
            [] => return Err(ArgumentError::Empty),
            octets if octets.len() > Self::MAX => return Err(ArgumentError::TooLong),
            octets => octets,
        };
        while let [_, tail @ ..] = rest {
            match rest {
                [0..=b' ' | 0x7f | b'\'' | b'"' | b'<' | b'>' | b'&' | b'@' | b'/', ..]
                // U+0080 to U+009F; U+FFFE and U+FFFF.
                | [0xc2, ..=0x9f, ..]
                | [0xef, 0xbf, 0xbe | 0xbf, ..] => return Err(ArgumentError::Forbidden),
                _ => rest = tail,
            }
        }
        Ok(Self(domain))
    }

    /// The domain.
    #[must_use]
    pub const fn as_str(&self) -> &'a str {
        self.0
    }
}

/// The kind of a stream.
pub trait Link: sealed::Sealed {
    /// The protocol's names, ports and ALPN id.
    const PROTOCOL: Protocol;

    /// The namespace of its stanzas.
    #[doc(hidden)]
    const CONTENT: &'static [u8];

    /// Whether the client names its own domain.
    #[doc(hidden)]
    const HAS_FROM: bool;
}

/// A stream of a user's client to a server (RFC 6120 §2.3).
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct ClientToServer;

/// A stream of a server to another one.
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

/// The namespaces that a client recognises.
pub(super) fn client_names<L: Link>(name: &[u8]) -> Namespace {
    look_up(
        &[(STREAMS, Namespace::Streams), (TLS, Namespace::Tls), (L::CONTENT, Namespace::Content)],
        name,
    )
}

/// The namespaces that a server recognises.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_cannot_end_its_attribute() {
        let long = [b'a'; Domain::MAX + 1];
        let long = core::str::from_utf8(&long).expect("ASCII");
        for (domain, error) in [
            ("", ArgumentError::Empty),
            ("a'b", ArgumentError::Forbidden),
            ("a\"b", ArgumentError::Forbidden),
            ("a<b", ArgumentError::Forbidden),
            ("a>b", ArgumentError::Forbidden),
            ("&amp;", ArgumentError::Forbidden),
            ("a b", ArgumentError::Forbidden),
            ("a\nb", ArgumentError::Forbidden),
            ("me@a", ArgumentError::Forbidden),
            ("a/b", ArgumentError::Forbidden),
            ("a\0", ArgumentError::Forbidden),
            (long, ArgumentError::TooLong),
        ] {
            assert_eq!(Domain::new(domain), Err(error), "{domain:?}");
        }
        for domain in ["im.example.org", "[2001:db8::1]", "bücher.example", &long[1..]] {
            assert_eq!(Domain::new(domain).map(|domain| domain.as_str()), Ok(domain));
        }
    }
}
