//! The commands of each task, and the consequences of the replies.

use super::{Command, Event, Extensions, Fate, Session, State};
use crate::mail::limits::{MAX_ID, MAX_ORIGINAL, MAX_PATH};
use crate::mail::{Address, Credentials, Envelope};
use crate::smtp::client::is_unknown_command;
use crate::smtp::reply::Reply;
use crate::smtp::{Dialect, Domain, MAX_DOMAIN, MAX_LINE};
use crate::wire::Writer;
use crate::{Channel, Error};

/// The longest output of one step: a response to a challenge, or a recipient with all its parameters.
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
    // The first response has the user name, each byte of which may take three, but it is shorter.
    MAX_SCRAM.div_ceil(3) * 4
} else {
    (2 + 255 + 255usize).div_ceil(3) * 4
};

#[cfg(feature = "scram")]
const MAX_SCRAM: usize = super::mechanism::scram::MAX_FINAL;
#[cfg(not(feature = "scram"))]
const MAX_SCRAM: usize = 0;

/// The maximum number of commands without a reply.
///
/// If both sides only write, they block each other once all buffers are full (RFC 2920 §3.1). The
/// replies to so many commands fit into any buffer.
const MAX_PENDING: u8 = 128;

/// A task with its argument.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) enum Job<'m> {
    Hello(Domain<'m>),
    Authenticate(&'m Credentials<'m>),
    Send(&'m Envelope<'m>),
    #[cfg(feature = "extensions")]
    SendChunks(&'m Envelope<'m>),
    Reset,
    Quit,
}

/// The kind of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
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
            Self::Hello(_) => Kind::Hello,
            Self::Authenticate(_) => Kind::Authenticate,
            Self::Send(_) => Kind::Send,
            #[cfg(feature = "extensions")]
            Self::SendChunks(_) => Kind::SendChunks,
            Self::Reset => Kind::Reset,
            Self::Quit => Kind::Quit,
        }
    }

    /// The name by which the client introduces itself.
    const fn domain(self) -> &'m str {
        match self {
            Self::Hello(domain) => domain.as_str(),
            _ => "",
        }
    }

    /// The envelope of the mail that the task sends.
    pub(super) const fn envelope(self) -> Option<&'m Envelope<'m>> {
        match self {
            Self::Send(envelope) => Some(envelope),
            #[cfg(feature = "extensions")]
            Self::SendChunks(envelope) => Some(envelope),
            _ => None,
        }
    }
}

impl<C: Channel, D: Dialect> Session<C, D> {
    /// Prints as many commands as may go together and fit.
    pub(super) fn ask(&mut self, job: Job<'_>, out: &mut Writer<'_>) {
        while let State::Ask(command) = self.state {
            let before = out.len();
            self.print(command, job, out);
            if !out.fits() {
                if before > 0 {
                    out.truncate(before);
                }
                return;
            }
            if self.pending == 0 {
                self.awaited = command;
            }
            self.pending = self.pending.wrapping_add(1);
            match command {
                Command::Message => self.fate = Fate::Unknown,
                Command::Recipient => self.asked = self.asked.wrapping_add(1),
                _ => {}
            }
            self.state = match (command, job.envelope()) {
                _ if !self.extensions.pipelining() || self.pending >= MAX_PENDING => State::Await,
                (Command::Mail, _) => State::Ask(Command::Recipient),
                (Command::Recipient, Some(envelope)) if envelope.has(self.asked) => {
                    State::Ask(Command::Recipient)
                }
                (Command::Recipient, _) if !self.is_in_chunks() => State::Ask(Command::Data),
                _ => State::Await,
            };
        }
    }

    /// Prints one command: its verb, its argument, and the rest.
    #[inline(never)]
    fn print(&mut self, command: Command, job: Job<'_>, out: &mut Writer<'_>) {
        let (verb, argument) = match (command, job.envelope()) {
            (Command::Hello, _) => (D::HELLO, job.domain()),
            (Command::Helo, _) => (&b"HELO "[..], job.domain()),
            (Command::Auth, _) => (&b"AUTH "[..], self.mechanism.name()),
            (Command::Mail, Some(envelope)) => (&b"MAIL FROM:<"[..], path(envelope.from())),
            (Command::Recipient, Some(envelope)) => {
                (&b"RCPT TO:<"[..], path(envelope.to().get(usize::from(self.asked)).copied()))
            }
            (Command::Data, _) => (&b"DATA"[..], ""),
            #[cfg(feature = "extensions")]
            (Command::Message, _) if self.is_in_chunks() => return self.put_last_chunk(out),
            (Command::Message, _) => (self.stuffer.last(), ""),
            (Command::Reset, _) => (&b"RSET"[..], ""),
            _ => (&b"QUIT"[..], ""),
        };
        out.put(verb);
        out.put(argument.as_bytes());
        if let Job::Authenticate(credentials) = job {
            self.round = self.mechanism.begin(credentials, out);
        }
        match (command, job.envelope()) {
            (Command::Message, _) => return,
            (Command::Mail, Some(envelope)) => {
                out.put(b">");
                envelope.put_parameters(self.extensions, out);
            }
            #[cfg(feature = "extensions")]
            (Command::Recipient, Some(envelope)) => {
                out.put(b">");
                envelope.put_recipient_parameters(self.asked, out);
            }
            (Command::Recipient, _) => out.put(b">"),
            _ => {}
        }
        out.put(b"\r\n");
    }

    /// The event for the last line of a reply, and the next state.
    pub(super) fn answered<'i>(
        &mut self,
        command: Command,
        job: Job<'_>,
        reply: Reply<'i>,
    ) -> Event<'i> {
        // The only code that means success, for commands that have one.
        let token = match command {
            Command::Greeting => 220,
            Command::Hello | Command::Helo => 250,
            Command::Auth => 235,
            Command::Data => 354,
            _ => 0,
        };
        let yes = match reply.code() {
            // After QUIT any reply ends the session.
            _ if command == Command::Quit => true,
            235 if command == Command::Auth && self.round != self.mechanism.rounds() => false,
            code if code == token => true,
            200..=299 => token == 0,
            _ => false,
        };
        if !yes && reply.code() < 400 {
            return self.told(reply, Error::UnexpectedReply);
        }
        self.pending = self.pending.saturating_sub(1);
        let mut event = if yes { Event::Done(reply) } else { Event::Rejected { command, reply } };
        let mut state = State::Idle;
        match command {
            Command::Quit => state = State::Closed,

            Command::Greeting if yes => {
                (state, event) = (State::Ask(Command::Hello), Event::Received(reply));
            }
            Command::Hello
                if is_unknown_command(reply.code())
                    && D::IS_SMTP
                    && self.channel.is_plaintext() =>
            {
                self.extensions = Extensions::default();
                (state, event) = (State::Ask(Command::Helo), Event::Received(reply));
            }
            Command::Greeting | Command::Hello | Command::Helo if !yes => {
                return self.told(reply, Error::Refused);
            }

            // The server does not accept a mechanism that it listed (RFC 4954 §4 and §6). It refused no
            // password, so the next listed mechanism is tried, unless the caller chose this one.
            Command::Auth if matches!(reply.code(), 504 | 534) => {
                self.extensions.withdraw(self.mechanism);
                if let Job::Authenticate(credentials) = job
                    && let Some(next) = credentials.mechanism(self.extensions)
                {
                    (self.mechanism, self.round) = (next, 0);
                    (state, event) = (State::Ask(Command::Auth), Event::Received(reply));
                }
            }

            Command::Reset if yes => {
                self.dirty = false;
                if job.envelope().is_some() {
                    (state, event) = (State::Ask(Command::Mail), Event::Received(reply));
                }
            }
            Command::Mail if yes => {
                self.dirty = true;
                (state, event) = (State::Ask(Command::Recipient), Event::Received(reply));
            }
            Command::Recipient => {
                event = Event::Recipient { index: self.answered, reply };
                self.answered = self.answered.wrapping_add(1);
                self.accepted = self.accepted.wrapping_add(u16::from(yes));
                state = match job.envelope() {
                    Some(envelope) if envelope.has(self.answered) => State::Ask(Command::Recipient),
                    _ if self.accepted == 0 => State::NoRecipients,
                    #[cfg(feature = "extensions")]
                    _ if self.is_in_chunks() => self.begin_chunks(),
                    _ => State::Ask(Command::Data),
                };
            }
            Command::Data if yes => {
                self.stuffer.restart();
                self.fate = Fate::NotAccepted;
                (state, event) = (State::Body, Event::Body(reply));
            }
            #[cfg(feature = "extensions")]
            Command::Chunk if yes => {
                event = Event::Received(reply);
                state = match (self.fate, self.pending) {
                    _ if self.state == State::Ask(Command::Message) => self.state,
                    (Fate::Unknown, 1) => State::Ask(Command::Message),
                    (Fate::NotAccepted, 0) => State::Chunks,
                    _ => State::Ask(Command::Chunk),
                };
            }
            #[cfg(feature = "extensions")]
            // Without this chunk the server never has a whole message.
            Command::Chunk => self.fate = Fate::NotAccepted,
            Command::Message => {
                let (index, taken) = (self.delivered, self.taken || yes);
                if !D::IS_SMTP {
                    (self.delivered, self.taken) = (index.wrapping_add(1), taken);
                    event = Event::Delivery { index, reply };
                    state = State::Delivered;
                }
                // Accepted or not, the transaction is over (RFC 5321 §4.1.1.4); for LMTP with the last
                // reply.
                if D::IS_SMTP || self.delivered >= self.accepted {
                    self.dirty = false;
                    self.fate = if taken { Fate::Accepted } else { Fate::NotAccepted };
                } else {
                    state = State::Await;
                }
            }
            _ => {}
        }
        match state {
            State::Ask(next) if self.pending > 0 => {
                // The command was already sent.
                self.awaited = next;
                state = State::Await;
            }
            State::Idle | State::NoRecipients => {
                // The replies to unneeded commands are still to come.
                (self.stale, self.pending) = (self.pending, 0);
            }
            _ => {}
        }
        self.state = state;
        event
    }

    /// The state in which the server waits for chunks.
    #[cfg(feature = "extensions")]
    const fn begin_chunks(&mut self) -> State {
        self.stuffer.restart();
        self.fate = Fate::NotAccepted;
        self.awaited = Command::Chunk;
        State::Chunks
    }

    /// Whether the message goes in chunks.
    fn is_in_chunks(&self) -> bool {
        #[cfg(feature = "extensions")]
        return self.job == Kind::SendChunks;
        #[cfg(not(feature = "extensions"))]
        false
    }

    /// Whether the last chunk has to wait for the previous one's reply: a server without PIPELINING gets
    /// one command at a time (RFC 2920 §3.1).
    pub(super) fn ends_later(&self) -> bool {
        #[cfg(feature = "extensions")]
        return self.state == State::Ask(Command::Message)
            && self.pending > 0
            && !self.extensions.pipelining();
        #[cfg(not(feature = "extensions"))]
        false
    }

    /// Whether the server waits for a chunk.
    pub(super) fn takes_chunks(&self) -> bool {
        #[cfg(feature = "extensions")]
        return self.state == State::Await
            && self.awaited == Command::Chunk
            && self.fate == Fate::NotAccepted;
        #[cfg(not(feature = "extensions"))]
        false
    }
}

fn path(address: Option<Address<'_>>) -> &str {
    address.map(|address| address.as_str()).unwrap_or_default()
}
