//! ManageSieve.

use starttls::Protocol;

use super::lines::{Login, contains, line_len, says, words};
use super::{Answer, Ask, Dialect, Greeting, MARK, Peer, Reply, Served, Service, Setup};
use crate::report::{Level, Role};

pub(super) struct Sieve;

impl Dialect for Sieve {
    fn protocol(&self) -> Protocol {
        Protocol::SIEVE
    }

    fn ask(&self, ask: Ask, _: &Peer<'_>) -> Option<Vec<u8>> {
        Some(match ask {
            // The greeting has the capabilities already.
            Ask::Greeting | Ask::Hello => return None,
            Ask::Upgrade => b"STARTTLS\r\n".to_vec(),
            Ask::Argument => b"STARTTLS \"now\"\r\n".to_vec(),
            Ask::Inside => b"CAPABILITY\r\n".to_vec(),
            // The answer contains the tag (RFC 5804 section 2.13).
            Ask::Planted => format!("NOOP \"{MARK}\"\r\n").into(),
            Ask::Login => b"AUTHENTICATE \"PLAIN\"\r\n".to_vec(),
            Ask::Quit => b"LOGOUT\r\n".to_vec(),
        })
    }

    fn answer_len(&self, ask: Ask, _: &Peer<'_>, bytes: &[u8]) -> Option<usize> {
        let mut length = 0;
        loop {
            let line = &bytes[length..];
            let more = frame_len(line)?;
            length += more;
            // Strings are capabilities, or the challenge of a login.
            let is_string = matches!(line, [b'"' | b'{', ..]);
            if !is_string || ask == Ask::Login {
                return Some(length);
            }
        }
    }

    fn meaning(&self, ask: Ask, answer: &[u8]) -> Answer {
        let frames = frames(answer);
        let begins_well = frames.len() < 2 || !matches!(ask, Ask::Upgrade | Ask::Argument);
        match (status(frames.last().copied().unwrap_or_default()), answer) {
            (Some(Status::Ok), _) if begins_well => Answer::Yes,
            (Some(Status::No), answer) if contains(answer, "(TRYLATER") => Answer::Later,
            (Some(Status::No | Status::Bye), _) => Answer::No,
            (None, [b'"' | b'{', ..]) if ask == Ask::Login => Answer::More,
            _ => Answer::Strange,
        }
    }

    fn offers_tls(&self, greeting: &[u8], _: &[u8]) -> Option<bool> {
        Some(frames(greeting).iter().any(|frame| split(frame).0.eq_ignore_ascii_case(b"STARTTLS")))
    }

    fn offers_login(&self, greeting: &[u8], _: &[u8]) -> Option<bool> {
        let shows = |frame: &&[u8]| {
            let (name, value) = split(frame);
            let mut names = value.split(|byte| byte.is_ascii_whitespace() || *byte == b'"');
            name.eq_ignore_ascii_case(b"SASL")
                && names.any(|name| {
                    name.eq_ignore_ascii_case(b"PLAIN") || name.eq_ignore_ascii_case(b"LOGIN")
                })
        };
        Some(frames(greeting).iter().any(shows))
    }

    fn uses(&self, plaintext: &[u8]) -> bool {
        says(plaintext, 0, &["AUTHENTICATE", "LISTSCRIPTS", "PUTSCRIPT"])
    }

    fn answers_planted(&self, inside: &[u8]) -> bool {
        contains(inside, MARK)
            || frames(inside).iter().any(|frame| status(frame) == Some(Status::No))
    }

    fn refers(&self) -> bool {
        true
    }

    fn clause(&self, role: Role, case: &str) -> Option<(Level, &'static str)> {
        Some(match (role, case) {
            (Role::Server, "offer/inside-tls") => (Level::Must, "rfc5804/2.2"),
            (Role::Client, "state/logins") => (Level::Must, "rfc5804/2.2"),
            _ => return None,
        })
    }

    fn service(&self, setup: Setup) -> Box<dyn Service> {
        Box::new(Server { setup, login: Login::default() })
    }
}

/// The first word of an answer's last line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Status {
    Ok,
    No,
    Bye,
}

fn status(frame: &[u8]) -> Option<Status> {
    let end = frame.iter().position(|byte| !byte.is_ascii_alphabetic())?;
    let (word, rest) = frame.split_at(end);
    match &word.to_ascii_uppercase()[..] {
        _ if !matches!(rest, [b' ' | b'\r' | b'\n', ..]) => None,
        b"OK" => Some(Status::Ok),
        b"NO" => Some(Status::No),
        b"BYE" => Some(Status::Bye),
        _ => None,
    }
}

/// The length of a line with the literals in it: `{5}` or `{5+}` at a line's end counts the bytes that follow the
/// line's end and belong to it (RFC 5804 section 4).
fn frame_len(bytes: &[u8]) -> Option<usize> {
    let mut length = 0;
    loop {
        let end = line_len(bytes.get(length..)?)?;
        let line = bytes[length..length + end].trim_ascii_end();
        length += end;
        let Some(literal) = literal_len(line) else { return Some(length) };
        length = length.checked_add(literal)?;
    }
}

fn literal_len(line: &[u8]) -> Option<usize> {
    let inside = line.strip_suffix(b"}")?;
    let inside = inside.strip_suffix(b"+").unwrap_or(inside);
    let start = inside.iter().rposition(|byte| *byte == b'{')? + 1;
    std::str::from_utf8(&inside[start..]).ok()?.parse().ok()
}

/// The name of a capability and the rest of its line. The name is empty if the line does not begin with a string.
fn split(frame: &[u8]) -> (&[u8], &[u8]) {
    let found = match frame {
        [b'"', text @ ..] => {
            text.iter().position(|byte| *byte == b'"').map(|end| text.split_at(end))
        }
        [b'{', ..] => line_len(frame).and_then(|line| {
            let (line, text) = frame.split_at(line);
            text.split_at_checked(literal_len(line.trim_ascii_end())?)
        }),
        _ => None,
    };
    found.unwrap_or_default()
}

/// The whole lines of an answer, each with its literals.
fn frames(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut frames = Vec::new();
    while let Some((frame, rest)) = frame_len(bytes).and_then(|end| bytes.split_at_checked(end)) {
        frames.push(frame);
        bytes = rest;
    }
    frames
}

struct Server {
    setup: Setup,
    login: Login,
}

impl Server {
    fn capabilities(&self, inside: bool) -> String {
        let offers = if inside { self.setup.offers_inside } else { self.setup.offers };
        let tls = if offers { "\"STARTTLS\"\r\n" } else { "" };
        let logins = match (self.setup.logins_change, inside) {
            (false, _) => "PLAIN LOGIN",
            (true, false) => "LOGIN",
            (true, true) => "PLAIN",
        };
        format!(
            "\"IMPLEMENTATION\" \"Check\"\r\n\"SASL\" \"{logins}\"\r\n\"SIEVE\" \"fileinto\"\r\n\
             {tls}\"VERSION\" \"1.0\"\r\n"
        )
    }

    fn login(&mut self, responses: u8, challenge: &str) -> String {
        self.login.begin(responses);
        format!("\"{challenge}\"\r\n")
    }

    fn answer(&mut self, words: &[&[u8]], inside: bool) -> String {
        match words {
            [b"CAPABILITY"] => return self.capabilities(inside) + "OK\r\n",
            [b"AUTHENTICATE", b"\"LOGIN\"", ..] if inside && self.setup.logins_change => {
                self.login.is_stale = true;
                "NO \"Not this mechanism\"\r\n"
            }
            [b"AUTHENTICATE", b"\"PLAIN\""] => return self.login(1, ""),
            [b"AUTHENTICATE", b"\"LOGIN\""] => return self.login(2, "VXNlcm5hbWU6"),
            [b"AUTHENTICATE", b"\"LOGIN\"", ..] => return self.login(1, "UGFzc3dvcmQ6"),
            [b"NOOP", tag] => {
                return format!("OK (TAG {}) \"Done\"\r\n", String::from_utf8_lossy(tag));
            }
            [b"AUTHENTICATE", b"\"PLAIN\"", ..]
            | [b"NOOP" | b"LISTSCRIPTS" | b"HAVESPACE" | b"PUTSCRIPT" | b"CHECKSCRIPT", ..] => {
                "OK \"Done\"\r\n"
            }
            _ => "NO \"Not here\"\r\n",
        }
        .to_owned()
    }
}

impl Service for Server {
    fn greeting(&mut self, inside: bool) -> Vec<u8> {
        let capabilities = self.capabilities(inside);
        if inside {
            return format!("{capabilities}OK \"Welcome\"\r\n").into();
        }
        if let Some(port) = self.setup.refer {
            return format!("BYE (REFERRAL \"sieve://127.0.0.1:{port}\") \"Elsewhere\"\r\n").into();
        }
        match self.setup.greeting {
            Greeting::Welcome => format!("{capabilities}OK \"Welcome\"\r\n"),
            // Only a client that is logged in is told its name (RFC 5804 section 1.7).
            Greeting::LoggedIn => {
                format!("\"OWNER\" \"check\"\r\n{capabilities}OK \"Welcome\"\r\n")
            }
            Greeting::Refusal => "BYE \"No service here\"\r\n".to_owned(),
            Greeting::Strange => "Hello\r\n".to_owned(),
        }
        .into()
    }

    fn request_len(&self, bytes: &[u8]) -> Option<usize> {
        frame_len(bytes)
    }

    fn serve(&mut self, request: &[u8], inside: bool) -> Served {
        if let Some(is_last) = self.login.respond() {
            let answer = if is_last { "OK \"Logged in\"\r\n" } else { "\"UGFzc3dvcmQ6\"\r\n" };
            return Served::Answer(answer.into());
        }
        let words = words(request);
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        match &words[..] {
            [b"STARTTLS", ..] => Served::Upgrade,
            [b"LOGOUT"] => Served::Close(b"OK \"Goodbye\"\r\n".to_vec()),
            words => Served::Answer(self.answer(words, inside).into()),
        }
    }

    fn reply(&self, kind: Reply, _: &[u8]) -> Option<Vec<u8>> {
        let text = match kind {
            Reply::GoAhead => "OK \"Go ahead\"\r\n",
            Reply::Later => "NO (TRYLATER) \"Not now\"\r\n",
            Reply::No => "NO \"Not here\"\r\n",
            Reply::Almost(0) => "OKAY \"Go ahead\"\r\n",
            Reply::Almost(1) => "+ OK \"Go ahead\"\r\n",
            Reply::Almost(2) => "\"OK\" \"Go ahead\"\r\nBYE \"Go away\"\r\n",
            Reply::Almost(3) => "* OK \"Go ahead\"\r\n",
            Reply::Almost(_) => return None,
        };
        Some(text.into())
    }

    fn planted(&self) -> Option<Vec<u8>> {
        // What the client reads as the capabilities inside TLS.
        Some(format!("\"IMPLEMENTATION\" \"{MARK}\"\r\n\"SASL\" \"PLAIN\"\r\nOK\r\n").into())
    }

    fn forget(&mut self) {
        self.login.begin(0);
    }

    fn used_stale_login(&self) -> bool {
        self.login.is_stale
    }
}
