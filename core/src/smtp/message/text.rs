//! The text of a message, and how it travels (RFC 2045 §6).

use super::sink::{LINE, Sink};
use crate::smtp::session::Extensions;

/// The longest line of a message, in octets, without CRLF (RFC 5322 §2.1.1).
const MAX_LINE: usize = 998;

/// The longest line of quoted-printable (RFC 2045 §6.7(5)).
const MAX_QUOTED: u8 = 76;

/// What every boundary begins with. Quoted-printable has no `=` before a `_`, and base64 no `_`.
pub(super) const BOUNDARY: &[u8] = b"=_";

/// How the text travels: what is asked for, and what becomes of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Encoding {
    /// In ASCII: as it is if it is ASCII with lines of at most 78 octets, else in quoted-printable.
    /// Every server takes that.
    #[default]
    SevenBit,
    /// In UTF-8, for a server that offers `8BITMIME`: as it is, unless a line has more than 998
    /// octets or there is a control character in it.
    EightBit,
    /// In quoted-printable, in any case: no relay has a reason to change anything about it.
    QuotedPrintable,
}

impl Encoding {
    /// The most that the server takes.
    #[must_use]
    pub const fn offered(extensions: Extensions) -> Self {
        if extensions.eight_bit_mime() { Self::EightBit } else { Self::SevenBit }
    }

    /// What becomes of `text`. What looks like a boundary cannot stand as it is between boundaries.
    pub(super) fn of(self, text: &str, multipart: bool) -> Self {
        let limit = match self {
            Self::SevenBit => LINE,
            Self::EightBit => MAX_LINE,
            Self::QuotedPrintable => return self,
        };
        for line in text.as_bytes().split(|octet| matches!(octet, b'\r' | b'\n')) {
            let delimits = multipart && line.strip_prefix(b"--").is_some_and(is_boundary);
            let control = line.iter().any(|octet| octet.is_ascii_control() && *octet != b'\t');
            if line.len() > limit || delimits || control {
                return Self::QuotedPrintable;
            }
        }
        match self {
            _ if text.is_ascii() => Self::SevenBit,
            Self::EightBit => Self::EightBit,
            _ => Self::QuotedPrintable,
        }
    }

    /// The value of `Content-Transfer-Encoding`.
    pub(super) const fn name(self) -> &'static [u8] {
        match self {
            Self::SevenBit => b"7bit",
            Self::EightBit => b"8bit",
            Self::QuotedPrintable => b"quoted-printable",
        }
    }
}

fn is_boundary(text: &[u8]) -> bool {
    text.starts_with(BOUNDARY)
}

/// Prints one octet or line end from the front of a text; returns what is left, and the column. Its
/// last line is ended.
pub(super) fn put<'a>(
    text: &'a [u8],
    column: u8,
    encoding: Encoding,
    out: &mut Sink<'_>,
) -> (&'a [u8], u8) {
    let (octet, rest) = match text {
        [b'\r', b'\n', rest @ ..] | [b'\r' | b'\n', rest @ ..] => {
            out.put(b"\r\n");
            return (rest, 0);
        }
        [octet, rest @ ..] => (*octet, rest),
        [] => {
            out.put(if column > 0 { b"\r\n" } else { b"" });
            return (text, 0);
        }
    };
    if encoding != Encoding::QuotedPrintable {
        out.put(&[octet]);
        return (rest, 1);
    }
    let last = matches!(rest, [] | [b'\r' | b'\n', ..]);
    let literal = match octet {
        b'=' => false,
        b'!'..=b'~' => true,
        // At the end of a line they would be lost (RFC 2045 §6.7(3)).
        b' ' | b'\t' => !last,
        _ => false,
    };
    let width = if literal { 1 } else { 3 };
    let limit = if last { MAX_QUOTED } else { MAX_QUOTED - 1 };
    let column = column.saturating_add(width);
    let column = if column > limit {
        out.put(b"=\r\n");
        width
    } else {
        column
    };
    if literal {
        out.put(&[octet])
    } else {
        out.hexadecimal(b'=', octet)
    }
    (rest, column)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_becomes_of_a_text() {
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
        let mut output = [0; 512];
        let mut out = Sink::new(&mut output);
        let (mut rest, mut column) = (text.as_bytes(), 0);
        while !rest.is_empty() {
            (rest, column) = put(rest, column, encoding, &mut out);
        }
        put(rest, column, encoding, &mut out);
        let n = out.printed();
        let text = core::str::from_utf8(&output[..n]).expect("UTF-8");
        heapless::String::try_from(text).expect("512 octets are enough")
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
    fn as_it_is() {
        assert_eq!(printed("ü =\n.", Encoding::EightBit), "ü =\r\n.\r\n");
    }
}
