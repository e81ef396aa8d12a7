//! Namespaces in XML 1.0 (third edition): what prefixes stand for.

use super::xml::{Attributes, declares, end, name, same, split};
use super::{MAX_DEPTH, MAX_PREFIX, MAX_PREFIXES};

/// A namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
const XML: &[u8] = b"http://www.w3.org/XML/1998/namespace";
const XMLNS: &[u8] = b"http://www.w3.org/2000/xmlns/";

/// Namespaces by their names.
pub(super) type Names = [(&'static [u8], Namespace)];

/// A prefix, or no prefix, in a number: its octets.
type Prefix = u64;

fn prefix(octets: &[u8]) -> Option<Prefix> {
    (octets.len() <= MAX_PREFIX)
        .then(|| octets.iter().fold(0, |prefix, octet| (prefix << 8) | Prefix::from(*octet)))
}

/// What the stream's header declares.
#[derive(Debug, Default)]
pub(super) struct Header {
    /// The prefix of the header itself.
    own: Prefix,
    declared: [(Prefix, Namespace); MAX_PREFIXES],
    count: usize,
}

impl Header {
    /// Keeps what the header's tag declares. There may be too much of it.
    pub(super) fn keep(
        &mut self,
        tag: &[u8],
        mut attributes: Attributes<'_>,
        names: &Names,
    ) -> Option<()> {
        self.own = prefix(split(tag).0)?;
        while let Some((name, value)) = attributes.take() {
            if let Some(declared) = declares(name) {
                *self.declared.get_mut(self.count)? = (prefix(declared)?, look_up(names, value));
                self.count = self.count.wrapping_add(1);
            }
        }
        Some(())
    }

    /// Whether an end tag is the stream's.
    pub(super) fn is_ended_by(&self, tag: &[u8]) -> bool {
        let (found, local) = split(tag);
        prefix(found) == Some(self.own) && same(local, b"stream")
    }

    /// What a prefix stands for.
    pub(super) fn resolve(&self, octets: &[u8]) -> Option<Namespace> {
        let wanted = prefix(octets)?;
        let declared = self.declared.get(..self.count)?;
        match declared.iter().find(|(prefix, _)| *prefix == wanted) {
            Some((_, namespace)) => Some(*namespace),
            None => (wanted == 0 || same(octets, b"xml")).then_some(Namespace::Other),
        }
    }
}

fn look_up(names: &Names, name: &[u8]) -> Namespace {
    names.iter().find(|(known, _)| same(known, name)).map(|(_, known)| *known).unwrap_or_default()
}

/// The elements that are open within a frame, outermost first.
pub(super) struct Open<'x> {
    frame: &'x [u8],
    names: &'static Names,
    /// Where their names begin.
    starts: [u16; MAX_DEPTH],
    pub(super) depth: usize,
}

impl<'x> Open<'x> {
    pub(super) const fn new(frame: &'x [u8], names: &'static Names) -> Self {
        Self { frame, names, starts: [0; MAX_DEPTH], depth: 0 }
    }

    /// Takes the start tag of an element behind its `<`, and opens it unless it is empty: what its name
    /// stands for, and the part of it without the prefix.
    pub(super) fn open(
        &mut self,
        header: &Header,
        rest: &mut &'x [u8],
    ) -> Option<(Namespace, &'x [u8])> {
        let start = self.frame.len().checked_sub(rest.len())?;
        *self.starts.get_mut(self.depth)? = u16::try_from(start).ok()?;
        self.depth = self.depth.wrapping_add(1);
        let (tag, local) = split(name(rest)?);
        let mut all = Attributes(rest);
        let mut attributes = all;
        attributes.take_all()?;
        *rest = attributes.0;
        while let Some((name, value)) = all.take() {
            match declares(name) {
                Some(prefix) if !may_declare(prefix, value) => return None,
                Some(_) => {}
                None => {
                    self.resolve(header, split(name).0)?;
                }
            }
        }
        let namespace = self.resolve(header, tag)?;
        if end(rest)? {
            self.depth = self.depth.wrapping_sub(1);
        }
        Some((namespace, local))
    }

    /// Closes the innermost element, which has to be of this name.
    pub(super) fn close(&mut self, wanted: &[u8]) -> Option<()> {
        self.depth = self.depth.checked_sub(1)?;
        same(name(&mut self.tag(self.depth)?)?, wanted).then_some(())
    }

    /// The outermost element's name and attributes.
    pub(super) fn first(&self) -> Option<(&'x [u8], Attributes<'x>)> {
        let mut tag = self.tag(0)?;
        Some((name(&mut tag)?, Attributes(tag)))
    }

    fn tag(&self, depth: usize) -> Option<&'x [u8]> {
        self.frame.get(usize::from(*self.starts.get(depth)?)..)
    }

    fn resolve(&self, header: &Header, prefix: &[u8]) -> Option<Namespace> {
        for depth in (0..self.depth).rev() {
            let mut tag = self.tag(depth)?;
            name(&mut tag)?;
            let mut attributes = Attributes(tag);
            while let Some((name, value)) = attributes.take() {
                if declares(name).is_some_and(|declared| same(declared, prefix)) {
                    return Some(look_up(self.names, value));
                }
            }
        }
        header.resolve(prefix)
    }
}

/// A name of a namespace has no references here, so that it is what it looks like. The prefix `xml` and
/// `xmlns` are nobody's to declare.
fn may_declare(prefix: &[u8], value: &[u8]) -> bool {
    let is_reserved = [(prefix, &b"xml"[..]), (prefix, b"xmlns"), (value, XML), (value, XMLNS)];
    !is_reserved.iter().any(|(one, other)| same(one, other))
        && value.iter().all(|octet| *octet != b'&')
        && (prefix.is_empty() || !value.is_empty())
}
