//! The receiving side of a mail connection, after the upgrade.

mod event;
mod path;

use core::marker::PhantomData;
use core::time::Duration;

pub use event::{Answer, Event, Limits};
pub use path::Path;

use super::command::{Verb, split};
use super::dots::{Piece, unstuff};
use super::limits::{BODY_WAIT, COMMAND_WAIT, MAX_LINE};
use super::server::Reply;
use super::{Dialect, Domain, Smtp};
use crate::wire::{Framing, Lines, Writer};
use crate::{Channel, Error, Machine, Step, Untrusted, server};
use path::{Fault, TOO_LARGE};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The client's turn.
    Await,
    /// A reply is to be written, then the state is `Then`.
    Say(Say, Then),
    /// The application judges.
    Deciding(Question),
    /// The message arrives.
    Body {
        line_start: bool,
    },
    /// The message is whole; the application is to be asked for recipient `n` (LMTP) or all.
    Whole(u16),
    Leaving,
    Closed,
    Failed(Error),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Await,
    Body,
    Whole(u16),
    Leave,
    Fail(Error),
}

/// What the application was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    Mail,
    Recipient,
    Message(u16),
}

/// What the machine says on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Say {
    Greeting,
    Hello,
    Helo,
    Line(&'static str),
}

const OK: Say = Say::Line(Reply::Ok.text());
const UNKNOWN: &str = engine(server::Answer::Unknown);

/// What the plaintext machine says in the same case.
const fn engine(answer: server::Answer) -> &'static str {
    Reply::Engine(answer).text()
}

/// Takes mail over TLS, or knowingly over plaintext.
///
/// It answers everything but what only an application can judge: those events say so, and wait for
/// [`accept`](Self::accept) or [`answer`](Self::answer). A client that pipelines needs nothing
/// special.
#[derive(Debug)]
pub struct Receiver<'a, C, D = Smtp> {
    domain: Domain<'a>,
    channel: C,
    dialect: PhantomData<D>,
    limits: Limits,
    lines: Lines<MAX_LINE>,
    state: State,
    /// The client said who it is.
    greeted: bool,
    /// MAIL was accepted.
    begun: bool,
    /// How many recipients were accepted.
    recipients: u16,
    /// How many octets of the message came.
    octets: usize,
    errors: u8,
}

impl<'a, C: Channel, D: Dialect> Receiver<'a, C, D> {
    /// A receiver that knows nothing of the client and introduces itself as `domain`.
    #[must_use]
    pub fn new(channel: C, domain: Domain<'a>, limits: Limits) -> Self {
        Self {
            domain,
            state: if channel.greets() {
                State::Say(Say::Greeting, Then::Await)
            } else {
                State::Await
            },
            // The plaintext machine lets nobody do business who did not introduce himself.
            greeted: channel.is_plaintext(),
            channel,
            dialect: PhantomData,
            limits,
            lines: Lines::default(),
            begun: false,
            recipients: 0,
            octets: 0,
            errors: 0,
        }
    }

    /// What the receiver runs over.
    #[must_use]
    pub const fn channel(&self) -> &C {
        &self.channel
    }

    /// Says yes to what the last event asked.
    ///
    /// # Errors
    /// [`Error::OutOfOrder`] if nothing was asked.
    pub fn accept(&mut self) -> Result<(), Error> {
        let question = self.question()?;
        let text = match question {
            Question::Mail => "250 2.1.0 Sender ok",
            Question::Recipient => "250 2.1.5 Recipient ok",
            Question::Message(_) => "250 2.0.0 Delivered",
        };
        let then = match self.decided(question, true) {
            State::Whole(next) => Then::Whole(next),
            _ => Then::Await,
        };
        self.state = State::Say(Say::Line(text), then);
        Ok(())
    }

    /// Answers what the last event asked, 2yz for yes; says how many octets of `output` to send.
    ///
    /// # Errors
    /// [`Error::OutOfOrder`] if nothing was asked, [`Error::OutputTooSmall`]: nothing is answered
    /// then.
    pub fn answer(&mut self, answer: Answer<'_>, output: &mut [u8]) -> Result<usize, Error> {
        let question = self.question()?;
        let mut out = Writer::new(output);
        answer.print(&mut out);
        let written = out.finish()?;
        self.state = self.decided(question, answer.is_yes());
        Ok(written)
    }

    fn question(&self) -> Result<Question, Error> {
        match self.state {
            State::Deciding(question) => Ok(question),
            State::Failed(error) => Err(error),
            _ => Err(Error::OutOfOrder),
        }
    }

    fn decided(&mut self, question: Question, yes: bool) -> State {
        match question {
            Question::Mail => self.begun = yes,
            Question::Recipient if yes => self.recipients = self.recipients.saturating_add(1),
            Question::Recipient => {}
            Question::Message(index) => {
                let next = index.saturating_add(1);
                if !D::IS_SMTP && next < self.recipients {
                    return State::Whole(next);
                }
                self.forget();
            }
        }
        State::Await
    }

    /// Ends the transaction.
    const fn forget(&mut self) {
        self.begun = false;
        self.recipients = 0;
        self.octets = 0;
    }

    fn is_too_large(&self) -> bool {
        self.limits.size.is_some_and(|limit| self.octets > limit)
    }

    /// The message is whole; asks for recipient `index`, or refuses in the application's place.
    fn whole<'i>(&mut self, index: u16) -> Event<'i> {
        if !self.is_too_large() {
            self.state = State::Deciding(Question::Message(index));
            return Event::Message { index };
        }
        let then = match self.decided(Question::Message(index), false) {
            State::Whole(next) => Then::Whole(next),
            _ => Then::Await,
        };
        self.say(Say::Line(TOO_LARGE), then);
        Event::Refused { index }
    }

    fn fail(&mut self, error: Error) -> Error {
        self.state = State::Failed(error);
        error
    }

    /// Answers a mistake.
    fn fault(&mut self, text: &'static str) {
        self.errors = self.errors.saturating_add(1);
        self.state = if self.errors > self.limits.errors {
            State::Say(
                Say::Line(engine(server::Answer::TooManyErrors)),
                Then::Fail(Error::TooManyErrors),
            )
        } else {
            State::Say(Say::Line(text), Then::Await)
        };
    }

    fn say(&mut self, say: Say, then: Then) {
        self.state = State::Say(say, then);
    }

    fn command<'i>(&mut self, line: &'i [u8]) -> Result<Event<'i>, Error> {
        let (verb, argument) = split(line);
        let said = Untrusted(if verb == Verb::Auth { b"AUTH" } else { line });
        match verb {
            Verb::Foreign => return Err(Error::Foreign),
            Verb::Ehlo | Verb::Helo | Verb::Lhlo if D::IS_SMTP == (verb == Verb::Lhlo) => {
                self.fault(UNKNOWN);
            }
            Verb::Ehlo | Verb::Helo | Verb::Lhlo if argument.is_empty() => {
                self.fault(Reply::NameMissing.text());
            }
            Verb::Ehlo | Verb::Lhlo | Verb::Helo => {
                self.greeted = true;
                self.forget();
                let hello = if verb == Verb::Helo { Say::Helo } else { Say::Hello };
                self.say(hello, Then::Await);
                return Ok(Event::Hello(Untrusted(argument)));
            }
            Verb::Noop => self.say(OK, Then::Await),
            Verb::Rset => {
                self.forget();
                self.say(OK, Then::Await);
                return Ok(Event::Reset);
            }
            Verb::Vrfy => {
                self.say(Say::Line(Reply::CannotVerify.text()), Then::Await);
            }
            Verb::Quit => self.say(Say::Line(engine(server::Answer::Bye)), Then::Leave),
            Verb::StartTls if !self.channel.is_plaintext() => {
                self.fault("503 5.5.1 TLS is active already")
            }
            Verb::Mail if self.greeted && !self.begun => {
                match path::mail(argument, self.limits.size) {
                    Ok(path) => {
                        self.state = State::Deciding(Question::Mail);
                        return Ok(Event::Mail(path));
                    }
                    Err(fault) => self.fault(fault.text()),
                }
            }
            Verb::Rcpt if self.begun && self.recipients >= self.limits.recipients => {
                self.fault("452 4.5.3 Too many recipients");
            }
            Verb::Rcpt if self.begun => match path::recipient(argument) {
                Ok(path) => {
                    self.state = State::Deciding(Question::Recipient);
                    return Ok(Event::Recipient(path));
                }
                Err(fault) => self.fault(fault.text()),
            },
            Verb::Data if !argument.is_empty() => self.fault(Fault::Parameter.text()),
            Verb::Data if self.recipients > 0 => {
                self.say(Say::Line("354 End with a dot on a line of its own"), Then::Body);
            }
            Verb::StartTls | Verb::Mail | Verb::Rcpt | Verb::Data => {
                self.fault(engine(server::Answer::BadSequence));
            }
            Verb::Auth | Verb::Bdat | Verb::Expn | Verb::Help => {
                self.fault("502 5.5.1 Command not implemented");
            }
            Verb::Unknown => self.fault(UNKNOWN),
        }
        Ok(Event::Received(said))
    }

    fn print(&self, say: Say, out: &mut Writer<'_>) {
        let domain = self.domain.as_str().as_bytes();
        let parts: [&[u8]; 3] = match say {
            Say::Greeting if D::IS_SMTP => [b"220 ", domain, b" ESMTP"],
            Say::Greeting => [b"220 ", domain, b" LMTP"],
            Say::Hello => {
                out.put(b"250-");
                out.put(domain);
                if let Some(size) = self.limits.size {
                    out.put(b"\r\n250-SIZE ");
                    out.put_decimal(size);
                }
                [b"\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES", b"", b""]
            }
            Say::Helo => [b"250 ", domain, b""],
            Say::Line(text) => [text.as_bytes(), b"", b""],
        };
        for part in parts {
            out.put(part);
        }
        out.put(b"\r\n");
    }

    /// Writes the last words to a client whose mistake or silence ended the connection; says how
    /// many octets of `output` to send before closing.
    ///
    /// # Errors
    /// [`Error::OutputTooSmall`].
    pub fn farewell(&self, output: &mut [u8]) -> Result<usize, Error> {
        let State::Failed(error) = self.state else {
            return Ok(0);
        };
        let text = match error {
            Error::TimedOut => engine(server::Answer::TooSlow),
            Error::FrameTooLong => engine(server::Answer::TooLong),
            Error::BareCr | Error::BareLf | Error::Nul => "550 5.6.11 Lines end with CRLF, closing",
            Error::Foreign => engine(server::Answer::Malformed),
            _ => return Ok(0),
        };
        let mut out = Writer::new(output);
        self.print(Say::Line(text), &mut out);
        out.finish()
    }
}

impl<C: Channel, D: Dialect> Machine for Receiver<'_, C, D> {
    type Event<'i> = Event<'i>;

    const MAX_INPUT: usize = MAX_LINE;
    const MAX_OUTPUT: usize = MAX_LINE;

    fn step<'i>(
        &mut self,
        input: &mut &'i [u8],
        output: &mut [u8],
    ) -> Result<Step<Event<'i>>, Error> {
        match self.state {
            State::Await => match self.lines.next(input) {
                Ok(Some(line)) => self.command(line).map(Step::Event),
                Ok(None) => Ok(Step::Read),
                Err(error) => Err(error),
            }
            .map_err(|error| self.fail(error)),
            State::Body { mut line_start } => {
                let piece = unstuff(&mut line_start, input).map_err(|error| self.fail(error))?;
                self.state = State::Body { line_start };
                match piece {
                    Piece::Read => Ok(Step::Read),
                    Piece::Text(text) => {
                        self.octets = self.octets.saturating_add(text.len());
                        Ok(Step::Event(Event::Body(text)))
                    }
                    Piece::End => Ok(Step::Event(self.whole(0))),
                }
            }
            State::Whole(index) => Ok(Step::Event(self.whole(index))),
            State::Say(say, then) => {
                let mut out = Writer::new(output);
                self.print(say, &mut out);
                let written = out.finish()?;
                self.state = match then {
                    Then::Await => State::Await,
                    Then::Body => State::Body { line_start: true },
                    Then::Whole(index) => State::Whole(index),
                    Then::Leave => State::Leaving,
                    Then::Fail(error) => State::Failed(error),
                };
                Ok(Step::Write(written))
            }
            State::Leaving => {
                self.state = State::Closed;
                Ok(Step::Event(Event::Quit))
            }
            State::Deciding(_) | State::Closed => Err(Error::OutOfOrder),
            State::Failed(error) => Err(error),
        }
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
            State::Await => Some(COMMAND_WAIT),
            State::Body { .. } => Some(BODY_WAIT),
            _ => None,
        }
    }
}
