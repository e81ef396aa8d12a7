//! VNC with VeNCrypt.

use starttls::Protocol;

use super::binary::{be32, packet_len};
use super::{Answer, Ask, Dialect, Greeting, MARK, Peer, Reply, Served, Service, Setup};

pub(super) struct Vnc;

const VERSION: &[u8] = b"RFB 003.008\n";

/// Security types: without TLS, and VeNCrypt.
const NONE: u8 = 1;
const PASSWORD: u8 = 2;
const VENCRYPT: u8 = 19;
const VENCRYPT_VERSION: [u8; 2] = [0, 2];

/// Subtypes of VeNCrypt: the user's name and password without TLS, and those whose TLS has certificates. Inside TLS of
/// each of the latter comes: the server's result, its challenge, or the client's name and password.
const PLAIN: u32 = 256;
const X509_NONE: u32 = 260;
const X509_VNC: u32 = 261;
const X509_PLAIN: u32 = 262;

/// The begin of a session, in which others may stay.
const CLIENT_INIT: &[u8] = &[1];
/// Asks for one pixel at the top left.
const UPDATE_REQUEST: &[u8] = &[3, 0, 0, 0, 0, 0, 0, 1, 0, 1];

impl Dialect for Vnc {
    fn protocol(&self) -> Protocol {
        Protocol::VNC
    }

    fn greets_inside(&self, peer: &Peer<'_>) -> bool {
        chosen(peer) != X509_PLAIN
    }

    fn ask(&self, ask: Ask, peer: &Peer<'_>) -> Option<Vec<u8>> {
        Some(match (ask, chosen(peer)) {
            // Version, VeNCrypt and its version at once, since each server knows them or ends here.
            (Ask::Hello, _) => [VERSION, &[VENCRYPT], &VENCRYPT_VERSION].concat(),
            (Ask::Upgrade, chosen) => chosen.to_be_bytes().to_vec(),
            (Ask::Inside, X509_NONE) => CLIENT_INIT.to_vec(),
            // A wrong response, and neither name nor password.
            (Ask::Inside, X509_VNC) => vec![0; 16],
            (Ask::Inside, _) => vec![0; 8],
            // The answer is an update, which nothing else asks for. The other subtypes begin with a login, whose result
            // only tells by its early arrival that it is that of a planted one.
            (Ask::Planted, X509_NONE) => [CLIENT_INIT, UPDATE_REQUEST].concat(),
            (Ask::Planted, _) => return self.ask(Ask::Inside, peer),
            (Ask::Greeting | Ask::Argument | Ask::Login | Ask::Quit, _) => return None,
        })
    }

    fn answer_len(&self, ask: Ask, peer: &Peer<'_>, bytes: &[u8]) -> Option<usize> {
        let is_whole = |length: &usize| *length <= bytes.len();
        match (ask, chosen(peer)) {
            (Ask::Greeting, _) if peer.said.is_empty() => {
                packet_len(bytes, b"RFB ", |_| Some(VERSION.len()))
            }
            (Ask::Hello, _) => hello_len(bytes).filter(is_whole),
            (Ask::Upgrade, _) => Some(1).filter(is_whole),
            (Ask::Greeting, X509_VNC) => Some(16).filter(is_whole),
            (Ask::Inside | Ask::Planted, X509_NONE) => {
                be32(bytes, 20)?.checked_add(24).filter(is_whole)
            }
            _ => result_len(bytes).filter(is_whole),
        }
    }

    fn meaning(&self, ask: Ask, answer: &[u8]) -> Answer {
        match (ask, answer) {
            (Ask::Greeting, [b'R', b'F', b'B', b' ', ..]) if answer == VERSION => Answer::Yes,
            (Ask::Greeting, [b'R', b'F', b'B', b' ', ..]) => Answer::No,
            (Ask::Hello, [0, ..]) => Answer::No,
            (Ask::Hello, _) | (Ask::Upgrade, [1]) => Answer::Yes,
            (Ask::Upgrade, [0]) => Answer::No,
            (Ask::Upgrade, _) => Answer::Strange,
            // A challenge.
            (Ask::Greeting, _) if answer.len() == 16 => Answer::More,
            (_, [0, 0, 0, 0]) => Answer::Yes,
            (Ask::Inside, [0, 0, 0, 1 | 2, ..]) => Answer::Yes,
            (_, [0, 0, 0, 1 | 2, ..]) => Answer::No,
            (Ask::Inside, _) if answer.len() >= 24 => Answer::Yes,
            _ => Answer::Strange,
        }
    }

    fn offers_tls(&self, _: &[u8], hello: &[u8]) -> Option<bool> {
        let has_tls = |subtype: &u32| (X509_NONE..=X509_PLAIN).contains(subtype);
        Some(subtypes(hello).iter().any(has_tls))
    }

    fn offers_login(&self, _: &[u8], hello: &[u8]) -> Option<bool> {
        // The login of RFC 6143 section 7.2.2 shows no password.
        subtypes(hello).contains(&PLAIN).then_some(true)
    }

    fn uses(&self, plaintext: &[u8]) -> bool {
        // After the version: a security type without VeNCrypt.
        plaintext.get(12).is_some_and(|chosen| *chosen != VENCRYPT)
    }

    fn answers_planted(&self, inside: &[u8]) -> bool {
        // The result, then the begin of the session, then an update.
        let session = inside.strip_prefix(&[0; 4]).unwrap_or(inside);
        be32(session, 20).is_some_and(|name| session.len() > name.saturating_add(24))
    }

    fn service(&self, setup: Setup) -> Box<dyn Service> {
        Box::new(Server { setup, round: Round::Version, chosen: 0 })
    }
}

/// The length of a result, after which the reason of a failure follows (RFC 6143 section 7.1.3).
fn result_len(bytes: &[u8]) -> Option<usize> {
    match be32(bytes, 0)? {
        0 => Some(4),
        _ => be32(bytes, 4)?.checked_add(8),
    }
}

/// The length of the security types, of VeNCrypt's version and of its subtypes, each only if the one before has it.
fn hello_len(bytes: &[u8]) -> Option<usize> {
    let types = usize::from(*bytes.first()?);
    if types == 0 {
        return be32(bytes, 1)?.checked_add(5);
    }
    let types = bytes.get(..types + 1)?;
    if !types[1..].contains(&VENCRYPT) {
        return Some(types.len());
    }
    match bytes.get(types.len() + 2..)? {
        [0, count, ..] => Some(types.len() + 4 + 4 * usize::from(*count)),
        [0] | [] => None,
        // The version is refused.
        _ => Some(types.len() + 3),
    }
}

/// VeNCrypt's subtypes in the answer to the hello.
fn subtypes(hello: &[u8]) -> Vec<u32> {
    let types = usize::from(hello.first().copied().unwrap_or_default());
    let list = match hello.get(types + 1 + 2..) {
        Some([0, _, list @ ..]) if hello[1..=types].contains(&VENCRYPT) => list,
        _ => &[],
    };
    list.chunks_exact(4).filter_map(|at| at.try_into().ok()).map(u32::from_be_bytes).collect()
}

/// The subtype that the client chooses: one without a login, or else one whose login shows no password.
fn chosen(peer: &Peer<'_>) -> u32 {
    let offered = subtypes(peer.said.get(VERSION.len()..).unwrap_or_default());
    let wanted = [X509_NONE, X509_VNC, X509_PLAIN];
    wanted.into_iter().find(|subtype| offered.contains(subtype)).unwrap_or(X509_NONE)
}

/// The next message of the client.
#[derive(Clone, Copy)]
enum Round {
    Version,
    Type,
    VeNCrypt,
    Subtype,
    /// The first one inside TLS, or the response of a login without it.
    Login,
    /// Those of a session.
    Session,
}

struct Server {
    setup: Setup,
    round: Round,
    chosen: u32,
}

/// The begin of a session: one pixel, its format, and the screen's name.
fn server_init(name: &str) -> Vec<u8> {
    let length = u32::try_from(name.len()).expect("a short name");
    let format = [32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0];
    [&[0, 1, 0, 1][..], &format, &length.to_be_bytes(), name.as_bytes()].concat()
}

/// A reason with its length before it.
fn reason() -> Vec<u8> {
    let text = b"No service here";
    [&[0, 0, 0, u8::try_from(text.len()).expect("a short text")][..], text].concat()
}

impl Server {
    fn types(&self) -> Vec<u8> {
        match (self.setup.greeting, self.setup.offers) {
            // No login at all.
            (Greeting::LoggedIn, _) => vec![1, NONE],
            (_, true) => vec![2, VENCRYPT, PASSWORD],
            (_, false) => vec![1, PASSWORD],
        }
    }
}

impl Service for Server {
    fn greeting(&mut self, inside: bool) -> Vec<u8> {
        match (inside, self.chosen) {
            (false, _) if self.setup.greeting == Greeting::Strange => b"RFB 103.008\n".to_vec(),
            (false, _) => VERSION.to_vec(),
            (true, X509_NONE) => vec![0; 4],
            (true, X509_VNC) => b"sixteen bytes...".to_vec(),
            (true, _) => Vec::new(),
        }
    }

    fn request_len(&self, bytes: &[u8]) -> Option<usize> {
        let length = match self.round {
            Round::Version => VERSION.len(),
            Round::Type => 1,
            Round::VeNCrypt => 2,
            Round::Subtype => 4,
            Round::Login if self.chosen == X509_NONE => 1,
            Round::Login if self.chosen == X509_PLAIN => {
                be32(bytes, 0)?.checked_add(be32(bytes, 4)?)?.checked_add(8)?
            }
            Round::Login => 16,
            Round::Session => match bytes.first()? {
                0 => 20,
                2 => 4 + 4 * usize::from(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?])),
                3 => UPDATE_REQUEST.len(),
                4 => 8,
                5 => 6,
                6 => be32(bytes, 4)?.checked_add(8)?,
                _ => 1,
            },
        };
        (length <= bytes.len()).then_some(length)
    }

    fn serve(&mut self, request: &[u8], _: bool) -> Served {
        let (answer, round) = match (self.round, request) {
            (Round::Version, _) if self.setup.greeting == Greeting::Refusal => {
                return Served::Close([vec![0], reason()].concat());
            }
            (Round::Version, _) => (self.types(), Round::Type),
            (Round::Type, [kind]) if !self.types()[1..].contains(kind) => {
                return Served::Close(Vec::new());
            }
            (Round::Type, [VENCRYPT]) => (VENCRYPT_VERSION.to_vec(), Round::VeNCrypt),
            (Round::Type, [PASSWORD]) => (b"sixteen bytes...".to_vec(), Round::Login),
            (Round::VeNCrypt, [0, 2]) => {
                // The first shows most.
                let list = [X509_PLAIN, X509_VNC, X509_NONE];
                let mut answer = vec![0, 3];
                list.iter().for_each(|subtype| answer.extend(subtype.to_be_bytes()));
                (answer, Round::Subtype)
            }
            (Round::Subtype, [a, b, c, d]) => {
                self.chosen = u32::from_be_bytes([*a, *b, *c, *d]);
                if (X509_NONE..=X509_PLAIN).contains(&self.chosen) {
                    self.round = Round::Login;
                    return Served::Upgrade;
                }
                return Served::Close(vec![0]);
            }
            (Round::Login, _) if self.chosen == X509_NONE => (server_init("check"), Round::Session),
            // Nothing here could check a login.
            (Round::Login, _) => return Served::Close([vec![0, 0, 0, 1], reason()].concat()),
            // An update without rectangles.
            (Round::Session, [3, ..]) => (vec![0; 4], Round::Session),
            (Round::Session, [0 | 2 | 4..=6, ..]) => (Vec::new(), Round::Session),
            (Round::VeNCrypt, _) => return Served::Close(vec![0xff]),
            (Round::Type | Round::Subtype | Round::Session, _) => return Served::Close(Vec::new()),
        };
        self.round = round;
        Served::Answer(answer)
    }

    fn reply(&self, kind: Reply, _: &[u8]) -> Option<Vec<u8>> {
        Some(match kind {
            Reply::GoAhead => vec![1],
            Reply::Later => return None,
            Reply::No => vec![0],
            Reply::Almost(0) => vec![2],
            Reply::Almost(1) => vec![0xff],
            // An ASCII digit.
            Reply::Almost(2) => b"1".to_vec(),
            Reply::Almost(_) => return None,
        })
    }

    fn planted(&self) -> Option<Vec<u8>> {
        // The success of the client's login, and a session.
        Some([vec![0; 4], server_init(MARK)].concat())
    }

    /// The dialogue goes on where it was.
    fn forget(&mut self) {}
}
