//! The first messages of RDP inside TLS.

use crate::dialect::binary::element;

/// An MCS Connect-Initial with so many channels (MS-RDPBCGR section 2.2.1.3), for a server that selected `protocol`.
pub(super) fn connect_initial(protocol: u8, channels: u8) -> Vec<u8> {
    let mut blocks = [core_block(protocol), block(0xc002, &[0; 8])].concat();
    if channels > 0 {
        let mut net = vec![channels, 0, 0, 0];
        for channel in 0..channels {
            // A name of eight bytes, and no options.
            net.extend([b'c', b'h', b'e', b'c', b'k', b'0' + channel, 0, 0, 0, 0, 0, 0]);
        }
        blocks.extend(block(0xc003, &net));
    }
    // The domain's parameters: those wanted, the least and the most.
    let parameters = |numbers: [u16; 8]| {
        let numbers: Vec<u8> = numbers.iter().flat_map(|number| integer(*number)).collect();
        element(0x30, &numbers)
    };
    let connect = [
        element(4, &[1]),
        element(4, &[1]),
        element(1, &[0xff]),
        parameters([34, 2, 0, 1, 0, 1, 0xffff, 2]),
        parameters([1, 1, 1, 1, 0, 1, 0x420, 2]),
        parameters([0xffff, 0xfc17, 0xffff, 1, 0, 1, 0xffff, 2]),
        element(4, &conference_create(&blocks)),
    ];
    data(0x65, &connect.concat())
}

/// An MCS Connect-Response to a Connect-Initial, with as many channels; nothing for other requests.
pub(super) fn connect_response(request: &[u8]) -> Vec<u8> {
    let Some([2, 0xf0, 0x80, 0x7f, 0x65, ..]) = request.get(4..) else { return Vec::new() };
    // CS_NET: its type, its length and the number of channels.
    let channels = request.windows(8).find_map(|at| match at {
        [0x03, 0xc0, _, _, channels, 0, 0, 0] => Some(*channels),
        _ => None,
    });
    let channels = channels.unwrap_or_default();
    let mut net = vec![0xeb, 3, channels, 0];
    net.extend((0..channels).flat_map(|channel| [0xec + channel, 3]));
    response(&block(0x0c03, &net))
}

/// A Connect-Response that carries blocks.
pub(super) fn response(blocks: &[u8]) -> Vec<u8> {
    data(0x66, &[&[0x0a, 1, 0, 2, 1, 0][..], &element(4, blocks)].concat())
}

/// The first message of CredSSP: NTLM without a name (MS-CSSP section 2.2.1, MS-NLMP section 2.2.1.1).
pub(super) fn challenge_request() -> Vec<u8> {
    const NTLM: &[u8] = b"\x2b\x06\x01\x04\x01\x82\x37\x02\x02\x0a";
    const SPNEGO: &[u8] = b"\x2b\x06\x01\x05\x05\x02";
    let mut token = b"NTLMSSP\0\x01\0\0\0\xb7\x82\x08\xe2".to_vec();
    token.extend([0; 16]);
    // The version of the client.
    token.extend([10, 0, 0x63, 0x45, 0, 0, 0, 15]);
    let mechanisms = element(0xa0, &element(0x30, &element(6, NTLM)));
    let token = element(0xa2, &element(4, &token));
    let negotiation = element(0xa0, &element(0x30, &[mechanisms, token].concat()));
    let token = element(0x60, &[element(6, SPNEGO), negotiation].concat());
    let tokens = element(0x30, &element(0x30, &element(0xa0, &element(4, &token))));
    element(0x30, &[element(0xa0, &[2, 1, 6]), element(0xa1, &tokens)].concat())
}

/// An MCS message in a data packet. Its tag has a second byte.
fn data(tag: u8, content: &[u8]) -> Vec<u8> {
    let message = element(tag, content);
    let length = u16::try_from(message.len() + 8).expect("our packets are short");
    let [high, low] = length.to_be_bytes();
    [&[3, 0, high, low, 2, 0xf0, 0x80, 0x7f][..], &message].concat()
}

fn integer(number: u16) -> Vec<u8> {
    let [high, low] = number.to_be_bytes();
    // A leading one would be a sign.
    match number {
        0..=0x7f => element(2, &[low]),
        0x80..=0x7fff => element(2, &[high, low]),
        _ => element(2, &[0, high, low]),
    }
}

/// A GCC Conference Create Request around the blocks (T.124, in PER).
fn conference_create(blocks: &[u8]) -> Vec<u8> {
    let counted = |bytes: &[u8]| {
        let length = u16::try_from(bytes.len()).expect("our blocks are short");
        [&(length | 0x8000).to_be_bytes()[..], bytes].concat()
    };
    let user_data = [&b"\x00\x08\x00\x10\x00\x01\xc0\x00Duca"[..], &counted(blocks)].concat();
    [&b"\x00\x05\x00\x14\x7c\x00\x01"[..], &counted(&user_data)].concat()
}

/// A block with its type and length.
fn block(kind: u16, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len() + 4).expect("our blocks are short");
    [&kind.to_le_bytes()[..], &length.to_le_bytes(), content].concat()
}

/// The client's core data (MS-RDPBCGR section 2.2.1.3.2).
fn core_block(protocol: u8) -> Vec<u8> {
    // Version 5; 800 by 600 pixels of 8 bits; the usual key sequence; an American keyboard.
    let mut core = b"\x04\0\x08\0\x20\x03\x58\x02\x01\xca\x03\xaa\x09\x04\0\0\x28\x0a\0\0".to_vec();
    core.extend(b"c\0h\0e\0c\0k\0".iter().chain(&[0; 22]));
    // The keyboard's type and function keys, and no input method.
    core.extend([4, 0, 0, 0, 0, 0, 0, 0, 12, 0, 0, 0]);
    core.extend([0; 64]);
    // The colours that the client can have: 8 bits, then at most 24.
    core.extend([1, 0xca, 1, 0, 0, 0, 0, 0, 24, 0, 7, 0, 1, 0]);
    core.extend([0; 64]);
    core.extend([0, 0, protocol, 0, 0, 0]);
    block(0xc001, &core)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_the_blocks() {
        assert_eq!(core_block(1).len(), 216);
        let planted = connect_initial(1, 7);
        let net = planted.windows(8).any(|at| at == [0x03, 0xc0, 8 + 7 * 12, 0, 7, 0, 0, 0]);
        assert!(net, "{}", planted.escape_ascii());
        assert_eq!(usize::from(u16::from_be_bytes([planted[2], planted[3]])), planted.len());
    }

    #[test]
    fn the_challenge_request_is_one_element() {
        let request = challenge_request();
        assert_eq!(crate::dialect::binary::element_len(&request), Some(request.len()));
    }
}
