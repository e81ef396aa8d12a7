//! The frames of a stream, and its prefixes by Namespaces in XML 1.0 (third edition).

use super::xml::{Name, Scanner, is_text, same, tag_value, value};
use super::{MAX_ATTRIBUTES, MAX_DEPTH, MAX_PREFIX, MAX_PREFIXES};
use crate::conceal::conceal;

/// The kind of a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Frame {
    /// A child of the stream without meaning here.
    #[default]
    Other,
    Features,
    Error,
    StartTls,
    Proceed,
    Failure,
    /// A child that authenticates a user.
    Login,
    Blank,
    /// The XML declaration.
    Declaration,
    /// An XML declaration of another encoding than UTF-8.
    OtherEncoding,
    /// The start of a stream.
    Stream,
    /// The start of another stream than XMPP's, or of another kind.
    OtherStream,
    /// An end tag: the end of the stream.
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

/// Reads one direction of a stream.
pub(super) struct Reader {
    pub(super) header: Header,
    pub(super) names: Names,
    /// Whether the stream is open.
    pub(super) open: bool,
    /// The kinds of the elements in the last child of the stream, as bits.
    inner: u16,
}

conceal!("Reader", Reader);

impl Reader {
    pub(super) fn new(names: Names) -> Self {
        Self { header: Header::default(), names, open: false, inner: 0 }
    }

    /// Whether the last child of the stream is empty.
    pub(super) const fn is_empty(&self) -> bool {
        self.inner & !Frame::End.bit() == 0
    }

    /// Whether the last child of the stream has a child of this kind.
    pub(super) const fn has(&self, wanted: Frame) -> bool {
        self.inner & wanted.bit() != 0
    }

    /// The kind of a frame; `None` if it is malformed.
    pub(super) fn read(&mut self, frame: &[u8]) -> Option<Frame> {
        match frame.get(1) {
            None => Some(Frame::Blank),
            Some(b'?') => declaration(frame),
            Some(_) => self.element(frame),
        }
    }

    /// Reads the header's tag, a complete child, or the stream's end tag.
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

/// Reads `<?xml version='1.0' encoding='UTF-8'?>`, with either kind of quotes. The encoding is optional.
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
    /// A namespace without meaning here, or none.
    #[default]
    Other,
    Streams,
    Tls,
    /// The namespace of the stanzas.
    Content,
    /// A namespace for authentication.
    Login,
}

pub(super) const STREAMS: &[u8] = b"http://etherx.jabber.org/streams";
pub(super) const TLS: &[u8] = b"urn:ietf:params:xml:ns:xmpp-tls";

const XML: &[u8] = b"xml";
const XMLNS: &[u8] = b"xmlns";

/// Looks up the name of a namespace.
pub(super) type Names = fn(&[u8]) -> Namespace;

/// A prefix, padded with zeros.
type Prefix = [u8; MAX_PREFIX];

/// The namespaces that the stream's header declares.
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

    /// The namespace of a prefix; the empty prefix is the default namespace.
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

/// Looks up a name in a table.
pub(super) fn look_up(names: &[(&[u8], Namespace)], name: &[u8]) -> Namespace {
    names.iter().find(|(known, _)| same(known, name)).map(|(_, known)| *known).unwrap_or_default()
}

/// The open elements within a frame, outermost first.
pub(super) struct Open<'x, 'r> {
    frame: &'x [u8],
    pub(super) scanner: Scanner<'x>,
    pub(super) reader: &'r mut Reader,
    /// The positions of their names in the frame.
    starts: [usize; MAX_DEPTH],
    pub(super) depth: usize,
}

impl<'x, 'r> Open<'x, 'r> {
    pub(super) const fn new(frame: &'x [u8], reader: &'r mut Reader) -> Self {
        Self { frame, scanner: Scanner::new(frame), reader, starts: [0; MAX_DEPTH], depth: 0 }
    }

    /// Takes an element's start tag after its `<`, and opens the element unless it is empty. Returns its
    /// kind, and keeps the declarations of a stream's header.
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
            // Prefixes that begin with `xml` are reserved, and a prefix cannot stand for no namespace.
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

    /// Takes an end tag after its `</`. It has to match the innermost element, or the stream.
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

    /// The kind of the innermost element, which has this name.
    #[inline(never)]
    fn is(&self, name: &Name<'_>) -> Option<Frame> {
        let (prefix, local) = name.split();
        Some(Frame::of(self.resolve(prefix)?, local))
    }

    fn tag(&self, depth: usize) -> Option<&'x [u8]> {
        self.frame.get(*self.starts.get(depth)?..)
    }

    /// The namespace of a prefix in the innermost element; the empty prefix is the default namespace.
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
