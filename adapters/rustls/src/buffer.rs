//! The two buffers of a connection. Both are allocated once and never grow.

use alloc::boxed::Box;
use alloc::vec;

use zeroize::Zeroize as _;

use crate::{RECEIVE, SEND};

/// The received and unconsumed bytes: first plaintext, then records that are still encrypted.
///
/// ```text
/// 0 ··· start [plaintext] plain ··· cipher [records] end ··· RECEIVE
/// ```
///
/// A record is decrypted in place, and its contents move forward to the end of the plaintext. They always
/// fit, because a record is longer than its contents.
pub(crate) struct Incoming {
    pub(crate) octets: Box<[u8]>,
    pub(crate) marks: Marks,
}

/// `start <= plain <= cipher <= end`; without TLS, `plain == cipher == end`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Marks {
    pub(crate) start: usize,
    pub(crate) plain: usize,
    pub(crate) cipher: usize,
    pub(crate) end: usize,
}

impl Marks {
    /// How many more bytes can be received.
    pub(crate) const fn room(&self) -> usize {
        RECEIVE - (self.plain - self.start) - (self.end - self.cipher)
    }

    /// Ends the plaintext: the unread bytes belong to TLS.
    pub(crate) const fn begin_tls(&mut self) {
        (self.plain, self.cipher) = (self.start, self.start);
    }
}

impl Incoming {
    pub(crate) fn new() -> Self {
        Self { octets: vec![0; RECEIVE].into_boxed_slice(), marks: Marks::default() }
    }

    /// The free space, moved together at the end.
    pub(crate) fn free_mut(&mut self) -> &mut [u8] {
        let Marks { start, plain, cipher, end } = self.marks;
        let unread = plain - start;
        if start > 0 {
            self.octets.copy_within(start..plain, 0);
        }
        if cipher > unread {
            self.octets.copy_within(cipher..end, unread);
        }
        let end = unread + (end - cipher);
        self.marks = Marks { start: 0, plain: unread, cipher: unread, end };
        self.octets.get_mut(end..).unwrap_or_default()
    }

    /// `n` bytes were received into the free space.
    pub(crate) fn received(&mut self, n: usize, encrypted: bool) {
        let end = self.octets.len().min(self.marks.end.saturating_add(n));
        self.marks.end = end;
        if !encrypted {
            (self.marks.plain, self.marks.cipher) = (end, end);
        }
    }

    /// The encrypted records.
    pub(crate) fn sealed_mut(&mut self) -> &mut [u8] {
        self.octets.get_mut(self.marks.cipher..self.marks.end).unwrap_or_default()
    }

    /// Drops the first `n` bytes of the records.
    pub(crate) fn discard(&mut self, n: usize) {
        self.marks.cipher = self.marks.end.min(self.marks.cipher.saturating_add(n));
    }

    /// Appends the contents of a discarded record to the plaintext. `false` if they are longer than the
    /// record was.
    pub(crate) fn opened(&mut self, payload: &[u8]) -> bool {
        if self.marks.start == self.marks.plain {
            (self.marks.start, self.marks.plain) = (0, 0);
        }
        let end = self.marks.plain + payload.len();
        let gap = self.octets.get_mut(self.marks.plain..end.min(self.marks.cipher));
        let Some(gap) = gap.filter(|gap| gap.len() == payload.len()) else {
            return false;
        };
        gap.copy_from_slice(payload);
        self.marks.plain = end;
        true
    }
}

/// The bytes to send, in order.
pub(crate) struct Outgoing {
    octets: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Outgoing {
    pub(crate) fn new() -> Self {
        Self { octets: vec![0; SEND].into_boxed_slice(), start: 0, end: 0 }
    }

    pub(crate) fn filled(&self) -> &[u8] {
        self.octets.get(self.start..self.end).unwrap_or_default()
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// The first `n` bytes were sent.
    pub(crate) fn sent(&mut self, n: usize) {
        self.start = self.end.min(self.start.saturating_add(n));
        if self.is_empty() {
            (self.start, self.end) = (0, 0);
        }
    }

    pub(crate) fn room(&self) -> usize {
        self.octets.len() - (self.end - self.start)
    }

    /// The free space, moved together at the end.
    pub(crate) fn free_mut(&mut self) -> &mut [u8] {
        if self.start > 0 {
            self.octets.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        self.octets.get_mut(self.end..).unwrap_or_default()
    }

    /// `n` bytes were written into the free space.
    pub(crate) fn filled_more(&mut self, n: usize) {
        self.end = self.octets.len().min(self.end.saturating_add(n));
    }
}

/// Wipes the buffer, which may hold a password.
impl Drop for Incoming {
    fn drop(&mut self) {
        self.octets.zeroize();
    }
}

/// Wipes the buffer, which may hold a password.
impl Drop for Outgoing {
    fn drop(&mut self) {
        self.octets.zeroize();
    }
}
