//! The client side of a mail connection, inside the channel.
//!
//! ```text
//! hello ── authenticate ── send ── send … ── quit
//! ```
//!
//! Each method of [`Session`] starts a task, an [`Exchange`]. Drive it to its last event
//! ([`Event::is_last`]) before you start the next one.

#[cfg(feature = "extensions")]
mod chunks;
mod dialogue;
mod event;
mod exchange;
mod extensions;
mod mechanism;

use core::marker::PhantomData;

use dialogue::{Job, Kind};
pub use event::{Command, Event, Fate};
pub use exchange::Exchange;
pub use extensions::Extensions;
#[cfg(feature = "extensions")]
pub(super) use extensions::{DSN, REQUIRE_TLS};
pub(super) use extensions::{EIGHT_BIT_MIME, SMTP_UTF8};
pub use mechanism::Mechanism;

use super::{Credentials, Envelope, LineEnds, Stuffer};
use crate::smtp::reply::FIRST;
use crate::smtp::{Dialect, Domain, MAX_LINE, Smtp};
use crate::wire::{ReplyLines, Writer};
use crate::{Channel, Error, Tls};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum State {
    /// The client's turn, starting with this command.
    Ask(Command),
    /// The server's turn.
    Await,
    /// The challenge at the front of the input needs a response.
    Challenged,
    /// The server waits for the message.
    Body,
    /// The server waits for chunks. The event is due.
    #[cfg(feature = "extensions")]
    Chunks,
    /// No task is active.
    Idle,
    /// The task ended without a message. The event is due.
    NoRecipients,
    /// The task ended with the last delivery. The event is due.
    Delivered,
    Closed,
    Failed(Error),
}

/// A mail session over TLS or, by an explicit choice, over plaintext.
///
/// It lives as long as its connection and runs tasks: [`hello`](Self::hello) first, then any others as
/// often as needed, and [`quit`](Self::quit).
///
/// A task borrows the session and what it sends. Calling the same method with the same argument again
/// resumes the task, so an event loop may store the session without the task. After the task's last event
/// ([`Event::is_last`]), the same call starts a new one.
///
/// ```
/// # use starttls::{mail, smtp, Error, Machine, Step, Tls};
/// # fn send(tls: Tls, envelope: &mail::Envelope<'_>, input: &mut &[u8], output: &mut [u8]) -> Result<(), Error> {
/// let mut session = mail::Session::<Tls>::new(tls);
/// let mut hello = session.hello(smtp::Domain::LOCALHOST)?;
/// while !matches!(hello.step(input, output)?, Step::Event(mail::session::Event::Done(_))) {
///     // send, or receive more
/// }
/// let mut mail = session.send(envelope)?;
/// # Ok(())
/// # }
/// ```
///
/// With a server that offers `PIPELINING` (RFC 2920), the envelope and `DATA` leave together, and a mail
/// takes two round trips.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
// The hottest fields come first: Thumb reaches a struct's first 32 bytes with short instructions.
#[repr(C)]
pub struct Session<C, D = Smtp> {
    state: State,
    /// The current task, or the last one.
    job: Kind,
    /// The command that the next reply answers.
    awaited: Command,
    /// The number of this task's commands without a reply.
    pending: u8,
    /// The number of an ended task's commands without a reply.
    stale: u8,
    /// Whether the server waits for a message that will not come.
    waits_in_vain: bool,
    frames: u8,
    fate: Fate,
    /// Whether the server has an open transaction that needs RSET.
    dirty: bool,
    /// LMTP: whether the message was delivered to any recipient.
    taken: bool,
    /// The mechanism of AUTH, once it is chosen.
    mechanism: Mechanism,
    /// The number of the client's responses in AUTH so far.
    round: u8,
    channel: C,
    lines: ReplyLines<MAX_LINE>,
    code: u16,
    stuffer: Stuffer,
    /// Recipients that were sent, that got a reply, that were accepted, and (LMTP) whose delivery is
    /// reported.
    asked: u16,
    answered: u16,
    accepted: u16,
    delivered: u16,
    extensions: Extensions,
    dialect: PhantomData<D>,
    /// SCRAM: the server's signature that has to follow.
    #[cfg(feature = "scram")]
    expected: mechanism::scram::Expected,
}

impl<C: Channel, D: Dialect> Session<C, D> {
    /// A session at the start of its channel, without knowledge of the server.
    #[must_use]
    pub fn new(channel: C) -> Self {
        let state = if channel.greets() { State::Await } else { State::Ask(Command::Hello) };
        Self {
            channel,
            dialect: PhantomData,
            lines: ReplyLines::default(),
            code: FIRST,
            frames: 0,
            state,
            job: Kind::Hello,
            awaited: Command::Greeting,
            extensions: Extensions::default(),
            stuffer: Stuffer::new(LineEnds::Strict),
            fate: Fate::NotSent,
            dirty: false,
            mechanism: Mechanism::Plain,
            round: 0,
            #[cfg(feature = "scram")]
            expected: mechanism::scram::Expected::default(),
            pending: 0,
            stale: 0,
            waits_in_vain: false,
            taken: false,
            asked: 0,
            answered: 0,
            accepted: 0,
            delivered: 0,
        }
    }

    /// The server's extensions; empty before [`hello`](Self::hello) is done.
    #[must_use]
    pub const fn extensions(&self) -> Extensions {
        self.extensions
    }

    /// The channel under the session.
    #[must_use]
    pub const fn channel(&self) -> &C {
        &self.channel
    }

    /// The fate of the last mail, whatever happened to the connection since.
    #[must_use]
    pub const fn fate(&self) -> Fate {
        self.fate
    }

    /// Sets the treatment of a bare CR or LF in messages, from now on.
    pub const fn set_line_ends(&mut self, line_ends: LineEnds) {
        self.stuffer.set_line_ends(line_ends);
    }

    /// Introduces the client as `domain` and reads the server's extensions.
    ///
    /// # Errors
    /// [`Error::OutOfOrder`] if another task is active or this one was done.
    pub fn hello<'m>(&mut self, domain: Domain<'m>) -> Result<Exchange<'_, 'm, C, D>, Error> {
        self.job(Job::Hello(domain))
    }

    /// Sends one mail. After [`Event::Body`] pass the message to the task.
    ///
    /// # Errors
    /// [`Error::OutOfOrder`] if another task is active or [`hello`](Self::hello) was not done.
    ///
    /// [`Error::MessageTooLarge`] or an error that [is unsupported](Error::is_unsupported) if the server
    /// cannot take the mail; [`Error::Unverified`] if it must not get the envelope. Then nothing is sent,
    /// and the session is unchanged.
    pub fn send<'m>(
        &mut self,
        envelope: &'m Envelope<'m>,
    ) -> Result<Exchange<'_, 'm, C, D>, Error> {
        self.job(Job::Send(envelope))
    }

    /// Sends one mail like [`send`](Self::send), but in chunks (RFC 3030), by `BDAT` instead of `DATA`.
    /// After [`Event::Chunks`] pass the message to [`Exchange::chunk`].
    ///
    /// # Errors
    /// Those of [`send`](Self::send), and [`Error::NoChunking`] if the server does not offer `CHUNKING`.
    #[cfg(feature = "extensions")]
    pub fn send_chunks<'m>(
        &mut self,
        envelope: &'m Envelope<'m>,
    ) -> Result<Exchange<'_, 'm, C, D>, Error> {
        self.job(Job::SendChunks(envelope))
    }

    /// Drops an unfinished mail, or checks that the server is still there.
    ///
    /// # Errors
    /// [`Error::OutOfOrder`] if another task is active.
    pub fn reset(&mut self) -> Result<Exchange<'_, '_, C, D>, Error> {
        self.job(Job::Reset)
    }

    /// Says goodbye.
    ///
    /// # Errors
    /// [`Error::OutOfOrder`] if another task is active.
    pub fn quit(&mut self) -> Result<Exchange<'_, '_, C, D>, Error> {
        self.job(Job::Quit)
    }

    /// The current task, which has no mail: the reset or the goodbye.
    pub(super) fn without_mail(&mut self) -> Result<Exchange<'_, '_, C, D>, Error> {
        self.job(if self.job == Kind::Reset { Job::Reset } else { Job::Quit })
    }

    /// Whether the goodbye is done.
    pub(super) const fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// Like [`authenticate`](Session::authenticate), for a channel that is known to be TLS only at run
    /// time.
    pub(super) fn log_in<'c>(
        &mut self,
        credentials: &'c Credentials<'c>,
    ) -> Result<Exchange<'_, 'c, C, D>, Error> {
        if !self.channel.is_verified() {
            return Err(Error::Unverified);
        }
        self.job(Job::Authenticate(credentials))
    }

    fn job<'m>(&mut self, job: Job<'m>) -> Result<Exchange<'_, 'm, C, D>, Error> {
        match self.state {
            State::Idle => self.begin(job)?,
            State::Failed(error) => return Err(error),
            State::Closed => return Err(Error::OutOfOrder),
            _ if self.job != job.kind() => return Err(Error::OutOfOrder),
            _ => {}
        }
        Ok(Exchange { session: self, job })
    }

    fn begin(&mut self, job: Job<'_>) -> Result<(), Error> {
        let command = match job {
            // A session starts with its hello and has only one.
            Job::Hello(_) => return Err(Error::OutOfOrder),
            Job::Authenticate(credentials) => {
                let mechanism = credentials.mechanism(self.extensions);
                let missing =
                    if self.extensions.auth() { Error::NoMechanism } else { Error::NoAuth };
                self.mechanism = mechanism.ok_or(missing)?;
                Command::Auth
            }
            #[cfg(feature = "extensions")]
            Job::SendChunks(_) if !self.extensions.chunking() => {
                return Err(Error::NoChunking);
            }
            Job::Reset => Command::Reset,
            Job::Quit => Command::Quit,
            _ if self.dirty => Command::Reset,
            _ => Command::Mail,
        };
        if let Some(envelope) = job.envelope() {
            #[cfg(feature = "extensions")]
            if envelope.requires_tls() && !self.channel.is_verified() {
                return Err(Error::Unverified);
            }
            envelope.check(self.extensions)?;
            self.fate = Fate::NotSent;
            self.taken = false;
            (self.asked, self.answered, self.accepted, self.delivered) = (0, 0, 0, 0);
        }
        self.job = job.kind();
        self.state = State::Ask(command);
        Ok(())
    }

    fn fail(&mut self, error: Error) -> Error {
        self.state = State::Failed(error);
        error
    }
}

impl<D: Dialect> Session<Tls, D> {
    /// Authenticates the client, by the strongest mechanism that the server offers, or the one that the
    /// credentials name.
    ///
    /// Only a session over TLS has this method:
    ///
    /// ```compile_fail,E0599
    /// # use starttls::{smtp, Plaintext};
    /// fn leak(mut session: mail::Session<Plaintext>, credentials: &mail::Credentials<'_>) {
    ///     session.authenticate(credentials);
    /// }
    /// ```
    ///
    /// # Errors
    /// [`Error::Unverified`] if the server is not verified; [`Error::NoAuth`] or [`Error::NoMechanism`] if
    /// it offers no mechanism that fits; [`Error::OutOfOrder`] if another task is active. Then nothing is
    /// sent, and the session is unchanged.
    pub fn authenticate<'c>(
        &mut self,
        credentials: &'c Credentials<'c>,
    ) -> Result<Exchange<'_, 'c, Tls, D>, Error> {
        self.log_in(credentials)
    }
}

/// Prints a goodbye to a server that refused the last command.
pub(super) fn goodbye(output: &mut [u8]) -> Result<usize, Error> {
    let mut out = Writer::new(output);
    out.put(b"QUIT\r\n");
    out.finish()
}
