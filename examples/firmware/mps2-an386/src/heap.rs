//! The heap, for rustls.

use core::alloc::{GlobalAlloc, Layout};
use core::mem::MaybeUninit;

use embedded_alloc::LlffHeap;

/// How large it is, in octets.
const SIZE: usize = 96 * 1024;

#[global_allocator]
static HEAP: Heap = Heap(LlffHeap::empty());

/// An allocator that notes its peak.
struct Heap(LlffHeap);

/// Gives the heap its memory. To be called once, before anything is allocated.
pub fn start() {
    #[unsafe(no_mangle)]
    static mut HEAP_SPACE: [MaybeUninit<u8>; SIZE] = [MaybeUninit::uninit(); SIZE];
    // SAFETY: nobody else names this memory.
    unsafe { HEAP.0.init((&raw mut HEAP_SPACE).addr(), SIZE) }
}

// SAFETY: the allocator inside does it all.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the same promises.
        let place = unsafe { self.0.alloc(layout) };
        meter::HEAP.peak(self.0.used());
        place
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { self.0.dealloc(place, layout) }
    }
}
