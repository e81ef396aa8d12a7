use starttls::mail::receiver::{
    Answer, Authentication, Config, Event, Limits, Login, Proof, Scram, ScramExchange, ScramFinal,
    ScramFirst, ScramKeys,
};
use starttls::mail::{ChannelBinding, Nonce, Receiver};
use starttls::smtp::Dialect;
use starttls::{Channel, Error, Machine, Plaintext, Step, Tls};

use super::{Log, Next, OUTPUT, Room, Subject, step, write};
use crate::SERVER;
use crate::table::{self, Demanded, Handshake, Mail, Row, ScramUser};

/// The receiving side of mail, with an application that decides as the row prescribes.
#[derive(Debug)]
pub struct Receiving<C: Channel, D: Dialect> {
    receiver: Receiver<'static, C, D>,
    decide: std::vec::IntoIter<String>,
    scram: Option<ScramUser>,
    exchange: Option<ScramExchange>,
}

impl<C: Channel, D: Dialect> Receiving<C, D> {
    /// The receiver of a row.
    #[must_use]
    pub fn new(channel: C, row: &Row, mail: &Mail) -> Self {
        let limits = Limits::default();
        let limits = limits
            .with_errors(row.max_errors.unwrap_or(limits.errors()))
            .with_size(mail.max_size)
            .with_recipients(mail.max_recipients.unwrap_or(limits.recipients()))
            .with_commands(mail.max_commands.unwrap_or(limits.commands()));
        let config = Config::from(limits)
            .with_authentication(match mail.authentication {
                None => Authentication::None,
                Some(Demanded::Offered) => Authentication::Offered,
                Some(Demanded::Required) => Authentication::Required,
            })
            .with_proof(match mail.proof {
                None | Some(table::Proof::Password) => Proof::Password,
                Some(table::Proof::Certificate) => Proof::Certificate,
                Some(table::Proof::Either) => Proof::Either,
            })
            .with_scram(match &mail.scram {
                None => Scram::None,
                Some(user) if user.exporter.is_some() || user.end_point.is_some() => Scram::Bound,
                Some(_) => Scram::Unbound,
            })
            .with_dsn(mail.dsn)
            .with_smtp_utf8(mail.smtp_utf8)
            .with_require_tls(mail.require_tls);
        Self {
            receiver: Receiver::new(channel, SERVER, config),
            decide: mail.decide.clone().into_iter(),
            scram: mail.scram.clone(),
            exchange: None,
        }
    }

    /// Decides on a login. A login that cannot be decoded is refused, whatever the row prescribes.
    fn judge_login(&mut self, login: Login<'_>, room: Room, log: &mut Log) {
        assert_eq!(format!("{login:?}"), "Login(..)", "a password is shown");
        let mut buffer = [0; Login::MAX];
        match login.decode(&mut buffer) {
            Ok(claim) => {
                let user = claim.user.map(|user| format!(" <{}> <{user}>", claim.authorization));
                log.event(format!("login{} <{}>", user.unwrap_or_default(), claim.password));
                self.judge(room, log);
            }
            Err(error) => {
                log.event(format!("login {error:?}"));
                self.answer(Answer::BAD_CREDENTIALS, room, log);
            }
        }
    }

    /// Begins an exchange with the row's user.
    fn begin_scram(&mut self, first: ScramFirst<'_>, room: Room, log: &mut Log) {
        assert_eq!(format!("{first:?}"), "ScramFirst(..)", "a name is shown");
        let user = self.scram.clone().expect("SCRAM is offered only for a user");
        let salt = user.salt.0.clone();
        let keys = ScramKeys::derive(&user.password, &salt, 4096).expect("a password and a salt");
        let nonce = Nonce::try_from(user.nonce.0).expect("18 bytes");
        let exporter = user.exporter.map(|data| data.0.try_into().expect("32 bytes"));
        let end_point = user.end_point.map(|data| data.0);
        let exporter = exporter.as_ref().map(ChannelBinding::Exporter);
        let end_point = end_point.as_deref().map(ChannelBinding::ServerEndPoint);
        let bindings: Vec<_> = exporter.into_iter().chain(end_point).collect();
        let mut buffer = [0; ScramFirst::MAX];
        let start = match first.decode(&mut buffer) {
            Ok(start) => start,
            Err(error) => {
                log.event(format!("scram {error:?}"));
                return self.answer(Answer::BAD_CREDENTIALS, room, log);
            }
        };
        let (mut name, mut other) = ([0; 255], [0; 255]);
        let name = start.user(&mut name).expect("checked");
        let other = start.authorization(&mut other).expect("checked");
        log.event(format!("scram <{other}> <{name}>"));
        match start.exchange(&keys, &nonce, &bindings) {
            Ok(exchange) => {
                self.exchange = Some(exchange);
                self.challenge(room, log);
            }
            Err(error) => {
                log.event(format!("exchange {error:?}"));
                self.answer(Answer::BAD_CREDENTIALS, room, log);
            }
        }
    }

    fn end_scram(&mut self, last: ScramFinal<'_>, room: Room, log: &mut Log) {
        let exchange = self.exchange.as_mut().expect("an exchange has begun");
        let proof = exchange.verify(&last);
        log.event(format!("proof {proof:?}"));
        match proof {
            Ok(()) => self.challenge(room, log),
            Err(_) => {
                let unproved = self.receiver.challenge(exchange, &mut [0; OUTPUT]);
                assert_eq!(unproved, Err(Error::OutOfOrder), "no proof, no signature");
                self.answer(Answer::BAD_CREDENTIALS, room, log);
            }
        }
    }

    fn challenge(&mut self, room: Room, log: &mut Log) {
        assert_eq!(self.receiver.accept(), Err(Error::OutOfOrder), "accepted without a proof");
        let exchange = self.exchange.as_ref().expect("an exchange has begun");
        let mut output = [0; OUTPUT];
        let challenge = |output: &mut [u8]| self.receiver.challenge(exchange, output);
        let n = write(room, &mut output, challenge).expect("a challenge was due");
        log.out.extend(&output[..n]);
    }

    fn answer(&mut self, answer: Answer<'_>, room: Room, log: &mut Log) {
        let mut output = [0; OUTPUT];
        let answer = |output: &mut [u8]| self.receiver.answer(answer, output);
        let n = write(room, &mut output, answer).expect("a decision was due");
        log.out.extend(&output[..n]);
    }

    fn judge(&mut self, room: Room, log: &mut Log) {
        match self.decide.next().as_deref() {
            None | Some("accept") => {
                assert_eq!(self.receiver.accept(), Ok(()), "a decision was due");
            }
            Some(line) => {
                let (code, text) = line.split_once(' ').expect("a code and a text");
                let code = code.parse().expect("a code");
                self.answer(Answer::new(code, text).expect("an answer"), room, log);
            }
        }
    }
}

impl<C: Channel, D: Dialect> Subject for Receiving<C, D> {
    fn waits(&mut self) -> bool {
        self.receiver.wait().is_some()
    }

    fn step(&mut self, input: &mut &[u8], room: Room, log: &mut Log) -> Next {
        let mut output = [0; OUTPUT];
        let event = match step(&mut self.receiver, input, &mut output, room) {
            Ok(Step::Read) => return Next::Read,
            Ok(Step::Write(n)) => {
                log.out.extend(&output[..n]);
                return Next::On;
            }
            Ok(Step::Event(event)) => event,
            Err(error) => return Next::Failed(error),
        };
        match event {
            Event::Received(line) => {
                let asked = log.out.trim_ascii_end().rsplit(|octet| *octet == b'\n').next();
                if asked.is_some_and(|reply| reply.starts_with(b"334")) {
                    assert_eq!(line.to_string(), "AUTH", "a response to a challenge is shown");
                }
                log.lines.push(line.to_string());
            }
            Event::Hello(name) => log.event(format!("hello {name}")),
            Event::Body(piece) => log.body(piece),
            Event::Reset => log.event("reset"),
            Event::Refused { index } => log.event(format!("refused {index}")),
            Event::User(user) => {
                assert_eq!(format!("{event:?}"), "User(UserName(..))", "a name is shown");
                match user.decode(&mut [0; Login::MAX]) {
                    Ok(name) => log.event(format!("user <{name}>")),
                    Err(error) => log.event(format!("user {error:?}")),
                }
            }
            Event::Login(login) => self.judge_login(login, room, log),
            Event::External(authorization) => {
                assert_eq!(format!("{authorization:?}"), "Authorization(..)", "a name is shown");
                match authorization.decode(&mut [0; 255]) {
                    Ok(name) => {
                        log.event(format!("external <{name}>"));
                        self.judge(room, log);
                    }
                    Err(error) => {
                        log.event(format!("external {error:?}"));
                        self.answer(Answer::BAD_CREDENTIALS, room, log);
                    }
                }
            }
            Event::ScramFirst(first) => self.begin_scram(first, room, log),
            Event::ScramFinal(last) => self.end_scram(last, room, log),
            Event::Authenticated => log.event("authenticated"),
            Event::Discarded => log.event("discarded"),
            Event::Mail(mail) => {
                let said = format!("mail <{}> {}", mail.path.as_str(), mail.parameters);
                log.event(said.trim_end());
                self.judge(room, log);
            }
            Event::Recipient(recipient) => {
                let path = recipient.path.as_str();
                let said = format!("recipient <{path}> {}", recipient.parameters);
                log.event(said.trim_end());
                self.judge(room, log);
            }
            Event::Message { index } => {
                log.event(format!("message {index}"));
                self.judge(room, log);
            }
            Event::Quit => {
                log.event("quit");
                return Next::Over("quit");
            }
            other => panic!("a new event: {other:?}"),
        }
        Next::On
    }

    fn end_of_input(&mut self) -> Result<(), Error> {
        self.receiver.end_of_input()
    }

    fn timed_out(&mut self) -> Error {
        self.receiver.timed_out()
    }

    fn misuse(&mut self) -> Vec<Result<(), Error>> {
        let mut output = [0x55; OUTPUT];
        let answer = Answer::new(250, "no").expect("an answer");
        let mut results =
            vec![self.receiver.accept(), self.receiver.answer(answer, &mut output).map(drop)];
        if !self.waits() {
            let mut input = &b"MAIL FROM:<>\r\n"[..];
            results.push(self.receiver.step(&mut input, &mut output).map(drop));
            assert_eq!(input.len(), 14, "a finished receiver reads");
        }
        assert_eq!(output, [0x55; OUTPUT], "a receiver writes out of order");
        results
    }

    fn farewell(&self, room: Room) -> Vec<u8> {
        let mut output = [0; OUTPUT];
        let n = write(room, &mut output, |output| self.receiver.farewell(output));
        output[..n.expect("room enough")].to_vec()
    }

    fn into_upgrade(
        self: Box<Self>,
        _: &[u8],
        _: Handshake,
    ) -> Result<(Option<Tls>, Vec<u8>), Error> {
        Err(Error::OutOfOrder)
    }

    fn into_plaintext(self: Box<Self>, _: &[u8]) -> Result<Plaintext, Error> {
        Err(Error::OutOfOrder)
    }
}
