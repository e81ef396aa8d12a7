//! SMTP (RFC 5321) with STARTTLS (RFC 3207), in both roles.
//!
//! ```text
//! S: 220 mx.example.org ESMTP
//! C: EHLO client.example.org
//! S: 250-mx.example.org
//! S: 250 STARTTLS
//! C: STARTTLS
//! S: 220 Ready to start TLS
//!    ═══════════════ TLS ═══════════════
//! C: EHLO client.example.org                 the module `mail`
//! ```
//!
//! [`Client`] and [`Server`] bring a connection to TLS. The module `mail` sends and receives mail over it.
//! LMTP (RFC 2033) shares this grammar and has its own module, `lmtp`.

pub(crate) mod client;
pub(crate) mod command;
mod dialect;
pub(crate) mod limits;
pub(crate) mod reply;
pub(crate) mod server;
mod status;

pub use client::ClientGrammar;
pub use dialect::{Dialect, Lmtp, Smtp};
pub use limits::{MAX_DOMAIN, MAX_LINE};
pub use reply::Reply;
pub use server::ServerGrammar;
pub use status::Status;

use crate::ArgumentError;

/// An SMTP client on its way to TLS.
pub type Client<'a> = crate::Client<ClientGrammar<'a, Smtp>>;

/// An SMTP server on its way to TLS.
pub type Server<'a> = crate::Server<ServerGrammar<'a, Smtp>>;

/// The name by which a host introduces itself: a domain, or an address literal such as `[192.0.2.1]`.
///
/// It has at most [`MAX_DOMAIN`] bytes of printable ASCII without blanks, `<` and `>`.
///
/// ```
/// use starttls::{ArgumentError, smtp::Domain};
///
/// const NAME: Result<Domain<'_>, ArgumentError> = Domain::new("client.example.org");
/// assert!(NAME.is_ok());
/// assert_eq!(Domain::new("a\r\nMAIL FROM:<>"), Err(ArgumentError::Forbidden));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Domain<'a>(&'a str);

impl<'a> Domain<'a> {
    /// The name of a client that does not know its own. RFC 5321 §4.1.4 asks for a better one.
    pub const LOCALHOST: Domain<'static> = Domain("[127.0.0.1]");

    /// Checks a name. In a constant, the check happens at compile time.
    ///
    /// # Errors
    /// [`ArgumentError::Empty`], [`ArgumentError::TooLong`], [`ArgumentError::Forbidden`], or
    /// [`ArgumentError::NotAscii`]: use the A-label of an international name.
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
