use super::namespaces::{Header, Names, Namespace, Open};
use super::xml::{Attributes, declaration, end_tag, same, text};

/// What a frame is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Frame<'f> {
    Blank,
    /// The XML declaration; whether the encoding is UTF-8.
    Declaration(bool),
    /// The stream begins: the attributes of its header, if it is one of XMPP's.
    Header(Option<Attributes<'f>>),
    /// A child of the stream.
    Child(Child),
    /// The stream ends.
    End,
}

/// What an element is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    #[default]
    Other,
    Stream,
    Features,
    Error,
    StartTls,
    Proceed,
    Failure,
    /// Something that proves who somebody is.
    Login,
}

const KINDS: [(Namespace, &[u8], Kind); 6] = [
    (Namespace::Streams, b"stream", Kind::Stream),
    (Namespace::Streams, b"features", Kind::Features),
    (Namespace::Streams, b"error", Kind::Error),
    (Namespace::Tls, b"starttls", Kind::StartTls),
    (Namespace::Tls, b"proceed", Kind::Proceed),
    (Namespace::Tls, b"failure", Kind::Failure),
];

impl Kind {
    fn of(namespace: Namespace, local: &[u8]) -> Self {
        if namespace == Namespace::Login {
            return Self::Login;
        }
        let known =
            |(of, name, _): &&(Namespace, &[u8], Self)| *of == namespace && same(name, local);
        KINDS.iter().find(known).map(|(_, _, kind)| *kind).unwrap_or_default()
    }
}

/// A child of the stream: what of it may mean something.
#[derive(Clone, Copy, Debug)]
pub(super) struct Child {
    pub(super) kind: Kind,
    /// Whether there is nothing in it.
    pub(super) is_empty: bool,
    /// Whether one of its own children is `<starttls/>`.
    pub(super) offers: bool,
    /// Whether one of them proves who somebody is.
    pub(super) is_login: bool,
}

/// Reads one side of a stream.
#[derive(Debug)]
pub(super) struct Reader {
    header: Header,
    names: &'static Names,
    open: bool,
}

impl Reader {
    pub(super) fn new(names: &'static Names) -> Self {
        Self { header: Header::default(), names, open: false }
    }

    /// What a frame is; nothing where it is not well-formed.
    pub(super) fn read<'f>(&mut self, frame: &'f [u8]) -> Option<Frame<'f>> {
        match frame {
            [b'<', b'?', ..] => declaration(frame).map(Frame::Declaration),
            [b'<', b'/', end @ ..] if self.open => {
                let mut end = end;
                let name = end_tag(&mut end)?;
                self.header.is_ended_by(name).then_some(Frame::End)
            }
            [b'<', ..] => self.element(frame),
            _ => Some(Frame::Blank),
        }
    }

    /// The header's tag, or a child from its start to its end.
    fn element<'f>(&mut self, frame: &'f [u8]) -> Option<Frame<'f>> {
        let mut child = Child { kind: Kind::Other, is_empty: true, offers: false, is_login: false };
        let mut open = Open::new(frame, self.names);
        let mut rest = frame;
        loop {
            match rest {
                [] => break,
                [b'<', b'/', end @ ..] => {
                    rest = end;
                    let name = end_tag(&mut rest)?;
                    open.close(name)?;
                }
                [b'<', start @ ..] => {
                    rest = start;
                    let depth = open.depth;
                    let (namespace, local) = open.open(&self.header, &mut rest)?;
                    let kind = Kind::of(namespace, local);
                    if depth == 0 {
                        child.kind = kind;
                    } else {
                        child.is_empty = false;
                    }
                    if depth == 1 {
                        child.offers |= kind == Kind::StartTls;
                        child.is_login |= kind == Kind::Login;
                    }
                }
                _ => {
                    text(&mut rest)?;
                    child.is_empty = false;
                }
            }
        }
        match (self.open, open.depth) {
            (true, 0) => return Some(Frame::Child(child)),
            (false, 1) => self.open = true,
            _ => return None,
        }
        let (name, attributes) = open.first()?;
        self.header.keep(name, attributes, self.names)?;
        let is_content = self.header.resolve(b"") == Some(Namespace::Content);
        let is_stream = is_content && child.kind == Kind::Stream;
        Some(Frame::Header(is_stream.then_some(attributes)))
    }
}
