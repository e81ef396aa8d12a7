use core::mem;

use super::utf8::Character;
use super::{MAX_DEPTH, MAX_FRAME};
use crate::Error;
use crate::wire::Framing;

/// A stream of XML (RFC 6120 §4), cut into the XML declaration, the header's tag, each child of the
/// stream whole, the stream's end tag, and each blank in between.
///
/// A frame ends behind its last `>`. It is UTF-8, without control characters, comments, CDATA sections,
/// processing instructions and anything of a document type (RFC 6120 §11.1). Whether its tags match is
/// for who reads it.
#[derive(Debug, Default)]
pub struct Elements {
    scanned: u16,
    character: Character,
    depth: u8,
    /// The first octet of the markup that is open, behind its `<`; zero in text.
    markup: u8,
    /// What ends the value that is open in it.
    quote: u8,
    /// The octet before.
    last: u8,
    /// The first octet of the stream was seen.
    begun: bool,
    /// The header's tag was seen.
    open: bool,
}

impl Elements {
    /// Takes one octet; says whether it ends the frame. What is wrong within markup is for who reads it.
    fn take(&mut self, octet: u8) -> Result<bool, Error> {
        let last = mem::replace(&mut self.last, octet);
        match (octet, self.markup) {
            (0..=8 | 11 | 12 | 14..=31, _) => return Err(Error::Syntax),
            (b'<', 0) => self.markup = b'<',
            // Nothing but blanks stands between the children.
            (_, 0) if self.scanned == 0 => {
                return if octet <= b' ' { Ok(true) } else { Err(Error::Syntax) };
            }
            (_, 0) => {}
            (b'!', b'<') => return Err(Error::Syntax),
            (b'?', b'<') if self.begun => return Err(Error::Syntax),
            (_, b'<') => self.markup = octet,
            (b'>', markup) if self.quote == 0 => {
                self.markup = 0;
                return self.end(markup, last);
            }
            (b'\'' | b'"', _) if self.quote == 0 => self.quote = octet,
            (_, _) if self.quote == octet => self.quote = 0,
            _ => {}
        }
        Ok(false)
    }

    /// Takes the end of markup with this first octet, and this one before the end; says whether it ends the
    /// frame.
    fn end(&mut self, markup: u8, last: u8) -> Result<bool, Error> {
        match (markup, last) {
            (b'?', _) => return Ok(true),
            _ if !self.open => {
                self.open = true;
                return Ok(true);
            }
            (b'/', _) => self.depth = self.depth.saturating_sub(1),
            (_, b'/') => {}
            _ => self.depth = self.depth.saturating_add(1),
        }
        if usize::from(self.depth) > MAX_DEPTH {
            return Err(Error::Syntax);
        }
        Ok(self.depth == 0)
    }
}

impl Framing for Elements {
    const MAX_FRAME: usize = MAX_FRAME;

    fn next<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<&'i [u8]>, Error> {
        for octet in input.get(usize::from(self.scanned)..).unwrap_or_default() {
            if usize::from(self.scanned) >= MAX_FRAME {
                return Err(Error::FrameTooLong);
            }
            self.character.take(*octet)?;
            let ends = self.take(*octet)?;
            self.scanned = self.scanned.wrapping_add(1);
            if ends {
                let frame = input.split_off(..usize::from(self.scanned)).unwrap_or_default();
                *self = Self { begun: true, open: self.open, ..Self::default() };
                return Ok(Some(frame));
            }
        }
        if usize::from(self.scanned) >= MAX_FRAME {
            return Err(Error::FrameTooLong);
        }
        Ok(None)
    }
}
