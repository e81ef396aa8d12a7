use super::sink::Sink;
use super::text::{self, BOUNDARY, Encoding};
use super::{Header, Mailbox, Message};
use crate::Error;
use crate::smtp::base64;

/// The characters of base64 in a line (RFC 2045 §6.8), and the octets that they stand for.
const BASE64_LINE: u8 = 76;
const BASE64_OCTETS: usize = 57;

/// What a [`Composer`] wants next. Exhaustive: a loop that does these three things does everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Progress {
    /// Send the first `n` octets of the output, one or more.
    Write(usize),
    /// The attachment that has this place in [`Message::attachments`] is next: call
    /// [`Composer::attach`] with its octets and then [`Composer::end_attachment`].
    Attachment(usize),
    /// The message is complete.
    Done,
}

/// Prints a [`Message`] into outputs of any size. Its lines end with CRLF, and the last one does.
///
/// What comes out does not depend on the size of the outputs, nor on how attachments are cut.
#[derive(Clone, Debug)]
pub struct Composer<'a> {
    message: &'a Message<'a>,
    place: Place<'a>,
    /// Octets of the item at `place` that were written before.
    taken: usize,
}

/// What is printed next. Each place is one item, of bounded length.
#[derive(Clone, Copy, Debug)]
enum Place<'a> {
    Origin,
    Mailboxes {
        field: Field,
        rest: &'a [Mailbox<'a>],
        first: bool,
    },
    Subject,
    Headers(&'a [Header<'a>]),
    Mime,
    Text {
        rest: &'a [u8],
        column: u8,
        encoding: Encoding,
    },
    /// The header of an attachment, or the end behind the last one.
    Part(usize),
    Data(Data),
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    From,
    ReplyTo,
    To,
    Cc,
}

/// The next group of an attachment's base64.
#[derive(Clone, Copy, Debug)]
struct Data {
    index: usize,
    column: u8,
    group: [u8; 3],
    filled: usize,
    supply: Supply,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Supply {
    Silent,
    Asked,
    Ended,
}

impl<'a> Composer<'a> {
    /// The least size of an output, in octets.
    pub const MIN_OUTPUT: usize = 1;

    pub(super) const fn new(message: &'a Message<'a>) -> Self {
        Self { message, place: Place::Origin, taken: 0 }
    }

    /// Fills `output` with what comes next.
    ///
    /// # Errors
    /// [`Error::OutputTooSmall`] for an empty output; nothing changed.
    pub fn step(&mut self, output: &mut [u8]) -> Result<Progress, Error> {
        self.run(&mut &b""[..], output)
    }

    /// Fills `output` from the front of a piece of the attachment that [`Progress::Attachment`]
    /// asked for, and says how many octets to send, if any; what is left of `piece` comes with the
    /// next call. A piece may have any size; up to three octets wait for others.
    ///
    /// # Errors
    /// [`Error::OutOfOrder`] if no attachment was asked for, [`Error::OutputTooSmall`] for an empty
    /// output; nothing changed.
    pub fn attach(&mut self, piece: &mut &[u8], output: &mut [u8]) -> Result<usize, Error> {
        match self.place {
            _ if output.is_empty() => Err(Error::OutputTooSmall { needed: Self::MIN_OUTPUT }),
            Place::Data(Data { supply: Supply::Asked, .. }) => match self.run(piece, output)? {
                Progress::Write(n) => Ok(n),
                _ => Ok(0),
            },
            _ => Err(Error::OutOfOrder),
        }
    }

    /// Ends the attachment that [`Progress::Attachment`] asked for.
    ///
    /// # Errors
    /// [`Error::OutOfOrder`] if no attachment was asked for; nothing changed.
    pub fn end_attachment(&mut self) -> Result<(), Error> {
        match &mut self.place {
            Place::Data(data) if data.supply == Supply::Asked => {
                data.supply = Supply::Ended;
                Ok(())
            }
            _ => Err(Error::OutOfOrder),
        }
    }

    fn run(&mut self, input: &mut &[u8], output: &mut [u8]) -> Result<Progress, Error> {
        let capacity = output.len();
        let mut out = Sink::new(output);
        loop {
            let written = capacity.saturating_sub(out.room());
            match &mut self.place {
                Place::Done if written == 0 => return Ok(Progress::Done),
                Place::Done => return Ok(Progress::Write(written)),
                Place::Data(data) => match (data.fill(input), written) {
                    (true, _) => {}
                    (false, 0) => {
                        data.supply = Supply::Asked;
                        return Ok(Progress::Attachment(data.index));
                    }
                    (false, _) => return Ok(Progress::Write(written)),
                },
                _ => {}
            }
            out.begin(self.taken);
            let next = self.print(&mut out);
            match out.taken() {
                None => (self.place, self.taken) = (next, 0),
                Some(_) if capacity == 0 => {
                    return Err(Error::OutputTooSmall { needed: Self::MIN_OUTPUT });
                }
                Some(taken) => {
                    self.taken = taken;
                    return Ok(Progress::Write(capacity));
                }
            }
        }
    }

    /// How many octets the rest of the message has, with attachments of the sizes that they say.
    pub(super) fn measure(mut self) -> Option<usize> {
        let mut sum: usize = 0;
        loop {
            let octets = match self.place {
                Place::Done => return Some(sum),
                Place::Data(data) => {
                    self.place = Place::Part(data.index.saturating_add(1));
                    let octets = self.message.attachments.get(data.index)?.size()?;
                    encoded_size(octets)
                }
                _ => {
                    let mut out = Sink::new(&mut []);
                    self.place = self.print(&mut out);
                    out.printed()
                }
            };
            sum = sum.saturating_add(octets);
        }
    }

    /// Prints the item at this place and says what follows it.
    fn print(&self, out: &mut Sink<'_>) -> Place<'a> {
        let message = self.message;
        match self.place {
            Place::Origin => {
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
                Field::From.of(message)
            }
            Place::Mailboxes { field, rest: [mailbox, rest @ ..], first } => {
                out.put(if first { field.name() } else { b"" });
                mailbox.put(out);
                out.put(if rest.is_empty() { b"\r\n" } else { b",\r\n" });
                Place::Mailboxes { field, rest, first: false }
            }
            Place::Mailboxes { field, rest: [], .. } => match field {
                Field::From => Field::ReplyTo.of(message),
                Field::ReplyTo => Field::To.of(message),
                Field::To => Field::Cc.of(message),
                Field::Cc => Place::Subject,
            },
            Place::Subject => {
                message.put_subject(out);
                Place::Headers(message.headers)
            }
            Place::Headers([header, rest @ ..]) => {
                header.put(out);
                Place::Headers(rest)
            }
            Place::Headers([]) => Place::Mime,
            Place::Mime => {
                let encoding = message.text_encoding();
                out.put(b"MIME-Version: 1.0\r\n");
                if !message.attachments.is_empty() {
                    out.put(b"Content-Type: multipart/mixed; boundary=\"");
                    out.put(BOUNDARY);
                    out.put(b"\"\r\n\r\n");
                    put_delimiter(b"\r\n", out);
                }
                out.put(b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: ");
                out.put(encoding.name());
                out.put(b"\r\n\r\n");
                Place::Text { rest: message.text.as_bytes(), column: 0, encoding }
            }
            Place::Text { rest, column, encoding } => {
                let (left, column) = text::put(rest, column, encoding, out);
                if !rest.is_empty() {
                    Place::Text { rest: left, column, encoding }
                } else if message.attachments.is_empty() {
                    Place::Done
                } else {
                    Place::Part(0)
                }
            }
            Place::Part(index) => {
                out.put(b"\r\n");
                let Some(attachment) = message.attachments.get(index) else {
                    put_delimiter(b"--\r\n", out);
                    return Place::Done;
                };
                put_delimiter(b"\r\n", out);
                attachment.put(out);
                out.put(b"\r\n");
                Place::Data(Data::new(index))
            }
            Place::Data(data) => data.print(out),
            Place::Done => Place::Done,
        }
    }
}

impl Field {
    const fn name(self) -> &'static [u8] {
        match self {
            Self::From => b"From:",
            Self::ReplyTo => b"Reply-To:",
            Self::To => b"To:",
            Self::Cc => b"Cc:",
        }
    }

    fn of<'a>(self, message: &'a Message<'a>) -> Place<'a> {
        let rest = match self {
            Self::From => core::slice::from_ref(&message.from),
            Self::ReplyTo => message.reply_to,
            Self::To => message.to,
            Self::Cc => message.cc,
        };
        Place::Mailboxes { field: self, rest, first: true }
    }
}

impl Data {
    const fn new(index: usize) -> Self {
        Self { index, column: 0, group: [0; 3], filled: 0, supply: Supply::Silent }
    }

    /// Takes octets until a group is full, and says whether there is one to print: a full one, or
    /// the last.
    fn fill(&mut self, input: &mut &[u8]) -> bool {
        while self.supply != Supply::Ended {
            let Some(place) = self.group.get_mut(self.filled) else { return true };
            let [octet, rest @ ..] = *input else { return false };
            *place = *octet;
            self.filled = self.filled.saturating_add(1);
            *input = rest;
        }
        true
    }

    fn print<'a>(self, out: &mut Sink<'_>) -> Place<'a> {
        if self.filled == 0 {
            return Place::Part(self.index.saturating_add(1));
        }
        let full = self.column >= BASE64_LINE;
        out.put(if full { b"\r\n" } else { b"" });
        out.put(&base64::group(self.group, self.filled));
        let column = if full { 4 } else { self.column.saturating_add(4) };
        Place::Data(Self { column, group: [0; 3], filled: 0, ..self })
    }
}

/// `dash-boundary = "--" boundary` (RFC 2046 §5.1.1), and what is behind it.
fn put_delimiter(end: &[u8], out: &mut Sink<'_>) {
    out.put(b"--");
    out.put(BOUNDARY);
    out.put(end);
}

/// The octets of base64 with its line ends, but for the last.
const fn encoded_size(octets: usize) -> usize {
    let lines = octets.div_ceil(BASE64_OCTETS);
    let ends = lines.saturating_sub(1).saturating_mul(2);
    octets.div_ceil(3).saturating_mul(4).saturating_add(ends)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smtp::Address;
    use crate::smtp::message::Attachment;

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
        assert!(output.starts_with(b"bHk=\r\n--=_\r\n"));
        assert_eq!(composer.step(&mut []), Ok(Progress::Attachment(1)));
        assert_eq!(composer.end_attachment(), Ok(()));
        assert_eq!(composer.step(&mut output), Ok(Progress::Write(10)));
        assert_eq!(&output[..10], b"\r\n--=_--\r\n");
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
