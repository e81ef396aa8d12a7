mod literal;
#[cfg(feature = "alloc")]
mod owned;

use self::literal::address_literal;
#[cfg(feature = "alloc")]
pub use self::owned::AddressBuf;
use super::limits::MAX_PATH;
use crate::ArgumentError;
use crate::smtp::MAX_DOMAIN;
use crate::wire::PREFER_SPEED;

/// A mailbox, `local-part@domain`, of at most 254 bytes (RFC 5321 §4.5.3.1.3).
///
/// The local part may exceed the 64 bytes that every server accepts (§4.5.3.1.1), as those of bounce
/// addresses and forwarders do.
///
/// ```
/// use starttls::{ArgumentError, mail::Address};
///
/// assert_eq!(Address::new("me@example.org")?.as_str(), "me@example.org");
/// assert_eq!(Address::new("me@example.org>\r\nDATA"), Err(ArgumentError::Forbidden));
/// # Ok::<(), ArgumentError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Address<'a>(&'a str);

impl<'a> Address<'a> {
    /// Checks an address against the grammar of RFC 5321 §4.1.2. In a constant, the check happens at
    /// compile time.
    ///
    /// # Errors
    /// The reason why the address is invalid. [`ArgumentError::NotAscii`] if it needs
    /// [`international`](Self::international).
    pub const fn new(address: &'a str) -> Result<Self, ArgumentError> {
        if address.is_ascii() { Self::international(address) } else { Err(ArgumentError::NotAscii) }
    }

    /// Checks an address that may have characters outside ASCII on both sides of its `@` (RFC 6531 §3.3). A
    /// mail with such an address needs a server that offers `SMTPUTF8`.
    ///
    /// # Errors
    /// The reason why the address is invalid. The limits count bytes of UTF-8.
    pub const fn international(address: &'a str) -> Result<Self, ArgumentError> {
        if address.is_empty() {
            return Err(ArgumentError::Empty);
        }
        let mut rest = address.as_bytes();
        while let [octet, tail @ ..] = rest {
            match octet {
                0..=31 | 0x7f => return Err(ArgumentError::Forbidden),
                _ => rest = tail,
            }
        }
        let Some(at) = local_part(address.as_bytes()) else {
            return Err(ArgumentError::Malformed);
        };
        match host_of(at) {
            Some([]) if address.len() > MAX_PATH - 2 => Err(ArgumentError::TooLong),
            Some([]) => Ok(Self(address)),
            _ => Err(ArgumentError::Malformed),
        }
    }

    /// The address, without angle brackets.
    #[must_use]
    pub const fn as_str(&self) -> &'a str {
        self.0
    }

    /// Whether the address has characters outside ASCII.
    #[must_use]
    pub const fn is_international(&self) -> bool {
        !self.0.is_ascii()
    }
}

/// `Path = "<" [ A-d-l ":" ] Mailbox ">"`, without its route (RFC 5321 §4.1.1.3), or the null path, or
/// `<Postmaster>`. Returns the mailbox and the bytes after the path.
///
/// The mailbox has no ASCII control characters, since its grammar has none. Its length is not checked, nor
/// whether its bytes above 127 are UTF-8.
pub(super) fn path(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let [b'<', path @ ..] = input else { return None };
    let (path, end) = match path {
        [b'@', ..] => {
            let path = route(path)?;
            (path, mailbox(path)?)
        }
        _ => match (mailbox(path), path.split_at_checked(b"postmaster".len())) {
            (Some(end), _) => (path, end),
            (None, Some((name, end))) if name.eq_ignore_ascii_case(b"postmaster") => (path, end),
            (None, _) => (path, path),
        },
    };
    let [b'>', rest @ ..] = end else { return None };
    Some((path.get(..path.len().saturating_sub(end.len()))?, rest))
}

/// Skips `A-d-l = At-domain *( "," At-domain )`, and its colon. Servers ignore routes, so ASCII is enough.
fn route(mut input: &[u8]) -> Option<&[u8]> {
    loop {
        let [b'@', hop @ ..] = input else { return None };
        let rest = domain(hop)?;
        if !hop.get(..hop.len().saturating_sub(rest.len()))?.is_ascii() {
            return None;
        }
        input = match rest {
            [b',', rest @ ..] => rest,
            [b':', rest @ ..] => return Some(rest),
            _ => return None,
        };
    }
}

/// `Mailbox = Local-part "@" ( Domain / address-literal )`.
const fn mailbox(input: &[u8]) -> Option<&[u8]> {
    match local_part(input) {
        Some(at) => host_of(at),
        None => None,
    }
}

/// `Local-part = Dot-string / Quoted-string`.
const fn local_part(input: &[u8]) -> Option<&[u8]> {
    match input {
        [b'"', rest @ ..] => quoted_string(rest),
        _ => dotted(input, Word::Atom),
    }
}

/// Whether a name is `Domain / address-literal`, in ASCII.
pub(super) const fn is_host(name: &[u8]) -> bool {
    let rest = match name {
        [b'[', rest @ ..] => address_literal(rest),
        _ => domain(name),
    };
    matches!(rest, Some([])) && name.is_ascii()
}

/// `"@" ( Domain / address-literal )`.
const fn host_of(at: &[u8]) -> Option<&[u8]> {
    match at {
        [b'@', b'[', rest @ ..] => address_literal(rest),
        [b'@', rest @ ..] => domain(rest),
        _ => None,
    }
}

/// `*( qtextSMTP / quoted-pairSMTP ) DQUOTE`, with the bytes of `UTF8-non-ascii` as qtext.
const fn quoted_string(mut rest: &[u8]) -> Option<&[u8]> {
    loop {
        rest = match rest {
            [b'"', tail @ ..] => return Some(tail),
            [b'\\', 32..=126, tail @ ..] => tail,
            [b'\\', ..] => return None,
            [32..=126 | 128.., tail @ ..] => tail,
            _ => return None,
        };
    }
}

/// `Domain = sub-domain *("." sub-domain)`. Underscores are allowed, since existing names have them.
const fn domain(input: &[u8]) -> Option<&[u8]> {
    match dotted(input, Word::Label) {
        Some(rest) if input.len().saturating_sub(rest.len()) <= MAX_DOMAIN => Some(rest),
        _ => None,
    }
}

/// `Atom = 1*atext`, in ASCII only.
pub(super) const fn is_atom(text: &[u8]) -> bool {
    let mut rest = text;
    while let [octet, tail @ ..] = rest {
        if !octet.is_ascii() || !Word::Atom.has(*octet) {
            return false;
        }
        rest = tail;
    }
    !text.is_empty()
}

/// A kind of word between dots.
#[derive(Clone, Copy)]
enum Word {
    Atom,
    Label,
}

impl Word {
    /// The bytes that belong to it.
    const ALL: [Set; 2] = [Set::of(Self::Atom), Set::of(Self::Label)];

    /// Bytes of `UTF8-non-ascii` belong to both kinds (RFC 6531 §3.3). Callers that need ASCII check it
    /// themselves.
    const fn has(self, octet: u8) -> bool {
        octet.is_ascii_alphanumeric()
            || !octet.is_ascii()
            || match self {
                Self::Label => matches!(octet, b'-' | b'_'),
                Self::Atom => matches!(
                    octet,
                    b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'/' | b'=' | b'?' | b'^'..=b'`' | b'{'..=b'~'
                ),
            }
    }

    /// The same by a set of bits: fewer instructions, more code.
    const fn holds(self, octet: u8) -> bool {
        let [atom, label] = Self::ALL;
        let set = match self {
            Self::Atom => atom,
            Self::Label => label,
        };
        let half = if octet & 64 == 0 { set.low } else { set.high };
        !octet.is_ascii() || half.wrapping_shr(octet as u32) & 1 != 0
    }
}

/// A set of ASCII bytes: a bit for each below 64, and for each from there on.
#[derive(Clone, Copy)]
struct Set {
    low: u64,
    high: u64,
}

impl Set {
    const fn of(word: Word) -> Self {
        let mut set = Self { low: 0, high: 0 };
        let mut octet: u8 = 0;
        while octet < 64 {
            set.low |= (word.has(octet) as u64).wrapping_shl(octet as u32);
            set.high |= (word.has(octet | 64) as u64).wrapping_shl(octet as u32);
            octet = octet.wrapping_add(1);
        }
        set
    }
}

/// `word *("." word)`, with nonempty words. A label neither begins nor ends with a hyphen.
const fn dotted(mut rest: &[u8], word: Word) -> Option<&[u8]> {
    loop {
        let (before, mut last) = (rest.len(), b'-');
        let hyphen = matches!((word, rest), (Word::Label, [b'-', ..]));
        while let [octet, tail @ ..] = rest
            && if PREFER_SPEED { word.holds(*octet) } else { word.has(*octet) }
        {
            (rest, last) = (tail, *octet);
        }
        match rest {
            _ if rest.len() == before || hyphen => return None,
            _ if matches!(word, Word::Label) && last == b'-' => return None,
            [b'.', tail @ ..] => rest = tail,
            _ => return Some(rest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for good in [
            "a@b",
            "first.last+tag@mail.example.org",
            "\"a b>\\\"\"@example.org",
            "postmaster@[192.0.2.1]",
            "x@[IPv6:2001:db8::1]",
            "a@under_score.example",
            "a@_x-y_.example",
            "-a-@b--c.example",
        ] {
            assert!(Address::new(good).is_ok(), "{good}");
        }
        for (bad, error) in [
            ("", ArgumentError::Empty),
            ("a", ArgumentError::Malformed),
            ("@b", ArgumentError::Malformed),
            ("a@", ArgumentError::Malformed),
            ("a@b>", ArgumentError::Malformed),
            ("a@-b", ArgumentError::Malformed),
            ("a@[]", ArgumentError::Malformed),
            ("a@b-", ArgumentError::Malformed),
            ("a@-", ArgumentError::Malformed),
            ("a@b-.c", ArgumentError::Malformed),
            ("a@b.-c", ArgumentError::Malformed),
            ("a b@c", ArgumentError::Malformed),
            ("a..b@c", ArgumentError::Malformed),
            ("<a@b>", ArgumentError::Malformed),
            ("a@b\r\nRCPT TO:<c@d>", ArgumentError::Forbidden),
            ("\"a\r\nRCPT TO:<c@d>\"@b", ArgumentError::Forbidden),
            ("\"a\\\r\"@b", ArgumentError::Forbidden),
            ("\"a\\\n\"@b", ArgumentError::Forbidden),
            ("a@[b\r\nc]", ArgumentError::Forbidden),
            ("a@b\0", ArgumentError::Forbidden),
            ("ä@b", ArgumentError::NotAscii),
        ] {
            assert_eq!(Address::new(bad), Err(error), "{bad:?}");
        }
    }

    #[test]
    fn international_addresses() {
        // The low bytes of the last characters are CR, LF and NUL, but their bytes in UTF-8 are not.
        for good in [
            "a@b",
            "ä@ö.example",
            "\"ü ü\"@例え.jp",
            "用户@[192.0.2.1]",
            "\"\u{760d}\u{760a}\"@\u{7600}",
        ] {
            let address = Address::international(good).expect("valid");
            assert_eq!(address.is_international(), Address::new(good).is_err(), "{good}");
        }
        for (bad, error) in [
            ("", ArgumentError::Empty),
            ("ä", ArgumentError::Malformed),
            ("ä ä@b", ArgumentError::Malformed),
            ("ä@b\n", ArgumentError::Forbidden),
            ("\"ä\r\n\"@b", ArgumentError::Forbidden),
        ] {
            assert_eq!(Address::international(bad), Err(error), "{bad:?}");
        }
    }

    #[test]
    fn atoms() {
        const CONSTANT: Result<Address<'_>, ArgumentError> = Address::new("a@b");
        assert!(CONSTANT.is_ok());
        for octet in 0..=u8::MAX {
            let expected = octet.is_ascii_alphanumeric()
                || octet >= 0x80
                || b"!#$%&'*+-/=?^_`{|}~".contains(&octet);
            assert_eq!(Word::Atom.has(octet), expected, "{octet}");
            assert_eq!(Word::Atom.holds(octet), expected, "{octet}");
            assert_eq!(Word::Label.holds(octet), Word::Label.has(octet), "{octet}");
        }
    }

    #[test]
    fn only_the_path_has_a_limit() {
        let mut text = heapless::String::<255>::new();
        while text.len() < MAX_PATH - 2 - "é@b".len() {
            text.push('a').expect("room");
        }
        text.push_str("é@b").expect("room");
        assert!(Address::international(&text).is_ok());
        text.push('b').expect("room");
        assert_eq!(Address::international(&text), Err(ArgumentError::TooLong));
    }

    #[test]
    fn paths() {
        for (input, expected) in [
            (&b"<a@b> SIZE=1"[..], (&b"a@b"[..], &b" SIZE=1"[..])),
            (b"<>", (b"", b"")),
            (b"<PostMaster>", (b"PostMaster", b"")),
            (b"<PostMaster@b>", (b"PostMaster@b", b"")),
            (b"<@one,@two:a@b>", (b"a@b", b"")),
        ] {
            assert_eq!(path(input), Some(expected));
        }
        for bad in [
            &b"a@b"[..],
            b"<a@b",
            b"<a>",
            b"<@one:>",
            b"<@one:postmaster>",
            b"<@one@two:a@b>",
            b"<@one,a@b>",
            b"<postmasters>",
            b"<postmaster",
            b"< a@b>",
            b"<@\xff\xfe:a@b>",
            "<@\u{e4}:a@b>".as_bytes(),
            b"<@one,@\xff:a@b>",
        ] {
            assert!(path(bad).is_none(), "{bad:?}");
        }
    }
}
