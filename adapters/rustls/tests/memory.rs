//! A mail of any size needs the same memory, and a connection that waits needs little.

#[path = "machine/common.rs"]
#[expect(dead_code, reason = "shared with the other tests")]
mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use common::{
    IDENTITY, NAME, Sender, Taker, VERSIONS, Want, client, receive, send, server as our_server,
    strict,
};
use starttls::{Policy, server, smtp};
use starttls_rustls::{Event, RECEIVE, SEND, Server, Step};

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
    PEAK.load(Relaxed) - before
}

/// The additional memory of a value, in bytes.
fn held<T>(value: T) -> usize {
    let before = NOW.load(Relaxed);
    drop(value);
    before - NOW.load(Relaxed)
}

/// The heap of a server and of a client that wait, in bytes, before TLS.
fn waiting() -> [usize; 2] {
    let (server_tls, client_tls) = (Arc::new(IDENTITY.server(VERSIONS[1])), strict(VERSIONS[1]));
    let mut wire = b"EHLO client.example.org\r\n".to_vec();
    let mut ours =
        Server::new(smtp::Server::new(NAME, server::Config::default()), server_tls.clone());
    receive(&mut ours, &mut wire, usize::MAX);
    while let Step::Event(_) = ours.step().expect("no error") {}
    assert!(send(&mut ours, &mut wire, usize::MAX));
    assert!(matches!(ours.step(), Ok(Step::Read)));
    // A program that receives until nothing is left waits with this buffer.
    assert!(!ours.receive_buffer().is_empty());

    let mut theirs = client(Policy::Required, &client_tls);
    receive(&mut theirs, &mut b"220-mail.example.org\r\n".to_vec(), usize::MAX);
    while let Step::Event(_) = theirs.step().expect("no error") {}
    assert!(!theirs.receive_buffer().is_empty());
    [held(ours), held(theirs)]
}

/// The same inside TLS, with session tickets.
fn inside() -> [usize; 2] {
    let (server_tls, client_tls) = (Arc::new(IDENTITY.server(VERSIONS[1])), strict(VERSIONS[1]));
    let machine = smtp::Server::new(NAME, server::Config::default());
    let mut taker = Taker::new(Server::new(machine, server_tls.clone()));
    let mut ours = client(Policy::Required, &client_tls);
    let (mut to_server, mut to_client) = (Vec::new(), Vec::new());
    let mut established = false;
    loop {
        let far = taker.turn().expect("no error");
        let near = loop {
            if established {
                break Want::from(ours.read().expect("no error"));
            }
            match ours.step().expect("no error") {
                Step::Event(event) => established = matches!(event, Event::Established(_)),
                step => break step.into(),
            }
        };
        let moved = [
            send(&mut ours, &mut to_server, usize::MAX),
            send(&mut taker.connection, &mut to_client, usize::MAX),
            receive(&mut ours, &mut to_client, usize::MAX),
            receive(&mut taker.connection, &mut to_server, usize::MAX),
        ];
        if moved == [false; 4] {
            assert_eq!([far, near], [Want::Read; 2]);
            break;
        }
    }
    assert!(established);
    [held(taker.connection), held(ours)]
}

#[test]
fn memory_is_bounded() {
    // The first mail allocates what is made once.
    peak(1000);
    let (before, inside) = (waiting(), inside());
    println!("a server and a client that wait: {before:?} bytes before TLS, {inside:?} inside");
    assert!(before.iter().all(|bytes| *bytes <= 512), "{before:?}");
    // rustls' own state, of which the keys of AES are a third, and the certificates of the server.
    assert!(inside.iter().all(|bytes| *bytes <= 512 + 4096), "{inside:?}");
    let (small, large) = (peak(512 << 10), peak(5 << 20));
    println!("both ends at most: {small} bytes for 512 KiB, {large} bytes for 5 MiB");
    assert!(large <= small + 1024, "{small} {large}");
    assert!(large <= 2 * (RECEIVE + SEND + RUSTLS), "{large}");
}
