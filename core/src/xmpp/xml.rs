//! Tags, attributes and text of XML 1.0 (fifth edition), restricted to ASCII names.

/// Whether both are equal. One function for all comparisons makes firmware smaller.
#[inline(never)]
pub(super) fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| one == other)
}

/// A `QName ::= (NCName ':')? NCName` (Namespaces in XML §4): the part before the colon, and the part after
/// it, which is empty without a colon.
#[derive(Clone, Copy, Debug)]
pub(super) struct Name<'x> {
    pub(super) first: &'x [u8],
    pub(super) second: &'x [u8],
}

impl<'x> Name<'x> {
    /// An element's prefix and local name.
    pub(super) const fn split(self) -> (&'x [u8], &'x [u8]) {
        if self.second.is_empty() { (b"", self.first) } else { (self.first, self.second) }
    }

    #[inline(never)]
    pub(super) fn is(&self, other: &Name<'_>) -> bool {
        same(self.first, other.first) && same(self.second, other.second)
    }
}

/// A class of bytes that are taken together.
#[derive(Clone, Copy)]
enum Run {
    Blanks,
    NameChars,
    /// All bytes but this one.
    Until(u8),
}

#[inline(never)]
fn take<'x>(rest: &mut &'x [u8], run: Run) -> &'x [u8] {
    let goes_on = |octet: &u8| match run {
        Run::Blanks => *octet <= b' ',
        Run::NameChars => octet.is_ascii_alphanumeric() || matches!(octet, b'_' | b'-' | b'.'),
        Run::Until(end) => *octet != end,
    };
    let length = rest.iter().take_while(|octet| goes_on(octet)).count();
    rest.split_off(..length).unwrap_or_default()
}

/// Takes this byte if it is next, and returns whether it was.
#[inline(never)]
fn octet(rest: &mut &[u8], wanted: u8) -> bool {
    match *rest {
        [octet, after @ ..] if *octet == wanted => {
            *rest = after;
            true
        }
        _ => false,
    }
}

/// The rest of a frame. It has no control characters except blanks.
#[derive(Debug)]
pub(super) struct Scanner<'x> {
    pub(super) rest: &'x [u8],
    /// The name that was taken last.
    pub(super) name: Name<'x>,
}

impl<'x> Scanner<'x> {
    #[inline(never)]
    pub(super) const fn new(rest: &'x [u8]) -> Self {
        Self { rest, name: Name { first: b"", second: b"" } }
    }

    /// Takes blanks, and returns whether there were any.
    pub(super) fn blanks(&mut self) -> bool {
        !take(&mut self.rest, Run::Blanks).is_empty()
    }

    /// Takes this byte if it is next, and returns whether it was.
    pub(super) fn octet(&mut self, wanted: u8) -> bool {
        octet(&mut self.rest, wanted)
    }

    /// Takes an `NCName`. Its first byte is no digit, dot or hyphen.
    fn part(&mut self) -> Option<&'x [u8]> {
        let part = take(&mut self.rest, Run::NameChars);
        (*part.first()? > b'9').then_some(part)
    }

    /// Takes a name.
    #[inline(never)]
    pub(super) fn name(&mut self) -> Option<()> {
        self.name.first = self.part()?;
        self.name.second = if self.octet(b':') { self.part()? } else { b"" };
        Some(())
    }

    /// Takes an attribute after a blank: its name and its value. Takes nothing if there is none.
    #[inline(never)]
    pub(super) fn attribute(&mut self) -> Option<&'x [u8]> {
        let all = self.rest;
        let value = self.name_and_value();
        if value.is_none() {
            self.rest = all;
        }
        value
    }

    fn name_and_value(&mut self) -> Option<&'x [u8]> {
        if !self.blanks() {
            return None;
        }
        self.name()?;
        self.blanks();
        if !self.octet(b'=') {
            return None;
        }
        self.blanks();
        let quote = if self.octet(b'"') { b'"' } else { b'\'' };
        if quote == b'\'' && !self.octet(quote) {
            return None;
        }
        let value = take(&mut self.rest, Run::Until(quote));
        self.octet(quote).then_some(value)
    }

    /// Takes the end of a tag, and returns whether it ends an empty element.
    #[inline(never)]
    pub(super) fn end(&mut self) -> Option<bool> {
        self.blanks();
        let is_empty = self.octet(b'/');
        self.octet(b'>').then_some(is_empty)
    }

    /// Takes an end tag after its `</`.
    pub(super) fn end_tag(&mut self) -> Option<()> {
        self.name()?;
        (!self.end()?).then_some(())
    }

    /// Takes the text before the next markup.
    pub(super) fn text(&mut self) -> Option<()> {
        is_text(take(&mut self.rest, Run::Until(b'<'))).then_some(())
    }
}

/// The value of the attribute of this name, within a list of attributes.
#[inline(never)]
pub(super) fn value<'x>(attributes: &'x [u8], wanted: &Name<'_>) -> Option<&'x [u8]> {
    let mut scanner = Scanner::new(attributes);
    while let Some(value) = scanner.attribute() {
        if scanner.name.is(wanted) {
            return Some(value);
        }
    }
    None
}

/// The value of an attribute within a tag, which starts with its name.
#[inline(never)]
pub(super) fn tag_value<'x>(tag: &'x [u8], wanted: &Name<'_>) -> Option<&'x [u8]> {
    let mut scanner = Scanner::new(tag);
    scanner.name()?;
    value(scanner.rest, wanted)
}

/// The value of an attribute of a frame's first tag.
pub(super) fn attribute<'x>(frame: &'x [u8], name: &'static [u8]) -> Option<&'x [u8]> {
    tag_value(frame.get(1..)?, &Name { first: name, second: b"" })
}

/// Whether all references are to one of the five predefined entities.
#[inline(never)]
pub(super) fn is_text(mut text: &[u8]) -> bool {
    loop {
        take(&mut text, Run::Until(b'&'));
        if !octet(&mut text, b'&') {
            return true;
        }
        let name = take(&mut text, Run::Until(b';'));
        let is_known = matches!(name, b"lt" | b"gt" | b"amp" | b"apos" | b"quot");
        if !is_known || !octet(&mut text, b';') {
            return false;
        }
    }
}
