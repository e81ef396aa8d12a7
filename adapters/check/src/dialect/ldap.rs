//! LDAP.

use starttls::Protocol;

use super::binary::{element, element_len, elements, packet_len};
use super::{Answer, Ask, Dialect, Greeting, MARK, Peer, Reply, Served, Service, Setup};
use crate::report::{Level, Role};

pub(super) struct Ldap;

const START_TLS: &[u8] = b"1.3.6.1.4.1.1466.20037";
const WHO_AM_I: &[u8] = b"1.3.6.1.4.1.4203.1.11.3";
const DISCONNECTION: &[u8] = b"1.3.6.1.4.1.1466.20036";

/// The messageIDs of the questions, by which their answers are told apart.
const UPGRADE: u8 = 1;
const INSIDE: u8 = 2;
const QUIT: u8 = 3;
const PLANTED: u8 = 77;

/// Tags of operations (RFC 4511 section 4.2 and the following ones).
const BIND_REQUEST: u8 = 0x60;
const BIND_RESPONSE: u8 = 0x61;
const SEARCH_ENTRY: u8 = 0x64;
const SEARCH_DONE: u8 = 0x65;
const EXTENDED_REQUEST: u8 = 0x77;
const EXTENDED_RESPONSE: u8 = 0x78;
const REFERRAL: u8 = 0xa3;
const RESPONSE_NAME: u8 = 0x8a;

impl Dialect for Ldap {
    fn protocol(&self) -> Protocol {
        Protocol::LDAP
    }

    fn greets(&self) -> bool {
        false
    }

    fn ask(&self, ask: Ask, _: &Peer<'_>) -> Option<Vec<u8>> {
        let name = element(0x80, START_TLS);
        Some(match ask {
            Ask::Greeting | Ask::Hello | Ask::Login => return None,
            Ask::Upgrade => message(&[UPGRADE], EXTENDED_REQUEST, &name),
            // A requestValue, which StartTLS does not have (RFC 4511 section 4.14.1).
            Ask::Argument => {
                let value = element(0x81, b"now");
                message(&[UPGRADE], EXTENDED_REQUEST, &[name, value].concat())
            }
            Ask::Inside => root(INSIDE),
            Ask::Planted => root(PLANTED),
            Ask::Quit => message(&[QUIT], 0x42, &[]),
        })
    }

    fn answer_len(&self, ask: Ask, _: &Peer<'_>, bytes: &[u8]) -> Option<usize> {
        if ask == Ask::Quit {
            return Some(0);
        }
        let mut length = 0;
        loop {
            let rest = &bytes[length..];
            let more = packet_len(rest, &[0x30], element_len)?;
            length += more;
            // The entry comes before the result.
            if Message::read(&rest[..more]).is_none_or(|message| message.op != SEARCH_ENTRY) {
                return Some(length);
            }
        }
    }

    fn meaning(&self, ask: Ask, answer: &[u8]) -> Answer {
        let (wanted, op) = match ask {
            Ask::Quit => return Answer::Yes,
            Ask::Upgrade | Ask::Argument => (UPGRADE, EXTENDED_RESPONSE),
            Ask::Planted => (PLANTED, SEARCH_DONE),
            _ => (INSIDE, SEARCH_DONE),
        };
        let last = elements(answer).last().map(|(_, content)| *content);
        let Some(message) = last.and_then(Message::parse) else { return Answer::Strange };
        let Some(result) = message.result() else { return Answer::Strange };
        let is_answer = message.id == [wanted] && message.op == op;
        match result {
            Outcome { name: Some(DISCONNECTION), .. } if message.id == [0] => Answer::No,
            _ if !is_answer => Answer::Strange,
            Outcome { name: Some(name), .. } if name != START_TLS => Answer::Strange,
            Outcome { code: 0, refers: true, .. } => Answer::Strange,
            Outcome { code: 0, .. } => Answer::Yes,
            // busy, unavailable
            Outcome { code: 51 | 52, .. } => Answer::Later,
            // protocolError, confidentialityRequired
            Outcome { code: 2 | 13, .. } => Answer::No,
            _ if op == SEARCH_DONE => Answer::Yes,
            _ => Answer::No,
        }
    }

    fn offers_tls(&self, _: &[u8], _: &[u8]) -> Option<bool> {
        None
    }

    fn uses(&self, plaintext: &[u8]) -> bool {
        let is_bind = |message: Message<'_>| message.op == BIND_REQUEST;
        elements(plaintext).iter().filter_map(|(_, content)| Message::parse(content)).any(is_bind)
    }

    fn answers_planted(&self, inside: &[u8]) -> bool {
        let is_answer = |message: Message<'_>| message.id == [PLANTED];
        elements(inside).iter().filter_map(|(_, content)| Message::parse(content)).any(is_answer)
    }

    fn refers(&self) -> bool {
        true
    }

    fn clause(&self, role: Role, case: &str) -> Option<(Level, &'static str)> {
        Some(match (role, case) {
            (Role::Server, "request/inside-tls") => (Level::Should, "rfc4511/4.14.2"),
            _ => return None,
        })
    }

    fn service(&self, setup: Setup) -> Box<dyn Service> {
        Box::new(Server { setup })
    }
}

/// An LDAPMessage; the id is that of an INTEGER.
fn message(id: &[u8], op: u8, body: &[u8]) -> Vec<u8> {
    element(0x30, &[element(2, id), element(op, body)].concat())
}

/// A search for the root DSE, which every server answers (RFC 4512 section 5.1).
fn root(id: u8) -> Vec<u8> {
    let fields = [
        element(4, b""),
        // The base object alone; aliases are not followed; no limits; with values.
        vec![0x0a, 1, 0, 0x0a, 1, 0, 2, 1, 0, 2, 1, 0, 1, 1, 0],
        element(0x87, b"objectClass"),
        element(0x30, &element(4, b"supportedLDAPVersion")),
    ];
    message(&[id], 0x63, &fields.concat())
}

/// An LDAPResult with what follows it.
fn result(code: u8, text: &str, more: &[u8]) -> Vec<u8> {
    [&[0x0a, 1, code, 4, 0][..], &element(4, text.as_bytes()), more].concat()
}

struct Message<'m> {
    id: &'m [u8],
    op: u8,
    body: &'m [u8],
}

struct Outcome<'m> {
    code: u8,
    refers: bool,
    name: Option<&'m [u8]>,
}

impl<'m> Message<'m> {
    fn read(bytes: &'m [u8]) -> Option<Self> {
        match elements(bytes)[..] {
            [(0x30, content)] => Self::parse(content),
            _ => None,
        }
    }

    fn parse(content: &'m [u8]) -> Option<Self> {
        match elements(content)[..] {
            [(2, id), (op, body), ..] => Some(Self { id, op, body }),
            _ => None,
        }
    }

    fn result(&self) -> Option<Outcome<'m>> {
        let fields = elements(self.body);
        let [(0x0a, [code]), (4, _), (4, _), more @ ..] = &fields[..] else { return None };
        let name = more.iter().find(|(tag, _)| *tag == RESPONSE_NAME).map(|(_, name)| *name);
        Some(Outcome { code: *code, refers: more.iter().any(|(tag, _)| *tag == REFERRAL), name })
    }
}

struct Server {
    setup: Setup,
}

impl Service for Server {
    fn greeting(&mut self, inside: bool) -> Vec<u8> {
        // Servers do not greet: the success of a login, and the notice before the end (RFC 4511 section 4.4.1).
        match self.setup.greeting {
            Greeting::Welcome => Vec::new(),
            _ if inside => Vec::new(),
            Greeting::LoggedIn => message(&[1], BIND_RESPONSE, &result(0, "Welcome", &[])),
            Greeting::Refusal => {
                let name = element(RESPONSE_NAME, DISCONNECTION);
                message(&[0], EXTENDED_RESPONSE, &result(52, "No service here", &name))
            }
            Greeting::Strange => b"Hello".to_vec(),
        }
    }

    fn request_len(&self, bytes: &[u8]) -> Option<usize> {
        element_len(bytes).filter(|length| *length <= bytes.len())
    }

    fn serve(&mut self, request: &[u8], inside: bool) -> Served {
        let Some(request) = Message::read(request) else { return Served::Close(Vec::new()) };
        let done = |op, code| Served::Answer(message(request.id, op, &result(code, "", &[])));
        match (request.op, &elements(request.body)[..]) {
            (EXTENDED_REQUEST, [(0x80, START_TLS), ..]) => {
                if let Some(port) = self.setup.refer.filter(|_| !inside) {
                    let url = element(4, format!("ldap://127.0.0.1:{port}").as_bytes());
                    let referral = result(10, "Elsewhere", &element(REFERRAL, &url));
                    return Served::Answer(message(request.id, EXTENDED_RESPONSE, &referral));
                }
                Served::Upgrade
            }
            (EXTENDED_REQUEST, [(0x80, WHO_AM_I), ..]) => done(EXTENDED_RESPONSE, 0),
            // protocolError: an extension that it does not know.
            (EXTENDED_REQUEST, _) => done(EXTENDED_RESPONSE, 2),
            // Bind: every login succeeds.
            (BIND_REQUEST, _) => done(BIND_RESPONSE, 0),
            (0x63, [(4, b""), (0x0a, [0]), ..]) => {
                let end = message(request.id, SEARCH_DONE, &result(0, "", &[]));
                Served::Answer([self.root(request.id, inside), end].concat())
            }
            (0x63, _) => done(SEARCH_DONE, 0),
            (0x42, _) => Served::Close(Vec::new()),
            // Abandon has no answer. Whatever changes something is refused (unwillingToPerform).
            (0x50, _) => Served::Answer(Vec::new()),
            (op @ (0x66 | 0x68 | 0x6c | 0x6e), _) => done(op + 1, 53),
            (0x4a, _) => done(0x6b, 53),
            _ => Served::Close(Vec::new()),
        }
    }

    fn reply(&self, kind: Reply, request: &[u8]) -> Option<Vec<u8>> {
        let id = Message::read(request).map_or(&[UPGRADE][..], |request| request.id);
        let answer = |code, more: &[u8]| message(id, EXTENDED_RESPONSE, &result(code, "", more));
        Some(match kind {
            Reply::GoAhead => answer(0, &[]),
            Reply::Later => answer(52, &[]),
            Reply::No => answer(2, &[]),
            // Another request's answer, another operation, another extension, a search's end, and a referral.
            Reply::Almost(0) => {
                let other = id.last().map_or(0, |id| id ^ 0x40);
                message(&[other], EXTENDED_RESPONSE, &result(0, "", &[]))
            }
            Reply::Almost(1) => message(id, BIND_RESPONSE, &result(0, "", &[])),
            Reply::Almost(2) => answer(0, &element(RESPONSE_NAME, WHO_AM_I)),
            Reply::Almost(3) => message(id, SEARCH_DONE, &result(0, "", &[])),
            Reply::Almost(4) => {
                let url = element(4, b"ldap://check.invalid");
                answer(0, &element(REFERRAL, &url))
            }
            Reply::Almost(_) => return None,
        })
    }

    fn planted(&self) -> Option<Vec<u8>> {
        // The success of the client's next bind.
        Some(message(&[INSIDE], BIND_RESPONSE, &result(0, MARK, &[])))
    }

    fn forget(&mut self) {}
}

impl Server {
    /// The root DSE, with the extensions and mechanisms of logins.
    fn root(&self, id: &[u8], inside: bool) -> Vec<u8> {
        let attribute = |name: &[u8], values: &[&[u8]]| {
            let values: Vec<u8> = values.iter().flat_map(|value| element(4, value)).collect();
            element(0x30, &[element(4, name), element(0x31, &values)].concat())
        };
        let offers = if inside { self.setup.offers_inside } else { self.setup.offers };
        let extensions: &[&[u8]] = if offers { &[WHO_AM_I, START_TLS] } else { &[WHO_AM_I] };
        let attributes = [
            attribute(b"objectClass", &[b"top"]),
            attribute(b"supportedLDAPVersion", &[b"3"]),
            attribute(b"supportedExtension", extensions),
            attribute(b"supportedSASLMechanisms", &[b"PLAIN"]),
        ];
        let entry = [element(4, b""), element(0x30, &attributes.concat())].concat();
        message(id, SEARCH_ENTRY, &entry)
    }
}
