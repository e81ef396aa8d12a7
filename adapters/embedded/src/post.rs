//! What happens over TLS: hello, login, mails, goodbye.

use core::time::Duration;

use starttls::mail::session::{Command, Event, Exchange};
use starttls::mail::{Credentials, Envelope, Session};
use starttls::smtp::Status;
use starttls::{Machine, Step, Tls};

use crate::error::Fault;
use crate::source::Source;
use crate::task::{Framed, Task, Turn};

/// The least size of an output for a message: one half is read into, the other said from.
pub(crate) const MIN_OUTPUT: usize = 4;

/// Somebody who is told what a server says, if anybody is.
#[derive(Default)]
pub(crate) struct Watch<'w>(pub(crate) Option<&'w mut dyn FnMut(&Event<'_>)>);

impl Watch<'_> {
    fn tell(&mut self, event: &Event<'_>) {
        if let Some(watch) = &mut self.0 {
            watch(event);
        }
    }
}

/// How many recipients the server took and refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Receipt {
    /// Who gets the mail.
    pub accepted: u16,
    /// Who does not.
    pub refused: u16,
}

impl Receipt {
    /// Whether every recipient gets it.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.refused == 0
    }
}

/// What is said over TLS, one exchange after the other.
pub(crate) struct Talk<'j, 'a, 'w> {
    session: &'j mut Session<'a, Tls>,
    topic: Topic<'j>,
    watch: &'j mut Watch<'w>,
    /// What came of a mail.
    pub(crate) receipt: Receipt,
    /// What the last recipient was refused with.
    refusal: Option<(u16, Option<Status>)>,
    /// The message is under way; so many octets of it are unsent, in front of the scratch's end.
    body: Option<Piece>,
}

/// What is being said. To ask for an exchange is to begin it.
pub(crate) enum Topic<'j> {
    /// Hello, and then login.
    Hello(Option<&'j Credentials<'j>>),
    Login(&'j Credentials<'j>),
    Mail(&'j Envelope<'j>, &'j mut dyn Source),
    Quit,
    Over,
}

/// What is unsent of the octets that were read last, by its place in the scratch.
#[derive(Clone, Copy, Default)]
struct Piece {
    start: usize,
    end: usize,
}

impl<'j, 'a, 'w> Talk<'j, 'a, 'w> {
    /// Nothing is said before the first step.
    pub(crate) fn new(
        session: &'j mut Session<'a, Tls>,
        topic: Topic<'j>,
        watch: &'j mut Watch<'w>,
    ) -> Self {
        let receipt = Receipt::default();
        Self { session, topic, watch, receipt, refusal: None, body: None }
    }

    #[inline(never)]
    fn exchange(&mut self) -> Result<Exchange<'_, 'a, '_, Tls>, starttls::Error> {
        match &self.topic {
            Topic::Hello(_) => self.session.hello(),
            Topic::Login(credentials) => self.session.authenticate(credentials),
            Topic::Mail(envelope, _) => self.session.send(envelope),
            Topic::Quit => self.session.quit(),
            Topic::Over => Err(starttls::Error::OutOfOrder),
        }
    }

    /// The next octets of the message, or its end. It is read into the back half of the output, and
    /// said from the front half.
    fn body(&mut self, mut piece: Piece, output: &mut [u8]) -> Result<Turn, Fault> {
        let half = output.len() / 2;
        let (Some((output, scratch)), Topic::Mail(_, source)) =
            (output.split_at_mut_checked(half), &mut self.topic)
        else {
            return Ok(Turn::Again);
        };
        if piece.start == piece.end {
            // A scratch without octets would look like an end.
            if scratch.is_empty() {
                return Err(starttls::Error::OutputTooSmall { needed: MIN_OUTPUT }.into());
            }
            let read = source.read(scratch).map_err(|_| Fault::Unreadable)?;
            if read == 0 {
                self.exchange()?.finish()?;
                self.body = None;
                return Ok(Turn::Again);
            }
            piece = Piece { start: 0, end: read.min(scratch.len()) };
        }
        let mut rest = scratch.get(piece.start..piece.end).unwrap_or_default();
        let said = self.exchange()?.body(&mut rest, output)?;
        self.body = Some(Piece { start: piece.end.saturating_sub(rest.len()), ..piece });
        Ok(Turn::Write(said))
    }

    fn happened(&mut self, event: Event<'_>) -> Result<Turn, Fault> {
        // What is said to a goodbye means nothing.
        if !matches!(self.topic, Topic::Quit) {
            self.watch.tell(&event);
        }
        match event {
            Event::Recipient { reply, .. } if matches!(reply.code(), 200..=299) => {
                self.receipt.accepted = self.receipt.accepted.saturating_add(1);
            }
            Event::Recipient { reply, .. } => {
                self.receipt.refused = self.receipt.refused.saturating_add(1);
                self.refusal = Some((reply.code(), reply.status()));
            }
            Event::Body(_) => self.body = Some(Piece::default()),
            Event::Rejected { command, reply } => {
                // Without login there is nothing to stay for.
                let login = matches!(self.topic, Topic::Login(_));
                self.topic = if login { Topic::Quit } else { Topic::Over };
                let (code, status) = (reply.code(), reply.status());
                return Err(Fault::Rejected { command, code, status });
            }
            Event::NoRecipients => {
                self.topic = Topic::Over;
                let (code, status) = self.refusal.unwrap_or_default();
                return Err(Fault::Rejected { command: Command::Recipient, code, status });
            }
            Event::Done(_) => match self.topic {
                Topic::Hello(Some(credentials)) => self.topic = Topic::Login(credentials),
                _ => {
                    self.topic = Topic::Over;
                    return Ok(Turn::Done);
                }
            },
            _ => {}
        }
        Ok(Turn::Again)
    }
}

impl Framed for Talk<'_, '_, '_> {
    const MAX_INPUT: usize = <Exchange<'_, '_, '_, Tls> as Machine>::MAX_INPUT;
}

impl Task for Talk<'_, '_, '_> {
    fn step(&mut self, input: &mut &[u8], output: &mut [u8]) -> Result<Turn, Fault> {
        if let Some(piece) = self.body {
            return self.body(piece, output);
        }
        match self.exchange()?.step(input, output)? {
            Step::Read => Ok(Turn::Read),
            Step::Write(n) => Ok(Turn::Write(n)),
            Step::Event(event) => self.happened(event),
        }
    }

    fn end_of_input(&mut self) -> Result<(), Fault> {
        Ok(self.exchange()?.end_of_input()?)
    }

    fn timed_out(&mut self) -> starttls::Error {
        self.exchange().map_or_else(|error| error, |mut exchange| exchange.timed_out())
    }

    fn wait(&mut self) -> Option<Duration> {
        self.exchange().ok()?.wait()
    }

    /// Goodbye, where the server does not take the credentials.
    fn farewell(&mut self, output: &mut [u8]) -> usize {
        let Topic::Quit = self.topic else { return 0 };
        match self.exchange().and_then(|mut quit| quit.step(&mut &b""[..], output)) {
            Ok(Step::Write(n)) => n,
            _ => 0,
        }
    }
}
