//! What each job asks, and what the answers lead to.

use super::{Command, Event, Extensions, Session, State};
use crate::smtp::limits::{MAX_DOMAIN, MAX_PATH};
use crate::smtp::reply::Reply;
use crate::smtp::{Credentials, Dialect, Envelope};
use crate::wire::Writer;
use crate::{Channel, Error};

/// `AUTH PLAIN`, a blank, 512 octets in base64, CRLF; or EHLO, or RCPT.
pub(super) const MAX_OUTPUT: usize = {
    let auth = b"AUTH PLAIN \r\n".len() + 684;
    let hello = b"EHLO \r\n".len() + MAX_DOMAIN;
    let recipient = b"MAIL FROM:\r\n".len() + MAX_PATH;
    assert!(auth > hello && auth > recipient);
    auth
};

/// A job of a [`Session`].
pub trait Job: sealed::Job {}

mod sealed {
    use super::*;

    pub trait Job {
        /// The command the job begins with; `dirty` if a transaction has to be ended first.
        fn first(&self, dirty: bool) -> Option<Command>;

        /// Whether the command is one of this job's.
        fn owns(&self, command: Command) -> bool;

        fn print<C: Channel, D: Dialect>(
            &self,
            command: Command,
            session: &Session<'_, C, D>,
            out: &mut Writer<'_>,
        );

        /// What the last line of a reply leads to.
        fn answered<'i, C: Channel, D: Dialect>(
            &self,
            command: Command,
            reply: Reply<'i>,
            session: &mut Session<'_, C, D>,
        ) -> Result<Event<'i>, Error>;
    }
}

impl<J: sealed::Job> Job for J {}

/// Ends the job with an event.
fn done<'i, C, D>(session: &mut Session<'_, C, D>, reply: Reply<'i>) -> Event<'i> {
    session.state = State::Idle;
    Event::Done(reply)
}

/// Ends the job if the reply refuses; anything else is no answer.
fn rejected<'i, C, D>(
    session: &mut Session<'_, C, D>,
    command: Command,
    reply: Reply<'i>,
) -> Result<Event<'i>, Error> {
    match reply.digits() {
        [b'4' | b'5', ..] => {
            session.state = State::Idle;
            Ok(Event::Rejected { command, reply })
        }
        _ => Err(Error::UnexpectedReply),
    }
}

/// Introduces the client.
#[derive(Clone, Copy, Debug)]
pub struct Hello;

impl sealed::Job for Hello {
    fn first(&self, _: bool) -> Option<Command> {
        None
    }

    fn owns(&self, command: Command) -> bool {
        matches!(command, Command::Greeting | Command::Hello | Command::Helo)
    }

    fn print<C: Channel, D: Dialect>(
        &self,
        command: Command,
        session: &Session<'_, C, D>,
        out: &mut Writer<'_>,
    ) {
        out.put(if command == Command::Helo { b"HELO" } else { D::HELLO });
        out.put(b" ");
        out.put(session.domain.as_str().as_bytes());
        out.put(b"\r\n");
    }

    fn answered<'i, C: Channel, D: Dialect>(
        &self,
        command: Command,
        reply: Reply<'i>,
        session: &mut Session<'_, C, D>,
    ) -> Result<Event<'i>, Error> {
        match (command, reply.digits()) {
            (Command::Greeting, b"220") => {
                session.state = State::Ask(Command::Hello);
                Ok(Event::Received(reply))
            }
            (Command::Hello | Command::Helo, b"250") => Ok(done(session, reply)),
            (Command::Hello, [b'5', ..]) if D::IS_SMTP && session.channel.is_plaintext() => {
                session.extensions = Extensions::default();
                session.state = State::Ask(Command::Helo);
                Ok(Event::Received(reply))
            }
            (_, [b'4' | b'5', ..]) => Err(Error::Refused),
            _ => Err(Error::UnexpectedReply),
        }
    }
}

/// How a client proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Mechanism {
    /// RFC 4616.
    Plain,
    /// Two prompts; for servers that offer nothing else.
    Login,
}

impl Mechanism {
    /// The strongest that the server offers.
    #[must_use]
    pub const fn strongest(offered: Extensions) -> Option<Self> {
        if offered.auth_plain() {
            Some(Self::Plain)
        } else if offered.auth_login() {
            Some(Self::Login)
        } else {
            None
        }
    }
}

/// Proves who the client is.
#[derive(Clone, Copy, Debug)]
pub struct Authenticate<'c> {
    pub(super) mechanism: Mechanism,
    pub(super) credentials: &'c Credentials<'c>,
}

impl sealed::Job for Authenticate<'_> {
    fn first(&self, _: bool) -> Option<Command> {
        Some(Command::Auth)
    }

    fn owns(&self, command: Command) -> bool {
        matches!(command, Command::Auth | Command::User | Command::Password)
    }

    fn print<C: Channel, D: Dialect>(
        &self,
        command: Command,
        _: &Session<'_, C, D>,
        out: &mut Writer<'_>,
    ) {
        match (command, self.mechanism) {
            (Command::User, _) => self.credentials.put_user(out),
            (Command::Password, _) => self.credentials.put_password(out),
            (_, Mechanism::Login) => out.put(b"AUTH LOGIN"),
            (_, Mechanism::Plain) => {
                out.put(b"AUTH PLAIN ");
                self.credentials.put_plain(out);
            }
        }
        out.put(b"\r\n");
    }

    fn answered<'i, C: Channel, D: Dialect>(
        &self,
        command: Command,
        reply: Reply<'i>,
        session: &mut Session<'_, C, D>,
    ) -> Result<Event<'i>, Error> {
        let next = match (command, self.mechanism, reply.digits()) {
            (Command::Auth, Mechanism::Login, b"334") => Command::User,
            (Command::User, _, b"334") => Command::Password,
            (Command::Auth, Mechanism::Plain, b"235") | (Command::Password, _, b"235") => {
                return Ok(done(session, reply));
            }
            _ => return rejected(session, command, reply),
        };
        session.state = State::Ask(next);
        Ok(Event::Received(reply))
    }
}

/// Sends one mail.
#[derive(Clone, Copy, Debug)]
pub struct Send<'m>(pub(super) &'m Envelope<'m>);

impl sealed::Job for Send<'_> {
    fn first(&self, dirty: bool) -> Option<Command> {
        Some(if dirty { Command::Reset } else { Command::Mail })
    }

    fn owns(&self, command: Command) -> bool {
        matches!(
            command,
            Command::Reset | Command::Mail | Command::Recipient | Command::Data | Command::Message
        )
    }

    fn print<C: Channel, D: Dialect>(
        &self,
        command: Command,
        session: &Session<'_, C, D>,
        out: &mut Writer<'_>,
    ) {
        let (verb, path): (&[u8], _) = match command {
            Command::Reset => (b"RSET\r\n", None),
            Command::Mail => (b"MAIL FROM:<", Some(self.0.from())),
            Command::Recipient => {
                let next = self.0.to().get(usize::from(session.asked)).copied();
                (b"RCPT TO:<", Some(next))
            }
            Command::Data => (b"DATA\r\n", None),
            _ => (session.stuffer.end().unwrap_or_default(), None),
        };
        out.put(verb);
        if let Some(path) = path {
            out.put(path.map(|address| address.as_str()).unwrap_or_default().as_bytes());
            out.put(b">\r\n");
        }
    }

    fn answered<'i, C: Channel, D: Dialect>(
        &self,
        command: Command,
        reply: Reply<'i>,
        session: &mut Session<'_, C, D>,
    ) -> Result<Event<'i>, Error> {
        let [class, ..] = *reply.digits();
        match (command, class) {
            (Command::Reset, b'2') => {
                session.dirty = false;
                session.state = State::Ask(Command::Mail);
                Ok(Event::Received(reply))
            }
            (Command::Mail, b'2') => {
                session.dirty = true;
                session.state = State::Ask(Command::Recipient);
                Ok(Event::Received(reply))
            }
            (Command::Recipient, b'2' | b'4' | b'5') => {
                let index = session.asked;
                session.asked = index.wrapping_add(1);
                if class == b'2' {
                    session.accepted = session.accepted.wrapping_add(1);
                }
                session.state = if usize::from(session.asked) < self.0.to().len() {
                    State::Ask(Command::Recipient)
                } else if session.accepted > 0 {
                    State::Ask(Command::Data)
                } else {
                    State::NoRecipients
                };
                Ok(Event::Recipient { index, reply })
            }
            (Command::Data, b'3') if reply.digits() == b"354" => {
                session.stuffer.restart();
                session.state = State::Body;
                Ok(Event::Body(reply))
            }
            (Command::Message, b'2' | b'4' | b'5') if !D::IS_SMTP => {
                let index = session.delivered;
                session.delivered = index.wrapping_add(1);
                if session.delivered >= session.accepted {
                    session.dirty = false;
                    session.state = State::Delivered;
                }
                Ok(Event::Delivery { index, reply })
            }
            (Command::Message, b'2') => {
                session.dirty = false;
                Ok(done(session, reply))
            }
            // Refused or not, the transaction is over (RFC 5321 §4.1.1.4).
            (Command::Message, _) => {
                session.dirty = false;
                rejected(session, command, reply)
            }
            _ => rejected(session, command, reply),
        }
    }
}

/// Drops a mail that was begun.
#[derive(Clone, Copy, Debug)]
pub struct Reset;

impl sealed::Job for Reset {
    fn first(&self, _: bool) -> Option<Command> {
        Some(Command::Reset)
    }

    fn owns(&self, command: Command) -> bool {
        command == Command::Reset
    }

    fn print<C: Channel, D: Dialect>(
        &self,
        _: Command,
        _: &Session<'_, C, D>,
        out: &mut Writer<'_>,
    ) {
        out.put(b"RSET\r\n");
    }

    fn answered<'i, C: Channel, D: Dialect>(
        &self,
        command: Command,
        reply: Reply<'i>,
        session: &mut Session<'_, C, D>,
    ) -> Result<Event<'i>, Error> {
        match reply.digits() {
            [b'2', ..] => {
                session.dirty = false;
                Ok(done(session, reply))
            }
            _ => rejected(session, command, reply),
        }
    }
}

/// Says goodbye.
#[derive(Clone, Copy, Debug)]
pub struct Quit;

impl sealed::Job for Quit {
    fn first(&self, _: bool) -> Option<Command> {
        Some(Command::Quit)
    }

    fn owns(&self, command: Command) -> bool {
        command == Command::Quit
    }

    fn print<C: Channel, D: Dialect>(
        &self,
        _: Command,
        _: &Session<'_, C, D>,
        out: &mut Writer<'_>,
    ) {
        out.put(b"QUIT\r\n");
    }

    /// Whatever the server says, it was the last word.
    fn answered<'i, C: Channel, D: Dialect>(
        &self,
        _: Command,
        reply: Reply<'i>,
        session: &mut Session<'_, C, D>,
    ) -> Result<Event<'i>, Error> {
        session.state = State::Closed;
        Ok(Event::Done(reply))
    }
}
