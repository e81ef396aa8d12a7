use core::cell::Cell;

use crate::conceal::conceal;

/// A receive buffer of `N` bytes, which holds the bytes that were received and not yet consumed.
///
/// ```
/// # use starttls::Buffer;
/// let mut buffer = Buffer::<512>::new();
/// buffer.fill(|free| {
///     free[..4].copy_from_slice(b"220 ");
///     Ok::<usize, ()>(4)
/// })?;
/// let mut input = buffer.filled();
/// // machine.step(&mut input, …)
/// let unread = input.len();
/// buffer.keep(unread);
/// # Ok::<(), ()>(())
/// ```
pub struct Buffer<const N: usize> {
    octets: [u8; N],
    start: usize,
    end: usize,
}

impl<const N: usize> Buffer<N> {
    /// An empty buffer.
    #[must_use]
    pub const fn new() -> Self {
        Self { octets: [0; N], start: 0, end: 0 }
    }

    /// The bytes that were received and not yet consumed.
    #[must_use]
    pub fn filled(&self) -> &[u8] {
        self.octets.get(self.start..self.end).unwrap_or_default()
    }

    /// Consumes all but the last `unread` bytes. Pass the length that a machine left of
    /// [`filled`](Self::filled).
    pub fn keep(&mut self, unread: usize) {
        self.start = self.end.saturating_sub(unread).max(self.start);
    }

    /// Lets `receive` write to the free part and return how many bytes it wrote; returns that number.
    ///
    /// A buffer of at least [`Machine::MAX_INPUT`](crate::Machine::MAX_INPUT) bytes always has room
    /// when the machine asks for more.
    ///
    /// # Errors
    /// Those that `receive` returns.
    pub fn fill<E>(
        &mut self,
        receive: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<usize, E> {
        let free = self.free_mut();
        let room = free.len();
        let received = receive(free)?.min(room);
        self.received(received);
        Ok(received)
    }

    /// The free part, for callers that cannot wait inside [`fill`](Self::fill). Report the bytes written
    /// with [`received`](Self::received).
    pub fn free_mut(&mut self) -> &mut [u8] {
        self.move_to_front();
        self.octets.get_mut(self.end..).unwrap_or_default()
    }

    /// Adds the first `n` bytes of [`free_mut`](Self::free_mut) to the filled part.
    pub fn received(&mut self, n: usize) {
        self.end = self.end.saturating_add(n).min(N);
    }

    fn move_to_front(&mut self) {
        let unread = self.filled().len();
        if self.start > 0 {
            let octets = Cell::from_mut(self.octets.as_mut_slice()).as_slice_of_cells();
            let filled = octets.iter().skip(self.start).take(unread);
            for (place, octet) in octets.iter().zip(filled) {
                place.set(octet.get());
            }
        }
        (self.start, self.end) = (0, unread);
    }
}

conceal!("Buffer", Buffer<N> [const N: usize], |buffer| buffer.filled().len());

/// The buffer may have held a password.
#[cfg(feature = "zeroize")]
impl<const N: usize> Drop for Buffer<N> {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.octets);
    }
}

impl<const N: usize> Default for Buffer<N> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put<const N: usize>(buffer: &mut Buffer<N>, octets: &[u8]) -> usize {
        let filled = buffer.fill(|free| {
            let n = octets.len().min(free.len());
            free[..n].copy_from_slice(&octets[..n]);
            Ok::<_, ()>(n)
        });
        filled.expect("the closure never fails")
    }

    #[test]
    fn receives_without_a_closure() {
        let mut buffer = Buffer::<4>::new();
        buffer.free_mut()[..2].copy_from_slice(b"ab");
        buffer.received(2);
        buffer.keep(1);
        assert_eq!(buffer.free_mut().len(), 3);
        buffer.free_mut()[..3].copy_from_slice(b"cde");
        buffer.received(usize::MAX);
        assert_eq!(buffer.filled(), b"bcde");
        assert_eq!(buffer.free_mut(), b"");
    }

    #[test]
    fn keeps_what_is_unread_and_makes_room() {
        let mut buffer = Buffer::<8>::new();
        assert_eq!(put(&mut buffer, b"abcdef"), 6);
        buffer.keep(2);
        assert_eq!(buffer.filled(), b"ef");
        assert_eq!(put(&mut buffer, b"ghijklmn"), 6);
        assert_eq!(buffer.filled(), b"efghijkl");
        assert_eq!(put(&mut buffer, b"x"), 0);
        buffer.keep(0);
        assert_eq!(buffer.filled(), b"");
        assert_eq!(buffer.fill(|_| Err(7)), Err(7));
        assert_eq!(put(&mut buffer, b"y"), 1);
        assert_eq!(buffer.filled(), b"y");
    }
}
