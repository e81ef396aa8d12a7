use starttls::server::{Config, Event, Grammar};
use starttls::smtp;
use starttls::wire::Line;
use starttls::{Error, Machine, Plaintext, Policy, Server, Step, Tls, Verification};

use super::{Log, Next, OUTPUT, Room, Subject, step, write};
use crate::SERVER;
use crate::table::{Handshake, Row};

/// A server on its way to TLS, with an application that decides as the row prescribes.
#[expect(missing_debug_implementations, reason = "grammars need not be shown")]
pub struct Serving<G: Grammar> {
    server: Server<G>,
    decide: std::vec::IntoIter<String>,
}

/// The configuration of a row's server.
pub(super) fn config(row: &Row) -> Config {
    let config = Config::default().with_policy(row.policy.into()).with_available(row.available);
    config
        .with_max_errors(row.max_errors.unwrap_or(config.max_errors()))
        .with_max_commands(row.max_commands.unwrap_or(config.max_commands()))
}

impl<G: Grammar> Serving<G> {
    /// The server of a row.
    #[must_use]
    pub fn new(server: Server<G>, row: &Row) -> Self {
        Self { server, decide: row.decide.clone().into_iter() }
    }

    fn decide_upgrade(&mut self) {
        let decided = match self.decide.next().as_deref() {
            None | Some("accept") => self.server.accept(),
            Some("refuse") => self.server.refuse(),
            Some(other) => panic!("no decision on an upgrade: {other}"),
        };
        assert_eq!(decided, Ok(()), "a decision was due");
    }

    fn decide_command(&mut self, room: Room, log: &mut Log) {
        match self.decide.next().as_deref() {
            None | Some("unknown") => {
                assert_eq!(self.server.unknown(), Ok(()), "a decision was due");
            }
            Some(line) => {
                let line = Line::new(line).expect("a line");
                let mut output = [0; OUTPUT];
                let answer = |output: &mut [u8]| self.server.answer(&[line], output);
                let n = write(room, &mut output, answer).expect("a decision was due");
                log.out.extend(&output[..n]);
            }
        }
    }
}

impl<G: Grammar> Subject for Serving<G> {
    fn waits(&mut self) -> bool {
        self.server.wait().is_some()
    }

    fn step(&mut self, input: &mut &[u8], room: Room, log: &mut Log) -> Next {
        let mut output = [0; OUTPUT];
        match step(&mut self.server, input, &mut output, room) {
            Ok(Step::Read) => return Next::Read,
            Ok(Step::Write(n)) => log.out.extend(&output[..n]),
            Ok(Step::Event(Event::Received(line))) => log.lines.push(line.to_string()),
            Ok(Step::Event(Event::Command(line))) => {
                log.event(format!("command {line}"));
                self.decide_command(room, log);
            }
            Ok(Step::Event(Event::UpgradeRequested)) => {
                log.event("upgrade-requested");
                self.decide_upgrade();
            }
            Ok(Step::Event(Event::UpgradeReady)) => {
                log.event("upgrade-ready");
                return Next::Over("upgrade");
            }
            Ok(Step::Event(Event::Plaintext)) => {
                log.event("plaintext");
                return Next::Over("plaintext");
            }
            Ok(Step::Event(Event::Quit)) => {
                log.event("quit");
                return Next::Over("quit");
            }
            Ok(Step::Event(other)) => panic!("a new event: {other:?}"),
            Err(error) => return Next::Failed(error),
        }
        Next::On
    }

    fn end_of_input(&mut self) -> Result<(), Error> {
        self.server.end_of_input()
    }

    fn timed_out(&mut self) -> Error {
        self.server.timed_out()
    }

    fn misuse(&mut self) -> Vec<Result<(), Error>> {
        let mut output = [0x55; OUTPUT];
        let mut results = vec![
            self.server.accept(),
            self.server.refuse(),
            self.server.unknown(),
            self.server.answer(&[Line::new("250 no").expect("a line")], &mut output).map(drop),
        ];
        if !self.waits() {
            let mut input = &b"STARTTLS\r\n"[..];
            results.push(self.server.step(&mut input, &mut output).map(drop));
            assert_eq!(input.len(), 10, "a finished server reads");
        }
        assert_eq!(output, [0x55; OUTPUT], "a server writes out of order");
        results
    }

    fn farewell(&self, room: Room) -> Vec<u8> {
        let mut output = [0; OUTPUT];
        let n = write(room, &mut output, |output| self.server.farewell(output));
        output[..n.expect("room enough")].to_vec()
    }

    fn into_upgrade(
        self: Box<Self>,
        unread: &[u8],
        tls: Handshake,
    ) -> Result<(Option<Tls>, Vec<u8>), Error> {
        let upgrade = self.server.into_upgrade(unread)?;
        let early = upgrade.early().to_vec();
        Ok(((tls != Handshake::Fails).then(|| upgrade.established_with(tls.into())), early))
    }

    fn into_plaintext(self: Box<Self>, _: &[u8]) -> Result<Plaintext, Error> {
        self.server.into_plaintext()
    }
}

/// TLS of a server, by the shortest possible upgrade.
pub(super) fn tls(client: Verification) -> Tls {
    let mut server = played(b"EHLO a\r\nSTARTTLS\r\n", |event| event == Event::UpgradeRequested);
    server.accept().expect("asked");
    let mut output = [0; OUTPUT];
    while server.step(&mut &b""[..], &mut output) != Ok(Step::Event(Event::UpgradeReady)) {}
    server.into_upgrade(b"").expect("nothing is unread").established_with(client)
}

/// Plaintext of a server, by the shortest possible dialogue.
pub(super) fn plaintext() -> Plaintext {
    let server = played(b"EHLO a\r\nMAIL FROM:<>\r\n", |event| event == Event::Plaintext);
    server.into_plaintext().expect("the policy allows it")
}

fn played(mut input: &[u8], until: impl Fn(Event<'_>) -> bool) -> smtp::Server<'static> {
    let config = Config::default().with_policy(Policy::Opportunistic);
    let mut server = smtp::Server::new(SERVER, config);
    let mut output = [0; OUTPUT];
    loop {
        match server.step(&mut input, &mut output).expect("no error") {
            Step::Event(event) if until(event) => return server,
            _ => {}
        }
    }
}
