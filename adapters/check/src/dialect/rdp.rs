//! RDP.

mod session;

use starttls::Protocol;

use super::binary::{element_len, packet_len};
use super::{Answer, Ask, Dialect, Greeting, MARK, Peer, Reply, Served, Service, Setup};

use session::{challenge_request, connect_initial};

pub(super) struct Rdp;

/// X.224 codes (MS-RDPBCGR section 2.2.1.1 and the following ones).
const REQUEST: u8 = 0xe0;
const CONFIRM: u8 = 0xd0;
const DISCONNECT: u8 = 0x80;

/// Types of the negotiation.
const ASK: u8 = 1;
const RESPONSE: u8 = 2;
const FAILURE: u8 = 3;

/// Protocols: TLS, and TLS with CredSSP inside.
const SSL: u8 = 1;
const HYBRID: u8 = 2;

/// The channels that the planted request has, and its answer too. The first question has none.
const PLANTED_CHANNELS: u8 = 7;

impl Dialect for Rdp {
    fn protocol(&self) -> Protocol {
        Protocol::RDP
    }

    fn greets(&self) -> bool {
        false
    }

    fn ask(&self, ask: Ask, peer: &Peer<'_>) -> Option<Vec<u8>> {
        Some(match ask {
            Ask::Upgrade => negotiation(REQUEST, ASK, SSL | HYBRID),
            Ask::Inside if selected(peer.said) == Some(HYBRID) => challenge_request(),
            Ask::Inside => connect_initial(SSL, 0),
            // For TLS alone. A server that chose CredSSP closes if it reads it.
            Ask::Planted => connect_initial(SSL, PLANTED_CHANNELS),
            Ask::Greeting | Ask::Hello | Ask::Argument | Ask::Login | Ask::Quit => return None,
        })
    }

    fn answer_len(&self, _: Ask, _: &Peer<'_>, bytes: &[u8]) -> Option<usize> {
        frame_len(bytes)
    }

    fn meaning(&self, ask: Ask, answer: &[u8]) -> Answer {
        match (ask, answer) {
            (Ask::Upgrade, _) if matches!(selected(answer), Some(SSL | HYBRID)) => Answer::Yes,
            (Ask::Upgrade, _) => match confirmed(answer) {
                // An old server, one that wants no TLS, and one that cannot have it.
                Some([] | [RESPONSE, _, 8, 0, 0, 0, 0, 0] | [FAILURE, _, 8, 0, _, 0, 0, 0]) => {
                    Answer::No
                }
                _ => Answer::Strange,
            },
            // A response of MCS in a data packet, or one of CredSSP.
            (_, [3, _, _, _, 2, 0xf0, 0x80, 0x7f, 0x66, ..] | [0x30, ..]) => Answer::Yes,
            (_, [3, _, _, _, _, DISCONNECT, ..] | [3, _, _, _, 2, 0xf0, 0x80, ..]) => Answer::No,
            _ => Answer::Strange,
        }
    }

    fn offers_tls(&self, _: &[u8], _: &[u8]) -> Option<bool> {
        None
    }

    fn uses(&self, plaintext: &[u8]) -> bool {
        // A TPDU with data.
        plaintext.windows(3).any(|at| at == [2, 0xf0, 0x80])
    }

    fn answers_planted(&self, inside: &[u8]) -> bool {
        // SC_NET: its type and length, the main channel, and the number of the others.
        inside.windows(8).any(|at| {
            let [3, 0x0c, _, 0, _, _, channels, 0] = at else { return false };
            *channels == PLANTED_CHANNELS
        })
    }

    fn service(&self, setup: Setup) -> Box<dyn Service> {
        Box::new(Server { setup })
    }
}

/// The length of a TPKT packet (RFC 1006 section 6) or of a message of CredSSP.
fn frame_len(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [0x30, ..] => packet_len(bytes, &[0x30], element_len),
        _ => packet_len(bytes, &[3], |bytes| match bytes {
            [_, _, high, low, ..] => Some(u16::from_be_bytes([*high, *low]).into()),
            _ => None,
        }),
    }
}

/// A connection request or confirm.
fn connection(code: u8, variable: &[u8]) -> Vec<u8> {
    let length = u8::try_from(variable.len() + 11).expect("our packets are short");
    [&[3, 0, 0, length, length - 5, code, 0, 0, 0, 0, 0][..], variable].concat()
}

fn negotiation(code: u8, kind: u8, number: u8) -> Vec<u8> {
    connection(code, &[kind, 0, 8, 0, number, 0, 0, 0])
}

/// The variable part of a whole connection confirm.
fn confirmed(packet: &[u8]) -> Option<&[u8]> {
    match packet {
        [3, _, high, low, indicator, CONFIRM, _, _, _, _, _, variable @ ..]
            if usize::from(u16::from_be_bytes([*high, *low])) == packet.len()
                && usize::from(*indicator) + 5 == packet.len() =>
        {
            Some(variable)
        }
        _ => None,
    }
}

/// The protocol that the server selected.
fn selected(packet: &[u8]) -> Option<u8> {
    match confirmed(packet)? {
        [RESPONSE, _, 8, 0, selected, 0, 0, 0] => Some(*selected),
        _ => None,
    }
}

struct Server {
    setup: Setup,
}

/// The protocols that a connection request asks for. A cookie or a routing token may come before them.
fn requested(request: &[u8]) -> Option<u8> {
    let [3, _, _, _, _, REQUEST, ..] = request else { return None };
    match request.get(11..)? {
        [.., ASK, _, 8, 0, protocols, _, _, _] => Some(*protocols),
        // Information for correlation comes after them.
        rest => rest.windows(8).rev().find_map(|at| match at {
            [ASK, _, 8, 0, protocols, _, _, _] => Some(*protocols),
            _ => None,
        }),
    }
}

impl Service for Server {
    fn greeting(&mut self, inside: bool) -> Vec<u8> {
        // Servers do not greet: an answer without negotiation, and the end of the connection.
        match self.setup.greeting {
            Greeting::Welcome => Vec::new(),
            _ if inside => Vec::new(),
            Greeting::LoggedIn => connection(CONFIRM, &[]),
            Greeting::Refusal => connection(DISCONNECT, &[]),
            Greeting::Strange => b"Hello".to_vec(),
        }
    }

    fn request_len(&self, bytes: &[u8]) -> Option<usize> {
        frame_len(bytes)
    }

    fn serve(&mut self, request: &[u8], inside: bool) -> Served {
        match requested(request) {
            Some(1..) if !inside => Served::Upgrade,
            // A client without TLS: the security of RDP itself, which ends here.
            _ if !inside => Served::Close(connection(CONFIRM, &[])),
            _ => Served::Close(session::connect_response(request)),
        }
    }

    fn reply(&self, kind: Reply, request: &[u8]) -> Option<Vec<u8>> {
        let requested = requested(request).unwrap_or(SSL);
        // The lowest one that the client asks for: TLS alone if it can be.
        let chosen = requested & requested.wrapping_neg();
        Some(match kind {
            Reply::GoAhead => negotiation(CONFIRM, RESPONSE, chosen),
            Reply::Later => return None,
            Reply::No => negotiation(CONFIRM, FAILURE, 2),
            // The security of RDP itself, chosen or not; what was not asked for; a request; and another packet.
            Reply::Almost(0) => negotiation(CONFIRM, RESPONSE, 0),
            Reply::Almost(1) => connection(CONFIRM, &[]),
            Reply::Almost(2) => negotiation(CONFIRM, RESPONSE, 0x40),
            Reply::Almost(3) => negotiation(CONFIRM, ASK, chosen),
            Reply::Almost(4) => negotiation(REQUEST, RESPONSE, chosen),
            Reply::Almost(_) => return None,
        })
    }

    fn planted(&self) -> Option<Vec<u8>> {
        // An answer to the client's first request inside TLS, with the mark as its data.
        Some(session::response(MARK.as_bytes()))
    }

    fn forget(&mut self) {}
}
