//! The control connection of FTP.

use starttls::Protocol;

use super::lines::{by_code, code, coded_len, contains, last_code, line_len, lines, says, words};
use super::{
    Answer, Ask, Dialect, Greeting, Leftover, Looks, MARK, Peer, Reply, Served, Service, Setup,
};

pub(super) struct Ftp;

const LEFTOVERS: &[Leftover] = &[Leftover {
    case: "state/user",
    before: &[b"USER check.invalid\r\n"],
    form: Ask::Inside,
    taken: Looks::Progress,
    inside: &[b"PASS check\r\n"],
    survives: Looks::FailedLogin,
}];

impl Dialect for Ftp {
    fn protocol(&self) -> Protocol {
        Protocol::FTP
    }

    fn ask(&self, ask: Ask, _: &Peer<'_>) -> Option<Vec<u8>> {
        Some(match ask {
            // USER needs a name, so that no login begins without one.
            Ask::Greeting | Ask::Login => return None,
            Ask::Hello | Ask::Inside => b"FEAT\r\n".to_vec(),
            Ask::Upgrade => b"AUTH TLS\r\n".to_vec(),
            Ask::Argument => b"AUTH TLS now\r\n".to_vec(),
            // An unknown command: no server answers it as it answers FEAT.
            Ask::Planted => format!("X{MARK}\r\n").into(),
            Ask::Quit => b"QUIT\r\n".to_vec(),
        })
    }

    fn answer_len(&self, _: Ask, _: &Peer<'_>, bytes: &[u8]) -> Option<usize> {
        let length = coded_len(bytes)?;
        // The server will be ready later (RFC 959 section 4.2.2).
        if last_code(&bytes[..length]) == Some(120) {
            return coded_len(&bytes[length..]).map(|more| length + more);
        }
        Some(length)
    }

    fn meaning(&self, ask: Ask, answer: &[u8]) -> Answer {
        let meaning = by_code(answer);
        match (ask, last_code(answer)) {
            (Ask::Upgrade | Ask::Argument, Some(234)) => Answer::Yes,
            (Ask::Upgrade | Ask::Argument, _) if meaning == Answer::Yes => Answer::Strange,
            _ => meaning,
        }
    }

    fn offers_tls(&self, _: &[u8], hello: &[u8]) -> Option<bool> {
        let has = |line: &[u8]| {
            let words = words(line);
            let mut names = words.iter().skip(1).flat_map(|word| word.split(|byte| *byte == b';'));
            words.first().is_some_and(|word| word == b"AUTH")
                && names.any(|name| name == b"TLS" || name == b"TLS-C")
        };
        (last_code(hello) == Some(211)).then(|| lines(hello).any(has))
    }

    fn uses(&self, plaintext: &[u8]) -> bool {
        says(plaintext, 0, &["USER", "PASS", "ACCT", "CWD", "LIST", "RETR", "STOR"])
    }

    fn answers_planted(&self, inside: &[u8]) -> bool {
        lines(inside).next().and_then(code).is_some_and(|code| code / 100 == 5)
            || contains(inside, MARK)
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

impl Server {
    fn features(&self, inside: bool) -> String {
        let offers = if inside { self.setup.offers_inside } else { self.setup.offers };
        let tls = if offers { " AUTH TLS\r\n" } else { "" };
        format!("211-Features\r\n{tls} PBSZ\r\n PROT\r\n UTF8\r\n211 End\r\n")
    }
}

impl Service for Server {
    fn greeting(&mut self, inside: bool) -> Vec<u8> {
        let text = match self.setup.greeting {
            _ if inside => "",
            Greeting::Welcome => "220 Welcome\r\n",
            Greeting::LoggedIn => "230 Logged in\r\n",
            Greeting::Refusal => "421 No service here\r\n",
            Greeting::Strange => "Hello\r\n",
        };
        text.into()
    }

    fn request_len(&self, bytes: &[u8]) -> Option<usize> {
        line_len(bytes)
    }

    fn serve(&mut self, request: &[u8], inside: bool) -> Served {
        let words = words(request);
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        let answer = match &words[..] {
            // Old clients call TLS by the name of its predecessor.
            [b"AUTH", b"TLS" | b"TLS-C" | b"SSL", ..] => return Served::Upgrade,
            [b"AUTH", ..] => "504 Only TLS\r\n",
            [b"FEAT"] => return Served::Answer(self.features(inside).into()),
            [b"QUIT"] => return Served::Close(b"221 Goodbye\r\n".to_vec()),
            [b"USER", ..] => {
                self.has_name = true;
                "331 Password\r\n"
            }
            [b"PASS", ..] if !self.has_name => "503 USER first\r\n",
            [b"PASS", ..] => "230 Logged in\r\n",
            [b"SYST"] => "215 UNIX Type: L8\r\n",
            [b"PWD" | b"XPWD"] => "257 \"/\"\r\n",
            [b"CWD" | b"CDUP", ..] => "250 Ok\r\n",
            [b"PBSZ" | b"PROT" | b"TYPE" | b"OPTS" | b"NOOP" | b"CLNT" | b"MODE" | b"STRU", ..] => {
                "200 Ok\r\n"
            }
            [b"PASV" | b"EPSV" | b"PORT" | b"EPRT", ..] => "425 No data connections\r\n",
            [b"SIZE" | b"MDTM" | b"RETR" | b"MLST", ..] => "550 No files\r\n",
            _ => "502 Not here\r\n",
        };
        Served::Answer(answer.into())
    }

    fn reply(&self, kind: Reply, _: &[u8]) -> Option<Vec<u8>> {
        let text = match kind {
            Reply::GoAhead => "234 Go ahead\r\n",
            Reply::Later => "431 Not now\r\n",
            Reply::No => "502 Not here\r\n",
            // The mechanism needs more data first (RFC 2228 section 3).
            Reply::Almost(0) => "334 Go ahead\r\n",
            Reply::Almost(1) => "200 Go ahead\r\n",
            Reply::Almost(2) => "235 Go ahead\r\n",
            Reply::Almost(3) => "2340 Go ahead\r\n",
            Reply::Almost(_) => return None,
        };
        Some(text.into())
    }

    fn planted(&self) -> Option<Vec<u8>> {
        // A success of USER, and of PBSZ for clients that look only at the first digit.
        Some(format!("230 {MARK}\r\n").into())
    }

    fn forget(&mut self) {
        self.has_name = false;
    }
}
