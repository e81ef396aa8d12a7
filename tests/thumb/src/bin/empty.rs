//! The image without the library: the reference for the others.

#![no_std]
#![no_main]

use starttls_thumb::{receive, send};

#[unsafe(no_mangle)]
extern "C" fn reset() -> ! {
    let mut octets = [0; 512];
    loop {
        let received = receive(&mut octets);
        send(octets.get(..received).unwrap_or_default());
    }
}
