use std::fmt;

use starttls::driver::Storage;

/// Storage that grows with its content and releases its memory when empty, so that ten thousand waiting
/// connections hold no buffers.
///
/// Released memory is wiped, since it may hold a password. The content is never shown.
#[derive(Default)]
pub struct Growing {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    /// Whether empty storage keeps its memory for the next content.
    lasts: bool,
}

impl Growing {
    /// Storage that keeps its memory until it is dropped.
    pub(crate) const fn lasting() -> Self {
        Self { bytes: Vec::new(), start: 0, end: 0, lasts: true }
    }
}

impl Storage for Growing {
    const CAPACITY: usize = usize::MAX;

    fn filled(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    fn room(&mut self, wanted: usize) -> &mut [u8] {
        if self.bytes.len() - self.end < wanted {
            let filled = self.filled();
            // Room for the first output too when a machine wants the same room for the second.
            let more = if self.lasts { wanted } else { 0 };
            let mut bytes = vec![0; filled.len() + wanted + more];
            bytes[..filled.len()].copy_from_slice(filled);
            (self.start, self.end) = (0, filled.len());
            // `resize` could move the bytes without wiping their old place.
            wipe(&mut self.bytes);
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
            (self.start, self.end) = (0, 0);
            self.release();
        }
    }

    fn release(&mut self) {
        if self.start == self.end && !self.lasts {
            *self = Self::default();
        }
    }
}

impl Drop for Growing {
    fn drop(&mut self) {
        wipe(&mut self.bytes);
    }
}

/// Overwrites memory with zeros before it is released.
///
/// `Zeroize` writes byte by byte, which takes longer than the rest of a mail. This writes as many bytes at
/// once as the machine can, and the barrier keeps the compiler from leaving it out.
fn wipe(bytes: &mut [u8]) {
    bytes.fill(0);
    zeroize::optimization_barrier(bytes);
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
        growing.release();
        assert_eq!(growing.filled(), b"bcde");
        growing.drain(usize::MAX);
        assert_eq!(growing.filled(), b"");
        assert_eq!(growing.bytes.capacity(), 0);
        // Room that a machine asked for and did not fill is released, too.
        assert!(growing.room(8).len() >= 8);
        growing.release();
        assert_eq!(growing.bytes.capacity(), 0);
    }

    #[test]
    fn keeps_its_memory_if_it_is_asked_to() {
        let mut growing = Growing::lasting();
        for word in [b"abc", b"def"] {
            growing.room(3)[..3].copy_from_slice(word);
            growing.fill(3);
            assert_eq!(growing.filled(), word);
            assert!(growing.room(3).len() >= 3);
            let memory = growing.bytes.as_ptr();
            growing.drain(3);
            assert_eq!(growing.filled(), b"");
            assert_eq!(growing.bytes.as_ptr(), memory);
        }
    }
}
