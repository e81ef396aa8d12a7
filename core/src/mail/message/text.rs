//! The text of a message and its encoding (RFC 2045 §6).

use super::sink::{LINE, Sink};
use crate::mail::session::Extensions;

/// The longest line of a message, without CRLF, in bytes (RFC 5322 §2.1.1).
pub(super) const MAX_LINE: usize = 998;

/// The longest line of quoted-printable (RFC 2045 §6.7(5)).
const MAX_QUOTED: u8 = 76;

/// The start of every boundary. It cannot occur at the start of a line of a part: quoted-printable has no `=`
/// before `_`, base64 has no `_`, and other texts are looked at.
macro_rules! start {
    () => {
        "=_"
    };
}

/// The boundary of `multipart/mixed`. No boundary is the start of another one (RFC 2046 §5.1.1).
macro_rules! mixed {
    () => {
        concat!(start!(), "m")
    };
}

/// The start of every `dash-boundary = "--" boundary` (RFC 2046 §5.1.1).
pub(super) const DELIMITER: &[u8] = concat!("--", start!()).as_bytes();

/// The first header field of a message with attachments.
pub(super) const MULTIPART: &[u8] =
    concat!("Content-Type: multipart/mixed; boundary=\"", mixed!(), "\"\r\n").as_bytes();

/// The start of a part.
pub(super) const PART: &[u8] = concat!("\r\n--", mixed!(), "\r\n").as_bytes();

/// The end after the last part.
pub(super) const END: &[u8] = concat!("\r\n--", mixed!(), "--\r\n").as_bytes();

/// The encoding of a text, requested or chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Encoding {
    /// ASCII. A text that is ASCII with lines of at most 78 bytes stays unchanged; any other becomes
    /// quoted-printable. Every server accepts this.
    #[default]
    SevenBit,
    /// UTF-8, for a server that offers `8BITMIME`. A text with a line of more than 998 bytes or with a
    /// control character becomes quoted-printable.
    EightBit,
    /// Quoted-printable in every case, which no relay has a reason to change.
    QuotedPrintable,
}

impl Encoding {
    /// The encoding with the fewest changes that the server accepts.
    #[must_use]
    pub const fn offered(extensions: Extensions) -> Self {
        if extensions.eight_bit_mime() { Self::EightBit } else { Self::SevenBit }
    }

    /// The encoding chosen for `text`. In a multipart message a text that looks like a boundary has to be
    /// encoded.
    pub(super) fn of(self, text: &str, multipart: bool) -> Self {
        let limit = match self {
            Self::SevenBit => LINE,
            Self::EightBit => MAX_LINE,
            Self::QuotedPrintable => return self,
        };
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            let (line, after) = rest.split_at_checked(line_length(rest)).unwrap_or_default();
            // All of the line, without a branch: the compiler makes vector instructions of it.
            let has_control = line.iter().fold(false, |before, octet| {
                before | (octet.is_ascii_control() & (*octet != b'\t'))
            });
            if line.len() > limit || has_control || (multipart && line.starts_with(DELIMITER)) {
                return Self::QuotedPrintable;
            }
            rest = after.get(1..).unwrap_or_default();
        }
        match self {
            _ if text.is_ascii() => Self::SevenBit,
            Self::EightBit => Self::EightBit,
            _ => Self::QuotedPrintable,
        }
    }

    /// Prints the field `Content-Transfer-Encoding`.
    pub(super) fn put(self, out: &mut Sink<'_>) {
        out.put(b"Content-Transfer-Encoding: ");
        out.put(match self {
            Self::SevenBit => b"7bit\r\n",
            Self::EightBit => b"8bit\r\n",
            Self::QuotedPrintable => b"quoted-printable\r\n",
        });
    }

    /// Prints the field for what contains such a part: it tells of bytes above 127, and of nothing else
    /// (RFC 2045 §6.4).
    pub(super) fn put_composite(self, out: &mut Sink<'_>) {
        if self == Self::EightBit {
            self.put(out);
        }
    }
}

/// The number of bytes before the next line end.
fn line_length(text: &[u8]) -> usize {
    #[cfg(feature = "memchr")]
    let end = memchr::memchr2(b'\r', b'\n', text);
    #[cfg(not(feature = "memchr"))]
    let end = text.iter().position(|octet| matches!(octet, b'\r' | b'\n'));
    end.unwrap_or(text.len())
}

/// Prints one byte or line end from the front of a text, or more if `front` takes more. Returns how many bytes
/// it took, and the column. The last line gets a line end, too.
#[inline(never)]
pub(super) fn put(text: &[u8], column: u8, encoding: Encoding, out: &mut Sink<'_>) -> (usize, u8) {
    #[cfg(feature = "memchr")]
    if let Some(front) = front(text, column, encoding) {
        out.put(front);
        if encoding == Encoding::QuotedPrintable {
            let width = u8::try_from(front.len()).unwrap_or(MAX_QUOTED);
            return (front.len(), column.saturating_add(width));
        }
        let end = match text.get(front.len()..).unwrap_or_default() {
            [b'\r', b'\n', ..] => 2,
            [_, ..] => 1,
            [] => return (front.len(), 1),
        };
        out.put(b"\r\n");
        return (front.len().saturating_add(end), 0);
    }
    put_octet(text, column, encoding, out)
}

/// Prints one byte or line end.
fn put_octet(text: &[u8], column: u8, encoding: Encoding, out: &mut Sink<'_>) -> (usize, u8) {
    let line_end = match text {
        [b'\r', b'\n', ..] => Some(2),
        [b'\r' | b'\n', ..] => Some(1),
        [] => Some(0),
        _ => None,
    };
    if let Some(taken) = line_end {
        out.put(if taken > 0 || column > 0 { b"\r\n" } else { b"" });
        return (taken, 0);
    }
    let [octet, rest @ ..] = text else { return (0, 0) };
    let octet = *octet;
    if encoding != Encoding::QuotedPrintable {
        out.put(&[octet]);
        return (1, 1);
    }
    let last = matches!(rest, [] | [b'\r' | b'\n', ..]);
    let literal = match octet {
        b'=' => false,
        b'!'..=b'~' => true,
        // Mail programs may strip them at the end of a line (RFC 2045 §6.7(3)).
        b' ' | b'\t' => !last,
        _ => false,
    };
    let width = if literal { 1 } else { 3 };
    let limit = if last { MAX_QUOTED } else { MAX_QUOTED - 1 };
    let mut column = column.saturating_add(width);
    if column > limit {
        out.put(b"=\r\n");
        column = width;
    }
    if literal {
        out.put(&[octet]);
    } else {
        out.hexadecimal(b'=', octet);
    }
    (1, column)
}

/// The bytes at the front of a text that are printed as they are, without the last one of a quoted line.
/// `None` if there are none.
#[cfg(feature = "memchr")]
fn front(text: &[u8], column: u8, encoding: Encoding) -> Option<&[u8]> {
    let length = if encoding == Encoding::QuotedPrintable {
        let room = (MAX_QUOTED - 1).saturating_sub(column);
        let line = text.get(..room.into()).unwrap_or(text);
        let is_literal = |octet: &u8| matches!(octet, b'\t' | b' '..=b'<' | b'>'..=b'~');
        // Mostly all of them are, which vector instructions tell.
        let all = line.iter().fold(true, |before, octet| before & is_literal(octet));
        let other = if all { None } else { line.iter().position(|octet| !is_literal(octet)) };
        let length = other.unwrap_or(line.len());
        // It depends on the next byte what becomes of the last one.
        length.saturating_sub(1)
    } else {
        line_length(text)
    };
    text.get(..length).filter(|front| !front.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encoding_depends_on_the_text() {
        use Encoding::{EightBit, QuotedPrintable, SevenBit};
        let long = [b'x'; MAX_LINE + 1];
        let long = core::str::from_utf8(&long).expect("ASCII");
        for (asked, text, multipart, expected) in [
            (SevenBit, "", true, SevenBit),
            (SevenBit, "a\r\n\tb", true, SevenBit),
            (SevenBit, &long[..78], true, SevenBit),
            (SevenBit, &long[..79], true, QuotedPrintable),
            (SevenBit, "ä", true, QuotedPrintable),
            (SevenBit, "\0", true, QuotedPrintable),
            (SevenBit, "a\x1b", true, QuotedPrintable),
            (EightBit, "ä", true, EightBit),
            (EightBit, "a", true, SevenBit),
            (EightBit, &long[..998], true, SevenBit),
            (EightBit, long, true, QuotedPrintable),
            (EightBit, "ä\0", true, QuotedPrintable),
            (EightBit, "ä\n--=_\n", true, QuotedPrintable),
            (EightBit, "ä\n--=_\n", false, EightBit),
            (EightBit, "ä --=_\n", true, EightBit),
            (QuotedPrintable, "a", false, QuotedPrintable),
        ] {
            assert_eq!(asked.of(text, multipart), expected, "{asked:?} {text:?}");
        }
    }

    fn printed(text: &str, encoding: Encoding) -> heapless::String<512> {
        printed_by(put, text, encoding)
    }

    fn printed_by(
        put: impl Fn(&[u8], u8, Encoding, &mut Sink<'_>) -> (usize, u8),
        text: &str,
        encoding: Encoding,
    ) -> heapless::String<512> {
        let mut output = [0; 512];
        let mut out = Sink::new(&mut output);
        let (mut rest, mut column) = (text.as_bytes(), 0);
        loop {
            let (taken, at) = put(rest, column, encoding, &mut out);
            if taken == 0 {
                break;
            }
            (rest, column) = (&rest[taken..], at);
        }
        let n = out.printed();
        let text = core::str::from_utf8(&output[..n]).expect("UTF-8");
        heapless::String::try_from(text).expect("512 bytes are enough")
    }

    #[test]
    fn quoted_printable() {
        for (text, expected) in [
            ("", ""),
            ("\n", "\r\n"),
            ("a\nb\rc\r\nd", "a\r\nb\r\nc\r\nd\r\n"),
            ("a \n\t\n b\t", "a=20\r\n=09\r\n b=09\r\n"),
            ("1+1=2 ü~\x7f\0", "1+1=3D2 =C3=BC~=7F=00\r\n"),
            (".\nFrom a\n", ".\r\nFrom a\r\n"),
            ("--=_\n", "--=3D_\r\n"),
        ] {
            assert_eq!(printed(text, Encoding::QuotedPrintable), expected, "{text:?}");
        }
        let long = [b'x'; 154];
        for (end, lines) in [(76, &[76][..]), (77, &[76, 2]), (151, &[76, 76]), (152, &[76, 76, 2])]
        {
            let text = core::str::from_utf8(&long[..end]).expect("ASCII");
            let printed = printed(text, Encoding::QuotedPrintable);
            assert!(printed.lines().map(str::len).eq(lines.iter().copied()), "{printed}");
        }
    }

    #[test]
    fn parts_of_lines_are_printed_as_their_bytes_are() {
        let parts = ["x", "the quick brown fox", " ", "\t", "=", "ü", "\r\n", "\n", "\r", "", "~"];
        let mut state = 1_u32;
        for _ in 0..20_000 {
            let mut text = heapless::String::<160>::new();
            loop {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let part = parts[(state >> 20) as usize % parts.len()];
                let repeated = if part.len() == 1 { (state >> 16) as usize % 9 } else { 1 };
                if (0..=repeated).any(|_| text.push_str(part).is_err()) || state >> 28 == 0 {
                    break;
                }
            }
            for encoding in [Encoding::SevenBit, Encoding::EightBit, Encoding::QuotedPrintable] {
                let octets = printed_by(put_octet, &text, encoding);
                assert_eq!(printed(&text, encoding), octets, "{text:?} {encoding:?}");
            }
        }
    }

    #[test]
    fn eight_bit_text_is_unchanged() {
        assert_eq!(printed("ü =\n.", Encoding::EightBit), "ü =\r\n.\r\n");
    }
}
