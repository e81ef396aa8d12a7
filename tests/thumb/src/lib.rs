//! The common part of every image: bytes in and out, and a panic handler that does not link.

#![no_std]

pub mod api;

use core::fmt;
use core::panic::PanicInfo;
use core::ptr::{addr_of_mut, read_volatile, write_volatile};
use core::str;

use starttls::client::{Client, Event, Grammar, Upgrade};
use starttls::{Buffer, Error, Machine as _, Step};

unsafe extern "C" {
    /// Is never defined, so an image with a reachable panic does not link.
    safe fn a_panic_is_reachable() -> !;
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    a_panic_is_reachable()
}

const UART: *mut u32 = 0x4000_4000 as *mut u32;

/// Receives into `buffer`, through a register, as a driver would.
#[inline(never)]
pub fn receive(buffer: &mut [u8]) -> usize {
    let mut received = 0;
    for (octet, n) in buffer.iter_mut().zip(1..) {
        // SAFETY: a device register of the board.
        *octet = unsafe { read_volatile(UART) } as u8;
        received = n;
        if *octet == b'\n' {
            break;
        }
    }
    received
}

/// Sends, through a register, as a driver would.
#[inline(never)]
pub fn send(octets: &[u8]) {
    for octet in octets {
        // SAFETY: a device register of the board.
        unsafe { write_volatile(UART, u32::from(*octet)) }
    }
}

/// A sink for text.
#[derive(Debug)]
pub struct Uart;

impl fmt::Write for Uart {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        send(text.as_bytes());
        Ok(())
    }
}

/// Receives text; empty if it is not valid UTF-8.
pub fn text(buffer: &mut [u8]) -> &str {
    let received = receive(buffer);
    str::from_utf8(buffer.get(..received).unwrap_or_default()).unwrap_or_default()
}

/// Makes the value opaque to the optimizer.
pub fn opaque<T>(mut value: T) -> T {
    let place = addr_of_mut!(value);
    // SAFETY: `place` is valid and its value is not used again.
    unsafe { read_volatile(place) }
}

/// A client's upgrade, from its start to the go-ahead, with a receive buffer of `N` bytes and `M` to
/// send.
///
/// # Errors
/// Those of the client.
pub fn upgrade<G: Grammar, const N: usize, const M: usize>(
    mut client: Client<G>,
) -> Result<Upgrade, Error> {
    let mut buffer = Buffer::<N>::new();
    let mut output = [0; M];
    loop {
        let mut input = buffer.filled();
        let step = client.step(&mut input, &mut output)?;
        let unread = input.len();
        match step {
            Step::Write(n) => send(output.get(..n).unwrap_or_default()),
            Step::Event(Event::UpgradeReady) => return client.into_upgrade(input),
            Step::Event(_) => {}
            Step::Read => {
                buffer.keep(unread);
                buffer.fill(|free| Ok::<_, Error>(receive(free)))?;
                continue;
            }
        }
        buffer.keep(unread);
    }
}
