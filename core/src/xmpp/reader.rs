use super::namespaces::{Header, Names, Namespace, Open};
use super::xml::{declaration, same};
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
    pub(super) fn of(namespace: Namespace, local: &[u8]) -> Self {
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
