use std::ops::ControlFlow;

use starttls::mail::session::{Command, Event};
use starttls::mail::{Envelope, opening};

use crate::{Answer, Error};

/// What became of a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// For each recipient of the envelope, in its order: the answer that took or refused the mail.
    pub recipients: Vec<Answer>,
}

impl Receipt {
    /// Whether every recipient was accepted.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.recipients.iter().all(Answer::is_yes)
    }
}

/// What the events of a mail say of it.
#[derive(Debug)]
pub struct Letter {
    recipients: Vec<Answer>,
    /// The places of those that were accepted. LMTP answers for each of them, SMTP for all.
    accepted: Vec<usize>,
}

/// Where a mail stands. Exhaustive: there is no third place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The server waits for the message.
    Message,
    /// The mail is settled.
    Settled,
}

impl Letter {
    /// Before anything is said.
    #[must_use]
    pub fn new(envelope: &Envelope<'_>) -> Self {
        let recipients = Vec::with_capacity(envelope.to().len());
        Self { recipients, accepted: Vec::new() }
    }

    /// Takes an event; breaks where the loop has something to do.
    ///
    /// # Errors
    /// [`Error::Rejected`] if no recipient gets the mail.
    pub fn note(&mut self, event: Event<'_>) -> Result<ControlFlow<Stage>, Error> {
        match event {
            Event::Recipient { reply, .. } => {
                let answer = Answer::from(reply);
                if answer.is_yes() {
                    self.accepted.push(self.recipients.len());
                }
                self.recipients.push(answer);
            }
            Event::Body(_) => return Ok(ControlFlow::Break(Stage::Message)),
            Event::NoRecipients => {
                let answer = self.recipients.last().cloned();
                let answer = answer.ok_or(Error::from(starttls::Error::OutOfOrder))?;
                return Err(Error::Rejected { command: Command::Recipient, answer });
            }
            Event::Delivery { index, reply } => {
                if let Some(place) = self.accepted.get(usize::from(index)) {
                    self.recipients[*place] = reply.into();
                }
            }
            Event::Done(reply) => {
                for place in &self.accepted {
                    self.recipients[*place] = reply.into();
                }
                return Ok(ControlFlow::Break(Stage::Settled));
            }
            Event::Delivered => return Ok(ControlFlow::Break(Stage::Settled)),
            Event::Rejected { command, reply } => {
                return Err(Error::Rejected { command, answer: reply.into() });
            }
            _ => {}
        }
        Ok(ControlFlow::Continue(()))
    }

    /// For each recipient, what was said last.
    #[must_use]
    pub fn into_receipt(self) -> Receipt {
        Receipt { recipients: self.recipients }
    }
}

/// What the events of an opening say of it.
#[derive(Debug, Default)]
pub struct Welcome {
    rejected: Option<Error>,
}

/// Where an opening stands. Exhaustive: there is no fourth place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened {
    /// The TLS handshake is to be made.
    StartTls,
    /// The connection goes on without TLS.
    Plaintext,
    /// It is open.
    Ready,
}

impl Welcome {
    /// Takes an event; breaks where the loop has something to do. A refusal is remembered: the machine says
    /// goodbye before it fails.
    pub fn note(&mut self, event: opening::Event<'_>) -> ControlFlow<Opened> {
        match event {
            opening::Event::StartTls => return ControlFlow::Break(Opened::StartTls),
            opening::Event::Plaintext(_) => return ControlFlow::Break(Opened::Plaintext),
            opening::Event::Ready => return ControlFlow::Break(Opened::Ready),
            opening::Event::Session(Event::Rejected { command, reply }) => {
                self.rejected = Some(Error::Rejected { command, answer: reply.into() });
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    /// Why the opening failed: the refusal, if there was one.
    #[must_use]
    pub fn error(self, error: Error) -> Error {
        self.rejected.unwrap_or(error)
    }
}
