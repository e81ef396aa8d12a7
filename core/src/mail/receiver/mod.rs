//! The receiving side of a mail connection, after the upgrade.
//!
//! ```
//! use starttls::mail::{Receiver, receiver};
//! use starttls::smtp::Domain;
//! use starttls::{Error, Machine, Step, Tls};
//!
//! let config = receiver::Config::default()
//!     .with_authentication(receiver::Authentication::Required)
//!     .with_limits(receiver::Limits::default().with_size(Some(10_000)));
//! let domain = Domain::new("mx.example.org").expect("a constant");
//! let mut receiver = Receiver::<Tls>::new(Tls::implicit_server(), domain, config);
//!
//! let mut input = &b"EHLO a\r\nAUTH PLAIN AHRpbQBzZWNyZXQ=\r\nMAIL FROM:<a@b.example>\r\n"[..];
//! let mut output = [0; 512];
//! loop {
//!     match receiver.step(&mut input, &mut output)? {
//!         Step::Read => break,
//!         Step::Write(n) => print!("{}", String::from_utf8_lossy(&output[..n])),
//!         Step::Event(receiver::Event::Login(login)) => {
//!             let mut buffer = [0; receiver::Login::MAX];
//!             match login.decode(&mut buffer) {
//!                 Ok(claim) if (claim.user, claim.password) == (Some("tim"), "secret") => {
//!                     receiver.accept()?
//!                 }
//!                 _ => {
//!                     let n = receiver.answer(receiver::Answer::BAD_CREDENTIALS, &mut output)?;
//!                     print!("{}", String::from_utf8_lossy(&output[..n]));
//!                 }
//!             }
//!         }
//!         Step::Event(receiver::Event::Mail(mail)) => {
//!             assert_eq!(mail.path.as_str(), "a@b.example");
//!             receiver.accept()?;
//!         }
//!         Step::Event(_) => {}
//!     }
//! }
//! assert!(receiver.is_authenticated());
//! # Ok::<(), Error>(())
//! ```

mod command;
mod config;
mod event;
mod login;
mod message;
mod parameters;
mod reply;
mod state;

use core::marker::PhantomData;
use core::time::Duration;

pub use config::{Authentication, Config, Limits};
pub use event::{Answer, Event, Mail, Path, Recipient};
pub use login::{Claim, Login, UserName};

use super::limits::{BODY_WAIT, MAX_COMMAND};
use crate::server::Answer as Engine;
use crate::smtp::limits::{COMMAND_WAIT, MAX_LINE};
use crate::smtp::{Dialect, Domain, Smtp};
use crate::wire::{Lines, Writer};
use crate::{Channel, Error, Machine, Step};
use reply::Reply;
use state::{Chunk, Question, State, Then, Transaction, Whole};

/// Takes mail over TLS, or knowingly over plaintext.
///
/// It answers everything but what only an application can judge: those events say so, and wait for
/// [`accept`](Self::accept) or [`answer`](Self::answer). A client that pipelines needs nothing
/// special.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Receiver<'a, C, D = Smtp> {
    domain: Domain<'a>,
    channel: C,
    dialect: PhantomData<D>,
    /// What is offered; mistakes and commands are counted down in it.
    config: Config,
    lines: Lines<MAX_COMMAND>,
    state: State,
    /// The client said who it is.
    greeted: bool,
    /// The client proved who it is.
    authenticated: bool,
    mail: Transaction,
}

impl<'a, C: Channel, D: Dialect> Receiver<'a, C, D> {
    /// A receiver that knows nothing of the client and introduces itself as `domain`; [`Limits`]
    /// alone will do for a `config`.
    #[must_use]
    pub fn new(channel: C, domain: Domain<'a>, config: impl Into<Config>) -> Self {
        Self {
            domain,
            state: if channel.greets() {
                State::Say(Reply::Greeting, Then::Await)
            } else {
                State::Await
            },
            // The plaintext machine lets nobody do business who did not introduce himself.
            greeted: channel.is_plaintext(),
            channel,
            dialect: PhantomData,
            config: config.into(),
            lines: Lines::default(),
            authenticated: false,
            mail: Transaction::default(),
        }
    }

    /// What the receiver runs over.
    #[must_use]
    pub const fn channel(&self) -> &C {
        &self.channel
    }

    /// Whether the application said yes to a [`Login`] of the client's.
    #[must_use]
    pub const fn is_authenticated(&self) -> bool {
        self.authenticated
    }

    /// Whether the message arrives, or arrived, in chunks (`BDAT`) and not behind `DATA`.
    #[must_use]
    pub const fn is_chunked(&self) -> bool {
        matches!(self.mail.stage, state::Stage::Chunks { .. })
    }

    /// Says yes to what the last event asked.
    ///
    /// # Errors
    /// [`Error::OutOfOrder`] if nothing was asked.
    pub fn accept(&mut self) -> Result<(), Error> {
        let question = self.question()?;
        let reply = match question {
            Question::Login => Reply::Authenticated,
            Question::Mail => Reply::SenderOk,
            Question::Recipient => Reply::RecipientOk,
            Question::Message { .. } => Reply::Delivered,
        };
        self.state = State::Say(reply, self.decided(question, true));
        Ok(())
    }

    /// Answers what the last event asked, 2yz for yes; says how many octets of `output` to send.
    ///
    /// # Errors
    /// [`Error::OutOfOrder`] if nothing was asked, [`Error::OutputTooSmall`]: nothing is answered
    /// then.
    pub fn answer(&mut self, answer: Answer<'_>, output: &mut [u8]) -> Result<usize, Error> {
        let question = self.question()?;
        let yes = answer.is_yes();
        let login = yes && question == Question::Login;
        let mut out = Writer::new(output);
        // No other code says that a login succeeded (RFC 4954 §4).
        if login { answer.with_digits(*b"235") } else { answer }.print(&mut out);
        let written = out.finish()?;
        let then = self.decided(question, yes);
        self.state = if !yes && question == Question::Login && !self.forgives() {
            State::Say(Reply::engine(Engine::TooManyErrors), Then::TooManyErrors)
        } else {
            then.into()
        };
        Ok(written)
    }

    fn question(&self) -> Result<Question, Error> {
        match self.state {
            State::Deciding(question) => Ok(question),
            State::Failed(error) => Err(error),
            _ => Err(Error::OutOfOrder),
        }
    }

    fn decided(&mut self, question: Question, yes: bool) -> Then {
        match question {
            Question::Login => self.authenticated = yes,
            Question::Mail if yes => self.mail.stage = state::Stage::Envelope,
            Question::Recipient if yes => {
                self.mail.recipients = self.mail.recipients.saturating_add(1);
            }
            Question::Mail | Question::Recipient => {}
            Question::Message { index } => return self.judged(Whole { index, refusal: None }),
        }
        Then::Await
    }

    /// Counts a mistake; whether it was one of those that are put up with.
    fn forgives(&mut self) -> bool {
        let left = self.config.limits.errors.checked_sub(1);
        self.config.limits.errors = left.unwrap_or_default();
        left.is_some()
    }

    /// Answers a mistake.
    fn fault(&mut self, reply: Reply) {
        self.state = if self.forgives() {
            State::Say(reply, Then::Await)
        } else {
            State::Say(Reply::engine(Engine::TooManyErrors), Then::TooManyErrors)
        };
    }

    fn say(&mut self, reply: Reply, then: Then) {
        self.state = State::Say(reply, then);
    }

    fn fail(&mut self, error: Error) -> Error {
        self.state = State::Failed(error);
        error
    }

    /// What is offered over this channel.
    fn offer(&self) -> Config {
        let mut offer = self.config;
        if self.channel.is_plaintext() {
            offer.authentication = Authentication::None;
            offer.require_tls = false;
        }
        offer
    }

    fn print(&self, reply: Reply, out: &mut Writer<'_>) {
        reply.print(self.domain, D::IS_SMTP, &self.offer(), out);
    }
}

impl<C: Channel, D: Dialect> Machine for Receiver<'_, C, D> {
    type Event<'i> = Event<'i>;

    const MAX_INPUT: usize = MAX_COMMAND;
    const MAX_OUTPUT: usize = MAX_LINE;

    fn step<'i>(
        &mut self,
        input: &mut &'i [u8],
        output: &mut [u8],
    ) -> Result<Step<Event<'i>>, Error> {
        let event = match self.state {
            State::Await | State::Challenged(_) => self.line(input),
            State::Body { line_start } => self.body(line_start, input),
            State::Chunk(chunk) => self.chunk(chunk, input),
            State::Whole(whole) => Ok(Some(self.whole(whole))),
            State::Leaving => {
                self.state = State::Closed;
                Ok(Some(Event::Quit))
            }
            State::Say(..) => Ok(None),
            State::Deciding(_) | State::Closed => return Err(Error::OutOfOrder),
            State::Failed(error) => return Err(error),
        };
        if let Some(event) = event.map_err(|error| self.fail(error))? {
            return Ok(Step::Event(event));
        }
        let State::Say(reply, then) = self.state else {
            return Ok(Step::Read);
        };
        let mut out = Writer::new(output);
        self.print(reply, &mut out);
        let written = out.finish()?;
        self.state = then.into();
        Ok(Step::Write(written))
    }

    fn end_of_input(&mut self) -> Result<(), Error> {
        match self.state {
            State::Leaving | State::Closed => Ok(()),
            State::Failed(error) => Err(error),
            _ => Err(self.fail(Error::Closed)),
        }
    }

    fn timed_out(&mut self) -> Error {
        match self.state {
            State::Failed(error) => error,
            _ => self.fail(Error::TimedOut),
        }
    }

    fn wait(&self) -> Option<Duration> {
        match self.state {
            State::Await | State::Challenged(_) => Some(COMMAND_WAIT),
            State::Body { .. } | State::Chunk(Chunk { left: 1.., .. }) => Some(BODY_WAIT),
            _ => None,
        }
    }

    fn needs_flush(&self) -> bool {
        self.state == State::Leaving
    }

    fn farewell(&self, output: &mut [u8]) -> Result<usize, Error> {
        let State::Failed(error) = self.state else {
            return Ok(0);
        };
        let reply = match error {
            Error::TimedOut => Reply::engine(Engine::TooSlow),
            Error::FrameTooLong => Reply::engine(Engine::TooLong),
            Error::BareCr | Error::BareLf | Error::Nul => Reply::BareLineEndClosing,
            Error::Syntax => Reply::BadChunkClosing,
            Error::Foreign => Reply::engine(Engine::Malformed),
            _ => return Ok(0),
        };
        let mut out = Writer::new(output);
        self.print(reply, &mut out);
        out.finish()
    }
}
