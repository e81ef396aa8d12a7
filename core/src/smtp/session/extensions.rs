use crate::smtp::reply::{decimal, keyword};

/// What the server said it can do, inside the channel of this session and nowhere else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Extensions {
    set: u8,
    max_size: Option<usize>,
}

const PLAIN: u8 = 1;
const LOGIN: u8 = 1 << 1;
const EIGHT_BIT_MIME: u8 = 1 << 2;
const PIPELINING: u8 = 1 << 3;
const ENHANCED_STATUS_CODES: u8 = 1 << 4;
const SIZE: u8 = 1 << 5;

impl Extensions {
    /// Takes one line of the answer to EHLO, behind its code.
    pub(super) fn read(&mut self, line: &[u8]) {
        let name = keyword(line);
        let parameters = line.get(name.len()..).unwrap_or_default();
        let is = |other: &[u8]| name.eq_ignore_ascii_case(other);
        if is(b"AUTH") {
            for mechanism in parameters.split(|octet| *octet == b' ') {
                if mechanism.eq_ignore_ascii_case(b"PLAIN") {
                    self.set |= PLAIN;
                } else if mechanism.eq_ignore_ascii_case(b"LOGIN") {
                    self.set |= LOGIN;
                }
            }
        } else if is(b"SIZE") {
            self.set |= SIZE;
            self.max_size = decimal(parameters.trim_ascii());
        } else if is(b"8BITMIME") {
            self.set |= EIGHT_BIT_MIME;
        } else if is(b"PIPELINING") {
            self.set |= PIPELINING;
        } else if is(b"ENHANCEDSTATUSCODES") {
            self.set |= ENHANCED_STATUS_CODES;
        }
    }

    const fn has(self, extension: u8) -> bool {
        self.set & extension != 0
    }

    /// `AUTH PLAIN`, RFC 4954 and RFC 4616.
    #[must_use]
    pub const fn auth_plain(self) -> bool {
        self.has(PLAIN)
    }

    /// `AUTH LOGIN`, which no RFC describes and many servers offer.
    #[must_use]
    pub const fn auth_login(self) -> bool {
        self.has(LOGIN)
    }

    /// `8BITMIME`, RFC 6152.
    #[must_use]
    pub const fn eight_bit_mime(self) -> bool {
        self.has(EIGHT_BIT_MIME)
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
        self.max_size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_in_any_case() {
        let mut extensions = Extensions::default();
        for line in
            ["auth LOGIN plain XOAUTH2", "SIZE 35882577", "8BitMIME", "XPIPELINING", " ", ""]
        {
            extensions.read(line.as_bytes());
        }
        assert!(extensions.auth_plain() && extensions.auth_login() && extensions.eight_bit_mime());
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
