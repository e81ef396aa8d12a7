//! The source of a message's bytes.

use core::fmt;

use super::Message;
use super::message::{Composer, Progress};
use crate::conceal::conceal;

/// The number of bytes that are read from a file at a time.
const PIECE: usize = 64;

/// The error of a [`Source`] that cannot continue. The mail is given up, and the server discards it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Unreadable;

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot be read")
    }
}

impl core::error::Error for Unreadable {}

/// The bytes of a message, in pieces of any size.
///
/// A byte slice (`&[u8]`) is a source of a complete message with header and CRLFs, without dot-stuffing.
/// [`Composed`] turns a [`Message`] into a source.
pub trait Source {
    /// Writes the next bytes to `buffer`, which is never empty, and returns how many; 0 means the end.
    ///
    /// # Errors
    /// [`Unreadable`]. The source is not read again then.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Unreadable>;
}

impl<S: Source + ?Sized> Source for &mut S {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Unreadable> {
        (**self).read(buffer)
    }
}

impl Source for &[u8] {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Unreadable> {
        #[cfg(feature = "memchr")]
        if let Some((front, rest)) = self.split_at_checked(buffer.len().min(self.len()))
            && let Some((room, _)) = buffer.split_at_mut_checked(front.len())
        {
            room.copy_from_slice(front);
            *self = rest;
            return Ok(front.len());
        }
        let mut read = 0;
        for ((place, octet), n) in buffer.iter_mut().zip(*self).zip(1..) {
            *place = *octet;
            read = n;
        }
        *self = self.get(read..).unwrap_or_default();
        Ok(read)
    }
}

/// The files of a [`Message`].
///
/// A function is one: it takes the index of a file, as [`Progress::Attachment`] has it, and a buffer for the
/// file's next bytes. It returns how many it wrote; 0 means the end of the file.
pub trait Files {
    /// Writes the next bytes of the file to `buffer`, which is never empty.
    ///
    /// # Errors
    /// [`Unreadable`]. The files are not read again then.
    fn read(&mut self, index: usize, buffer: &mut [u8]) -> Result<usize, Unreadable>;
}

impl<F: FnMut(usize, &mut [u8]) -> Result<usize, Unreadable>> Files for F {
    fn read(&mut self, index: usize, buffer: &mut [u8]) -> Result<usize, Unreadable> {
        self(index, buffer)
    }
}

/// No files. A message that has some cannot be read.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct NoFiles;

impl Files for NoFiles {
    fn read(&mut self, _: usize, _: &mut [u8]) -> Result<usize, Unreadable> {
        Err(Unreadable)
    }
}

/// A [`Message`] in its wire form, with its files.
///
/// ```
/// use starttls::mail::message::Mailbox;
/// use starttls::mail::source::{Composed, Source};
/// use starttls::mail::{Address, Message};
///
/// let to = [Mailbox::new(Address::new("you@example.org")?)];
/// let message = Message::new(to[0], &to).with_text("All is well.\n");
/// let mut buffer = [0; 256];
/// assert!(Composed::new(&message).read(&mut buffer).is_ok_and(|n| n > 0));
/// # Ok::<(), starttls::ArgumentError>(())
/// ```
pub struct Composed<'a, F = NoFiles> {
    composer: Composer<'a>,
    files: F,
    /// The index of the current file.
    index: Option<usize>,
    piece: [u8; PIECE],
    start: usize,
    end: usize,
}

conceal!("Composed", Composed<'_, F> [F]);

impl<'a> Composed<'a> {
    /// A message without files.
    #[must_use]
    pub const fn new(message: &'a Message<'a>) -> Self {
        Self::with_files(message, NoFiles)
    }
}

impl<'a, F> Composed<'a, F> {
    /// A message with files.
    #[must_use]
    pub const fn with_files(message: &'a Message<'a>, files: F) -> Self {
        let composer = message.compose();
        Self { composer, files, index: None, piece: [0; PIECE], start: 0, end: 0 }
    }
}

impl<F: Files> Source for Composed<'_, F> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Unreadable> {
        loop {
            let Some(index) = self.index else {
                match self.composer.step(buffer).map_err(|_| Unreadable)? {
                    Progress::Write(n) => return Ok(n),
                    Progress::Attachment(index) => self.index = Some(index),
                    Progress::Done => return Ok(0),
                }
                continue;
            };
            if self.start == self.end {
                (self.start, self.end) = (0, self.files.read(index, &mut self.piece)?.min(PIECE));
                if self.end == 0 {
                    self.index = None;
                    self.composer.end_attachment().map_err(|_| Unreadable)?;
                    continue;
                }
            }
            let mut rest = self.piece.get(self.start..self.end).unwrap_or_default();
            let written = self.composer.attach(&mut rest, buffer).map_err(|_| Unreadable)?;
            self.start = self.end.saturating_sub(rest.len());
            if written > 0 {
                return Ok(written);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::mail::Address;
    use crate::mail::message::{Attachment, Mailbox};

    use super::*;

    /// A single file.
    fn one<'f>(
        mut file: &'f [u8],
    ) -> impl FnMut(usize, &mut [u8]) -> Result<usize, Unreadable> + 'f {
        move |index, buffer| match index {
            0 => Source::read(&mut file, buffer),
            _ => Err(Unreadable),
        }
    }

    fn all(mut source: impl Source, room: usize) -> Result<heapless::Vec<u8, 1024>, Unreadable> {
        let mut octets = heapless::Vec::new();
        let mut buffer = [0; 256];
        loop {
            match source.read(&mut buffer[..room])? {
                0 => return Ok(octets),
                n => octets.extend_from_slice(&buffer[..n]).expect("room"),
            }
        }
    }

    #[test]
    fn pieces_of_any_size() {
        let you = Address::new("you@example.org").expect("an address");
        let (to, file) = ([Mailbox::new(you)], [0xff; 200]);
        let files = [Attachment::new("image/jpeg", "gate.jpg").expect("a file")];
        let message = Message::new(to[0], &to).with_text("a\n").with_attachments(&files);
        let whole = all(Composed::with_files(&message, one(&file)), 256).expect("readable");
        let size = message.with_attachments(&[files[0].with_size(200)]).size();
        assert_eq!(Some(whole.len()), size);
        for room in 1..=80 {
            let pieces = all(Composed::with_files(&message, one(&file)), room);
            assert_eq!(pieces.as_deref(), Ok(&whole[..]));
            assert_eq!(all(&whole[..], room).as_deref(), Ok(&whole[..]));
        }
    }

    #[test]
    fn a_missing_file_is_an_error() {
        let you = Address::new("you@example.org").expect("an address");
        let to = [Mailbox::new(you)];
        let files = [Attachment::new("a/b", "a").expect("a file"); 2];
        let message = Message::new(to[0], &to).with_attachments(&files);
        assert_eq!(all(Composed::new(&message), 99), Err(Unreadable));
        let only = Composed::with_files(&message, one(b"only one"));
        assert_eq!(all(only, 99), Err(Unreadable));
        let none = message.with_attachments(&[]);
        assert!(all(Composed::new(&none), 99).is_ok());
    }
}
