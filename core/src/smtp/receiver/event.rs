use super::Path;
use crate::smtp::MAX_LINE;
use crate::wire::{Line, Writer};
use crate::{ArgumentError, Untrusted};

/// What happens while mail is received. The events marked *judge* wait for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Event<'i> {
    /// A command that the machine answers on its own; of `AUTH` only the verb, never credentials.
    Received(Untrusted<'i>),
    /// The client's name for itself; any mail begun before is dropped.
    Hello(Untrusted<'i>),
    /// *Judge:* a mail begins, from this path.
    Mail(Path<'i>),
    /// *Judge:* the mail is for this path, too.
    Recipient(Path<'i>),
    /// A piece of the message, dot-unstuffed. More may come than [`Limits::size`] allows: an
    /// application need not keep it, the message is refused at its end.
    Body(&'i [u8]),
    /// *Judge:* the message is whole, and not larger than [`Limits::size`]. SMTP asks once; LMTP once for each accepted recipient.
    Message {
        /// Its place among the accepted recipients; 0 for SMTP.
        index: u16,
    },
    /// The message is whole and larger than [`Limits::size`]; the machine refuses it. SMTP says so
    /// once; LMTP once for each accepted recipient.
    Refused {
        /// Its place among the accepted recipients; 0 for SMTP.
        index: u16,
    },
    /// The mail that was begun is dropped.
    Reset,
    /// The client said goodbye and was answered: close.
    Quit,
}

/// How much a client may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Limits {
    /// Octets of one message, CRLFs counted and stuffed dots not (RFC 1870); `None` for no limit.
    pub size: Option<usize>,
    /// Recipients of one mail; at least 100 (RFC 5321 §4.5.3.1.8).
    pub recipients: u16,
    /// Mistakes on one connection.
    pub errors: u8,
}

impl Default for Limits {
    fn default() -> Self {
        Self { size: None, recipients: 1000, errors: 20 }
    }
}

/// What is left of a reply line besides its code, blank and CRLF, in octets.
const MAX_TEXT: usize = MAX_LINE - 6;

/// What an application says to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Answer<'a> {
    digits: [u8; 3],
    text: Line<'a>,
}

impl<'a> Answer<'a> {
    /// A reply code, 200 to 599 but neither 3yz nor 421, and a line of text, best with an enhanced
    /// status code (RFC 3463) in front.
    ///
    /// # Errors
    /// [`ArgumentError::Malformed`] for another code, [`ArgumentError::Forbidden`] for CR, LF or NUL
    /// in the text, [`ArgumentError::TooLong`] if the line would be longer than
    /// [`MAX_LINE`](crate::smtp::MAX_LINE).
    pub const fn new(code: u16, text: &'a str) -> Result<Self, ArgumentError> {
        let digits = [digit(code / 100), digit(code / 10), digit(code)];
        if !matches!(code, 200..=299 | 400..=420 | 422..=599) {
            return Err(ArgumentError::Malformed);
        }
        if text.len() > MAX_TEXT {
            return Err(ArgumentError::TooLong);
        }
        match Line::new(text) {
            Ok(text) => Ok(Self { digits, text }),
            Err(error) => Err(error),
        }
    }

    pub(super) const fn is_yes(&self) -> bool {
        matches!(self.digits, [b'2', ..])
    }

    pub(super) fn print(&self, out: &mut Writer<'_>) {
        out.put(&self.digits);
        out.put(b" ");
        out.put(self.text.as_str().as_bytes());
        out.put(b"\r\n");
    }
}

const fn digit(number: u16) -> u8 {
    (number % 10) as u8 | b'0'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_one_line() {
        let mut output = [0; 32];
        let mut out = Writer::new(&mut output);
        Answer::new(550, "5.1.1 No such user").expect("valid").print(&mut out);
        assert_eq!(out.finish(), Ok(24));
        assert_eq!(&output[..24], b"550 5.1.1 No such user\r\n");
        for code in [0, 199, 334, 354, 421, 600, 65535] {
            assert_eq!(Answer::new(code, "x"), Err(ArgumentError::Malformed), "{code}");
        }
        assert_eq!(Answer::new(250, "a\r\n250 b"), Err(ArgumentError::Forbidden));
        let long = [b'a'; MAX_TEXT + 1];
        let long = core::str::from_utf8(&long).expect("ASCII");
        assert_eq!(Answer::new(250, long), Err(ArgumentError::TooLong));
        assert!(Answer::new(250, &long[1..]).is_ok());
    }
}
