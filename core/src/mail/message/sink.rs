use core::slice::IterMut;

/// The recommended line length in characters, without CRLF (RFC 5322 §2.1.1).
pub(super) const LINE: usize = 78;

/// An output that takes as much of an item as fits.
///
/// An item is a pure function of a position in the message. Whenever there is room again, it is printed
/// from its start, and the sink skips the bytes that it took before.
#[derive(Debug)]
pub(super) struct Sink<'o> {
    free: IterMut<'o, u8>,
    skip: usize,
    printed: usize,
    lost: usize,
    column: usize,
}

impl<'o> Sink<'o> {
    pub(super) fn new(output: &'o mut [u8]) -> Self {
        Self { free: output.iter_mut(), skip: 0, printed: 0, lost: 0, column: 0 }
    }

    /// Starts an item of which `taken` bytes were written before.
    pub(super) const fn begin(&mut self, taken: usize) {
        (self.skip, self.printed, self.lost, self.column) = (taken, 0, 0, 0);
    }

    /// The number of bytes taken so far; `None` if the item is complete.
    pub(super) const fn taken(&self) -> Option<usize> {
        match self.lost {
            0 => None,
            lost => Some(self.printed.saturating_sub(lost)),
        }
    }

    /// The length of the item.
    pub(super) const fn printed(&self) -> usize {
        self.printed
    }

    /// The number of free bytes.
    pub(super) fn room(&self) -> usize {
        self.free.len()
    }

    /// The length of the item's last line so far.
    pub(super) const fn column(&self) -> usize {
        self.column
    }

    /// Takes the place of the next `length` bytes, which the caller writes. `None` if it is not free.
    #[cfg(feature = "memchr")]
    pub(super) fn take(&mut self, length: usize) -> Option<&'o mut [u8]> {
        if length > self.free.len() {
            return None;
        }
        let (place, free) =
            core::mem::take(&mut self.free).into_slice().split_at_mut_checked(length)?;
        self.free = free.iter_mut();
        Some(place)
    }

    #[cfg(feature = "memchr")]
    pub(super) fn put(&mut self, octets: &[u8]) {
        self.printed = self.printed.saturating_add(octets.len());
        self.column = match memchr::memrchr(b'\n', octets) {
            Some(end) => octets.len().saturating_sub(end).saturating_sub(1),
            None => self.column.saturating_add(octets.len()),
        };
        let skipped = self.skip.min(octets.len());
        self.skip = self.skip.saturating_sub(skipped);
        let octets = octets.get(skipped..).unwrap_or_default();
        let (octets, lost) = octets.split_at_checked(self.free.len()).unwrap_or((octets, &[]));
        self.lost = self.lost.saturating_add(lost.len());
        if let Some(place) = self.take(octets.len()) {
            place.copy_from_slice(octets);
        }
    }

    #[cfg(not(feature = "memchr"))]
    pub(super) fn put(&mut self, octets: &[u8]) {
        for octet in octets {
            self.printed = self.printed.saturating_add(1);
            self.column = if *octet == b'\n' { 0 } else { self.column.saturating_add(1) };
            if self.skip > 0 {
                self.skip = self.skip.saturating_sub(1);
            } else if let Some(place) = self.free.next() {
                *place = *octet;
            } else {
                self.lost = self.lost.saturating_add(1);
            }
        }
    }

    /// Writes a blank, after a line end if the next `width` bytes would exceed the line.
    pub(super) fn blank(&mut self, width: usize) {
        if self.column > 0 && self.column.saturating_add(width) >= LINE {
            self.put(b"\r\n");
        }
        self.put(b" ");
    }

    /// Writes a mark and a byte as two upper-case hexadecimal digits.
    pub(super) fn hexadecimal(&mut self, mark: u8, octet: u8) {
        let digit = |nibble: u8| match nibble {
            0..=9 => nibble | b'0',
            _ => nibble.wrapping_add(b'A' - 10),
        };
        self.put(&[mark, digit(octet >> 4), digit(octet & 15)]);
    }

    /// Writes a mark and the last `count` digits of a number, four at most.
    pub(super) fn digits(&mut self, mark: u8, count: usize, mut number: u32) {
        let mut digits = [b'0'; 4];
        for place in digits.iter_mut().rev() {
            *place |= (number % 10) as u8;
            number /= 10;
        }
        self.put(&[mark]);
        self.put(digits.get(4_usize.saturating_sub(count)..).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_in_pieces() {
        let print = |out: &mut Sink<'_>| {
            out.put(b"Name:");
            out.blank(4);
            out.put(b"text");
            out.blank(69);
            out.hexadecimal(b'=', 0xf9);
            out.digits(b'=', 2, 7);
        };
        let mut all = heapless::Vec::<u8, 32>::new();
        let mut taken = 0;
        loop {
            let mut output = [0; 3];
            let mut out = Sink::new(&mut output);
            out.begin(taken);
            print(&mut out);
            assert_eq!((out.printed(), out.column()), (19, 7));
            let free = out.room();
            let left = out.taken();
            all.extend_from_slice(&output[..3 - free]).expect("room");
            match left {
                Some(now) => taken = now,
                None => break,
            }
        }
        assert_eq!(all, b"Name: text\r\n =F9=07");
    }
}
