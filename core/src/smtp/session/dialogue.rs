//! What each job says, and what the answers lead to.

use super::{Command, Event, Extensions, Fate, Mechanism, Session, State};
use crate::smtp::limits::{MAX_DOMAIN, MAX_LINE, MAX_PATH};
use crate::smtp::reply::Reply;
use crate::smtp::{Address, Credentials, Dialect, Envelope};
use crate::wire::Writer;
use crate::{Channel, Error};

/// A response to a challenge: 512 octets in base64, CRLF. Commands are shorter.
pub(super) const MAX_OUTPUT: usize = {
    let response = 684 + b"\r\n".len();
    let hello = b"EHLO \r\n".len() + MAX_DOMAIN;
    let mail = b"MAIL FROM: SIZE= BODY=8BITMIME\r\n".len() + MAX_PATH + 20;
    assert!(response > hello && response > mail && response > MAX_LINE);
    response
};

/// How many commands may be unanswered. Whoever only writes while the server only writes, too, would
/// wait for ever once all buffers are full (RFC 2920 §3.1); the replies to so many fit anywhere.
const MAX_PENDING: u8 = 128;

/// What an [`Exchange`](super::Exchange) does, and with what.
#[derive(Clone, Copy, Debug)]
pub(super) enum Job<'m> {
    Hello,
    Authenticate(Mechanism, &'m Credentials<'m>),
    Send(&'m Envelope<'m>),
    Reset,
    Quit,
}

impl Job<'_> {
    /// The command it begins with; `dirty` if a transaction has to be ended first.
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

    /// Whether everything was said that proves who the client is.
    pub(super) const fn is_proven(self, round: u8) -> bool {
        matches!(self, Self::Authenticate(mechanism, _) if round == mechanism.rounds())
    }

    /// Whether the command is one of this job's.
    pub(super) const fn owns(self, command: Command) -> bool {
        match command {
            Command::Greeting | Command::Hello | Command::Helo => matches!(self, Self::Hello),
            Command::Auth => matches!(self, Self::Authenticate(..)),
            Command::Reset => matches!(self, Self::Send(_) | Self::Reset),
            Command::Quit => matches!(self, Self::Quit),
            _ => matches!(self, Self::Send(_)),
        }
    }
}

impl<C: Channel, D: Dialect> Session<'_, C, D> {
    /// Prints commands from `command` on, as many as may go together and fit.
    pub(super) fn ask(&mut self, mut command: Command, job: Job<'_>, out: &mut Writer<'_>) {
        loop {
            let before = out.len();
            self.print(command, job, out);
            if !out.fits() {
                if before > 0 {
                    out.truncate(before);
                    self.state = State::Ask(command);
                }
                return;
            }
            self.pending = self.pending.wrapping_add(1);
            if command == Command::Message {
                self.fate = Fate::Unknown;
            }
            let next = match (command, job) {
                (Command::Mail, _) => Command::Recipient,
                (Command::Recipient, Job::Send(envelope)) => {
                    self.asked = self.asked.wrapping_add(1);
                    self.following(envelope)
                }
                _ => break,
            };
            if !self.extensions.pipelining() || self.pending >= MAX_PENDING {
                break;
            }
            command = next;
        }
        self.state = State::Await(self.unanswered(command));
    }

    /// What is said behind the envelope so far.
    fn following(&self, envelope: &Envelope<'_>) -> Command {
        if usize::from(self.asked) < envelope.to().len() {
            Command::Recipient
        } else {
            Command::Data
        }
    }

    /// What the next reply answers, when `last` was said last.
    const fn unanswered(&self, last: Command) -> Command {
        match last {
            Command::Mail | Command::Recipient | Command::Data if !self.dirty => Command::Mail,
            Command::Data if self.answered < self.asked => Command::Recipient,
            _ => last,
        }
    }

    fn print(&mut self, command: Command, job: Job<'_>, out: &mut Writer<'_>) {
        out.put(match command {
            Command::Hello => D::HELLO,
            Command::Helo => b"HELO",
            Command::Auth => b"AUTH ",
            Command::Mail => b"MAIL FROM:<",
            Command::Recipient => b"RCPT TO:<",
            Command::Data => b"DATA",
            Command::Message => self.stuffer.end().unwrap_or_default(),
            Command::Reset => b"RSET",
            _ => b"QUIT",
        });
        match (command, job) {
            (Command::Message, _) => return,
            (_, Job::Hello) => {
                out.push(b' ');
                out.put(self.domain.as_str().as_bytes());
            }
            (_, Job::Authenticate(mechanism, credentials)) => {
                self.round = mechanism.begin(credentials, out);
            }
            (Command::Mail, Job::Send(envelope)) => {
                put_path(envelope.from(), out);
                envelope.put_parameters(self.extensions, out);
            }
            (Command::Recipient, Job::Send(envelope)) => {
                put_path(envelope.to().get(usize::from(self.asked)).copied(), out);
            }
            _ => {}
        }
        out.put(b"\r\n");
    }

    /// What the last line of a reply leads to.
    pub(super) fn answered<'i>(
        &mut self,
        command: Command,
        job: Job<'_>,
        reply: Reply<'i>,
    ) -> Result<Event<'i>, Error> {
        let digits = reply.digits();
        let [class, ..] = *digits;
        let yes = match command {
            Command::Greeting => digits == b"220",
            Command::Hello | Command::Helo => digits == b"250",
            Command::Auth => digits == b"235" && job.is_proven(self.round),
            Command::Data => digits == b"354",
            // Whatever the server says to that, it was the last word.
            Command::Quit => true,
            _ => class == b'2',
        };
        if !yes && !matches!(class, b'4' | b'5') {
            return Err(Error::UnexpectedReply);
        }
        self.pending = self.pending.saturating_sub(1);
        let mut event = if yes { Event::Done(reply) } else { Event::Rejected { command, reply } };
        let mut state = State::Idle;
        match (command, job) {
            (Command::Quit, _) => state = State::Closed,

            (Command::Greeting, _) if yes => {
                (state, event) = (State::Ask(Command::Hello), Event::Received(reply));
            }
            (Command::Hello, _) if class == b'5' && D::IS_SMTP && self.channel.is_plaintext() => {
                self.extensions = Extensions::default();
                (state, event) = (State::Ask(Command::Helo), Event::Received(reply));
            }
            (Command::Greeting | Command::Hello | Command::Helo, _) if !yes => {
                return Err(Error::Refused);
            }

            (Command::Reset, _) if yes => {
                self.dirty = false;
                if let Job::Send(_) = job {
                    (state, event) = (State::Ask(Command::Mail), Event::Received(reply));
                }
            }
            (Command::Mail, _) if yes => {
                self.dirty = true;
                (state, event) = (self.turn(Command::Recipient), Event::Received(reply));
            }
            (Command::Recipient, Job::Send(envelope)) => {
                event = Event::Recipient { index: self.answered, reply };
                self.answered = self.answered.wrapping_add(1);
                self.accepted = self.accepted.wrapping_add(u16::from(yes));
                state = if self.answered < self.asked {
                    State::Await(Command::Recipient)
                } else {
                    match self.following(envelope) {
                        Command::Data if self.accepted == 0 => State::NoRecipients,
                        next => self.turn(next),
                    }
                };
            }
            (Command::Data, _) if yes => {
                self.stuffer.restart();
                self.fate = Fate::NotAccepted;
                (state, event) = (State::Body, Event::Body(reply));
            }
            (Command::Message, _) => {
                self.delivered = self.delivered.wrapping_add(1);
                self.taken |= yes;
                // Refused or not, the transaction is over (RFC 5321 §4.1.1.4), for LMTP with the
                // last reply.
                let over = D::IS_SMTP || self.delivered >= self.accepted;
                if over {
                    self.dirty = false;
                    self.fate = if self.taken { Fate::Accepted } else { Fate::NotAccepted };
                }
                if !D::IS_SMTP {
                    event = Event::Delivery { index: self.delivered.wrapping_sub(1), reply };
                    state = if over { State::Delivered } else { self.state };
                }
            }
            _ => {}
        }
        if matches!(state, State::Idle | State::NoRecipients) {
            // What was said too much is answered, too.
            (self.stale, self.pending) = (self.pending, 0);
        }
        self.state = state;
        Ok(event)
    }

    /// The server's turn if `next` is said already, else ours.
    const fn turn(&self, next: Command) -> State {
        if self.pending > 0 { State::Await(next) } else { State::Ask(next) }
    }
}

fn put_path(address: Option<Address<'_>>, out: &mut Writer<'_>) {
    out.put(address.map(|address| address.as_str()).unwrap_or_default().as_bytes());
    out.push(b'>');
}
