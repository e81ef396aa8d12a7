//! The parts of a body that is more than a text with attachments.
//!
//! ```text
//! multipart/mixed                       if there are attachments or forwarded messages
//! ├── multipart/related                 if there are inline parts
//! │   ├── multipart/alternative         if there is more than one text
//! │   │   ├── text/plain
//! │   │   └── the alternatives
//! │   └── the inline parts
//! ├── the attachments
//! └── the forwarded messages
//! ```
//!
//! All containers start before the first text, so the parts are one list, and each container ends after its last
//! part.

use core::fmt;

use super::composer::{Composer, Item, MIME};
use super::forwarded::Inspected;
use super::sink::Sink;
use super::text::{DELIMITER, Encoding};
use super::{Alternative, Attachment, Forwarded, Inline, Message};
use crate::{ArgumentError, Error};

/// The parts of a message besides its text and its attachments.
///
/// ```
/// use starttls::mail::message::{Alternative, Attachment, Inline, Mailbox, Parts};
/// use starttls::mail::{Address, Message};
///
/// let to = [Mailbox::new(Address::new("you@example.org")?)];
/// let html = [Alternative::html("<p>All is well.</p><img src=\"cid:logo@example.org\">\n")];
/// let logo = [Inline::new(Attachment::new("image/png", "logo.png")?, "logo@example.org")?];
/// let parts = Parts::new().with_alternatives(&html)?.with_inline(&logo);
/// let message = Message::new(to[0], &to).with_text("All is well.\n").with_parts(&parts);
/// assert_eq!(message.files(), 1);
/// # Ok::<(), starttls::ArgumentError>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Parts<'a> {
    alternatives: &'a [Alternative<'a>],
    inline: &'a [Inline<'a>],
    forwarded: &'a [Forwarded<'a>],
    pub(super) functions: Functions,
}

impl<'a> Parts<'a> {
    /// No parts.
    #[must_use]
    pub const fn new() -> Self {
        let functions = Functions { print, copy, size, encoding };
        Self { alternatives: &[], inline: &[], forwarded: &[], functions }
    }

    /// Sets other forms of the text, at most 255: `multipart/alternative` (RFC 2046 §5.1.4). A reader shows the
    /// last one that it can show. An empty [text](Message::with_text) is left out then.
    ///
    /// # Errors
    /// [`ArgumentError::TooLong`] for more.
    pub const fn with_alternatives(
        mut self,
        alternatives: &'a [Alternative<'a>],
    ) -> Result<Self, ArgumentError> {
        if alternatives.len() > u8::MAX as usize {
            return Err(ArgumentError::TooLong);
        }
        self.alternatives = alternatives;
        Ok(self)
    }

    /// Sets the files that the HTML shows: `multipart/related` (RFC 2387). Their bytes follow later, as those
    /// of attachments do.
    #[must_use]
    pub const fn with_inline(mut self, inline: &'a [Inline<'a>]) -> Self {
        self.inline = inline;
        self
    }

    /// Sets messages that are forwarded whole, after the attachments: `message/rfc822` (RFC 2046 §5.2.1). Their
    /// bytes follow later, as those of attachments do.
    #[must_use]
    pub const fn with_forwarded(mut self, forwarded: &'a [Forwarded<'a>]) -> Self {
        self.forwarded = forwarded;
        self
    }

    /// The other forms of the text.
    #[must_use]
    pub const fn alternatives(&self) -> &'a [Alternative<'a>] {
        self.alternatives
    }

    /// The files that the HTML shows.
    #[must_use]
    pub const fn inline(&self) -> &'a [Inline<'a>] {
        self.inline
    }

    /// The forwarded messages.
    #[must_use]
    pub const fn forwarded(&self) -> &'a [Forwarded<'a>] {
        self.forwarded
    }

    /// The number of inline parts and forwarded messages.
    pub(super) const fn files(&self) -> usize {
        self.inline.len().saturating_add(self.forwarded.len())
    }

    pub(super) fn is_international(&self) -> bool {
        self.forwarded.iter().any(Forwarded::is_international)
    }
}

impl Default for Parts<'_> {
    fn default() -> Self {
        Self::new()
    }
}

/// Copies bytes of a forwarded message, and returns how many. `None` if the current file is no such message.
type CopyFn = fn(&mut Composer<'_>, &mut &[u8], &mut [u8]) -> Option<Result<usize, Error>>;

/// What a [`Composer`] calls for such a body.
///
/// These are pointers so that a program that has only texts and attachments does not contain the functions.
#[derive(Clone, Copy)]
pub(super) struct Functions {
    /// Prints the current item and advances to the next.
    pub(super) print: fn(&mut Composer<'_>, &mut Sink<'_>),
    pub(super) copy: CopyFn,
    /// The size of the file of this index as it is sent, if it is known.
    pub(super) size: fn(&Message<'_>, usize) -> Option<usize>,
    /// The encoding of the whole body: one of its parts has bytes above 127, or none.
    pub(super) encoding: fn(&Message<'_>) -> Encoding,
}

impl fmt::Debug for Functions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Functions")
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Functions {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Functions");
    }
}

/// The parts of a message, which may be none.
fn parts<'a>(message: &Message<'a>) -> &'a Parts<'a> {
    const NONE: &Parts<'_> = &Parts::new();
    message.parts.unwrap_or(NONE)
}

/// A container, by the letter after its boundary's level.
#[derive(Clone, Copy)]
enum Container {
    Mixed,
    Related,
    Alternative,
}

impl Container {
    const fn letter(self) -> &'static [u8] {
        match self {
            Self::Mixed => b"m",
            Self::Related => b"r",
            Self::Alternative => b"a",
        }
    }

    fn is_in(self, message: &Message<'_>) -> bool {
        match self {
            Self::Mixed => !message.attachments.is_empty() || !parts(message).forwarded.is_empty(),
            Self::Related => !parts(message).inline.is_empty(),
            Self::Alternative => parts(message).alternatives.len() > first_text(message).into(),
        }
    }

    /// Prints the boundary, without the hyphens before it.
    fn put_boundary(self, message: &Message<'_>, out: &mut Sink<'_>) {
        out.put(DELIMITER.get(2..).unwrap_or_default());
        put_level(level(message), out);
        out.put(self.letter());
    }

    /// Prints the header of the container and the start of its first part.
    fn start(self, message: &Message<'_>, out: &mut Sink<'_>) {
        if !self.is_in(message) {
            return;
        }
        out.put(b"Content-Type: multipart/");
        out.put(match self {
            Self::Mixed => b"mixed;",
            Self::Related => b"related;\r\n type=\"",
            Self::Alternative => b"alternative;",
        });
        if let Self::Related = self {
            out.put(root(message).as_bytes());
            out.put(b"\";");
        }
        out.put(b"\r\n boundary=\"");
        self.put_boundary(message, out);
        out.put(b"\"\r\n");
        encoding(message).put_composite(out);
        self.start_part(message, out);
    }

    /// Prints the start of a part.
    fn start_part(self, message: &Message<'_>, out: &mut Sink<'_>) {
        out.put(b"\r\n--");
        self.put_boundary(message, out);
        out.put(b"\r\n");
    }

    /// Prints the end of the container.
    fn end(self, message: &Message<'_>, out: &mut Sink<'_>) {
        if self.is_in(message) {
            out.put(b"\r\n--");
            self.put_boundary(message, out);
            out.put(b"--\r\n");
        }
    }
}

/// The number of the first text: an empty one is left out if there are others.
fn first_text(message: &Message<'_>) -> u8 {
    u8::from(message.text.is_empty() && !parts(message).alternatives.is_empty())
}

/// The alternative that is the text of this number.
fn alternative<'a>(message: &Message<'a>, text: u8) -> Option<&'a Alternative<'a>> {
    parts(message).alternatives.get(usize::from(text).checked_sub(1)?)
}

/// The type of the part of `multipart/related` that refers to the others (RFC 2387 §3.1).
fn root<'a>(message: &Message<'a>) -> &'a str {
    match parts(message).alternatives {
        _ if Container::Alternative.is_in(message) => "multipart/alternative",
        [] => "text/plain",
        [one, ..] => one.content_type(),
    }
}

/// The level of the boundaries: one that no forwarded message has.
fn level(message: &Message<'_>) -> u16 {
    let levels = parts(message).forwarded.iter().map(|forwarded| forwarded.message().level());
    levels.fold(0, u16::max)
}

/// Prints the number of a level. Level 0 has none.
fn put_level(level: u16, out: &mut Sink<'_>) {
    for digit in digits(level) {
        out.put(&[digit]);
    }
}

/// The decimal digits of a level. Level 0 has none.
fn digits(level: u16) -> impl Iterator<Item = u8> {
    let places = [10_000_u16, 1_000, 100, 10, 1].into_iter();
    places.skip_while(move |place| *place > level).map(move |place| {
        let digit = level.checked_div(place).unwrap_or_default() % 10;
        b'0'.wrapping_add(digit as u8)
    })
}

fn encoding(message: &Message<'_>) -> Encoding {
    let texts = parts(message).alternatives.iter().map(Alternative::text);
    let texts = texts.chain([message.text]).map(|text| message.encoding_of(text));
    let forwarded = parts(message).forwarded.iter().map(|forwarded| forwarded.message().encoding());
    if texts.chain(forwarded).any(|encoding| encoding == Encoding::EightBit) {
        Encoding::EightBit
    } else {
        Encoding::SevenBit
    }
}

/// A file of a message.
enum File<'m, 'a> {
    Inline(&'m Inline<'a>),
    Attachment(&'m Attachment<'a>),
    Forwarded(&'m Forwarded<'a>),
}

/// The file of this index, in the order in which they are sent.
fn file<'m, 'a>(message: &'m Message<'a>, index: usize) -> Option<File<'m, 'a>> {
    let Some(index) = index.checked_sub(parts(message).inline.len()) else {
        return parts(message).inline.get(index).map(File::Inline);
    };
    let Some(index) = index.checked_sub(message.attachments.len()) else {
        return message.attachments.get(index).map(File::Attachment);
    };
    parts(message).forwarded.get(index).map(File::Forwarded)
}

fn size(message: &Message<'_>, index: usize) -> Option<usize> {
    match file(message, index)? {
        File::Inline(inline) => inline.file().encoded_size(),
        File::Attachment(attachment) => attachment.encoded_size(),
        File::Forwarded(forwarded) => Some(forwarded.message().size()),
    }
}

fn print(composer: &mut Composer<'_>, out: &mut Sink<'_>) {
    let message = composer.message;
    let text = composer.place.text;
    match composer.place.item {
        Item::Mime => put_header(composer, out),
        Item::Text => {
            let shown = alternative(message, text).map_or(message.text, Alternative::text);
            if !composer.put_text(shown, out) {
                return;
            }
            let next = text.saturating_add(1);
            if text < u8::MAX && alternative(message, next).is_some() {
                composer.start(Item::Mime);
                composer.place.text = next;
            } else {
                Container::Alternative.end(message, out);
                composer.start(Item::Part);
            }
        }
        Item::Part => {
            let index = composer.place.index;
            if index == parts(message).inline.len() {
                Container::Related.end(message, out);
            }
            let file = file(message, index);
            match file {
                Some(File::Inline(_)) => Container::Related.start_part(message, out),
                Some(_) => Container::Mixed.start_part(message, out),
                None => {
                    Container::Mixed.end(message, out);
                    return composer.start(Item::Done);
                }
            }
            match file {
                Some(File::Inline(inline)) => inline.put(out),
                Some(File::Attachment(attachment)) => attachment.put(out),
                Some(File::Forwarded(forwarded)) => forwarded.put(out),
                None => {}
            }
            (composer.place.item, composer.place.column) = (Item::Data, 0);
        }
        _ => composer.put_group(out),
    }
}

/// Prints the fields of a text, after those of the containers if it is the first one.
fn put_header(composer: &mut Composer<'_>, out: &mut Sink<'_>) {
    let message = composer.message;
    if composer.place.text == 0 {
        composer.place.text = first_text(message);
        out.put(MIME);
        for container in [Container::Mixed, Container::Related, Container::Alternative] {
            container.start(message, out);
        }
    } else {
        Container::Alternative.start_part(message, out);
    }
    let shown = match alternative(message, composer.place.text) {
        Some(alternative) => {
            alternative.put(out);
            alternative.text()
        }
        None => {
            out.put(b"Content-Type: text/plain; charset=utf-8\r\n");
            message.text
        }
    };
    composer.start_text(b"", message.encoding_of(shown), out);
}

/// A place in a line of a forwarded message that belongs to no boundary.
const INSIDE: u8 = u8::MAX;

/// The place after a CR.
const AFTER_CR: u8 = u8::MAX - 1;

fn copy(
    composer: &mut Composer<'_>,
    piece: &mut &[u8],
    output: &mut [u8],
) -> Option<Result<usize, Error>> {
    let Some(File::Forwarded(forwarded)) = file(composer.message, composer.place.index) else {
        return None;
    };
    let (inspected, level) = (forwarded.message(), level(composer.message));
    let mut column = composer.place.column;
    let mut copied = 0;
    for ((place, octet), count) in output.iter_mut().zip(*piece).zip(1..) {
        column = match after(column, *octet, inspected, level) {
            Ok(next) => next,
            Err(error) => return Some(Err(error)),
        };
        (*place, copied) = (*octet, count);
    }
    composer.place.column = column;
    *piece = piece.get(copied..).unwrap_or_default();
    Some(Ok(copied))
}

/// Checks one byte of a forwarded message: the caller could pass another message than the inspected one, whose
/// lines could end this part.
fn after(column: u8, octet: u8, inspected: Inspected, level: u16) -> Result<u8, Error> {
    match octet {
        b'\n' if column == AFTER_CR => Ok(0),
        b'\n' | 0 => Err(Error::NotForwardable),
        _ if column == AFTER_CR => Err(Error::NotForwardable),
        0x80.. if !inspected.is_eight_bit() => Err(Error::NotForwardable),
        b'\r' => Ok(AFTER_CR),
        _ if column == INSIDE => Ok(INSIDE),
        _ => {
            let mut rest = DELIMITER.iter().copied().chain(digits(level)).skip(column.into());
            match (rest.next() == Some(octet), rest.next()) {
                (true, Some(_)) => Ok(column.saturating_add(1)),
                (true, None) => Err(Error::NotForwardable),
                (false, _) => Ok(INSIDE),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::mail::Address;
    use crate::mail::message::{Mailbox, Progress};

    use super::*;

    /// Composes into outputs of 7 bytes, each file with these bytes.
    fn composed(message: &Message<'_>, octets: &[u8]) -> Result<heapless::String<2048>, Error> {
        let (mut composer, mut output) = (message.compose(), [0; 7]);
        let mut all = heapless::Vec::<u8, 2048>::new();
        let mut put = |octets: &[u8]| all.extend_from_slice(octets).expect("room");
        loop {
            match composer.step(&mut output)? {
                Progress::Write(n) => put(&output[..n]),
                Progress::Attachment(_) => {
                    let mut piece = octets;
                    while !piece.is_empty() {
                        let n = composer.attach(&mut piece, &mut output)?;
                        put(&output[..n]);
                    }
                    composer.end_attachment()?;
                }
                Progress::Done => break,
            }
        }
        Ok(heapless::String::from_utf8(all).expect("UTF-8"))
    }

    fn from() -> Mailbox<'static> {
        Mailbox::new(Address::new("a@b.example").expect("valid"))
    }

    #[test]
    fn containers_in_their_order() {
        let others =
            [Alternative::html("<p>ä"), Alternative::new("text/enriched", "").expect("a type")];
        let file = Attachment::new("a/b", "c").expect("valid").with_size(3);
        let inline = [Inline::new(file, "d@e").expect("an id")];
        let inspected = Inspected::new(b"f\r\n").expect("good lines");
        let forwarded = [Forwarded::new("g.eml", inspected).expect("a name")];
        let parts = Parts::new().with_alternatives(&others).expect("two");
        let parts = parts.with_inline(&inline).with_forwarded(&forwarded);
        let files = [file];
        let message = Message::new(from(), &[]).with_attachments(&files).with_parts(&parts);
        let message = message.with_encoding(Encoding::EightBit);
        let all = composed(&message, b"f\r\n").expect("composed");
        let expected = "From: <a@b.example>\r\nMIME-Version: 1.0\r\n\
            Content-Type: multipart/mixed;\r\n boundary=\"=_m\"\r\nContent-Transfer-Encoding: 8bit\r\n\
            \r\n--=_m\r\n\
            Content-Type: multipart/related;\r\n type=\"multipart/alternative\";\r\n boundary=\"=_r\"\r\n\
            Content-Transfer-Encoding: 8bit\r\n\
            \r\n--=_r\r\n\
            Content-Type: multipart/alternative;\r\n boundary=\"=_a\"\r\nContent-Transfer-Encoding: 8bit\r\n\
            \r\n--=_a\r\n\
            Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n<p>ä\r\n\
            \r\n--=_a\r\n\
            Content-Type: text/enriched; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n\
            \r\n--=_a--\r\n\
            \r\n--=_r\r\n\
            Content-Type: a/b\r\nContent-Transfer-Encoding: base64\r\nContent-ID: <d@e>\r\n\
            Content-Disposition: inline;\r\n filename=\"c\"\r\n\r\nZg0K\
            \r\n--=_r--\r\n\
            \r\n--=_m\r\n\
            Content-Type: a/b\r\nContent-Transfer-Encoding: base64\r\n\
            Content-Disposition: attachment;\r\n filename=\"c\"\r\n\r\nZg0K\
            \r\n--=_m\r\n\
            Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n\
            Content-Disposition: attachment;\r\n filename=\"g.eml\"\r\n\r\nf\r\n\
            \r\n--=_m--\r\n";
        assert_eq!(all, expected);
        assert_eq!((message.size(), message.files()), (Some(expected.len()), 3));
        assert!(message.is_eight_bit() && !message.is_international());
    }

    #[test]
    fn a_single_part_has_no_container() {
        let message = Message::new(from(), &[]);
        let html = [Alternative::html("a")];
        let parts = Parts::new().with_alternatives(&html).expect("one");
        let all = composed(&message.with_parts(&parts), b"").expect("composed");
        let body = "MIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n\
            Content-Transfer-Encoding: 7bit\r\n\r\na\r\n";
        assert!(all.ends_with(body), "{all}");
        let (none, with_text) = (Parts::default(), message.with_text("ä"));
        let all = composed(&with_text.with_parts(&none), b"");
        assert_eq!(all, composed(&with_text, b""));
        let many = [html[0]; 256];
        assert!(Parts::new().with_alternatives(&many[1..]).is_ok());
        let error = Parts::new().with_alternatives(&many).err();
        assert_eq!(error, Some(ArgumentError::TooLong));
    }

    /// I12: the bytes of a forwarded message cannot end its part, whatever was inspected.
    #[test]
    fn another_message_than_the_inspected_one() {
        for (inspected, sent) in [
            ("a", "--=_m"),
            ("a\r\n", "a\r\n--=_"),
            ("--=_m\r\n--=_8", "\r\n--=_9"),
            ("--=_9", "--=_10m"),
            ("--=_65532", "--=_65533"),
            ("a", "ä"),
            ("a", "a\0"),
            ("a", "a\n--=_m"),
            ("a", "a\r--=_m"),
            ("a", "a\r\r\n"),
        ] {
            let found = Inspected::new(inspected.as_bytes()).expect("good lines");
            let forwarded = [Forwarded::new("a", found).expect("a name")];
            let parts = Parts::new().with_forwarded(&forwarded);
            let message = Message::new(from(), &[]).with_parts(&parts);
            let size = composed(&message, inspected.as_bytes()).expect("composed").len();
            assert_eq!(message.size(), Some(size), "{inspected:?}");
            let refused = composed(&message, sent.as_bytes());
            assert_eq!(refused, Err(Error::NotForwardable), "{inspected:?} {sent:?}");
        }
    }

    #[test]
    fn a_header_that_is_not_ascii() {
        let found = Inspected::new("Subject: ä\r\n".as_bytes()).expect("good lines");
        let forwarded = [Forwarded::new("a", found).expect("a name")];
        let parts = Parts::new().with_forwarded(&forwarded);
        let message = Message::new(from(), &[]).with_parts(&parts);
        assert!(message.is_international() && message.is_eight_bit());
        let all = composed(&message, "Subject: ä\r\n".as_bytes()).expect("composed");
        assert!(
            all.contains("\r\nContent-Type: message/global\r\nContent-Transfer-Encoding: 8bit\r\n")
        );
    }
}
