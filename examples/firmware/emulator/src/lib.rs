//! What the firmware has from QEMU, by semihosting, and on a board from the board: the log, the time,
//! randomness, the settings in flash, and an end with an exit code.

#![no_std]

// The critical section that the log needs.
use cortex_m as _;
use defmt_semihosting as _;
use semihosting::experimental::{random, time::SystemTime};
use sensor::Exit;

/// How many octets the page of the settings has, as `memory.x` says.
const PAGE: usize = 4096;

unsafe extern "C" {
    /// Where it is.
    safe static _settings: [u8; PAGE];
}

/// The page of flash that the factory wrote.
#[must_use]
pub fn settings() -> &'static [u8] {
    &_settings
}

/// The host's clock, in seconds since 1970. A product asks a server (SNTP), or has a clock with a
/// battery; without the right time, certificates that ended are good for ever.
#[must_use]
pub fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The host's randomness, for a generator's seed. A product reads its generator of true random
/// numbers; what can be guessed here decrypts everything.
///
/// # Panics
/// If the host has none: better no mail than a readable one.
#[must_use]
pub fn seed() -> [u8; 32] {
    let mut seed = [0; 32];
    if random::fill_bytes(&mut seed).is_err() {
        panic!("no randomness");
    }
    seed
}

/// Ends the emulation. A product sleeps until it has something to say again.
pub fn exit(exit: Exit) -> ! {
    semihosting::process::exit(exit as i32)
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    match info.location() {
        Some(place) => defmt::error!("panicked at {=str}:{=u32}", place.file(), place.line()),
        None => defmt::error!("panicked"),
    }
    exit(Exit::Panic)
}
