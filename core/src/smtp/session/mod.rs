//! The sending side of a mail connection, after the upgrade.

mod event;
mod extensions;
mod jobs;

use core::marker::PhantomData;
use core::time::Duration;

pub use event::{Command, Event};
pub use extensions::Extensions;
use jobs::Work;
pub use jobs::{Authenticate, Hello, Job, Mechanism, Quit, Reset, Send};

use super::limits::{COMMAND_WAIT, DATA_WAIT, MAX_LINE, MESSAGE_WAIT};
use super::reply::{FIRST, Reply};
use super::{Credentials, Dialect, Domain, Envelope, LineEnds, Smtp, Stuffer};
use crate::client::MAX_FRAMES;
use crate::wire::{Framing, Lines, Writer};
use crate::{Channel, Error, Machine, Step, Tls, Verification};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ask(Command),
    Await(Command),
    /// The server waits for the message.
    Body,
    /// A job is done and the next may begin.
    Idle,
    /// The job ended without a message; the caller is to be told.
    NoRecipients,
    /// The job ended with the last delivery; the caller is to be told.
    Delivered,
    Closed,
    Failed(Error),
}

/// A mail session over TLS, or knowingly over plaintext.
///
/// It lives as long as its connection and is driven by jobs: [`hello`](Self::hello) first, then
/// any of the others, and [`quit`](Self::quit). A job borrows the session and what it sends, and
/// can be taken up again by calling the same method with the same argument, so that an event loop
/// can keep the session and not the job. Behind the event that ends a job, the same call begins a
/// new one.
///
/// ```
/// # use starttls::{smtp, Error, Machine, Step, Tls};
/// # fn send(tls: Tls, envelope: &smtp::Envelope<'_>, input: &mut &[u8], output: &mut [u8]) -> Result<(), Error> {
/// let mut session = smtp::Session::<Tls>::new(tls, smtp::Domain::LOCALHOST);
/// let mut hello = session.hello()?;
/// while !matches!(hello.step(input, output)?, Step::Event(smtp::session::Event::Done(_))) {
///     // send, or receive more
/// }
/// let mut mail = session.send(envelope)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Session<'a, C, D = Smtp> {
    domain: Domain<'a>,
    channel: C,
    dialect: PhantomData<D>,
    lines: Lines<MAX_LINE>,
    code: [u8; 3],
    frames: u8,
    state: State,
    extensions: Extensions,
    stuffer: Stuffer,
    /// A transaction is open on the server that RSET has to end.
    dirty: bool,
    /// Recipients asked for, answered with yes, and (LMTP) delivered.
    asked: u16,
    accepted: u16,
    delivered: u16,
}

impl<'a, C: Channel, D: Dialect> Session<'a, C, D> {
    /// A session that knows nothing but its configuration and introduces itself as `domain`.
    #[must_use]
    pub fn new(channel: C, domain: Domain<'a>) -> Self {
        let state = if channel.greets() {
            State::Await(Command::Greeting)
        } else {
            State::Ask(Command::Hello)
        };
        Self {
            domain,
            channel,
            dialect: PhantomData,
            lines: Lines::default(),
            code: FIRST,
            frames: 0,
            state,
            extensions: Extensions::default(),
            stuffer: Stuffer::new(LineEnds::Strict),
            dirty: false,
            asked: 0,
            accepted: 0,
            delivered: 0,
        }
    }

    /// What the server can do; nothing before [`hello`](Self::hello) is done.
    #[must_use]
    pub const fn extensions(&self) -> Extensions {
        self.extensions
    }

    /// What the session runs over.
    #[must_use]
    pub const fn channel(&self) -> &C {
        &self.channel
    }

    /// What to do with lone CR or LF in the messages of this session, from here on.
    pub const fn set_line_ends(&mut self, line_ends: LineEnds) {
        self.stuffer.set_line_ends(line_ends);
    }

    /// Introduces the client and learns what the server can do.
    ///
    /// # Errors
    /// [`Error::OutOfOrder`] if another job is under way or this one was done.
    pub fn hello(&mut self) -> Result<Exchange<'_, 'a, Hello, C, D>, Error> {
        self.job(Hello)
    }

    /// Sends one mail. After [`Event::Body`] the message follows through the job.
    ///
    /// # Errors
    /// [`Error::OutOfOrder`] if another job is under way or there was no [`hello`](Self::hello).
    /// [`Error::MessageTooLarge`] or [`Error::Unsupported`] if the server said that it does not take
    /// such a mail; nothing is sent then, and the session is as it was.
    pub fn send<'m>(
        &mut self,
        envelope: &'m Envelope<'m>,
    ) -> Result<Exchange<'_, 'a, Send<'m>, C, D>, Error> {
        if self.state == State::Idle {
            envelope.check(self.extensions)?;
        }
        self.job(Send(envelope))
    }

    /// Drops a mail that was begun and not finished, or asks whether the server is still there.
    ///
    /// # Errors
    /// [`Error::OutOfOrder`] if another job is under way.
    pub fn reset(&mut self) -> Result<Exchange<'_, 'a, Reset, C, D>, Error> {
        self.job(Reset)
    }

    /// Says goodbye.
    ///
    /// # Errors
    /// [`Error::OutOfOrder`] if another job is under way.
    pub fn quit(&mut self) -> Result<Exchange<'_, 'a, Quit, C, D>, Error> {
        self.job(Quit)
    }

    fn job<J: Job>(&mut self, job: J) -> Result<Exchange<'_, 'a, J, C, D>, Error> {
        match self.state {
            State::Idle => {
                if let Some(command) = job.work().first(self.dirty) {
                    (self.asked, self.accepted, self.delivered) = (0, 0, 0);
                    self.state = State::Ask(command);
                } else {
                    return Err(Error::OutOfOrder);
                }
            }
            State::Ask(command) | State::Await(command) if job.work().owns(command) => {}
            State::Body | State::NoRecipients | State::Delivered
                if job.work().owns(Command::Message) => {}
            State::Failed(error) => return Err(error),
            _ => return Err(Error::OutOfOrder),
        }
        Ok(Exchange { session: self, job })
    }

    fn fail(&mut self, error: Error) -> Error {
        self.state = State::Failed(error);
        error
    }
}

impl<'a, D: Dialect> Session<'a, Tls, D> {
    /// Proves who the client is, by the strongest mechanism that the server offers.
    ///
    /// It exists on sessions over TLS only:
    ///
    /// ```compile_fail,E0599
    /// # use starttls::{smtp, Plaintext};
    /// fn leak(mut session: smtp::Session<'_, Plaintext>, credentials: &smtp::Credentials<'_>) {
    ///     session.authenticate(credentials);
    /// }
    /// ```
    ///
    /// # Errors
    /// [`Error::Unverified`] if nobody vouches for the server, [`Error::Unsupported`] if it offers
    /// no mechanism of ours, [`Error::OutOfOrder`] if another job is under way. Nothing is sent then,
    /// and the session is as it was.
    pub fn authenticate<'c>(
        &mut self,
        credentials: &'c Credentials<'c>,
    ) -> Result<Exchange<'_, 'a, Authenticate<'c>, Tls, D>, Error> {
        if self.channel.verification() != Verification::Verified {
            return Err(Error::Unverified);
        }
        let mechanism = Mechanism::strongest(self.extensions).ok_or(match self.state {
            State::Failed(error) => error,
            State::Idle => Error::Unsupported,
            _ => Error::OutOfOrder,
        })?;
        self.job(Authenticate { mechanism, credentials })
    }
}

/// A job of a session that is under way.
#[derive(Debug)]
pub struct Exchange<'s, 'a, J, C, D = Smtp> {
    session: &'s mut Session<'a, C, D>,
    job: J,
}

impl<C: Channel, D: Dialect> Exchange<'_, '_, Send<'_>, C, D> {
    /// Fills `output` from the front of `message` and says how many octets to send, after
    /// [`Event::Body`]. What is left of `message` comes with the next call.
    ///
    /// # Errors
    /// Those of [`Stuffer::push`]; [`Error::OutOfOrder`] if the server does not wait for a message.
    /// After [`Error::BareLineEnd`] the connection is good for nothing more: close it, and the
    /// server drops the mail.
    pub fn body(&mut self, message: &mut &[u8], output: &mut [u8]) -> Result<usize, Error> {
        match self.session.state {
            State::Body => self.session.stuffer.push(message, output),
            State::Failed(error) => Err(error),
            _ => Err(Error::OutOfOrder),
        }
    }

    /// Ends the message; what became of it comes with the next steps.
    ///
    /// # Errors
    /// Those of [`Stuffer::end`] and [`body`](Self::body).
    pub fn finish(&mut self) -> Result<(), Error> {
        match self.session.state {
            State::Body => {
                self.session.stuffer.end()?;
                self.session.state = State::Ask(Command::Message);
                Ok(())
            }
            State::Failed(error) => Err(error),
            _ => Err(Error::OutOfOrder),
        }
    }
}

impl<C: Channel, D: Dialect> Session<'_, C, D> {
    fn step<'i>(
        &mut self,
        work: Work<'_>,
        input: &mut &'i [u8],
        output: &mut [u8],
    ) -> Result<Step<Event<'i>>, Error> {
        match self.state {
            State::Await(command) => match self.lines.next(input) {
                Ok(Some(line)) => self.receive(command, work, line).map(Step::Event),
                Ok(None) => Ok(Step::Read),
                Err(error) => Err(error),
            }
            .map_err(|error| self.fail(error)),
            State::Ask(_) if !input.is_empty() => Err(self.fail(Error::Unsolicited)),
            State::Ask(command) => {
                let mut out = Writer::new(output);
                self.print(command, work, &mut out);
                let written = out.finish()?;
                self.state = State::Await(command);
                Ok(Step::Write(written))
            }
            State::NoRecipients => {
                self.state = State::Idle;
                Ok(Step::Event(Event::NoRecipients))
            }
            State::Delivered => {
                self.state = State::Idle;
                Ok(Step::Event(Event::Delivered))
            }
            State::Body | State::Idle | State::Closed => Err(Error::OutOfOrder),
            State::Failed(error) => Err(error),
        }
    }

    fn receive<'i>(
        &mut self,
        command: Command,
        work: Work<'_>,
        line: &'i [u8],
    ) -> Result<Event<'i>, Error> {
        let first = self.code == FIRST;
        let reply = Reply::follow(line, &mut self.code)?;
        if command == Command::Hello && !first {
            self.extensions.read(reply.text().0);
        }
        if !reply.is_last() {
            self.frames = self.frames.wrapping_add(1);
            if self.frames >= MAX_FRAMES {
                return Err(Error::ReplyTooLong);
            }
            return Ok(Event::Received(reply));
        }
        self.frames = 0;
        if reply.digits() == b"421" && command != Command::Quit {
            return Err(Error::Closing);
        }
        self.answered(command, work, reply)
    }
}

impl<C: Channel, D: Dialect, J: Job> Machine for Exchange<'_, '_, J, C, D> {
    type Event<'i> = Event<'i>;

    const MAX_INPUT: usize = MAX_LINE;
    const MAX_OUTPUT: usize = jobs::MAX_OUTPUT;

    fn step<'i>(
        &mut self,
        input: &mut &'i [u8],
        output: &mut [u8],
    ) -> Result<Step<Event<'i>>, Error> {
        self.session.step(self.job.work(), input, output)
    }

    fn end_of_input(&mut self) -> Result<(), Error> {
        match self.session.state {
            // The server may close without an answer to QUIT; the mail is safe.
            State::Closed | State::Await(Command::Quit) => {
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
        match self.session.state {
            State::Await(Command::Data) => Some(DATA_WAIT),
            State::Await(Command::Message) => Some(MESSAGE_WAIT),
            State::Await(_) => Some(COMMAND_WAIT),
            _ => None,
        }
    }
}
