use core::slice;

use super::sink::Sink;
use super::text::{self, Encoding};
use super::{Attachment, Mailbox, Message};
use crate::Error;
use crate::mail::base64;

/// The length of a base64 line in characters (RFC 2045 §6.8), and in the bytes that they encode.
pub(super) const BASE64_LINE: u8 = 76;
pub(super) const BASE64_OCTETS: usize = 57;

/// The field of every message with fields of MIME (RFC 2045 §4).
pub(super) const MIME: &[u8] = b"MIME-Version: 1.0\r\n";

/// What a [`Composer`] needs next.
///
/// The enum is exhaustive: a loop that handles these three cases is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Progress {
    /// Send the first `n` bytes of the output; `n` is at least 1.
    Write(usize),
    /// The file with this index is next. Call [`Composer::attach`] with its bytes, then
    /// [`Composer::end_attachment`].
    ///
    /// The index counts the files in the order in which they are sent: the inline parts, the attachments, the
    /// forwarded messages. With attachments alone it is the index in [`Message::attachments`].
    Attachment(usize),
    /// The message is complete.
    Done,
}

/// Prints a [`Message`] into outputs of any size. All its lines end with CRLF.
///
/// The result does not depend on the size of the outputs, nor on how attachments are cut.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Composer<'a> {
    pub(super) message: &'a Message<'a>,
    pub(super) place: Place,
    /// The bytes of the item at `place` that are already written.
    pub(super) taken: usize,
    /// The next bytes of an attachment, and their number.
    group: [u8; 3],
    pub(super) filled: u8,
}

/// The next thing to print.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct Place {
    pub(super) item: Item,
    /// The number of characters in the current line of the text or attachment. In a forwarded message: what
    /// its line has of a boundary.
    pub(super) column: u8,
    /// The encoding of the text.
    pub(super) encoding: Encoding,
    /// Which text it is: 0, or the number of an alternative.
    pub(super) text: u8,
    /// The index of the mailbox, header or file, or the number of printed bytes of the text.
    pub(super) index: usize,
}

/// A piece of a message, of bounded length. Those of the body are the last ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) enum Item {
    Origin,
    From,
    ReplyTo,
    To,
    Cc,
    Subject,
    Header,
    /// The header of a text.
    Mime,
    Text,
    /// The header of a file, or the end after the last one.
    Part,
    /// A group of an attachment.
    Data,
    /// A group whose bytes the caller was asked for.
    Asked,
    /// A group after whose bytes the attachment ends.
    Ended,
    Done,
}

impl<'a> Composer<'a> {
    /// The minimum size of an output, in bytes.
    pub const MIN_OUTPUT: usize = 1;

    pub(super) const fn new(message: &'a Message<'a>) -> Self {
        Self { message, place: Place::START, taken: 0, group: [0; 3], filled: 0 }
    }

    /// Fills `output` with the next part of the message.
    ///
    /// # Errors
    /// [`Error::OutputTooSmall`] for an empty output. Nothing changed.
    pub fn step(&mut self, output: &mut [u8]) -> Result<Progress, Error> {
        self.run(&mut &b""[..], output)
    }

    /// Fills `output` from the front of `piece`, a piece of the attachment that [`Progress::Attachment`]
    /// asked for. Returns how many bytes to send, possibly 0.
    ///
    /// Pass the rest of `piece` to the next call. A piece may have any size; up to three bytes wait for
    /// more.
    ///
    /// # Errors
    /// [`Error::OutOfOrder`] if no attachment was asked for; [`Error::OutputTooSmall`] for an empty output;
    /// [`Error::NotForwardable`] for a byte that a [`Forwarded`](super::Forwarded) message did not have when it
    /// was inspected: give up the mail. Nothing changed.
    pub fn attach(&mut self, piece: &mut &[u8], output: &mut [u8]) -> Result<usize, Error> {
        match self.place.item {
            _ if output.is_empty() => Err(Error::OutputTooSmall { needed: Self::MIN_OUTPUT }),
            Item::Asked => {
                if let Some(parts) = self.message.parts
                    && let Some(copied) = (parts.functions.copy)(self, piece, output)
                {
                    return copied;
                }
                match self.run(piece, output)? {
                    Progress::Write(n) => Ok(n),
                    _ => Ok(0),
                }
            }
            _ => Err(Error::OutOfOrder),
        }
    }

    /// Ends the attachment that [`Progress::Attachment`] asked for.
    ///
    /// # Errors
    /// [`Error::OutOfOrder`] if no attachment was asked for. Nothing changed.
    pub fn end_attachment(&mut self) -> Result<(), Error> {
        if self.place.item != Item::Asked {
            return Err(Error::OutOfOrder);
        }
        self.place.item = Item::Ended;
        Ok(())
    }

    fn run(&mut self, input: &mut &[u8], output: &mut [u8]) -> Result<Progress, Error> {
        let capacity = output.len();
        let mut out = Sink::new(output);
        loop {
            #[cfg(feature = "memchr")]
            self.put_groups(input, &mut out);
            let item = self.place.item;
            let pause = match item {
                Item::Done => Some(Progress::Done),
                Item::Data | Item::Asked if !self.fill(input) => {
                    Some(Progress::Attachment(self.place.index))
                }
                _ => None,
            };
            if let Some(progress) = pause {
                let written = capacity.saturating_sub(out.room());
                if written > 0 {
                    return Ok(Progress::Write(written));
                }
                if progress != Progress::Done {
                    self.place.item = Item::Asked;
                }
                return Ok(progress);
            }
            out.begin(self.taken);
            let before = self.place;
            self.print(&mut out);
            let Some(taken) = out.taken() else {
                (self.taken, self.group, self.filled) = (0, [0; 3], 0);
                continue;
            };
            self.place = before;
            if capacity == 0 {
                return Err(Error::OutputTooSmall { needed: Self::MIN_OUTPUT });
            }
            self.taken = taken;
            return Ok(Progress::Write(capacity));
        }
    }

    /// Takes bytes of an attachment until a group is full. Returns whether it is.
    fn fill(&mut self, input: &mut &[u8]) -> bool {
        while let Some(place) = self.group.get_mut(usize::from(self.filled)) {
            let [octet, rest @ ..] = *input else { return false };
            *place = *octet;
            self.filled = self.filled.wrapping_add(1);
            *input = rest;
        }
        true
    }

    /// The size of the rest of the message, with the known sizes of the attachments.
    pub(super) fn measure(mut self) -> Option<usize> {
        let mut sum: usize = 0;
        loop {
            let octets = match self.place.item {
                Item::Done => return Some(sum),
                Item::Data => {
                    let index = self.place.index;
                    self.next(Item::Part);
                    match self.message.parts {
                        Some(parts) => (parts.functions.size)(self.message, index)?,
                        None => self.message.attachments.get(index)?.encoded_size()?,
                    }
                }
                _ => {
                    let mut out = Sink::new(&mut []);
                    self.print(&mut out);
                    out.printed()
                }
            };
            sum = sum.saturating_add(octets);
        }
    }

    /// Prints the current item and advances to the next.
    #[inline(never)]
    fn print(&mut self, out: &mut Sink<'_>) {
        let message = self.message;
        let Place { item, index, .. } = self.place;
        if item >= Item::Mime
            && let Some(parts) = message.parts
        {
            return (parts.functions.print)(self, out);
        }
        match item {
            Item::Origin => {
                if let Some(date) = message.date {
                    out.put(b"Date: ");
                    date.put(out);
                    out.put(b"\r\n");
                }
                if let Some(id) = message.id {
                    out.put(b"Message-ID: <");
                    out.put(id.as_bytes());
                    out.put(b">\r\n");
                }
                self.start(Item::From);
            }
            Item::From => {
                self.put_mailbox(b"From:", slice::from_ref(&message.from), Item::ReplyTo, out);
            }
            Item::ReplyTo => self.put_mailbox(b"Reply-To:", message.reply_to, Item::To, out),
            Item::To => self.put_mailbox(b"To:", message.to, Item::Cc, out),
            Item::Cc => self.put_mailbox(b"Cc:", message.cc, Item::Subject, out),
            Item::Subject => {
                message.put_subject(out);
                self.start(Item::Header);
            }
            Item::Header => match message.headers.get(index) {
                Some(header) => {
                    header.put(out);
                    self.next(item);
                }
                None => self.start(Item::Mime),
            },
            Item::Mime => {
                let encoding = message.encoding_of(message.text);
                out.put(MIME);
                if !message.attachments.is_empty() {
                    out.put(text::MULTIPART);
                    encoding.put_composite(out);
                    out.put(text::PART);
                }
                self.start_text(b"Content-Type: text/plain; charset=utf-8\r\n", encoding, out);
            }
            Item::Text => {
                if self.put_text(message.text, out) {
                    self.start(match message.attachments {
                        [] => Item::Done,
                        _ => Item::Part,
                    });
                }
            }
            Item::Part => match message.attachments.get(index) {
                Some(attachment) => {
                    out.put(text::PART);
                    self.start_file(attachment, out);
                }
                None => {
                    out.put(text::END);
                    self.start(Item::Done);
                }
            },
            Item::Data | Item::Asked | Item::Ended => self.put_group(out),
            Item::Done => {}
        }
    }

    /// Prints the fields of a text, and advances to it.
    pub(super) fn start_text(&mut self, fields: &[u8], encoding: Encoding, out: &mut Sink<'_>) {
        out.put(fields);
        encoding.put(out);
        out.put(b"\r\n");
        (self.place.item, self.place.encoding, self.place.column) = (Item::Text, encoding, 0);
        self.place.index = 0;
    }

    /// Prints more of a text. Returns whether it was at its end.
    pub(super) fn put_text(&mut self, text: &str, out: &mut Sink<'_>) -> bool {
        let Place { column, encoding, index, .. } = self.place;
        let rest = text.as_bytes().get(index..).unwrap_or_default();
        let (taken, column) = text::put(rest, column, encoding, out);
        self.place.column = column;
        self.place.index = index.saturating_add(taken);
        taken == 0
    }

    /// Prints the header of an attachment, and advances to its bytes.
    pub(super) fn start_file(&mut self, attachment: &Attachment<'_>, out: &mut Sink<'_>) {
        attachment.put(out);
        (self.place.item, self.place.column) = (Item::Data, 0);
    }

    /// Prints the group of an attachment, or ends the attachment.
    pub(super) fn put_group(&mut self, out: &mut Sink<'_>) {
        if self.filled == 0 {
            return self.next(Item::Part);
        }
        if self.place.column >= BASE64_LINE {
            out.put(b"\r\n");
            self.place.column = 0;
        }
        out.put(&base64::group(self.group, usize::from(self.filled)));
        self.place.column = self.place.column.saturating_add(4);
    }

    /// Prints one mailbox of a field, and advances to the item `then` after the last one.
    fn put_mailbox(
        &mut self,
        field: &[u8],
        mailboxes: &[Mailbox<'_>],
        then: Item,
        out: &mut Sink<'_>,
    ) {
        let Place { item, index, .. } = self.place;
        let Some([mailbox, rest @ ..]) = mailboxes.get(index..) else { return self.start(then) };
        out.put(if index == 0 { field } else { b"" });
        mailbox.put(out);
        out.put(if rest.is_empty() { b"\r\n" } else { b",\r\n" });
        self.next(item);
    }

    pub(super) const fn start(&mut self, item: Item) {
        self.place = Place { item, ..Place::START };
    }

    const fn next(&mut self, item: Item) {
        self.place.item = item;
        self.place.index = self.place.index.saturating_add(1);
    }
}

impl Place {
    const START: Self =
        Self { item: Item::Origin, column: 0, encoding: Encoding::SevenBit, text: 0, index: 0 };
}

/// The length of `octets` bytes in base64, with all line ends but the last.
pub(super) const fn encoded_size(octets: usize) -> usize {
    let lines = octets.div_ceil(BASE64_OCTETS);
    let ends = lines.saturating_sub(1).saturating_mul(2);
    octets.div_ceil(3).saturating_mul(4).saturating_add(ends)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::Address;

    fn message() -> Message<'static> {
        const FILES: [Attachment<'_>; 2] = match Attachment::new("a/b", "c") {
            Ok(file) => [file, file.with_size(58)],
            Err(_) => panic!("valid"),
        };
        let from = Address::new("a@b.example").expect("valid");
        Message::new(from.into(), &[]).with_attachments(&FILES)
    }

    #[test]
    fn calls_out_of_order_change_nothing() {
        let message = message();
        let mut composer = message.compose();
        let mut output = [0; 600];
        let small = Error::OutputTooSmall { needed: Composer::MIN_OUTPUT };
        let mut early = &b"early"[..];
        assert_eq!(composer.step(&mut []), Err(small));
        assert_eq!(composer.end_attachment(), Err(Error::OutOfOrder));
        assert_eq!(composer.attach(&mut early, &mut output), Err(Error::OutOfOrder));
        assert!(matches!(composer.step(&mut output), Ok(Progress::Write(250..))));
        assert_eq!(composer.end_attachment(), Err(Error::OutOfOrder));
        assert_eq!(composer.attach(&mut early, &mut output), Err(Error::OutOfOrder));
        assert_eq!(composer.step(&mut []), Ok(Progress::Attachment(0)));
        assert_eq!(composer.attach(&mut early, &mut []), Err(small));
        assert_eq!(composer.attach(&mut early, &mut output[..3]), Ok(3));
        assert_eq!((&output[..3], early), (&b"ZWF"[..], &b"ly"[..]));
        assert_eq!(composer.attach(&mut early, &mut output), Ok(1));
        assert_eq!(composer.step(&mut []), Ok(Progress::Attachment(0)));
        assert_eq!(composer.end_attachment(), Ok(()));
        assert_eq!(composer.end_attachment(), Err(Error::OutOfOrder));
        assert_eq!(composer.attach(&mut &b"late"[..], &mut output), Err(Error::OutOfOrder));
        assert_eq!(composer.step(&mut []), Err(small));
        assert!(matches!(composer.step(&mut output), Ok(Progress::Write(100..))));
        assert!(output.starts_with(b"bHk=\r\n--=_m\r\n"));
        assert_eq!(composer.step(&mut []), Ok(Progress::Attachment(1)));
        assert_eq!(composer.end_attachment(), Ok(()));
        assert_eq!(composer.step(&mut output), Ok(Progress::Write(11)));
        assert_eq!(&output[..11], b"\r\n--=_m--\r\n");
        assert_eq!(composer.step(&mut []), Ok(Progress::Done));
    }

    #[test]
    fn sizes() {
        for (octets, expected) in
            [(0, 0), (1, 4), (3, 4), (57, 76), (58, 82), (114, 154), (115, 160)]
        {
            assert_eq!(encoded_size(octets), expected, "{octets}");
        }
        assert_eq!(encoded_size(usize::MAX), usize::MAX);
        assert_eq!(message().size(), None);
    }
}
