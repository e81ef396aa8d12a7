//! POP3.

use starttls::Protocol;

use super::lines::{Login, contains, dotted_len, line_len, lines, says, words};
use super::{
    Answer, Ask, Dialect, Greeting, Leftover, Looks, MARK, Peer, Reply, Served, Service, Setup,
};
use crate::report::{Level, Role};

pub(super) struct Pop3;

const LEFTOVERS: &[Leftover] = &[Leftover {
    case: "state/user",
    before: &[b"USER check.invalid\r\n"],
    form: Ask::Quit,
    taken: Looks::Progress,
    inside: &[b"PASS check\r\n"],
    survives: Looks::FailedLogin,
}];

impl Dialect for Pop3 {
    fn protocol(&self) -> Protocol {
        Protocol::POP3
    }

    fn ask(&self, ask: Ask, _: &Peer<'_>) -> Option<Vec<u8>> {
        Some(match ask {
            Ask::Greeting => return None,
            Ask::Hello | Ask::Inside => b"CAPA\r\n".to_vec(),
            Ask::Upgrade => b"STLS\r\n".to_vec(),
            Ask::Argument => b"STLS now\r\n".to_vec(),
            // An unknown command: no server answers it as it answers CAPA.
            Ask::Planted => format!("X{MARK}\r\n").into(),
            Ask::Login => b"AUTH PLAIN\r\n".to_vec(),
            Ask::Quit => b"QUIT\r\n".to_vec(),
        })
    }

    fn answer_len(&self, ask: Ask, _: &Peer<'_>, bytes: &[u8]) -> Option<usize> {
        match ask {
            Ask::Hello | Ask::Inside => dotted_len(bytes, |line| !is_ok(line)),
            _ => line_len(bytes),
        }
    }

    fn meaning(&self, _: Ask, answer: &[u8]) -> Answer {
        let first = lines(answer).next().unwrap_or_default();
        match first.strip_prefix(b"-ERR") {
            _ if is_ok(first) => Answer::Yes,
            _ if first.starts_with(b"+ ") || first.trim_ascii() == b"+" => Answer::More,
            // RFC 3206 section 4, RFC 2449 section 8.
            Some(rest) if contains(rest, "[SYS/TEMP]") || contains(rest, "[LOGIN-DELAY]") => {
                Answer::Later
            }
            Some([b' ' | b'\r' | b'\n', ..] | []) => Answer::No,
            _ => Answer::Strange,
        }
    }

    fn offers_tls(&self, _: &[u8], hello: &[u8]) -> Option<bool> {
        is_ok(hello).then(|| capabilities(hello).any(|words| words[0] == b"STLS"))
    }

    fn offers_login(&self, _: &[u8], hello: &[u8]) -> Option<bool> {
        let shows = |words: Vec<Vec<u8>>| match &words[0][..] {
            b"USER" => true,
            b"SASL" => words.iter().any(|word| word == b"PLAIN" || word == b"LOGIN"),
            _ => false,
        };
        is_ok(hello).then(|| capabilities(hello).any(shows))
    }

    fn uses(&self, plaintext: &[u8]) -> bool {
        says(plaintext, 0, &["USER", "PASS", "APOP", "AUTH", "STAT", "LIST", "RETR"])
    }

    fn answers_planted(&self, inside: &[u8]) -> bool {
        inside.starts_with(b"-ERR") || contains(inside, MARK)
    }

    fn clause(&self, role: Role, case: &str) -> Option<(Level, &'static str)> {
        Some(match (role, case) {
            (Role::Server, "request/inside-tls") => (Level::Hardening, "rfc2595/4"),
            (Role::Server, "offer/inside-tls") => (Level::Must, "rfc2595/4"),
            (Role::Client, "state/logins") => (Level::Must, "rfc2595/4"),
            _ => return None,
        })
    }

    fn leftovers(&self) -> &'static [Leftover] {
        LEFTOVERS
    }

    fn service(&self, setup: Setup) -> Box<dyn Service> {
        Box::new(Server { setup, login: Login::default(), has_name: false })
    }
}

/// `+OK` in upper case, alone or before a blank (RFC 1939 section 3).
fn is_ok(reply: &[u8]) -> bool {
    matches!(reply.strip_prefix(b"+OK"), Some([] | [b' ' | b'\r' | b'\n', ..]))
}

/// The words of each capability; none is empty.
fn capabilities(hello: &[u8]) -> impl Iterator<Item = Vec<Vec<u8>>> {
    lines(hello).skip(1).map(words).filter(|words| !words.is_empty())
}

struct Server {
    setup: Setup,
    login: Login,
    has_name: bool,
}

impl Server {
    fn capabilities(&self, inside: bool) -> String {
        let offers = if inside { self.setup.offers_inside } else { self.setup.offers };
        let tls = if offers { "STLS\r\n" } else { "" };
        let logins = match (self.setup.logins_change, inside) {
            (false, _) => "USER\r\nSASL PLAIN LOGIN",
            (true, false) => "SASL LOGIN",
            (true, true) => "SASL PLAIN",
        };
        format!("+OK\r\n{tls}{logins}\r\nUIDL\r\nTOP\r\n.\r\n")
    }

    fn login(&mut self, responses: u8, challenge: &str) -> String {
        self.login.begin(responses);
        format!("+ {challenge}\r\n")
    }

    fn answer(&mut self, words: &[&[u8]], inside: bool) -> String {
        match words {
            [b"CAPA", ..] => return self.capabilities(inside),
            [b"AUTH", b"LOGIN", ..] if inside && self.setup.logins_change => {
                self.login.is_stale = true;
                "-ERR Not this mechanism\r\n"
            }
            [b"USER" | b"PASS" | b"APOP", ..] if self.setup.logins_change => {
                "-ERR Not this command\r\n"
            }
            [b"USER", ..] => {
                self.has_name = true;
                "+OK\r\n"
            }
            [b"PASS", ..] if !self.has_name => "-ERR USER first\r\n",
            [b"AUTH", b"PLAIN"] => return self.login(1, ""),
            [b"AUTH", b"LOGIN"] => return self.login(2, "VXNlcm5hbWU6"),
            [b"AUTH", b"LOGIN", _] => return self.login(1, "UGFzc3dvcmQ6"),
            [b"AUTH", b"PLAIN", _] | [b"PASS" | b"APOP" | b"NOOP" | b"RSET", ..] => "+OK\r\n",
            [b"STAT"] => "+OK 0 0\r\n",
            [b"LIST" | b"UIDL"] => "+OK\r\n.\r\n",
            _ => "-ERR Not here\r\n",
        }
        .to_owned()
    }
}

impl Service for Server {
    fn greeting(&mut self, inside: bool) -> Vec<u8> {
        let text = match self.setup.greeting {
            _ if inside => "",
            Greeting::Welcome => "+OK Welcome\r\n",
            // Not in this protocol: the success of a login.
            Greeting::LoggedIn => "+OK Logged in\r\n",
            Greeting::Refusal => "-ERR [SYS/PERM] No service here\r\n",
            Greeting::Strange => "Hello\r\n",
        };
        text.into()
    }

    fn request_len(&self, bytes: &[u8]) -> Option<usize> {
        line_len(bytes)
    }

    fn serve(&mut self, request: &[u8], inside: bool) -> Served {
        if let Some(is_last) = self.login.respond() {
            let answer = if is_last { "+OK Logged in\r\n" } else { "+ UGFzc3dvcmQ6\r\n" };
            return Served::Answer(answer.into());
        }
        let words = words(request);
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        match &words[..] {
            [b"STLS", ..] => Served::Upgrade,
            [b"QUIT", ..] => Served::Close(b"+OK Goodbye\r\n".to_vec()),
            words => Served::Answer(self.answer(words, inside).into()),
        }
    }

    fn reply(&self, kind: Reply, _: &[u8]) -> Option<Vec<u8>> {
        let text = match kind {
            Reply::GoAhead => "+OK Go ahead\r\n",
            Reply::Later => "-ERR [SYS/TEMP] Not now\r\n",
            Reply::No => "-ERR Not here\r\n",
            Reply::Almost(0) => "+OKAY Go ahead\r\n",
            Reply::Almost(1) => "+ Go ahead\r\n",
            Reply::Almost(2) => "OK Go ahead\r\n",
            Reply::Almost(3) => "* OK Go ahead\r\n",
            Reply::Almost(_) => return None,
        };
        Some(text.into())
    }

    fn planted(&self) -> Option<Vec<u8>> {
        // The answer to the client's next CAPA.
        Some(format!("+OK\r\nUSER\r\nSASL PLAIN\r\nIMPLEMENTATION {MARK}\r\n.\r\n").into())
    }

    fn forget(&mut self) {
        self.login.begin(0);
        self.has_name = false;
    }

    fn used_stale_login(&self) -> bool {
        self.login.is_stale
    }
}
