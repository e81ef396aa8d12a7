//! SMTP and LMTP.

use starttls::Protocol;

use super::lines::{by_code, code, coded_len, contains, last_code, line_len, lines, says, words};
use super::{
    Answer, Ask, Dialect, Greeting, HOST, Leftover, Looks, MARK, Peer, Reply, Served, Service,
    Setup,
};
use crate::report::{Level, Role};

pub(super) static SMTP: Mail = Mail { protocol: Protocol::SMTP, hello: "EHLO" };
pub(super) static LMTP: Mail = Mail { protocol: Protocol::LMTP, hello: "LHLO" };

/// Both differ in the word that introduces a client, and in the replies to a message.
pub(super) struct Mail {
    protocol: Protocol,
    hello: &'static str,
}

/// A mail transaction does not survive (RFC 3207 section 4.2). The address is a server's own in every domain
/// (RFC 5321 section 4.5.1), and no message follows.
const SMTP_LEFTOVERS: &[Leftover] =
    &[HELLO, transaction(&[b"EHLO check.invalid\r\n", b"RCPT TO:<postmaster>\r\n"])];
const LMTP_LEFTOVERS: &[Leftover] =
    &[HELLO, transaction(&[b"LHLO check.invalid\r\n", b"RCPT TO:<postmaster>\r\n"])];

const HELLO: Leftover = Leftover {
    case: "state/hello",
    before: &[],
    form: Ask::Inside,
    taken: Looks::Success,
    inside: &[b"MAIL FROM:<>\r\n"],
    survives: Looks::Success,
};

const fn transaction(inside: &'static [&'static [u8]]) -> Leftover {
    Leftover { case: "state/transaction", before: &[b"MAIL FROM:<>\r\n"], inside, ..HELLO }
}

impl Dialect for Mail {
    fn protocol(&self) -> Protocol {
        self.protocol
    }

    fn ask(&self, ask: Ask, _: &Peer<'_>) -> Option<Vec<u8>> {
        Some(match ask {
            Ask::Greeting => return None,
            Ask::Hello | Ask::Inside => format!("{} {HOST}\r\n", self.hello).into(),
            Ask::Upgrade => b"STARTTLS\r\n".to_vec(),
            Ask::Argument => b"STARTTLS now\r\n".to_vec(),
            // An unknown command: no server answers it with the code of the answer to EHLO.
            Ask::Planted => format!("X{MARK}\r\n").into(),
            Ask::Login => b"AUTH PLAIN\r\n".to_vec(),
            Ask::Quit => b"QUIT\r\n".to_vec(),
        })
    }

    fn answer_len(&self, _: Ask, _: &Peer<'_>, bytes: &[u8]) -> Option<usize> {
        coded_len(bytes)
    }

    fn meaning(&self, ask: Ask, answer: &[u8]) -> Answer {
        match ask {
            Ask::Upgrade | Ask::Argument if last_code(answer) == Some(220) => Answer::Yes,
            Ask::Upgrade | Ask::Argument if by_code(answer) == Answer::Yes => Answer::Strange,
            _ => by_code(answer),
        }
    }

    fn offers_tls(&self, _: &[u8], hello: &[u8]) -> Option<bool> {
        Some(keywords(hello).any(|words| words.first().is_some_and(|word| word == b"STARTTLS")))
    }

    fn offers_login(&self, _: &[u8], hello: &[u8]) -> Option<bool> {
        let plain = |word: &Vec<u8>| word == b"PLAIN" || word == b"LOGIN";
        Some(keywords(hello).any(|words| {
            words.first().is_some_and(|word| word == b"AUTH") && words.iter().any(plain)
        }))
    }

    fn uses(&self, plaintext: &[u8]) -> bool {
        says(plaintext, 0, &["AUTH", "MAIL", "RCPT", "DATA"])
    }

    fn answers_planted(&self, inside: &[u8]) -> bool {
        lines(inside).next().and_then(code).is_some_and(|code| code / 100 == 5)
            || contains(inside, MARK)
    }

    fn leftovers(&self) -> &'static [Leftover] {
        if self.hello == "EHLO" { SMTP_LEFTOVERS } else { LMTP_LEFTOVERS }
    }

    fn clause(&self, role: Role, case: &str) -> Option<(Level, &'static str)> {
        Some(match (role, case) {
            (Role::Server, "request/argument") => (Level::Should, "rfc3207/4"),
            (Role::Server, "offer/inside-tls") => (Level::Must, "rfc3207/4.2"),
            (Role::Server, "tls/after-a-failed-handshake") => (Level::Should, "rfc3207/4"),
            (Role::Client, "offer/inside-tls") => (Level::Must, "rfc3207/4.2"),
            (Role::Client, "state/logins") => (Level::Must, "rfc3207/4.2"),
            _ => return None,
        })
    }

    fn service(&self, setup: Setup) -> Box<dyn Service> {
        let hello = self.hello.as_bytes();
        Box::new(Server { hello, setup, reading: Reading::Commands, recipients: 0, stale: false })
    }
}

/// The words of each line after the first, without codes.
fn keywords(hello: &[u8]) -> impl Iterator<Item = Vec<Vec<u8>>> {
    lines(hello).skip(1).map(|line| words(line.get(4..).unwrap_or_default()))
}

/// What the next bytes of the client are.
enum Reading {
    Commands,
    /// Responses of a login: so many more.
    Login(u8),
    Message,
}

struct Server {
    hello: &'static [u8],
    setup: Setup,
    reading: Reading,
    recipients: usize,
    stale: bool,
}

impl Server {
    fn command(&mut self, request: &[u8], inside: bool) -> Served {
        let words = words(request);
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        let answer = match &words[..] {
            [b"AUTH", b"LOGIN", ..] if inside && self.setup.logins_change => {
                self.stale = true;
                "504 5.5.4 Not this mechanism\r\n".to_owned()
            }
            [b"STARTTLS", ..] => return Served::Upgrade,
            [b"QUIT", ..] => return Served::Close(b"221 2.0.0 Goodbye\r\n".to_vec()),
            [verb, ..] if *verb == self.hello => return Served::Answer(self.capabilities(inside)),
            [b"HELO", ..] => format!("250 {HOST}\r\n"),
            [b"AUTH", b"PLAIN", _] => "235 2.7.0 Welcome\r\n".to_owned(),
            [b"AUTH", b"LOGIN", _] => {
                self.reading = Reading::Login(1);
                "334 UGFzc3dvcmQ6\r\n".to_owned()
            }
            [b"AUTH", b"LOGIN"] => {
                self.reading = Reading::Login(2);
                "334 VXNlcm5hbWU6\r\n".to_owned()
            }
            [b"AUTH", b"PLAIN"] => {
                self.reading = Reading::Login(1);
                "334 \r\n".to_owned()
            }
            [b"AUTH", ..] => "504 5.5.4 Not this mechanism\r\n".to_owned(),
            [b"MAIL", ..] => {
                self.recipients = 0;
                "250 2.1.0 Sender ok\r\n".to_owned()
            }
            [b"RCPT", ..] => {
                self.recipients += 1;
                "250 2.1.5 Recipient ok\r\n".to_owned()
            }
            [b"DATA"] if self.recipients > 0 => {
                self.reading = Reading::Message;
                "354 End with a dot\r\n".to_owned()
            }
            [b"NOOP" | b"RSET", ..] => "250 2.0.0 Ok\r\n".to_owned(),
            _ => "502 5.5.1 Not here\r\n".to_owned(),
        };
        Served::Answer(answer.into())
    }

    fn capabilities(&self, inside: bool) -> Vec<u8> {
        let offers = if inside { self.setup.offers_inside } else { self.setup.offers };
        let tls = if offers { "250-STARTTLS\r\n" } else { "" };
        let logins = match (self.setup.logins_change, inside) {
            (false, _) => "PLAIN LOGIN",
            (true, false) => "LOGIN",
            (true, true) => "PLAIN",
        };
        format!("250-{HOST}\r\n{tls}250-8BITMIME\r\n250 AUTH {logins}\r\n").into()
    }
}

impl Service for Server {
    fn greeting(&mut self, inside: bool) -> Vec<u8> {
        let text = match self.setup.greeting {
            _ if inside => return Vec::new(),
            Greeting::Welcome => format!("220 {HOST} ESMTP\r\n"),
            // Not in this protocol: a success of another command.
            Greeting::LoggedIn => "235 2.7.0 Welcome\r\n".to_owned(),
            Greeting::Refusal => "554 5.3.2 No service here\r\n".to_owned(),
            Greeting::Strange => "Hello\r\n".to_owned(),
        };
        text.into()
    }

    fn request_len(&self, bytes: &[u8]) -> Option<usize> {
        match self.reading {
            Reading::Message => {
                let end = b"\r\n.\r\n";
                let at = bytes.windows(end.len()).position(|window| window == end);
                at.map(|at| at + end.len()).or_else(|| bytes.starts_with(b".\r\n").then_some(3))
            }
            _ => line_len(bytes),
        }
    }

    fn serve(&mut self, request: &[u8], inside: bool) -> Served {
        match self.reading {
            Reading::Commands => self.command(request, inside),
            Reading::Login(2) => {
                self.reading = Reading::Login(1);
                Served::Answer(b"334 UGFzc3dvcmQ6\r\n".to_vec())
            }
            Reading::Login(_) => {
                self.reading = Reading::Commands;
                Served::Answer(b"235 2.7.0 Welcome\r\n".to_vec())
            }
            Reading::Message => {
                self.reading = Reading::Commands;
                // LMTP: one for each recipient (RFC 2033 section 4.2).
                let replies = if self.hello == b"LHLO" { self.recipients } else { 1 };
                Served::Answer(b"250 2.0.0 Taken\r\n".repeat(replies))
            }
        }
    }

    fn reply(&self, kind: Reply, _: &[u8]) -> Option<Vec<u8>> {
        let text = match kind {
            Reply::GoAhead => "220 2.0.0 Go ahead\r\n",
            Reply::Later => "454 4.7.0 Not now\r\n",
            Reply::No => "502 5.5.1 Not here\r\n",
            Reply::Almost(0) => "250 2.0.0 Ok\r\n",
            Reply::Almost(1) => "354 Go ahead\r\n",
            Reply::Almost(2) => "2200 Go ahead\r\n",
            Reply::Almost(_) => return None,
        };
        Some(text.into())
    }

    fn planted(&self) -> Option<Vec<u8>> {
        // The answer to the client's next EHLO.
        Some(format!("250-{MARK}.invalid\r\n250 AUTH PLAIN\r\n").into())
    }

    fn forget(&mut self) {
        (self.reading, self.recipients) = (Reading::Commands, 0);
    }

    fn used_stale_login(&self) -> bool {
        self.stale
    }
}
