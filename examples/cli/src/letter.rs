//! An existing message, and the sender and recipients in its header.

use std::io;

use starttls_std::Error;

use crate::addresses::Addresses;
use crate::header::fields;
use crate::message::{Message, Source};

/// The fields that hold addresses (RFC 5322 §3.6.2, §3.6.3 and §3.6.6; RFC 8098 §2.1).
const ADDRESSES: [&str; 13] = [
    "From",
    "Sender",
    "Reply-To",
    "To",
    "Cc",
    "Bcc",
    "Resent-From",
    "Resent-Sender",
    "Resent-Reply-To",
    "Resent-To",
    "Resent-Cc",
    "Resent-Bcc",
    "Disposition-Notification-To",
];

/// A message, with the sender and recipients in its header.
#[derive(Debug, Default)]
pub(crate) struct Letter {
    /// The addresses of `Sender`, else of `From`; the first is the sender.
    from: Addresses,
    /// The recipients of `To`, `Cc` and `Bcc`, each once.
    to: Addresses,
    /// The mail was redirected by hand, so its current recipients are unknown.
    resent: bool,
    /// Whether a field has an address with characters outside ASCII, for which a server needs `SMTPUTF8`
    /// (RFC 6531 §3.2).
    pub(crate) international: bool,
    /// The text of its first `Message-ID`.
    pub(crate) id: Option<String>,
    /// Without its `Bcc` fields.
    pub(crate) message: Message,
}

impl Letter {
    pub(crate) fn read(source: Source) -> io::Result<Self> {
        let mut letter = Self::default();
        letter.message = Message::read(source, |head| letter.take_header(head))?;
        Ok(letter)
    }

    /// Reads the header, and removes its `Bcc` fields.
    fn take_header(&mut self, message: &mut Vec<u8>) {
        let letter = self;
        let (mut sender, mut secret) = (None, Vec::new());
        for field in fields(message) {
            if field.is("Message-ID") {
                letter.id.get_or_insert(field.unfolded().trim().to_owned());
            }
            if !ADDRESSES.iter().any(|name| field.is(name)) {
                continue;
            }
            let found = Addresses::read(&field.unfolded());
            let is_secret = field.is("Bcc") || field.is("Resent-Bcc");
            letter.international |= !is_secret && found.international;
            if is_secret {
                secret.push(field.range.clone());
            }
            if field.is("Sender") {
                sender.get_or_insert(found);
            } else if field.is("From") {
                letter.from.extend(found);
            } else if ["To", "Cc", "Bcc"].iter().any(|name| field.is(name)) {
                letter.to.extend(found);
            } else if ["Resent-To", "Resent-Cc", "Resent-Bcc"].iter().any(|name| field.is(name)) {
                letter.resent = true;
            }
        }
        for range in secret.into_iter().rev() {
            message.drain(range);
        }
        if let Some(sender) = sender {
            letter.from = sender;
        }
    }

    /// The sender.
    ///
    /// # Errors
    /// An entry that is not an address.
    pub(crate) fn sender(&self) -> Result<&str, Error> {
        match (self.from.usable.first(), &self.from.unusable[..]) {
            (Some(first), _) => Ok(first),
            (None, []) => Err(bad("names no sender; pass one with --from".to_owned())),
            (None, _) => Err(self.from.error("names a sender that cannot be used", "--from")),
        }
    }

    /// The recipients: all in its header.
    ///
    /// # Errors
    /// An entry that is not an address; then the mail is not sent at all.
    pub(crate) fn recipients(&self) -> Result<&[String], Error> {
        if self.resent {
            let why = "was sent on before (Resent-To), which makes it unclear whom it is for now; \
                name the recipients with --to";
            return Err(bad(why.to_owned()));
        }
        match (&self.to.usable[..], &self.to.unusable[..]) {
            ([], []) => Err(bad("names no recipients; pass them with --to".to_owned())),
            (to, []) => Ok(to),
            _ => Err(self.to.error("names recipients that cannot be used", "--to")),
        }
    }

    /// Checks that the message is not empty.
    ///
    /// # Errors
    /// An empty message, which usually comes from a failed program earlier in the pipe.
    pub(crate) fn check(&self, allows_empty: bool) -> Result<(), Error> {
        if self.message.is_empty && !allows_empty {
            return Err(bad("is empty; pass --allow-empty if that is intended".to_owned()));
        }
        Ok(())
    }
}

impl Addresses {
    fn extend(&mut self, other: Self) {
        for address in other.usable {
            if !self.usable.contains(&address) {
                self.usable.push(address);
            }
        }
        self.unusable.extend(other.unusable);
    }

    fn error(&self, what: &str, option: &str) -> Error {
        let named: Vec<_> = self.unusable.iter().map(ToString::to_string).collect();
        bad(format!("{what}: {}; fix them, or pass all with {option}", named.join("; ")))
    }
}

fn bad(why: String) -> Error {
    Error::Argument { what: "the mail", why }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Letter {
        Letter::read(Source::Memory(text.into())).expect("memory")
    }

    #[test]
    fn an_envelope_from_a_header() {
        let text = "Received: x\r\nFrom: Me <me@a.test>\r\nTO: \"You, there\" <you@b.test>,\r\n \
            list: one@c.test, two@c.test;\r\nBcc: hidden@d.test,\r\n\talso@d.test\r\nCc: you@b.test\r\n\
            Subject: x\r\nbcc : third@d.test\r\n\r\nBcc: not a header\r\n";
        let letter = read(text);
        assert_eq!(letter.sender().expect("a sender"), "me@a.test");
        let to = ["you@b.test", "one@c.test", "two@c.test", "hidden@d.test", "also@d.test"];
        assert_eq!(letter.recipients().expect("all"), [&to[..], &["third@d.test"]].concat());
        let left = String::from_utf8(letter.message.to_bytes().expect("memory")).expect("UTF-8");
        let hidden = ["Bcc: hidden@d.test,\r\n\talso@d.test\r\n", "bcc : third@d.test\r\n"];
        assert_eq!(left, text.replace(hidden[0], "").replace(hidden[1], ""));
        assert!(!left.contains("d.test"), "{left}");

        assert_eq!(read("Sender: s@a.test\nFrom: f@a.test\n\n").sender().expect("one"), "s@a.test");
        for nothing in ["", "\r\n", "no header at all", "\u{0}"] {
            let letter = read(nothing);
            assert!(letter.sender().is_err() && letter.recipients().is_err());
            assert_eq!(letter.message.to_bytes().expect("memory"), nothing.as_bytes());
        }
    }

    #[test]
    fn no_recipient_is_dropped_silently() {
        for (text, named) in [
            ("To: root, b@a.test\n\n", "\"root\" has no domain"),
            ("To: b@a.test\nCc: c@a.test d@a.test\n\n", "\"c@a.test d@a.test\" is not an address"),
            ("To: b@a.test\nResent-To: c@a.test\n\n", "--to"),
            ("Cc: undisclosed-recipients:;\n\n", "no recipients"),
        ] {
            let error = read(text).recipients().expect_err(text).to_string();
            assert!(error.contains(named), "{text:?}: {error}");
        }
        let error =
            read("Sender: root\nFrom: a@b.test\n\n").sender().expect_err("none").to_string();
        assert!(error.contains("\"root\""), "{error}");
    }

    #[test]
    fn addresses_outside_ascii_need_smtputf8() {
        for (text, international) in [
            ("To: a@b\nSubject: \u{fc}\n\n", false),
            ("To: \u{fc} <a@b>\n\n", false),
            ("To: a@b\u{fc}cher.example\n\n", true),
            ("To: \u{fc}@b\n\n", true),
            ("Reply-To: list: a@b, \u{fc}@b;\n\n", true),
            ("Bcc: \u{fc}@b\n\n", false),
            ("To: a@b\n\nTo: \u{fc}@b\n", false),
        ] {
            assert_eq!(read(text).international, international, "{text}");
        }
    }

    #[test]
    fn empty_messages() {
        assert!(["", "\n", "\r\n\r\r\n"].iter().all(|text| read(text).message.is_empty));
        assert!(read("Bcc: a@b\n").message.is_empty);
        assert!([" ", ".", "A: b\n"].iter().all(|text| !read(text).message.is_empty));
    }
}
