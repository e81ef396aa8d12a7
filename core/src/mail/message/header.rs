use super::sink::Sink;
use super::words;
use crate::ArgumentError;
use crate::mail::Address;
use crate::wire::same;

/// The longest name of a field, in bytes. An encoded character fits into the line after it.
const MAX_NAME: usize = 50;

/// The fields that a [`Message`](super::Message) writes itself, and those that must not be sent.
const WRITTEN: [&[u8]; 10] = [
    b"Bcc",
    b"Cc",
    b"Date",
    b"From",
    b"MIME-Version",
    b"Message-ID",
    b"Reply-To",
    b"Resent-Bcc",
    b"Subject",
    b"To",
];

/// A further header field.
///
/// The text is folded at its blanks. If it is not ASCII, it becomes encoded words, which only free text may
/// have, not a list of addresses or ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Header<'a> {
    pub(super) name: &'a str,
    pub(super) text: &'a str,
}

impl<'a> Header<'a> {
    /// `Auto-Submitted: auto-generated`, for a mail that a program sends and that answers no other
    /// (RFC 3834 §5). It keeps automatic responders from replying.
    pub const AUTO_GENERATED: Self = Self { name: "Auto-Submitted", text: "auto-generated" };

    /// `Auto-Submitted: auto-replied`, for a program's answer to a mail (RFC 3834 §5). Such a mail also has the
    /// field `In-Reply-To`.
    pub const AUTO_REPLIED: Self = Self { name: "Auto-Submitted", text: "auto-replied" };

    /// The two fields by which a reader of a mailing list unsubscribes with one click (RFC 8058 §3.1):
    /// `List-Unsubscribe` with this value, and `List-Unsubscribe-Post`. They count only in a mail whose DKIM
    /// signature covers both.
    ///
    /// `value` is a list of URLs in angle brackets, separated by commas (RFC 2369 §2). One of them is `https`;
    /// the others, such as `mailto`, are for other programs. The server of the `https` URL unsubscribes at a
    /// `POST`, without a login and without a question.
    ///
    /// ```
    /// use starttls::mail::message::Header;
    ///
    /// let value = "<https://list.example.org/leave?id=7f3a>, <mailto:leave@list.example.org>";
    /// let headers = Header::unsubscribe(value)?;
    /// # Ok::<(), starttls::ArgumentError>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`new`](Self::new); [`ArgumentError::NotAscii`]; [`ArgumentError::Malformed`] for what is no
    /// such list, for `http`, and for none or several `https` URLs.
    pub const fn unsubscribe(value: &'a str) -> Result<[Self; 2], ArgumentError> {
        if !value.is_ascii() {
            return Err(ArgumentError::NotAscii);
        }
        let field = match Self::new("List-Unsubscribe", value) {
            Ok(field) => field,
            Err(error) => return Err(error),
        };
        if !is_one_click(value.as_bytes()) {
            return Err(ArgumentError::Malformed);
        }
        let text = "List-Unsubscribe=One-Click";
        Ok([field, Self { name: "List-Unsubscribe-Post", text }])
    }

    /// A field. `name` has 1 to 50 bytes of printable ASCII without a colon (RFC 5322 §3.6.8). `text` has
    /// at most [`MAX_TEXT`](super::MAX_TEXT) bytes without control characters; in ASCII, single blanks
    /// separate its words.
    ///
    /// # Errors
    /// [`ArgumentError::Empty`], [`ArgumentError::TooLong`]; [`ArgumentError::NotAscii`] for the name;
    /// [`ArgumentError::Forbidden`] for a byte, for `Bcc`, `Resent-Bcc` and `Content-…`, and for fields
    /// that a message writes itself; [`ArgumentError::Malformed`] for other blanks.
    pub const fn new(name: &'a str, text: &'a str) -> Result<Self, ArgumentError> {
        if name.is_empty() || text.is_empty() {
            return Err(ArgumentError::Empty);
        }
        if name.len() > MAX_NAME {
            return Err(ArgumentError::TooLong);
        }
        let mut rest = name.as_bytes();
        while let [octet, tail @ ..] = rest {
            match octet {
                b'!'..=b'9' | b';'..=b'~' => rest = tail,
                0x80.. => return Err(ArgumentError::NotAscii),
                _ => return Err(ArgumentError::Forbidden),
            }
        }
        if is_written(name.as_bytes()) {
            return Err(ArgumentError::Forbidden);
        }
        match words::check(text) {
            Ok(()) if text.is_ascii() && words::has_odd_blanks(text) => {
                Err(ArgumentError::Malformed)
            }
            Ok(()) => Ok(Self { name, text }),
            Err(error) => Err(error),
        }
    }

    /// Prints the whole field.
    pub(super) fn put(&self, out: &mut Sink<'_>) {
        out.put(self.name.as_bytes());
        out.put(b":");
        if self.text.is_ascii() {
            words::put_folded(self.text, true, out);
        } else {
            words::put_encoded(self.text, out);
        }
        out.put(b"\r\n");
    }
}

/// Scans `"<" URL ">" *("," [SP] "<" URL ">")` with one `https` URL and no `http` URL.
const fn is_one_click(mut rest: &[u8]) -> bool {
    let mut secure = 0_usize;
    while let [b'<', url @ ..] = rest {
        if starts_with(url, b"http://") {
            return false;
        }
        if starts_with(url, b"https://") {
            // A host follows.
            match url.split_at_checked(b"https://".len()) {
                Some((_, [first, ..])) if first.is_ascii_alphanumeric() || *first == b'[' => {}
                _ => return false,
            }
            secure = secure.saturating_add(1);
        }
        rest = url;
        let mut has_scheme = false;
        // The characters of RFC 3986 §2.
        while let [
            b'!' | b'#'..=b';' | b'=' | b'?'..=b'[' | b']' | b'_' | b'a'..=b'z' | b'~',
            tail @ ..,
        ] = rest
        {
            has_scheme |= matches!(rest, [b':', ..]);
            rest = tail;
        }
        rest = match rest {
            [b'>'] if has_scheme => return secure == 1,
            [b'>', b',', b' ', more @ ..] | [b'>', b',', more @ ..] if has_scheme => more,
            _ => return false,
        };
    }
    false
}

const fn starts_with(text: &[u8], start: &[u8]) -> bool {
    match text.split_at_checked(start.len()) {
        Some((found, _)) => same(found, start),
        None => false,
    }
}

const fn is_written(name: &[u8]) -> bool {
    let mut fields = WRITTEN.as_slice();
    while let [field, others @ ..] = fields {
        if same(name, field) {
            return true;
        }
        fields = others;
    }
    starts_with(name, b"Content-")
}

/// The longest quoted name, with its quotes.
const MAX_QUOTED: usize = 64;

/// An address with an optional display name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Mailbox<'a> {
    pub(super) address: Address<'a>,
    pub(super) name: Option<&'a str>,
}

impl<'a> Mailbox<'a> {
    /// An address without a name.
    #[must_use]
    pub const fn new(address: Address<'a>) -> Self {
        Self { address, name: None }
    }

    /// An address with a name of any characters except control characters.
    ///
    /// # Errors
    /// [`ArgumentError::Empty`], [`ArgumentError::TooLong`] above [`MAX_TEXT`](super::MAX_TEXT)
    /// bytes, [`ArgumentError::Forbidden`].
    pub const fn named(name: &'a str, address: Address<'a>) -> Result<Self, ArgumentError> {
        if name.is_empty() {
            return Err(ArgumentError::Empty);
        }
        match words::check(name) {
            Ok(()) => Ok(Self { address, name: Some(name) }),
            Err(error) => Err(error),
        }
    }

    /// The address.
    #[must_use]
    pub const fn address(&self) -> Address<'a> {
        self.address
    }

    /// The name, if there is one.
    #[must_use]
    pub const fn name(&self) -> Option<&'a str> {
        self.name
    }

    /// Prints `name-addr = [display-name] angle-addr` (RFC 5322 §3.4), with a blank before it. The brackets
    /// keep readers from taking a quoted local part for a name.
    pub(super) fn put(&self, out: &mut Sink<'_>) {
        if let Some(name) = self.name {
            put_name(name, out);
        }
        let address = self.address.as_str();
        // The width includes the brackets and a comma. A line with an encoded name ends two characters
        // earlier.
        out.blank(address.len().saturating_add(5));
        out.put(b"<");
        out.put(address.as_bytes());
        out.put(b">");
    }
}

impl<'a> From<Address<'a>> for Mailbox<'a> {
    fn from(address: Address<'a>) -> Self {
        Self::new(address)
    }
}

const fn needs_escape(octet: u8) -> bool {
    matches!(octet, b'"' | b'\\')
}

/// Prints a `display-name`, with a blank before it.
fn put_name(name: &str, out: &mut Sink<'_>) {
    let escapes = name.bytes().filter(|octet| needs_escape(*octet)).count();
    let quoted = name.len().saturating_add(escapes).saturating_add(2);
    if quoted > MAX_QUOTED || !words::is_plain(name) {
        return words::put_encoded(name, out);
    }
    out.put(b" \"");
    for octet in name.bytes() {
        out.put(if needs_escape(octet) { b"\\" } else { b"" });
        out.put(&[octet]);
    }
    out.put(b"\"");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields() {
        const GOOD: Result<Header<'_>, ArgumentError> = Header::new("X-Sensor", "gate 7");
        assert!(GOOD.is_ok());
        for (name, text, error) in [
            ("", "a", ArgumentError::Empty),
            ("A", "", ArgumentError::Empty),
            ("A", "b\r\nBcc: c@d", ArgumentError::Forbidden),
            ("A", "b\tc", ArgumentError::Forbidden),
            ("A: b\r\nBcc", "c@d", ArgumentError::Forbidden),
            ("A:", "b", ArgumentError::Forbidden),
            ("A b", "c", ArgumentError::Forbidden),
            ("Ä", "b", ArgumentError::NotAscii),
            ("bcc", "a@b", ArgumentError::Forbidden),
            ("resent-bcc", "a@b", ArgumentError::Forbidden),
            ("FROM", "a@b", ArgumentError::Forbidden),
            ("content-Anything", "a", ArgumentError::Forbidden),
            ("A", "b  c", ArgumentError::Malformed),
            ("A", " ", ArgumentError::Malformed),
        ] {
            assert_eq!(Header::new(name, text), Err(error), "{name:?} {text:?}");
        }
        let long = [b'x'; MAX_NAME + 1];
        let long = core::str::from_utf8(&long).expect("ASCII");
        assert_eq!(Header::new(long, "a"), Err(ArgumentError::TooLong));
        assert!(Header::new(&long[1..], "ä  b ").is_ok());
    }

    #[test]
    fn unsubscribing_with_one_click() {
        const GOOD: Result<[Header<'_>; 2], ArgumentError> =
            Header::unsubscribe("<https://a.example/?b=c%20d&e=[f]>");
        let mut output = [0; 200];
        let mut out = Sink::new(&mut output);
        for header in GOOD.expect("valid") {
            header.put(&mut out);
        }
        let printed = out.printed();
        let expected = "List-Unsubscribe: <https://a.example/?b=c%20d&e=[f]>\r\n\
            List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n";
        assert_eq!(core::str::from_utf8(&output[..printed]), Ok(expected));
        for good in ["<mailto:a@b>,<HTTPS://c>", "<https://[::1]/>, <mailto:a@b?subject=c>"] {
            assert!(Header::unsubscribe(good).is_ok(), "{good}");
        }
        for (bad, error) in [
            ("", ArgumentError::Empty),
            ("https://a.example/", ArgumentError::Malformed),
            ("<https://a.example/", ArgumentError::Malformed),
            ("<https://>", ArgumentError::Malformed),
            ("<https:///a>", ArgumentError::Malformed),
            ("<http://a.example/>", ArgumentError::Malformed),
            ("<https://a>, <http://a>", ArgumentError::Malformed),
            ("<https://a>, <https://b>", ArgumentError::Malformed),
            ("<mailto:a@b>", ArgumentError::Malformed),
            ("<https://a>, <b>", ArgumentError::Malformed),
            ("<https://a>,", ArgumentError::Malformed),
            ("<https://a> <mailto:b@c>", ArgumentError::Malformed),
            ("<https://a b>", ArgumentError::Malformed),
            ("<https://a>b>", ArgumentError::Malformed),
            ("<https://a\"b>", ArgumentError::Malformed),
            ("<https://a\\b>", ArgumentError::Malformed),
            ("<https://ä>", ArgumentError::NotAscii),
            ("<https://a>\r\nBcc: b@c", ArgumentError::Forbidden),
        ] {
            assert_eq!(Header::unsubscribe(bad), Err(error), "{bad:?}");
        }
    }

    #[test]
    fn mailboxes() {
        let long =
            "a@b.example.org-with-a-domain-of-eighty-octets-that-leaves-no-room-for-a-name.example";
        for (name, address, expected) in [
            (None, "a@b", "To: <a@b>"),
            (None, "\"a b\"@c", "To: <\"a b\"@c>"),
            (Some("Sensor 7, gate"), "a@b", "To: \"Sensor 7, gate\" <a@b>"),
            (Some("a\"b\\"), "a@b", "To: \"a\\\"b\\\\\" <a@b>"),
            (Some("a  b"), "a@b", "To: =?utf-8?q?a__b?= <a@b>"),
            (Some("Jürgen"), "a@b", "To: =?utf-8?q?J=C3=BCrgen?= <a@b>"),
            (Some("a@b (c)"), long, "To: \"a@b (c)\"\r\n <a@b"),
        ] {
            let mut output = [0; 200];
            let mut out = Sink::new(&mut output);
            out.put(b"To:");
            let address = Address::new(address).expect("valid");
            let mailbox = name.map_or(Ok(address.into()), |name| Mailbox::named(name, address));
            mailbox.expect("valid").put(&mut out);
            let printed = out.printed();
            let line = core::str::from_utf8(&output[..printed]).expect("ASCII");
            assert!(line.starts_with(expected), "{line}");
        }
    }
}
