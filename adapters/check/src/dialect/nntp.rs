//! NNTP for readers.

use starttls::Protocol;

use super::lines::{Login, code, contains, dotted_len, line_len, lines, says, words};
use super::{
    Answer, Ask, Dialect, Greeting, Leftover, Looks, MARK, Peer, Reply, Served, Service, Setup,
};
use crate::report::{Level, Role};

pub(super) struct Nntp;

/// The current newsgroup does not survive (RFC 4642 section 2.2.2). The group exists on all servers of the INN family.
const LEFTOVERS: &[Leftover] = &[
    Leftover {
        case: "state/transaction",
        before: &[b"GROUP junk\r\n"],
        form: Ask::Inside,
        taken: Looks::Success,
        inside: &[b"LISTGROUP\r\n"],
        survives: Looks::Success,
    },
    Leftover {
        case: "state/user",
        before: &[b"AUTHINFO USER check.invalid\r\n"],
        form: Ask::Inside,
        taken: Looks::Progress,
        inside: &[b"AUTHINFO PASS check\r\n"],
        survives: Looks::FailedLogin,
    },
];

impl Dialect for Nntp {
    fn protocol(&self) -> Protocol {
        Protocol::NNTP
    }

    fn ask(&self, ask: Ask, _: &Peer<'_>) -> Option<Vec<u8>> {
        Some(match ask {
            Ask::Greeting => return None,
            Ask::Hello | Ask::Inside => b"CAPABILITIES\r\n".to_vec(),
            Ask::Upgrade => b"STARTTLS\r\n".to_vec(),
            Ask::Argument => b"STARTTLS now\r\n".to_vec(),
            // An unknown command: no server answers it as it answers CAPABILITIES.
            Ask::Planted => format!("X{MARK}\r\n").into(),
            Ask::Login => b"AUTHINFO SASL PLAIN\r\n".to_vec(),
            Ask::Quit => b"QUIT\r\n".to_vec(),
        })
    }

    fn answer_len(&self, _: Ask, _: &Peer<'_>, bytes: &[u8]) -> Option<usize> {
        // No other answer that is asked for here has several lines.
        dotted_len(bytes, |line| code(line) != Some(101))
    }

    fn meaning(&self, ask: Ask, answer: &[u8]) -> Answer {
        let Some(code) = lines(answer).next().and_then(code) else { return Answer::Strange };
        match (ask, code) {
            (Ask::Upgrade | Ask::Argument, 382) => Answer::Yes,
            (Ask::Upgrade | Ask::Argument, 100..=399) => Answer::Strange,
            (_, 100..=299) => Answer::Yes,
            (_, 300..=399) => Answer::More,
            (_, 400..=499) => Answer::Later,
            (_, 500..=599) => Answer::No,
            _ => Answer::Strange,
        }
    }

    fn offers_tls(&self, _: &[u8], hello: &[u8]) -> Option<bool> {
        lists(hello).then(|| capabilities(hello).any(|words| words[0] == b"STARTTLS"))
    }

    fn offers_login(&self, _: &[u8], hello: &[u8]) -> Option<bool> {
        let shows = |words: Vec<Vec<u8>>| {
            let has = |name: &[u8]| words.iter().skip(1).any(|word| word == name);
            match &words[0][..] {
                b"AUTHINFO" => has(b"USER"),
                b"SASL" => has(b"PLAIN") || has(b"LOGIN"),
                _ => false,
            }
        };
        lists(hello).then(|| capabilities(hello).any(shows))
    }

    fn uses(&self, plaintext: &[u8]) -> bool {
        says(plaintext, 0, &["AUTHINFO", "GROUP", "ARTICLE", "POST"])
    }

    fn answers_planted(&self, inside: &[u8]) -> bool {
        lines(inside).next().and_then(code).is_some_and(|code| code / 100 == 5)
            || contains(inside, MARK)
    }

    fn leftovers(&self) -> &'static [Leftover] {
        LEFTOVERS
    }

    fn clause(&self, role: Role, case: &str) -> Option<(Level, &'static str)> {
        Some(match (role, case) {
            (Role::Server, "request/argument") => (Level::Should, "rfc4642/2.2.1"),
            (Role::Server, "request/inside-tls") => (Level::Should, "rfc4642/2.2.2"),
            (Role::Server, "offer/inside-tls") => (Level::Must, "rfc4642/2.1"),
            (Role::Server, "state/transaction" | "state/user") => (Level::Must, "rfc4642/2.2.2"),
            (Role::Server, "tls/after-a-failed-handshake") => (Level::Should, "rfc4642/2.2.2"),
            (Role::Client, "state/logins") => (Level::Must, "rfc4642/2.2.2"),
            _ => return None,
        })
    }

    fn service(&self, setup: Setup) -> Box<dyn Service> {
        Box::new(Server { setup, login: Login::default(), has_name: false })
    }
}

fn lists(hello: &[u8]) -> bool {
    code(hello) == Some(101)
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
        let tls = if offers { "STARTTLS\r\n" } else { "" };
        let logins = match (self.setup.logins_change, inside) {
            (false, _) => "AUTHINFO USER SASL\r\nSASL PLAIN LOGIN",
            (true, false) => "AUTHINFO SASL\r\nSASL LOGIN",
            (true, true) => "AUTHINFO SASL\r\nSASL PLAIN",
        };
        format!("101 Capabilities\r\nVERSION 2\r\nREADER\r\n{tls}{logins}\r\n.\r\n")
    }

    fn login(&mut self, responses: u8, challenge: &str) -> String {
        self.login.begin(responses);
        format!("383 {challenge}\r\n")
    }

    fn answer(&mut self, words: &[&[u8]], inside: bool) -> String {
        match words {
            [b"CAPABILITIES", ..] => return self.capabilities(inside),
            [b"AUTHINFO", b"SASL", b"LOGIN", ..] if inside && self.setup.logins_change => {
                self.login.is_stale = true;
                "503 Not this mechanism\r\n"
            }
            [b"AUTHINFO", b"USER" | b"PASS", ..] if self.setup.logins_change => {
                "502 Not this command\r\n"
            }
            [b"AUTHINFO", b"USER", ..] => {
                self.has_name = true;
                "381 Password\r\n"
            }
            [b"AUTHINFO", b"PASS", ..] if !self.has_name => "482 USER first\r\n",
            [b"AUTHINFO", b"SASL", b"PLAIN"] => return self.login(1, "="),
            [b"AUTHINFO", b"SASL", b"LOGIN"] => return self.login(2, "VXNlcm5hbWU6"),
            [b"AUTHINFO", b"SASL", b"LOGIN", _] => return self.login(1, "UGFzc3dvcmQ6"),
            [b"AUTHINFO", b"PASS", _] | [b"AUTHINFO", b"SASL", b"PLAIN", _] => "281 Logged in\r\n",
            [b"MODE", b"READER"] => "200 Welcome\r\n",
            [b"DATE"] => "111 20260101000000\r\n",
            [b"LIST", ..] => "215 Follows\r\n.\r\n",
            [b"GROUP", ..] => "411 No such group\r\n",
            [b"HELP"] => "100 Follows\r\n.\r\n",
            [b"NEWGROUPS", ..] => "231 Follows\r\n.\r\n",
            [b"ARTICLE" | b"HEAD" | b"BODY" | b"STAT" | b"OVER" | b"XOVER", ..] => {
                "412 No group selected\r\n"
            }
            _ => "500 Not here\r\n",
        }
        .to_owned()
    }
}

impl Service for Server {
    fn greeting(&mut self, inside: bool) -> Vec<u8> {
        let text = match self.setup.greeting {
            _ if inside => "",
            Greeting::Welcome => "200 Welcome\r\n",
            // Not in this protocol: the success of a login.
            Greeting::LoggedIn => "281 Logged in\r\n",
            Greeting::Refusal => "502 No service here\r\n",
            Greeting::Strange => "Hello\r\n",
        };
        text.into()
    }

    fn request_len(&self, bytes: &[u8]) -> Option<usize> {
        line_len(bytes)
    }

    fn serve(&mut self, request: &[u8], inside: bool) -> Served {
        if let Some(is_last) = self.login.respond() {
            let answer = if is_last { "281 Logged in\r\n" } else { "383 UGFzc3dvcmQ6\r\n" };
            return Served::Answer(answer.into());
        }
        let words = words(request);
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        match &words[..] {
            [b"STARTTLS", ..] => Served::Upgrade,
            [b"QUIT"] => Served::Close(b"205 Goodbye\r\n".to_vec()),
            words => Served::Answer(self.answer(words, inside).into()),
        }
    }

    fn reply(&self, kind: Reply, _: &[u8]) -> Option<Vec<u8>> {
        let text = match kind {
            Reply::GoAhead => "382 Go ahead\r\n",
            Reply::Later => "403 Not now\r\n",
            Reply::No => "580 Not here\r\n",
            Reply::Almost(0) => "381 Go ahead\r\n",
            Reply::Almost(1) => "200 Go ahead\r\n",
            Reply::Almost(2) => "3820 Go ahead\r\n",
            Reply::Almost(3) => "282 Go ahead\r\n",
            Reply::Almost(_) => return None,
        };
        Some(text.into())
    }

    fn planted(&self) -> Option<Vec<u8>> {
        // The answer to the client's next CAPABILITIES.
        let logins = "AUTHINFO USER SASL\r\nSASL PLAIN";
        Some(format!("101 {MARK}\r\nVERSION 2\r\nREADER\r\n{logins}\r\n.\r\n").into())
    }

    fn forget(&mut self) {
        self.login.begin(0);
        self.has_name = false;
    }

    fn used_stale_login(&self) -> bool {
        self.login.is_stale
    }
}
