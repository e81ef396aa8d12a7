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

use crate::{Answer, Mail, Receipt};

/// The sender and the recipients of an [`Envelope`] or of a received [`Mail`], as text.
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

impl From<&Mail> for Addresses {
    fn from(mail: &Mail) -> Self {
        Self {
            from: (!mail.from.is_empty()).then(|| mail.from.clone()),
            to: mail.to.iter().map(|to| to.path.clone()).collect(),
        }
    }
}

impl Addresses {
    /// A receipt with the same answer for each recipient.
    fn receipt(&self, answer: &Answer) -> Receipt {
        Receipt { recipients: vec![answer.clone(); self.to.len()] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Recipient;

    #[test]
    fn a_received_mail_keeps_its_paths() {
        let to = ["a@b.test", "c@b.test"].map(str::to_owned);
        let recipients = to.clone().map(|path| Recipient { path, ..Recipient::default() });
        let mut mail = Mail { to: recipients.to_vec(), ..Mail::default() };
        let addresses = Addresses::from(&mail);
        assert_eq!((addresses.from, addresses.to), (None, to.to_vec()));
        mail.from = "me@b.test".to_owned();
        assert_eq!(Addresses::from(&mail).from, Some(mail.from));
    }
}
