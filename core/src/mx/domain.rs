use core::fmt;

use crate::ArgumentError;

/// The longest domain name, without a final dot, in bytes (RFC 1035 §2.3.4).
pub const MAX_DOMAIN: usize = 253;

/// A domain name in ASCII: lower case, without a final dot, internationalized labels as A-labels. It owns
/// its text.
///
/// ```
/// use starttls::ArgumentError;
/// use starttls::mx::Domain;
///
/// assert_eq!(Domain::new("Example.ORG.")?.as_str(), "example.org");
/// assert_eq!(Domain::new("192.0.2.1"), Err(ArgumentError::Malformed));
/// # Ok::<(), ArgumentError>(())
/// ```
#[derive(Clone, Copy)]
pub struct Domain {
    octets: [u8; MAX_DOMAIN],
    length: u8,
}

impl Domain {
    /// The root, which means in an MX record that the domain accepts no mail (RFC 7505 §3).
    pub(super) const ROOT: Self = Self { octets: [0; MAX_DOMAIN], length: 0 };

    /// Checks a domain name. Its labels have 1 to 63 letters, digits, hyphens and underscores, and no
    /// hyphen at either end.
    ///
    /// # Errors
    /// The reason why the name is invalid. [`ArgumentError::Malformed`] also for IP addresses, which have
    /// no policy.
    pub fn new(name: &str) -> Result<Self, ArgumentError> {
        let name = name.strip_suffix('.').unwrap_or(name);
        if name.is_empty() {
            return Err(ArgumentError::Empty);
        }
        if name.len() > MAX_DOMAIN {
            return Err(ArgumentError::TooLong);
        }
        if !name.is_ascii() {
            return Err(ArgumentError::NotAscii);
        }
        let mut last_is_number = false;
        for label in name.as_bytes().split(|octet| *octet == b'.') {
            if matches!(label, [] | [b'-', ..] | [.., b'-']) {
                return Err(ArgumentError::Malformed);
            }
            if label.len() > 63 {
                return Err(ArgumentError::TooLong);
            }
            if !label
                .iter()
                .all(|octet| matches!(octet, b'-' | b'_') || octet.is_ascii_alphanumeric())
            {
                return Err(ArgumentError::Forbidden);
            }
            last_is_number = label.iter().all(u8::is_ascii_digit);
        }
        if last_is_number {
            return Err(ArgumentError::Malformed);
        }
        let mut domain = Self::ROOT;
        for (place, octet) in domain.octets.iter_mut().zip(name.bytes()) {
            *place = octet.to_ascii_lowercase();
            domain.length = domain.length.wrapping_add(1);
        }
        Ok(domain)
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let octets = self.octets.get(..usize::from(self.length)).unwrap_or_default();
        core::str::from_utf8(octets).unwrap_or_default()
    }
}

impl PartialEq for Domain {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Domain {}

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Domain {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{=str}", self.as_str());
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;

    #[test]
    fn names() {
        let long_label = "a".repeat(64);
        let longest = ["a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(61)].join(".");
        let rows = [
            ("Example.ORG.", Ok("example.org")),
            ("xn--bcher-kva.example", Ok("xn--bcher-kva.example")),
            ("-a.example", Err(ArgumentError::Malformed)),
            ("a-.example", Err(ArgumentError::Malformed)),
            ("a.-", Err(ArgumentError::Malformed)),
            ("_25._tcp.mx-1.example", Ok("_25._tcp.mx-1.example")),
            ("localhost", Ok("localhost")),
            (&longest, Ok(longest.as_str())),
            ("", Err(ArgumentError::Empty)),
            (".", Err(ArgumentError::Empty)),
            ("a..b", Err(ArgumentError::Malformed)),
            (".a", Err(ArgumentError::Malformed)),
            ("a..", Err(ArgumentError::Malformed)),
            ("192.0.2.1", Err(ArgumentError::Malformed)),
            ("[192.0.2.1]", Err(ArgumentError::Forbidden)),
            ("a b", Err(ArgumentError::Forbidden)),
            ("*.example", Err(ArgumentError::Forbidden)),
            ("bücher.example", Err(ArgumentError::NotAscii)),
            (&long_label, Err(ArgumentError::TooLong)),
            (&[&longest, "d"].concat(), Err(ArgumentError::TooLong)),
        ];
        for (name, expected) in rows {
            let domain = Domain::new(name);
            assert_eq!(
                domain.as_ref().map(Domain::as_str),
                expected.as_ref().map(|name| *name),
                "{name}"
            );
        }
    }
}
