//! Secrets that are wiped from memory.

use crate::conceal::conceal;

/// A key or a value that a key is made of. It is never shown, is compared in constant time, and is wiped on
/// drop with the feature `zeroize`.
#[derive(Default)]
pub(crate) struct Secret(pub(crate) [u8; 32]);

conceal!("Secret", Secret);

impl Secret {
    /// Whether the secret equals these bytes.
    pub(crate) fn is(&self, octets: &[u8]) -> bool {
        let differ = |all, (a, b): (&u8, &u8)| all | (a ^ b);
        let difference = self.0.iter().zip(octets).fold(0, differ);
        octets.len() == self.0.len() && core::hint::black_box(difference) == 0
    }

    #[cfg(feature = "zeroize")]
    fn wipe(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.0);
    }
}

#[cfg(feature = "zeroize")]
impl Drop for Secret {
    fn drop(&mut self) {
        self.wipe();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_compared() {
        let secret = Secret([7; 32]);
        assert!(secret.is(&[7; 32]));
        for place in 0..32 {
            let mut other = [7; 32];
            other[place] = 0x87;
            assert!(!secret.is(&other), "{place}");
        }
        assert!(!secret.is(&[7; 31]) && !secret.is(&[7; 33]) && !secret.is(b""));
    }

    #[cfg(feature = "zeroize")]
    #[test]
    fn wipe_overwrites_the_secret() {
        let mut secret = Secret([7; 32]);
        secret.wipe();
        assert_eq!(secret.0, [0; 32]);
    }
}
