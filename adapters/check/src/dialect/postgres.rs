//! PostgreSQL, protocol 3.

use starttls::Protocol;

use super::binary::be32;
use super::lines::contains;
use super::{Answer, Ask, Dialect, MARK, Peer, Reply, Served, Service, Setup};

pub(super) struct Postgres;

/// The numbers that stand where a startup has the protocol's version.
const VERSION: u32 = 3 << 16;
const SSL: u32 = 80_877_103;
const GSS: u32 = 80_877_104;
const CANCEL: u32 = 80_877_102;

impl Dialect for Postgres {
    fn protocol(&self) -> Protocol {
        Protocol::POSTGRES
    }

    fn greets(&self) -> bool {
        false
    }

    fn ask(&self, ask: Ask, _: &Peer<'_>) -> Option<Vec<u8>> {
        Some(match ask {
            Ask::Greeting | Ask::Hello | Ask::Argument | Ask::Login => return None,
            Ask::Upgrade => startup(SSL, &[]),
            Ask::Inside => startup(VERSION, &["user", "check"]),
            // A server names the extensions that it does not know in NegotiateProtocolVersion.
            Ask::Planted => startup(VERSION, &["user", MARK, &format!("_pq_.{MARK}"), "1"]),
            Ask::Quit => message(b'X', &[]),
        })
    }

    fn answer_len(&self, ask: Ask, _: &Peer<'_>, bytes: &[u8]) -> Option<usize> {
        match (ask, bytes) {
            (Ask::Quit, _) => Some(0),
            (_, []) => None,
            // An error has a message's form.
            (Ask::Upgrade, [b'E', ..]) => message_len(bytes),
            (Ask::Upgrade, [_, ..]) => Some(1),
            _ => {
                let mut length = 0;
                loop {
                    let rest = &bytes[length..];
                    if !matches!(rest, [] | [b'E' | b'K' | b'N' | b'R' | b'S' | b'Z' | b'v', ..]) {
                        return Some(length + 1);
                    }
                    length += message_len(rest)?;
                    // What may precede an answer, and what follows a login without password up to the error that there
                    // is no such user.
                    if !matches!(
                        rest,
                        [b'K' | b'N' | b'S' | b'v', ..] | [b'R', _, _, _, _, 0, 0, 0, 0, ..]
                    ) {
                        return Some(length);
                    }
                }
            }
        }
    }

    fn meaning(&self, ask: Ask, answer: &[u8]) -> Answer {
        match (ask, answer) {
            (Ask::Upgrade, b"S") => Answer::Yes,
            (Ask::Upgrade, b"N" | [b'E', ..]) => Answer::No,
            (Ask::Quit, []) => Answer::Yes,
            (Ask::Inside | Ask::Planted, _) => match last(answer) {
                // It cannot read the startup.
                Some(error) if is_violation(error) => Answer::No,
                Some([b'R' | b'E' | b'Z', ..]) => Answer::Yes,
                _ => Answer::Strange,
            },
            _ => Answer::Strange,
        }
    }

    fn offers_tls(&self, _: &[u8], _: &[u8]) -> Option<bool> {
        None
    }

    fn uses(&self, plaintext: &[u8]) -> bool {
        // A StartupMessage of version 3.
        let mut rest = plaintext;
        while let Some(length) = be32(rest, 0).filter(|length| (8..=rest.len()).contains(length)) {
            if be32(rest, 4) == Some(3 << 16) {
                return true;
            }
            rest = &rest[length..];
        }
        false
    }

    fn answers_planted(&self, inside: &[u8]) -> bool {
        contains(inside, MARK)
    }

    /// A server that finds bytes in its buffer when TLS begins says so inside TLS, since the client waits there.
    fn refuses_planted(&self, inside: &[u8]) -> bool {
        is_violation(inside)
    }

    fn service(&self, setup: Setup) -> Box<dyn Service> {
        Box::new(Server { setup, begun: false })
    }
}

/// Whether it is an error of the code protocol_violation.
fn is_violation(message: &[u8]) -> bool {
    message.starts_with(b"E") && contains(message, "\0C08P01\0")
}

/// A startup has no type.
fn startup(number: u32, texts: &[&str]) -> Vec<u8> {
    let mut body = number.to_be_bytes().to_vec();
    for text in texts {
        body.extend(text.as_bytes());
        body.push(0);
    }
    if !texts.is_empty() {
        body.push(0);
    }
    counted(&body)
}

/// Bytes with their length before them, which counts itself.
fn counted(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).expect("our messages are short");
    [&length.to_be_bytes(), body].concat()
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind][..], &counted(body)].concat()
}

fn message_len(bytes: &[u8]) -> Option<usize> {
    let length = be32(bytes, 1)?.checked_add(1)?;
    (length <= bytes.len()).then_some(length)
}

/// The last of whole messages.
fn last(mut answer: &[u8]) -> Option<&[u8]> {
    let mut last = None;
    while let Some((message, rest)) =
        message_len(answer).and_then(|end| answer.split_at_checked(end))
    {
        (last, answer) = (Some(message), rest);
    }
    last
}

/// An ErrorResponse with a severity, a code and a text.
fn error(code: &str, text: &str) -> Vec<u8> {
    message(b'E', format!("SFATAL\0VFATAL\0C{code}\0M{text}\0\0").as_bytes())
}

struct Server {
    setup: Setup,
    /// Whether the startup has come, so that messages have types.
    begun: bool,
}

impl Service for Server {
    fn greeting(&mut self, inside: bool) -> Vec<u8> {
        use super::Greeting::{LoggedIn, Refusal, Strange, Welcome};
        match self.setup.greeting {
            _ if inside => Vec::new(),
            // Servers do not greet: the end of a login, and an error that comes before any request.
            Welcome => Vec::new(),
            LoggedIn => message(b'R', &[0; 4]),
            Refusal => error("53300", "No service here"),
            Strange => b"Hello".to_vec(),
        }
    }

    fn request_len(&self, bytes: &[u8]) -> Option<usize> {
        if self.begun {
            return message_len(bytes);
        }
        be32(bytes, 0).filter(|length| *length <= bytes.len())
    }

    fn serve(&mut self, request: &[u8], _: bool) -> Served {
        if self.begun {
            return match request {
                // The client has shown its password, which nothing here could check.
                [b'p', ..] => Served::Close(error("28P01", "The password arrived")),
                _ => Served::Close(Vec::new()),
            };
        }
        let number =
            request.get(4..).and_then(<[u8]>::first_chunk).map(|at| u32::from_be_bytes(*at));
        match number {
            Some(SSL) => Served::Upgrade,
            Some(GSS) => Served::Answer(b"N".to_vec()),
            None | Some(CANCEL) => Served::Close(Vec::new()),
            Some(_) => {
                self.begun = true;
                // AuthenticationCleartextPassword, after what the server does not know.
                let password = message(b'R', &[0, 0, 0, 3]);
                let unknown = extensions(request);
                if unknown.is_empty() {
                    return Served::Answer(password);
                }
                let count = u32::try_from(unknown.len()).expect("a short message");
                let mut body = [VERSION.to_be_bytes(), count.to_be_bytes()].concat();
                unknown.iter().for_each(|name| body.extend([name, &b"\0"[..]].concat()));
                Served::Answer([message(b'v', &body), password].concat())
            }
        }
    }

    fn reply(&self, kind: Reply, _: &[u8]) -> Option<Vec<u8>> {
        Some(match kind {
            Reply::GoAhead => b"S".to_vec(),
            // An N is for as long as the server runs.
            Reply::Later => return None,
            Reply::No => b"N".to_vec(),
            // The go-ahead for GSSAPI, that of another protocol, a letter in the other case, and a login's success.
            Reply::Almost(0) => b"G".to_vec(),
            Reply::Almost(1) => b"Y".to_vec(),
            Reply::Almost(2) => b"s".to_vec(),
            Reply::Almost(3) => b"R".to_vec(),
            Reply::Almost(_) => return None,
        })
    }

    fn planted(&self) -> Option<Vec<u8>> {
        // The client is logged in, and may send queries.
        let status = message(b'S', format!("server_version\0{MARK}\0").as_bytes());
        Some([message(b'R', &[0; 4]), status, message(b'Z', b"I")].concat())
    }

    fn forget(&mut self) {
        self.begun = false;
    }
}

/// The names of a startup's protocol extensions.
fn extensions(request: &[u8]) -> Vec<&[u8]> {
    let texts = request.get(8..).unwrap_or_default().split(|byte| *byte == 0);
    texts.step_by(2).filter(|name| name.starts_with(b"_pq_.")).collect()
}
