//! IMAP.

use starttls::Protocol;

use super::lines::{contains, line_len, lines, says, words};
use super::{Answer, Ask, Dialect, Greeting, MARK, Peer, Reply, Served, Service, Setup};
use crate::report::{Level, Role};

pub(super) struct Imap;

/// The tag of each question, so that answers to several of them are told apart.
const fn tag(ask: Ask) -> &'static str {
    match ask {
        Ask::Greeting => "*",
        Ask::Hello => "c1",
        Ask::Upgrade | Ask::Argument => "c2",
        Ask::Inside => "c3",
        Ask::Planted => MARK,
        Ask::Login => "c4",
        Ask::Quit => "c5",
    }
}

/// The first word of a line is the tag.
fn is_tagged(line: &[u8], tag: &str) -> bool {
    line.split(|byte| *byte == b' ').next() == Some(tag.as_bytes())
}

impl Dialect for Imap {
    fn protocol(&self) -> Protocol {
        Protocol::IMAP
    }

    fn ask(&self, ask: Ask, _: &Peer<'_>) -> Option<Vec<u8>> {
        let command = match ask {
            Ask::Greeting => return None,
            Ask::Hello | Ask::Inside => "CAPABILITY",
            Ask::Upgrade => "STARTTLS",
            Ask::Argument => "STARTTLS now",
            Ask::Planted => "NOOP",
            Ask::Login => "AUTHENTICATE PLAIN",
            Ask::Quit => "LOGOUT",
        };
        Some(format!("{} {command}\r\n", tag(ask)).into())
    }

    fn answer_len(&self, ask: Ask, _: &Peer<'_>, bytes: &[u8]) -> Option<usize> {
        let mut length = 0;
        for line in lines(bytes).filter(|line| line.ends_with(b"\n")) {
            length += line.len();
            let ends = is_tagged(line, tag(ask)) || line.starts_with(b"+");
            // A server that closes says so in an untagged line (RFC 9051 section 7.1.5).
            if ends || contains(line, "* BYE") && ask != Ask::Quit {
                return Some(length);
            }
        }
        None
    }

    fn meaning(&self, _: Ask, answer: &[u8]) -> Answer {
        let last = words(lines(answer).last().unwrap_or_default());
        match last.iter().map(Vec::as_slice).collect::<Vec<_>>()[..] {
            [b"+", ..] => Answer::More,
            [_, b"OK" | b"PREAUTH", ..] => Answer::Yes,
            [_, b"NO", ..] => Answer::Later,
            [_, b"BAD" | b"BYE", ..] => Answer::No,
            _ => Answer::Strange,
        }
    }

    fn offers_tls(&self, _: &[u8], hello: &[u8]) -> Option<bool> {
        Some(words(hello).iter().any(|word| word == b"STARTTLS"))
    }

    fn offers_login(&self, _: &[u8], hello: &[u8]) -> Option<bool> {
        let words = words(hello);
        Some(!words.iter().any(|word| word == b"LOGINDISABLED"))
    }

    fn uses(&self, plaintext: &[u8]) -> bool {
        says(
            plaintext,
            1,
            &["LOGIN", "AUTHENTICATE", "SELECT", "EXAMINE", "APPEND", "LIST", "STATUS"],
        )
    }

    fn answers_planted(&self, inside: &[u8]) -> bool {
        lines(inside).any(|line| is_tagged(line, MARK))
    }

    fn refers(&self) -> bool {
        true
    }

    fn clause(&self, role: Role, case: &str) -> Option<(Level, &'static str)> {
        Some(match (role, case) {
            (Role::Server, "request/argument") => (Level::Must, "rfc9051/6.2.1"),
            (Role::Server, "request/inside-tls") => (Level::Must, "rfc9051/6.2.1"),
            (Role::Server, "offer/inside-tls") => (Level::Should, "rfc9051/6.2.1"),
            (Role::Client, "state/logins") => (Level::Must, "rfc9051/6.2.1"),
            (Role::Client, "greeting/logged-in") => (Level::Must, "rfc9051/7.1.4"),
            _ => return None,
        })
    }

    fn service(&self, setup: Setup) -> Box<dyn Service> {
        Box::new(Server { setup, login: None, stale: false, tag: String::new() })
    }
}

struct Server {
    setup: Setup,
    /// The tag of the login in progress, and whether it needs two more responses.
    login: Option<(String, bool)>,
    stale: bool,
    /// The last tag.
    tag: String,
}

impl Server {
    fn capabilities(&self, inside: bool) -> String {
        let offers = if inside { self.setup.offers_inside } else { self.setup.offers };
        let tls = if offers { " STARTTLS" } else { "" };
        let logins = match (self.setup.logins_change, inside) {
            (false, _) => "AUTH=PLAIN AUTH=LOGIN",
            (true, false) => "LOGINDISABLED AUTH=LOGIN",
            (true, true) => "LOGINDISABLED AUTH=PLAIN",
        };
        format!("IMAP4rev1{tls} {logins}")
    }

    fn answer(&mut self, tag: &str, words: &[&[u8]], inside: bool) -> String {
        match words {
            [b"CAPABILITY", ..] => {
                format!("* CAPABILITY {}\r\n{tag} OK Done\r\n", self.capabilities(inside))
            }
            [b"AUTHENTICATE", b"LOGIN", ..] if inside && self.setup.logins_change => {
                self.stale = true;
                format!("{tag} NO Not this mechanism\r\n")
            }
            [b"LOGIN", ..] if self.setup.logins_change => {
                format!("{tag} NO [PRIVACYREQUIRED] Not this command\r\n")
            }
            [b"LOGIN", ..] => format!("{tag} OK Welcome\r\n"),
            [b"AUTHENTICATE", b"PLAIN", _] => format!("{tag} OK Welcome\r\n"),
            [b"AUTHENTICATE", b"PLAIN"] => {
                self.login = Some((tag.to_owned(), false));
                "+ \r\n".to_owned()
            }
            [b"AUTHENTICATE", b"LOGIN"] => {
                self.login = Some((tag.to_owned(), true));
                "+ VXNlcm5hbWU6\r\n".to_owned()
            }
            [b"SELECT" | b"EXAMINE", ..] => format!(
                "* FLAGS ()\r\n* 0 EXISTS\r\n* 0 RECENT\r\n* OK [UIDVALIDITY 1] Ok\r\n\
                 * OK [UIDNEXT 1] Ok\r\n{tag} OK [READ-WRITE] Done\r\n"
            ),
            [b"LIST", ..] => format!("* LIST () \"/\" INBOX\r\n{tag} OK Done\r\n"),
            [b"LSUB", ..] => format!("* LSUB () \"/\" INBOX\r\n{tag} OK Done\r\n"),
            [b"SEARCH", ..] | [b"UID", b"SEARCH", ..] => format!("* SEARCH\r\n{tag} OK Done\r\n"),
            [b"STATUS", ..] => {
                format!("* STATUS INBOX (MESSAGES 0 UIDNEXT 1 UIDVALIDITY 1)\r\n{tag} OK Done\r\n")
            }
            [
                b"NOOP" | b"CHECK" | b"CLOSE" | b"EXPUNGE" | b"FETCH" | b"STORE" | b"SUBSCRIBE"
                | b"UNSUBSCRIBE" | b"UID",
                ..,
            ] => format!("{tag} OK Done\r\n"),
            _ => format!("{tag} BAD Not here\r\n"),
        }
    }
}

impl Service for Server {
    fn greeting(&mut self, inside: bool) -> Vec<u8> {
        // RFC 2221 section 4.2: a server may say so in its greeting.
        if let Some(port) = self.setup.refer.filter(|_| !inside) {
            return format!("* BYE [REFERRAL imap://127.0.0.1:{port}/] Elsewhere\r\n").into();
        }
        let text = match self.setup.greeting {
            _ if inside => return Vec::new(),
            Greeting::Welcome => "* OK Welcome\r\n",
            Greeting::LoggedIn => "* PREAUTH Welcome back\r\n",
            Greeting::Refusal => "* BYE No service here\r\n",
            Greeting::Strange => "* HELLO\r\n",
        };
        text.into()
    }

    /// A command may contain literals (RFC 9051 section 4.3). Those that the server has to allow get no answer here, so
    /// that a client which uses one waits; such a client also knows `LITERAL+`, which is not offered.
    fn request_len(&self, bytes: &[u8]) -> Option<usize> {
        line_len(bytes)
    }

    fn serve(&mut self, request: &[u8], inside: bool) -> Served {
        if let Some((tag, more)) = self.login.take() {
            if more {
                self.login = Some((tag, false));
                return Served::Answer(b"+ UGFzc3dvcmQ6\r\n".to_vec());
            }
            return Served::Answer(format!("{tag} OK Welcome\r\n").into());
        }
        let tag = tag_of(request);
        self.tag.clone_from(&tag);
        let words = words(request);
        let words: Vec<&[u8]> = words.iter().skip(1).map(Vec::as_slice).collect();
        match &words[..] {
            [b"STARTTLS", ..] => Served::Upgrade,
            [b"LOGOUT", ..] => Served::Close(format!("* BYE Bye\r\n{tag} OK Done\r\n").into()),
            words => Served::Answer(self.answer(&tag, words, inside).into()),
        }
    }

    fn reply(&self, kind: Reply, request: &[u8]) -> Option<Vec<u8>> {
        let tag = tag_of(request);
        let text = match kind {
            Reply::GoAhead => format!("{tag} OK Go ahead\r\n"),
            Reply::Later => format!("{tag} NO Not now\r\n"),
            Reply::No => format!("{tag} BAD Not here\r\n"),
            Reply::Almost(0) => "* OK Go ahead\r\n".to_owned(),
            Reply::Almost(1) => format!("x{tag} OK Go ahead\r\n"),
            Reply::Almost(2) => format!("{tag} OKAY Go ahead\r\n"),
            Reply::Almost(3) => "+ Go ahead\r\n".to_owned(),
            Reply::Almost(_) => return None,
        };
        Some(text.into())
    }

    /// Many clients count their tags.
    fn early_go_ahead(&self) -> Option<Vec<u8>> {
        let digits = self.tag.bytes().rev().take_while(u8::is_ascii_digit).count();
        let (letters, number) = self.tag.split_at(self.tag.len() - digits);
        let next = number.parse::<u64>().ok()?.checked_add(1)?;
        Some(format!("{letters}{next:0digits$} OK Go ahead\r\n").into())
    }

    fn planted(&self) -> Option<Vec<u8>> {
        Some(format!("* OK [ALERT] {MARK}\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n").into())
    }

    fn forget(&mut self) {
        self.login = None;
    }

    fn used_stale_login(&self) -> bool {
        self.stale
    }
}

fn tag_of(request: &[u8]) -> String {
    let tag = request.split(|byte| byte.is_ascii_whitespace()).next().unwrap_or_default();
    String::from_utf8_lossy(tag).into_owned()
}
