//! The two buffers of a connection. An empty one holds no memory; a filled one grows up to its limit.

use alloc::boxed::Box;
use alloc::vec;
use core::ops::{Deref, DerefMut};

use crate::records::length;
use crate::{MIN_RECEIVE, RECEIVE, SEND};

/// Memory that is wiped when it is released, since it may hold a password.
#[derive(Default)]
pub(crate) struct Octets(Box<[u8]>);

impl Octets {
    fn new(len: usize) -> Self {
        Self(vec![0; len].into_boxed_slice())
    }
}

impl Deref for Octets {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl DerefMut for Octets {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl Drop for Octets {
    /// `Zeroize` writes byte by byte, which takes longer than the encryption of a record. This writes as
    /// many bytes at once as the machine can, and the barrier keeps the compiler from leaving it out.
    fn drop(&mut self) {
        self.0.fill(0);
        zeroize::optimization_barrier(&*self.0);
    }
}

/// The received and unconsumed bytes: first plaintext, then records that are still encrypted.
///
/// ```text
/// 0 ··· start [plaintext] plain ··· cipher [records] end ··· at most RECEIVE
/// ```
///
/// A record is decrypted in place, and its contents move forward to the end of the plaintext. They always
/// fit, because a record is longer than its contents.
#[derive(Default)]
pub(crate) struct Incoming {
    pub(crate) octets: Octets,
    pub(crate) marks: Marks,
    /// The minimum size of the next buffer, in bytes. It grows while each receive fills the buffer.
    next: usize,
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
        RECEIVE - self.unconsumed()
    }

    /// How many bytes are received and not consumed.
    const fn unconsumed(&self) -> usize {
        (self.plain - self.start) + (self.end - self.cipher)
    }

    /// Ends the plaintext: the unread bytes belong to TLS.
    pub(crate) const fn begin_tls(&mut self) {
        (self.plain, self.cipher) = (self.start, self.start);
    }
}

impl Incoming {
    /// The free space, moved together at the end. It has room for the rest of the record that has begun to
    /// arrive, so that a record takes few reads.
    pub(crate) fn free_mut(&mut self) -> &mut [u8] {
        let size = self.size();
        let Marks { start, plain, cipher, end } = self.marks;
        let unread = plain - start;
        let unconsumed = self.marks.unconsumed();
        if size > self.octets.len() || (unconsumed == 0 && size < self.octets.len()) {
            let mut octets = Octets::new(size);
            let old = [start..plain, cipher..end].map(|range| self.octets.get(range));
            let old = old.into_iter().flatten().flatten();
            octets.iter_mut().zip(old).for_each(|(place, octet)| *place = *octet);
            self.octets = octets;
        } else {
            if start > 0 {
                self.octets.copy_within(start..plain, 0);
            }
            if cipher > unread {
                self.octets.copy_within(cipher..end, unread);
            }
        }
        self.marks = Marks { start: 0, plain: unread, cipher: unread, end: unconsumed };
        self.octets.get_mut(unconsumed..).unwrap_or_default()
    }

    /// The size of the buffer that the next bytes need, in bytes.
    fn size(&self) -> usize {
        let records = self.octets.get(self.marks.cipher..self.marks.end).unwrap_or_default();
        let unread = self.marks.plain - self.marks.start;
        let needed = unread + length(records).max(records.len() + MIN_RECEIVE / 4);
        let size = needed.max(self.next).max(MIN_RECEIVE).next_power_of_two();
        size.min(RECEIVE)
    }

    /// `n` bytes were received into the free space.
    pub(crate) fn received(&mut self, n: usize, encrypted: bool) {
        let size = self.octets.len();
        let end = size.min(self.marks.end.saturating_add(n));
        self.next = if end == size { size.saturating_mul(4).min(RECEIVE) } else { 0 };
        self.marks.end = end;
        if !encrypted {
            (self.marks.plain, self.marks.cipher) = (end, end);
        }
    }

    /// Releases the memory if every received byte is consumed.
    pub(crate) fn release(&mut self) {
        if self.marks.unconsumed() == 0 {
            (self.octets, self.marks) = (Octets::default(), Marks::default());
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
#[derive(Default)]
pub(crate) struct Outgoing {
    octets: Octets,
    start: usize,
    end: usize,
}

impl Outgoing {
    pub(crate) fn filled(&self) -> &[u8] {
        self.octets.get(self.start..self.end).unwrap_or_default()
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// The first `n` bytes were sent.
    pub(crate) fn sent(&mut self, n: usize) {
        self.start = self.end.min(self.start.saturating_add(n));
        self.release();
    }

    /// Releases the memory if every byte is sent.
    pub(crate) fn release(&mut self) {
        if self.is_empty() {
            *self = Self::default();
        }
    }

    pub(crate) const fn room(&self) -> usize {
        SEND - (self.end - self.start)
    }

    /// The free space, moved together at the end.
    pub(crate) fn free_mut(&mut self) -> &mut [u8] {
        if self.octets.is_empty() {
            self.octets = Octets::new(SEND);
        }
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
