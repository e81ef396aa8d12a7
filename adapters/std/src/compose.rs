use std::fmt;
use std::io::{self, ErrorKind, Read};

use starttls::ArgumentError;
use starttls::mail::Message;
use starttls::mail::message::{Composer, Progress};

use crate::Error;

/// How many bytes of a file are read at once.
const PIECE: usize = 16 * 1024;

/// A composed message that reads its files, for [`Mailer::send`](crate::Mailer::send) or any other
/// reader.
///
/// ```no_run
/// use starttls::mail::Message;
/// use starttls_std::Composed;
/// # use std::error::Error;
/// fn read(message: &Message<'_>) -> Result<(), Box<dyn Error>> {
///     let files: Vec<Box<dyn std::io::Read>> = vec![Box::new(std::fs::File::open("report.pdf")?)];
///     std::io::copy(&mut Composed::new(message, files)?, &mut std::io::stdout())?;
///     Ok(())
/// }
/// ```
pub struct Composed<'a> {
    composer: Composer<'a>,
    files: Vec<Box<dyn Read + 'a>>,
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
    pub fn new(message: &'a Message<'a>, files: Vec<Box<dyn Read + 'a>>) -> Result<Self, Error> {
        if files.len() != message.files() {
            return Err(Error::argument("the list of files")(ArgumentError::Malformed));
        }
        Ok(Self { composer: message.compose(), files, piece: Vec::new(), start: 0 })
    }

    /// Reads the next piece of a file. `false` at its end.
    fn fill(&mut self, index: usize) -> io::Result<bool> {
        self.start = 0;
        self.piece.resize(PIECE, 0);
        let read = loop {
            match self.files[index].read(&mut self.piece) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        self.piece.truncate(*read.as_ref().unwrap_or(&0));
        Ok(read? > 0)
    }
}

impl Read for Composed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let mut piece = &self.piece[self.start..];
            if !piece.is_empty() {
                let written = self.composer.attach(&mut piece, buffer);
                self.start = self.piece.len() - piece.len();
                match written.map_err(io::Error::other)? {
                    0 => continue,
                    n => return Ok(n),
                }
            }
            match self.composer.step(buffer).map_err(io::Error::other)? {
                Progress::Write(n) => return Ok(n),
                Progress::Attachment(index) => {
                    if !self.fill(index)? {
                        self.composer.end_attachment().map_err(io::Error::other)?;
                    }
                }
                Progress::Done => return Ok(0),
            }
        }
    }
}

impl fmt::Debug for Composed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Composed").field("composer", &self.composer).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use starttls::mail::Address;
    use starttls::mail::message::Attachment;

    /// Alternates between one byte and an interruption.
    struct Slow<'a>(&'a [u8], bool);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 {
                return Err(ErrorKind::Interrupted.into());
            }
            let room = buffer.len().min(1);
            self.0.read(&mut buffer[..room])
        }
    }

    struct Broken;

    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(ErrorKind::PermissionDenied.into())
        }
    }

    #[test]
    fn attachments_are_read_from_their_readers() {
        let files = [Attachment::new("a/b", "c").expect("valid"); 2];
        let from = Address::new("a@b.example").expect("valid");
        let message = Message::new(from.into(), &[]).with_text("text").with_attachments(&files);
        let mut all = String::new();
        let readers: Vec<Box<dyn Read>> =
            vec![Box::new(Slow(b"slow", false)), Box::new(&[b'x'; 20_000][..])];
        let mut composed = Composed::new(&message, readers).expect("two");
        composed.read_to_string(&mut all).expect("composed");
        assert!(all.contains("\r\n\r\ntext\r\n\r\n--=_"));
        assert!(all.contains("\r\n\r\nc2xvdw==\r\n--=_"));
        assert_eq!(all.matches("eHh4").count(), 6666);
        assert!(all.ends_with("eHg=\r\n--=_m--\r\n"));
        assert_eq!(composed.read(&mut [0; 8]).expect("the end"), 0);

        assert!(Composed::new(&message, Vec::new()).is_err());
        let readers: Vec<Box<dyn Read>> = vec![Box::new(Broken), Box::new(Broken)];
        let error = Composed::new(&message, readers).expect("two").read_to_string(&mut all);
        assert_eq!(error.expect_err("not allowed").kind(), ErrorKind::PermissionDenied);
    }
}
