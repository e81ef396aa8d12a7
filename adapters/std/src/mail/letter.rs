use std::ops::ControlFlow;

use starttls::Error as Rule;
use starttls::mail::Envelope;
use starttls::mail::session::{Command, Event};

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

/// What the events of a mail say of it: the part that every loop has alike.
#[derive(Debug)]
pub struct Letter {
    recipients: Vec<Answer>,
    /// The places of those who were accepted.
    accepted: Vec<usize>,
    refused: bool,
}

impl Letter {
    /// Nothing is said yet.
    #[must_use]
    pub fn new(envelope: &Envelope<'_>) -> Self {
        let recipients = Vec::with_capacity(envelope.to().len());
        Self { recipients, accepted: Vec::new(), refused: false }
    }

    /// Until the server waits for the message, or for none.
    ///
    /// # Errors
    /// [`Error::Rejected`].
    pub fn envelope(&mut self, event: Event<'_>) -> Result<ControlFlow<()>, Error> {
        match event {
            Event::Recipient { reply, .. } => self.recipients.push(reply.into()),
            Event::Body(_) => return Ok(ControlFlow::Break(())),
            Event::NoRecipients => {
                self.refused = true;
                return Ok(ControlFlow::Break(()));
            }
            Event::Rejected { .. } => return settle(event),
            _ => {}
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Whether anybody takes the mail, behind [`envelope`](Self::envelope).
    ///
    /// # Errors
    /// [`Error::Rejected`] if nobody does.
    pub fn check(&mut self) -> Result<(), Error> {
        if let (true, Some(answer)) = (self.refused, self.recipients.last()) {
            let (command, answer) = (Command::Recipient, answer.clone());
            return Err(Error::Rejected { command, answer });
        }
        // LMTP answers for each accepted recipient, SMTP for all.
        self.accepted =
            (0..self.recipients.len()).filter(|index| self.recipients[*index].is_yes()).collect();
        Ok(())
    }

    /// Until it is known what became of the message.
    ///
    /// # Errors
    /// [`Error::Rejected`].
    pub fn message(&mut self, event: Event<'_>) -> Result<ControlFlow<()>, Error> {
        match event {
            Event::Delivery { index, reply } => {
                if let Some(place) = self.accepted.get(usize::from(index)) {
                    self.recipients[*place] = reply.into();
                }
                return Ok(ControlFlow::Continue(()));
            }
            Event::Done(reply) => {
                for place in &self.accepted {
                    self.recipients[*place] = reply.into();
                }
            }
            _ => {}
        }
        settle(event)
    }

    /// For each recipient, what was said last.
    #[must_use]
    pub fn into_receipt(self) -> Receipt {
        Receipt { recipients: self.recipients }
    }
}

/// Until a job is done.
///
/// # Errors
/// [`Error::Rejected`].
pub fn settle(event: Event<'_>) -> Result<ControlFlow<()>, Error> {
    match event {
        Event::Done(_) | Event::Delivered => Ok(ControlFlow::Break(())),
        Event::Rejected { command, reply } => {
            Err(Error::Rejected { command, answer: reply.into() })
        }
        _ => Ok(ControlFlow::Continue(())),
    }
}

/// Whether the server still listens to who could not log in.
#[must_use]
pub fn may_quit(error: &Error) -> bool {
    matches!(error, Error::Rejected { .. })
        || matches!(error.protocol(), Some(Rule::Unsupported | Rule::Unverified))
}
