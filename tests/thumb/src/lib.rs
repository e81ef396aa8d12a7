//! What every image needs: octets in and out, and no way to panic.

#![no_std]

use core::panic::PanicInfo;
use core::ptr::{addr_of_mut, read_volatile, write_volatile};

unsafe extern "C" {
    /// Exists nowhere: an image from which a panic can be reached does not link.
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

/// Tells the optimizer nothing about the value.
pub fn opaque<T>(mut value: T) -> T {
    let place = addr_of_mut!(value);
    // SAFETY: `place` is valid and its value is not used again.
    unsafe { read_volatile(place) }
}
