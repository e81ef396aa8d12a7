use super::Mechanism;
use crate::Error;
use crate::smtp::reply::{bit, decimal};
use crate::wire::{PREFER_SPEED, is_name};

/// The extensions that a server offers inside the channel of this session.
///
/// An offer from before TLS never gets in here (SM11).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Extensions {
    set: u16,
    mechanisms: u16,
    max_size: usize,
}

/// The position of a keyword is its bit.
const KEYWORDS: &[&str] = &[
    "SIZE",
    "AUTH",
    "8BITMIME",
    "PIPELINING",
    "ENHANCEDSTATUSCODES",
    #[cfg(feature = "extensions")]
    "SMTPUTF8",
    #[cfg(feature = "extensions")]
    "DSN",
    #[cfg(feature = "extensions")]
    "REQUIRETLS",
    #[cfg(feature = "extensions")]
    "CHUNKING",
];

const SIZE: u16 = 1;
const AUTH: u16 = 1 << 1;
pub(in crate::mail) const EIGHT_BIT_MIME: u16 = 1 << 2;
const PIPELINING: u16 = 1 << 3;
const ENHANCED_STATUS_CODES: u16 = 1 << 4;
pub(in crate::mail) const SMTP_UTF8: u16 = 1 << 5;
#[cfg(feature = "extensions")]
pub(in crate::mail) const DSN: u16 = 1 << 6;
#[cfg(feature = "extensions")]
pub(in crate::mail) const REQUIRE_TLS: u16 = 1 << 7;
#[cfg(feature = "extensions")]
const CHUNKING: u16 = 1 << 8;

/// The position of the first keyword that may be at the front of a line, by the line's first letters.
fn first_candidate(line: &[u8]) -> usize {
    match line {
        [b'S' | b's', b'I' | b'i', ..] => 0,
        [b'A' | b'a', ..] => 1,
        [b'8', ..] => 2,
        [b'P' | b'p', ..] => 3,
        [b'E' | b'e', ..] => 4,
        [b'S' | b's', ..] => 5,
        [b'D' | b'd', ..] => 6,
        [b'R' | b'r', ..] => 7,
        [b'C' | b'c', ..] => 8,
        _ => KEYWORDS.len(),
    }
}

impl Extensions {
    /// Reads one line of the reply to EHLO, after its code.
    pub(super) fn read(&mut self, line: &[u8]) {
        let first = if PREFER_SPEED { first_candidate(line) } else { 0 };
        let mut bit = 1 << first;
        for name in KEYWORDS.get(first..).unwrap_or_default() {
            if let Some((word, values)) = line.split_at_checked(name.len())
                // Most words fail already by their length. `AUTH=LOGIN PLAIN` comes from drafts before RFC
                // 2554; some servers offer nothing else.
                && (matches!(values, [] | [b' ', ..]) || bit == AUTH && matches!(values, [b'=', ..]))
                && is_name(word, name.as_bytes())
            {
                self.set |= bit;
                if bit & (AUTH | SIZE) != 0 {
                    self.read_values(bit, values.get(1..).unwrap_or_default());
                }
                return;
            }
            bit <<= 1;
        }
    }

    /// Reads the words after a keyword, which only two of them have.
    ///
    /// This is a separate function, so that the other keywords save and restore fewer registers.
    #[cfg_attr(target_pointer_width = "64", inline(never))]
    fn read_values(&mut self, keyword: u16, values: &[u8]) {
        for word in values.split(|octet| *octet == b' ') {
            if keyword == AUTH {
                self.mechanisms |= bit(Mechanism::NAMES, word);
            } else if let Some(size) = decimal(word) {
                self.max_size = size;
            }
        }
    }

    /// Removes a mechanism that the server listed but does not accept.
    pub(super) const fn withdraw(&mut self, mechanism: Mechanism) {
        self.mechanisms &= !mechanism.bit();
    }

    /// Checks that all of these are offered.
    ///
    /// # Errors
    /// The error for the first missing one.
    pub(in crate::mail) const fn check(self, extensions: u16) -> Result<(), Error> {
        let missing = extensions & !self.set;
        Err(match missing {
            0 => return Ok(()),
            _ if missing & EIGHT_BIT_MIME != 0 => Error::NoEightBitMime,
            _ if missing & SMTP_UTF8 != 0 => Error::NoSmtpUtf8,
            #[cfg(feature = "extensions")]
            _ if missing & DSN != 0 => Error::NoDsn,
            _ => Error::NoRequireTls,
        })
    }

    /// Whether all of these are offered.
    pub(in crate::mail) const fn has(self, extensions: u16) -> bool {
        self.set & extensions == extensions
    }

    /// Whether `AUTH` with this mechanism is offered (RFC 4954).
    #[must_use]
    pub const fn offers(self, mechanism: Mechanism) -> bool {
        self.mechanisms & mechanism.bit() != 0
    }

    /// Whether `AUTH` is offered, with any mechanism (RFC 4954).
    #[must_use]
    pub const fn auth(self) -> bool {
        self.has(AUTH)
    }

    /// Whether `8BITMIME` is offered (RFC 6152).
    #[must_use]
    pub const fn eight_bit_mime(self) -> bool {
        self.has(EIGHT_BIT_MIME)
    }

    /// Whether `SMTPUTF8` is offered (RFC 6531).
    #[cfg(feature = "extensions")]
    #[must_use]
    pub const fn smtp_utf8(self) -> bool {
        self.has(SMTP_UTF8)
    }

    /// Whether `DSN` is offered (RFC 3461).
    #[cfg(feature = "extensions")]
    #[must_use]
    pub const fn dsn(self) -> bool {
        self.has(DSN)
    }

    /// Whether `REQUIRETLS` is offered (RFC 8689).
    #[cfg(feature = "extensions")]
    #[must_use]
    pub const fn require_tls(self) -> bool {
        self.has(REQUIRE_TLS)
    }

    /// Whether `CHUNKING` is offered (RFC 3030).
    #[cfg(feature = "extensions")]
    #[must_use]
    pub const fn chunking(self) -> bool {
        self.has(CHUNKING)
    }

    /// Whether `PIPELINING` is offered (RFC 2920).
    #[must_use]
    pub const fn pipelining(self) -> bool {
        self.has(PIPELINING)
    }

    /// Whether `ENHANCEDSTATUSCODES` is offered (RFC 2034).
    #[must_use]
    pub const fn enhanced_status_codes(self) -> bool {
        self.has(ENHANCED_STATUS_CODES)
    }

    /// Whether `SIZE` is offered (RFC 1870).
    #[must_use]
    pub const fn size(self) -> bool {
        self.has(SIZE)
    }

    /// The largest message that the server accepts, in bytes (RFC 1870). `None` if the server announces no
    /// limit, 0, or a number that does not fit.
    #[must_use]
    pub const fn max_size(self) -> Option<usize> {
        match self.max_size {
            0 => None,
            size => Some(size),
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;

    #[test]
    fn keywords_in_any_case() {
        let mut extensions = Extensions::default();
        for line in ["auth LOGIN plain XOAUTH", "SIZE 35882577", "8BitMIME", "XPIPELINING", " ", ""]
        {
            extensions.read(line.as_bytes());
        }
        assert!(extensions.offers(Mechanism::Plain) && extensions.offers(Mechanism::Login));
        assert!(extensions.eight_bit_mime());
        assert!(!extensions.pipelining() && !extensions.enhanced_status_codes());
        assert_eq!(extensions.max_size(), Some(35_882_577));
    }

    #[test]
    fn each_keyword_is_its_own_first_candidate() {
        for (place, keyword) in KEYWORDS.iter().enumerate() {
            for line in [keyword.to_ascii_uppercase(), keyword.to_ascii_lowercase()] {
                assert_eq!(first_candidate(line.as_bytes()), place, "{line}");
                let mut extensions = Extensions::default();
                extensions.read(line.as_bytes());
                assert_eq!(extensions.set, 1 << place, "{line}");
            }
        }
        for line in ["", "S", "8", "SIZED", "AUTHX", "AUTH-LOGIN", "DSN=", "X"] {
            let mut extensions = Extensions::default();
            extensions.read(line.as_bytes());
            assert_eq!(extensions, Extensions::default(), "{line}");
        }
    }

    #[test]
    fn sizes() {
        for (text, expected) in [
            ("SIZE", None),
            ("SIZE 0", None),
            ("SIZE x", None),
            ("SIZE 99999999999999999999", None),
        ] {
            let mut extensions = Extensions::default();
            extensions.read(text.as_bytes());
            assert!(extensions.size());
            assert_eq!(extensions.max_size(), expected, "{text}");
        }
    }
}
