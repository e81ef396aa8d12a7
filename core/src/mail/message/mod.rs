//! The text of a mail: header, text and attachments (RFC 5322, RFC 2045 to 2047, RFC 2231), printed piece
//! by piece into a buffer of any size.
//!
//! No value from the caller can end or add a header line (I12): every value is checked first, in a constant
//! at compile time. Names, subject and file names may have any characters except control characters.
//!
//! ```
//! use starttls::mail::message::{Attachment, Date, Header, Mailbox, Progress};
//! use starttls::mail::{Address, Message};
//!
//! let from = Mailbox::named("Sensor 7 — gate", Address::new("sensor@example.org")?)?;
//! let to = [Mailbox::new(Address::new("you@example.org")?)];
//! let headers = [Header::AUTO_GENERATED];
//! let pictures = [Attachment::new("image/jpeg", "gate.jpg")?];
//! let message = Message::new(from, &to)
//!     .with_subject("21,5 °C")?
//!     .with_date(Date::utc(1_795_262_400)?)
//!     .with_id("7.1795262400@sensor.example.org")?
//!     .with_headers(&headers)
//!     .with_text("All is well.\n")
//!     .with_attachments(&pictures);
//!
//! let camera = [&b"\xff\xd8\xff"[..], b"\xe0"];
//! let mut output = [0; 64];
//! let mut composer = message.compose();
//! # let mut sent = Vec::new();
//! # let mut send = |bytes: &[u8]| sent.extend_from_slice(bytes);
//! loop {
//!     match composer.step(&mut output)? {
//!         // To `Exchange::body`, which adds the dot-stuffing.
//!         Progress::Write(n) => send(&output[..n]),
//!         Progress::Attachment(_) => {
//!             for mut piece in camera {
//!                 while !piece.is_empty() {
//!                     let n = composer.attach(&mut piece, &mut output)?;
//!                     send(&output[..n]);
//!                 }
//!             }
//!             composer.end_attachment()?;
//!         }
//!         Progress::Done => break,
//!     }
//! }
//! # assert_eq!(String::from_utf8(sent)?, "\
//! # Date: Sat, 21 Nov 2026 12:00:00 +0000\r\n\
//! # Message-ID: <7.1795262400@sensor.example.org>\r\n\
//! # From: =?utf-8?q?Sensor_7_=E2=80=94_gate?= <sensor@example.org>\r\n\
//! # To: <you@example.org>\r\n\
//! # Subject: =?utf-8?q?21=2C5_=C2=B0C?=\r\n\
//! # Auto-Submitted: auto-generated\r\n\
//! # MIME-Version: 1.0\r\n\
//! # Content-Type: multipart/mixed; boundary=\"=_m\"\r\n\
//! # \r\n\
//! # --=_m\r\n\
//! # Content-Type: text/plain; charset=utf-8\r\n\
//! # Content-Transfer-Encoding: 7bit\r\n\
//! # \r\n\
//! # All is well.\r\n\
//! # \r\n\
//! # --=_m\r\n\
//! # Content-Type: image/jpeg\r\n\
//! # Content-Transfer-Encoding: base64\r\n\
//! # Content-Disposition: attachment;\r\n\x20filename=\"gate.jpg\"\r\n\
//! # \r\n\
//! # /9j/4A==\r\n\
//! # --=_m--\r\n");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod alternative;
mod attachment;
mod composer;
#[cfg(feature = "memchr")]
mod data;
mod date;
mod forwarded;
mod header;
mod inline;
#[cfg(feature = "alloc")]
mod owned;
mod parts;
mod sink;
mod text;
mod trace;
mod words;

pub use alternative::Alternative;
pub use attachment::Attachment;
pub use composer::{Composer, Progress};
pub use date::Date;
pub use forwarded::{Forwarded, Inspected, Inspection};
pub use header::{Header, Mailbox};
pub use inline::Inline;
#[cfg(feature = "alloc")]
pub use owned::{MessageBuf, MessageView};
pub use parts::Parts;
pub use text::Encoding;
pub use trace::{Protocol, Received, return_path};
pub use words::MAX_TEXT;

use self::sink::Sink;
use super::Address;
use crate::ArgumentError;

/// A message to be composed. It borrows all its parts, and copies are cheap.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Message<'a> {
    from: Mailbox<'a>,
    reply_to: &'a [Mailbox<'a>],
    to: &'a [Mailbox<'a>],
    cc: &'a [Mailbox<'a>],
    subject: &'a str,
    date: Option<Date>,
    id: Option<&'a str>,
    headers: &'a [Header<'a>],
    text: &'a str,
    attachments: &'a [Attachment<'a>],
    parts: Option<&'a Parts<'a>>,
    encoding: Encoding,
}

impl<'a> Message<'a> {
    /// A message from this author to these mailboxes. The recipients that get it are those of the
    /// [`Envelope`](super::Envelope).
    #[must_use]
    pub const fn new(from: Mailbox<'a>, to: &'a [Mailbox<'a>]) -> Self {
        Self {
            from,
            reply_to: &[],
            to,
            cc: &[],
            subject: "",
            date: None,
            id: None,
            headers: &[],
            text: "",
            attachments: &[],
            parts: None,
            encoding: Encoding::SevenBit,
        }
    }

    /// Sets the mailboxes of the `Cc` field.
    #[must_use]
    pub const fn with_cc(mut self, cc: &'a [Mailbox<'a>]) -> Self {
        self.cc = cc;
        self
    }

    /// Sets the mailboxes that replies go to, if not to the author.
    #[must_use]
    pub const fn with_reply_to(mut self, reply_to: &'a [Mailbox<'a>]) -> Self {
        self.reply_to = reply_to;
        self
    }

    /// Sets the subject. An empty one leaves out the field.
    ///
    /// # Errors
    /// [`ArgumentError::TooLong`] above [`MAX_TEXT`] bytes, [`ArgumentError::Forbidden`] for
    /// control characters.
    pub const fn with_subject(mut self, subject: &'a str) -> Result<Self, ArgumentError> {
        self.subject = subject;
        match words::check(subject) {
            Ok(()) => Ok(self),
            Err(error) => Err(error),
        }
    }

    /// Sets the date. RFC 5322 requires it; a device without a clock leaves it to the submission server
    /// (RFC 6409 §8.1).
    #[must_use]
    pub const fn with_date(mut self, date: Date) -> Self {
        self.date = Some(date);
        self
    }

    /// Sets the message id, which no other message may have: `left@right` without angle brackets, in the
    /// form of an [`Address`] without quotes. A submission server adds a missing one (RFC 6409 §8.2).
    ///
    /// # Errors
    /// Those of [`Address::new`], and [`ArgumentError::Malformed`] for quotes.
    pub const fn with_id(mut self, id: &'a str) -> Result<Self, ArgumentError> {
        self.id = Some(id);
        match check_id(id) {
            Ok(()) => Ok(self),
            Err(error) => Err(error),
        }
    }

    /// Sets further header fields.
    #[must_use]
    pub const fn with_headers(mut self, headers: &'a [Header<'a>]) -> Self {
        self.headers = headers;
        self
    }

    /// Sets the text. Its lines may end with LF, CRLF or CR. All are sent with CRLF, including the last
    /// one.
    #[must_use]
    pub const fn with_text(mut self, text: &'a str) -> Self {
        self.text = text;
        self
    }

    /// Sets the parts besides the text and the attachments: HTML, inline pictures, forwarded messages.
    #[must_use]
    pub const fn with_parts(mut self, parts: &'a Parts<'a>) -> Self {
        self.parts = Some(parts);
        self
    }

    /// Sets the attached files. Their bytes follow later, see [`Composer::attach`].
    #[must_use]
    pub const fn with_attachments(mut self, attachments: &'a [Attachment<'a>]) -> Self {
        self.attachments = attachments;
        self
    }

    /// Sets the encoding of the texts; [`Encoding::offered`] fits it to the server. Files always use base64,
    /// except forwarded messages.
    #[must_use]
    pub const fn with_encoding(mut self, encoding: Encoding) -> Self {
        self.encoding = encoding;
        self
    }

    /// The attached files.
    #[must_use]
    pub const fn attachments(&self) -> &'a [Attachment<'a>] {
        self.attachments
    }

    /// The number of files whose bytes the composer asks for: inline parts, attachments and forwarded
    /// messages, in this order.
    #[must_use]
    pub const fn files(&self) -> usize {
        let others = match self.parts {
            Some(parts) => parts.files(),
            None => 0,
        };
        self.attachments.len().saturating_add(others)
    }

    /// Whether the message has bytes above 127. Then the envelope needs
    /// [`with_eight_bit`](super::Envelope::with_eight_bit).
    #[must_use]
    pub fn is_eight_bit(&self) -> bool {
        let encoding = match self.parts {
            Some(parts) => (parts.functions.encoding)(self),
            None => self.encoding_of(self.text),
        };
        encoding == Encoding::EightBit || self.is_international()
    }

    /// Whether the message has an address with characters outside ASCII, which are sent unencoded
    /// (RFC 6532), or forwards a message with such characters in its header. Then the server has to offer
    /// `SMTPUTF8`. Names and subject do not need it.
    #[must_use]
    pub fn is_international(&self) -> bool {
        if self.parts.is_some_and(Parts::is_international) {
            return true;
        }
        let lists = [core::slice::from_ref(&self.from), self.reply_to, self.to, self.cc];
        lists.into_iter().flatten().any(|mailbox| mailbox.address().is_international())
    }

    /// The size of the message in bytes, for [`Envelope::with_size`](super::Envelope::with_size). `None` if
    /// a file has no known size. The method prints everything but the files to count it.
    #[must_use]
    pub fn size(&self) -> Option<usize> {
        self.compose().measure()
    }

    /// Starts to print the message.
    #[must_use]
    pub const fn compose(&self) -> Composer<'_> {
        Composer::new(self)
    }

    /// The encoding of one of the texts.
    fn encoding_of(&self, text: &str) -> Encoding {
        self.encoding.of(text, self.parts.is_some() || !self.attachments.is_empty())
    }

    fn put_subject(&self, out: &mut Sink<'_>) {
        if self.subject.is_empty() {
            return;
        }
        out.put(b"Subject:");
        if words::is_plain(self.subject) {
            // A first line without a word would confuse more readers than a long one.
            words::put_folded(self.subject, true, out);
        } else {
            words::put_encoded(self.subject, out);
        }
        out.put(b"\r\n");
    }
}

/// Checks `left@right` of a message's or part's id, without quotes.
const fn check_id(id: &str) -> Result<(), ArgumentError> {
    match Address::new(id) {
        Ok(_) if matches!(id.as_bytes(), [b'"', ..]) => Err(ArgumentError::Malformed),
        Ok(_) => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_ends_a_line() {
        let from = Address::new("a@b.example").expect("valid");
        let message = Message::new(from.into(), &[]);
        for bad in ["a\r\nBcc: c@d", "a\r", "a\n", "\0", "a\tb", "\x7f"] {
            let error = Some(ArgumentError::Forbidden);
            assert_eq!(message.with_subject(bad).err(), error, "{bad:?}");
            assert_eq!(Mailbox::named(bad, from).err(), error, "{bad:?}");
        }
        assert_eq!(Mailbox::named("", from).err(), Some(ArgumentError::Empty));
        let long = [b'x'; MAX_TEXT + 1];
        let long = core::str::from_utf8(&long).expect("ASCII");
        let error = Some(ArgumentError::TooLong);
        assert_eq!(message.with_subject(long).err(), error);
        assert_eq!(Mailbox::named(long, from).err(), error);
        for (id, error) in [
            ("a@b>\r\nBcc: <c@d", ArgumentError::Forbidden),
            ("a@b>", ArgumentError::Malformed),
            ("a b@c", ArgumentError::Malformed),
            ("\"a b\"@c", ArgumentError::Malformed),
            ("a", ArgumentError::Malformed),
            ("ä@b", ArgumentError::NotAscii),
            ("", ArgumentError::Empty),
        ] {
            assert_eq!(message.with_id(id).err(), Some(error), "{id:?}");
        }
    }

    #[test]
    fn extensions_that_a_message_needs() {
        let from = Address::new("a@b.example").expect("valid");
        let abroad = [Address::international("ä@b.example").expect("valid").into()];
        let message =
            Message::new(from.into(), &[]).with_text("ä").with_encoding(Encoding::EightBit);
        assert!(message.is_eight_bit() && !message.is_international());
        assert!(!message.with_encoding(Encoding::default()).is_eight_bit());
        let message = message.with_text("a");
        assert!(!message.is_eight_bit());
        assert!(message.with_cc(&abroad).is_eight_bit());
        assert!(message.with_reply_to(&abroad).is_international());
    }
}
