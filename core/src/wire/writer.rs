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
