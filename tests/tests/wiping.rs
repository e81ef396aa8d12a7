//! With the feature `zeroize`, dropped memory contains no credential of a client.

use std::mem::{ManuallyDrop, size_of};
use std::ptr;

use starttls::mail::{Credentials, Session};
use starttls::{Buffer, Machine, Policy, Step, Tls, Verification};
use starttls_tests::CLIENT;

/// Whether the memory of a value contains `secret`, before and after it is dropped.
fn lies_in<T>(value: T, secret: &[u8]) -> [bool; 2] {
    let mut place = ManuallyDrop::new(value);
    let start = ptr::addr_of!(place).cast::<u8>();
    let look = || {
        // SAFETY: The value is not moved. Volatile reads see the actual memory.
        let octets: Vec<u8> =
            (0..size_of::<T>()).map(|n| unsafe { start.add(n).read_volatile() }).collect();
        octets.windows(secret.len()).any(|part| part == secret)
    };
    let before = look();
    // SAFETY: The value is not used again, except its memory, which this function owns.
    unsafe { ManuallyDrop::drop(&mut place) };
    [before, look()]
}

#[test]
fn a_buffer_is_wiped() {
    let mut buffer = Buffer::<64>::new();
    buffer.free_mut()[..7].copy_from_slice(b"hunter2");
    buffer.received(7);
    // Consumed bytes are still in memory.
    buffer.keep(0);
    assert_eq!(lies_in(buffer, b"hunter2"), [true, false]);
}

/// `V4mTJ…`: the server's final signature, derived from the password.
#[test]
fn the_keys_of_a_session_are_wiped() {
    const SIGNATURE: [u8; 32] = [
        0x53, 0x3c, 0xb3, 0x58, 0x93, 0x42, 0xa1, 0xe2, 0x71, 0x14, 0xc0, 0x1b, 0x08, 0xbd, 0xfe,
        0xc9, 0x68, 0x3b, 0xc8, 0x00, 0x88, 0x60, 0xe6, 0xc6, 0xd4, 0x98, 0xe1, 0x6f, 0xa4, 0xe6,
        0xb1, 0x17,
    ];
    let tls = Tls::implicit(Policy::Required, Verification::Verified).expect("verified");
    let mut session = Session::<Tls>::new(tls);
    let mut output = [0; 1024];
    let mut hello = session.hello(CLIENT).expect("new");
    for reply in [&b"220 mx\r\n"[..], b"250-mx\r\n250 AUTH SCRAM-SHA-256\r\n"] {
        let mut input = reply;
        while !input.is_empty() {
            hello.step(&mut input, &mut output).expect("no error");
        }
        let _ = hello.step(&mut &b""[..], &mut output);
    }
    let nonce = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18];
    let credentials = Credentials::new("tim", "secret").expect("valid").with_nonce(&nonce);
    let mut login = session.authenticate(&credentials).expect("offered");
    assert!(matches!(login.step(&mut &b""[..], &mut output), Ok(Step::Write(_))));
    let mut challenge = &b"334 cj1BUUlEQkFVR0J3Z0pDZ3NNRFE0UEVCRVNzcnZub25jZSxzPWMyRnNkSE5oYkhSe\
        llXeDBNVEl6TkE9PSxpPTQwOTY=\r\n"[..];
    while !challenge.is_empty() {
        login.step(&mut challenge, &mut output).expect("no error");
    }
    assert_eq!(lies_in(session, &SIGNATURE), [true, false]);
}
