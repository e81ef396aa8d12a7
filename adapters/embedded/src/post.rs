//! What happens over TLS: hello, login, mails, goodbye.

use core::time::Duration;

use starttls::smtp::session::{Command, Event, Exchange};
use starttls::smtp::{Credentials, Envelope, Reply, Session, Status};
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

/// Hello and login.
pub(crate) struct Greet<'j, 'a, 'w> {
    pub(crate) session: &'j mut Session<'a, Tls>,
    pub(crate) credentials: Option<&'j Credentials<'j>>,
    pub(crate) watch: &'j mut Watch<'w>,
    stage: Stage,
}

/// What is being said. To ask for an exchange is to begin it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Hello,
    Login,
    Over,
}

impl<'j, 'a, 'w> Greet<'j, 'a, 'w> {
    pub(crate) const fn new(
        session: &'j mut Session<'a, Tls>,
        credentials: Option<&'j Credentials<'j>>,
        watch: &'j mut Watch<'w>,
    ) -> Self {
        Self { session, credentials, watch, stage: Stage::Hello }
    }

    fn exchange(&mut self) -> Result<Exchange<'_, 'a, '_, Tls>, starttls::Error> {
        match (self.stage, self.credentials) {
            (Stage::Hello, _) => self.session.hello(),
            (Stage::Login, Some(credentials)) => self.session.authenticate(credentials),
            _ => Err(starttls::Error::OutOfOrder),
        }
    }
}

impl Framed for Greet<'_, '_, '_> {
    const MAX_INPUT: usize = <Exchange<'_, '_, '_, Tls> as Machine>::MAX_INPUT;
}

impl Task for Greet<'_, '_, '_> {
    fn step(&mut self, input: &mut &[u8], output: &mut [u8]) -> Result<Turn, Fault> {
        let event = match self.exchange()?.step(input, output)? {
            Step::Read => return Ok(Turn::Read),
            Step::Write(n) => return Ok(Turn::Write(n)),
            Step::Event(event) => event,
        };
        self.watch.tell(&event);
        match event {
            Event::Rejected { command, reply } => Err(rejected(command, reply)),
            Event::Done(_) if self.stage == Stage::Hello && self.credentials.is_some() => {
                self.stage = Stage::Login;
                Ok(Turn::Again)
            }
            Event::Done(_) => {
                self.stage = Stage::Over;
                Ok(Turn::Done)
            }
            _ => Ok(Turn::Again),
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
        match self.session.quit().and_then(|mut quit| quit.step(&mut &b""[..], output)) {
            Ok(Step::Write(n)) => n,
            _ => 0,
        }
    }
}

/// One mail.
pub(crate) struct Mail<'j, 'a, 'w, M> {
    exchange: Exchange<'j, 'a, 'j, Tls>,
    source: M,
    watch: &'j mut Watch<'w>,
    /// What came of it.
    pub(crate) receipt: Receipt,
    /// What the last recipient was refused with.
    refusal: Option<(u16, Option<Status>)>,
    /// The message is under way; so many octets of it are unsent, in front of the scratch's end.
    body: Option<Piece>,
}

/// What is unsent of the octets that were read last, by its place in the scratch.
#[derive(Clone, Copy, Default)]
struct Piece {
    start: usize,
    end: usize,
}

impl<'j, 'a, 'w, M: Source> Mail<'j, 'a, 'w, M> {
    /// Nothing is said before the first step, and nothing at all after an error here.
    pub(crate) fn new(
        session: &'j mut Session<'a, Tls>,
        envelope: &'j Envelope<'j>,
        source: M,
        watch: &'j mut Watch<'w>,
    ) -> Result<Self, starttls::Error> {
        Ok(Self {
            exchange: session.send(envelope)?,
            source,
            watch,
            receipt: Receipt::default(),
            refusal: None,
            body: None,
        })
    }

    /// The next octets of the message, or its end. It is read into the back half of the output, and
    /// said from the front half.
    fn body(&mut self, mut piece: Piece, output: &mut [u8]) -> Result<Turn, Fault> {
        let half = output.len() / 2;
        let Some((output, scratch)) = output.split_at_mut_checked(half) else {
            return Ok(Turn::Again);
        };
        if piece.start == piece.end {
            // A scratch without octets would look like an end.
            if scratch.is_empty() {
                return Err(starttls::Error::OutputTooSmall { needed: MIN_OUTPUT }.into());
            }
            let read = self.source.read(scratch).map_err(|_| Fault::Unreadable)?;
            if read == 0 {
                self.exchange.finish()?;
                self.body = None;
                return Ok(Turn::Again);
            }
            piece = Piece { start: 0, end: read.min(scratch.len()) };
        }
        let mut rest = scratch.get(piece.start..piece.end).unwrap_or_default();
        let said = self.exchange.body(&mut rest, output)?;
        self.body = Some(Piece { start: piece.end.saturating_sub(rest.len()), ..piece });
        Ok(Turn::Write(said))
    }

    fn happened(&mut self, event: Event<'_>) -> Result<Turn, Fault> {
        self.watch.tell(&event);
        match event {
            Event::Recipient { reply, .. } if matches!(reply.code(), 200..=299) => {
                self.receipt.accepted = self.receipt.accepted.saturating_add(1);
            }
            Event::Recipient { reply, .. } => {
                self.receipt.refused = self.receipt.refused.saturating_add(1);
                self.refusal = Some((reply.code(), reply.status()));
            }
            Event::Body(_) => self.body = Some(Piece::default()),
            Event::Rejected { command, reply } => return Err(rejected(command, reply)),
            Event::NoRecipients => {
                let (code, status) = self.refusal.unwrap_or_default();
                return Err(Fault::Rejected { command: Command::Recipient, code, status });
            }
            Event::Done(_) => return Ok(Turn::Done),
            _ => {}
        }
        Ok(Turn::Again)
    }
}

impl<M: Source> Framed for Mail<'_, '_, '_, M> {
    const MAX_INPUT: usize = Greet::MAX_INPUT;
}

impl<M: Source> Task for Mail<'_, '_, '_, M> {
    fn step(&mut self, input: &mut &[u8], output: &mut [u8]) -> Result<Turn, Fault> {
        if let Some(piece) = self.body {
            return self.body(piece, output);
        }
        match self.exchange.step(input, output)? {
            Step::Read => Ok(Turn::Read),
            Step::Write(n) => Ok(Turn::Write(n)),
            Step::Event(event) => self.happened(event),
        }
    }

    fn end_of_input(&mut self) -> Result<(), Fault> {
        self.exchange.end_of_input()?;
        Err(starttls::Error::Closed.into())
    }

    fn timed_out(&mut self) -> starttls::Error {
        self.exchange.timed_out()
    }

    fn wait(&mut self) -> Option<Duration> {
        self.exchange.wait()
    }
}

/// Goodbye.
pub(crate) struct Quit<'j, 'a>(pub(crate) Exchange<'j, 'a, 'j, Tls>);

impl Framed for Quit<'_, '_> {
    const MAX_INPUT: usize = Greet::MAX_INPUT;
}

impl Task for Quit<'_, '_> {
    fn step(&mut self, input: &mut &[u8], output: &mut [u8]) -> Result<Turn, Fault> {
        Ok(match self.0.step(input, output)? {
            Step::Read => Turn::Read,
            Step::Write(n) => Turn::Write(n),
            Step::Event(event) if event.is_last() => Turn::Done,
            Step::Event(_) => Turn::Again,
        })
    }

    fn end_of_input(&mut self) -> Result<(), Fault> {
        Ok(self.0.end_of_input()?)
    }

    fn timed_out(&mut self) -> starttls::Error {
        self.0.timed_out()
    }

    fn wait(&mut self) -> Option<Duration> {
        self.0.wait()
    }
}

fn rejected(command: Command, reply: Reply<'_>) -> Fault {
    Fault::Rejected { command, code: reply.code(), status: reply.status() }
}
