//! Who speaks to whom: domains, and the two kinds of streams.

use super::stream::{Namespace, STREAMS, TLS, look_up};
use crate::{ArgumentError, Protocol};

/// The domain of a server: at most 255 octets of UTF-8, without anything that would end an attribute of
/// XML or belongs to another part of an address (RFC 7622 §3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Domain<'a>(&'a str);

impl<'a> Domain<'a> {
    /// The longest domain, in octets.
    pub const MAX: usize = 255;

    /// Checks a domain; constants are checked at compile time.
    ///
    /// # Errors
    /// [`ArgumentError::Empty`], [`ArgumentError::TooLong`], [`ArgumentError::Forbidden`].
    pub const fn new(domain: &'a str) -> Result<Self, ArgumentError> {
        let mut rest = match domain.as_bytes() {
            [] => return Err(ArgumentError::Empty),
            octets if octets.len() > Self::MAX => return Err(ArgumentError::TooLong),
            octets => octets,
        };
        while let [octet, tail @ ..] = rest {
            match octet {
                0..=b' ' | 0x7f | b'\'' | b'"' | b'<' | b'>' | b'&' | b'@' | b'/' => {
                    return Err(ArgumentError::Forbidden);
                }
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
