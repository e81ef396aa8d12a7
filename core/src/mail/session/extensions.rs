use super::Mechanism;
use crate::Error;
use crate::smtp::reply::{bit, decimal};

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

impl Extensions {
    /// Reads one line of the reply to EHLO, after its code.
    pub(super) fn read(&mut self, line: &[u8]) {
        let mut words = line.split(|octet| *octet == b' ');
        let first = words.next().unwrap_or_default();
        // `AUTH=LOGIN PLAIN` comes from drafts before RFC 2554; some servers offer nothing else.
        let (first, value) = match first.split_at_checked(b"AUTH".len()) {
            Some((name, [b'=', value @ ..])) if bit(KEYWORDS, name) == AUTH => (name, value),
            _ => (first, &b""[..]),
        };
        let keyword = bit(KEYWORDS, first);
        self.set |= keyword;
        for word in core::iter::once(value).chain(words) {
            match keyword {
                AUTH => self.mechanisms |= bit(Mechanism::NAMES, word),
                SIZE => {
                    if let Some(size) = decimal(word) {
                        self.max_size = size;
                    }
                }
                _ => {}
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
