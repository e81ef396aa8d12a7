use std::fmt;

use starttls::driver::Storage;
use zeroize::Zeroize as _;

/// Storage that grows with its content and releases its memory when empty, so that ten thousand waiting
/// connections hold no buffers.
///
/// Released memory is wiped, since it may hold a password. The content is never shown.
#[derive(Default)]
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
            let filled = self.filled();
            let mut bytes = vec![0; filled.len() + wanted];
            bytes[..filled.len()].copy_from_slice(filled);
            (self.start, self.end) = (0, filled.len());
            // `resize` could move the bytes without wiping their old place.
            self.bytes.zeroize();
            self.bytes = bytes;
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

impl Drop for Growing {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

impl fmt::Debug for Growing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Growing").field("filled", &self.filled().len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_its_content_and_releases_its_memory() {
        let mut growing = Growing::default();
        growing.room(3)[..3].copy_from_slice(b"abc");
        growing.fill(3);
        growing.drain(1);
        assert!(growing.room(8).len() >= 8);
        growing.room(2)[..2].copy_from_slice(b"de");
        growing.fill(2);
        assert_eq!(growing.filled(), b"bcde");
        assert_eq!(format!("{growing:?}"), "Growing { filled: 4, .. }", "the content is not shown");
        growing.drain(usize::MAX);
        assert_eq!(growing.filled(), b"");
        assert_eq!(growing.bytes.capacity(), 0);
    }
}
