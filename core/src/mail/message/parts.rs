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

mod container;
#[cfg(test)]
mod tests;

use core::fmt;

use container::{Container, digits, level};

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

/// The number of the first text: an empty one is left out if there are others.
fn first_text(message: &Message<'_>) -> u8 {
    u8::from(message.text.is_empty() && !parts(message).alternatives.is_empty())
}

/// The alternative that is the text of this number.
fn alternative<'a>(message: &Message<'a>, text: u8) -> Option<&'a Alternative<'a>> {
    parts(message).alternatives.get(usize::from(text).checked_sub(1)?)
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
