//! Delivery status notifications (RFC 3461): what a sender asks of reports about its mail.

#[cfg(feature = "extensions")]
mod request;

#[cfg(feature = "extensions")]
pub use request::{Recipient, Request};

use super::address::is_atom;
use crate::ArgumentError;
use crate::wire::same;

/// How much of the message a failure report returns: `RET` (RFC 3461 §4.3).
///
/// The enum is exhaustive: the standard has these two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Return {
    /// The whole message.
    Full,
    /// The header.
    Headers,
}

/// The reports that a sender wants for a recipient: `NOTIFY` (RFC 3461 §4.1).
///
/// It is a set of three; the empty set is [`NEVER`](Self::NEVER). Without a `NOTIFY`, failures are
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
    pub(super) success: bool,
    pub(super) failure: bool,
    pub(super) delay: bool,
}

impl Notify {
    /// No report.
    pub const NEVER: Self = Self { success: false, failure: false, delay: false };
    /// A report on successful delivery.
    pub const SUCCESS: Self = Self { success: true, ..Self::NEVER };
    /// A report on failed delivery.
    pub const FAILURE: Self = Self { failure: true, ..Self::NEVER };
    /// A report on delayed delivery.
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

    /// Whether successful delivery is reported.
    #[must_use]
    pub const fn success(self) -> bool {
        self.success
    }

    /// Whether failed delivery is reported.
    #[must_use]
    pub const fn failure(self) -> bool {
        self.failure
    }

    /// Whether delayed delivery is reported.
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

/// A text in the encoding of command parameters (RFC 3461 §4).
///
/// > `xtext = *( xchar / hexchar )`, `hexchar = "+" 2( upper case hexadecimal digit )`
///
/// It encodes printable ASCII. In an international mail it may also have unencoded characters outside ASCII
/// (RFC 6533 §3).
///
/// ```
/// use starttls::mail::dsn::Xtext;
///
/// assert!(Xtext::new("a+2Bb@example.org")?.octets().eq(*b"a+b@example.org"));
/// # Ok::<(), starttls::ArgumentError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Xtext<'a>(pub(super) &'a str);

impl<'a> Xtext<'a> {
    /// Checks an encoded text. In a constant, the check happens at compile time.
    ///
    /// # Errors
    /// [`ArgumentError::Empty`], [`ArgumentError::NotAscii`], [`ArgumentError::Malformed`].
    pub const fn new(encoded: &'a str) -> Result<Self, ArgumentError> {
        if encoded.is_ascii() { Self::international(encoded) } else { Err(ArgumentError::NotAscii) }
    }

    /// Checks an encoded text that may have characters outside ASCII.
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

    /// The encoded text, as it is passed on.
    #[must_use]
    pub const fn as_str(&self) -> &'a str {
        self.0
    }

    /// The bytes that it encodes.
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
///
/// ```
/// use starttls::mail::dsn::{OriginalRecipient, Xtext};
///
/// let original = OriginalRecipient::new("rfc822", Xtext::new("you@example.org")?)?;
/// assert_eq!(original.address_type(), "rfc822");
/// # Ok::<(), starttls::ArgumentError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct OriginalRecipient<'a> {
    pub(super) address_type: &'a str,
    pub(super) address: Xtext<'a>,
}

impl<'a> OriginalRecipient<'a> {
    /// An address of this type; mail addresses have the type `rfc822`.
    ///
    /// # Errors
    /// [`ArgumentError::Malformed`] if the type is not an atom. [`ArgumentError::NotAscii`] if the address
    /// is not ASCII and the type is not `utf-8` (RFC 6533 §3).
    pub const fn new(address_type: &'a str, address: Xtext<'a>) -> Result<Self, ArgumentError> {
        if !address.as_str().is_ascii() && !same(address_type.as_bytes(), b"utf-8") {
            return Err(ArgumentError::NotAscii);
        }
        if is_atom(address_type.as_bytes()) {
            Ok(Self { address_type, address })
        } else {
            Err(ArgumentError::Malformed)
        }
    }

    /// The type of the address, in any case.
    #[must_use]
    pub const fn address_type(&self) -> &'a str {
        self.address_type
    }

    /// The address. It is not checked against its type.
    #[must_use]
    pub const fn address(&self) -> Xtext<'a> {
        self.address
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_is_the_empty_set() {
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
    fn an_address_has_a_type() {
        let address = Xtext::new("a+2Bb@c").expect("valid");
        let original = OriginalRecipient::new("rfc822", address).expect("valid");
        assert_eq!((original.address_type(), original.address()), ("rfc822", address));
        let address = Xtext::international("\u{fc}").expect("valid");
        assert!(OriginalRecipient::new("UTF-8", address).is_ok());
        let refused = OriginalRecipient::new("rfc822", address);
        assert_eq!(refused, Err(ArgumentError::NotAscii));
        let address = Xtext::new("a+2Bb@c").expect("valid");
        for bad in ["", "a b", "a.b", "a;b", "ü"] {
            let refused = OriginalRecipient::new(bad, address);
            assert_eq!(refused, Err(ArgumentError::Malformed), "{bad:?}");
        }
    }
}
