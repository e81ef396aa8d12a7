//! Words of a header, plain or encoded (RFC 2047).

use super::sink::Sink;
use crate::ArgumentError;
use crate::mail::base64;

/// The longest subject, display name or header value, in bytes.
pub const MAX_TEXT: usize = 900;

/// The longest plain word, in bytes. It fits into a line with the name of its field.
const MAX_WORD: usize = 60;

/// The longest line with an encoded word, in characters (RFC 2047 §2).
const LINE: usize = 76;

/// The length of an encoded word around its text.
const FRAME: usize = b"=?utf-8?q??=".len();

/// Checks a text: no control characters, and not too long.
pub(super) const fn check(text: &str) -> Result<(), ArgumentError> {
    if text.len() > MAX_TEXT {
        return Err(ArgumentError::TooLong);
    }
    let mut rest = text.as_bytes();
    while let [octet, tail @ ..] = rest {
        if octet.is_ascii_control() {
            return Err(ArgumentError::Forbidden);
        }
        rest = tail;
    }
    Ok(())
}

/// Whether a blank is at either end or follows another one. Relays may change such blanks.
pub(super) const fn has_odd_blanks(text: &str) -> bool {
    let mut after_blank = true;
    let mut rest = text.as_bytes();
    while let [octet, tail @ ..] = rest {
        if *octet == b' ' && (after_blank || tail.is_empty()) {
            return true;
        }
        after_blank = *octet == b' ';
        rest = tail;
    }
    false
}

/// Whether the text can be sent unencoded: short ASCII words with single blanks, none of which looks like
/// an encoded word.
pub(super) fn is_plain(text: &str) -> bool {
    let (mut length, mut before) = (0_usize, b' ');
    for octet in text.bytes() {
        length = if octet == b' ' { 0 } else { length.saturating_add(1) };
        let odd = matches!((before, octet), (b'=', b'?') | (b' ', b' '));
        if odd || !octet.is_ascii() || length > MAX_WORD {
            return false;
        }
        before = octet;
    }
    before != b' ' || text.is_empty()
}

/// Prints words with a blank before each, on as many lines as needed. If `stays`, the first word is on the
/// field's line.
pub(super) fn put_folded(text: &str, stays: bool, out: &mut Sink<'_>) {
    for (n, word) in text.as_bytes().split(|octet| *octet == b' ').enumerate() {
        out.blank(if n == 0 && stays { 0 } else { word.len() });
        out.put(word);
    }
}

/// Prints `encoded-word = "=?" charset "?" encoding "?" encoded-text "?="` with a blank before each, one on
/// a line. No character spans two of them (RFC 2047 §5).
pub(super) fn put_encoded(text: &str, out: &mut Sink<'_>) {
    let mut rest = text.as_bytes();
    let length = rest.len();
    // RFC 2047 §4 recommends the encoding that is easier to read without a decoder.
    let ascii = rest.iter().filter(|octet| octet.is_ascii()).count();
    let quoted = ascii >= rest.iter().filter(|octet| **octet >= 0xc0).count();
    while !rest.is_empty() {
        if out.column() > 0 {
            out.put(if rest.len() == length { b"" } else { b"\r\n" });
        }
        let room = LINE.saturating_sub(out.column()).saturating_sub(FRAME + 1);
        let (word, after) = if quoted {
            fitting(rest, room, Some(&QUOTED))
        } else {
            fitting(rest, (room / 4).saturating_mul(3), None)
        };
        if word.is_empty() {
            // The field's name is long. The next line has room for any character.
            out.put(b"\r\n");
            continue;
        }
        out.put(if quoted { b" =?utf-8?q?" } else { b" =?utf-8?b?" });
        if quoted {
            QUOTED.put(word, out);
        } else {
            for octets in word.chunks(3) {
                let mut group = [0; 3];
                for (place, octet) in group.iter_mut().zip(octets) {
                    *place = *octet;
                }
                out.put(&base64::group(group, octets.len()));
            }
        }
        out.put(b"?=");
        rest = after;
    }
}

/// Splits off as many whole UTF-8 characters as fit into `room`.
pub(super) fn fitting<'t>(
    text: &'t [u8],
    mut room: usize,
    escape: Option<&Escape>,
) -> (&'t [u8], &'t [u8]) {
    let (mut end, mut at) = (0_usize, 0_usize);
    for octet in text {
        if octet & 0xc0 != 0x80 {
            end = at;
        }
        let width = if escape.is_none_or(|escape| escape.is_literal(*octet)) { 1 } else { 3 };
        match room.checked_sub(width) {
            Some(less) => room = less,
            None => return text.split_at_checked(end).unwrap_or((text, b"")),
        }
        at = at.saturating_add(1);
    }
    (text, b"")
}

/// An escaping: a mark and two hexadecimal digits.
#[derive(Debug)]
pub(super) struct Escape {
    pub(super) mark: u8,
    /// The unescaped bytes besides letters and digits.
    pub(super) literal: &'static [u8],
}

/// The Q encoding, restricted to bytes that are allowed everywhere (RFC 2047 §5(3)). A blank becomes `_`.
const QUOTED: Escape = Escape { mark: b'=', literal: b" !*+-/" };

impl Escape {
    #[expect(clippy::manual_contains, reason = "`contains` is larger")]
    fn is_literal(&self, octet: u8) -> bool {
        octet.is_ascii_alphanumeric() || self.literal.iter().any(|literal| *literal == octet)
    }

    pub(super) fn put(&self, octets: &[u8], out: &mut Sink<'_>) {
        for octet in octets {
            match *octet {
                octet if !self.is_literal(octet) => out.hexadecimal(self.mark, octet),
                b' ' => out.put(b"_"),
                octet => out.put(&[octet]),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(
        name: &str,
        text: &str,
        print: impl Fn(&str, &mut Sink<'_>),
    ) -> heapless::String<1024> {
        let mut output = [0; 1024];
        let mut out = Sink::new(&mut output);
        out.put(name.as_bytes());
        print(text, &mut out);
        let n = out.printed();
        let text = core::str::from_utf8(&output[..n]).expect("ASCII");
        heapless::String::try_from(text).expect("1024 bytes are enough")
    }

    #[test]
    fn plain_and_odd() {
        let (longest, too_long) = (filled::<60>("x"), filled::<61>("x"));
        for (text, plain) in [
            ("", true),
            ("21.5 C", true),
            ("a  b", false),
            (" a", false),
            ("a ", false),
            ("a=b?", true),
            ("=?utf-8?q?a?=", false),
            ("ä", false),
            (&longest, true),
            (&too_long, false),
        ] {
            assert_eq!(is_plain(text), plain, "{text:?}");
        }
    }

    #[test]
    fn words_are_folded() {
        let text = filled::<99>("word ");
        let folded = printed("Subject:", text.trim_end(), |text, out| put_folded(text, true, out));
        assert!(folded.lines().count() == 2 && folded.lines().all(|line| line.len() <= 78));
    }

    #[test]
    fn encoded_words() {
        for (text, expected) in [
            ("21,5 °C", " =?utf-8?q?21=2C5_=C2=B0C?="),
            ("日本", " =?utf-8?b?5pel5pys?="),
            ("a", " =?utf-8?q?a?="),
        ] {
            let printed = printed("X:", text, put_encoded);
            assert_eq!(printed.strip_prefix("X:"), Some(expected), "{text}");
        }
        for text in [filled::<150>("é😀"), filled::<150>("a日")] {
            for name in
                ["Subject:", "X:", "A-Name-That-Leaves-No-Room-For-Any-Characters-After-It:"]
            {
                let all = printed(name, &text, put_encoded);
                assert!(all.lines().all(|line| line.len() <= 76), "{all}");
                assert!(all.lines().count() > 3, "{all}");
            }
        }
    }

    #[test]
    fn whole_characters() {
        let text = "aé😀".as_bytes();
        for (room, end) in [(0, 0), (1, 1), (2, 1), (3, 3), (6, 3), (7, 7), (8, 7)] {
            assert_eq!(fitting(text, room, None), text.split_at(end), "{room}");
        }
    }

    /// The part repeated as often as it fits.
    fn filled<const N: usize>(part: &str) -> heapless::String<N> {
        let mut text = heapless::String::new();
        while text.push_str(part).is_ok() {}
        text
    }
}
