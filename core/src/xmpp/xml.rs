//! Tags, attributes and text of XML 1.0 (fifth edition), of which names are ASCII.

/// Whether both are the same; with a call in place of each comparison firmware is smaller.
#[inline(never)]
pub(super) fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| one == other)
}

/// `QName ::= (NCName ':')? NCName` (Namespaces in XML §4): what stands in front of the colon and what
/// behind it, which is nothing where there is none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Name<'x> {
    pub(super) first: &'x [u8],
    pub(super) second: &'x [u8],
}

impl<'x> Name<'x> {
    /// An element's prefix, and its name without it.
    pub(super) const fn split(self) -> (&'x [u8], &'x [u8]) {
        if self.second.is_empty() { (b"", self.first) } else { (self.first, self.second) }
    }

    #[inline(never)]
    pub(super) fn is(&self, other: &Name<'_>) -> bool {
        same(self.first, other.first) && same(self.second, other.second)
    }
}

/// What octets have in common that are taken at once.
#[derive(Clone, Copy)]
enum Run {
    Blanks,
    NameChars,
    /// All but this one.
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

/// Takes this octet; says whether it was next.
#[inline(never)]
fn octet(rest: &mut &[u8], wanted: u8) -> bool {
    match *rest {
        [octet, behind @ ..] if *octet == wanted => {
            *rest = behind;
            true
        }
        _ => false,
    }
}

/// What is left of a frame, in which there are no control characters but blanks.
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

    /// Takes blanks; says whether there were any.
    pub(super) fn blanks(&mut self) -> bool {
        !take(&mut self.rest, Run::Blanks).is_empty()
    }

    /// Takes this octet; says whether it was next.
    pub(super) fn octet(&mut self, wanted: u8) -> bool {
        octet(&mut self.rest, wanted)
    }

    /// `NCName`, of which the first octet is no digit, dot or hyphen.
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

    /// Takes an attribute behind a blank: its name, and its value. What is none stays.
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

    /// Takes the end of a tag, which for an empty element has a slash in it; says which it is.
    #[inline(never)]
    pub(super) fn end(&mut self) -> Option<bool> {
        self.blanks();
        let is_empty = self.octet(b'/');
        self.octet(b'>').then_some(is_empty)
    }

    /// Takes an end tag behind its `</`.
    pub(super) fn end_tag(&mut self) -> Option<()> {
        self.name()?;
        (!self.end()?).then_some(())
    }

    /// Takes the text in front of the next markup.
    pub(super) fn text(&mut self) -> Option<()> {
        is_text(take(&mut self.rest, Run::Until(b'<'))).then_some(())
    }
}

/// The value of the attribute of this name among those that are next.
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

/// The value of an attribute of the tag that begins with this name.
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

/// Whether all references are to one of the five characters whose names need no declaration.
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
