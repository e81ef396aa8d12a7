//! The server side of a mail connection, inside the channel.
//!
//! ```text
//! hello ── login ── mail ── recipient … ── message ── mail … ── quit
//! ```
//!
//! The order of calls:
//!
//! 1. Build a [`Receiver`] on its channel.
//! 2. Call [`step`](Machine::step). Answer the events that are marked *judge* with
//!    [`accept`](Receiver::accept) or [`answer`](Receiver::answer).
//! 3. With [`Config::with_scram`], answer `Event::ScramFirst` and `Event::ScramFinal` with
//!    `Receiver::challenge`.
//! 4. On [`Event::Body`] store the piece, on [`Event::Quit`] close the connection.
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
mod dots;
mod event;
mod login;
mod message;
mod parameters;
mod reply;
#[cfg(feature = "scram")]
mod scram;
mod state;

use core::marker::PhantomData;
use core::time::Duration;

pub use config::{Authentication, Config, Limits, Proof, Scram};
pub use event::{Answer, Event, Mail, Path, Recipient};
pub use login::{Authorization, Claim, Login, UserName};
#[cfg(feature = "scram")]
pub use scram::{ScramExchange, ScramFinal, ScramFirst, ScramKeys, ScramStart};

use super::limits::{BODY_BLOCK, BODY_WAIT, MAX_COMMAND};
use crate::server::{Answer as Engine, Upgrade};
use crate::smtp::limits::{COMMAND_WAIT, MAX_LINE};
use crate::smtp::{Dialect, Domain, Smtp};
use crate::wire::{Lines, Writer};
use crate::{Channel, Error, Machine, Step};
use reply::Reply;
use state::{Chunk, Question, State, Then, Transaction, Whole};

/// Receives mail over TLS or, by an explicit choice, over plaintext.
///
/// It answers everything that needs no application. All other events are marked *judge*, and wait for
/// [`accept`](Self::accept) or [`answer`](Self::answer). Pipelining clients need no special handling.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Receiver<'a, C, D = Smtp> {
    domain: Domain<'a>,
    channel: C,
    dialect: PhantomData<D>,
    /// The settings; mistakes and commands count down in it.
    config: Config,
    lines: Lines<MAX_COMMAND>,
    state: State,
    /// Whether the client has introduced itself.
    greeted: bool,
    /// Whether it did so by `EHLO` or `LHLO`, which allow extensions.
    extended: bool,
    /// Whether the client is authenticated.
    authenticated: bool,
    mail: Transaction,
    /// The number of bytes in the current block of the message, see [`BODY_BLOCK`].
    block: u16,
}

impl<'a, C: Channel, D: Dialect> Receiver<'a, C, D> {
    /// A receiver at the start of its channel, without knowledge of the client. It introduces itself as
    /// `domain`. [`Limits`] alone are enough for a `config`.
    #[must_use]
    pub fn new(channel: C, domain: Domain<'a>, config: impl Into<Config>) -> Self {
        Self {
            domain,
            state: if channel.greets() {
                State::Say(Reply::Greeting, Then::Await)
            } else {
                State::Await
            },
            // In plaintext the client has already introduced itself to the server engine.
            greeted: channel.is_plaintext(),
            channel,
            dialect: PhantomData,
            config: config.into(),
            extended: false,
            lines: Lines::default(),
            authenticated: false,
            mail: Transaction::default(),
            block: 0,
        }
    }

    /// The channel under the receiver.
    #[must_use]
    pub const fn channel(&self) -> &C {
        &self.channel
    }

    /// Whether the application accepted a [`Login`], or the client proved its identity by SCRAM.
    #[must_use]
    pub const fn is_authenticated(&self) -> bool {
        self.authenticated
    }

    /// Whether the client introduced itself by `EHLO` or `LHLO`, which allow extensions.
    #[must_use]
    pub const fn is_extended(&self) -> bool {
        self.extended
    }

    /// Whether the message arrives, or arrived, in chunks (`BDAT`) instead of after `DATA`.
    #[must_use]
    pub const fn is_chunked(&self) -> bool {
        matches!(self.mail.stage, state::Stage::Chunks { .. })
    }

    /// Accepts what the last event asks for.
    ///
    /// # Errors
    /// [`Error::OutOfOrder`] if the last event asks for nothing, or for a proof of SCRAM.
    pub fn accept(&mut self) -> Result<(), Error> {
        let question = self.question()?;
        let reply = match question {
            Question::Login => Reply::Authenticated,
            #[cfg(feature = "scram")]
            Question::ScramFirst | Question::ScramFinal => return Err(Error::OutOfOrder),
            Question::Mail => Reply::SenderOk,
            Question::Recipient => Reply::RecipientOk,
            Question::Message { .. } => Reply::Delivered,
        };
        self.state = State::Say(reply, self.decided(question, true));
        Ok(())
    }

    /// Answers the last event with a reply; 2yz accepts. A login refused by 5yz is a mistake of the client;
    /// 4yz never is. Returns how many bytes of `output` to send.
    ///
    /// # Errors
    /// [`Error::OutOfOrder`] if the last event asks for nothing, or the answer accepts SCRAM without a
    /// proof; [`Error::OutputTooSmall`] if the reply does not fit. The event stays unanswered.
    pub fn answer(&mut self, answer: Answer<'_>, output: &mut [u8]) -> Result<usize, Error> {
        let question = self.question()?;
        let yes = answer.is_yes();
        if yes && question.is_scram() {
            return Err(Error::OutOfOrder);
        }
        let login = yes && question == Question::Login;
        let mut out = Writer::new(output);
        // 235 is the only code for a successful login (RFC 4954 §4).
        if login { answer.with_digits(*b"235") } else { answer }.print(&mut out);
        let written = out.finish()?;
        let then = self.decided(question, yes);
        // A temporary refusal (RFC 4954 §6: 454) says nothing about the client.
        let mistake = question.is_login() && answer.is_permanent();
        self.state = if mistake && !self.forgives() {
            State::Say(Reply::engine(Engine::TooManyErrors), Then::TooManyErrors)
        } else {
            then.into()
        };
        Ok(written)
    }

    /// Sends the server's message of an exchange by SCRAM: its first after [`Event::ScramFirst`], and the
    /// last after [`Event::ScramFinal`], once the exchange is [proved](ScramExchange::is_proved). The login
    /// is complete at [`Event::Authenticated`]. Returns how many bytes of `output` to send.
    ///
    /// # Errors
    /// [`Error::OutOfOrder`] after another event, or if the proof is missing; [`Error::OutputTooSmall`] if
    /// the message does not fit. The event stays unanswered.
    #[cfg(feature = "scram")]
    pub fn challenge(
        &mut self,
        exchange: &ScramExchange,
        output: &mut [u8],
    ) -> Result<usize, Error> {
        let then = match (self.question()?, exchange.is_proved()) {
            (Question::ScramFirst, false) => state::Challenge::ScramFinal,
            (Question::ScramFinal, true) => state::Challenge::ScramEnd,
            _ => return Err(Error::OutOfOrder),
        };
        let mut out = Writer::new(output);
        out.put(b"334 ");
        exchange.put(&mut out);
        out.put(b"\r\n");
        let written = out.finish()?;
        self.state = State::Challenged(then);
        Ok(written)
    }

    /// Ends the plaintext phase, after [`Event::StartTls`]. `unread` is everything received that the
    /// receiver has not consumed. Bytes that begin a TLS record go to the handshake.
    ///
    /// # Errors
    /// Those of [`Server::into_upgrade`](crate::Server::into_upgrade).
    pub fn into_upgrade(self, unread: &[u8]) -> Result<Upgrade<'_>, Error> {
        match self.state {
            State::Ready => Upgrade::new(unread, None),
            State::Failed(error) => Err(error),
            _ => Err(Error::OutOfOrder),
        }
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
            #[cfg(feature = "scram")]
            Question::ScramFirst | Question::ScramFinal => {}
            Question::Mail | Question::Recipient => {}
            Question::Message { index } => return self.judged(Whole { index, refusal: None }),
        }
        Then::Await
    }

    /// Counts a mistake. Returns whether it is within the limit.
    fn forgives(&mut self) -> bool {
        let left = self.config.limits.errors.checked_sub(1);
        self.config.limits.errors = left.unwrap_or_default();
        left.is_some()
    }

    /// Replies to a mistake.
    fn fault(&mut self, reply: Reply) {
        self.state = if self.forgives() {
            State::Say(reply, Then::Await)
        } else {
            State::Say(Reply::engine(Engine::TooManyErrors), Then::TooManyErrors)
        };
    }

    /// Counts bytes of the message in its current block.
    fn progress(&mut self, octets: usize) {
        let block = usize::from(self.block).saturating_add(octets);
        self.block = u16::try_from(block).ok().filter(|block| *block < BODY_BLOCK).unwrap_or(0);
    }

    fn say(&mut self, reply: Reply, then: Then) {
        self.state = State::Say(reply, then);
    }

    fn fail(&mut self, error: Error) -> Error {
        self.state = State::Failed(error);
        error
    }

    /// The settings as they apply to this channel.
    fn offer(&self) -> Config {
        let mut offer = self.config;
        // In plaintext neither a login nor a promise about TLS is possible; inside TLS there is no second
        // upgrade (SM14).
        if self.channel.is_plaintext() {
            offer.authentication = Authentication::None;
            offer.require_tls = false;
        } else {
            offer.start_tls = false;
        }
        if !self.channel.is_verified() {
            (offer.authentication, offer.proof) = match offer.proof {
                // EXTERNAL needs a verified certificate, which this client lacks.
                Proof::Certificate => (Authentication::None, offer.proof),
                Proof::Password | Proof::Either => (offer.authentication, Proof::Password),
            };
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
            State::GoAhead => {
                self.state = State::Ready;
                Ok(Some(Event::StartTls))
            }
            State::Say(..) => Ok(None),
            State::Deciding(_) | State::Ready | State::Closed => return Err(Error::OutOfOrder),
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
        matches!(self.state, State::Leaving | State::GoAhead)
    }

    /// Within a message a new wait begins with each block, so that a client gains no time by single bytes.
    fn begins_wait(&self) -> bool {
        !matches!(self.state, State::Body { .. } | State::Chunk(_)) || self.block == 0
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
