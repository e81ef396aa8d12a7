//! What a sender asks of reports on the delivery of its mail (RFC 3461).

#[cfg(feature = "extensions")]
mod request;

#[cfg(feature = "extensions")]
pub use request::{Recipient, Request};

use super::address::is_atom;
use crate::ArgumentError;

/// What of the message a report of failure brings back: `RET` (RFC 3461 §4.3).
///
/// Exhaustive: the standard has these two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Return {
    /// All of it.
    Full,
    /// Its header.
    Headers,
}

/// Which reports a sender wants for a recipient: `NOTIFY` (RFC 3461 §4.1).
///
/// A set of three, of which none is [`NEVER`](Self::NEVER). Where nothing is said a failure is
/// reported.
///
/// ```
/// use starttls::mail::dsn::Notify;
///
/// const NOTIFY: Notify = Notify::SUCCESS.and(Notify::FAILURE);
/// assert!(NOTIFY.success() && NOTIFY.failure() && !NOTIFY.delay());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Notify {
    success: bool,
    failure: bool,
    delay: bool,
}

impl Notify {
    /// No report at all.
    pub const NEVER: Self = Self { success: false, failure: false, delay: false };
    /// When it was delivered.
    pub const SUCCESS: Self = Self { success: true, ..Self::NEVER };
    /// When it cannot be delivered.
    pub const FAILURE: Self = Self { failure: true, ..Self::NEVER };
    /// When it takes unusually long.
    pub const DELAY: Self = Self { delay: true, ..Self::NEVER };

    /// The reports of both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            success: self.success || other.success,
            failure: self.failure || other.failure,
            delay: self.delay || other.delay,
        }
    }

    /// Whether delivery is reported.
    #[must_use]
    pub const fn success(self) -> bool {
        self.success
    }

    /// Whether failure is reported.
    #[must_use]
    pub const fn failure(self) -> bool {
        self.failure
    }

    /// Whether delay is reported.
    #[must_use]
    pub const fn delay(self) -> bool {
        self.delay
    }

    /// Whether nothing is reported.
    #[must_use]
    pub const fn is_never(self) -> bool {
        !self.success && !self.failure && !self.delay
    }
}

/// Text in the encoding that parameters of commands have (RFC 3461 §4).
///
/// > `xtext = *( xchar / hexchar )`, `hexchar = "+" 2( upper case hexadecimal digit )`
///
/// What it encodes is printable ASCII; in an international mail it may also have characters outside
/// ASCII, as they are (RFC 6533 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Xtext<'a>(&'a str);

impl<'a> Xtext<'a> {
    /// Checks encoded text; constants are checked at compile time.
    ///
    /// # Errors
    /// [`ArgumentError::Empty`], [`ArgumentError::NotAscii`], [`ArgumentError::Malformed`].
    pub const fn new(encoded: &'a str) -> Result<Self, ArgumentError> {
        if encoded.is_ascii() { Self::international(encoded) } else { Err(ArgumentError::NotAscii) }
    }

    /// Checks encoded text that may have characters outside ASCII.
    ///
    /// # Errors
    /// [`ArgumentError::Empty`], [`ArgumentError::Malformed`].
    pub const fn international(encoded: &'a str) -> Result<Self, ArgumentError> {
        let mut rest = encoded.as_bytes();
        if rest.is_empty() {
            return Err(ArgumentError::Empty);
        }
        while let [octet, tail @ ..] = rest {
            rest = match (octet, tail) {
                (b'+', [high, low, after @ ..]) => match decoded(*high, *low) {
                    Some(b' '..=b'~' | b'\t') => after,
                    _ => return Err(ArgumentError::Malformed),
                },
                (b'+' | b'=', _) => return Err(ArgumentError::Malformed),
                (b'!'..=b'~' | 0x80.., _) => tail,
                _ => return Err(ArgumentError::Malformed),
            };
        }
        Ok(Self(encoded))
    }

    /// The text as it is encoded, which is how it is passed on.
    #[must_use]
    pub const fn as_str(&self) -> &'a str {
        self.0
    }

    /// The octets that it encodes.
    pub fn octets(&self) -> impl Iterator<Item = u8> + use<'a> {
        let mut rest = self.0.as_bytes();
        core::iter::from_fn(move || {
            let (octet, tail) = match rest {
                [b'+', high, low, tail @ ..] => (decoded(*high, *low)?, tail),
                [octet, tail @ ..] => (*octet, tail),
                [] => return None,
            };
            rest = tail;
            Some(octet)
        })
    }
}

const fn decoded(high: u8, low: u8) -> Option<u8> {
    match (digit(high), digit(low)) {
        (Some(high), Some(low)) => Some((high << 4) | low),
        _ => None,
    }
}

const fn digit(octet: u8) -> Option<u8> {
    match octet {
        b'0'..=b'9' => Some(octet & 0xf),
        b'A'..=b'F' => Some((octet & 0xf).wrapping_add(9)),
        _ => None,
    }
}

/// The address that the first sender used for a recipient: `ORCPT` (RFC 3461 §4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct OriginalRecipient<'a> {
    address_type: &'a str,
    address: Xtext<'a>,
}

impl<'a> OriginalRecipient<'a> {
    /// An address of this kind, `rfc822` for those of mail.
    ///
    /// # Errors
    /// [`ArgumentError::Malformed`] if the kind is no atom.
    pub const fn new(address_type: &'a str, address: Xtext<'a>) -> Result<Self, ArgumentError> {
        if is_atom(address_type.as_bytes()) {
            Ok(Self { address_type, address })
        } else {
            Err(ArgumentError::Malformed)
        }
    }

    /// The kind of address, in any case.
    #[must_use]
    pub const fn address_type(&self) -> &'a str {
        self.address_type
    }

    /// The address; it need not be of the form of its kind.
    #[must_use]
    pub const fn address(&self) -> Xtext<'a> {
        self.address
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_is_none_of_them() {
        let both = Notify::SUCCESS.and(Notify::DELAY);
        assert!(Notify::NEVER.is_never() && !both.is_never());
        assert_eq!(Notify::NEVER.and(both), both);
        assert_eq!((both.success(), both.failure(), both.delay()), (true, false, true));
        assert!(Notify::FAILURE.failure() && !Notify::FAILURE.success());
    }

    #[test]
    fn xtext() {
        const CONSTANT: Result<Xtext<'_>, ArgumentError> = Xtext::new("QQ314159");
        assert!(CONSTANT.is_ok());
        for (encoded, text) in [
            ("a@b.example", "a@b.example"),
            ("+2B+3D+20", "+= "),
            ("a+2Bb", "a+b"),
            ("+5Cx{FC}", "\\x{FC}"),
        ] {
            let xtext = Xtext::new(encoded).expect("valid");
            assert!(xtext.octets().eq(text.bytes()), "{encoded}");
            assert_eq!(xtext.as_str(), encoded);
        }
        for bad in
            ["+", "+2", "+2b", "+GG", "a=b", "a b", "a+", "\t", "+0A", "+0D", "+00", "+7F", "+80"]
        {
            assert_eq!(Xtext::new(bad), Err(ArgumentError::Malformed), "{bad:?}");
        }
        assert_eq!(Xtext::new(""), Err(ArgumentError::Empty));
        assert_eq!(Xtext::new("ü"), Err(ArgumentError::NotAscii));
        assert!(Xtext::international("ü").expect("valid").octets().eq("ü".bytes()));
    }

    #[test]
    fn an_address_has_a_kind() {
        let address = Xtext::new("a+2Bb@c").expect("valid");
        let original = OriginalRecipient::new("rfc822", address).expect("valid");
        assert_eq!((original.address_type(), original.address()), ("rfc822", address));
        for bad in ["", "a b", "a.b", "a;b", "ü"] {
            let refused = OriginalRecipient::new(bad, address);
            assert_eq!(refused, Err(ArgumentError::Malformed), "{bad:?}");
        }
    }
}
