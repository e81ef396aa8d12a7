use super::{Authorization, Login, UserName};
#[cfg(feature = "scram")]
use super::{ScramFinal, ScramFirst};
use crate::mail::address;
use crate::mail::dsn::{Notify, OriginalRecipient, Return, Xtext};
use crate::mail::limits::MAX_PATH;
use crate::smtp::MAX_LINE;
use crate::wire::{Line, Writer};
use crate::{ArgumentError, Untrusted};
use core::str;

/// An event while mail is received. Those marked *judge* wait for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Event<'i> {
    /// The client sent a command that the receiver answers itself. Of `AUTH` only the verb is shown, and of
    /// an unknown command nothing, since it may be a misplaced password.
    Received(Untrusted<'i>),
    /// The client introduced itself by this name. An unfinished mail is dropped.
    Hello(Untrusted<'i>),
    /// The client logs in by LOGIN as this user. Keep the name: the next [`Login`](Self::Login) has only
    /// the password.
    User(UserName<'i>),
    /// *Judge:* the client logs in. A connection has at most one login. Acceptance is sent as 235; a
    /// permanent refusal counts as a mistake, see [`Answer::BAD_CREDENTIALS`].
    Login(Login<'i>),
    /// *Judge:* the client logs in by its certificate from the TLS handshake, to act as this identity.
    /// Answer it like a [`Login`](Self::Login).
    External(Authorization<'i>),
    /// *Judge:* the client logs in by SCRAM. Look up the user's keys, begin a
    /// [`ScramExchange`](super::ScramExchange), and answer with
    /// [`challenge`](super::Receiver::challenge), or refuse like a [`Login`](Self::Login).
    #[cfg(feature = "scram")]
    ScramFirst(ScramFirst<'i>),
    /// *Judge:* the client proves by SCRAM that it knows the password. Call
    /// [`verify`](super::ScramExchange::verify) on the exchange, and answer with
    /// [`challenge`](super::Receiver::challenge) if it is right. Refuse like a [`Login`](Self::Login)
    /// otherwise.
    #[cfg(feature = "scram")]
    ScramFinal(ScramFinal<'i>),
    /// The client has proved its identity by SCRAM and accepts the server's proof: it is logged in.
    #[cfg(feature = "scram")]
    Authenticated,
    /// *Judge:* a mail begins.
    Mail(Mail<'i>),
    /// *Judge:* the mail has this recipient.
    Recipient(Recipient<'i>),
    /// A piece of the message. After `DATA` it consists of lines without dot-stuffing; from `BDAT` it is
    /// unchanged.
    ///
    /// Its only CRs and LFs are CRLFs, and only the last line of a chunked message may lack one. The
    /// message may exceed [`Limits::size`](super::Limits::size): the application need not keep the excess,
    /// since the receiver refuses the message at its end.
    Body(&'i [u8]),
    /// A chunk was received and dropped: it was out of order, or the message will be refused.
    Discarded,
    /// *Judge:* the message is complete and within [`Limits::size`](super::Limits::size). With SMTP the
    /// event comes once, with LMTP once for each accepted recipient.
    Message {
        /// The recipient's index among the accepted ones; 0 for SMTP.
        index: u16,
    },
    /// The message is complete, and the receiver refuses it.
    ///
    /// The reason is its size ([`Limits::size`](super::Limits::size)), a NUL byte (RFC 2045 §2.7), or a
    /// bare CR or LF in its chunks. With SMTP the event comes once, with LMTP once for each accepted
    /// recipient.
    Refused {
        /// The recipient's index among the accepted ones; 0 for SMTP.
        index: u16,
    },
    /// The plaintext phase is over. Call [`Receiver::into_upgrade`](super::Receiver::into_upgrade) and run
    /// the TLS handshake as its server. It needs [`Config::start_tls`](super::Config::start_tls).
    StartTls,
    /// The unfinished mail is dropped.
    Reset,
    /// The client said goodbye and got its reply. Close the connection.
    Quit,
}

/// The sender of a mail, and the parameters of `MAIL`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Mail<'i> {
    /// The address to which failures are reported.
    pub path: Path<'i>,
    /// All parameters as received. The fields below have their meaning.
    pub parameters: &'i str,
    /// The size of the message in bytes, as the client announces it (`SIZE`, RFC 1870).
    pub size: Option<usize>,
    /// Whether the message may have bytes above 127 (`BODY=8BITMIME`, RFC 6152).
    pub eight_bit: bool,
    /// Whether paths and header fields may be UTF-8 (`SMTPUTF8`, RFC 6531).
    pub international: bool,
    /// Whether the mail requires verified TLS on every hop (`REQUIRETLS`, RFC 8689).
    pub require_tls: bool,
    /// How much of the message a failure report returns (`RET`, RFC 3461).
    pub returns: Option<Return>,
    /// The mail's id in reports (`ENVID`, RFC 3461): at most 100 bytes in its encoded form.
    pub envelope_id: Option<Xtext<'i>>,
}

/// A recipient of a mail, and the parameters of `RCPT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Recipient<'i> {
    /// The recipient's address; never the null path.
    pub path: Path<'i>,
    /// All parameters as received. The fields below have their meaning.
    pub parameters: &'i str,
    /// The reports that the sender wants (`NOTIFY`, RFC 3461).
    pub notify: Option<Notify>,
    /// The sender's original address for the recipient (`ORCPT`, RFC 3461): at most 500 bytes.
    pub original: Option<OriginalRecipient<'i>>,
}

/// The longest text of a reply line, without its code, blank and CRLF, in bytes.
const MAX_TEXT: usize = MAX_LINE - 6;

/// An application's reply to a client.
///
/// ```
/// use starttls::ArgumentError;
/// use starttls::mail::receiver::Answer;
///
/// assert!(Answer::new(550, "5.1.1 No such user").is_ok());
/// assert_eq!(Answer::new(250, "a\r\n250 b"), Err(ArgumentError::Forbidden));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Answer<'a> {
    digits: [u8; 3],
    text: &'a str,
}

impl Answer<'static> {
    /// Refuses a [`Login`], whatever is wrong with it (RFC 4954 §6).
    pub const BAD_CREDENTIALS: Self =
        Self { digits: *b"535", text: "5.7.8 Authentication credentials invalid" };
}

impl<'a> Answer<'a> {
    /// A reply with a code from 200 to 599, except 3yz and 421, and a line of text. The text should start
    /// with an enhanced status code (RFC 3463).
    ///
    /// # Errors
    /// [`ArgumentError::Malformed`] for another code, [`ArgumentError::Forbidden`] for CR, LF or NUL in the
    /// text, and [`ArgumentError::TooLong`] if the line would exceed [`MAX_LINE`](crate::smtp::MAX_LINE).
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

    /// This reply with another code.
    pub(super) const fn with_digits(self, digits: [u8; 3]) -> Self {
        Self { digits, ..self }
    }

    pub(super) const fn is_yes(&self) -> bool {
        matches!(self.digits, [b'2', ..])
    }

    pub(super) const fn is_permanent(&self) -> bool {
        matches!(self.digits, [b'5', ..])
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

/// A mailbox in a command, in the form of RFC 5321 §4.1.2 and with at most 254 bytes. It is empty for the
/// null path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Path<'i>(&'i str);

impl<'i> Path<'i> {
    /// The mailbox, without angle brackets.
    ///
    /// It has no ASCII control characters, and is ASCII unless the mail is
    /// [international](super::Mail::international). Before you show an international one, escape characters
    /// that may control a terminal.
    #[must_use]
    pub const fn as_str(&self) -> &'i str {
        self.0
    }

    /// Whether the path is `<>`, the sender of failure reports.
    #[must_use]
    pub const fn is_null(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the path has characters outside ASCII (RFC 6531).
    #[must_use]
    pub const fn is_international(&self) -> bool {
        !self.0.is_ascii()
    }

    /// Takes a path from the front of an argument.
    pub(super) fn parse(argument: &'i [u8]) -> Option<(Self, &'i [u8])> {
        let (mailbox, rest) = address::path(argument)?;
        if mailbox.len() > MAX_PATH - 2 {
            return None;
        }
        Some((Self(str::from_utf8(mailbox).ok()?), rest))
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;

    #[test]
    fn an_answer_is_one_line() {
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
        assert!(path(252, 1));
        assert!(!path(253, 1));
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
