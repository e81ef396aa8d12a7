use core::str;

use crate::mail::{Address, address};
use crate::wire::Octets;

/// A mailbox in a command, of the form of RFC 5321 §4.1.2 and at most 254 octets long, 64 of them
/// before the `@`; empty for the null path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Path<'i>(&'i str);

impl<'i> Path<'i> {
    /// The mailbox without angle brackets: no control characters of ASCII, and nothing outside ASCII
    /// unless the mail is [international](super::Mail::international). Who shows one of those escapes
    /// what a terminal could take for more than a letter.
    #[must_use]
    pub const fn as_str(&self) -> &'i str {
        self.0
    }

    /// Whether it is `<>`, the sender of reports about failures.
    #[must_use]
    pub const fn is_null(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it has characters outside ASCII (RFC 6531).
    #[must_use]
    pub const fn is_international(&self) -> bool {
        !self.0.is_ascii()
    }

    /// Takes a path off the front of an argument.
    pub(super) fn parse(argument: &'i [u8]) -> Option<(Self, &'i [u8])> {
        let (Octets(rest), Octets(mailbox)) = address::path(Octets(argument)).ok()?;
        let mailbox = str::from_utf8(mailbox).ok()?;
        // What is of the right form and still no address is too long, or has no domain.
        let fits = matches!(mailbox, "")
            || mailbox.eq_ignore_ascii_case("postmaster")
            || Address::international(mailbox).is_ok();
        fits.then_some((Self(mailbox), rest))
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;

    #[test]
    fn limits() {
        let path = |local: usize, domain: usize| {
            let text = std::format!("<{}@{}>", "a".repeat(local), "b".repeat(domain));
            Path::parse(text.as_bytes()).is_some()
        };
        assert!(path(64, 189));
        assert!(!path(65, 1));
        assert!(!path(64, 190));
    }

    #[test]
    fn only_utf_8() {
        let path = Path::parse("<ä@ö.example>".as_bytes()).expect("a path").0;
        assert!(path.is_international());
        assert_eq!(path.as_str(), "ä@ö.example");
        assert_eq!(Path::parse(b"<\xe4@b>"), None);
        assert_eq!(Path::parse(b"<Postmaster> x"), Some((Path("Postmaster"), &b" x"[..])));
        assert_eq!(Path::parse(b"<>"), Some((Path(""), &b""[..])));
    }
}
