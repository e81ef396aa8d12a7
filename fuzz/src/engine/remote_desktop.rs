//! The engines' targets: the specifics of VNC and RDP.

use starttls::client::Client;
use starttls::rdp::{self, Protocols, Security};
use starttls::vnc::{self, Subtype};
use starttls::{Policy, Server, server};

use super::{ClientSide, ServerSide};

const SUBTYPES: [Subtype; 3] = [Subtype::X509Plain, Subtype::X509Vnc, Subtype::X509None];

impl ClientSide for vnc::Vnc {
    const DICTIONARY: &'static str = "remote_desktop";
    const REQUEST: &'static [u8] = &[0, 0, 1, 6];

    fn new(policy: Policy) -> Client<Self::Client<'static>> {
        // The tables use three subtypes, but then the request would vary.
        vnc::Client::new(&SUBTYPES[..1], policy)
    }

    fn is_go_ahead(message: &[u8]) -> bool {
        message == [1]
    }

    fn assert_request(written: &[u8]) {
        let requests = [b"RFB 003.008\n", &[19][..], &[0, 2], Self::REQUEST];
        assert!(requests.contains(&written), "{}", written.escape_ascii());
    }
}

impl ServerSide for vnc::Vnc {
    const ANSWER: &'static str = "VNC has no lines";

    fn new(config: server::Config) -> Server<Self::Server<'static>> {
        let plaintext = vnc::SecurityTypes::new(&[2, 1]).expect("types");
        vnc::Server::new(vnc::Offer::new(&SUBTYPES).with_plaintext(plaintext), config)
    }

    fn asks(message: &[u8]) -> bool {
        SUBTYPES.iter().any(|subtype| subtype.number().to_be_bytes() == message)
    }

    fn is_go_ahead(reply: &[u8]) -> bool {
        reply == [1]
    }

    /// A refusal of the version, the security type or the subtype, or its reason.
    fn is_goodbye(reply: &[u8]) -> bool {
        matches!(reply, [0xff] | [0] | [0, 0, 0, 0, ..])
    }

    /// A client that is disconnected reads the same refusals.
    fn is_farewell(_: &[u8]) -> bool {
        true
    }

    fn assert_reply(written: &[u8]) {
        match written {
            b"RFB 003.008\n" | [0, 2] | [0 | 1 | 0xff] => {}
            [0, 3, subtypes @ ..] => assert_eq!(subtypes.len(), 3 * 4),
            [0, 0, 0, 0, 0, 0, 0, length, reason @ ..] | [0, 0, 0, 0, length, reason @ ..] => {
                assert_eq!(usize::from(*length), reason.len());
            }
            [types, listed @ ..] => assert_eq!(usize::from(*types), listed.len()),
            [] => panic!("nothing"),
        }
    }
}

/// A packet of 19 bytes with a negotiation.
fn assert_packet(written: &[u8], code: u8) {
    assert_eq!(written[..6], [3, 0, 0, 19, 14, code]);
    assert_eq!((written.len(), &written[13..15], &written[16..]), (19, &[8, 0][..], &[0; 3][..]));
}

impl ClientSide for rdp::Rdp {
    const DICTIONARY: &'static str = "remote_desktop";
    const REQUEST: &'static [u8] = b"\x03\0\0\x13\x0e\xe0\0\0\0\0\0\x01\0\x08\0\x03\0\0\0";

    fn new(policy: Policy) -> Client<Self::Client<'static>> {
        rdp::Client::new(Protocols::SSL.with(Protocols::HYBRID), policy)
    }

    fn is_go_ahead(packet: &[u8]) -> bool {
        packet.len() == 19 && packet[5] == 0xd0 && packet[11] == 2 && matches!(packet[15], 1 | 2)
    }

    fn assert_request(written: &[u8]) {
        assert_packet(written, 0xe0);
    }
}

impl ServerSide for rdp::Rdp {
    const ANSWER: &'static str = "RDP has no lines";

    fn new(config: server::Config) -> Server<Self::Server<'static>> {
        let security = &[Security::Hybrid, Security::Ssl];
        rdp::Server::new(rdp::Offer::new(security).with_flags(1), config)
    }

    fn asks(packet: &[u8]) -> bool {
        let asks = |at: &[u8]| at[0] == 1 && at[2..4] == [8, 0] && at[4] & 3 != 0;
        packet[5] == 0xe0 && packet.windows(8).any(asks)
    }

    fn is_go_ahead(reply: &[u8]) -> bool {
        reply.get(11) == Some(&2)
    }

    /// A negotiation failure.
    fn is_goodbye(reply: &[u8]) -> bool {
        reply.get(11) == Some(&3)
    }

    /// A client that is disconnected reads the same failures.
    fn is_farewell(_: &[u8]) -> bool {
        true
    }

    fn assert_reply(written: &[u8]) {
        assert_packet(written, 0xd0);
    }
}
