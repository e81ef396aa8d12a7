/// How much of a character of UTF-8 is missing (RFC 3629 §4).
#[derive(Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) struct Character {
    missing: u8,
    /// The octet before.
    pub(super) last: u8,
}

impl Character {
    /// Takes one octet; nothing if it is wrong. No character is longer than it needs to be, a surrogate, or beyond U+10FFFF.
    pub(super) fn take(&mut self, octet: u8) -> Option<()> {
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
                let taken = octets.iter().all(|octet| character.take(*octet).is_some());
                let whole = taken && character.missing == 0;
                assert_eq!(whole, core::str::from_utf8(&octets).is_ok(), "{octets:x?}");
            }
        }
    }
}
