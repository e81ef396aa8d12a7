use starttls::driver::Storage;

/// Storage that grows with what it holds, and keeps no memory when it holds nothing: ten thousand connections
/// that wait have no buffers.
#[derive(Debug, Default)]
pub struct Growing {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Storage for Growing {
    const CAPACITY: usize = usize::MAX;

    fn filled(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    fn room(&mut self, wanted: usize) -> &mut [u8] {
        if self.bytes.len() - self.end < wanted {
            self.bytes.drain(..self.start);
            (self.start, self.end) = (0, self.end - self.start);
            self.bytes.resize(self.end + wanted, 0);
        }
        &mut self.bytes[self.end..]
    }

    fn fill(&mut self, n: usize) {
        self.end = self.bytes.len().min(self.end + n);
    }

    fn drain(&mut self, n: usize) {
        self.start = self.end.min(self.start.saturating_add(n));
        if self.start == self.end {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_it_holds_and_nothing_else() {
        let mut growing = Growing::default();
        growing.room(3)[..3].copy_from_slice(b"abc");
        growing.fill(3);
        growing.drain(1);
        assert!(growing.room(8).len() >= 8);
        growing.room(2)[..2].copy_from_slice(b"de");
        growing.fill(2);
        assert_eq!(growing.filled(), b"bcde");
        growing.drain(usize::MAX);
        assert_eq!(growing.filled(), b"");
        assert_eq!(growing.bytes.capacity(), 0);
    }
}
