use super::{Login, UserName};
use crate::mail::dsn::{Notify, OriginalRecipient, Return, Xtext};
use crate::mail::{Address, address};
use crate::smtp::MAX_LINE;
use crate::wire::Octets;
use crate::wire::{Line, Writer};
use crate::{ArgumentError, Untrusted};
use core::str;

/// What happens while mail is received. The events marked *judge* wait for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Event<'i> {
    /// A command that the machine answers on its own. Of `AUTH` only the verb, and nothing of a line
    /// that is no command: it may be a password out of place.
    Received(Untrusted<'i>),
    /// The client's name for itself; any mail begun before is dropped.
    Hello(Untrusted<'i>),
    /// The client logs in by LOGIN, as this user. Keep the name: the password comes alone, with the
    /// next [`Login`](Self::Login).
    User(UserName<'i>),
    /// *Judge:* a client logs in, once a connection. Whatever says yes is sent as 235; a no counts
    /// as a mistake, see [`Answer::BAD_CREDENTIALS`].
    Login(Login<'i>),
    /// *Judge:* a mail begins.
    Mail(Mail<'i>),
    /// *Judge:* the mail is for this recipient, too.
    Recipient(Recipient<'i>),
    /// A piece of the message: of `DATA` dot-unstuffed and in lines, of `BDAT` as it is, of which
    /// only the last line may have no CRLF. There is no other CR or LF in it. More may come than
    /// [`Limits::size`](super::Limits::size) allows: an application need not keep it, the message is
    /// refused at its end.
    Body(&'i [u8]),
    /// A chunk of a message was read and dropped: it is out of order, or the message will be refused.
    Discarded,
    /// *Judge:* the message is whole, and not larger than [`Limits::size`](super::Limits::size). SMTP
    /// asks once; LMTP once for each accepted recipient.
    Message {
        /// Its place among the accepted recipients; 0 for SMTP.
        index: u16,
    },
    /// The message is whole, and the machine refuses it: it is larger than
    /// [`Limits::size`](super::Limits::size), or its chunks have a CR or LF that stands alone. SMTP
    /// says so once; LMTP once for each accepted recipient.
    Refused {
        /// Its place among the accepted recipients; 0 for SMTP.
        index: u16,
    },
    /// The mail that was begun is dropped.
    Reset,
    /// The client said goodbye and was answered: close.
    Quit,
}

/// Whom a mail is from, and what was said of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Mail<'i> {
    /// Where failures are reported.
    pub path: Path<'i>,
    /// All parameters as they came, of which the fields below have the meaning.
    pub parameters: &'i str,
    /// How many octets the message has, by the client's word (`SIZE`, RFC 1870).
    pub size: Option<usize>,
    /// Whether the message may have octets above 127 (`BODY=8BITMIME`, RFC 6152).
    pub eight_bit: bool,
    /// Whether paths and headers may be in UTF-8 (`SMTPUTF8`, RFC 6531).
    pub international: bool,
    /// Whether the mail may go nowhere without verified TLS (`REQUIRETLS`, RFC 8689).
    pub require_tls: bool,
    /// What a report of failure is to bring back (`RET`, RFC 3461).
    pub returns: Option<Return>,
    /// What a report is to call the mail (`ENVID`, RFC 3461): at most 100 octets as encoded.
    pub envelope_id: Option<Xtext<'i>>,
}

/// Whom a mail is for, and what was said of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Recipient<'i> {
    /// Where it goes; never the null path.
    pub path: Path<'i>,
    /// All parameters as they came, of which the fields below have the meaning.
    pub parameters: &'i str,
    /// Which reports the sender wants (`NOTIFY`, RFC 3461).
    pub notify: Option<Notify>,
    /// How the sender called the recipient (`ORCPT`, RFC 3461): at most 500 octets.
    pub original: Option<OriginalRecipient<'i>>,
}

/// What is left of a reply line besides its code, blank and CRLF, in octets.
const MAX_TEXT: usize = MAX_LINE - 6;

/// What an application says to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Answer<'a> {
    digits: [u8; 3],
    text: &'a str,
}

impl Answer<'static> {
    /// No to a [`Login`] (RFC 4954 §6), whatever is wrong with it.
    pub const BAD_CREDENTIALS: Self =
        Self { digits: *b"535", text: "5.7.8 Authentication credentials invalid" };
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
            Ok(text) => Ok(Self { digits, text: text.as_str() }),
            Err(error) => Err(error),
        }
    }

    /// The same with another code.
    pub(super) const fn with_digits(self, digits: [u8; 3]) -> Self {
        Self { digits, ..self }
    }

    pub(super) const fn is_yes(&self) -> bool {
        matches!(self.digits, [b'2', ..])
    }

    pub(super) fn print(&self, out: &mut Writer<'_>) {
        out.put(&self.digits);
        out.put(b" ");
        out.put(self.text.as_bytes());
        out.put(b"\r\n");
    }
}

const fn digit(number: u16) -> u8 {
    (number % 10) as u8 | b'0'
}

/// A mailbox in a command, of the form of RFC 5321 §4.1.2 and at most 254 octets long, 64 of them
/// before the `@`; empty for the null path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Path<'i>(&'i str);

impl<'i> Path<'i> {
    /// The mailbox without angle brackets: no control characters of ASCII, and nothing outside ASCII
    /// unless the mail is [international](super::Mail::international). Who shows one of those escapes
    /// what a terminal could take for more than a letter.
    #[must_use]
    pub const fn as_str(&self) -> &'i str {
        self.0
    }

    /// Whether it is `<>`, the sender of reports about failures.
    #[must_use]
    pub const fn is_null(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it has characters outside ASCII (RFC 6531).
    #[must_use]
    pub const fn is_international(&self) -> bool {
        !self.0.is_ascii()
    }

    /// Takes a path off the front of an argument.
    pub(super) fn parse(argument: &'i [u8]) -> Option<(Self, &'i [u8])> {
        let (Octets(rest), Octets(mailbox)) = address::path(Octets(argument)).ok()?;
        let mailbox = str::from_utf8(mailbox).ok()?;
        // What is of the right form and still no address is too long, or has no domain.
        let fits = matches!(mailbox, "")
            || mailbox.eq_ignore_ascii_case("postmaster")
            || Address::international(mailbox).is_ok();
        fits.then_some((Self(mailbox), rest))
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

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
        let text = "5.7.8 Authentication credentials invalid";
        assert_eq!(Answer::new(535, text), Ok(Answer::BAD_CREDENTIALS));
    }

    #[test]
    fn limits() {
        let path = |local: usize, domain: usize| {
            let text = std::format!("<{}@{}>", "a".repeat(local), "b".repeat(domain));
            Path::parse(text.as_bytes()).is_some()
        };
        assert!(path(64, 189));
        assert!(!path(65, 1));
        assert!(!path(64, 190));
    }

    #[test]
    fn only_utf_8() {
        let path = Path::parse("<ä@ö.example>".as_bytes()).expect("a path").0;
        assert!(path.is_international());
        assert_eq!(path.as_str(), "ä@ö.example");
        assert_eq!(Path::parse(b"<\xe4@b>"), None);
        assert_eq!(Path::parse(b"<Postmaster> x"), Some((Path("Postmaster"), &b" x"[..])));
        assert_eq!(Path::parse(b"<>"), Some((Path(""), &b""[..])));
    }
}
