use super::{MAX_DEPTH, MAX_FRAME};
use crate::Error;
use crate::wire::Framing;

/// A stream of XML (RFC 6120 §4), split into the XML declaration, the header's tag, each complete child of
/// the stream, the stream's end tag, and each blank in between.
///
/// A frame ends after its last `>`. It is UTF-8 without control characters, comments, CDATA sections,
/// processing instructions and document types (RFC 6120 §11.1). The reader checks that tags match.
#[derive(Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Elements {
    scanned: u16,
    character: Character,
    /// The number of open elements, including the stream.
    depth: u8,
    /// The first byte after the `<` of the open markup; zero in text.
    markup: u8,
    /// The quote that ends the open value in it.
    quote: u8,
    /// Whether the stream's first byte was seen.
    begun: bool,
}

impl Elements {
    /// Takes one byte, and returns whether it ends the frame. The reader checks the inside of markup.
    #[inline(never)]
    fn take(&mut self, octet: u8) -> Option<bool> {
        let last = self.character.last;
        self.character.take(octet)?;
        match (octet, self.markup) {
            (0..=8 | 11 | 12 | 14..=31, _) => return None,
            (b'<', 0) => self.markup = b'<',
            (b'<', _) => return None,
            // Only blanks may separate the children.
            (_, 0) if self.scanned == 0 => {
                return if octet <= b' ' { Some(true) } else { None };
            }
            // Text has to escape `]]>` (XML §2.4), and here even `]>`.
            (b'>', 0) if last == b']' => return None,
            (_, 0) => {}
            (b'!', b'<') => return None,
            (b'?', b'<') if self.begun => return None,
            (_, b'<') => self.markup = octet,
            // Only `>` may follow the slash of an empty element (XML §3.1).
            (_, markup) if last == b'/' && octet != b'>' && markup != b'/' && self.quote == 0 => {
                return None;
            }
            (b'>', markup) if self.quote == 0 => {
                self.markup = 0;
                return self.end(markup, last);
            }
            (b'\'' | b'"', _) if self.quote == 0 => self.quote = octet,
            (_, _) if self.quote == octet => self.quote = 0,
            _ => {}
        }
        Some(false)
    }

    /// Takes the end of a markup that starts with the byte `markup` and has `last` before its end. Returns
    /// whether it ends the frame.
    fn end(&mut self, markup: u8, last: u8) -> Option<bool> {
        match (markup, last) {
            (b'/', _) => self.depth = self.depth.saturating_sub(1),
            (b'?', _) | (_, b'/') => {}
            _ => self.depth = self.depth.wrapping_add(1),
        }
        if usize::from(self.depth) > MAX_DEPTH + 1 {
            return None;
        }
        Some(self.depth <= 1)
    }
}

impl Framing for Elements {
    const MAX_FRAME: usize = MAX_FRAME;

    fn next<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<&'i [u8]>, Error> {
        for octet in input.get(usize::from(self.scanned)..).unwrap_or_default() {
            let ends = self.take(*octet).ok_or(Error::Syntax)?;
            self.scanned = self.scanned.wrapping_add(1);
            let length = usize::from(self.scanned);
            if ends {
                self.begun = true;
                self.scanned = 0;
                return Ok(input.split_off(..length));
            }
            if length >= MAX_FRAME {
                return Err(Error::FrameTooLong);
            }
        }
        Ok(None)
    }
}

/// The missing bytes of a UTF-8 character (RFC 3629 §4).
#[derive(Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
struct Character {
    missing: u8,
    /// The previous byte.
    last: u8,
}

impl Character {
    /// Takes one byte; `None` if it is invalid. Rejects overlong forms, surrogates, and values beyond
    /// U+10FFFF.
    fn take(&mut self, octet: u8) -> Option<()> {
        self.missing = match (self.missing, octet) {
            (0, 0..=0x7f) => 0,
            (0, 0xc2..=0xdf) => 1,
            (0, 0xe0..=0xef) => 2,
            (0, 0xf0..=0xf4) => 3,
            (1.., 0x80..=0xbf) => self.missing.wrapping_sub(1),
            _ => return None,
        };
        match (self.last, octet) {
            (0xe0, ..0xa0) | (0xed, 0xa0..) | (0xf0, ..0x90) | (0xf4, 0x90..) => None,
            _ => {
                self.last = octet;
                Some(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utf_8_agrees_with_the_standard_library() {
        // Bytes at the borders of each kind, as neighbours of every byte.
        const KINDS: [u8; 14] =
            [0x41, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc2, 0xe0, 0xe1, 0xed, 0xf0, 0xf1, 0xf4];
        for first in 0..=u8::MAX {
            for (second, third, fourth) in KINDS.iter().flat_map(|second| {
                let pairs = KINDS.iter().map(|third| KINDS.map(|fourth| (*third, fourth)));
                pairs.flatten().map(|(third, fourth)| (*second, third, fourth))
            }) {
                let octets = [first, second, third, fourth];
                let mut character = Character::default();
                let taken = octets.iter().all(|octet| character.take(*octet).is_some());
                let whole = taken && character.missing == 0;
                assert_eq!(whole, core::str::from_utf8(&octets).is_ok(), "{octets:x?}");
            }
        }
    }
}
