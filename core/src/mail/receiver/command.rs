//! The effect of each line from a client.

use super::config::Authentication;
use super::login::{self, Begin};
use super::reply::Reply;
use super::state::{Challenge, Question, Stage, State, Then, Transaction};
use super::{Authorization, Event, Login, Receiver, UserName, message, parameters};
#[cfg(feature = "scram")]
use super::{ScramFinal, ScramFirst};
use crate::server::Answer as Engine;
use crate::smtp::Dialect;
use crate::smtp::command::{Verb, split};
use crate::smtp::server;
use crate::wire::Framing as _;
use crate::{Channel, Error, Untrusted};

/// The only part shown of a line that may have credentials.
const AUTH: Untrusted<'static> = Untrusted::new(b"AUTH");

impl<C: Channel, D: Dialect> Receiver<'_, C, D> {
    /// Handles a line: a command, or a response to a challenge.
    pub(super) fn line<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<Event<'i>>, Error> {
        let Some(line) = self.lines.next(input)? else {
            return Ok(None);
        };
        let (verb, argument) = split(line);
        let challenge = match self.state {
            State::Challenged(challenge) => Some(challenge),
            _ => None,
        };
        let shown = match (challenge, verb) {
            (None, Verb::Foreign) => return Err(Error::Foreign),
            (Some(_), _) | (None, Verb::Auth) => AUTH,
            (None, Verb::Unknown) => Untrusted::new(b""),
            _ => Untrusted::new(line),
        };
        let event = match (self.config.limits.commands.checked_sub(1), challenge) {
            (None, _) => {
                self.say(Reply::TooManyCommands, Then::TooManyCommands);
                None
            }
            (Some(left), challenge) => {
                self.config.limits.commands = left;
                match challenge {
                    Some(challenge) => self.response(challenge, line),
                    None => self.command(verb, argument)?,
                }
            }
        };
        Ok(Some(event.unwrap_or(Event::Received(shown))))
    }

    /// Executes a command. Returns an event if it says more than that the command arrived.
    fn command<'i>(&mut self, verb: Verb, argument: &'i [u8]) -> Result<Option<Event<'i>>, Error> {
        match verb {
            // With an invalid size, the message and the next commands cannot be told apart.
            Verb::Bdat => {
                let chunk = message::parse_bdat(argument).ok_or(Error::Syntax)?;
                self.begin_chunk(chunk, !self.must_authenticate());
            }
            Verb::Ehlo | Verb::Helo | Verb::Lhlo if D::IS_SMTP == (verb == Verb::Lhlo) => {
                self.fault(Reply::UNKNOWN);
            }
            Verb::Ehlo | Verb::Helo | Verb::Lhlo if argument.is_empty() => {
                self.fault(Reply::server(server::Reply::NameMissing));
            }
            Verb::Ehlo | Verb::Lhlo | Verb::Helo => {
                self.greeted = true;
                self.extended = verb != Verb::Helo;
                self.mail = Transaction::default();
                let hello = if verb == Verb::Helo { Reply::Helo } else { Reply::Hello };
                self.say(hello, Then::Await);
                return Ok(Some(Event::Hello(Untrusted::new(argument))));
            }
            Verb::Noop => self.say(Reply::OK, Then::Await),
            Verb::Rset => {
                self.mail = Transaction::default();
                self.say(Reply::OK, Then::Await);
                return Ok(Some(Event::Reset));
            }
            Verb::Quit => self.say(Reply::engine(Engine::Bye), Then::Leave),
            Verb::StartTls if !self.channel.is_plaintext() => self.fault(Reply::TlsActive),
            Verb::StartTls if self.config.start_tls && self.mail.stage == Stage::None => {
                if argument.is_empty() {
                    self.say(Reply::engine(Engine::GoAhead), Then::GoAhead);
                } else {
                    self.fault(Reply::server(server::Reply::NoParameters));
                }
            }
            Verb::Auth => return Ok(self.authenticate(argument)),
            Verb::Unknown | Verb::Foreign => self.fault(Reply::UNKNOWN),
            // All further commands need a login (RFC 4954 §6).
            _ if self.must_authenticate() => self.fault(Reply::AuthenticationRequired),
            Verb::Vrfy => {
                self.say(Reply::server(server::Reply::CannotVerify), Then::Await);
            }
            Verb::Expn | Verb::Help => self.fault(Reply::NotImplemented),
            _ => return Ok(self.transaction(verb, argument)),
        }
        Ok(None)
    }

    /// Handles `MAIL`, `RCPT` and `DATA`, which have to come in this order (RFC 5321 §4.1.4).
    fn transaction<'i>(&mut self, verb: Verb, argument: &'i [u8]) -> Option<Event<'i>> {
        match (verb, self.mail.stage) {
            (Verb::Mail, Stage::None) if self.greeted => {
                match parameters::mail(argument, &self.offer()) {
                    Ok(mail) => {
                        self.mail.international = mail.international;
                        self.state = State::Deciding(Question::Mail);
                        return Some(Event::Mail(mail));
                    }
                    Err(reply) => self.fault(reply),
                }
            }
            (Verb::Rcpt, Stage::Envelope)
                if self.mail.recipients >= self.config.limits.recipients =>
            {
                // This is no mistake: the client sends to these recipients in another mail (RFC 5321
                // §4.5.3.1.10).
                self.say(Reply::TooManyRecipients, Then::Await);
            }
            (Verb::Rcpt, Stage::Envelope) => {
                match parameters::recipient(argument, &self.offer(), self.mail.international) {
                    Ok(recipient) => {
                        self.state = State::Deciding(Question::Recipient);
                        return Some(Event::Recipient(recipient));
                    }
                    Err(reply) => self.fault(reply),
                }
            }
            (Verb::Data, _) if !argument.is_empty() => self.fault(Reply::BadParameter),
            (Verb::Data, Stage::Envelope) if self.mail.recipients > 0 => {
                self.block = 0;
                self.say(Reply::StartMessage, Then::Body);
            }
            _ => self.fault(Reply::BAD_SEQUENCE),
        }
        None
    }

    /// Handles `AUTH` (RFC 4954 §4): over TLS, after EHLO, once, and outside a mail.
    fn authenticate<'i>(&mut self, argument: &'i [u8]) -> Option<Event<'i>> {
        if self.config.authentication == Authentication::None {
            self.fault(Reply::NotImplemented);
        } else if self.channel.is_plaintext() {
            self.fault(Reply::engine(Engine::EncryptionRequired));
        } else if !self.extended || self.authenticated || self.mail.stage != Stage::None {
            self.fault(Reply::BAD_SEQUENCE);
        } else {
            match login::begin(argument, &self.offer()) {
                Begin::With(challenge, Some(response)) => {
                    return self.proof(challenge, response);
                }
                Begin::With(challenge, None) => {
                    let ask = match challenge {
                        Challenge::User => Reply::AskUser,
                        _ => Reply::AskEmpty,
                    };
                    self.say(ask, Then::Challenged(challenge));
                }
                Begin::Unknown => self.fault(Reply::UnknownMechanism),
                Begin::Malformed => self.fault(Reply::BadParameter),
            }
        }
        None
    }

    /// Handles a response to a challenge.
    fn response<'i>(&mut self, challenge: Challenge, line: &'i [u8]) -> Option<Event<'i>> {
        if line == b"*" {
            self.fault(Reply::Cancelled);
            return None;
        }
        self.proof(challenge, line)
    }

    fn proof<'i>(&mut self, challenge: Challenge, base64: &'i [u8]) -> Option<Event<'i>> {
        let event = match challenge {
            #[cfg(feature = "scram")]
            Challenge::ScramFirst { plus } => ScramFirst::new(base64, plus).map(Event::ScramFirst),
            #[cfg(feature = "scram")]
            Challenge::ScramFinal => ScramFinal::new(base64).map(Event::ScramFinal),
            #[cfg(feature = "scram")]
            Challenge::ScramEnd => base64.is_empty().then_some(Event::Authenticated),
            Challenge::User => UserName::new(base64).map(Event::User),
            Challenge::Authorization => Authorization::new(base64).map(Event::External),
            Challenge::Plain | Challenge::Password => {
                Login::new(base64, challenge == Challenge::Plain).map(Event::Login)
            }
        };
        match event {
            None => self.fault(Reply::BadBase64),
            Some(Event::User(_)) => {
                self.say(Reply::AskPassword, Then::Challenged(Challenge::Password));
            }
            #[cfg(feature = "scram")]
            Some(Event::Authenticated) => {
                self.authenticated = true;
                self.say(Reply::Authenticated, Then::Await);
            }
            #[cfg(feature = "scram")]
            Some(Event::ScramFirst(_)) => self.state = State::Deciding(Question::ScramFirst),
            #[cfg(feature = "scram")]
            Some(Event::ScramFinal(_)) => self.state = State::Deciding(Question::ScramFinal),
            Some(_) => self.state = State::Deciding(Question::Login),
        }
        event
    }

    pub(super) fn must_authenticate(&self) -> bool {
        self.config.authentication == Authentication::Required && !self.authenticated
    }
}
