use core::marker::PhantomData;

use super::Framing;
use crate::Error;
use crate::conceal::conceal;

/// The header of a packet, which tells the packet's length.
pub trait Header {
    /// The longest packet, with its header, in bytes.
    const MAX_PACKET: usize;

    /// The length in bytes of the packet at the front of `input`, with its header. `None` if more bytes are
    /// needed to know it.
    ///
    /// 0 means an empty frame: its bytes are recognised but not consumed.
    ///
    /// # Errors
    /// The input is not the start of a packet.
    fn packet_len(input: &[u8]) -> Result<Option<usize>, Error>;
}

/// Packets whose header tells their length, as `H` reads it. The frame is the whole packet.
///
/// ```
/// use starttls::Error;
/// use starttls::wire::{Framing, Header, Packets};
///
/// /// The first byte is the length of the rest.
/// struct Short;
///
/// impl Header for Short {
///     const MAX_PACKET: usize = 256;
///
///     fn packet_len(input: &[u8]) -> Result<Option<usize>, Error> {
///         Ok(input.first().map(|length| usize::from(*length) + 1))
///     }
/// }
///
/// let mut input = &b"\x02hi\x03pa"[..];
/// let mut packets = Packets::<Short>::default();
/// assert_eq!(packets.next(&mut input), Ok(Some(&b"\x02hi"[..])));
/// assert_eq!(packets.next(&mut input), Ok(None));
/// ```
pub struct Packets<H>(PhantomData<H>);

impl<H> Default for Packets<H> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

conceal!("Packets", Packets<H> [H]);

impl<H: Header> Framing for Packets<H> {
    const MAX_FRAME: usize = H::MAX_PACKET;

    fn next<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<&'i [u8]>, Error> {
        match H::packet_len(input)? {
            Some(length) if length > H::MAX_PACKET => Err(Error::FrameTooLong),
            Some(length) => Ok(input.split_off(..length)),
            None => Ok(None),
        }
    }
}

/// A packet of exactly one byte.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Octet(());

impl Header for Octet {
    const MAX_PACKET: usize = 1;

    fn packet_len(_: &[u8]) -> Result<Option<usize>, Error> {
        Ok(Some(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A first byte is the packet's length; `T` yields an empty frame.
    struct Short;

    impl Header for Short {
        const MAX_PACKET: usize = 4;

        fn packet_len(input: &[u8]) -> Result<Option<usize>, Error> {
            match input {
                [] => Ok(None),
                [b'T', ..] => Ok(Some(0)),
                [0, ..] => Err(Error::Syntax),
                [length, ..] => Ok(Some(usize::from(*length))),
            }
        }
    }

    #[test]
    fn packets_do_not_depend_on_the_cut() {
        type Expected<'e> = Result<(&'e [&'e [u8]], usize), Error>;
        let rows: [(&[u8], Expected<'_>); 7] = [
            (b"", Ok((&[], 0))),
            (b"\x01\x02x\x04abc", Ok((&[b"\x01", b"\x02x", b"\x04abc"], 0))),
            (b"\x04ab", Ok((&[], 3))),
            (b"\x01\x00", Err(Error::Syntax)),
            (b"\x04abc\x05", Err(Error::FrameTooLong)),
            (b"\xff", Err(Error::FrameTooLong)),
            (b"\x01T", Ok((&[b"\x01", b""], 1))),
        ];
        for (whole, expected) in rows {
            for piece in [whole.len(), 1, 2, 3] {
                assert_eq!(
                    frames(whole, piece),
                    expected.map(|(f, n)| (f.iter().copied().collect(), n)),
                    "{whole:?} by {piece}"
                );
            }
        }
    }

    fn frames(whole: &[u8], piece: usize) -> Result<(heapless::Vec<&[u8], 8>, usize), Error> {
        let mut packets = Packets::<Short>::default();
        let mut found = heapless::Vec::new();
        let (mut start, mut end) = (0, 0);
        while end < whole.len() {
            end = whole.len().min(end + piece);
            let mut input = &whole[start..end];
            while let Some(frame) = packets.next(&mut input)? {
                found.push(frame).expect("few frames");
                if frame.is_empty() {
                    return Ok((found, input.len()));
                }
            }
            start = end - input.len();
        }
        Ok((found, whole.len() - start))
    }

    #[test]
    fn a_packet_of_one_byte() {
        let mut input = &b"SN"[..];
        let mut octets = Packets::<Octet>::default();
        assert_eq!(octets.next(&mut input), Ok(Some(&b"S"[..])));
        assert_eq!(octets.next(&mut input), Ok(Some(&b"N"[..])));
        assert_eq!(octets.next(&mut input), Ok(None));
    }
}
