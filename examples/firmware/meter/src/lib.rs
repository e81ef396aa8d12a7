//! The cost of a run, counted by the board and printed at its end for `report`: the depth of the
//! stack, the peak of the heap, the bytes on the wire, and the time awake.

#![no_std]

use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The word with which cortex-m-rt paints the stack at reset (its feature `paint-stack`).
const PAINT: u32 = 0xcccc_cccc;

unsafe extern "C" {
    /// The lowest painted address of the stack.
    static _stack_end: u32;
    /// The address after the stack's highest.
    static _stack_start: u32;
}

/// A counter.
#[derive(Debug, Default)]
pub struct Count(AtomicUsize);

/// The bytes of sent frames.
pub static SENT: Count = Count::new();
/// The bytes of received frames.
pub static RECEIVED: Count = Count::new();
/// The peak use of the heap, in bytes.
pub static HEAP: Count = Count::new();
/// The microseconds awake from reset to the server's last positive reply, finally that to the mail.
/// Under QEMU's `-icount shift=0` an instruction takes a nanosecond.
pub static AWAKE: Count = Count::new();

impl Count {
    const fn new() -> Self {
        Self(AtomicUsize::new(0))
    }

    /// Sets the counter.
    pub fn set(&self, now: usize) {
        self.0.store(now, Relaxed);
    }

    /// Adds to the counter. Only for one context: an interrupting count may be lost.
    pub fn add(&self, more: usize) {
        self.0.store(self.0.load(Relaxed).wrapping_add(more), Relaxed);
    }

    /// Raises the counter to this value, if it is a new maximum.
    pub fn peak(&self, now: usize) {
        self.0.store(self.0.load(Relaxed).max(now), Relaxed);
    }
}

/// The deepest use of the stack since reset, in bytes.
#[must_use]
pub fn stack() -> usize {
    let (start, end) = (&raw const _stack_start, &raw const _stack_end);
    let mut at = end;
    // SAFETY: all of it is RAM below the used stack; within the used part any word is valid.
    while at < start && unsafe { at.read_volatile() } == PAINT {
        at = at.wrapping_add(1);
    }
    start as usize - at as usize
}

/// Prints all counters in one line.
pub fn print() {
    defmt::info!(
        "figures: stack={=usize} heap={=usize} sent={=usize} received={=usize} awake={=usize}",
        stack(),
        HEAP.0.load(Relaxed),
        SENT.0.load(Relaxed),
        RECEIVED.0.load(Relaxed),
        AWAKE.0.load(Relaxed)
    );
}
