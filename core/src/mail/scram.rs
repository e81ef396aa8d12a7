//! What both sides of `SCRAM-SHA-256` compute (RFC 5802 §3, RFC 7677).

use hmac::{Hmac, KeyInit, Mac};
use pbkdf2::pbkdf2_hmac;
use sha2::Sha256;

use crate::Error;
use crate::wipe::Secret;

/// The minimum number of iterations (RFC 7677 §4).
pub(super) const MIN_ITERATIONS: u32 = 4096;

/// The longest salt, in bytes.
pub(super) const MAX_SALT: usize = 64;

/// `SaltedPassword`.
pub(super) fn salted(password: &str, salt: &[u8], iterations: u32) -> Secret {
    let mut salted = Secret::default();
    pbkdf2_hmac::<Sha256>(password.as_bytes(), salt, iterations, &mut salted.0);
    salted
}

/// `ClientKey` or `ServerKey`.
pub(super) fn derive(salted: &Secret, label: &[u8]) -> Result<Secret, Error> {
    let mut hash = keyed(salted)?;
    hash.update(label);
    Ok(Secret(hash.finalize().into_bytes().into()))
}

/// An HMAC with this key.
pub(super) fn keyed(key: &Secret) -> Result<Hmac<Sha256>, Error> {
    Hmac::new_from_slice(&key.0).map_err(|_| Error::NoMechanism)
}
