use nom::branch::alt;
use nom::bytes::complete::{tag, tag_no_case};
use nom::combinator::recognize;
use nom::error::{Error as Expected, ErrorKind};
use nom::multi::many0_count;
use nom::sequence::{delimited, preceded};
use nom::{Err, IResult, Input as _, Parser};

use super::limits::{MAX_LOCAL, MAX_PATH};
use crate::ArgumentError;
use crate::smtp::MAX_DOMAIN;
use crate::wire::Octets;

/// A mailbox: `local-part@domain`, at most 254 octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Address<'a>(&'a str);

impl<'a> Address<'a> {
    /// Checks an address against the grammar of RFC 5321 §4.1.2; constants are checked at compile
    /// time.
    ///
    /// # Errors
    /// What is wrong with it; [`ArgumentError::NotAscii`] for one that needs
    /// [`international`](Self::international).
    pub const fn new(address: &'a str) -> Result<Self, ArgumentError> {
        if address.is_ascii() { Self::international(address) } else { Err(ArgumentError::NotAscii) }
    }

    /// Checks an address that may have characters outside ASCII on either side of its `@`
    /// (RFC 6531 §3.3). A mail with such an address needs a server that offers `SMTPUTF8`.
    ///
    /// # Errors
    /// What is wrong with it. The limits count octets of UTF-8.
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
        let local = address.len().saturating_sub(at.len());
        match host_of(at) {
            Some([]) if local > MAX_LOCAL || address.len() > MAX_PATH - 2 => {
                Err(ArgumentError::TooLong)
            }
            Some([]) => Ok(Self(address)),
            _ => Err(ArgumentError::Malformed),
        }
    }

    /// The address without angle brackets.
    #[must_use]
    pub const fn as_str(&self) -> &'a str {
        self.0
    }

    /// Whether it has characters outside ASCII.
    #[must_use]
    pub const fn is_international(&self) -> bool {
        !self.0.is_ascii()
    }
}

/// `Path = "<" [ A-d-l ":" ] Mailbox ">"`, with the route dropped (RFC 5321 §4.1.1.3), the null
/// path and the bare `<Postmaster>`.
pub(super) fn path(input: Octets<'_>) -> IResult<Octets<'_>, Octets<'_>> {
    delimited(
        tag("<"),
        alt((
            preceded(route, scanned(mailbox)),
            scanned(mailbox),
            tag_no_case("postmaster"),
            tag(""),
        )),
        tag(">"),
    )
    .parse(input)
}

/// `A-d-l = At-domain *( "," At-domain )`, and its colon.
fn route(input: Octets<'_>) -> IResult<Octets<'_>, Octets<'_>> {
    let hop = || preceded(tag("@"), scanned(domain));
    recognize((hop(), many0_count(preceded(tag(","), hop())), tag(":"))).parse(input)
}

/// A scanner, which says what is left of its input, as a parser.
fn scanned<'i>(
    scan: impl Fn(&'i [u8]) -> Option<&'i [u8]>,
) -> impl Fn(Octets<'i>) -> IResult<Octets<'i>, Octets<'i>> {
    move |input| match scan(input.0) {
        Some(rest) => Ok(input.take_split(input.0.len().saturating_sub(rest.len()))),
        None => Err(Err::Error(Expected::new(input, ErrorKind::Verify))),
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

/// `"@" ( Domain / address-literal )`.
const fn host_of(at: &[u8]) -> Option<&[u8]> {
    match at {
        [b'@', b'[', rest @ ..] => address_literal(rest),
        [b'@', rest @ ..] => domain(rest),
        _ => None,
    }
}

/// `*( qtextSMTP / quoted-pairSMTP ) DQUOTE`, with the octets of `UTF8-non-ascii` as qtext.
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

/// `Domain = sub-domain *("." sub-domain)`, with the underscores that people use.
const fn domain(input: &[u8]) -> Option<&[u8]> {
    match dotted(input, Word::Label) {
        Some(rest) if input.len().saturating_sub(rest.len()) <= MAX_DOMAIN => Some(rest),
        _ => None,
    }
}

/// `Atom = 1*atext`, of ASCII alone.
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

/// The rest of `address-literal = "[" … "]"`.
const fn address_literal(mut rest: &[u8]) -> Option<&[u8]> {
    loop {
        rest = match rest {
            [b']', tail @ ..] => return Some(tail),
            [octet, tail @ ..] if Word::Label.has(*octet) || matches!(octet, b'.' | b':') => tail,
            _ => return None,
        };
    }
}

/// What dots stand between.
#[derive(Clone, Copy)]
enum Word {
    Atom,
    Label,
}

impl Word {
    /// Octets of `UTF8-non-ascii` belong to both (RFC 6531 §3.3); who takes ASCII only says so.
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
}

/// `word *("." word)`, of words of one octet or more.
const fn dotted(mut rest: &[u8], word: Word) -> Option<&[u8]> {
    loop {
        let before = rest.len();
        while let [octet, tail @ ..] = rest
            && word.has(*octet)
        {
            rest = tail;
        }
        match rest {
            _ if rest.len() == before => return None,
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
        ] {
            assert!(Address::new(good).is_ok(), "{good}");
        }
        for (bad, error) in [
            ("", ArgumentError::Empty),
            ("a", ArgumentError::Malformed),
            ("@b", ArgumentError::Malformed),
            ("a@", ArgumentError::Malformed),
            ("a@b>", ArgumentError::Malformed),
            ("a b@c", ArgumentError::Malformed),
            ("a..b@c", ArgumentError::Malformed),
            ("<a@b>", ArgumentError::Malformed),
            ("a@b\r\nRCPT TO:<c@d>", ArgumentError::Forbidden),
            ("a@b\0", ArgumentError::Forbidden),
            ("ä@b", ArgumentError::NotAscii),
        ] {
            assert_eq!(Address::new(bad), Err(error), "{bad:?}");
        }
    }

    #[test]
    fn international_addresses() {
        for good in ["a@b", "ä@ö.example", "\"ü ü\"@例え.jp", "用户@[192.0.2.1]"] {
            let address = Address::international(good).expect("valid");
            assert_eq!(address.is_international(), Address::new(good).is_err(), "{good}");
        }
        for (bad, error) in [
            ("", ArgumentError::Empty),
            ("ä", ArgumentError::Malformed),
            ("ä ä@b", ArgumentError::Malformed),
            ("ä@b\n", ArgumentError::Forbidden),
        ] {
            assert_eq!(Address::international(bad), Err(error), "{bad:?}");
        }
        let mut long = heapless::String::<80>::new();
        while long.len() <= MAX_LOCAL {
            long.push('é').expect("80 octets are enough");
        }
        long.push_str("@b").expect("80 octets are enough");
        assert_eq!(Address::international(&long), Err(ArgumentError::TooLong));
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
        }
    }

    #[test]
    fn local_part_limit() {
        let text = [b'a'; MAX_LOCAL + 3];
        let mut text = text;
        text[MAX_LOCAL + 1] = b'@';
        let text = core::str::from_utf8(&text).expect("ASCII");
        assert_eq!(Address::new(text), Err(ArgumentError::TooLong));
        assert!(Address::new(&text[1..]).is_ok());
    }

    #[test]
    fn paths() {
        for (input, expected) in [
            (&b"<a@b> SIZE=1"[..], Ok((&b" SIZE=1"[..], &b"a@b"[..]))),
            (b"<>", Ok((b"", b""))),
            (b"<PostMaster>", Ok((b"", b"PostMaster"))),
            (b"<@one,@two:a@b>", Ok((b"", b"a@b"))),
        ] {
            let parsed = path(Octets(input)).map(|(rest, path)| (rest.0, path.0));
            assert_eq!(parsed, expected);
        }
        for bad in [&b"a@b"[..], b"<a@b", b"<a>", b"<@one:>", b"< a@b>"] {
            assert!(path(Octets(bad)).is_err(), "{bad:?}");
        }
    }
}
