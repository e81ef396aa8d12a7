//! Tags, attributes and text of XML 1.0 (fifth edition), of which names are ASCII.

use super::MAX_ATTRIBUTES;

/// Whether both are the same; with a call in place of each comparison firmware is smaller.
#[inline(never)]
pub(super) fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| one == other)
}

/// Takes off the octets in front of the first for which `ends` says so.
fn until<'x>(input: &mut &'x [u8], ends: fn(u8) -> bool) -> &'x [u8] {
    let length = input.iter().position(|octet| ends(*octet)).unwrap_or(input.len());
    input.split_off(..length).unwrap_or_default()
}

/// Takes off blanks; says whether there were any.
fn blanks(input: &mut &[u8]) -> bool {
    !until(input, |octet| !matches!(octet, b' ' | b'\t' | b'\r' | b'\n')).is_empty()
}

/// Takes off this octet; says whether it was next.
fn octet(input: &mut &[u8], wanted: u8) -> bool {
    match input.split_first() {
        Some((found, rest)) if *found == wanted => {
            *input = rest;
            true
        }
        _ => false,
    }
}

/// Takes a name with a prefix or without: `QName ::= (NCName ':')? NCName` (Namespaces in XML §4).
pub(super) fn name<'x>(input: &mut &'x [u8]) -> Option<&'x [u8]> {
    let start = *input;
    loop {
        let part = until(input, |octet| {
            !octet.is_ascii_alphanumeric() && !matches!(octet, b'_' | b'-' | b'.')
        });
        if !matches!(part.first()?, b'A'..=b'Z' | b'a'..=b'z' | b'_') {
            return None;
        }
        let name = start.get(..start.len().saturating_sub(input.len()))?;
        if name.len() > part.len() || !octet(input, b':') {
            return Some(name);
        }
    }
}

/// What stands in front of the colon of a name, and what behind it.
pub(super) fn split(name: &[u8]) -> (&[u8], &[u8]) {
    let mut local = name;
    let prefix = until(&mut local, |octet| octet == b':');
    if octet(&mut local, b':') { (prefix, local) } else { (local, prefix) }
}

/// The prefix that an attribute of this name declares, empty for the default namespace.
pub(super) fn declares(name: &[u8]) -> Option<&[u8]> {
    let (word, prefix) = name.split_at_checked(5)?;
    match prefix {
        _ if !same(word, b"xmlns") => None,
        [] => Some(prefix),
        [b':', prefix @ ..] => Some(prefix),
        _ => None,
    }
}

/// Attributes, each behind a blank. What is no attribute ends them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attributes<'x>(pub(super) &'x [u8]);

impl<'x> Attributes<'x> {
    /// The value of the attribute of this name.
    pub(super) fn value(mut self, wanted: &[u8]) -> Option<&'x [u8]> {
        while let Some((name, value)) = self.take() {
            if same(name, wanted) {
                return Some(value);
            }
        }
        None
    }

    /// Takes the next one: its name and its value.
    pub(super) fn take(&mut self) -> Option<(&'x [u8], &'x [u8])> {
        let mut rest = self.0;
        if !blanks(&mut rest) {
            return None;
        }
        let name = name(&mut rest)?;
        blanks(&mut rest);
        let is = octet(&mut rest, b'=');
        blanks(&mut rest);
        let (quote, ends): (_, fn(u8) -> bool) = if octet(&mut rest, b'"') {
            (b'"', |octet| octet == b'"')
        } else if octet(&mut rest, b'\'') {
            (b'\'', |octet| octet == b'\'')
        } else {
            return None;
        };
        let value = until(&mut rest, ends);
        if !is || !octet(&mut rest, quote) {
            return None;
        }
        self.0 = rest;
        Some((name, value))
    }

    /// Takes all of them. No two have the same name behind their prefixes, unless one has no prefix.
    pub(super) fn take_all(&mut self) -> Option<()> {
        let all = *self;
        let mut count = 0_usize;
        while let Some((name, value)) = self.take() {
            let (prefix, local) = split(name);
            let mut before = all;
            for _ in 0..count {
                let (other_prefix, other) = split(before.take()?.0);
                if same(other, local) && other_prefix.is_empty() == prefix.is_empty() {
                    return None;
                }
            }
            count = count.wrapping_add(1);
            if count > MAX_ATTRIBUTES || !is_text(value) {
                return None;
            }
        }
        Some(())
    }
}

/// Takes the end of a tag, which for an empty element has a slash in it; says which it is.
pub(super) fn end(input: &mut &[u8]) -> Option<bool> {
    blanks(input);
    let is_empty = octet(input, b'/');
    octet(input, b'>').then_some(is_empty)
}

/// Takes an end tag behind its `</`.
pub(super) fn end_tag<'x>(input: &mut &'x [u8]) -> Option<&'x [u8]> {
    let name = name(input)?;
    (!end(input)?).then_some(name)
}

/// Takes the text in front of the next markup.
pub(super) fn text(input: &mut &[u8]) -> Option<()> {
    let text = until(input, |octet| octet == b'<');
    let ends_section = text.windows(3).any(|part| part == b"]]>");
    (is_text(text) && !ends_section).then_some(())
}

/// Whether all references are to characters, by number or by one of the five names that need no
/// declaration, and there is no `<`, U+FFFE and U+FFFF.
fn is_text(mut text: &[u8]) -> bool {
    loop {
        until(&mut text, |octet| matches!(octet, b'&' | b'<' | 0xef));
        let Some((first, rest)) = text.split_first() else { return true };
        text = rest;
        let is_fine = match first {
            b'&' => is_reference(until(&mut text, |octet| octet == b';')) && !text.is_empty(),
            0xef => !matches!(text, [0xbf, 0xbe | 0xbf, ..]),
            _ => false,
        };
        if !is_fine {
            return false;
        }
    }
}

fn is_reference(name: &[u8]) -> bool {
    const NAMES: [&[u8]; 5] = [b"lt", b"gt", b"amp", b"apos", b"quot"];
    let Some((b'#', digits)) = name.split_first() else {
        return NAMES.iter().any(|known| same(known, name));
    };
    let (base, digits) = match digits.split_first() {
        Some((b'x', digits)) => (16, digits),
        _ => (10, digits),
    };
    let mut number = 0_u32;
    for octet in digits {
        match char::from(*octet).to_digit(base) {
            Some(digit) if number < 0x11_0000 => {
                number = number.wrapping_mul(base).wrapping_add(digit);
            }
            _ => return false,
        }
    }
    // `Char`, of which none is U+0000: there is a digit.
    match number {
        0..=0x1f => matches!(number, 0x9 | 0xa | 0xd),
        _ => number & 0xffff_fffe != 0xfffe && char::from_u32(number).is_some(),
    }
}

/// `<?xml version='1.0' encoding='UTF-8' standalone='yes'?>`, of which only the version has to be
/// there; whether the encoding is UTF-8.
pub(super) fn declaration(frame: &[u8]) -> Option<bool> {
    const NAMES: [&[u8]; 3] = [b"version", b"encoding", b"standalone"];
    let (start, rest) = frame.split_at_checked(5)?;
    let mut rest = Attributes(rest);
    let mut values = [&b""[..]; 3];
    for (name, place) in NAMES.iter().zip(&mut values) {
        let mut behind = rest;
        if let Some((found, value)) = behind.take()
            && same(found, name)
        {
            *place = value;
            rest = behind;
        }
    }
    let [version, encoding, standalone] = values;
    blanks(&mut rest.0);
    let is_declaration = same(start, b"<?xml")
        && same(version, b"1.0")
        && (same(standalone, b"") || same(standalone, b"yes") || same(standalone, b"no"))
        && same(rest.0, b"?>");
    is_declaration.then(|| encoding.is_empty() || encoding.eq_ignore_ascii_case(b"UTF-8"))
}
