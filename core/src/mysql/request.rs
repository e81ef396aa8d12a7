use super::{NEEDED, SEQUENCE_IN_TLS, capability};
use crate::Error;
use crate::wire::Writer;

/// A client's introduction: the `SSLRequest`, which the start of the `HandshakeResponse41` inside TLS
/// repeats.
///
/// ```
/// use starttls::mysql::{SslRequest, capability};
///
/// let request = SslRequest::new(capability::CONNECT_WITH_DB, 1 << 24, 45);
/// assert_ne!(request.capabilities() & capability::SSL, 0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SslRequest {
    capabilities: u32,
    max_packet: u32,
    charset: u8,
}

impl Default for SslRequest {
    /// Capabilities of every server since 4.1, 16 MiB, and `utf8mb4_general_ci`.
    fn default() -> Self {
        let capabilities = capability::LONG_PASSWORD
            | capability::LONG_FLAG
            | capability::TRANSACTIONS
            | capability::SECURE_CONNECTION
            | capability::PLUGIN_AUTH
            | capability::PLUGIN_AUTH_LENENC;
        Self::new(capabilities, 1 << 24, 45)
    }
}

impl SslRequest {
    /// An introduction with the capabilities that your own client wants (see [`capability`]), its longest
    /// packet in bytes, and the number of its collation. The capabilities that TLS needs are added.
    #[must_use]
    pub const fn new(capabilities: u32, max_packet: u32, charset: u8) -> Self {
        Self { capabilities: capabilities | NEEDED, max_packet, charset }
    }

    /// The client's capabilities.
    #[must_use]
    pub const fn capabilities(&self) -> u32 {
        self.capabilities
    }

    /// The longest packet that the client accepts, in bytes.
    #[must_use]
    pub const fn max_packet(&self) -> u32 {
        self.max_packet
    }

    /// The number of the client's collation.
    #[must_use]
    pub const fn charset(&self) -> u8 {
        self.charset
    }

    /// Parses the client's first packet inside TLS, or at least its first [`MAX_HEADER`](super::MAX_HEADER)
    /// bytes.
    ///
    /// Only these capabilities count: an attacker may have written those before TLS.
    ///
    /// # Errors
    /// [`Error::Syntax`] if the packet is not a `HandshakeResponse41`, has the wrong sequence number, or
    /// does not repeat that the client uses TLS.
    pub const fn repeated(packet: &[u8]) -> Result<Self, Error> {
        match packet {
            [a, b, c, SEQUENCE_IN_TLS, c0, c1, c2, c3, m0, m1, m2, m3, charset, reserved @ ..] => {
                let length = u32::from_le_bytes([*a, *b, *c, 0]);
                let capabilities = u32::from_le_bytes([*c0, *c1, *c2, *c3]);
                // The fixed part, a user name with its zero byte, and the length of the proof.
                if length < 34 || reserved.len() < 23 || capabilities & NEEDED != NEEDED {
                    return Err(Error::Syntax);
                }
                let max_packet = u32::from_le_bytes([*m0, *m1, *m2, *m3]);
                Ok(Self { capabilities, max_packet, charset: *charset })
            }
            _ => Err(Error::Syntax),
        }
    }

    /// The introduction reduced to the capabilities that the server has.
    pub(super) const fn with(self, server: u32) -> Self {
        Self::new(self.capabilities & server, self.max_packet, self.charset)
    }

    pub(super) fn print(self, out: &mut Writer<'_>) {
        out.put(b"\x20\0\0\x01");
        out.put(&self.capabilities.to_le_bytes());
        out.put(&self.max_packet.to_le_bytes());
        out.push(self.charset);
        out.put(&[0; 23]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A packet inside TLS, with the byte at `place` replaced.
    fn packet(place: usize, octet: u8) -> [u8; 38] {
        let mut packet = [0; 38];
        packet[..13].copy_from_slice(b"\x22\0\0\x02\x85\xae\x7f\0\0\0\0\x01\x21");
        packet[place] = octet;
        packet
    }

    #[test]
    fn the_response_inside_tls_counts() {
        let whole = packet(0, 0x22);
        let expected = SslRequest { capabilities: 0x7f_ae85, max_packet: 1 << 24, charset: 0x21 };
        assert_eq!(SslRequest::repeated(&whole), Ok(expected));
        assert_eq!(SslRequest::repeated(&whole[..36]), Ok(expected));
        for len in 0..36 {
            assert_eq!(SslRequest::repeated(&whole[..len]), Err(Error::Syntax), "{len}");
        }
        for (place, octet) in [
            (0, 0x21), // too short for a user name
            (3, 0),    // the sequence number starts over
            (3, 1),    // or does not continue
            (3, 3),
            (5, 0xa6), // TLS is no longer announced
            (5, 0xac), // not protocol 4.1
        ] {
            let bad = packet(place, octet);
            assert_eq!(SslRequest::repeated(&bad), Err(Error::Syntax), "{place}");
        }
    }
}
