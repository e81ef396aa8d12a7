//! The heap, for rustls.

use core::alloc::{GlobalAlloc, Layout};
use core::mem::MaybeUninit;

use embedded_alloc::LlffHeap;

/// Its size, in bytes.
const SIZE: usize = 96 * 1024;

#[global_allocator]
static HEAP: Heap = Heap(LlffHeap::empty());

/// An allocator that records its peak.
struct Heap(LlffHeap);

/// Gives the heap its memory. Call it once, before the first allocation.
pub fn start() {
    #[unsafe(no_mangle)]
    static mut HEAP_SPACE: [MaybeUninit<u8>; SIZE] = [MaybeUninit::uninit(); SIZE];
    // SAFETY: no other code uses this memory.
    unsafe { HEAP.0.init((&raw mut HEAP_SPACE).addr(), SIZE) }
}

// SAFETY: every call is forwarded to the inner allocator.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller upholds the same contract.
        let place = unsafe { self.0.alloc(layout) };
        meter::HEAP.peak(self.0.used());
        place
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { self.0.dealloc(place, layout) }
    }
}
