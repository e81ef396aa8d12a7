use nom::branch::alt;
use nom::bytes::complete::{tag, take_while, take_while1};
use nom::combinator::{all_consuming, recognize};
use nom::multi::{fold_many0, many0_count};
use nom::sequence::{delimited, preceded, separated_pair};
use nom::{IResult, Parser};

use super::limits::{MAX_DOMAIN, MAX_LOCAL, MAX_PATH};
use crate::ArgumentError;
use crate::wire::Octets;

/// A mailbox: `local-part@domain`, at most 254 octets of ASCII.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Address<'a>(&'a str);

impl<'a> Address<'a> {
    /// Checks an address against the grammar of RFC 5321 §4.1.2.
    ///
    /// # Errors
    /// What is wrong with it; [`ArgumentError::NotAscii`] for an international one.
    pub fn new(address: &'a str) -> Result<Self, ArgumentError> {
        if address.is_empty() {
            return Err(ArgumentError::Empty);
        }
        if !address.is_ascii() {
            return Err(ArgumentError::NotAscii);
        }
        if address.bytes().any(|octet| octet.is_ascii_control()) {
            return Err(ArgumentError::Forbidden);
        }
        let local = match all_consuming(mailbox).parse(Octets(address.as_bytes())) {
            Ok((_, (local, _))) => local,
            Err(_) => return Err(ArgumentError::Malformed),
        };
        if local.0.len() > MAX_LOCAL || address.len() > MAX_PATH - 2 {
            return Err(ArgumentError::TooLong);
        }
        Ok(Self(address))
    }

    /// The address without angle brackets.
    #[must_use]
    pub const fn as_str(&self) -> &'a str {
        self.0
    }
}

/// Whom a mail is from and for. The names in the message itself play no part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Envelope<'a> {
    from: Option<Address<'a>>,
    to: &'a [Address<'a>],
}

impl<'a> Envelope<'a> {
    /// `from` is where failures are reported; `None` is the null path of such reports.
    ///
    /// # Errors
    /// [`ArgumentError::Empty`] without recipients, [`ArgumentError::TooLong`] for more than 65,535.
    pub const fn new(
        from: Option<Address<'a>>,
        to: &'a [Address<'a>],
    ) -> Result<Self, ArgumentError> {
        if to.is_empty() {
            return Err(ArgumentError::Empty);
        }
        if to.len() > u16::MAX as usize {
            return Err(ArgumentError::TooLong);
        }
        Ok(Self { from, to })
    }

    /// Where failures are reported.
    #[must_use]
    pub const fn from(&self) -> Option<Address<'a>> {
        self.from
    }

    /// The recipients; results refer to them by index.
    #[must_use]
    pub const fn to(&self) -> &'a [Address<'a>] {
        self.to
    }
}

/// `Mailbox = Local-part "@" ( Domain / address-literal )` as (local part, domain).
pub(super) fn mailbox(input: Octets<'_>) -> IResult<Octets<'_>, (Octets<'_>, Octets<'_>)> {
    separated_pair(alt((dot_string, quoted_string)), tag("@"), alt((address_literal, domain)))
        .parse(input)
}

/// `Path = "<" [ A-d-l ":" ] Mailbox ">"`, with the route dropped (RFC 5321 §4.1.1.3), the null
/// path and the bare `<Postmaster>`.
pub(super) fn path(input: Octets<'_>) -> IResult<Octets<'_>, Octets<'_>> {
    delimited(
        tag("<"),
        alt((
            preceded(route, recognize(mailbox)),
            recognize(mailbox),
            nom::bytes::complete::tag_no_case("postmaster"),
            tag(""),
        )),
        tag(">"),
    )
    .parse(input)
}

/// `A-d-l = At-domain *( "," At-domain )`, and its colon.
fn route(input: Octets<'_>) -> IResult<Octets<'_>, Octets<'_>> {
    let hop = || preceded(tag("@"), domain);
    recognize((hop(), many0_count(preceded(tag(","), hop())), tag(":"))).parse(input)
}

/// `Dot-string = Atom *("." Atom)`.
fn dot_string(input: Octets<'_>) -> IResult<Octets<'_>, Octets<'_>> {
    let atom = || take_while1(is_atext);
    recognize((atom(), many0_count((tag("."), atom())))).parse(input)
}

/// `Quoted-string = DQUOTE *( qtextSMTP / quoted-pairSMTP ) DQUOTE`.
fn quoted_string(input: Octets<'_>) -> IResult<Octets<'_>, Octets<'_>> {
    let text = take_while1(|octet| matches!(octet, 32..=126) && !matches!(octet, b'"' | b'\\'));
    let pair = preceded(tag("\\"), nom::bytes::complete::take(1_usize))
        .map_opt(|octet: Octets<'_>| matches!(octet.0, [32..=126]).then_some(octet));
    recognize((tag("\""), fold_many0(alt((text, pair)), || (), |(), _| ()), tag("\""))).parse(input)
}

/// `Domain = sub-domain *("." sub-domain)`, with the underscores that people use.
fn domain(input: Octets<'_>) -> IResult<Octets<'_>, Octets<'_>> {
    let label =
        || take_while1(|octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_'));
    recognize((label(), many0_count((tag("."), label()))))
        .map_opt(|name: Octets<'_>| (name.0.len() <= MAX_DOMAIN).then_some(name))
        .parse(input)
}

/// `address-literal = "[" … "]"`.
fn address_literal(input: Octets<'_>) -> IResult<Octets<'_>, Octets<'_>> {
    recognize((
        tag("["),
        take_while(|octet: u8| {
            octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b':' | b'-')
        }),
        tag("]"),
    ))
    .parse(input)
}

fn is_atext(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&octet)
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
