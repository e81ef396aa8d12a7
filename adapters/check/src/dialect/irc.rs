//! IRC.

use starttls::Protocol;

use super::lines::{contains, line_len, lines, says};
use super::{
    Answer, Ask, Dialect, Greeting, HOST, Leftover, Looks, MARK, Peer, Reply, Served, Service,
    Setup,
};

pub(super) struct Irc;

const LEFTOVERS: &[Leftover] = &[Leftover {
    case: "state/capabilities",
    before: &[b"CAP REQ :multi-prefix\r\n"],
    form: Ask::Inside,
    taken: Looks::Has(b" ACK "),
    inside: &[b"CAP LIST\r\n"],
    survives: Looks::Has(b"multi-prefix"),
}];

impl Dialect for Irc {
    fn protocol(&self) -> Protocol {
        Protocol::IRC
    }

    fn greets(&self) -> bool {
        false
    }

    fn ask(&self, ask: Ask, _: &Peer<'_>) -> Option<Vec<u8>> {
        Some(match ask {
            // A login needs a nickname, so that none begins without one.
            Ask::Greeting | Ask::Login => return None,
            Ask::Hello | Ask::Inside => b"CAP LS 302\r\n".to_vec(),
            Ask::Upgrade => b"STARTTLS\r\n".to_vec(),
            Ask::Argument => b"STARTTLS now\r\n".to_vec(),
            Ask::Planted => format!("PING :{MARK}\r\n").into(),
            Ask::Quit => b"QUIT\r\n".to_vec(),
        })
    }

    fn answer_len(&self, ask: Ask, _: &Peer<'_>, bytes: &[u8]) -> Option<usize> {
        let mut length = 0;
        for line in lines(bytes).filter(|line| line.ends_with(b"\n")) {
            length += line.len();
            let message = Message::read(line);
            let ends = match ask {
                _ if is_unasked(line) => false,
                Ask::Hello | Ask::Inside => !message.has("CAP", 3, "*"),
                Ask::Quit => message.command == "ERROR",
                _ => true,
            };
            if ends {
                return Some(length);
            }
        }
        None
    }

    fn unasked_len(&self, bytes: &[u8]) -> usize {
        let whole = |line: &&[u8]| line.ends_with(b"\n") && is_unasked(line);
        lines(bytes).take_while(whole).map(<[u8]>::len).sum()
    }

    fn meaning(&self, ask: Ask, answer: &[u8]) -> Answer {
        let message = Message::read(lines(answer).last().unwrap_or_default());
        match (ask, &message.command[..]) {
            (Ask::Upgrade | Ask::Argument, "670") | (Ask::Quit, "ERROR") => Answer::Yes,
            (_, "691" | "ERROR") => Answer::No,
            // Not registered, no such command, no such subcommand of CAP.
            (_, "451" | "421" | "410") => Answer::No,
            (Ask::Hello | Ask::Inside, "CAP") | (Ask::Planted, "PONG") => Answer::Yes,
            _ => Answer::Strange,
        }
    }

    fn offers_tls(&self, _: &[u8], hello: &[u8]) -> Option<bool> {
        capabilities(hello).map(|names| names.iter().any(|name| name == "tls"))
    }

    fn offers_login(&self, _: &[u8], hello: &[u8]) -> Option<bool> {
        let shows = |name: &String| {
            let mechanisms = name.strip_prefix("sasl=").map(|names| names.split(','));
            name == "sasl" || mechanisms.is_some_and(|mut names| names.any(|name| name == "PLAIN"))
        };
        capabilities(hello).map(|names| names.iter().any(shows))
    }

    fn uses(&self, plaintext: &[u8]) -> bool {
        says(plaintext, 0, &["PASS", "USER", "JOIN", "PRIVMSG"])
    }

    fn answers_planted(&self, inside: &[u8]) -> bool {
        // A server that knows no PING before the login names it in its refusal.
        contains(inside, MARK)
            || lines(inside).any(|line| {
                let message = Message::read(line);
                message.command == "PONG" || message.arguments.get(1).is_some_and(|at| at == "PING")
            })
    }

    fn refers(&self) -> bool {
        true
    }

    fn leftovers(&self) -> &'static [Leftover] {
        LEFTOVERS
    }

    fn service(&self, setup: Setup) -> Box<dyn Service> {
        Box::new(Server {
            setup,
            begun: false,
            nick: None,
            user: false,
            asks: false,
            has: String::new(),
        })
    }
}

/// A message without tags and source, in the case in which it came.
struct Message {
    command: String,
    arguments: Vec<String>,
}

impl Message {
    fn read(line: &[u8]) -> Self {
        let line = String::from_utf8_lossy(line);
        let mut rest = line.trim_end_matches(['\r', '\n']);
        for mark in ['@', ':'] {
            if rest.starts_with(mark) {
                rest = rest.split_once(' ').map_or("", |(_, rest)| rest).trim_start_matches(' ');
            }
        }
        let (middle, trailing) = match rest.split_once(" :") {
            Some((middle, trailing)) => (middle, Some(trailing.to_owned())),
            None => (rest, None),
        };
        let mut words = middle.split(' ').filter(|word| !word.is_empty()).map(str::to_owned);
        let command = words.next().unwrap_or_default().to_ascii_uppercase();
        Self { command, arguments: words.chain(trailing).collect() }
    }

    /// Whether it is this command, and has so many arguments of which the last but one is `word`.
    fn has(&self, command: &str, count: usize, word: &str) -> bool {
        self.command == command
            && self.arguments.len() > count
            && self.arguments.get(count - 1).is_some_and(|argument| argument == word)
    }
}

/// Servers send notices about their lookups at any time, ask clients to answer a PING, and say that they are busy (020).
fn is_unasked(line: &[u8]) -> bool {
    matches!(&Message::read(line).command[..], "NOTICE" | "PING" | "020" | "")
}

/// The listed capabilities, or `None` if it is no list.
fn capabilities(hello: &[u8]) -> Option<Vec<String>> {
    let lists: Vec<Message> =
        lines(hello).map(Message::read).filter(|message| message.command == "CAP").collect();
    let names = |list: &Message| {
        let names = list.arguments.last().map(|names| names.split(' ').map(str::to_owned));
        names.into_iter().flatten().collect::<Vec<_>>()
    };
    (!lists.is_empty()).then(|| lists.iter().flat_map(names).collect())
}

struct Server {
    setup: Setup,
    /// Whether a message has come.
    begun: bool,
    nick: Option<String>,
    user: bool,
    /// Whether the client asks for capabilities first.
    asks: bool,
    /// The capabilities that it has.
    has: String,
}

impl Server {
    /// The messages to a client that is logged in now, if it is.
    fn welcome(&self) -> String {
        let Some(nick) = self.nick.as_deref().filter(|_| self.user && !self.asks) else {
            return String::new();
        };
        format!(
            ":{HOST} 001 {nick} :Welcome\r\n:{HOST} 002 {nick} :Your host is {HOST}\r\n\
             :{HOST} 003 {nick} :Created today\r\n:{HOST} 004 {nick} {HOST} check i n\r\n\
             :{HOST} 422 {nick} :No message of the day\r\n"
        )
    }

    fn capability(&mut self, arguments: &[String], inside: bool) -> String {
        let offers = if inside { self.setup.offers_inside } else { self.setup.offers };
        let tls = if offers { " tls" } else { "" };
        let nick = self.nick.as_deref().unwrap_or("*");
        match arguments.first().map(|name| name.to_ascii_uppercase()).as_deref() {
            Some("LS") => {
                self.asks = true;
                format!(":{HOST} CAP {nick} LS :multi-prefix sasl=PLAIN{tls}\r\n")
            }
            Some("REQ") => {
                let names = arguments.last().map(String::as_str).unwrap_or_default();
                let answer = format!(":{HOST} CAP {nick} ACK :{names}\r\n");
                names.clone_into(&mut self.has);
                self.asks = true;
                answer
            }
            Some("END") => {
                self.asks = false;
                self.welcome()
            }
            _ => format!(":{HOST} CAP {nick} LIST :{}\r\n", self.has),
        }
    }

    fn answer(&mut self, message: &Message, inside: bool) -> String {
        let nick = self.nick.clone().unwrap_or_else(|| "*".to_owned());
        let first = message.arguments.first().map(String::as_str).unwrap_or_default();
        match &message.command[..] {
            "CAP" => self.capability(&message.arguments, inside),
            "NICK" => {
                self.nick = Some(first.to_owned());
                self.welcome()
            }
            "USER" => {
                self.user = true;
                self.welcome()
            }
            "AUTHENTICATE" if first == "PLAIN" => "AUTHENTICATE +\r\n".to_owned(),
            "AUTHENTICATE" => format!(
                ":{HOST} 900 {nick} {nick}!c@{HOST} {nick} :Logged in\r\n:{HOST} 903 {nick} :Done\r\n"
            ),
            "PING" => format!(":{HOST} PONG {HOST} :{first}\r\n"),
            "JOIN" => format!(":{nick}!c@{HOST} JOIN {first}\r\n"),
            "PASS" | "PONG" | "PRIVMSG" | "NOTICE" | "MODE" | "WHO" | "" => String::new(),
            command => format!(":{HOST} 421 {nick} {command} :Not here\r\n"),
        }
    }
}

impl Service for Server {
    fn greeting(&mut self, inside: bool) -> Vec<u8> {
        // Servers do not greet. What they may say is a notice, a welcome to a client that is logged in, or a farewell.
        let text = match self.setup.greeting {
            Greeting::Welcome => return Vec::new(),
            _ if inside => return Vec::new(),
            Greeting::LoggedIn => format!(":{HOST} 001 check :Welcome\r\n"),
            Greeting::Refusal => "ERROR :No service here\r\n".to_owned(),
            Greeting::Strange => format!(":{HOST} 670 * :Hello\r\n"),
        };
        text.into()
    }

    fn request_len(&self, bytes: &[u8]) -> Option<usize> {
        line_len(bytes)
    }

    fn serve(&mut self, request: &[u8], inside: bool) -> Served {
        let message = Message::read(request);
        let first = !std::mem::replace(&mut self.begun, true);
        if let Some(port) = self.setup.refer.filter(|_| first && !inside) {
            let text = format!(":{HOST} 010 * 127.0.0.1 {port} :Please use this server\r\n");
            return Served::Answer(text.into());
        }
        match &message.command[..] {
            "STARTTLS" => Served::Upgrade,
            "QUIT" => Served::Close(b"ERROR :Goodbye\r\n".to_vec()),
            _ => Served::Answer(self.answer(&message, inside).into()),
        }
    }

    fn reply(&self, kind: Reply, _: &[u8]) -> Option<Vec<u8>> {
        let text = match kind {
            Reply::GoAhead => format!(":{HOST} 670 * :Go ahead\r\n"),
            Reply::Later => return None,
            Reply::No => format!(":{HOST} 691 * :Not here\r\n"),
            Reply::Almost(0) => format!(":{HOST} 671 * :Go ahead\r\n"),
            Reply::Almost(1) => format!(":{HOST} 6700 * :Go ahead\r\n"),
            // 670 as a source and as an argument.
            Reply::Almost(2) => ":670 421 * STARTTLS :Go ahead\r\n".to_owned(),
            Reply::Almost(3) => format!(":{HOST} 421 670 STARTTLS :670 Go ahead\r\n"),
            Reply::Almost(_) => return None,
        };
        Some(text.into())
    }

    fn planted(&self) -> Option<Vec<u8>> {
        // The answer to the client's next CAP LS.
        Some(format!(":{HOST} CAP * LS :sasl=PLAIN {MARK}\r\n").into())
    }

    fn forget(&mut self) {
        (self.nick, self.user, self.asks) = (None, false, false);
        self.has.clear();
    }
}
