//! The containers of a body, and their boundaries.

use super::{encoding, first_text, parts};
use crate::mail::message::Message;
use crate::mail::message::sink::Sink;
use crate::mail::message::text::DELIMITER;

/// A container, by the letter after its boundary's level.
#[derive(Clone, Copy)]
pub(super) enum Container {
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

    pub(super) fn is_in(self, message: &Message<'_>) -> bool {
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
    pub(super) fn start(self, message: &Message<'_>, out: &mut Sink<'_>) {
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
    pub(super) fn start_part(self, message: &Message<'_>, out: &mut Sink<'_>) {
        out.put(b"\r\n--");
        self.put_boundary(message, out);
        out.put(b"\r\n");
    }

    /// Prints the end of the container.
    pub(super) fn end(self, message: &Message<'_>, out: &mut Sink<'_>) {
        if self.is_in(message) {
            out.put(b"\r\n--");
            self.put_boundary(message, out);
            out.put(b"--\r\n");
        }
    }
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
pub(super) fn level(message: &Message<'_>) -> u16 {
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
pub(super) fn digits(level: u16) -> impl Iterator<Item = u8> {
    let places = [10_000_u16, 1_000, 100, 10, 1].into_iter();
    places.skip_while(move |place| *place > level).map(move |place| {
        let digit = level.checked_div(place).unwrap_or_default() % 10;
        b'0'.wrapping_add(digit as u8)
    })
}
