//! The tasks of an open connection that sends mail.
//!
//! The order of calls, for each mail:
//!
//! 1. Call [`Outbound::send`] with the envelope, and [`Job::with_message`] with the message.
//! 2. Drive the task until an event [is last](Event::is_last).
//! 3. Call [`Outbound::outcome`]. If the task failed instead, call [`Outbound::fate`].
//!
//! After a pause between two mails, [`Outbound::check`] asks whether the server is still there.
//!
//! At the end call [`Outbound::quit`], drive that task and close the connection.

use core::fmt;
use core::time::Duration;

use super::session::{Command, Event, Exchange, Extensions, Fate, Session};
use super::source::{Source, Unreadable};
use super::{Envelope, Pieces, Stuffer};
use crate::boundary::AnyChannel;
use crate::conceal::conceal;
use crate::smtp::{Dialect, Reply, Smtp, Status};
use crate::{Error, Machine, Step};

/// An open connection that sends mail, made by an [`Opening`](super::Opening). It sends one mail after the
/// other, and the goodbye.
///
/// After a refused mail the connection stays open for the next one. Any other failure ends it, and
/// [`fate`](Self::fate) tells whether it is safe to send the mail again.
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Outbound<D = Smtp> {
    session: Session<AnyChannel, D>,
    /// A task has started and not ended.
    busy: bool,
    receipt: Receipt,
    refusal: Option<Refusal>,
    /// The last refusal of a recipient.
    refused: Option<Refusal>,
}

/// The numbers of accepted and refused recipients.
///
/// The struct is exhaustive: there is no third outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Receipt {
    /// The number of recipients that get the mail.
    pub accepted: u16,
    /// The number of recipients that do not.
    pub refused: u16,
}

impl Receipt {
    /// Whether every recipient gets the mail.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.refused == 0
    }
}

/// A refusal by the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Refusal {
    /// The refused command, or the message.
    pub command: Command,
    /// The code of the reply, 400 to 599. Below 500 a later attempt may succeed.
    pub code: u16,
    /// The enhanced status code of the reply, if it has one (RFC 3463).
    pub status: Option<Status>,
}

impl Refusal {
    /// The refusal in an event, if it has one.
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

    /// Whether another mail can be sent. If the server closes the connection between two mails, only the
    /// next one shows it.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        !self.busy
    }

    /// The extensions that the server offers.
    #[must_use]
    pub const fn extensions(&self) -> Extensions {
        self.session.extensions()
    }

    /// The fate of the last mail, whatever happened to the connection since.
    #[must_use]
    pub const fn fate(&self) -> Fate {
        self.session.fate()
    }

    /// The server's decision on the last mail, once its [last event](Event::is_last) has arrived.
    ///
    /// # Errors
    /// The refusal, if no recipient gets the mail.
    pub fn outcome(&self) -> Result<Receipt, Refusal> {
        self.refusal.map_or(Ok(self.receipt), Err)
    }

    /// Starts to send a mail. Drive the returned task to its [last event](Event::is_last). On
    /// [`Event::Body`] pass the message.
    ///
    /// [`Error::MessageTooLarge`], [`Error::Unverified`] or an error that [is
    /// unsupported](Error::is_unsupported) if this server cannot take the mail. Then nothing is sent, and
    /// the connection stays open. [`Error::Closed`] if the connection is not open.
    pub fn send<'m>(&mut self, envelope: &'m Envelope<'m>) -> Result<Job<'_, 'm, D>, Error> {
        if self.busy {
            return Err(Error::Closed);
        }
        self.session.send(envelope)?;
        self.busy = true;
        (self.receipt, self.refusal, self.refused) = (Receipt::default(), None, None);
        self.resume(Some(envelope))
    }

    /// Starts the goodbye. Drive the returned task to its last event, then close the connection.
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

    /// Starts to check that the server is still there and takes another mail, by `RSET`. Drive the returned
    /// task to its last event. [`Event::Done`] means yes. The last mail's fate and outcome stay as they are.
    ///
    /// # Errors
    /// [`Error::Closed`] if the connection is not open.
    pub fn check(&mut self) -> Result<Job<'_, '_, D>, Error> {
        if self.busy {
            return Err(Error::Closed);
        }
        self.session.reset()?;
        self.busy = true;
        self.resume(None)
    }

    /// The current task, for a loop that stores the connection but not the task. Pass the same `envelope`,
    /// or `None` for the check and the goodbye.
    ///
    /// # Errors
    /// [`Error::OutOfOrder`] if there is no current task.
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

/// A task: one mail, a check, or the goodbye. Its events are those of a [`Session`].
#[derive(Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Job<'o, 'm, D = Smtp> {
    outbound: &'o mut Outbound<D>,
    envelope: Option<&'m Envelope<'m>>,
}

impl<'o, 'm, D: Dialect> Job<'o, 'm, D> {
    /// Fills `output` from the front of `message`, after [`Event::Body`]. Returns how many bytes to send.
    ///
    /// # Errors
    /// Those of [`Exchange::body`].
    pub fn body(&mut self, message: &mut &[u8], output: &mut [u8]) -> Result<usize, Error> {
        self.exchange()?.body(message, output)
    }

    /// Takes the next piece of a message whose lines are known to be good, after [`Event::Body`], without a
    /// copy. Returns `None` after the last one.
    ///
    /// # Errors
    /// Those of [`Exchange::piece`].
    pub fn piece<'p>(&mut self, pieces: &mut Pieces<'p>) -> Result<Option<&'p [u8]>, Error> {
        self.exchange()?.piece(pieces)
    }

    /// Ends the message. The next steps report the server's decision.
    ///
    /// # Errors
    /// Those of [`Exchange::finish`].
    pub fn finish(&mut self) -> Result<(), Error> {
        self.exchange()?.finish()
    }

    /// This task with its message, which it sends on [`Event::Body`].
    ///
    /// A loop that stores neither may build both anew for each turn, with the rest of the source.
    pub fn with_message<'s>(self, source: &'s mut dyn Source) -> WithMessage<'o, 'm, 's, D> {
        WithMessage { job: self, source, is_unreadable: false }
    }

    #[inline(never)]
    fn exchange(&mut self) -> Result<Exchange<'_, '_, AnyChannel, D>, Error> {
        match self.envelope {
            _ if !self.outbound.busy => Err(Error::OutOfOrder),
            Some(envelope) => self.outbound.session.send(envelope),
            None => self.outbound.session.without_mail(),
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
        if let Step::Event(event) = &step {
            match self.envelope {
                Some(_) => self.outbound.note(event),
                None if event.is_last() => self.outbound.busy = self.outbound.session.is_closed(),
                None => {}
            }
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

    fn is_cut(&self) -> bool {
        self.outbound.session.is_cut()
    }

    fn begins_wait(&self) -> bool {
        self.outbound.session.begins_wait()
    }

    fn never_sent(&mut self, n: usize) {
        if let Ok(mut exchange) = self.exchange() {
            exchange.never_sent(n);
        }
    }
}

/// The number of bytes that are read from a source at a time.
const PIECE: usize = 128;

/// A task that sends a mail with its message. Its driver only moves bytes.
pub struct WithMessage<'o, 'm, 's, D = Smtp> {
    job: Job<'o, 'm, D>,
    source: &'s mut dyn Source,
    is_unreadable: bool,
}

impl<D: Dialect> WithMessage<'_, '_, '_, D> {
    /// Whether the machine failed because the message could not be read. The server then discards the mail.
    #[must_use]
    pub const fn is_unreadable(&self) -> bool {
        self.is_unreadable
    }

    /// The fate of the mail so far. It becomes [`Fate::Unknown`] before the end of the message is sent.
    #[must_use]
    pub const fn fate(&self) -> Fate {
        self.job.outbound.fate()
    }

    /// Writes the next bytes of the message, or ends it after the last one.
    fn body(&mut self, output: &mut [u8]) -> Result<usize, Error> {
        let mut piece = [0; PIECE];
        // Reads only as much as fits into the output, so that no byte has to be kept for the next step.
        let room = Stuffer::input_for(output.len());
        let room = piece.get_mut(..room.min(PIECE)).unwrap_or_default();
        if room.is_empty() {
            return Err(Error::OutputTooSmall { needed: Self::MAX_OUTPUT });
        }
        let read = self.source.read(room).map_err(|Unreadable| {
            self.is_unreadable = true;
            Error::OutOfOrder
        })?;
        if read == 0 {
            return self.job.finish().map(|()| 0);
        }
        let mut read = room.get(..read).unwrap_or_default();
        self.job.body(&mut read, output)
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
        if self.job.outbound.session.awaits_body() {
            return self.body(output).map(Step::Write);
        }
        self.job.step(input, output)
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

    fn is_cut(&self) -> bool {
        self.job.is_cut()
    }

    fn begins_wait(&self) -> bool {
        self.job.begins_wait()
    }

    fn never_sent(&mut self, n: usize) {
        self.job.never_sent(n);
    }
}

conceal!("WithMessage", WithMessage<'_, '_, '_, D> [D]);

/// Whether the code is 2yz.
const fn is_yes(reply: Reply<'_>) -> bool {
    matches!(reply.code(), 200..=299)
}
