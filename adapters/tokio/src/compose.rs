use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use starttls::ArgumentError;
use starttls::mail::Message;
use starttls::mail::message::{Composer, Progress};
use tokio::io::{AsyncRead, ReadBuf};

use crate::Error;

/// How many bytes of a file are read at once.
const PIECE: usize = 16 * 1024;

/// A composed message that reads its files, for [`Mailer::send`](crate::Mailer::send) or any other
/// reader.
pub struct Composed<'a> {
    composer: Composer<'a>,
    files: Vec<Box<dyn AsyncRead + Send + Unpin + 'a>>,
    piece: Vec<u8>,
    start: usize,
}

impl<'a> Composed<'a> {
    /// Composes a message.
    ///
    /// `files` are the contents of the inline parts, of the [attachments](Message::attachments) and of the
    /// forwarded messages, in this order. Each is read to its end when the message reaches it.
    ///
    /// # Errors
    /// [`Error::Argument`] if the number of readers differs from [`Message::files`].
    pub fn new(
        message: &'a Message<'a>,
        files: Vec<Box<dyn AsyncRead + Send + Unpin + 'a>>,
    ) -> Result<Self, Error> {
        if files.len() != message.files() {
            return Err(Error::argument("the list of files")(ArgumentError::Malformed));
        }
        Ok(Self { composer: message.compose(), files, piece: Vec::new(), start: 0 })
    }

    /// Writes the next bytes of the message. 0 is its end.
    fn poll_compose(&mut self, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            let mut piece = &self.piece[self.start..];
            if !piece.is_empty() {
                let written = self.composer.attach(&mut piece, room);
                self.start = self.piece.len() - piece.len();
                match written.map_err(io::Error::other)? {
                    0 => continue,
                    n => return Poll::Ready(Ok(n)),
                }
            }
            match self.composer.step(room).map_err(io::Error::other)? {
                Progress::Write(n) => return Poll::Ready(Ok(n)),
                Progress::Attachment(index) => {
                    if !ready!(self.poll_fill(cx, index))? {
                        self.composer.end_attachment().map_err(io::Error::other)?;
                    }
                }
                Progress::Done => return Poll::Ready(Ok(0)),
            }
        }
    }

    /// Reads the next piece of a file. `false` at its end.
    fn poll_fill(&mut self, cx: &mut Context<'_>, index: usize) -> Poll<io::Result<bool>> {
        self.start = 0;
        self.piece.resize(PIECE, 0);
        let mut room = ReadBuf::new(&mut self.piece);
        let read = Pin::new(&mut self.files[index]).poll_read(cx, &mut room);
        let filled = room.filled().len();
        self.piece.truncate(filled);
        read.map_ok(|()| filled > 0)
    }
}

impl AsyncRead for Composed<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let written = ready!(self.poll_compose(cx, buffer.initialize_unfilled()))?;
        buffer.advance(written);
        Poll::Ready(Ok(()))
    }
}

impl fmt::Debug for Composed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Composed").field("composer", &self.composer).finish_non_exhaustive()
    }
}
