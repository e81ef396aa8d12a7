use base64ct::{Base64, Base64Unpadded, Encoding};

use crate::ArgumentError;
use crate::wire::Writer;

/// Encodes a stream of bytes in base64 (RFC 4648 §4).
#[derive(Debug)]
pub(super) struct Encoder<'w, 'o> {
    out: &'w mut Writer<'o>,
    /// The last bytes, of which the last `waiting` bits are not yet written.
    bits: u32,
    waiting: u32,
}

impl<'w, 'o> Encoder<'w, 'o> {
    pub(super) fn new(out: &'w mut Writer<'o>) -> Self {
        Self { out, bits: 0, waiting: 0 }
    }

    pub(super) fn put(&mut self, octets: &[u8]) {
        for octet in octets {
            self.bits = self.bits << 8 | u32::from(*octet);
            self.waiting = self.waiting.wrapping_add(8);
            while self.waiting >= 6 {
                self.put_character();
                self.waiting = self.waiting.wrapping_sub(6);
            }
        }
    }

    /// Writes the last bits, padded. Each `=` stands for two missing bits.
    pub(super) fn finish(mut self) {
        if self.waiting > 0 {
            self.put_character();
            while self.waiting < 6 {
                self.out.push(b'=');
                self.waiting = self.waiting.wrapping_add(2);
            }
        }
    }

    /// Writes the first six waiting bits, filled up with zeros.
    fn put_character(&mut self) {
        let [.., first] = (self.bits << 8).wrapping_shr(self.waiting).to_be_bytes();
        self.out.push(character(first));
    }
}

/// The four characters for the first `filled` bytes.
pub(super) fn group([a, b, c]: [u8; 3], filled: usize) -> [u8; 4] {
    let mut bits = u32::from_be_bytes([a, b, c, 0]);
    let mut encoded = [b'='; 4];
    for place in encoded.iter_mut().take(filled.saturating_add(1)) {
        let [first, ..] = bits.to_be_bytes();
        *place = character(first);
        bits <<= 6;
    }
    encoded
}

/// The character for the first six bits.
///
/// The library's encoder takes constant time, so the bytes of a password do not leak through timing.
/// Firmware stays small because only the first character of each group is used.
fn character(octet: u8) -> u8 {
    let mut encoded = [0; 4];
    let _ = Base64::encode(&[octet], &mut encoded);
    let [first, ..] = encoded;
    first
}

/// Groups of four characters, decoded in constant time.
struct Groups<'i>(&'i [u8]);

impl Iterator for Groups<'_> {
    /// The number of bytes, and the bytes.
    type Item = Option<(usize, [u8; 3])>;

    fn next(&mut self) -> Option<Self::Item> {
        let (mut group, length, rest) = match self.0 {
            [] => return None,
            // Padding stands for zero bits, as the letter A does.
            [a, b, b'=', b'='] => ([*a, *b, b'A', b'A'], 1, &[][..]),
            [a, b, c, b'='] => ([*a, *b, *c, b'A'], 2, &[][..]),
            [a, b, c, d, rest @ ..] => ([*a, *b, *c, *d], 3, rest),
            _ => ([b'='; 4], 0, &[][..]),
        };
        self.0 = rest;
        // The length is constant, so the compiler can prove that this call does not panic.
        let decoded = Base64Unpadded::decode_in_place(&mut group).is_ok();
        let [a, b, c, _] = group;
        let octets = [a, b, c];
        let zero = octets.iter().skip(length).all(|octet| *octet == 0);
        Some((decoded && zero).then_some((length, octets)))
    }
}

/// Whether a text is base64, padded and without leftover bits.
pub(super) fn is_base64(text: &[u8]) -> bool {
    Groups(text).all(|group| group.is_some())
}

/// Decodes a text into the front of `buffer`.
///
/// # Errors
/// [`ArgumentError::TooLong`] if it does not fit, [`ArgumentError::Malformed`] if it is not base64.
pub(super) fn decode<'b>(base64: &[u8], buffer: &'b mut [u8]) -> Result<&'b [u8], ArgumentError> {
    let mut places = buffer.iter_mut();
    let mut written: usize = 0;
    for group in Groups(base64) {
        let (length, octets) = group.ok_or(ArgumentError::Malformed)?;
        for octet in octets.iter().take(length) {
            *places.next().ok_or(ArgumentError::TooLong)? = *octet;
            written = written.wrapping_add(1);
        }
    }
    Ok(buffer.get(..written).unwrap_or_default())
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

    #[test]
    fn only_base64_is_base64() {
        for good in ["", "AA==", "AAA=", "AAAA", "AAAAAA==", "+/+/"] {
            assert!(is_base64(good.as_bytes()), "{good}");
        }
        for bad in
            ["A", "AA", "AAA", "A===", "====", "AA=A", "AA==AAAA", "AB==", "AAB=", "-_-_", "AA A"]
        {
            assert!(!is_base64(bad.as_bytes()), "{bad}");
        }
    }
}
