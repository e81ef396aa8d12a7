//! A stream's frames, and Namespaces in XML 1.0 (third edition): what prefixes stand for in them.

use super::xml::{Name, Scanner, is_text, same, tag_value, value};
use super::{MAX_ATTRIBUTES, MAX_DEPTH, MAX_PREFIX, MAX_PREFIXES};
use crate::conceal::conceal;

/// What a frame is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Frame {
    /// A child of the stream that means nothing here.
    #[default]
    Other,
    Features,
    Error,
    StartTls,
    Proceed,
    Failure,
    /// A child that proves who somebody is.
    Login,
    Blank,
    /// The XML declaration.
    Declaration,
    /// That of an encoding that is not UTF-8.
    OtherEncoding,
    /// The stream begins.
    Stream,
    /// A stream begins that is none of XMPP's, or of another kind.
    OtherStream,
    /// An end tag: the stream ends.
    End,
}

const ELEMENTS: [(Namespace, &[u8], Frame); 6] = [
    (Namespace::Streams, b"stream", Frame::Stream),
    (Namespace::Streams, b"features", Frame::Features),
    (Namespace::Streams, b"error", Frame::Error),
    (Namespace::Tls, b"starttls", Frame::StartTls),
    (Namespace::Tls, b"proceed", Frame::Proceed),
    (Namespace::Tls, b"failure", Frame::Failure),
];

impl Frame {
    fn of(namespace: Namespace, local: &[u8]) -> Self {
        if namespace == Namespace::Login {
            return Self::Login;
        }
        let known =
            |(of, name, _): &&(Namespace, &[u8], Self)| *of == namespace && same(name, local);
        ELEMENTS.iter().find(known).map(|(_, _, frame)| *frame).unwrap_or_default()
    }

    const fn bit(self) -> u16 {
        1 << self as u8
    }
}

/// Reads one side of a stream.
pub(super) struct Reader {
    pub(super) header: Header,
    pub(super) names: Names,
    /// Whether the stream is.
    pub(super) open: bool,
    /// What is in the last child of the stream, a bit for each kind.
    inner: u16,
}

conceal!("Reader", Reader);

impl Reader {
    pub(super) fn new(names: Names) -> Self {
        Self { header: Header::default(), names, open: false, inner: 0 }
    }

    /// Whether there is nothing in the last child of the stream.
    pub(super) const fn is_empty(&self) -> bool {
        self.inner & !Frame::End.bit() == 0
    }

    /// Whether one of these is a child of it.
    pub(super) const fn has(&self, wanted: Frame) -> bool {
        self.inner & wanted.bit() != 0
    }

    /// What a frame is; nothing where it is not well-formed.
    pub(super) fn read(&mut self, frame: &[u8]) -> Option<Frame> {
        match frame.get(1) {
            None => Some(Frame::Blank),
            Some(b'?') => declaration(frame),
            Some(_) => self.element(frame),
        }
    }

    /// The header's tag, a child from its start to its end, or the stream's end tag.
    #[inline(never)]
    fn element(&mut self, frame: &[u8]) -> Option<Frame> {
        self.inner = 0;
        let mut outer = Frame::Other;
        let mut open = Open::new(frame, self);
        while !open.scanner.rest.is_empty() {
            let depth = open.depth;
            let found = if !open.scanner.octet(b'<') {
                open.scanner.text()?;
                Frame::Other
            } else if open.scanner.octet(b'/') {
                open.close()?
            } else {
                open.open()?
            };
            match depth {
                0 => outer = found,
                1 => open.reader.inner |= found.bit(),
                _ => {}
            }
        }
        let depth = open.depth;
        let is_stream = outer == Frame::Stream;
        match (self.open, depth) {
            (true, 0) if !is_stream => Some(outer),
            (false, 1) => {
                self.open = true;
                let is_content = self.header.resolve(b"") == Some(Namespace::Content);
                Some(if is_stream && is_content { Frame::Stream } else { Frame::OtherStream })
            }
            _ => None,
        }
    }
}

/// `<?xml version='1.0' encoding='UTF-8'?>`, in either quotes, of which only the version has to be there.
fn declaration(frame: &[u8]) -> Option<Frame> {
    let (start, rest) = frame.split_at_checked(19)?;
    if !same(start, b"<?xml version='1.0'") && !same(start, b"<?xml version=\"1.0\"") {
        return None;
    }
    let mut scanner = Scanner::new(rest);
    let mut frame = Frame::Declaration;
    if let Some(encoding) = scanner.attribute() {
        if !scanner.name.is(&Name { first: b"encoding", second: b"" }) {
            return None;
        }
        if !same(encoding, b"UTF-8") && !same(encoding, b"utf-8") {
            frame = Frame::OtherEncoding;
        }
    }
    scanner.blanks();
    same(scanner.rest, b"?>").then_some(frame)
}

/// A namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) enum Namespace {
    /// One that means nothing here, or none.
    #[default]
    Other,
    Streams,
    Tls,
    /// That of the stanzas.
    Content,
    /// One of what proves who somebody is.
    Login,
}

pub(super) const STREAMS: &[u8] = b"http://etherx.jabber.org/streams";
pub(super) const TLS: &[u8] = b"urn:ietf:params:xml:ns:xmpp-tls";

const XML: &[u8] = b"xml";
const XMLNS: &[u8] = b"xmlns";

/// What the name of a namespace means.
pub(super) type Names = fn(&[u8]) -> Namespace;

/// A prefix, with zeros behind it.
type Prefix = [u8; MAX_PREFIX];

/// What the stream's header declares.
#[derive(Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct Header([Option<(Prefix, Namespace)>; MAX_PREFIXES]);

impl Header {
    fn keep(&mut self, prefix: &[u8], namespace: Namespace) -> Option<()> {
        if prefix.len() > MAX_PREFIX {
            return None;
        }
        let place = self.0.iter_mut().find(|place| place.is_none())?;
        let (kept, _) = place.insert((Prefix::default(), namespace));
        for (place, octet) in kept.iter_mut().zip(prefix) {
            *place = *octet;
        }
        Some(())
    }

    /// What a prefix, or none, stands for.
    #[inline(never)]
    pub(super) fn resolve(&self, wanted: &[u8]) -> Option<Namespace> {
        let mut declared = self.0.iter().flatten();
        match declared.find(|(prefix, _)| same(unpadded(prefix), wanted)) {
            Some((_, namespace)) => Some(*namespace),
            None => wanted.is_empty().then_some(Namespace::Other),
        }
    }
}

fn unpadded(prefix: &Prefix) -> &[u8] {
    prefix.split(|octet| *octet == 0).next().unwrap_or_default()
}

/// Finds a name in a table.
pub(super) fn look_up(names: &[(&[u8], Namespace)], name: &[u8]) -> Namespace {
    names.iter().find(|(known, _)| same(known, name)).map(|(_, known)| *known).unwrap_or_default()
}

/// The elements that are open within a frame, outermost first.
pub(super) struct Open<'x, 'r> {
    frame: &'x [u8],
    pub(super) scanner: Scanner<'x>,
    pub(super) reader: &'r mut Reader,
    /// Where their names begin.
    starts: [usize; MAX_DEPTH],
    pub(super) depth: usize,
}

impl<'x, 'r> Open<'x, 'r> {
    pub(super) const fn new(frame: &'x [u8], reader: &'r mut Reader) -> Self {
        Self { frame, scanner: Scanner::new(frame), reader, starts: [0; MAX_DEPTH], depth: 0 }
    }

    /// Takes the start tag of an element behind its `<`, and opens it unless it is empty; says what it is.
    /// What a stream's header declares is kept.
    #[inline(never)]
    pub(super) fn open(&mut self) -> Option<Frame> {
        *self.starts.get_mut(self.depth)? = self.frame.len().wrapping_sub(self.scanner.rest.len());
        self.depth = self.depth.wrapping_add(1);
        self.scanner.name()?;
        let name = self.scanner.name;
        let mut count = 0_usize;
        while let Some(value) = self.scanner.attribute() {
            count = count.wrapping_add(1);
            self.check(value)?;
            if count > MAX_ATTRIBUTES {
                return None;
            }
        }
        let frame = self.is(&name);
        if self.scanner.end()? {
            self.depth = self.depth.wrapping_sub(1);
        }
        frame
    }

    /// Checks the attribute that was taken last.
    fn check(&mut self, text: &[u8]) -> Option<()> {
        let Name { first, second } = self.scanner.name;
        if value(self.scanner.rest, &self.scanner.name).is_some() || !is_text(text) {
            return None;
        }
        if same(first, XMLNS) {
            // What begins with `xml` is reserved, and a prefix stands for something.
            if second.get(..3).is_some_and(|start| same(start, XML))
                || text.is_empty() && !second.is_empty()
            {
                return None;
            }
            if !self.reader.open {
                let namespace = (self.reader.names)(text);
                self.reader.header.keep(second, namespace)?;
            }
        } else if !second.is_empty() && !same(first, XML) {
            self.resolve(first)?;
        }
        Some(())
    }

    /// Takes an end tag behind its `</`, which has to be that of the innermost element, or the stream's.
    pub(super) fn close(&mut self) -> Option<Frame> {
        self.scanner.end_tag()?;
        let is_fine = if let Some(depth) = self.depth.checked_sub(1) {
            self.depth = depth;
            let mut tag = Scanner::new(self.tag(depth)?);
            tag.name()?;
            tag.name.is(&self.scanner.name)
        } else {
            self.is(&self.scanner.name)? == Frame::Stream
        };
        is_fine.then_some(Frame::End)
    }

    /// What the innermost element is, which has this name.
    #[inline(never)]
    fn is(&self, name: &Name<'_>) -> Option<Frame> {
        let (prefix, local) = name.split();
        Some(Frame::of(self.resolve(prefix)?, local))
    }

    fn tag(&self, depth: usize) -> Option<&'x [u8]> {
        self.frame.get(*self.starts.get(depth)?..)
    }

    /// What a prefix, or none, stands for in the innermost element.
    #[inline(never)]
    fn resolve(&self, prefix: &[u8]) -> Option<Namespace> {
        let wanted = Name { first: XMLNS, second: prefix };
        for depth in (0..self.depth).rev() {
            if let Some(value) = tag_value(self.tag(depth)?, &wanted) {
                return Some((self.reader.names)(value));
            }
        }
        self.reader.header.resolve(prefix)
    }
}
