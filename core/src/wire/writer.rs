use crate::Error;
use crate::conceal::conceal;

/// A writer into a bounded buffer. It also counts the bytes that do not fit.
///
/// ```
/// use starttls::{Error, wire::Writer};
///
/// let mut output = [0; 8];
/// let mut writer = Writer::new(&mut output);
/// writer.put(b"SIZE ");
/// writer.put_decimal(1024);
/// assert_eq!(writer.finish(), Err(Error::OutputTooSmall { needed: 9 }));
/// ```
pub struct Writer<'o> {
    output: &'o mut [u8],
    needed: usize,
}

conceal!("Writer", Writer<'_>, |writer| writer.needed);

impl<'o> Writer<'o> {
    /// A writer at the front of `output`.
    pub fn new(output: &'o mut [u8]) -> Self {
        Self { output, needed: 0 }
    }

    /// Appends one byte, if it fits.
    pub fn push(&mut self, octet: u8) {
        if let Some(place) = self.output.get_mut(self.needed) {
            *place = octet;
        }
        self.needed = self.needed.wrapping_add(1);
    }

    /// Appends as many of `octets` as fit.
    ///
    /// Without the feature `memchr` it copies byte by byte: in small firmware this is the only copy, and
    /// `memcpy` is larger than the rest of a client.
    pub fn put(&mut self, octets: &[u8]) {
        #[cfg(feature = "memchr")]
        if let Some(room) = self.output.get_mut(self.needed..)
            && let Some((room, _)) = room.split_at_mut_checked(octets.len())
        {
            room.copy_from_slice(octets);
            self.needed = self.needed.wrapping_add(octets.len());
            return;
        }
        for octet in octets {
            self.push(*octet);
        }
    }

    /// Appends a number in decimal.
    pub fn put_decimal(&mut self, number: usize) {
        if number >= 10 {
            self.put_decimal(number / 10);
        }
        #[expect(clippy::cast_possible_truncation, reason = "below 10")]
        self.push((number % 10) as u8 | b'0');
    }

    /// The number of appended bytes, including those that did not fit.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.needed
    }

    /// Whether nothing was appended.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.needed == 0
    }

    /// The number of bytes that still fit.
    #[must_use]
    pub const fn free(&self) -> usize {
        self.output.len().saturating_sub(self.needed)
    }

    /// Whether all bytes so far fit.
    #[must_use]
    pub const fn fits(&self) -> bool {
        self.needed <= self.output.len()
    }

    /// Removes all but the first `len` bytes.
    pub fn truncate(&mut self, len: usize) {
        self.needed = self.needed.min(len);
    }

    /// The number of bytes written.
    ///
    /// # Errors
    /// [`Error::OutputTooSmall`] if any byte did not fit.
    pub const fn finish(self) -> Result<usize, Error> {
        if self.fits() {
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
            let written = writer.finish().expect("24 bytes are enough");
            let text = core::str::from_utf8(&output[..written]).expect("digits");
            assert_eq!(text.parse(), Ok(number));
            assert!(number == 0 || !text.starts_with('0'));
        }
    }

    #[test]
    fn finish_reports_the_needed_bytes() {
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

    #[test]
    fn truncate_removes_what_does_not_fit() {
        let mut output = [0; 4];
        let mut writer = Writer::new(&mut output);
        writer.put(b"ab");
        let mark = writer.len();
        writer.put(b"cde");
        assert!(!writer.fits());
        writer.truncate(mark);
        writer.put(b"xy");
        assert_eq!(writer.finish(), Ok(4));
        assert_eq!(&output, b"abxy");
    }
}
