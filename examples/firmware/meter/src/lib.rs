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

/// Something that is counted. Octets, all of them.
#[derive(Debug, Default)]
pub struct Count(AtomicUsize);

/// The octets of the frames that were sent.
pub static SENT: Count = Count::new();
/// The octets of the frames that were received.
pub static RECEIVED: Count = Count::new();
/// The most of the heap that was in use.
pub static HEAP: Count = Count::new();

impl Count {
    const fn new() -> Self {
        Self(AtomicUsize::new(0))
    }

    /// So many more. For one context: a count that is interrupted by another may be lost.
    pub fn add(&self, octets: usize) {
        self.0.store(self.0.load(Relaxed).wrapping_add(octets), Relaxed);
    }

    /// So many at the moment, if they are more than ever before.
    pub fn peak(&self, octets: usize) {
        self.0.store(self.0.load(Relaxed).max(octets), Relaxed);
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

/// Prints everything in one line, `awake` being the nanoseconds that were not slept since reset.
/// Under QEMU's `-icount shift=0` an instruction takes a nanosecond.
pub fn print(awake: u64) {
    defmt::info!(
        "figures: stack={=usize} heap={=usize} sent={=usize} received={=usize} awake={=u64}",
        stack(),
        HEAP.0.load(Relaxed),
        SENT.0.load(Relaxed),
        RECEIVED.0.load(Relaxed),
        awake
    );
}
