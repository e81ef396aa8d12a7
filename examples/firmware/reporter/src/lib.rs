//! The sensor's daily mail from a commercial board: over embassy-net and embedded-tls, without a heap, with the time by
//! SNTP. It is the same on every board: a board starts its Ethernet controller and its random number generator, and has a
//! page of flash with the settings.

#![no_std]

use defmt_rtt as _;
use panic_probe as _;

mod mail;
mod network;

pub use mail::report_daily;
pub use network::{address, network};
pub use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;

/// The random numbers of the network and of TLS, from a seed of the chip's true random number generator.
#[must_use]
pub fn random(seed: [u8; 32]) -> ChaCha20Rng {
    ChaCha20Rng::from_seed(seed)
}
