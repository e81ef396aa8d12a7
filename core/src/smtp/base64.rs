use base64ct::{Base64, Encoding};

use crate::wire::Writer;

/// Writes octets in base64 (RFC 4648 §4) as they come.
#[derive(Debug)]
pub(super) struct Encoder<'w, 'o> {
    out: &'w mut Writer<'o>,
    group: [u8; 3],
    filled: usize,
}

impl<'w, 'o> Encoder<'w, 'o> {
    pub(super) fn new(out: &'w mut Writer<'o>) -> Self {
        Self { out, group: [0; 3], filled: 0 }
    }

    pub(super) fn put(&mut self, octets: &[u8]) {
        for octet in octets {
            if let Some(place) = self.group.get_mut(self.filled) {
                *place = *octet;
            }
            self.filled = self.filled.wrapping_add(1);
            if self.filled >= 3 {
                self.flush();
            }
        }
    }

    /// Writes what is left, padded.
    pub(super) fn finish(mut self) {
        if self.filled > 0 {
            self.flush();
        }
    }

    fn flush(&mut self) {
        for octet in group(self.group, self.filled) {
            self.out.push(octet);
        }
        (self.group, self.filled) = ([0; 3], 0);
    }
}

/// The four characters of the first `filled` octets.
pub(super) fn group(octets: [u8; 3], filled: usize) -> [u8; 4] {
    // As if it were full: for one length only, the library's encoder is small, and never fails.
    let mut encoded = [0; 4];
    let _ = Base64::encode(&octets, &mut encoded);
    for (octet, place) in encoded.iter_mut().zip(0..) {
        if place > filled {
            *octet = b'=';
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_rfc_4648() {
        for (text, expected) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            for cut in 0..=text.len() {
                let mut output = [0; 8];
                let mut out = Writer::new(&mut output);
                let mut encoder = Encoder::new(&mut out);
                encoder.put(&text.as_bytes()[..cut]);
                encoder.put(&text.as_bytes()[cut..]);
                encoder.finish();
                assert_eq!(out.finish(), Ok(expected.len()));
                assert_eq!(&output[..expected.len()], expected.as_bytes());
            }
        }
    }
}
