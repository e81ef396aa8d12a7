//! What each job asks, and what the answers lead to.

use super::{Command, Event, Extensions, Session, State};
use crate::smtp::limits::{MAX_DOMAIN, MAX_PATH};
use crate::smtp::reply::Reply;
use crate::smtp::{Address, Credentials, Dialect, Envelope};
use crate::wire::Writer;
use crate::{Channel, Error};

/// `AUTH PLAIN`, a blank, 512 octets in base64, CRLF; EHLO and MAIL are shorter.
pub(super) const MAX_OUTPUT: usize = {
    let auth = b"AUTH PLAIN \r\n".len() + 684;
    let hello = b"EHLO \r\n".len() + MAX_DOMAIN;
    let mail = b"MAIL FROM: SIZE= BODY=8BITMIME\r\n".len() + MAX_PATH + 20;
    assert!(auth > hello && auth > mail);
    auth
};

/// A job of a [`Session`].
pub trait Job: sealed::Job {}

impl<J: sealed::Job> Job for J {}

pub(super) mod sealed {
    /// A type for each job, so that a mail has a body and a goodbye has none; one value inside, so
    /// that firmware links the dialogue once.
    pub trait Job {
        #[doc(hidden)]
        fn work(&self) -> super::Work<'_>;
    }
}

/// A job and what it sends.
#[derive(Clone, Copy, Debug)]
#[doc(hidden)]
pub enum Work<'m> {
    Hello,
    Authenticate(Mechanism, &'m Credentials<'m>),
    Send(&'m Envelope<'m>),
    Reset,
    Quit,
}

/// Introduces the client.
#[derive(Clone, Copy, Debug)]
pub struct Hello;

impl sealed::Job for Hello {
    fn work(&self) -> Work<'_> {
        Work::Hello
    }
}

/// Proves who the client is.
#[derive(Clone, Copy, Debug)]
pub struct Authenticate<'c> {
    pub(super) mechanism: Mechanism,
    pub(super) credentials: &'c Credentials<'c>,
}

impl sealed::Job for Authenticate<'_> {
    fn work(&self) -> Work<'_> {
        Work::Authenticate(self.mechanism, self.credentials)
    }
}

/// Sends one mail.
#[derive(Clone, Copy, Debug)]
pub struct Send<'m>(pub(super) &'m Envelope<'m>);

impl sealed::Job for Send<'_> {
    fn work(&self) -> Work<'_> {
        Work::Send(self.0)
    }
}

/// Drops a mail that was begun.
#[derive(Clone, Copy, Debug)]
pub struct Reset;

impl sealed::Job for Reset {
    fn work(&self) -> Work<'_> {
        Work::Reset
    }
}

/// Says goodbye.
#[derive(Clone, Copy, Debug)]
pub struct Quit;

impl sealed::Job for Quit {
    fn work(&self) -> Work<'_> {
        Work::Quit
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

impl Work<'_> {
    /// The command the job begins with; `dirty` if a transaction has to be ended first.
    pub(super) const fn first(self, dirty: bool) -> Option<Command> {
        match self {
            // A session begins with it, and it is not said twice.
            Self::Hello => None,
            Self::Authenticate(..) => Some(Command::Auth),
            Self::Send(_) if !dirty => Some(Command::Mail),
            Self::Send(_) | Self::Reset => Some(Command::Reset),
            Self::Quit => Some(Command::Quit),
        }
    }

    /// Whether the command is one of this job's.
    pub(super) const fn owns(self, command: Command) -> bool {
        match command {
            Command::Greeting | Command::Hello | Command::Helo => matches!(self, Self::Hello),
            Command::Auth | Command::User | Command::Password => {
                matches!(self, Self::Authenticate(..))
            }
            Command::Reset => matches!(self, Self::Send(_) | Self::Reset),
            Command::Quit => matches!(self, Self::Quit),
            _ => matches!(self, Self::Send(_)),
        }
    }
}

fn put_path(verb: &[u8], address: Option<Address<'_>>, out: &mut Writer<'_>) {
    out.put(verb);
    out.put(address.map(|address| address.as_str()).unwrap_or_default().as_bytes());
    out.put(b">");
}

impl<C: Channel, D: Dialect> Session<'_, C, D> {
    pub(super) fn print(&self, command: Command, work: Work<'_>, out: &mut Writer<'_>) {
        let rest: &[u8] = match (command, work) {
            (Command::Hello | Command::Helo, _) => {
                out.put(if command == Command::Helo { b"HELO" } else { D::HELLO });
                out.put(b" ");
                self.domain.as_str().as_bytes()
            }
            (Command::Auth, Work::Authenticate(Mechanism::Plain, credentials)) => {
                out.put(b"AUTH PLAIN ");
                credentials.put_plain(out);
                b""
            }
            (Command::User, Work::Authenticate(_, credentials)) => {
                credentials.put_user(out);
                b""
            }
            (Command::Password, Work::Authenticate(_, credentials)) => {
                credentials.put_password(out);
                b""
            }
            (Command::Mail, Work::Send(envelope)) => {
                put_path(b"MAIL FROM:<", envelope.from(), out);
                envelope.put_parameters(self.extensions, out);
                b""
            }
            (Command::Recipient, Work::Send(envelope)) => {
                put_path(b"RCPT TO:<", envelope.to().get(usize::from(self.asked)).copied(), out);
                b""
            }
            (Command::Message, _) => return out.put(self.stuffer.end().unwrap_or_default()),
            (Command::Auth, _) => b"AUTH LOGIN",
            (Command::Data, _) => b"DATA",
            (Command::Reset, _) => b"RSET",
            _ => b"QUIT",
        };
        out.put(rest);
        out.put(b"\r\n");
    }

    /// What the last line of a reply leads to.
    pub(super) fn answered<'i>(
        &mut self,
        command: Command,
        work: Work<'_>,
        reply: Reply<'i>,
    ) -> Result<Event<'i>, Error> {
        let [class, ..] = *reply.digits();
        let (state, event) = match (command, work, reply.digits()) {
            // Whatever the server says to that, it was the last word.
            (Command::Quit, ..) => (State::Closed, Event::Done(reply)),

            (Command::Greeting, _, b"220") => (State::Ask(Command::Hello), Event::Received(reply)),
            (Command::Hello | Command::Helo, _, b"250") => (State::Idle, Event::Done(reply)),
            (Command::Hello, _, [b'5', ..]) if D::IS_SMTP && self.channel.is_plaintext() => {
                self.extensions = Extensions::default();
                (State::Ask(Command::Helo), Event::Received(reply))
            }
            (Command::Greeting | Command::Hello | Command::Helo, _, [b'4' | b'5', ..]) => {
                return Err(Error::Refused);
            }

            (Command::Auth, Work::Authenticate(Mechanism::Login, _), b"334") => {
                (State::Ask(Command::User), Event::Received(reply))
            }
            (Command::User, _, b"334") => (State::Ask(Command::Password), Event::Received(reply)),
            (Command::Auth, Work::Authenticate(Mechanism::Plain, _), b"235")
            | (Command::Password, _, b"235") => (State::Idle, Event::Done(reply)),

            (Command::Reset, _, [b'2', ..]) => {
                self.dirty = false;
                match work {
                    Work::Send(_) => (State::Ask(Command::Mail), Event::Received(reply)),
                    _ => (State::Idle, Event::Done(reply)),
                }
            }
            (Command::Mail, _, [b'2', ..]) => {
                self.dirty = true;
                (State::Ask(Command::Recipient), Event::Received(reply))
            }
            (Command::Recipient, Work::Send(envelope), [b'2' | b'4' | b'5', ..]) => {
                let index = self.asked;
                self.asked = index.wrapping_add(1);
                self.accepted = self.accepted.wrapping_add(u16::from(class == b'2'));
                let next = if usize::from(self.asked) < envelope.to().len() {
                    State::Ask(Command::Recipient)
                } else if self.accepted > 0 {
                    State::Ask(Command::Data)
                } else {
                    State::NoRecipients
                };
                (next, Event::Recipient { index, reply })
            }
            (Command::Data, _, b"354") => {
                self.stuffer.restart();
                (State::Body, Event::Body(reply))
            }
            (Command::Message, _, [b'2' | b'4' | b'5', ..]) => {
                let index = self.delivered;
                self.delivered = index.wrapping_add(1);
                // Refused or not, the transaction is over (RFC 5321 §4.1.1.4), for LMTP with the
                // last reply.
                let over = D::IS_SMTP || self.delivered >= self.accepted;
                self.dirty &= !over;
                match (D::IS_SMTP, class) {
                    (true, b'2') => (State::Idle, Event::Done(reply)),
                    (true, _) => (State::Idle, Event::Rejected { command, reply }),
                    (false, _) if over => (State::Delivered, Event::Delivery { index, reply }),
                    (false, _) => (self.state, Event::Delivery { index, reply }),
                }
            }

            (_, _, [b'4' | b'5', ..]) => (State::Idle, Event::Rejected { command, reply }),
            _ => return Err(Error::UnexpectedReply),
        };
        self.state = state;
        Ok(event)
    }
}
