//! Where mail goes in tests and during development: a list, files, a local program.

mod durable;
mod files;
mod recorder;
mod sendmail;

pub use durable::{create_durably, sync_names, write_durably};
pub use files::{EmlFiles, Maildir};
pub use recorder::{Recorded, Recorder};
pub use sendmail::Sendmail;
use starttls::mail::Envelope;

use crate::{Answer, Receipt};

/// The sender and the recipients of an [`Envelope`], as text.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// The sender. `None` is the null path.
    pub from: Option<String>,
    /// The recipients.
    pub to: Vec<String>,
}

impl From<&Envelope<'_>> for Addresses {
    fn from(envelope: &Envelope<'_>) -> Self {
        Self {
            from: envelope.from().map(|from| from.as_str().to_owned()),
            to: envelope.to().iter().map(|to| to.as_str().to_owned()).collect(),
        }
    }
}

impl Addresses {
    /// A receipt with the same answer for each recipient.
    fn receipt(&self, answer: &Answer) -> Receipt {
        Receipt { recipients: vec![answer.clone(); self.to.len()] }
    }
}
