//! The receiving side of mail, implemented a second time as plainly as possible.
//!
//! It reads all bytes of the client at once, keeps whole messages, and knows no buffers or
//! chunks of input.

mod login;

use super::parameters::{self, Offer};
use super::{Outcome, line};

/// A receiver's configuration.
#[derive(Clone, Copy, Debug)]
pub struct Receiver {
    /// Whether it speaks LMTP.
    pub lmtp: bool,
    /// Whether it runs over TLS.
    pub tls: bool,
    /// Whether clients may log in, and whether they must.
    pub login: Option<bool>,
    /// Whether a login by SCRAM-SHA-256 is offered.
    pub scram: bool,
    /// The parameters that it supports.
    pub offer: Offer,
    /// The limit of recipients of one mail.
    pub recipients: u16,
    /// The limit of mistakes on one connection.
    pub errors: u8,
    /// The limit of commands on one connection.
    pub commands: u32,
}

/// The longest command.
pub const MAX_COMMAND: usize = 1192;

/// The visible behaviour, in order, as text.
pub type Trace = Vec<String>;

/// Nothing more happens.
struct Over;

#[derive(Default)]
struct Mail {
    international: bool,
    to: u16,
    octets: usize,
    /// The message received in chunks so far.
    chunks: Option<Vec<u8>>,
    refusal: Option<u16>,
}

struct Dialogue<'d> {
    config: &'d Receiver,
    rest: &'d [u8],
    decide: &'d mut dyn FnMut() -> bool,
    trace: Trace,
    greeted: bool,
    extended: bool,
    user: bool,
    mail: Option<Mail>,
    mistakes: u32,
    commands: u32,
}

impl Receiver {
    /// The visible behaviour of a dialogue in which the client sends `octets`.
    pub fn read(&self, octets: &[u8], decide: &mut dyn FnMut() -> bool) -> Trace {
        let mut dialogue = Dialogue {
            config: self,
            rest: octets,
            decide,
            trace: Trace::new(),
            greeted: !self.tls,
            extended: false,
            user: false,
            mail: None,
            mistakes: 0,
            commands: 0,
        };
        while dialogue.command().is_ok() {}
        dialogue.trace
    }
}

impl Dialogue<'_> {
    fn tell(&mut self, what: impl Into<String>) {
        self.trace.push(what.into());
    }

    fn code(&mut self, code: u16) -> Result<(), Over> {
        self.tell(code.to_string());
        Ok(())
    }

    /// The last bytes passed to the application.
    fn body(&mut self, octets: &[u8]) {
        if !octets.is_empty() {
            self.tell(format!("body {}", octets.escape_ascii()));
        }
    }

    fn over<T>(&mut self, how: &str) -> Result<T, Over> {
        self.tell(how);
        Err(Over)
    }

    fn mistake(&mut self, code: u16) -> Result<(), Over> {
        self.mistakes += 1;
        if self.mistakes > u32::from(self.config.errors) {
            self.code(421)?;
            return self.over("error");
        }
        self.code(code)
    }

    fn line(&mut self) -> Result<Vec<u8>, Over> {
        match line(&mut self.rest, MAX_COMMAND) {
            Ok(line) => Ok(line.to_vec()),
            Err(Outcome::Waiting) => self.over("waiting"),
            Err(_) => self.over("error"),
        }
    }

    fn is_one_too_many(&mut self) -> bool {
        self.commands += 1;
        self.commands > self.config.commands
    }

    fn too_many(&mut self) -> Result<(), Over> {
        self.code(421)?;
        self.over("error")
    }

    fn command(&mut self) -> Result<(), Over> {
        const FOREIGN: [&str; 10] =
            ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "PRI"];
        const KNOWN: [&str; 15] = [
            "AUTH", "BDAT", "DATA", "EHLO", "EXPN", "HELO", "HELP", "LHLO", "MAIL", "NOOP", "QUIT",
            "RCPT", "RSET", "STARTTLS", "VRFY",
        ];
        let line = self.line()?;
        let text = line.trim_ascii_end();
        let end = text.iter().position(|octet| *octet == b' ').unwrap_or(text.len());
        let verb = String::from_utf8_lossy(&line[..end]).to_ascii_uppercase();
        let verb = verb.as_str();
        let argument = line[end..].trim_ascii();
        if FOREIGN.contains(&verb) {
            return self.over("error");
        }
        let said = match verb {
            "AUTH" => "said AUTH".to_string(),
            _ if KNOWN.contains(&verb) => format!("said {}", line.escape_ascii()),
            _ => "said ".to_string(),
        };
        if self.is_one_too_many() {
            self.tell(said);
            return self.too_many();
        }
        let size = match verb {
            "BDAT" => match size(argument) {
                Some(size) => size,
                None => return self.over("error"),
            },
            _ => (0, false),
        };
        let (name, other): (_, &[&str]) =
            if self.config.lmtp { ("LHLO", &["EHLO", "HELO"]) } else { ("EHLO", &["LHLO"]) };
        let locked = self.config.login == Some(true) && !self.user;
        let event = match verb {
            _ if verb == name || verb == "HELO" && !self.config.lmtp => !argument.is_empty(),
            "RSET" => true,
            "AUTH" | "MAIL" | "RCPT" => {
                return if verb == "AUTH" {
                    self.auth(argument)
                } else if locked {
                    self.tell(said);
                    self.mistake(530)
                } else {
                    self.envelope(verb, argument, said)
                };
            }
            _ => false,
        };
        if !event {
            self.tell(said);
        }
        match verb {
            _ if other.contains(&verb) => self.mistake(500),
            "EHLO" | "LHLO" | "HELO" if argument.is_empty() => self.mistake(501),
            "EHLO" | "LHLO" | "HELO" => {
                (self.greeted, self.extended, self.mail) = (true, verb != "HELO", None);
                self.tell(format!("hello {}", argument.escape_ascii()));
                self.code(250)
            }
            "NOOP" => self.code(250),
            "RSET" => {
                self.mail = None;
                self.tell("reset");
                self.code(250)
            }
            "QUIT" => {
                self.code(221)?;
                self.over("quit")
            }
            "STARTTLS" if self.config.tls => self.mistake(503),
            "BDAT" => self.bdat(size, locked),
            _ if !KNOWN.contains(&verb) => self.mistake(500),
            _ if locked => self.mistake(530),
            "VRFY" => self.code(252),
            "EXPN" | "HELP" => self.mistake(502),
            "DATA" if !argument.is_empty() => self.mistake(501),
            "DATA" => match self.mail.take() {
                Some(mail) if mail.to > 0 && mail.chunks.is_none() => self.data(mail),
                mail => {
                    self.mail = mail;
                    self.mistake(503)
                }
            },
            _ => self.mistake(503),
        }
    }

    fn envelope(&mut self, verb: &str, argument: &[u8], said: String) -> Result<(), Over> {
        let offer = &self.config.offer;
        let refusal = match (verb, &self.mail) {
            ("MAIL", None) if self.greeted => match parameters::mail(argument, offer) {
                Ok((told, international)) => {
                    self.tell(told);
                    let yes = (self.decide)();
                    self.mail = yes.then(|| Mail { international, ..Mail::default() });
                    return self.code(if yes { 250 } else { 550 });
                }
                Err(code) => code,
            },
            ("RCPT", Some(mail)) if mail.chunks.is_none() => {
                let international = mail.international;
                match parameters::recipient(argument, offer, international) {
                    _ if mail.to >= self.config.recipients => {
                        self.tell(said);
                        return self.code(452);
                    }
                    Ok(told) => {
                        self.tell(told);
                        let yes = (self.decide)();
                        if let Some(mail) = &mut self.mail {
                            mail.to += u16::from(yes);
                        }
                        return self.code(if yes { 250 } else { 550 });
                    }
                    Err(code) => code,
                }
            }
            _ => 503,
        };
        self.tell(said);
        self.mistake(refusal)
    }

    /// Asks the application for each recipient, or refuses.
    fn judge(&mut self, mail: &Mail) -> Result<(), Over> {
        let replies = if self.config.lmtp { mail.to } else { 1 };
        for index in 0..replies {
            match mail.refusal {
                Some(code) => {
                    self.tell(format!("refused {index}"));
                    self.code(code)?;
                }
                None => {
                    self.tell(format!("message {index}"));
                    let yes = (self.decide)();
                    self.code(if yes { 250 } else { 550 })?;
                }
            }
        }
        Ok(())
    }

    fn data(&mut self, mut mail: Mail) -> Result<(), Over> {
        self.code(354)?;
        let mut message = Vec::new();
        loop {
            if let Some(rest) = self.rest.strip_prefix(b".\r\n") {
                self.rest = rest;
                self.body(&message);
                let large = self.config.offer.size.is_some_and(|limit| message.len() > limit);
                mail.refusal = if large { Some(552) } else { message.contains(&0).then_some(550) };
                return self.judge(&mail);
            }
            let stop = self.rest.iter().position(|octet| matches!(octet, b'\r' | b'\n'));
            let text = &self.rest[..stop.unwrap_or(self.rest.len())];
            let after = &self.rest[text.len()..];
            message.extend(text.strip_prefix(b".").unwrap_or(text));
            match after {
                [b'\r', b'\n', rest @ ..] => {
                    message.extend(b"\r\n");
                    self.rest = rest;
                }
                [] | [b'\r'] => {
                    self.body(&message);
                    return self.over("waiting");
                }
                _ => {
                    self.body(&message);
                    return self.over("error");
                }
            }
        }
    }

    fn bdat(&mut self, (size, last): (usize, bool), locked: bool) -> Result<(), Over> {
        let whole = self.rest.len() >= size;
        let (here, rest) = self.rest.split_at(size.min(self.rest.len()));
        self.rest = rest;

        if locked || self.mail.as_ref().is_none_or(|mail| mail.to == 0) {
            if !whole {
                return self.over("waiting");
            }
            self.tell("discarded");
            return self.mistake(if locked { 530 } else { 503 });
        }
        let mut mail = self.mail.take().unwrap_or_default();
        let before = mail.chunks.get_or_insert_default().clone();
        mail.octets = mail.octets.saturating_add(size);
        if self.config.offer.size.is_some_and(|limit| mail.octets > limit) {
            mail.refusal = Some(552);
        }
        if mail.refusal.is_none() {
            let all = [&before[..], here].concat();
            let lone = (0..all.len()).find(|at| match all[*at] {
                b'\r' => all.get(at + 1).is_some_and(|next| *next != b'\n'),
                b'\n' => *at == 0 || all[at - 1] != b'\r',
                0 => true,
                _ => false,
            });
            let good = lone.unwrap_or(all.len()).saturating_sub(before.len());
            let waits = !whole && lone.is_none() && here.ends_with(b"\r");
            self.body(&here[..good - usize::from(waits)]);
            mail.refusal = lone.map(|_| 550);
            mail.chunks = Some(all);
        }
        if !whole {
            return self.over("waiting");
        }
        if last {
            if mail.refusal.is_none() && mail.chunks.iter().any(|all| all.ends_with(b"\r")) {
                mail.refusal = Some(550);
            }
            return self.judge(&mail);
        }
        if let Some(code) = mail.refusal {
            self.tell("discarded");
            self.code(code)?;
        } else {
            self.code(250)?;
        }
        self.mail = Some(mail);
        Ok(())
    }
}

/// The size of a chunk, and whether it is the last.
fn size(argument: &[u8]) -> Option<(usize, bool)> {
    let words: Vec<_> = argument.split(|o| *o == b' ').filter(|w| !w.is_empty()).collect();
    let (digits, last) = match words[..] {
        [digits] => (digits, false),
        [digits, word] if word.eq_ignore_ascii_case(b"LAST") => (digits, true),
        _ => return None,
    };
    let size = parameters::number(digits).filter(|size| *size < u64::MAX.into())?;
    Some((usize::try_from(size).ok()?, last))
}
