use super::Mechanism;
use crate::smtp::reply::decimal;

/// What the server said it can do, inside the channel of this session and nowhere else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Extensions {
    set: u8,
    mechanisms: u8,
    max_size: usize,
}

/// Each keyword has the bit of its place.
const KEYWORDS: &[&[u8]] = &[
    b"SIZE",
    b"8BITMIME",
    b"PIPELINING",
    b"ENHANCEDSTATUSCODES",
    #[cfg(feature = "extensions")]
    b"SMTPUTF8",
    #[cfg(feature = "extensions")]
    b"DSN",
    #[cfg(feature = "extensions")]
    b"REQUIRETLS",
    #[cfg(feature = "extensions")]
    b"CHUNKING",
];

const SIZE: u8 = 1;
pub(in crate::smtp) const EIGHT_BIT_MIME: u8 = 1 << 1;
const PIPELINING: u8 = 1 << 2;
const ENHANCED_STATUS_CODES: u8 = 1 << 3;
pub(in crate::smtp) const SMTP_UTF8: u8 = 1 << 4;
#[cfg(feature = "extensions")]
pub(in crate::smtp) const DSN: u8 = 1 << 5;
pub(in crate::smtp) const REQUIRE_TLS: u8 = 1 << 6;
#[cfg(feature = "extensions")]
const CHUNKING: u8 = 1 << 7;

impl Extensions {
    /// Takes one line of the answer to EHLO, behind its code.
    pub(super) fn read(&mut self, line: &[u8]) {
        let mut words = line.split(|octet| *octet == b' ');
        let name = words.next().unwrap_or_default();
        let mut bit = 1;
        for keyword in KEYWORDS {
            if name.eq_ignore_ascii_case(keyword) {
                self.set |= bit;
            }
            bit <<= 1;
        }
        let is_auth = name.eq_ignore_ascii_case(b"AUTH");
        let is_size = name.eq_ignore_ascii_case(b"SIZE");
        for word in words {
            if is_size && !word.is_empty() {
                self.max_size = decimal(word).unwrap_or_default();
            }
            for mechanism in Mechanism::ALL {
                if is_auth && word.eq_ignore_ascii_case(mechanism.name().as_bytes()) {
                    self.mechanisms |= mechanism.bit();
                }
            }
        }
    }

    /// Whether all of these are offered.
    pub(in crate::smtp) const fn has(self, extensions: u8) -> bool {
        self.set & extensions == extensions
    }

    /// `AUTH` by this mechanism, RFC 4954.
    #[must_use]
    pub const fn offers(self, mechanism: Mechanism) -> bool {
        self.mechanisms & mechanism.bit() != 0
    }

    /// `8BITMIME`, RFC 6152.
    #[must_use]
    pub const fn eight_bit_mime(self) -> bool {
        self.has(EIGHT_BIT_MIME)
    }

    /// `SMTPUTF8`, RFC 6531.
    #[cfg(feature = "extensions")]
    #[must_use]
    pub const fn smtp_utf8(self) -> bool {
        self.has(SMTP_UTF8)
    }

    /// `DSN`, RFC 3461.
    #[cfg(feature = "extensions")]
    #[must_use]
    pub const fn dsn(self) -> bool {
        self.has(DSN)
    }

    /// `REQUIRETLS`, RFC 8689.
    #[cfg(feature = "extensions")]
    #[must_use]
    pub const fn require_tls(self) -> bool {
        self.has(REQUIRE_TLS)
    }

    /// `CHUNKING`, RFC 3030.
    #[cfg(feature = "extensions")]
    #[must_use]
    pub const fn chunking(self) -> bool {
        self.has(CHUNKING)
    }

    /// `PIPELINING`, RFC 2920.
    #[must_use]
    pub const fn pipelining(self) -> bool {
        self.has(PIPELINING)
    }

    /// `ENHANCEDSTATUSCODES`, RFC 2034.
    #[must_use]
    pub const fn enhanced_status_codes(self) -> bool {
        self.has(ENHANCED_STATUS_CODES)
    }

    /// `SIZE`, RFC 1870.
    #[must_use]
    pub const fn size(self) -> bool {
        self.has(SIZE)
    }

    /// The largest message that the server takes, in octets (RFC 1870); `None` if it did not say,
    /// or said 0, or more than fits.
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
