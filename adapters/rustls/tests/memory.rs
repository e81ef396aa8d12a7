//! A mail of any size needs the same memory.

#[path = "machine/common.rs"]
#[expect(dead_code, reason = "shared with the other tests")]
mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use common::{
    IDENTITY, Sender, Taker, VERSIONS, Want, client, receive, send, server as our_server, strict,
};
use starttls::{Policy, server};
use starttls_rustls::{RECEIVE, SEND};

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(now, Relaxed);
        // SAFETY: the caller upholds the same contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller upholds the same contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The memory of a connection beyond its two buffers: the state of rustls, and one record in encryption or
/// decryption.
const RUSTLS: usize = 64 * 1024;

/// Sends a mail of `size` bytes and returns the peak of the additional memory.
fn peak(size: usize) -> usize {
    let message = b"0123456789abcdef0123456789abcd\r\n".repeat(size / 32);
    // Allocated before the count: the wires, and the inputs of both ends.
    let (mut to_server, mut to_client) = (Vec::with_capacity(SEND), Vec::with_capacity(SEND));
    let before = NOW.load(Relaxed) + message.len();
    PEAK.store(before, Relaxed);
    let server = our_server(server::Config::default(), IDENTITY.server(VERSIONS[1]));
    let mut sender = Sender::new(client(Policy::Required, &strict(VERSIONS[1])), &message);
    let mut taker = Taker::new(server);
    let mut received = 0;
    loop {
        let wants = [sender.turn().expect("no error"), taker.turn().expect("no error")];
        received += taker.message.len();
        taker.message.clear();
        let moved = [
            send(&mut sender.connection, &mut to_server, usize::MAX),
            send(&mut taker.connection, &mut to_client, usize::MAX),
            receive(&mut sender.connection, &mut to_client, usize::MAX),
            receive(&mut taker.connection, &mut to_server, usize::MAX),
        ];
        if moved == [false; 4] {
            assert_eq!(wants, [Want::Over; 2]);
            break;
        }
    }
    assert_eq!(received, message.len());
    assert_eq!(sender.connection.receive_buffer().len(), RECEIVE);
    PEAK.load(Relaxed) - before
}

#[test]
fn memory_is_bounded() {
    // The first mail allocates what is made once.
    peak(1000);
    let (small, large) = (peak(512 << 10), peak(5 << 20));
    println!("both ends at most: {small} bytes for 512 KiB, {large} bytes for 5 MiB");
    assert!(large <= small + 1024, "{small} {large}");
    assert!(large <= 2 * (RECEIVE + SEND + RUSTLS), "{large}");
}
