//! What each job says, and what the answers lead to.

use super::{Command, Event, Extensions, Fate, Session, State};
use crate::smtp::limits::{MAX_DOMAIN, MAX_ID, MAX_LINE, MAX_ORIGINAL, MAX_PATH};
use crate::smtp::reply::Reply;
use crate::smtp::{Address, Credentials, Dialect, Envelope};
use crate::wire::Writer;
use crate::{Channel, Error};

/// The longest of what a session says at once: a response to a challenge, or a recipient with all
/// that may be asked for it.
pub(super) const MAX_OUTPUT: usize = {
    let response = MAX_RESPONSE + b"\r\n".len();
    let hello = b"EHLO \r\n".len() + MAX_DOMAIN;
    let mail = b"MAIL FROM: SIZE= BODY=8BITMIME SMTPUTF8 REQUIRETLS RET=FULL ENVID=\r\n".len()
        + (MAX_PATH + 20 + MAX_ID);
    let recipient =
        b"RCPT TO: NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=\r\n".len() + (MAX_PATH + MAX_ORIGINAL);
    assert!(response > hello && response > mail && response > MAX_LINE);
    if cfg!(feature = "extensions") && recipient > response { recipient } else { response }
};

/// The longest response to a challenge, in base64.
const MAX_RESPONSE: usize = if cfg!(feature = "xoauth2") {
    (b"user=\x01auth=Bearer \x01\x01".len() + 255 + 4096).div_ceil(3) * 4
} else if cfg!(feature = "scram") {
    // Each octet of the name may take three.
    (b"p=tls-server-end-point,,n=,r=".len() + 3 * 255 + 24).div_ceil(3) * 4
} else {
    (2 + 255 + 255usize).div_ceil(3) * 4
};

/// How many commands may be unanswered. Whoever only writes while the server only writes, too, would
/// wait for ever once all buffers are full (RFC 2920 §3.1); the replies to so many fit anywhere.
const MAX_PENDING: u8 = 128;

/// What an [`Exchange`](super::Exchange) does, and with what.
#[derive(Clone, Copy, Debug)]
pub(super) enum Job<'m> {
    Hello,
    Authenticate(&'m Credentials<'m>),
    Send(&'m Envelope<'m>),
    #[cfg(feature = "extensions")]
    SendChunks(&'m Envelope<'m>),
    Reset,
    Quit,
}

/// What an [`Exchange`](super::Exchange) does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Hello,
    Authenticate,
    Send,
    #[cfg(feature = "extensions")]
    SendChunks,
    Reset,
    Quit,
}

impl<'m> Job<'m> {
    pub(super) const fn kind(self) -> Kind {
        match self {
            Self::Hello => Kind::Hello,
            Self::Authenticate(_) => Kind::Authenticate,
            Self::Send(_) => Kind::Send,
            #[cfg(feature = "extensions")]
            Self::SendChunks(_) => Kind::SendChunks,
            Self::Reset => Kind::Reset,
            Self::Quit => Kind::Quit,
        }
    }

    /// The envelope of the mail it sends.
    pub(super) const fn envelope(self) -> Option<&'m Envelope<'m>> {
        match self {
            Self::Send(envelope) => Some(envelope),
            #[cfg(feature = "extensions")]
            Self::SendChunks(envelope) => Some(envelope),
            _ => None,
        }
    }

    /// Whether the message goes in chunks.
    const fn is_in_chunks(self) -> bool {
        #[cfg(feature = "extensions")]
        return matches!(self, Self::SendChunks(_));
        #[cfg(not(feature = "extensions"))]
        false
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
                (Command::Recipient, _) => {
                    self.asked = self.asked.wrapping_add(1);
                    match self.following(job) {
                        Some(next) => next,
                        None => break,
                    }
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

    /// What is said behind the envelope so far, if anything.
    fn following(&self, job: Job<'_>) -> Option<Command> {
        match job.envelope() {
            Some(envelope) if usize::from(self.asked) < envelope.to().len() => {
                Some(Command::Recipient)
            }
            _ if job.is_in_chunks() => None,
            _ => Some(Command::Data),
        }
    }

    /// What the next reply answers, when `last` was said last.
    const fn unanswered(&self, last: Command) -> Command {
        match last {
            Command::Mail | Command::Recipient | Command::Data if !self.dirty => Command::Mail,
            Command::Data if self.answered < self.asked => Command::Recipient,
            #[cfg(feature = "extensions")]
            Command::Message if self.pending > 1 => Command::Chunk,
            _ => last,
        }
    }

    fn print(&mut self, command: Command, job: Job<'_>, out: &mut Writer<'_>) {
        #[cfg(feature = "extensions")]
        if let (Command::Message, Job::SendChunks(_)) = (command, job) {
            return self.put_last_chunk(out);
        }
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
            (_, Job::Authenticate(credentials)) => {
                self.round = self.mechanism.begin(credentials, out);
            }
            _ => {}
        }
        match (command, job.envelope()) {
            (Command::Mail, Some(envelope)) => {
                put_path(envelope.from(), out);
                envelope.put_parameters(self.extensions, out);
            }
            (Command::Recipient, Some(envelope)) => {
                put_path(envelope.to().get(usize::from(self.asked)).copied(), out);
                #[cfg(feature = "extensions")]
                envelope.put_recipient_parameters(self.asked, out);
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
        let expected = match command {
            Command::Greeting => 220,
            Command::Hello | Command::Helo => 250,
            Command::Auth => 235,
            Command::Data => 354,
            _ => 0,
        };
        let yes = match reply.code() {
            // Whatever the server says to QUIT, it was the last word.
            _ if command == Command::Quit => true,
            235 if command == Command::Auth => self.round == self.mechanism.rounds(),
            200..=299 if expected == 0 => true,
            code => code == expected,
        };
        if !yes && reply.code() < 400 {
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
            (Command::Hello, _) if reply.code() >= 500 && D::IS_SMTP && self.channel.is_plaintext() => {
                self.extensions = Extensions::default();
                (state, event) = (State::Ask(Command::Helo), Event::Received(reply));
            }
            (Command::Greeting | Command::Hello | Command::Helo, _) if !yes => {
                return Err(Error::Refused);
            }

            (Command::Reset, _) if yes => {
                self.dirty = false;
                if job.envelope().is_some() {
                    (state, event) = (State::Ask(Command::Mail), Event::Received(reply));
                }
            }
            (Command::Mail, _) if yes => {
                self.dirty = true;
                (state, event) = (self.turn(Command::Recipient), Event::Received(reply));
            }
            (Command::Recipient, _) => {
                event = Event::Recipient { index: self.answered, reply };
                self.answered = self.answered.wrapping_add(1);
                self.accepted = self.accepted.wrapping_add(u16::from(yes));
                state = if self.answered < self.asked {
                    State::Await(Command::Recipient)
                } else {
                    match self.following(job) {
                        Some(Command::Recipient) => self.turn(Command::Recipient),
                        _ if self.accepted == 0 => State::NoRecipients,
                        #[cfg(feature = "extensions")]
                        None => self.begin_chunks(),
                        _ => self.turn(Command::Data),
                    }
                };
            }
            (Command::Data, _) if yes => {
                self.stuffer.restart();
                self.fate = Fate::NotAccepted;
                (state, event) = (State::Body, Event::Body(reply));
            }
            #[cfg(feature = "extensions")]
            (Command::Chunk, _) if yes => {
                event = Event::Received(reply);
                state = match (self.fate, self.pending) {
                    (Fate::Unknown, 1) => State::Await(Command::Message),
                    (Fate::NotAccepted, 0) => State::Chunks,
                    _ => State::Await(Command::Chunk),
                };
            }
            #[cfg(feature = "extensions")]
            // Without this chunk the server has no whole message, whatever follows.
            (Command::Chunk, _) => self.fate = Fate::NotAccepted,
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

    /// The server waits for chunks.
    #[cfg(feature = "extensions")]
    const fn begin_chunks(&mut self) -> State {
        self.stuffer.restart();
        self.fate = Fate::NotAccepted;
        State::Chunks
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
