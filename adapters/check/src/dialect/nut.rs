//! NUT.

use starttls::Protocol;

use super::lines::{line_len, says, words};
use super::{
    Answer, Ask, Dialect, Greeting, Leftover, Looks, MARK, Peer, Reply, Served, Service, Setup,
};

pub(super) struct Nut;

/// A name is given once in a connection.
const LEFTOVERS: &[Leftover] = &[Leftover {
    case: "state/user",
    before: &[b"USERNAME check\n"],
    form: Ask::Inside,
    taken: Looks::Success,
    inside: &[b"USERNAME check\n"],
    survives: Looks::Has(b"ERR ALREADY-SET-USERNAME"),
}];

impl Dialect for Nut {
    fn protocol(&self) -> Protocol {
        Protocol::NUT
    }

    fn greets(&self) -> bool {
        false
    }

    fn ask(&self, ask: Ask, _: &Peer<'_>) -> Option<Vec<u8>> {
        Some(match ask {
            // USERNAME needs a name, so that no login begins without one.
            Ask::Greeting | Ask::Hello | Ask::Login => return None,
            Ask::Upgrade => b"STARTTLS\n".to_vec(),
            Ask::Argument => b"STARTTLS now\n".to_vec(),
            Ask::Inside => b"VER\n".to_vec(),
            // An unknown command: no server answers it as it answers VER.
            Ask::Planted => format!("X{MARK}\n").into(),
            Ask::Quit => b"LOGOUT\n".to_vec(),
        })
    }

    fn answer_len(&self, _: Ask, _: &Peer<'_>, bytes: &[u8]) -> Option<usize> {
        line_len(bytes)
    }

    fn meaning(&self, ask: Ask, answer: &[u8]) -> Answer {
        match (ask, answer.trim_ascii_end()) {
            (_, [b'E', b'R', b'R'] | [b'E', b'R', b'R', b' ', ..]) => Answer::No,
            (Ask::Upgrade | Ask::Argument, b"OK STARTTLS") => Answer::Yes,
            (Ask::Upgrade | Ask::Argument, _) | (_, b"") => Answer::Strange,
            _ => Answer::Yes,
        }
    }

    fn offers_tls(&self, _: &[u8], _: &[u8]) -> Option<bool> {
        None
    }

    fn uses(&self, plaintext: &[u8]) -> bool {
        says(plaintext, 0, &["USERNAME", "PASSWORD", "LOGIN", "LIST", "GET"])
    }

    fn answers_planted(&self, inside: &[u8]) -> bool {
        inside.starts_with(b"ERR")
    }

    fn leftovers(&self) -> &'static [Leftover] {
        LEFTOVERS
    }

    fn service(&self, setup: Setup) -> Box<dyn Service> {
        Box::new(Server { setup, has_name: false })
    }
}

struct Server {
    setup: Setup,
    has_name: bool,
}

impl Service for Server {
    fn greeting(&mut self, inside: bool) -> Vec<u8> {
        let text = match self.setup.greeting {
            Greeting::Welcome => "",
            _ if inside => "",
            // Servers do not greet: the answers to the login's last command, and to any other one.
            Greeting::LoggedIn => "OK\n",
            Greeting::Refusal => "ERR ACCESS-DENIED\n",
            Greeting::Strange => "Hello\n",
        };
        text.into()
    }

    fn request_len(&self, bytes: &[u8]) -> Option<usize> {
        line_len(bytes)
    }

    fn serve(&mut self, request: &[u8], _: bool) -> Served {
        // Names of devices keep their case.
        let name = |at: usize| {
            let name = request.split(|byte| byte.is_ascii_whitespace()).nth(at);
            String::from_utf8_lossy(name.unwrap_or_default()).into_owned()
        };
        let words = words(request);
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        let answer = match &words[..] {
            [b"STARTTLS", ..] => return Served::Upgrade,
            [b"LOGOUT"] => return Served::Close(b"OK Goodbye\n".to_vec()),
            [b"VER"] => "Network UPS Tools upsd\n".to_owned(),
            [b"NETVER" | b"PROTVER"] => "1.3\n".to_owned(),
            [b"USERNAME", ..] if std::mem::replace(&mut self.has_name, true) => {
                "ERR ALREADY-SET-USERNAME\n".to_owned()
            }
            [b"USERNAME" | b"PASSWORD" | b"LOGIN", ..] => "OK\n".to_owned(),
            [b"PRIMARY" | b"MASTER", ..] => "OK PRIMARY-GRANTED\n".to_owned(),
            [b"LIST", b"UPS"] => "BEGIN LIST UPS\nUPS ups \"Check\"\nEND LIST UPS\n".to_owned(),
            [b"LIST", kind, ..] => {
                let list = format!("{} {}", String::from_utf8_lossy(kind), name(2));
                format!("BEGIN LIST {list}\nEND LIST {list}\n")
            }
            [b"GET", b"NUMLOGINS", ..] => format!("NUMLOGINS {} 1\n", name(2)),
            [b"GET", b"VAR", _, b"UPS.STATUS"] => format!("VAR {} ups.status \"OL\"\n", name(2)),
            [b"GET", b"VAR", ..] => "ERR VAR-NOT-SUPPORTED\n".to_owned(),
            _ => "ERR UNKNOWN-COMMAND\n".to_owned(),
        };
        Served::Answer(answer.into())
    }

    fn reply(&self, kind: Reply, _: &[u8]) -> Option<Vec<u8>> {
        let text = match kind {
            Reply::GoAhead => "OK STARTTLS\n",
            // An error is for as long as the server runs.
            Reply::Later => return None,
            Reply::No => "ERR FEATURE-NOT-CONFIGURED\n",
            Reply::Almost(0) => "OK\n",
            Reply::Almost(1) => "OK STARTTLSX\n",
            Reply::Almost(2) => "OKSTARTTLS\n",
            Reply::Almost(3) => "STARTTLS\n",
            Reply::Almost(_) => return None,
        };
        Some(text.into())
    }

    fn planted(&self) -> Option<Vec<u8>> {
        // The answer to the client's next USERNAME.
        Some(format!("OK {MARK}\n").into())
    }

    fn forget(&mut self) {
        self.has_name = false;
    }
}
