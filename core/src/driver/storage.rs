use crate::Buffer;

/// Where a [`Driver`](super::Driver) keeps bytes, in order: a [`Buffer`], or whatever grows.
pub trait Storage {
    /// The most that it holds, in bytes.
    const CAPACITY: usize;

    /// The bytes that it holds.
    fn filled(&self) -> &[u8];

    /// The room after [`filled`](Self::filled): at least `wanted` bytes if it can grow, or else all that is
    /// free.
    fn room(&mut self, wanted: usize) -> &mut [u8];

    /// The first `n` bytes of [`room`](Self::room) now belong to what is filled.
    fn fill(&mut self, n: usize);

    /// Drops the first `n` bytes of [`filled`](Self::filled), or all of them if they are fewer.
    fn drain(&mut self, n: usize);
}

impl<const N: usize> Storage for Buffer<N> {
    const CAPACITY: usize = N;

    fn filled(&self) -> &[u8] {
        self.filled()
    }

    fn room(&mut self, _: usize) -> &mut [u8] {
        self.free_mut()
    }

    fn fill(&mut self, n: usize) {
        self.received(n);
    }

    fn drain(&mut self, n: usize) {
        let unread = self.filled().len().saturating_sub(n);
        self.keep(unread);
    }
}

impl<S: Storage + ?Sized> Storage for &mut S {
    const CAPACITY: usize = S::CAPACITY;

    fn filled(&self) -> &[u8] {
        (**self).filled()
    }

    fn room(&mut self, wanted: usize) -> &mut [u8] {
        (**self).room(wanted)
    }

    fn fill(&mut self, n: usize) {
        (**self).fill(n);
    }

    fn drain(&mut self, n: usize) {
        (**self).drain(n);
    }
}
