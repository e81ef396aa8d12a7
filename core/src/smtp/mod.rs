//! SMTP (RFC 5321) with STARTTLS (RFC 3207), in both roles, and the mail that follows.
//!
//! [`Client`] and [`Server`] bring a connection to TLS. [`Session`] then sends mail over it,
//! [`Receiver`] takes it. LMTP (RFC 2033) is the same protocol with another greeting, see
//! [`lmtp`](crate::lmtp).

mod address;
mod client;
mod command;
mod credentials;
mod dots;
pub mod receiver;
mod reply;
mod server;
pub mod session;

use core::fmt;

pub use address::{Address, Envelope};
pub use client::ClientGrammar;
pub use credentials::Credentials;
pub use dots::{LineEnds, Stuffer};
pub use receiver::Receiver;
pub use reply::Reply;
pub use server::{Reply as ServerReply, ServerGrammar};
pub use session::Session;

use crate::{ArgumentError, Protocol};

/// An SMTP client on its way to TLS.
pub type Client<'a> = crate::Client<ClientGrammar<'a, Smtp>>;

/// An SMTP server on its way to TLS.
pub type Server<'a> = crate::Server<ServerGrammar<'a, Smtp>>;

/// The longest command or reply line, with CRLF, in octets (RFC 5321 §4.5.3.1.4 and §4.5.3.1.5).
pub const MAX_LINE: usize = 512;

/// The longest domain or address literal, in octets (RFC 5321 §4.5.3.1.2).
pub const MAX_DOMAIN: usize = 255;

/// What tells SMTP and LMTP apart.
pub trait Dialect: sealed::Sealed + Copy + Default + fmt::Debug + 'static {
    /// Names and numbers.
    const PROTOCOL: Protocol;
    /// The command that introduces a client.
    #[doc(hidden)]
    const HELLO: &'static [u8];
    /// Whether `HELO` exists, and one reply answers a mail for all its recipients.
    #[doc(hidden)]
    const IS_SMTP: bool;
}

/// SMTP, RFC 5321.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Smtp;

impl Dialect for Smtp {
    const PROTOCOL: Protocol = Protocol::SMTP;
    const HELLO: &'static [u8] = b"EHLO";
    const IS_SMTP: bool = true;
}

impl Dialect for crate::lmtp::Lmtp {
    const PROTOCOL: Protocol = Protocol::LMTP;
    const HELLO: &'static [u8] = b"LHLO";
    const IS_SMTP: bool = false;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Smtp {}
    impl Sealed for crate::lmtp::Lmtp {}
}

/// The name by which a host introduces itself: a domain, or an address literal such as
/// `[192.0.2.1]`. At most [`MAX_DOMAIN`] octets of printable ASCII without blanks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Domain<'a>(&'a str);

impl<'a> Domain<'a> {
    /// What a client that does not know its name calls itself (RFC 5321 §4.1.4 asks for more).
    pub const LOCALHOST: Domain<'static> = Domain("[127.0.0.1]");

    /// Checks a name; constants are checked at compile time.
    ///
    /// # Errors
    /// [`ArgumentError::Empty`], [`ArgumentError::TooLong`], [`ArgumentError::NotAscii`] (use the
    /// A-label of an international name), [`ArgumentError::Forbidden`].
    pub const fn new(name: &'a str) -> Result<Self, ArgumentError> {
        if name.is_empty() {
            return Err(ArgumentError::Empty);
        }
        if name.len() > MAX_DOMAIN {
            return Err(ArgumentError::TooLong);
        }
        let mut rest = name.as_bytes();
        while let [octet, tail @ ..] = rest {
            match octet {
                0x80.. => return Err(ArgumentError::NotAscii),
                0..=b' ' | b'<' | b'>' | 0x7f => return Err(ArgumentError::Forbidden),
                _ => rest = tail,
            }
        }
        Ok(Self(name))
    }

    /// The name.
    #[must_use]
    pub const fn as_str(&self) -> &'a str {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_cannot_carry_a_command() {
        const OK: Result<Domain<'_>, ArgumentError> = Domain::new("client.example.org");
        assert_eq!(OK.map(|domain| domain.as_str()), Ok("client.example.org"));
        for (name, error) in [
            ("", ArgumentError::Empty),
            ("a\r\nMAIL FROM:<>", ArgumentError::Forbidden),
            ("a b", ArgumentError::Forbidden),
            ("a\0", ArgumentError::Forbidden),
            ("é.example", ArgumentError::NotAscii),
        ] {
            assert_eq!(Domain::new(name), Err(error), "{name:?}");
        }
        let long = [b'a'; MAX_DOMAIN + 1];
        let long = core::str::from_utf8(&long).expect("ASCII");
        assert_eq!(Domain::new(long), Err(ArgumentError::TooLong));
        assert!(Domain::new(&long[1..]).is_ok());
    }
}
