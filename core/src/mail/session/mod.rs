//! The sending side of a mail connection, after the upgrade.

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
use crate::wire::{Lines, Writer};
use crate::{Channel, Error, Tls};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum State {
    /// Our turn, from this command on.
    Ask(Command),
    /// The server's turn.
    Await,
    /// The server wants a response to the challenge in front of the input.
    Challenged,
    /// The server waits for the message.
    Body,
    /// The server waits for chunks; the caller is to be told.
    #[cfg(feature = "extensions")]
    Chunks,
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
/// any of the others as often as needed, and [`quit`](Self::quit). A job borrows the session and
/// what it sends, and can be taken up again by calling the same method with the same argument, so
/// that an event loop can keep the session and not the job. Behind the event that ends a job
/// ([`Event::is_last`]), the same call begins a new one.
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
/// With a server that offers `PIPELINING` (RFC 2920) the envelope and `DATA` are said at once: a mail
/// takes two round trips.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
// What is used most comes first: Thumb reaches a struct's first 32 octets by short instructions.
#[repr(C)]
pub struct Session<C, D = Smtp> {
    state: State,
    /// The job under way, or the last one.
    job: Kind,
    /// The command that the next reply answers.
    awaited: Command,
    /// Commands of this job that are not answered.
    pending: u8,
    /// Commands of a job that is over that are not answered.
    stale: u8,
    /// The server waits for a message that will not come.
    waits_in_vain: bool,
    frames: u8,
    fate: Fate,
    /// A transaction is open on the server that RSET has to end.
    dirty: bool,
    /// LMTP: the message was delivered to somebody.
    taken: bool,
    /// The mechanism of AUTH, once it is chosen.
    mechanism: Mechanism,
    /// Responses of the client in AUTH so far.
    round: u8,
    channel: C,
    lines: Lines<MAX_LINE>,
    code: u16,
    stuffer: Stuffer,
    /// Recipients asked for, answered, answered with yes, and (LMTP) told of the delivery.
    asked: u16,
    answered: u16,
    accepted: u16,
    delivered: u16,
    extensions: Extensions,
    dialect: PhantomData<D>,
    /// SCRAM: what the server has to say at last.
    #[cfg(feature = "scram")]
    expected: mechanism::scram::Expected,
}

impl<C: Channel, D: Dialect> Session<C, D> {
    /// A session that knows nothing of the server.
    #[must_use]
    pub fn new(channel: C) -> Self {
        let state = if channel.greets() { State::Await } else { State::Ask(Command::Hello) };
        Self {
            channel,
            dialect: PhantomData,
            lines: Lines::default(),
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

    /// What became of the mail that was sent last, whatever happened to the connection since.
    #[must_use]
    pub const fn fate(&self) -> Fate {
        self.fate
    }

    /// What to do with lone CR or LF in the messages of this session, from here on.
    pub const fn set_line_ends(&mut self, line_ends: LineEnds) {
        self.stuffer.set_line_ends(line_ends);
    }

    /// Introduces the client as `domain`, and learns what the server can do.
    ///
    /// # Errors
    /// [`Error::OutOfOrder`] if another job is under way or this one was done.
    pub fn hello<'m>(&mut self, domain: Domain<'m>) -> Result<Exchange<'_, 'm, C, D>, Error> {
        self.job(Job::Hello(domain))
    }

    /// Sends one mail. After [`Event::Body`] the message follows through the job.
    ///
    /// # Errors
    /// [`Error::OutOfOrder`] if another job is under way or there was no [`hello`](Self::hello).
    /// [`Error::MessageTooLarge`] or [`Error::Unsupported`] if the server said that it does not take
    /// such a mail, [`Error::Unverified`] if it may not be told of it; nothing is sent then, and the
    /// session is as it was.
    pub fn send<'m>(
        &mut self,
        envelope: &'m Envelope<'m>,
    ) -> Result<Exchange<'_, 'm, C, D>, Error> {
        self.job(Job::Send(envelope))
    }

    /// Sends one mail like [`send`](Self::send), the message in chunks (RFC 3030), by `BDAT` instead
    /// of `DATA`: after [`Event::Chunks`] it follows through [`Exchange::chunk`].
    ///
    /// # Errors
    /// Those of [`send`](Self::send), and [`Error::Unsupported`] if the server does not offer
    /// `CHUNKING`.
    #[cfg(feature = "extensions")]
    pub fn send_chunks<'m>(
        &mut self,
        envelope: &'m Envelope<'m>,
    ) -> Result<Exchange<'_, 'm, C, D>, Error> {
        self.job(Job::SendChunks(envelope))
    }

    /// Drops a mail that was begun and not finished, or asks whether the server is still there.
    ///
    /// # Errors
    /// [`Error::OutOfOrder`] if another job is under way.
    pub fn reset(&mut self) -> Result<Exchange<'_, '_, C, D>, Error> {
        self.job(Job::Reset)
    }

    /// Says goodbye.
    ///
    /// # Errors
    /// [`Error::OutOfOrder`] if another job is under way.
    pub fn quit(&mut self) -> Result<Exchange<'_, '_, C, D>, Error> {
        self.job(Job::Quit)
    }

    /// [`authenticate`](Session::authenticate), where only the value of the channel says that it is TLS.
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
            // A session begins with it, and it is not said twice.
            Job::Hello(_) => return Err(Error::OutOfOrder),
            Job::Authenticate(credentials) => {
                let mechanism = credentials.mechanism(self.extensions);
                self.mechanism = mechanism.ok_or(Error::Unsupported)?;
                Command::Auth
            }
            #[cfg(feature = "extensions")]
            Job::SendChunks(_) if !self.extensions.chunking() => return Err(Error::Unsupported),
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
    /// Proves who the client is, by the strongest mechanism that the server offers, or the one that
    /// the credentials name.
    ///
    /// It exists on sessions over TLS only:
    ///
    /// ```compile_fail,E0599
    /// # use starttls::{smtp, Plaintext};
    /// fn leak(mut session: mail::Session<Plaintext>, credentials: &mail::Credentials<'_>) {
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
    ) -> Result<Exchange<'_, 'c, Tls, D>, Error> {
        self.log_in(credentials)
    }
}

/// Prints a goodbye to a server that does not take what it was asked before.
pub(super) fn goodbye(output: &mut [u8]) -> Result<usize, Error> {
    let mut out = Writer::new(output);
    out.put(b"QUIT\r\n");
    out.finish()
}
