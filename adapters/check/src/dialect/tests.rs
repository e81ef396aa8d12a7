//! Each dialect's two halves against each other, and each half against the library.

mod halves;
mod library;
mod meanings;

use starttls::Protocol;

use super::lines::{code, coded_len};
use super::{ALL, Answer, Ask, Dialect, Peer, Served, Service};

/// The name of the servers in the tests.
const NAME: &str = "server.invalid";

#[test]
fn each_protocol_has_a_dialect() {
    assert!(ALL.iter().map(|dialect| dialect.protocol()).eq(Protocol::ALL.iter().copied()));
}

#[test]
fn a_code_has_three_digits() {
    for (line, expected) in [
        (&b"220 ok\r\n"[..], Some(220)),
        (b"220-ok\r\n", Some(220)),
        (b"220", Some(220)),
        (b"220\r\n", Some(220)),
        (b"2200 ok\r\n", None),
        (b"22 ok\r\n", None),
        (b"220ok\r\n", None),
        (b"", None),
    ] {
        assert_eq!(code(line), expected, "{}", line.escape_ascii());
    }
}

#[test]
fn a_reply_ends_at_a_code_without_hyphen() {
    for (reply, expected) in [
        (&b"220 ok\r\n220 no\r\n"[..], Some(8)),
        (b"220-ok\r\n220 ok\r\nx", Some(16)),
        (b"211-ok\r\nAUTH\r\n 211 no\r\n211 ok\r\n", Some(31)),
        (b"Hello\r\n220 ok\r\n", Some(7)),
        (b"220-ok\r\n220 ok", None),
        (b"220 ok", None),
    ] {
        assert_eq!(coded_len(reply), expected, "{}", reply.escape_ascii());
    }
}

/// A client's half of a connection.
struct Talk {
    dialect: &'static dyn Dialect,
    /// What the server said before TLS.
    said: Vec<u8>,
    inside: bool,
}

impl Talk {
    fn new(protocol: &Protocol) -> Self {
        Self {
            dialect: super::known(protocol).expect("a dialect"),
            said: Vec::new(),
            inside: false,
        }
    }

    fn peer(&self) -> Peer<'_> {
        Peer { name: NAME, said: &self.said }
    }

    fn ask(&self, ask: Ask) -> Option<Vec<u8>> {
        self.dialect.ask(ask, &self.peer())
    }

    /// Reads an answer that is all of `bytes`, byte by byte, and returns its meaning.
    fn hear(&mut self, ask: Ask, bytes: &[u8]) -> Answer {
        let id = format!("{} {ask:?}: {}", self.dialect.protocol().name, bytes.escape_ascii());
        let length = |end: usize| self.dialect.answer_len(ask, &self.peer(), &bytes[..end]);
        for end in 0..bytes.len() {
            assert_eq!(length(end), None, "{id}, at {end}");
        }
        assert_eq!(length(bytes.len()), Some(bytes.len()), "{id}");
        let meaning = self.dialect.meaning(ask, bytes);
        if !self.inside {
            self.said.extend(bytes);
        }
        meaning
    }
}

/// What a service did.
struct Fed {
    said: Vec<u8>,
    /// The request for TLS at which it stopped.
    upgrade: Option<Vec<u8>>,
    /// Bytes that are no whole request.
    unread: Vec<u8>,
}

/// Passes bytes to a service, byte by byte. Stops at a request for TLS, or where the service closes.
fn feed(service: &mut dyn Service, bytes: &[u8], inside: bool) -> Fed {
    let mut fed = Fed { said: Vec::new(), upgrade: None, unread: Vec::new() };
    for byte in bytes {
        fed.unread.push(*byte);
        let Some(length) = service.request_len(&fed.unread) else { continue };
        let rest = fed.unread.split_off(length);
        let request = std::mem::replace(&mut fed.unread, rest);
        match service.serve(&request, inside) {
            Served::Answer(answer) => fed.said.extend(answer),
            Served::Upgrade => {
                fed.upgrade = Some(request);
                break;
            }
            Served::Close(answer) => {
                fed.said.extend(answer);
                break;
            }
        }
    }
    fed
}

/// Passes whole requests to a service. Returns what it says, and the request for TLS at which it stopped.
fn serve(service: &mut dyn Service, bytes: &[u8], inside: bool) -> (Vec<u8>, Option<Vec<u8>>) {
    let Fed { said, upgrade, unread } = feed(service, bytes, inside);
    assert!(unread.is_empty(), "half a request: {}", unread.escape_ascii());
    (said, upgrade)
}
