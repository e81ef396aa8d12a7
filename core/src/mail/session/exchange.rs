use core::time::Duration;

use super::dialogue::{self, Job, Kind};
use super::{Command, Event, Fate, Session, State};
use crate::client::MAX_FRAMES;
use crate::mail::Pieces;
use crate::mail::limits::{DATA_WAIT, MAX_CHALLENGE, MESSAGE_WAIT};
use crate::smtp::limits::{COMMAND_WAIT, MAX_LINE};
use crate::smtp::reply::{FIRST, Reply};
use crate::smtp::{Dialect, Smtp};
use crate::wire::{Framing, Writer};
use crate::{Channel, Error, Machine, Step, Untrusted};

/// A task of a [`Session`].
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Exchange<'s, 'm, C, D = Smtp> {
    pub(super) session: &'s mut Session<C, D>,
    pub(super) job: Job<'m>,
}

impl<C: Channel, D: Dialect> Exchange<'_, '_, C, D> {
    /// Fills `output` from the front of `message`, after [`Event::Body`]. Returns how many bytes to send.
    /// Pass the rest of `message` to the next call.
    ///
    /// # Errors
    /// Those of [`Stuffer::push`](crate::mail::Stuffer::push); [`Error::OutOfOrder`] if the server does not
    /// wait for a message. After [`Error::BareLineEnd`], [`Error::LineTooLong`] and [`Error::NulInMessage`]
    /// close the connection: then the server discards the mail.
    pub fn body(&mut self, message: &mut &[u8], output: &mut [u8]) -> Result<usize, Error> {
        self.session.in_order(matches!(self.session.state, State::Body))?;
        self.session.stuffer.push(message, output)
    }

    /// Takes the next piece of a message whose lines are known to be good, after [`Event::Body`], without a
    /// copy. Returns `None` after the last one; then call [`finish`](Self::finish).
    ///
    /// Send each piece whole, before anything else. If bytes were passed to [`body`](Self::body) before, they
    /// have to end with a whole line.
    ///
    /// # Errors
    /// Those of [`Stuffer::piece`](crate::mail::Stuffer::piece); [`Error::OutOfOrder`] if the server does not
    /// wait for a message. After [`Error::NulInMessage`] close the connection: then the server discards the
    /// mail.
    pub fn piece<'p>(&mut self, pieces: &mut Pieces<'p>) -> Result<Option<&'p [u8]>, Error> {
        self.session.in_order(matches!(self.session.state, State::Body))?;
        self.session.stuffer.piece(pieces)
    }

    /// Ends the message. The next steps report the server's decision.
    ///
    /// # Errors
    /// Those of [`Stuffer::end`](crate::mail::Stuffer::end) and [`body`](Self::body).
    pub fn finish(&mut self) -> Result<(), Error> {
        self.session
            .in_order(matches!(self.session.state, State::Body) || self.session.takes_chunks())?;
        self.session.stuffer.check_end()?;
        self.session.state = State::Ask(Command::Message);
        Ok(())
    }
}

impl<C: Channel, D: Dialect> Session<C, D> {
    /// Checks that the call is allowed in this state.
    pub(super) const fn in_order(&self, allowed: bool) -> Result<(), Error> {
        match self.state {
            State::Failed(error) => Err(error),
            _ if allowed => Ok(()),
            _ => Err(Error::OutOfOrder),
        }
    }

    /// Whether the server waits for the message, as [`Event::Body`] reported.
    pub(in crate::mail) fn awaits_body(&self) -> bool {
        matches!(self.state, State::Body)
    }

    /// Whether the last line was cut.
    pub(in crate::mail) fn is_cut(&self) -> bool {
        self.lines.is_cut()
    }

    /// Whether no reply is incomplete.
    pub(in crate::mail) const fn begins_wait(&self) -> bool {
        self.code == FIRST
    }

    /// How long to wait for the server.
    pub(in crate::mail) fn wait(&self) -> Option<Duration> {
        match (self.state, self.awaited) {
            (State::Failed(_), _) => None,
            _ if self.stale > 0 || self.lines.is_cut() => Some(COMMAND_WAIT),
            #[cfg(feature = "extensions")]
            (State::Await, Command::Chunk) if self.pending == 0 => None,
            _ if self.ends_later() => Some(COMMAND_WAIT),
            (State::Await, Command::Data) => Some(DATA_WAIT),
            (State::Await, Command::Message) => Some(MESSAGE_WAIT),
            (State::Await, _) => Some(COMMAND_WAIT),
            _ => None,
        }
    }

    fn step<'i>(
        &mut self,
        job: Job<'_>,
        input: &mut &'i [u8],
        output: &mut [u8],
    ) -> Result<Step<Event<'i>>, Error> {
        if let State::Failed(error) = self.state {
            return Err(error);
        }
        // The rest of a line may still break a rule, so nothing follows from its front before its end
        // (I11).
        if !self.lines.skip(input)? {
            return Ok(Step::Read);
        }
        let mut out = Writer::new(output);
        let mut hears = false;
        match self.state {
            // Without recipients the server gets an empty message (RFC 2920 §3.1).
            State::Ask(_) | State::NoRecipients if self.waits_in_vain => {
                out.put(b".\r\n");
                if out.fits() {
                    self.waits_in_vain = false;
                    self.stale = 1;
                }
            }
            State::Failed(error) => return Err(error),
            State::Body | State::Idle | State::Closed => return Err(Error::OutOfOrder),
            #[cfg(feature = "extensions")]
            State::Await if self.takes_chunks() && self.pending == 0 => {
                return Err(Error::OutOfOrder);
            }
            #[cfg(feature = "extensions")]
            State::Chunks => {
                self.state = State::Await;
                return Ok(Step::Event(Event::Chunks));
            }
            State::Await => hears = true,
            _ if self.stale > 0 => hears = true,
            State::Challenged => self.respond(job, input, &mut out)?,
            State::Ask(_) if self.ends_later() => hears = true,
            // A reply that arrives before its command answers nothing; an attacker may have injected it
            // (I6).
            State::Ask(_) if self.pending == 0 && !input.is_empty() => {
                return Err(Error::Unsolicited);
            }
            State::Ask(_) => self.ask(job, &mut out),
            State::Delivered if !D::IS_SMTP => {
                self.state = State::Idle;
                return Ok(Step::Event(Event::Delivered));
            }
            State::NoRecipients | State::Delivered => {
                self.state = State::Idle;
                return Ok(Step::Event(Event::NoRecipients));
            }
        }
        if hears {
            return self.receive(job, input);
        }
        out.finish().map(Step::Write)
    }

    /// Writes the response to the challenge at the front of the input.
    fn respond(
        &mut self,
        job: Job<'_>,
        input: &mut &[u8],
        out: &mut Writer<'_>,
    ) -> Result<(), Error> {
        let mut rest = *input;
        let line = self.lines.next_within(&mut rest, MAX_CHALLENGE, false)?;
        let (Some(line), Job::Authenticate(credentials)) = (line, job) else {
            return Err(Error::OutOfOrder);
        };
        self.put_response(line.get(4..).unwrap_or_default(), credentials, out)?;
        if !rest.is_empty() {
            return Err(Error::Unsolicited);
        }
        if out.fits() {
            *input = rest;
            self.round = self.round.wrapping_add(1);
            self.state = State::Await;
        }
        Ok(())
    }

    /// Reads one line of a reply. In small firmware a part of [`step`](Self::step) would be more code.
    #[cfg_attr(target_pointer_width = "64", inline)]
    #[cfg_attr(not(target_pointer_width = "64"), inline(never))]
    fn receive<'i>(
        &mut self,
        job: Job<'_>,
        input: &mut &'i [u8],
    ) -> Result<Step<Event<'i>>, Error> {
        let mut rest = *input;
        let is_challenge = self.awaited == Command::Auth
            && self.stale == 0
            && self.mechanism.responds(self.round)
            && matches!(input, [b'3', b'3', b'4', ..]);
        let max = if is_challenge { MAX_CHALLENGE } else { MAX_LINE };
        let line = self.lines.next_within(&mut rest, max, !is_challenge)?;
        let Some(line) = line else { return Ok(Step::Read) };
        let line = Untrusted::new(line).with_cut(self.lines.is_cut());
        let is_first = self.code == FIRST;
        let reply = match Reply::parse(line) {
            Ok(reply) => reply,
            Err(error) => {
                *input = rest;
                self.state = State::Failed(error);
                return Ok(Step::Event(Event::Unreadable(line)));
            }
        };
        let event = match reply.follow(&mut self.code) {
            Ok(()) => self.hear(job, reply, is_first),
            Err(error) => self.told(reply, error),
        };
        // A challenge stays in the input until its response is written.
        if !matches!(self.state, State::Challenged) {
            *input = rest;
        }
        Ok(Step::Event(event))
    }

    /// Returns the event and fails with the next step, since the event is what the error is about.
    pub(super) fn told<'i>(&mut self, reply: Reply<'i>, error: Error) -> Event<'i> {
        self.state = State::Failed(error);
        Event::Received(reply)
    }

    /// The event for one line of a reply.
    fn hear<'i>(&mut self, job: Job<'_>, reply: Reply<'i>, is_first: bool) -> Event<'i> {
        let command = (self.stale == 0).then_some(self.awaited);
        if command == Some(Command::Hello) && !is_first {
            self.extensions.read(reply.text().as_untrusted_bytes());
        }
        self.frames = if reply.is_last() { 0 } else { self.frames.wrapping_add(1) };
        match (command, reply.code()) {
            _ if self.frames >= MAX_FRAMES => self.told(reply, Error::ReplyTooLong),
            _ if !reply.is_last() => Event::Received(reply),
            (Some(Command::Auth), 334) if self.mechanism.responds(self.round) => {
                self.state = State::Challenged;
                Event::Received(reply)
            }
            (command, 421) if command != Some(Command::Quit) => {
                if D::IS_SMTP && command == Some(Command::Message) {
                    self.fate = Fate::NotAccepted;
                }
                self.told(reply, Error::Closing)
            }
            (Some(command), _) => self.answered(command, job, reply),
            (None, code) => {
                self.stale = self.stale.wrapping_sub(1);
                self.waits_in_vain = self.stale == 0 && code == 354;
                Event::Received(reply)
            }
        }
    }
}

impl<C: Channel, D: Dialect> Machine for Exchange<'_, '_, C, D> {
    type Event<'i> = Event<'i>;

    const MAX_INPUT: usize = MAX_LINE;
    const MAX_OUTPUT: usize = dialogue::MAX_OUTPUT;

    fn step<'i>(
        &mut self,
        input: &mut &'i [u8],
        output: &mut [u8],
    ) -> Result<Step<Event<'i>>, Error> {
        self.session
            .step(self.job, input, output)
            .map_err(|error| if error.is_ours() { error } else { self.session.fail(error) })
    }

    fn end_of_input(&mut self) -> Result<(), Error> {
        match self.session.state {
            // The server may close the connection without a reply to QUIT. The mail is not affected.
            State::Closed | State::Await if self.session.awaited == Command::Quit => {
                self.session.state = State::Closed;
                Ok(())
            }
            State::Failed(error) => Err(error),
            _ => Err(self.session.fail(Error::Closed)),
        }
    }

    fn timed_out(&mut self) -> Error {
        match self.session.state {
            State::Failed(error) => error,
            _ => self.session.fail(Error::TimedOut),
        }
    }

    fn wait(&self) -> Option<Duration> {
        self.session.wait()
    }

    /// If the end of a message was not sent, the server does not have the mail.
    fn never_sent(&mut self, n: usize) {
        let session = &mut *self.session;
        // Without its final dot a message after `DATA` has no end.
        let ends = session.job == Kind::Send && session.awaited == Command::Message;
        if ends && session.fate == Fate::Unknown && n >= b".\r\n".len() {
            session.fate = Fate::NotAccepted;
        }
    }

    fn is_secret(&self) -> bool {
        self.session.job == Kind::Authenticate
    }

    fn is_cut(&self) -> bool {
        self.session.is_cut()
    }

    fn begins_wait(&self) -> bool {
        self.session.begins_wait()
    }
}
