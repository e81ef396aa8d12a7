use super::attachment::{is_of, token};
use super::sink::Sink;
use super::words;
use crate::ArgumentError;
use crate::wire::same;

/// The longest subtype, in bytes (RFC 6838 §4.2).
const MAX_TYPE: usize = 127;

/// The longest `METHOD`, in bytes. The registered ones have at most 14.
const MAX_METHOD: usize = 40;

/// Another form of a message's text, for readers that can show it (RFC 2046 §5.1.4). The order is that of
/// preference, the best form last.
///
/// Its lines may end with LF, CRLF or CR, as those of the [text](super::Message::with_text).
///
/// ```
/// use starttls::mail::message::Alternative;
///
/// let html = Alternative::html("<p>All is <b>well</b>.</p>\n");
/// let event = Alternative::calendar("\
///     BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//example//gate//EN\nMETHOD:REQUEST\n\
///     BEGIN:VEVENT\nUID:7@example.org\nDTSTAMP:20261121T120000Z\nDTSTART:20261122T090000Z\n\
///     ORGANIZER:mailto:me@example.org\nATTENDEE:mailto:you@example.org\nSUMMARY:Gate\nEND:VEVENT\n\
///     END:VCALENDAR\n")?;
/// let alternatives = [html, event];
/// # Ok::<(), starttls::ArgumentError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Alternative<'a> {
    pub(super) content_type: &'a str,
    pub(super) method: Option<&'a str>,
    pub(super) text: &'a str,
}

impl<'a> Alternative<'a> {
    /// HTML. Its pictures are the [`Inline`](super::Inline) parts of the message.
    #[must_use]
    pub const fn html(text: &'a str) -> Self {
        Self { content_type: "text/html", method: None, text }
    }

    /// A calendar's event, such as an invitation (RFC 5545). The part's `method` is the calendar's `METHOD`
    /// (RFC 6047 §2.4).
    ///
    /// # Errors
    /// [`ArgumentError::Malformed`] if the text does not begin with `BEGIN:VCALENDAR`, or has no `METHOD` of
    /// 1 to 40 letters, digits and hyphens before its first component.
    pub const fn calendar(text: &'a str) -> Result<Self, ArgumentError> {
        match method(text) {
            Some(method) => Ok(Self { content_type: "text/calendar", method: Some(method), text }),
            None => Err(ArgumentError::Malformed),
        }
    }

    /// A text of another type, for example `text/enriched`; without parameters, since UTF-8 is added.
    ///
    /// # Errors
    /// [`ArgumentError::TooLong`] above 127 bytes; [`ArgumentError::Malformed`] for what is not `text/…`.
    pub const fn new(content_type: &'a str, text: &'a str) -> Result<Self, ArgumentError> {
        if content_type.len() > MAX_TYPE {
            return Err(ArgumentError::TooLong);
        }
        let Some((_, subtype)) = content_type.as_bytes().split_at_checked(b"text/".len()) else {
            return Err(ArgumentError::Malformed);
        };
        match token(subtype) {
            Some([]) if is_of(content_type, b"text/") => {
                Ok(Self { content_type, method: None, text })
            }
            _ => Err(ArgumentError::Malformed),
        }
    }

    /// The text.
    #[must_use]
    pub const fn text(&self) -> &'a str {
        self.text
    }

    /// The type, without parameters.
    #[must_use]
    pub const fn content_type(&self) -> &'a str {
        self.content_type
    }

    /// Prints the type.
    pub(super) fn put(&self, out: &mut Sink<'_>) {
        out.put(b"Content-Type:");
        words::put_folded(self.content_type, true, out);
        put_parameter(b"charset=", b"utf-8", out);
        if let Some(method) = self.method {
            put_parameter(b"method=", method.as_bytes(), out);
        }
        out.put(b"\r\n");
    }
}

fn put_parameter(name: &[u8], value: &[u8], out: &mut Sink<'_>) {
    out.put(b";");
    out.blank(name.len().saturating_add(value.len()).saturating_add(1));
    out.put(name);
    out.put(value);
}

/// The value of `METHOD`, which stands before the first component (RFC 5545 §3.6 and §3.7.2).
const fn method(calendar: &str) -> Option<&str> {
    let (mut rest, mut first) = (calendar, true);
    loop {
        let (line, after) = match line_of(rest) {
            Some((line, after)) if !rest.is_empty() => (line, after),
            _ => return None,
        };
        match (first, property(line, b"BEGIN:"), property(line, b"METHOD:")) {
            (true, Some(name), _) if same(name.as_bytes(), b"VCALENDAR") => first = false,
            (true, ..) | (_, Some(_), _) => return None,
            // A folded value would be cut off.
            (_, _, Some(value)) => {
                return match (is_token(value.as_bytes()), after.as_bytes()) {
                    (true, [b' ' | b'\t', ..]) | (false, _) => None,
                    (true, _) => Some(value),
                };
            }
            _ => {}
        }
        rest = after;
    }
}

/// Splits off the first line. An empty line follows a CR that is followed by an LF.
const fn line_of(text: &str) -> Option<(&str, &str)> {
    let (mut rest, mut end) = (text.as_bytes(), 0_usize);
    while let [octet, tail @ ..] = rest {
        if matches!(octet, b'\r' | b'\n') {
            let length = if let [b'\r', b'\n', ..] = rest { 2 } else { 1 };
            let Some((line, after)) = text.split_at_checked(end) else { return None };
            let Some((_, after)) = after.split_at_checked(length) else { return None };
            return Some((line, after));
        }
        end = end.saturating_add(1);
        rest = tail;
    }
    Some((text, ""))
}

/// The value of the property with this name and a colon.
const fn property<'l>(line: &'l str, name: &[u8]) -> Option<&'l str> {
    match line.split_at_checked(name.len()) {
        Some((start, value)) if same(start.as_bytes(), name) => Some(value),
        _ => None,
    }
}

/// `iana-token = 1*(ALPHA / DIGIT / "-")` (RFC 5545 §3.1), short enough for a line of the header.
const fn is_token(value: &[u8]) -> bool {
    let mut rest = value;
    while let [octet, tail @ ..] = rest {
        if !octet.is_ascii_alphanumeric() && *octet != b'-' {
            return false;
        }
        rest = tail;
    }
    !value.is_empty() && value.len() <= MAX_METHOD
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(alternative: &Alternative<'_>) -> heapless::String<256> {
        let mut output = [0; 256];
        let mut out = Sink::new(&mut output);
        alternative.put(&mut out);
        let n = out.printed();
        let text = core::str::from_utf8(&output[..n]).expect("ASCII");
        heapless::String::try_from(text).expect("256 bytes are enough")
    }

    #[test]
    fn types() {
        let html = printed(&Alternative::html("<p>"));
        assert_eq!(html, "Content-Type: text/html; charset=utf-8\r\n");
        let long = [b'x'; 122];
        let mut name = heapless::String::<128>::try_from("text/").expect("room");
        name.push_str(core::str::from_utf8(&long).expect("ASCII")).expect("room");
        let other = printed(&Alternative::new(&name, "").expect("valid"));
        assert!(other.ends_with("x;\r\n charset=utf-8\r\n"), "{other}");
        name.push('x').expect("room");
        assert_eq!(Alternative::new(&name, ""), Err(ArgumentError::TooLong));
        for bad in ["", "text", "text/", "image/png", "text/a; b=c", "text/a b", "text/a\r\nB: c"] {
            assert_eq!(Alternative::new(bad, ""), Err(ArgumentError::Malformed), "{bad:?}");
        }
    }

    #[test]
    fn calendars() {
        const GOOD: Result<Alternative<'_>, ArgumentError> =
            Alternative::calendar("BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\n");
        let printed = printed(&GOOD.expect("a method"));
        assert_eq!(printed, "Content-Type: text/calendar; charset=utf-8; method=REQUEST\r\n");
        for (calendar, method) in [
            ("begin:vcalendar\nVERSION:2.0\nmethod:cancel\nBEGIN:VEVENT", Some("cancel")),
            ("BEGIN:VCALENDAR\rMETHOD:X-A", Some("X-A")),
            ("", None),
            ("BEGIN:VCALENDAR", None),
            ("METHOD:REQUEST\n", None),
            ("BEGIN:VCARD\nMETHOD:REQUEST\n", None),
            ("BEGIN:VCALENDAR\nBEGIN:VEVENT\nMETHOD:REQUEST\n", None),
            ("BEGIN:VCALENDAR\nMETHOD:\n", None),
            ("BEGIN:VCALENDAR\nMETHOD:A; b=\"c\"\n", None),
            ("BEGIN:VCALENDAR\nMETHOD:REQ\n UEST\n", None),
            ("BEGIN:VCALENDAR\nMETHOD:réponse\n", None),
        ] {
            let found = Alternative::calendar(calendar).ok().and_then(|found| found.method);
            assert_eq!(found, method, "{calendar:?}");
        }
    }
}
