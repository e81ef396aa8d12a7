use crate::Buffer;

/// A byte queue of a [`Driver`](super::Driver): a [`Buffer`], or a type that grows.
pub trait Storage {
    /// The capacity in bytes.
    const CAPACITY: usize;

    /// The bytes in the queue.
    fn filled(&self) -> &[u8];

    /// The free part after [`filled`](Self::filled): at least `wanted` bytes if the queue can grow, else
    /// all free bytes.
    fn room(&mut self, wanted: usize) -> &mut [u8];

    /// Adds the first `n` bytes of [`room`](Self::room) to the filled part.
    fn fill(&mut self, n: usize);

    /// Removes the first `n` bytes of [`filled`](Self::filled), or all of them if there are fewer.
    fn drain(&mut self, n: usize);

    /// Releases memory that an empty queue does not need while the connection waits. By default it does
    /// nothing.
    fn release(&mut self) {}
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

    fn release(&mut self) {
        (**self).release();
    }
}
