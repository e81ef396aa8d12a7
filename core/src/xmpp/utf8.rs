use crate::Error;

/// How much of a character of UTF-8 is missing (RFC 3629 §4), and what its next octet may be.
#[derive(Debug, Default)]
pub(super) struct Character {
    missing: u8,
    low: u8,
    high: u8,
}

impl Character {
    /// Takes one octet. No character is longer than it needs to be, a surrogate, or beyond U+10FFFF.
    pub(super) fn take(&mut self, octet: u8) -> Result<(), Error> {
        if self.missing > 0 {
            if octet < self.low || octet > self.high {
                return Err(Error::Syntax);
            }
            self.missing = self.missing.wrapping_sub(1);
            (self.low, self.high) = (0x80, 0xbf);
            return Ok(());
        }
        (self.missing, self.low, self.high) = match octet {
            0..=0x7f => (0, 0, 0),
            0xc2..=0xdf => (1, 0x80, 0xbf),
            0xe0 => (2, 0xa0, 0xbf),
            0xed => (2, 0x80, 0x9f),
            0xe1..=0xef => (2, 0x80, 0xbf),
            0xf0 => (3, 0x90, 0xbf),
            0xf1..=0xf3 => (3, 0x80, 0xbf),
            0xf4 => (3, 0x80, 0x8f),
            _ => return Err(Error::Syntax),
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_standard_library_says() {
        // Each octet between its neighbours of every kind.
        const KINDS: [u8; 14] =
            [0x41, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc2, 0xe0, 0xe1, 0xed, 0xf0, 0xf1, 0xf4];
        for first in 0..=u8::MAX {
            for (second, third, fourth) in KINDS.iter().flat_map(|second| {
                let pairs = KINDS.iter().map(|third| KINDS.map(|fourth| (*third, fourth)));
                pairs.flatten().map(|(third, fourth)| (*second, third, fourth))
            }) {
                let octets = [first, second, third, fourth];
                let mut character = Character::default();
                let taken = octets.iter().all(|octet| character.take(*octet).is_ok());
                let whole = taken && character.missing == 0;
                assert_eq!(whole, core::str::from_utf8(&octets).is_ok(), "{octets:x?}");
            }
        }
    }
}
