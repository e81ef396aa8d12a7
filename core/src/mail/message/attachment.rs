use super::composer::encoded_size;
use super::sink::{LINE, Sink};
use super::words::{self, Escape};
use crate::ArgumentError;
use crate::wire::same;

/// The longest content type, in bytes.
const MAX_TYPE: usize = 127;

/// The longest file name, in bytes, as in file systems.
const MAX_NAME: usize = 255;

/// The text before a file name that is not continued.
const EXTENDED: &[u8] = b" filename*=utf-8''";

/// The longest quoted file name, without its quotes.
const MAX_QUOTED: usize = 64;

/// A file attached to a message, in base64. Its bytes follow later, see
/// [`Composer::attach`](super::Composer::attach).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Attachment<'a> {
    pub(super) content_type: &'a str,
    pub(super) name: &'a str,
    pub(super) size: Option<usize>,
}

impl<'a> Attachment<'a> {
    /// An attachment. `content_type` has at most 127 bytes of `type/subtype` and parameters (RFC 2045
    /// §5.1), for example `image/jpeg` or `text/csv; charset=utf-8`. `name` is the file's name, 1 to 255
    /// bytes of UTF-8.
    ///
    /// # Errors
    /// [`ArgumentError::Empty`], [`ArgumentError::TooLong`]; [`ArgumentError::Malformed`] for the type;
    /// [`ArgumentError::Forbidden`] for a control character in the name, and for `message/…` and
    /// `multipart/…`, which base64 is not allowed for (RFC 2045 §6.4); a message is
    /// [`Forwarded`](super::Forwarded).
    pub const fn new(content_type: &'a str, name: &'a str) -> Result<Self, ArgumentError> {
        if content_type.is_empty() {
            return Err(ArgumentError::Empty);
        }
        if content_type.len() > MAX_TYPE {
            return Err(ArgumentError::TooLong);
        }
        match content(content_type.as_bytes()) {
            Some([]) => {}
            _ => return Err(ArgumentError::Malformed),
        }
        if is_of(content_type, b"message/") || is_of(content_type, b"multipart/") {
            return Err(ArgumentError::Forbidden);
        }
        match check_name(name) {
            Ok(()) => Ok(Self { content_type, name, size: None }),
            Err(error) => Err(error),
        }
    }

    /// Sets the size of the file in bytes, which [`Message::size`](super::Message::size) needs.
    #[must_use]
    pub const fn with_size(mut self, octets: usize) -> Self {
        self.size = Some(octets);
        self
    }

    /// The size of the file in bytes, if it was set.
    #[must_use]
    pub const fn size(&self) -> Option<usize> {
        self.size
    }

    /// Prints the header of the part.
    pub(super) fn put(&self, out: &mut Sink<'_>) {
        self.put_type(out);
        out.put(b"Content-Disposition: attachment;\r\n");
        put_name(self.name, out);
    }

    /// Prints the type and the encoding.
    pub(super) fn put_type(&self, out: &mut Sink<'_>) {
        out.put(b"Content-Type:");
        words::put_folded(self.content_type, false, out);
        out.put(b"\r\nContent-Transfer-Encoding: base64\r\n");
    }

    /// The size in base64, if the size is known.
    pub(super) fn encoded_size(&self) -> Option<usize> {
        self.size.map(encoded_size)
    }

    /// The name of the file.
    pub(super) const fn name(&self) -> &'a str {
        self.name
    }
}

/// Checks the name of a file.
pub(super) const fn check_name(name: &str) -> Result<(), ArgumentError> {
    match name.len() {
        0 => Err(ArgumentError::Empty),
        1..=MAX_NAME => words::check(name),
        _ => Err(ArgumentError::TooLong),
    }
}

/// Prints the file name of a `Content-Disposition`, and the end of the header.
pub(super) fn put_name(name: &str, out: &mut Sink<'_>) {
    if name.len() <= MAX_QUOTED
        && !name.bytes().any(|octet| matches!(octet, b'"' | b'\\'))
        && words::is_plain(name)
    {
        out.put(b" filename=\"");
        out.put(name.as_bytes());
        out.put(b"\"\r\n\r\n");
    } else {
        put_extended(name.as_bytes(), out);
    }
}

/// The part of `attribute-char` that is safe everywhere; RFC 2231 §7 allows more.
const PERCENT: Escape = Escape { mark: b'%', literal: b".-_" };

/// Prints `filename*=utf-8''…`, or `filename*0*=utf-8''…;` and so on (RFC 2231 §3 and §4).
fn put_extended(mut rest: &[u8], out: &mut Sink<'_>) {
    let mut section = 0_u32;
    let (_, more) = words::fitting(rest, LINE.saturating_sub(EXTENDED.len()), Some(&PERCENT));
    let one = more.is_empty();
    while !rest.is_empty() {
        out.put(b" filename");
        if !one {
            out.digits(b'*', if section > 9 { 2 } else { 1 }, section);
        }
        out.put(if section == 0 { b"*=utf-8''" } else { b"*=" });
        section = section.saturating_add(1);
        // A continued name needs room for a semicolon.
        let room = LINE.saturating_sub(out.column()).saturating_sub(usize::from(!one));
        let (fits, after) = words::fitting(rest, room, Some(&PERCENT));
        PERCENT.put(fits, out);
        out.put(if after.is_empty() { b"\r\n\r\n" } else { b";\r\n" });
        rest = after;
    }
}

pub(super) const fn is_of(content_type: &str, start: &[u8]) -> bool {
    match content_type.as_bytes().split_at_checked(start.len()) {
        Some((family, _)) => same(family, start),
        None => false,
    }
}

/// Scans `type "/" subtype *(";" [SP] attribute "=" value)`.
const fn content(input: &[u8]) -> Option<&[u8]> {
    let Some([b'/', subtype @ ..]) = token(input) else { return None };
    let mut rest = token(subtype);
    while let Some([b';', b' ', parameter @ ..] | [b';', parameter @ ..]) = rest {
        rest = match token(parameter) {
            Some([b'=', b'"', value @ ..]) => quoted(value),
            Some([b'=', value @ ..]) => token(value),
            _ => None,
        };
    }
    rest
}

/// Scans a nonempty `token` (RFC 2045 §5.1).
pub(super) const fn token(input: &[u8]) -> Option<&[u8]> {
    let mut rest = input;
    while let [octet, tail @ ..] = rest
        && (octet.is_ascii_alphanumeric()
            || matches!(
                octet,
                b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'{'..=b'~'
            ))
    {
        rest = tail;
    }
    if rest.len() < input.len() { Some(rest) } else { None }
}

/// Scans the rest of a `quoted-string` without escapes.
const fn quoted(mut rest: &[u8]) -> Option<&[u8]> {
    loop {
        rest = match rest {
            [b'"', tail @ ..] => return Some(tail),
            [b'\\', ..] => return None,
            [b' '..=b'~', tail @ ..] => tail,
            _ => return None,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types() {
        for good in [
            "image/jpeg",
            "application/vnd.api+json",
            "text/csv; charset=utf-8",
            "text/csv;charset=\"utf-8\"; header=present",
        ] {
            assert!(Attachment::new(good, "a").is_ok(), "{good}");
        }
        for bad in [
            "image",
            "image/",
            "/jpeg",
            "image/jpeg;",
            "image/jpeg ",
            "image/jpeg; a",
            "image/jpeg; a=",
            "image/jpeg; a=\"",
            "image/jpeg; a=\"\\\"\"",
            "image/jpeg; a=b; ",
            "image/jpeg\r\nBcc: a@b",
            "image/jpeg; a=\"\r\nBcc: a@b\"",
            "image/jpég",
        ] {
            assert_eq!(Attachment::new(bad, "a"), Err(ArgumentError::Malformed), "{bad}");
        }
        for bad in ["Message/rfc822", "MULTIPART/mixed; boundary=a"] {
            assert_eq!(Attachment::new(bad, "a"), Err(ArgumentError::Forbidden), "{bad}");
        }
    }

    #[test]
    fn file_names() {
        const CONSTANT: Result<Attachment<'_>, ArgumentError> = Attachment::new("a/b", "c");
        assert!(CONSTANT.is_ok());
        for (name, error) in [
            ("", ArgumentError::Empty),
            ("a\r\nBcc: b@c", ArgumentError::Forbidden),
            ("a\0", ArgumentError::Forbidden),
            ("a\x7f", ArgumentError::Forbidden),
        ] {
            assert_eq!(Attachment::new("a/b", name), Err(error), "{name:?}");
        }
        let long = [b'x'; MAX_NAME + 1];
        let long = core::str::from_utf8(&long).expect("ASCII");
        assert_eq!(Attachment::new("a/b", long), Err(ArgumentError::TooLong));
        assert!(Attachment::new("a/b", &long[1..]).is_ok());
    }

    fn named(name: &str) -> heapless::String<2048> {
        let mut output = [0; 2048];
        let mut out = Sink::new(&mut output);
        Attachment::new("a/b", name).expect("valid").put(&mut out);
        let n = out.printed();
        let text = core::str::from_utf8(&output[..n]).expect("ASCII");
        heapless::String::try_from(text).expect("2048 bytes are enough")
    }

    #[test]
    fn plain_extended_and_continued() {
        assert!(named("gate 7.jpg").ends_with("attachment;\r\n filename=\"gate 7.jpg\"\r\n\r\n"));
        assert!(named("a\"b").ends_with(" filename*=utf-8''a%22b\r\n\r\n"));
        assert!(named("Tür.jpg").ends_with(" filename*=utf-8''T%C3%BCr.jpg\r\n\r\n"));
        let mut long = heapless::String::<255>::new();
        while long.push('😀').is_ok() {}
        let all = named(&long);
        assert!(all.lines().all(|line| line.len() <= LINE), "{all}");
        assert!(all.contains(" filename*0*=utf-8''%F0%9F%98%80"), "{all}");
        assert!(all.contains(" filename*12*=%F0%9F%98%80"), "{all}");
    }
}
