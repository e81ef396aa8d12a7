//! NBD, fixed newstyle.

use starttls::Protocol;

use super::binary::{be32, packet_len};
use super::{
    Answer, Ask, Dialect, Greeting, Leftover, Looks, MARK, Peer, Reply, Served, Service, Setup,
};
use crate::report::{Level, Role};

pub(super) struct Nbd;

const MAGIC: &[u8] = b"NBDMAGIC";
const OPTION_MAGIC: &[u8] = b"IHAVEOPT";
const REPLY_MAGIC: &[u8] = b"\x00\x03\xe8\x89\x04\x55\x65\xa9";
/// The second magic of the old style, which has no options and so no TLS.
const OLD_MAGIC: &[u8] = b"\x00\x00\x42\x02\x81\x86\x12\x53";

/// Options.
const EXPORT_NAME: u32 = 1;
const ABORT: u32 = 2;
const LIST: u32 = 3;
const STARTTLS: u32 = 5;
const INFO: u32 = 6;
const GO: u32 = 7;
const STRUCTURED: u32 = 8;
const LIST_CONTEXTS: u32 = 9;
/// An option that does not exist. Its number tells the answer from others.
const PLANTED: u32 = 0x7421;

/// Types of replies.
const ACK: u32 = 1;
const SERVER: u32 = 2;
const CONTEXT: u32 = 4;
const INVALID: u32 = 1 << 31 | 3;
const UNSUPPORTED: u32 = 1 << 31 | 1;
const POLICY: u32 = 1 << 31 | 2;
const TLS_REQUIRED: u32 = 1 << 31 | 5;
const UNKNOWN: u32 = 1 << 31 | 6;
const SHUTDOWN: u32 = 1 << 31 | 7;

/// Structured replies are agreed on. Metadata contexts are listed only for those who have them: for the default export, none
/// in particular.
const LEFTOVERS: &[Leftover] = &[Leftover {
    case: "state/options",
    before: &[b"IHAVEOPT\0\0\0\x08\0\0\0\0"],
    form: Ask::Inside,
    taken: Looks::Has(b"\0\0\0\x08\0\0\0\x01\0\0\0\0"),
    inside: &[b"IHAVEOPT\0\0\0\x09\0\0\0\x08\0\0\0\0\0\0\0\0"],
    survives: Looks::Has(b"\0\0\0\x09\0\0\0\x01\0\0\0\0"),
}];

impl Dialect for Nbd {
    fn protocol(&self) -> Protocol {
        Protocol::NBD
    }

    fn ask(&self, ask: Ask, _: &Peer<'_>) -> Option<Vec<u8>> {
        Some(match ask {
            Ask::Greeting | Ask::Login => return None,
            // The client's flags: fixed newstyle.
            Ask::Hello => vec![0, 0, 0, 1],
            Ask::Upgrade => option(STARTTLS, b""),
            Ask::Argument => option(STARTTLS, b"now"),
            Ask::Inside => option(LIST, b""),
            Ask::Planted => option(PLANTED, b""),
            Ask::Quit => option(ABORT, b""),
        })
    }

    fn answer_len(&self, ask: Ask, _: &Peer<'_>, bytes: &[u8]) -> Option<usize> {
        match ask {
            Ask::Hello => return Some(0),
            Ask::Greeting => return packet_len(bytes, MAGIC, greeting_len),
            _ => {}
        }
        let mut length = 0;
        loop {
            let rest = &bytes[length..];
            length += packet_len(rest, REPLY_MAGIC, |rest| be32(rest, 16)?.checked_add(20))?;
            // The entries of a list come before its end.
            let is_entry = matches!(number(rest, 12), Some(SERVER | CONTEXT));
            if ask != Ask::Inside || !is_entry {
                return Some(length);
            }
        }
    }

    fn meaning(&self, ask: Ask, answer: &[u8]) -> Answer {
        match ask {
            Ask::Hello => return Answer::Yes,
            Ask::Greeting => {
                return match answer.strip_prefix(MAGIC) {
                    Some([rest @ .., _, flags]) if rest == OPTION_MAGIC && flags & 1 == 1 => {
                        Answer::Yes
                    }
                    // No options, or no fixed answers to them.
                    Some(rest) if rest.starts_with(OLD_MAGIC) => Answer::No,
                    Some(rest) if rest.starts_with(OPTION_MAGIC) => Answer::No,
                    _ => Answer::Strange,
                };
            }
            _ => {}
        }
        let Some((option, kind, data)) = replies(answer).pop() else { return Answer::Strange };
        let wanted = match ask {
            Ask::Upgrade | Ask::Argument => STARTTLS,
            Ask::Planted => PLANTED,
            Ask::Quit => ABORT,
            _ => LIST,
        };
        match kind {
            _ if option != wanted => Answer::Strange,
            ACK if data.is_empty() => Answer::Yes,
            SHUTDOWN => Answer::Later,
            // A list is not for everybody.
            kind if kind >> 31 == 1 && ask == Ask::Inside && kind != TLS_REQUIRED => Answer::Yes,
            kind if kind >> 31 == 1 => Answer::No,
            _ => Answer::Strange,
        }
    }

    fn offers_tls(&self, _: &[u8], _: &[u8]) -> Option<bool> {
        None
    }

    fn uses(&self, plaintext: &[u8]) -> bool {
        let mut options = plaintext.windows(12).filter(|at| at.starts_with(OPTION_MAGIC));
        let uses = [EXPORT_NAME, INFO, GO].map(|option| usize::try_from(option).ok());
        options.any(|at| uses.contains(&be32(at, 8)))
    }

    fn answers_planted(&self, inside: &[u8]) -> bool {
        replies(inside).iter().any(|(option, _, _)| *option == PLANTED)
    }

    fn leftovers(&self) -> &'static [Leftover] {
        LEFTOVERS
    }

    fn clause(&self, role: Role, case: &str) -> Option<(Level, &'static str)> {
        let is_of = role == Role::Server && case == "state/options";
        is_of.then_some((Level::Must, "cve-2021-3716"))
    }

    fn service(&self, setup: Setup) -> Box<dyn Service> {
        Box::new(Server { setup, has_flags: false, is_structured: false })
    }
}

/// The old style has its own length.
fn greeting_len(bytes: &[u8]) -> Option<usize> {
    let style = bytes.get(8..)?.first()?;
    Some(if *style == OLD_MAGIC[0] { 152 } else { 18 })
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    be32(bytes, at).and_then(|number| u32::try_from(number).ok())
}

fn counted(data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).expect("our data is short");
    [&length.to_be_bytes(), data].concat()
}

fn option(option: u32, data: &[u8]) -> Vec<u8> {
    [OPTION_MAGIC, &option.to_be_bytes(), &counted(data)].concat()
}

fn reply(option: u32, kind: u32, data: &[u8]) -> Vec<u8> {
    [REPLY_MAGIC, &option.to_be_bytes(), &kind.to_be_bytes(), &counted(data)].concat()
}

/// The options, types and data of all whole replies.
fn replies(mut bytes: &[u8]) -> Vec<(u32, u32, &[u8])> {
    let mut replies = Vec::new();
    while let Some(length) = be32(bytes, 16).filter(|_| bytes.starts_with(REPLY_MAGIC)) {
        let end = length.saturating_add(20);
        let Some((reply, rest)) = bytes.split_at_checked(end) else { break };
        if let (Some(option), Some(kind)) = (number(reply, 8), number(reply, 12)) {
            replies.push((option, kind, &reply[20..]));
        }
        bytes = rest;
    }
    replies
}

struct Server {
    setup: Setup,
    /// Whether the client's flags have come. They hold inside TLS, too.
    has_flags: bool,
    /// Whether structured replies are agreed on.
    is_structured: bool,
}

impl Service for Server {
    fn greeting(&mut self, inside: bool) -> Vec<u8> {
        match self.setup.greeting {
            _ if inside => Vec::new(),
            Greeting::Welcome => [MAGIC, OPTION_MAGIC, &[0, 1]].concat(),
            // The old style: the export is open at once.
            Greeting::LoggedIn => [MAGIC, OLD_MAGIC, &[0; 136]].concat(),
            // No options, and so no TLS.
            Greeting::Refusal => [MAGIC, OPTION_MAGIC, &[0, 0]].concat(),
            Greeting::Strange => [OPTION_MAGIC, MAGIC, &[0, 1]].concat(),
        }
    }

    fn request_len(&self, bytes: &[u8]) -> Option<usize> {
        let length = if self.has_flags { be32(bytes, 12)?.checked_add(16)? } else { 4 };
        (length <= bytes.len()).then_some(length)
    }

    fn serve(&mut self, request: &[u8], _: bool) -> Served {
        if !std::mem::replace(&mut self.has_flags, true) {
            return Served::Answer(Vec::new());
        }
        let answer = match number(request, 8) {
            Some(number) if request.starts_with(OPTION_MAGIC) => match number {
                STARTTLS => return Served::Upgrade,
                ABORT => return Served::Close(reply(ABORT, ACK, b"")),
                // It has no answer, and there is no such export.
                EXPORT_NAME => return Served::Close(Vec::new()),
                LIST => [reply(LIST, SERVER, &counted(b"check")), reply(LIST, ACK, b"")].concat(),
                INFO | GO => reply(number, UNKNOWN, b""),
                STRUCTURED => {
                    self.is_structured = true;
                    reply(STRUCTURED, ACK, b"")
                }
                LIST_CONTEXTS if self.is_structured => [
                    reply(LIST_CONTEXTS, CONTEXT, b"\0\0\0\0base:allocation"),
                    reply(LIST_CONTEXTS, ACK, b""),
                ]
                .concat(),
                LIST_CONTEXTS => reply(LIST_CONTEXTS, INVALID, b""),
                _ => reply(number, UNSUPPORTED, b""),
            },
            _ => return Served::Close(Vec::new()),
        };
        Served::Answer(answer)
    }

    fn reply(&self, kind: Reply, _: &[u8]) -> Option<Vec<u8>> {
        Some(match kind {
            Reply::GoAhead => reply(STARTTLS, ACK, b""),
            Reply::Later => reply(STARTTLS, SHUTDOWN, b""),
            Reply::No => reply(STARTTLS, POLICY, b""),
            // For another option, of another type, with data, and with a wrong magic.
            Reply::Almost(0) => reply(GO, ACK, b""),
            Reply::Almost(1) => reply(STARTTLS, SERVER, b""),
            Reply::Almost(2) => reply(STARTTLS, ACK, b"now"),
            Reply::Almost(3) => {
                let mut wrong = reply(STARTTLS, ACK, b"");
                wrong[7] ^= 1;
                wrong
            }
            Reply::Almost(_) => return None,
        })
    }

    fn planted(&self) -> Option<Vec<u8>> {
        // The answers to the client's next options.
        let text = format!("{MARK} has no such export");
        Some([reply(STRUCTURED, ACK, b""), reply(GO, UNKNOWN, text.as_bytes())].concat())
    }

    fn forget(&mut self) {
        self.is_structured = false;
    }
}
