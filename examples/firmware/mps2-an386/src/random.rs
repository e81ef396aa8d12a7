//! Random bytes for TLS: a generator (ChaCha20) with a seed from the board.

use core::cell::RefCell;

use critical_section::Mutex;
use getrandom::Error;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};

static GENERATOR: Mutex<RefCell<Option<ChaCha20Rng>>> = Mutex::new(RefCell::new(None));

/// Seeds the generator. Before that, it fails.
pub fn start(seed: [u8; 32]) {
    critical_section::with(|token| GENERATOR.replace(token, Some(ChaCha20Rng::from_seed(seed))));
}

/// Random bytes.
pub fn octets<const N: usize>() -> [u8; N] {
    let mut octets = [0; N];
    fill(&mut octets).expect("seeded at the start");
    octets
}

/// The source of random bytes for rustls-rustcrypto.
fn fill(octets: &mut [u8]) -> Result<(), Error> {
    critical_section::with(|token| match &mut *GENERATOR.borrow_ref_mut(token) {
        Some(generator) => {
            generator.fill_bytes(octets);
            Ok(())
        }
        None => Err(Error::UNSUPPORTED),
    })
}
getrandom::register_custom_getrandom!(fill);
