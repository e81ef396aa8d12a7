use crate::Error;
use crate::wire::{Header, Writer};

/// The longest connection request, in bytes, as X.224's length indicator limits it.
pub const MAX_REQUEST: usize = HEADER as usize + 255;

/// The longest connection confirm, in bytes.
pub const MAX_CONFIRM: usize = FIXED as usize + 8;

/// The length of TPKT's header in bytes (RFC 1006 §6).
const HEADER: u8 = 4;

/// The length of a TPDU without its variable part, with TPKT's header.
const FIXED: u8 = HEADER + 7;

/// A packet of at most `MAX` bytes: version 3, a reserved byte, the packet's length in two bytes, then an
/// X.224 TPDU, whose length indicator counts the bytes after it.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Tpkt<const MAX: usize>(());

impl<const MAX: usize> Header for Tpkt<MAX> {
    const MAX_PACKET: usize = MAX;

    fn packet_len(input: &[u8]) -> Result<Option<usize>, Error> {
        match input {
            [3, _, high, low, ..] => match u16::from_be_bytes([*high, *low]) {
                length if length < FIXED.into() => Err(Error::Syntax),
                length => Ok(Some(length.into())),
            },
            [] | [3, ..] => Ok(None),
            _ => Err(Error::Syntax),
        }
    }
}

/// A connection request or confirm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tpdu<'i> {
    pub(super) code: u8,
    /// The sender's reference.
    pub(super) source: [u8; 2],
    pub(super) variable: &'i [u8],
}

impl<'i> Tpdu<'i> {
    /// Parses a whole packet.
    pub(super) fn read(packet: &'i [u8]) -> Option<Self> {
        let [_, _, _, _, indicator, tpdu @ ..] = packet else { return None };
        match tpdu {
            [code, _, _, a, b, _, variable @ ..] if tpdu.len() == usize::from(*indicator) => {
                Some(Self { code: *code, source: [*a, *b], variable })
            }
            _ => None,
        }
    }

    /// Prints the fixed part, of class 0, before `variable` bytes.
    pub(super) fn put(
        code: u8,
        destination: [u8; 2],
        source: [u8; 2],
        variable: u8,
        out: &mut Writer<'_>,
    ) {
        let length = variable.saturating_add(FIXED);
        out.put(&[3, 0, 0, length, length.saturating_sub(HEADER + 1), code]);
        out.put(&destination);
        out.put(&source);
        out.push(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Framing, Packets};

    #[test]
    fn lengths() {
        type Expected = Result<Option<usize>, Error>;
        let rows: [(&[u8], Expected); 11] = [
            (b"", Ok(None)),
            (b"\x03", Ok(None)),
            (b"\x03\0\0", Ok(None)),
            (b"\x02", Err(Error::Syntax)),
            (b"\x16\x03\x01", Err(Error::Syntax)),
            (b"\x03\0\0\x0a", Err(Error::Syntax)),
            (b"\x03\0\0\x0b", Ok(None)),
            (b"\x03\xff\0\x13\x0e\xe0\0\0\0\0\0\x01\0\x08\0\x01\0\0\0", Ok(Some(19))),
            (b"\x03\0\0\x14", Err(Error::FrameTooLong)),
            (b"\x03\0\xff\xff", Err(Error::FrameTooLong)),
            (b"\x03\0\0\x0b\x06\xd0\0\0\0\0\0\x16", Ok(Some(11))),
        ];
        for (input, expected) in rows {
            let taken = Packets::<Tpkt<MAX_CONFIRM>>::default().next(&mut &input[..]);
            assert_eq!(taken.map(|packet| packet.map(<[u8]>::len)), expected, "{input:?}");
        }
    }

    #[test]
    fn indicators() {
        for indicator in 0..=255 {
            let packet = [3, 0, 0, 11, indicator, 0xe0, 1, 2, 3, 4, 0];
            assert_eq!(Tpdu::read(&packet).is_some(), indicator == 6, "{indicator}");
        }
        assert_eq!(Tpdu::read(&[3, 0, 0, 10, 5, 0xe0, 0, 0, 0, 0]), None);
    }
}
