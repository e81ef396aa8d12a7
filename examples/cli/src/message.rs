//! A message to send, of any size: its header is in memory, and its body stays in its file.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, ErrorKind, Read, Seek as _};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::SystemTime;

use tempfile::{SpooledData, SpooledTempFile};
use tokio::io::{AsyncRead, ReadBuf};

use crate::header::content;

/// Up to this size, in bytes, a message that does not come from a file is kept in memory.
const IN_MEMORY: usize = 256 * 1024;

/// How many bytes are read at once.
const PIECE: usize = 16 * 1024;

/// Bytes that can be read more than once, in memory or in a file.
#[derive(Debug)]
pub(crate) enum Source {
    Memory(Vec<u8>),
    File(File),
}

impl Source {
    /// A file on disk, which is not copied, or the content of a pipe or a device.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        if file.metadata()?.is_file() { Ok(Self::File(file)) } else { Self::copy(file) }
    }

    /// A copy of what can be read only once: a small one in memory, and any other in a temporary file.
    pub(crate) fn copy(mut from: impl Read) -> io::Result<Self> {
        let mut copy = SpooledTempFile::new(IN_MEMORY);
        io::copy(&mut from, &mut copy)?;
        copy.rewind()?;
        Ok(match copy.into_inner() {
            SpooledData::InMemory(octets) => Self::Memory(octets.into_inner()),
            SpooledData::OnDisk(file) => Self::File(file),
        })
    }

    /// The size in bytes.
    pub(crate) fn size(&self) -> io::Result<usize> {
        match self {
            Self::Memory(octets) => Ok(octets.len()),
            Self::File(file) => usize::try_from(file.metadata()?.len()).map_err(io::Error::other),
        }
    }

    /// A reader from where the file is.
    pub(crate) fn reader(&self) -> Box<dyn Read + '_> {
        match self {
            Self::Memory(octets) => Box::new(&octets[..]),
            Self::File(file) => Box::new(file),
        }
    }

    /// All bytes, in memory.
    pub(crate) fn into_bytes(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Memory(octets) => Ok(octets),
            Self::File(mut file) => {
                let mut octets = Vec::new();
                file.rewind()?;
                file.read_to_end(&mut octets)?;
                Ok(octets)
            }
        }
    }
}

/// A message, and what its server has to know in advance.
#[derive(Debug, Default)]
pub(crate) struct Message {
    /// The header, or the whole message.
    head: Vec<u8>,
    /// The rest of it.
    body: Option<Body>,
    /// The size in bytes when each line ends with CRLF.
    pub(crate) size: usize,
    /// Whether all bytes are ASCII.
    pub(crate) is_ascii: bool,
    /// Whether no line has any content.
    pub(crate) is_empty: bool,
}

/// The part of a file from a place to its end.
#[derive(Debug)]
struct Body {
    file: File,
    start: u64,
    /// The state of the file when it was first read.
    seen: Seen,
}

/// The properties of a file that show whether it was written since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    length: u64,
    modified: Option<SystemTime>,
}

impl Seen {
    fn of(file: &File) -> io::Result<Self> {
        let metadata: fs::Metadata = file.metadata()?;
        Ok(Self { length: metadata.len(), modified: metadata.modified().ok() })
    }
}

impl Message {
    /// Reads a message once. `edit` gets the bytes up to the end of the header, or all, and may remove some.
    pub(crate) fn read(source: Source, edit: impl FnOnce(&mut Vec<u8>)) -> io::Result<Self> {
        let (mut head, body) = match source {
            Source::Memory(octets) => (octets, None),
            Source::File(mut file) => {
                // Before the first byte, so that no change goes unnoticed.
                let seen = Seen::of(&file)?;
                file.rewind()?;
                let (mut reader, mut head) = (BufReader::new(&file), Vec::new());
                loop {
                    let start = head.len();
                    reader.read_until(b'\n', &mut head)?;
                    if content(&head[start..]).is_empty() {
                        break;
                    }
                }
                let start = head.len() as u64;
                (head, Some(Body { file, start, seen }))
            }
        };
        edit(&mut head);
        let mut message = Self { head, body, ..Self::default() };
        message.measure()?;
        Ok(message)
    }

    /// A reader from the start. It fails if the file has changed meanwhile: a part of another message would
    /// otherwise be sent as this one.
    pub(crate) fn reader(&self) -> Reader<'_> {
        let body = self.body.as_ref().map(|body| (body, body.start));
        Reader { head: &self.head, body }
    }

    /// The header, with its empty line, or more.
    pub(crate) fn head(&self) -> &[u8] {
        &self.head
    }

    /// All bytes, in memory.
    pub(crate) fn to_bytes(&self) -> io::Result<Vec<u8>> {
        let mut octets = Vec::new();
        self.reader().read_to_end(&mut octets)?;
        Ok(octets)
    }

    fn measure(&mut self) -> io::Result<()> {
        let mut measure = Measure { is_ascii: true, is_empty: true, ..Measure::default() };
        let mut reader = self.reader();
        let mut piece = vec![0; PIECE];
        loop {
            match reader.read(&mut piece)? {
                0 => break,
                n => measure.take(&piece[..n]),
            }
        }
        measure.end_line(0);
        (self.size, self.is_ascii, self.is_empty) =
            (measure.size, measure.is_ascii, measure.is_empty);
        Ok(())
    }
}

/// Counts the lines of a message, in pieces of any size.
#[derive(Default)]
struct Measure {
    size: usize,
    is_ascii: bool,
    is_empty: bool,
    /// The length of the unfinished line, and the number of CRs at its end.
    line: usize,
    returns: usize,
}

impl Measure {
    fn take(&mut self, octets: &[u8]) {
        self.is_ascii &= octets.is_ascii();
        for line in octets.split_inclusive(|octet| *octet == b'\n') {
            let text = line.strip_suffix(b"\n").unwrap_or(line);
            let returns = text.iter().rev().take_while(|octet| **octet == b'\r').count();
            self.returns = if returns == text.len() { self.returns + returns } else { returns };
            self.line += text.len();
            if text.len() < line.len() {
                self.line += 1;
                self.end_line(1 + self.returns.min(2));
            }
        }
    }

    /// The line ends with a line end of so many bytes.
    fn end_line(&mut self, end: usize) {
        if self.line > 0 {
            self.size += self.line - end + b"\r\n".len();
            self.is_empty &= self.line == end;
        }
        (self.line, self.returns) = (0, 0);
    }
}

/// Reads a message from its start to its end.
#[derive(Debug)]
pub(crate) struct Reader<'m> {
    head: &'m [u8],
    /// The body, and the place of its next byte in the file.
    body: Option<(&'m Body, u64)>,
}

impl Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.head.is_empty() || buffer.is_empty() {
            return self.head.read(buffer);
        }
        let Some((body, at)) = &mut self.body else { return Ok(0) };
        let left = usize::try_from(body.seen.length.saturating_sub(*at)).unwrap_or(usize::MAX);
        let room = left.min(buffer.len());
        let n = match room {
            0 => 0,
            room => read_at(&body.file, &mut buffer[..room], *at)?,
        };
        *at += n as u64;
        if n == 0 && (left > 0 || Seen::of(&body.file)? != body.seen) {
            let why = "the file was changed while it was read";
            return Err(io::Error::new(ErrorKind::InvalidData, why));
        }
        Ok(n)
    }
}

#[cfg(unix)]
fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, at)
}

#[cfg(not(unix))]
fn read_at(mut file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    file.seek(io::SeekFrom::Start(at))?;
    file.read(buffer)
}

/// A file is always ready.
impl AsyncRead for Reader<'_> {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let n = self.get_mut().read(buffer.initialize_unfilled())?;
        buffer.advance(n);
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn on_disk(text: &[u8]) -> File {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(text).expect("written");
        file
    }

    /// The size when each line ends with CRLF, whether all is ASCII, and whether nothing is there.
    fn measured(text: &[u8]) -> (usize, bool, bool) {
        let lines = || text.split_inclusive(|octet| *octet == b'\n').map(content);
        (lines().map(|line| line.len() + 2).sum(), text.is_ascii(), lines().all(<[u8]>::is_empty))
    }

    #[test]
    fn a_message_in_a_file_is_the_one_in_memory() {
        let long = b"A: b\n\n".iter().chain(&[b'x'; 3 * PIECE]).chain(b"\r\r\n.\r\n").copied();
        for text in [
            &b""[..],
            b"\n",
            b"\r\n\r\r\n",
            b"\r\r\r\n",
            b"\r",
            b"A: b",
            b"A: b\r\nC: d\r\n\r\nbody\r\nlast",
            b"A: b\n\n\xff\n\r",
            b"A: b\n\nx\r\r\r\n\r\n",
            &long.collect::<Vec<u8>>(),
        ] {
            let sources = [Source::Memory(text.to_vec()), Source::File(on_disk(text))];
            for source in sources {
                let message = Message::read(source, |_| {}).expect("readable");
                assert!(message.to_bytes().expect("readable") == text, "{}", text.escape_ascii());
                assert!(message.to_bytes().expect("readable") == text, "the second time");
                let facts = (message.size, message.is_ascii, message.is_empty);
                assert_eq!(facts, measured(text), "{}", text.escape_ascii());
            }
            // However the pieces are cut.
            for cut in 1..text.len().min(32) {
                let mut measure = Measure { is_ascii: true, is_empty: true, ..Measure::default() };
                text.chunks(cut).for_each(|piece| measure.take(piece));
                measure.end_line(0);
                assert_eq!((measure.size, measure.is_ascii, measure.is_empty), measured(text));
            }
        }
    }

    #[test]
    fn a_pipe_is_read_once() {
        for size in [0, 10, IN_MEMORY, IN_MEMORY + 1, 3 * IN_MEMORY] {
            let text = b"0123456789".repeat(size / 10 + 1);
            let source = Source::copy(&text[..size]).expect("copied");
            assert_eq!(matches!(source, Source::Memory(_)), size <= IN_MEMORY, "{size}");
            assert!(source.into_bytes().expect("readable") == text[..size]);
        }
    }

    #[test]
    fn a_file_that_changes_has_no_end() {
        let text = [&b"A: b\n\n"[..], &[b'x'; 100]].concat();
        let longer = |mut file: &File| file.write_all(b"more").expect("written");
        let shorter = |file: &File| file.set_len(50).expect("cut");
        let gone = |file: &File| file.set_len(0).expect("cut");
        for change in [&longer as &dyn Fn(&File), &shorter, &gone] {
            let file = on_disk(&text);
            let other = file.try_clone().expect("a file");
            let message = Message::read(Source::File(file), |_| {}).expect("readable");
            let mut reader = message.reader();
            reader.read_exact(&mut [0; 20]).expect("unchanged");
            change(&other);
            let error = io::copy(&mut reader, &mut io::sink()).expect_err("changed");
            assert_eq!(error.kind(), ErrorKind::InvalidData);
        }
    }

    #[test]
    fn only_the_header_can_be_edited() {
        let text = b"A: b\nBcc: c\n\nBcc: not a header\n";
        let edit = |head: &mut Vec<u8>| {
            assert_eq!(head, b"A: b\nBcc: c\n\n");
            head.drain(5..12);
        };
        let message = Message::read(Source::File(on_disk(text)), edit).expect("readable");
        assert_eq!(message.to_bytes().expect("readable"), b"A: b\n\nBcc: not a header\n");
        assert_eq!(message.head(), b"A: b\n\n");
    }
}
