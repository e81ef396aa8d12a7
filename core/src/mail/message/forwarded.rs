use super::attachment::{check_name, put_name};
use super::sink::Sink;
use super::text::{DELIMITER, Encoding, MAX_LINE};
use crate::{ArgumentError, Error};

/// A message that is forwarded whole: `message/rfc822` (RFC 2046 §5.2.1), or `message/global` (RFC 6532 §3.7)
/// if its header has characters outside ASCII.
///
/// It is sent as it is, in no encoding, so it is [inspected](Inspection) first. Its bytes follow later, as those
/// of an [`Attachment`](super::Attachment) do.
///
/// ```
/// use starttls::mail::message::{Forwarded, Inspected};
///
/// let original = b"Subject: a question\r\n\r\nIs all well?\r\n";
/// let forwarded = [Forwarded::new("question.eml", Inspected::new(original)?)?];
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Forwarded<'a> {
    pub(super) name: &'a str,
    pub(super) message: Inspected,
}

impl<'a> Forwarded<'a> {
    /// A message with the name of a file, 1 to 255 bytes of UTF-8, as mail programs save it.
    ///
    /// # Errors
    /// [`ArgumentError::Empty`], [`ArgumentError::TooLong`]; [`ArgumentError::Forbidden`] for a control
    /// character.
    pub const fn new(name: &'a str, message: Inspected) -> Result<Self, ArgumentError> {
        match check_name(name) {
            Ok(()) => Ok(Self { name, message }),
            Err(error) => Err(error),
        }
    }

    /// What the inspection found.
    #[must_use]
    pub const fn message(&self) -> Inspected {
        self.message
    }

    /// The name of the file.
    #[must_use]
    pub const fn name(&self) -> &'a str {
        self.name
    }

    pub(super) const fn is_international(&self) -> bool {
        self.message.is_international
    }

    /// Prints the header of the part.
    pub(super) fn put(&self, out: &mut Sink<'_>) {
        out.put(if self.message.is_international {
            b"Content-Type: message/global\r\n"
        } else {
            b"Content-Type: message/rfc822\r\n"
        });
        self.message.encoding().put(out);
        out.put(b"Content-Disposition: attachment;\r\n");
        put_name(self.name, out);
    }
}

/// The properties of a message that decide how it can be forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Inspected {
    pub(super) size: usize,
    pub(super) level: u16,
    pub(super) is_eight_bit: bool,
    pub(super) is_international: bool,
}

impl Inspected {
    /// Inspects a message in memory.
    ///
    /// # Errors
    /// Those of [`Inspection`].
    pub const fn new(message: &[u8]) -> Result<Self, Error> {
        let mut inspection = Inspection::new();
        match inspection.take(message) {
            Ok(()) => inspection.end(),
            Err(error) => Err(error),
        }
    }

    /// The number of its bytes.
    #[must_use]
    pub const fn size(self) -> usize {
        self.size
    }

    /// Whether it has bytes above 127.
    #[must_use]
    pub const fn is_eight_bit(self) -> bool {
        self.is_eight_bit
    }

    pub(super) const fn encoding(self) -> Encoding {
        if self.is_eight_bit { Encoding::EightBit } else { Encoding::SevenBit }
    }

    /// The lowest level of boundaries that do not occur in it.
    pub(super) const fn level(self) -> u16 {
        self.level
    }
}

/// The inspection of a message before it is [forwarded](Forwarded), in pieces of any size.
///
/// # Errors
/// [`Error::BareLineEnd`], [`Error::LineTooLong`] and [`Error::NulInMessage`] for what mail cannot carry;
/// [`Error::NotForwardable`] if the message has all boundaries that could end it. Such a message can be attached
/// as a file of the type `application/octet-stream`.
///
/// ```
/// use starttls::mail::message::Inspection;
///
/// let mut inspection = Inspection::new();
/// for piece in ["Subject: a question\r", "\n\r\nIs all well?\r\n"] {
///     inspection.take(piece.as_bytes())?;
/// }
/// assert_eq!(inspection.end()?.size(), 37);
/// # Ok::<(), starttls::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Inspection {
    found: Inspected,
    /// The length of the current line, with its CR.
    column: usize,
    /// What the line has of a boundary.
    start: Start,
    after_cr: bool,
    in_header: bool,
}

/// The part of a line that may belong to a boundary: its start.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum Start {
    /// So many bytes of the delimiter, and no other.
    Delimiter(usize),
    /// The delimiter and this number.
    Level(u16),
    /// Another line.
    Other,
}

impl Inspection {
    /// The start of a message.
    #[must_use]
    pub const fn new() -> Self {
        let found = Inspected { size: 0, level: 0, is_eight_bit: false, is_international: false };
        Self { found, column: 0, start: Start::Delimiter(0), after_cr: false, in_header: true }
    }

    /// Looks at the next bytes of the message.
    ///
    /// # Errors
    /// See above. Do not continue.
    pub const fn take(&mut self, mut piece: &[u8]) -> Result<(), Error> {
        while let [octet, rest @ ..] = piece {
            if let Err(error) = self.octet(*octet) {
                return Err(error);
            }
            piece = rest;
        }
        Ok(())
    }

    /// Ends the message.
    ///
    /// # Errors
    /// See above; [`Error::BareLineEnd`] for a last CR.
    pub const fn end(mut self) -> Result<Inspected, Error> {
        self.end_start();
        if self.after_cr {
            return Err(Error::BareLineEnd);
        }
        if self.found.level == u16::MAX {
            return Err(Error::NotForwardable);
        }
        Ok(self.found)
    }

    const fn octet(&mut self, octet: u8) -> Result<(), Error> {
        self.found.size = self.found.size.saturating_add(1);
        match octet {
            b'\n' if self.after_cr => {
                self.end_start();
                self.in_header = self.in_header && self.column > 1;
                (self.column, self.start, self.after_cr) = (0, Start::Delimiter(0), false);
                return Ok(());
            }
            _ if self.after_cr => return Err(Error::BareLineEnd),
            b'\n' => return Err(Error::BareLineEnd),
            0 => return Err(Error::NulInMessage),
            b'\r' => self.after_cr = true,
            _ if self.column >= MAX_LINE => return Err(Error::LineTooLong),
            0x80.. => {
                self.found.is_eight_bit = true;
                self.found.is_international |= self.in_header;
            }
            _ => {}
        }
        self.column = self.column.saturating_add(1);
        self.start = match self.start {
            Start::Delimiter(count) => match DELIMITER.split_at_checked(count) {
                Some((_, [next, rest @ ..])) if *next == octet => match rest {
                    [] => Start::Level(0),
                    _ => Start::Delimiter(count.saturating_add(1)),
                },
                _ => Start::Other,
            },
            Start::Level(level) if octet.is_ascii_digit() => {
                let digit = octet.wrapping_sub(b'0') as u16;
                Start::Level(level.saturating_mul(10).saturating_add(digit))
            }
            _ => {
                self.end_start();
                Start::Other
            }
        };
        Ok(())
    }

    /// Counts the boundary at the start of the line.
    const fn end_start(&mut self) {
        if let Start::Level(level) = self.start
            && level >= self.found.level
        {
            self.found.level = level.saturating_add(1);
        }
    }
}

impl Default for Inspection {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boundaries_that_a_message_has() {
        const CONSTANT: Result<Inspected, Error> = Inspected::new(b"A: b\r\n");
        assert!(CONSTANT.is_ok());
        for (message, level) in [
            ("", 0),
            ("--=_", 1),
            ("--=_m", 1),
            ("--=_7", 8),
            ("\r\n--=_0a--\r\n--=_12\r\n--=_3m", 13),
            ("a--=_m", 0),
            (" --=_m", 0),
            ("--=", 0),
            ("---=_m", 0),
            ("--=_65533m", 65534),
        ] {
            let found = Inspected::new(message.as_bytes()).map(Inspected::level);
            assert_eq!(found, Ok(level), "{message:?}");
        }
        for many in ["--=_65534", "--=_65535m", "\r\n--=_99999999999999999999m\r\n"] {
            assert_eq!(Inspected::new(many.as_bytes()), Err(Error::NotForwardable), "{many:?}");
        }
    }

    #[test]
    fn lines_that_mail_can_carry() {
        let mut long = [b'x'; MAX_LINE + 1];
        assert_eq!(Inspected::new(&long), Err(Error::LineTooLong));
        [long[MAX_LINE - 1], long[MAX_LINE]] = *b"\r\n";
        assert!(Inspected::new(&long).is_ok());
        for (message, error) in [
            ("a\n", Error::BareLineEnd),
            ("a\r", Error::BareLineEnd),
            ("a\rb", Error::BareLineEnd),
            ("a\r\r\n", Error::BareLineEnd),
            ("a\0", Error::NulInMessage),
        ] {
            assert_eq!(Inspected::new(message.as_bytes()), Err(error), "{message:?}");
        }
        for (message, eight_bit, international) in [
            ("A: b\r\n\r\nc", false, false),
            ("A: b\r\n\r\nä", true, false),
            ("A: ä\r\n\r\nc", true, true),
        ] {
            let found = Inspected::new(message.as_bytes()).expect("good lines");
            assert_eq!(found.is_eight_bit(), eight_bit, "{message:?}");
            assert_eq!(found.is_international, international, "{message:?}");
        }
    }
}
