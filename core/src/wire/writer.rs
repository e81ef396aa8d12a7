use core::slice::IterMut;

use crate::Error;

/// Writes into a bounded buffer and counts what it would have taken.
#[derive(Debug)]
pub struct Writer<'o> {
    free: IterMut<'o, u8>,
    capacity: usize,
    needed: usize,
}

impl<'o> Writer<'o> {
    /// Starts at the front of `output`.
    pub fn new(output: &'o mut [u8]) -> Self {
        Self { capacity: output.len(), free: output.iter_mut(), needed: 0 }
    }

    /// Appends `octets`, as far as they fit.
    ///
    /// Octet by octet: in small firmware this is the only copy, and `memcpy` is larger than the
    /// rest of a client.
    pub fn put(&mut self, octets: &[u8]) {
        self.needed = self.needed.saturating_add(octets.len());
        for octet in octets {
            if let Some(place) = self.free.next() {
                *place = *octet;
            }
        }
    }

    /// Appends a number in decimal.
    pub fn put_decimal(&mut self, number: usize) {
        let mut unit: usize = 1;
        while number / 10 >= unit {
            unit = unit.wrapping_mul(10);
        }
        while let Some(digit) = number.checked_div(unit) {
            #[expect(clippy::cast_possible_truncation, reason = "below 10")]
            self.put(&[(digit % 10) as u8 | b'0']);
            unit /= 10;
        }
    }

    /// The length of what was written.
    ///
    /// # Errors
    /// [`Error::OutputTooSmall`] if something did not fit.
    pub fn finish(self) -> Result<usize, Error> {
        if self.needed <= self.capacity {
            Ok(self.needed)
        } else {
            Err(Error::OutputTooSmall { needed: self.needed })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals() {
        for number in [0, 1, 9, 10, 99, 100, 101, 65_536, usize::MAX / 10, usize::MAX] {
            let mut output = [0; 24];
            let mut writer = Writer::new(&mut output);
            writer.put_decimal(number);
            let written = writer.finish().expect("24 octets are enough");
            let text = core::str::from_utf8(&output[..written]).expect("digits");
            assert_eq!(text.parse(), Ok(number));
            assert!(number == 0 || !text.starts_with('0'));
        }
    }

    #[test]
    fn says_what_it_needs() {
        for (room, expected) in [
            (4, Err(Error::OutputTooSmall { needed: 5 })),
            (2, Err(Error::OutputTooSmall { needed: 5 })),
            (5, Ok(5)),
            (6, Ok(5)),
        ] {
            let mut output = [0; 8];
            let mut writer = Writer::new(&mut output[..room]);
            writer.put(b"abc");
            writer.put(b"de");
            writer.put(b"");
            assert_eq!(writer.finish(), expected);
        }
    }
}
