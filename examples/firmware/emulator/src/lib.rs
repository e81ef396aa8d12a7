//! The firmware's services from QEMU, by semihosting, which a board provides itself: the log, the time,
//! randomness, the settings in flash, and an exit with a code.

#![no_std]

// The critical section that the log needs.
use cortex_m as _;
use defmt_semihosting as _;
use semihosting::experimental::{random, time::SystemTime};
use sensor::Exit;

/// The size of the settings page in bytes, as in `memory.x`.
const PAGE: usize = 4096;

unsafe extern "C" {
    /// The address of the page.
    safe static _settings: [u8; PAGE];
}

/// The page of flash written by the factory.
#[must_use]
pub fn settings() -> &'static [u8] {
    &_settings
}

/// The host's clock, in seconds since 1970. A product uses SNTP, or a clock with a battery; without
/// the right time, expired certificates stay valid forever.
#[must_use]
pub fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The host's randomness, as a generator's seed. A product reads its true random number generator;
/// an attacker who can guess the seed decrypts everything.
///
/// # Panics
/// If the host has none: no mail is better than a readable one.
#[must_use]
pub fn seed() -> [u8; 32] {
    let mut seed = [0; 32];
    if random::fill_bytes(&mut seed).is_err() {
        panic!("no randomness");
    }
    seed
}

/// Ends the emulation. A product sleeps until its next report.
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
