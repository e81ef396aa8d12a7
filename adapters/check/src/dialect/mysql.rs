//! MySQL and MariaDB.

use starttls::Protocol;

use super::lines::contains;
use super::{Answer, Ask, Dialect, Greeting, MARK, Peer, Reply, Served, Service, Setup};

pub(super) struct Mysql;

/// Capabilities.
const LONG_PASSWORD: u32 = 1;
const LONG_FLAG: u32 = 4;
const PROTOCOL_41: u32 = 0x200;
const SSL: u32 = 0x800;
const TRANSACTIONS: u32 = 0x2000;
const SECURE_CONNECTION: u32 = 0x8000;
const PLUGIN_AUTH: u32 = 0x8_0000;

/// Those of both sides without TLS.
const CAPABILITIES: u32 =
    LONG_PASSWORD | LONG_FLAG | PROTOCOL_41 | TRANSACTIONS | SECURE_CONNECTION | PLUGIN_AUTH;

const NATIVE: &[u8] = b"mysql_native_password";

impl Dialect for Mysql {
    fn protocol(&self) -> Protocol {
        Protocol::MYSQL
    }

    fn ask(&self, ask: Ask, peer: &Peer<'_>) -> Option<Vec<u8>> {
        Some(match ask {
            Ask::Greeting | Ask::Hello | Ask::Argument | Ask::Login | Ask::Quit => return None,
            Ask::Upgrade => packet(1, &flags()),
            // Without a password, and for users that do not exist: the server names them in its error.
            Ask::Inside => response(peer, "check"),
            Ask::Planted => response(peer, MARK),
        })
    }

    fn answer_len(&self, ask: Ask, _: &Peer<'_>, bytes: &[u8]) -> Option<usize> {
        // The server waits for TLS.
        if ask == Ask::Upgrade { Some(0) } else { packet_len(bytes) }
    }

    fn meaning(&self, ask: Ask, answer: &[u8]) -> Answer {
        match (ask, answer.get(4..)) {
            (Ask::Upgrade, _) if answer.is_empty() => Answer::Yes,
            // Too many connections; the host is blocked.
            (Ask::Greeting, Some([0xff, 0x10 | 0x69, 0x04, ..])) => Answer::Later,
            (Ask::Greeting, Some([0xff, ..])) => Answer::No,
            (Ask::Greeting, Some([10, ..])) => Answer::Yes,
            (Ask::Inside | Ask::Planted, Some([0xff, low, high, ..])) => {
                match u16::from_le_bytes([*low, *high]) {
                    // A packet that it cannot read, and TLS that it demands.
                    1043 | 1153..=1161 | 3159 => Answer::No,
                    _ => Answer::Yes,
                }
            }
            // Logged in, another plugin, and another round of this one.
            (Ask::Inside | Ask::Planted, Some([0 | 0xfe | 1, ..])) => Answer::Yes,
            _ => Answer::Strange,
        }
    }

    fn offers_tls(&self, greeting: &[u8], _: &[u8]) -> Option<bool> {
        Hello::read(greeting).map(|hello| hello.capabilities & SSL != 0)
    }

    fn uses(&self, plaintext: &[u8]) -> bool {
        // The request for TLS has 32 bytes; a longer packet is the login.
        matches!(plaintext, [low, high, 0, ..] if u16::from_le_bytes([*low, *high]) > 32)
    }

    fn answers_planted(&self, inside: &[u8]) -> bool {
        contains(inside, MARK)
    }

    fn service(&self, setup: Setup) -> Box<dyn Service> {
        Box::new(Server { setup })
    }
}

/// A packet with its length and sequence number.
fn packet(sequence: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("our packets are short");
    let [a, b, c, _] = length.to_le_bytes();
    [&[a, b, c, sequence][..], payload].concat()
}

fn packet_len(bytes: &[u8]) -> Option<usize> {
    let [a, b, c, _, ..] = *bytes else { return None };
    let length = usize::try_from(u32::from_le_bytes([a, b, c, 0])).ok()? + 4;
    (length <= bytes.len()).then_some(length)
}

/// The fixed part of a client's packet: capabilities, the longest packet, the character set, and zeros.
fn flags() -> Vec<u8> {
    let mut flags = (CAPABILITIES | SSL).to_le_bytes().to_vec();
    flags.extend([0, 0, 0, 1, 33]);
    flags.extend([0; 23]);
    flags
}

/// The client's answer to the greeting, without a password, with the server's own plugin.
fn response(peer: &Peer<'_>, user: &str) -> Vec<u8> {
    let hello = Hello::read(peer.said);
    let plugin = hello.map(|hello| hello.plugin).filter(|plugin| !plugin.is_empty());
    let parts = [&flags()[..], user.as_bytes(), &[0, 0], plugin.unwrap_or(NATIVE), &[0]];
    packet(2, &parts.concat())
}

/// What matters of a greeting.
struct Hello<'g> {
    capabilities: u32,
    plugin: &'g [u8],
}

impl<'g> Hello<'g> {
    fn read(greeting: &'g [u8]) -> Option<Self> {
        let [10, rest @ ..] = greeting.get(4..)? else { return None };
        let version = rest.iter().position(|byte| *byte == 0)?;
        // The connection's id, 8 bytes of the scramble and a zero.
        let rest = rest.get(version + 1 + 4 + 8 + 1..)?;
        let [c0, c1, _, _, _, c2, c3, scramble, rest @ ..] = rest else { return None };
        // At least 13 more bytes of the scramble come after 10 bytes.
        let scramble = usize::from(*scramble).saturating_sub(8).max(13);
        let plugin = rest.get(10 + scramble..).unwrap_or_default();
        let plugin = plugin.split(|byte| *byte == 0).next().unwrap_or_default();
        Some(Self { capabilities: u32::from_le_bytes([*c0, *c1, *c2, *c3]), plugin })
    }
}

struct Server {
    setup: Setup,
}

/// An error with its number, its SQLSTATE and a text.
fn error(sequence: u8, number: u16, text: &str) -> Vec<u8> {
    let [low, high] = number.to_le_bytes();
    packet(sequence, &[&[0xff, low, high][..], b"#HY000", text.as_bytes()].concat())
}

impl Service for Server {
    fn greeting(&mut self, inside: bool) -> Vec<u8> {
        let version = match self.setup.greeting {
            _ if inside => return Vec::new(),
            Greeting::Welcome => 10,
            // Success, as after a login.
            Greeting::LoggedIn => return packet(0, &[0, 0, 0, 2, 0, 0, 0]),
            Greeting::Refusal => return error(0, 1040, "No service here"),
            Greeting::Strange => 9,
        };
        let capabilities = CAPABILITIES | if self.setup.offers { SSL } else { 0 };
        let [c0, c1, c2, c3] = capabilities.to_le_bytes();
        let parts: [&[u8]; 6] = [
            &[version],
            b"8.0.0-check\0\x01\0\0\0scramble\0",
            &[c0, c1, 45, 2, 0, c2, c3, 21, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            b"morescramble\0",
            NATIVE,
            b"\0",
        ];
        packet(0, &parts.concat())
    }

    fn request_len(&self, bytes: &[u8]) -> Option<usize> {
        packet_len(bytes)
    }

    fn serve(&mut self, request: &[u8], _: bool) -> Served {
        let Some([sequence, c0, c1, rest @ ..]) = request.get(3..) else {
            return Served::Close(Vec::new());
        };
        let has_tls = u32::from_le_bytes([*c0, *c1, 0, 0]) & SSL != 0;
        if has_tls && request.len() == 4 + 32 {
            return Served::Upgrade;
        }
        // Nothing here could check the proof of a password.
        let user = rest.get(30..).and_then(|rest| rest.split(|byte| *byte == 0).next());
        let user = String::from_utf8_lossy(user.unwrap_or_default()).into_owned();
        let text = format!("Access denied for user '{user}'");
        Served::Close(error(sequence.wrapping_add(1), 1045, &text))
    }

    fn reply(&self, kind: Reply, _: &[u8]) -> Option<Vec<u8>> {
        // There is no go-ahead, and no answer at all.
        (kind == Reply::GoAhead).then(Vec::new)
    }

    fn planted(&self) -> Option<Vec<u8>> {
        // The success of the client's login.
        Some(packet(3, &[&[0, 0, 0, 2, 0, 0, 0][..], MARK.as_bytes()].concat()))
    }

    fn forget(&mut self) {}
}
