//! What a run costs, counted by the board and printed at its end for `report`: the depth of the
//! stack, the peak of the heap, the octets on the wire, and the time that was not slept.

#![no_std]

use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// What cortex-m-rt paints the stack with at reset (its feature `paint-stack`).
const PAINT: u32 = 0xcccc_cccc;

unsafe extern "C" {
    /// The least address of the stack that is painted.
    static _stack_end: u32;
    /// The address behind the stack's greatest.
    static _stack_start: u32;
}

/// Something that is counted.
#[derive(Debug, Default)]
pub struct Count(AtomicUsize);

/// The octets of the frames that were sent.
pub static SENT: Count = Count::new();
/// The octets of the frames that were received.
pub static RECEIVED: Count = Count::new();
/// The octets of the heap that were in use at most.
pub static HEAP: Count = Count::new();
/// The microseconds that were not slept from reset to when the server last said that something is
/// done: with the mail, in the end. Under QEMU's `-icount shift=0` an instruction takes a nanosecond.
pub static AWAKE: Count = Count::new();

impl Count {
    const fn new() -> Self {
        Self(AtomicUsize::new(0))
    }

    /// So much now.
    pub fn set(&self, now: usize) {
        self.0.store(now, Relaxed);
    }

    /// So many more. For one context: a count that is interrupted by another may be lost.
    pub fn add(&self, more: usize) {
        self.0.store(self.0.load(Relaxed).wrapping_add(more), Relaxed);
    }

    /// So much now, if it is more than ever before.
    pub fn peak(&self, now: usize) {
        self.0.store(self.0.load(Relaxed).max(now), Relaxed);
    }
}

/// The most that the stack has held since reset, in octets.
#[must_use]
pub fn stack() -> usize {
    let (start, end) = (&raw const _stack_start, &raw const _stack_end);
    let mut at = end;
    // SAFETY: all of it is RAM below what is in use; where it is in use, any word is good.
    while at < start && unsafe { at.read_volatile() } == PAINT {
        at = at.wrapping_add(1);
    }
    start as usize - at as usize
}

/// Prints everything in one line.
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
