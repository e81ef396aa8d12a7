use std::mem;
use std::ops::ControlFlow;

use starttls::mail::session::{Command, Event};
use starttls::mail::{Envelope, opening};
use starttls::smtp::Reply;

use crate::{Answer, Error};

/// The server's replies to a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The reply that accepted or refused each recipient, in the envelope's order.
    pub recipients: Vec<Answer>,
}

impl Receipt {
    /// Whether every recipient was accepted.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.recipients.iter().all(Answer::is_yes)
    }

    /// The indices of the recipients that exceeded the server's limit of one transaction (RFC 5321
    /// §4.5.3.1.10).
    ///
    /// A further transaction can reach them at once. Empty if no recipient was accepted before them, because
    /// a retry would then gain nothing.
    #[must_use]
    pub fn left_out(&self) -> Vec<usize> {
        let mut accepted = self.recipients.iter().map(Answer::is_yes);
        if !accepted.any(|is_yes| is_yes) {
            return Vec::new();
        }
        let places = self.recipients.iter().enumerate();
        places.filter(|(_, answer)| answer.is_too_many()).map(|(place, _)| place).collect()
    }

    /// Adds the receipt of a further transaction to the recipients at these indices.
    pub(crate) fn add(&mut self, places: &[usize], more: Self) {
        for (place, answer) in places.iter().zip(more.recipients) {
            if let Some(known) = self.recipients.get_mut(*place) {
                *known = answer;
            }
        }
    }
}

/// The lines of a reply before its last one.
#[derive(Debug, Default)]
struct Lines(Vec<String>);

impl Lines {
    fn hear(&mut self, reply: Reply<'_>) {
        if reply.is_last() {
            self.0.clear();
        } else {
            self.0.push(reply.text().to_string());
        }
    }

    /// The complete reply.
    fn answer(&mut self, last: Reply<'_>) -> Answer {
        self.0.push(last.text().to_string());
        let text = mem::take(&mut self.0).join("\n");
        Answer { text, ..last.into() }
    }
}

/// Collects the replies to one mail.
#[derive(Debug)]
pub struct Letter {
    lines: Lines,
    recipients: Vec<Answer>,
    /// The indices of the accepted recipients. LMTP replies to the message for each of them, SMTP for all at
    /// once.
    accepted: Vec<usize>,
    /// How many of them LMTP has replied to after the message.
    settled: usize,
}

/// The state of a mail.
///
/// The enum is exhaustive: there is no third state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The server waits for the message.
    Message,
    /// The server has replied for every recipient.
    Settled,
}

impl Letter {
    /// No reply has arrived yet.
    #[must_use]
    pub fn new(envelope: &Envelope<'_>) -> Self {
        let recipients = Vec::with_capacity(envelope.to().len());
        Self { lines: Lines::default(), recipients, accepted: Vec::new(), settled: 0 }
    }

    /// The reply for each recipient, as far as one has arrived.
    pub(crate) fn known(self) -> Vec<Option<Answer>> {
        let mut known: Vec<_> = self.recipients.into_iter().map(Some).collect();
        for place in self.accepted.into_iter().skip(self.settled) {
            if let Some(answer) = known.get_mut(place) {
                *answer = None;
            }
        }
        known
    }

    /// Takes an event. Breaks when the loop has to act.
    ///
    /// # Errors
    /// [`Error::Rejected`] if no recipient is accepted.
    pub fn note(&mut self, event: Event<'_>) -> Result<ControlFlow<Stage>, Error> {
        match event {
            Event::Received(reply) => self.lines.hear(reply),
            Event::Recipient { reply, .. } => {
                let answer = self.lines.answer(reply);
                if answer.is_yes() {
                    self.accepted.push(self.recipients.len());
                }
                self.recipients.push(answer);
            }
            Event::Body(_) => return Ok(ControlFlow::Break(Stage::Message)),
            Event::NoRecipients => {
                let answer = self.recipients.last().cloned();
                let answer = answer.ok_or(Error::from(starttls::Error::OutOfOrder))?;
                let recipients = mem::take(&mut self.recipients);
                return Err(Error::Rejected { command: Command::Recipient, answer, recipients });
            }
            Event::Delivery { index, reply } => {
                let answer = self.lines.answer(reply);
                if let Some(place) = self.accepted.get(usize::from(index)) {
                    self.recipients[*place] = answer;
                }
                self.settled = usize::from(index) + 1;
            }
            Event::Done(reply) => {
                let answer = self.lines.answer(reply);
                for place in &self.accepted {
                    self.recipients[*place] = answer.clone();
                }
                return Ok(ControlFlow::Break(Stage::Settled));
            }
            Event::Delivered => return Ok(ControlFlow::Break(Stage::Settled)),
            Event::Rejected { command, reply } => {
                let answer = self.lines.answer(reply);
                for place in &self.accepted {
                    self.recipients[*place] = answer.clone();
                }
                let recipients = mem::take(&mut self.recipients);
                return Err(Error::Rejected { command, answer, recipients });
            }
            _ => self.lines = Lines::default(),
        }
        Ok(ControlFlow::Continue(()))
    }

    /// The receipt, with the last reply for each recipient.
    #[must_use]
    pub fn into_receipt(self) -> Receipt {
        Receipt { recipients: self.recipients }
    }
}

/// Collects the replies during an opening.
#[derive(Debug, Default)]
pub struct Welcome {
    lines: Lines,
    rejected: Option<Error>,
}

/// The state of an opening.
///
/// The enum is exhaustive: there is no fourth state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened {
    /// The TLS handshake is next.
    StartTls,
    /// The connection continues without TLS.
    Plaintext,
    /// The connection is open for mail.
    Ready,
}

impl Welcome {
    /// Takes an event. Breaks when the loop has to act. A refusal is stored, because the machine says goodbye
    /// before it fails.
    pub fn note(&mut self, event: opening::Event<'_>) -> ControlFlow<Opened> {
        match event {
            opening::Event::StartTls => return ControlFlow::Break(Opened::StartTls),
            opening::Event::Plaintext(_) => return ControlFlow::Break(Opened::Plaintext),
            opening::Event::Ready => return ControlFlow::Break(Opened::Ready),
            opening::Event::Session(Event::Received(reply)) => self.lines.hear(reply),
            opening::Event::Session(Event::Rejected { command, reply }) => {
                let (answer, recipients) = (self.lines.answer(reply), Vec::new());
                self.rejected = Some(Error::Rejected { command, answer, recipients });
            }
            _ => self.lines = Lines::default(),
        }
        ControlFlow::Continue(())
    }

    /// The stored refusal.
    pub(crate) fn into_refusal(self) -> Option<Error> {
        self.rejected
    }

    /// The error of a failed opening: the stored refusal, or else `error`.
    #[must_use]
    pub fn error(self, error: Error) -> Error {
        self.rejected.unwrap_or(error)
    }
}
