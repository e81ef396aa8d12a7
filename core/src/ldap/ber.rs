use nom::bytes::streaming::take;
use nom::combinator::verify;
use nom::number::streaming::be_u8;
use nom::{Err, IResult, Parser};

use crate::wire::Octets;

pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const ENUMERATED: u8 = 0x0a;
pub(super) const SEQUENCE: u8 = 0x30;

/// Parses a tag and a length. The result is incomplete if bytes are missing.
///
/// Lengths are definite (RFC 4511 §5.1). They may take up to four bytes where fewer would do: Active
/// Directory encodes 40 as `84 00 00 00 28`. All tags of LDAP take one byte.
pub(super) fn head(input: Octets<'_>) -> IResult<Octets<'_>, (u8, usize), ()> {
    let (rest, tag) = verify(be_u8, |tag| tag & 0x1f != 0x1f).parse(input)?;
    let (rest, length) = be_u8(rest)?;
    match length {
        0..=0x7f => Ok((rest, (tag, usize::from(length)))),
        0x81..=0x84 => {
            let (rest, octets) = take(length & 0x7f)(rest)?;
            let more = |length: u32, octet: &u8| (length << 8) | u32::from(*octet);
            let length = usize::try_from(octets.0.iter().fold(0, more));
            Ok((rest, (tag, length.map_err(|_| Err::Error(()))?)))
        }
        // An indefinite length, or one beyond every limit.
        _ => Err(Err::Error(())),
    }
}

fn any<'i>(input: Octets<'i>) -> IResult<Octets<'i>, (u8, &'i [u8]), ()> {
    let (rest, (tag, length)) = head(input)?;
    let (rest, contents) = take(length)(rest)?;
    Ok((rest, (tag, contents.0)))
}

/// A sequence of elements.
pub(super) struct Elements<'m>(Octets<'m>);

impl<'m> Elements<'m> {
    pub(super) const fn new(octets: &'m [u8]) -> Self {
        Self(Octets(octets))
    }

    /// The tag and contents of the next element.
    pub(super) fn any(&mut self) -> Option<(u8, &'m [u8])> {
        let (rest, element) = any(self.0).ok()?;
        self.0 = rest;
        Some(element)
    }

    /// The contents of the next element, if it has this tag.
    pub(super) fn next(&mut self, tag: u8) -> Option<&'m [u8]> {
        let (rest, (found, contents)) = any(self.0).ok()?;
        (found == tag).then(|| {
            self.0 = rest;
            contents
        })
    }

    /// The contents of the next element, if it has this tag. All elements in it need the tag `inner`.
    pub(super) fn list(&mut self, tag: u8, inner: u8) -> Option<Option<&'m [u8]>> {
        let held = self.next(tag);
        let mut list = Self::new(held.unwrap_or_default());
        while list.end().is_none() {
            list.next(inner)?;
        }
        Some(held)
    }

    /// Checks that no element is left.
    pub(super) const fn end(&self) -> Option<()> {
        if self.0.0.is_empty() { Some(()) } else { None }
    }
}

/// Parses an INTEGER or ENUMERATED of at most four bytes, in its shortest form (X.690 §8.3.2).
pub(super) fn integer(octets: &[u8]) -> Option<i32> {
    match octets {
        [] | [0, 0..=0x7f, ..] | [0xff, 0x80..=0xff, ..] | [_, _, _, _, _, ..] => None,
        [first, ..] => {
            let sign = if *first < 0x80 { 0 } else { -1 };
            Some(octets.iter().fold(sign, |number, octet| (number << 8) | i32::from(*octet)))
        }
    }
}
