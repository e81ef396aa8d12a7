//! A connection that sends mail, once it is open.

use core::fmt;
use core::time::Duration;

use super::Envelope;
use super::session::{Command, Event, Exchange, Extensions, Fate, Session};
use super::source::{Source, Unreadable};
use crate::boundary::AnyChannel;
use crate::conceal::conceal;
use crate::smtp::{Dialect, Reply, Smtp, Status};
use crate::{Error, Machine, Step};

/// An open connection that sends mail, from an [`Opening`](super::Opening): for one mail after the other, and
/// the goodbye. It owns what it needs.
///
/// A mail that the server refuses leaves it open for the next one. Anything else that goes wrong ends it, and
/// [`fate`](Self::fate) says whether it is safe to send the mail again.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Outbound<D = Smtp> {
    session: Session<AnyChannel, D>,
    /// A mail was begun, and what became of it is not known.
    busy: bool,
    receipt: Receipt,
    refusal: Option<Refusal>,
    /// The last refusal of a recipient.
    refused: Option<Refusal>,
}

/// How many recipients the server accepted and refused. Exhaustive: there is no third answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Receipt {
    /// The recipients that get the mail.
    pub accepted: u16,
    /// The recipients that do not.
    pub refused: u16,
}

impl Receipt {
    /// Whether every recipient gets the mail.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.refused == 0
    }
}

/// What the server refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Refusal {
    /// The command, or the message.
    pub command: Command,
    /// The code of the reply, 400 to 599; below 500 a later attempt may succeed.
    pub code: u16,
    /// The enhanced status code of the reply, where there is one (RFC 3463).
    pub status: Option<Status>,
}

impl Refusal {
    /// The refusal that an event tells of, if it does.
    #[must_use]
    pub fn of(event: &Event<'_>) -> Option<Self> {
        match *event {
            Event::Rejected { command, reply } => Some(Self::new(command, reply)),
            _ => None,
        }
    }

    fn new(command: Command, reply: Reply<'_>) -> Self {
        Self { command, code: reply.code(), status: reply.status() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the server refused {:?} with {}", self.command, self.code)?;
        self.status.map_or(Ok(()), |status| write!(f, " {status}"))
    }
}

impl core::error::Error for Refusal {}

impl<D: Dialect> Outbound<D> {
    pub(super) fn new(session: Session<AnyChannel, D>) -> Self {
        let receipt = Receipt::default();
        Self { session, busy: false, receipt, refusal: None, refused: None }
    }

    /// Whether another mail can be sent. A server may leave between two mails, which shows with the next one
    /// only.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        !self.busy
    }

    /// What the server said it can do.
    #[must_use]
    pub const fn extensions(&self) -> Extensions {
        self.session.extensions()
    }

    /// What became of the mail that was sent last, whatever happened to the connection since.
    #[must_use]
    pub const fn fate(&self) -> Fate {
        self.session.fate()
    }

    /// What the server said of the mail that was sent last, once its [last event](Event::is_last) is told.
    ///
    /// # Errors
    /// The refusal, if no recipient gets the mail.
    pub fn outcome(&self) -> Result<Receipt, Refusal> {
        self.refusal.map_or(Ok(self.receipt), Err)
    }

    /// Sends one mail. Drive what this returns up to its [last event](Event::is_last); at [`Event::Body`] pass
    /// the message on.
    ///
    /// # Errors
    /// [`Error::MessageTooLarge`], [`Error::Unsupported`] or [`Error::Unverified`] if the mail cannot go to this
    /// server; nothing is sent then, and the connection stays open. [`Error::Closed`] if it is not.
    pub fn send<'m>(&mut self, envelope: &'m Envelope<'m>) -> Result<Job<'_, 'm, D>, Error> {
        if self.busy {
            return Err(Error::Closed);
        }
        self.session.send(envelope)?;
        self.busy = true;
        (self.receipt, self.refusal, self.refused) = (Receipt::default(), None, None);
        self.resume(Some(envelope))
    }

    /// Says goodbye. Drive what this returns up to its last event, and close the connection.
    ///
    /// # Errors
    /// [`Error::Closed`] if the connection is not open.
    pub fn quit(&mut self) -> Result<Job<'_, '_, D>, Error> {
        if self.busy {
            return Err(Error::Closed);
        }
        self.session.quit()?;
        self.busy = true;
        self.resume(None)
    }

    /// The job that is under way, for a loop that keeps the connection and not the job: the mail of the
    /// same `envelope`, or without one the goodbye.
    ///
    /// # Errors
    /// [`Error::OutOfOrder`] if none is under way.
    pub const fn resume<'m>(
        &mut self,
        envelope: Option<&'m Envelope<'m>>,
    ) -> Result<Job<'_, 'm, D>, Error> {
        if self.busy { Ok(Job { outbound: self, envelope }) } else { Err(Error::OutOfOrder) }
    }

    fn note(&mut self, event: &Event<'_>) {
        match *event {
            Event::Recipient { reply, .. } if is_yes(reply) => {
                self.receipt.accepted = self.receipt.accepted.saturating_add(1);
            }
            Event::Recipient { reply, .. } => self.refuse(reply),
            Event::Delivery { reply, .. } if !is_yes(reply) => {
                self.receipt.accepted = self.receipt.accepted.saturating_sub(1);
                self.refuse(reply);
            }
            Event::NoRecipients => self.refusal = self.refused,
            _ => self.refusal = self.refusal.or(Refusal::of(event)),
        }
        if event.is_last() {
            self.busy = false;
        }
    }

    fn refuse(&mut self, reply: Reply<'_>) {
        self.receipt.refused = self.receipt.refused.saturating_add(1);
        self.refused = Some(Refusal::new(Command::Recipient, reply));
    }
}

/// A mail that is being sent, or the goodbye. Its events are those of a [`Session`].
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Job<'o, 'm, D = Smtp> {
    outbound: &'o mut Outbound<D>,
    envelope: Option<&'m Envelope<'m>>,
}

impl<'o, 'm, D: Dialect> Job<'o, 'm, D> {
    /// Fills `output` from the front of `message`, after [`Event::Body`]; says how many bytes to send.
    ///
    /// # Errors
    /// Those of [`Exchange::body`].
    pub fn body(&mut self, message: &mut &[u8], output: &mut [u8]) -> Result<usize, Error> {
        self.exchange()?.body(message, output)
    }

    /// Ends the message; what became of it comes with the next steps.
    ///
    /// # Errors
    /// Those of [`Exchange::finish`].
    pub fn finish(&mut self) -> Result<(), Error> {
        self.exchange()?.finish()
    }

    /// The same with the message, which is passed on at [`Event::Body`].
    pub fn with_message<'s>(self, source: &'s mut dyn Source) -> WithMessage<'o, 'm, 's, D> {
        WithMessage {
            job: self,
            source,
            is_body: false,
            is_unreadable: false,
            piece: [0; PIECE],
            start: 0,
            end: 0,
        }
    }

    #[inline(never)]
    fn exchange(&mut self) -> Result<Exchange<'_, '_, AnyChannel, D>, Error> {
        match self.envelope {
            _ if !self.outbound.busy => Err(Error::OutOfOrder),
            Some(envelope) => self.outbound.session.send(envelope),
            None => self.outbound.session.quit(),
        }
    }
}

impl<D: Dialect> Machine for Job<'_, '_, D> {
    type Event<'i> = Event<'i>;

    const MAX_INPUT: usize = Exchange::<AnyChannel, D>::MAX_INPUT;
    const MAX_OUTPUT: usize = Exchange::<AnyChannel, D>::MAX_OUTPUT;

    fn step<'i>(
        &mut self,
        input: &mut &'i [u8],
        output: &mut [u8],
    ) -> Result<Step<Event<'i>>, Error> {
        let step = self.exchange()?.step(input, output)?;
        if let (Step::Event(event), Some(_)) = (&step, self.envelope) {
            self.outbound.note(event);
        }
        Ok(step)
    }

    fn end_of_input(&mut self) -> Result<(), Error> {
        self.exchange()?.end_of_input()
    }

    fn timed_out(&mut self) -> Error {
        self.exchange().map_or_else(|error| error, |mut exchange| exchange.timed_out())
    }

    fn wait(&self) -> Option<Duration> {
        self.outbound.session.wait()
    }

    fn never_sent(&mut self, n: usize) {
        if let Ok(mut exchange) = self.exchange() {
            exchange.never_sent(n);
        }
    }
}

/// How many bytes of a message are read at a time.
const PIECE: usize = 128;

/// A mail with its message: a [`Job`] that needs nothing of its driver but octets.
pub struct WithMessage<'o, 'm, 's, D = Smtp> {
    job: Job<'o, 'm, D>,
    source: &'s mut dyn Source,
    /// The server waits for the message.
    is_body: bool,
    is_unreadable: bool,
    piece: [u8; PIECE],
    /// What is unsent of the piece.
    start: usize,
    end: usize,
}

impl<D: Dialect> WithMessage<'_, '_, '_, D> {
    /// Whether the message could not be read, which is why the machine failed. No server takes half of it.
    #[must_use]
    pub const fn is_unreadable(&self) -> bool {
        self.is_unreadable
    }

    /// The next bytes of the message; without any it is ended.
    fn body(&mut self, output: &mut [u8]) -> Result<usize, Error> {
        if self.start == self.end {
            let read = self.source.read(&mut self.piece).map_err(|Unreadable| {
                self.is_unreadable = true;
                Error::OutOfOrder
            })?;
            (self.start, self.end) = (0, read.min(PIECE));
            if read == 0 {
                self.job.finish()?;
                self.is_body = false;
                return Ok(0);
            }
        }
        let mut rest = self.piece.get(self.start..self.end).unwrap_or_default();
        let written = self.job.body(&mut rest, output)?;
        self.start = self.end.saturating_sub(rest.len());
        Ok(written)
    }
}

impl<D: Dialect> Machine for WithMessage<'_, '_, '_, D> {
    type Event<'i> = Event<'i>;

    const MAX_INPUT: usize = Job::<'_, '_, D>::MAX_INPUT;
    const MAX_OUTPUT: usize = Job::<'_, '_, D>::MAX_OUTPUT;

    fn step<'i>(
        &mut self,
        input: &mut &'i [u8],
        output: &mut [u8],
    ) -> Result<Step<Event<'i>>, Error> {
        if self.is_body {
            return self.body(output).map(Step::Write);
        }
        let step = self.job.step(input, output)?;
        self.is_body = matches!(step, Step::Event(Event::Body(_)));
        Ok(step)
    }

    fn end_of_input(&mut self) -> Result<(), Error> {
        self.job.end_of_input()
    }

    fn timed_out(&mut self) -> Error {
        self.job.timed_out()
    }

    fn wait(&self) -> Option<Duration> {
        self.job.wait()
    }

    fn never_sent(&mut self, n: usize) {
        self.job.never_sent(n);
    }
}

conceal!("WithMessage", WithMessage<'_, '_, '_, D> [D]);

/// Whether a reply is 2yz.
const fn is_yes(reply: Reply<'_>) -> bool {
    matches!(reply.code(), 200..=299)
}
