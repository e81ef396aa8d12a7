use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Addresses;
use crate::{Answer, Error, Receipt};

/// The outcome of each mail.
type Outcome = dyn Fn(&Addresses) -> Result<Receipt, Error> + Send + Sync;

/// A transport that sends nothing, and keeps every mail in memory. Clones share the list.
///
/// For tests of an application. By default each mail is accepted.
///
/// ```
/// use starttls_common::{Answer, Error, Receipt, Recorder};
///
/// // Every mailbox is full.
/// let full = Recorder::new().with_outcome(|mail| {
///     Ok(Receipt { recipients: vec![Answer::new(452, "4.2.2 Mailbox full"); mail.to.len()] })
/// });
/// // The server closes the connection.
/// let gone = Recorder::new().with_outcome(|_| Err(Error::from(starttls::Error::Closed)));
/// # let _ = (full, gone);
/// ```
#[derive(Clone, Default)]
pub struct Recorder {
    mails: Arc<Mutex<Vec<Recorded>>>,
    outcome: Option<Arc<Outcome>>,
}

/// A mail that a [`Recorder`] got.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recorded {
    /// The sender. `None` is the null path.
    pub from: Option<String>,
    /// The recipients that were accepted. Empty if the mail failed.
    pub to: Vec<String>,
    /// The message.
    pub message: Vec<u8>,
}

impl Recorder {
    /// A recorder that accepts every mail.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the outcome of each mail, which should have one answer for each recipient.
    #[must_use]
    pub fn with_outcome(
        mut self,
        outcome: impl Fn(&Addresses) -> Result<Receipt, Error> + Send + Sync + 'static,
    ) -> Self {
        self.outcome = Some(Arc::new(outcome));
        self
    }

    /// All mails so far, the failed ones included.
    #[must_use]
    pub fn mails(&self) -> Vec<Recorded> {
        self.list().clone()
    }

    /// Takes the mails out of the list.
    #[must_use]
    pub fn take(&self) -> Vec<Recorded> {
        std::mem::take(&mut *self.list())
    }

    /// Records a mail.
    ///
    /// # Errors
    /// Those of the outcome that was set.
    pub fn record(&self, mail: &Addresses, message: &[u8]) -> Result<Receipt, Error> {
        let accepted = || Ok(mail.receipt(&Answer::new(250, "2.0.0 Recorded")));
        let outcome = self.outcome.as_ref().map_or_else(accepted, |outcome| outcome(mail));
        let answers = outcome.as_ref().map(|receipt| &receipt.recipients[..]).unwrap_or_default();
        let to = mail.to.iter().zip(answers).filter(|(_, answer)| answer.is_yes());
        let to = to.map(|(to, _)| to.clone()).collect();
        self.list().push(Recorded { from: mail.from.clone(), to, message: message.to_vec() });
        outcome
    }

    fn list(&self) -> MutexGuard<'_, Vec<Recorded>> {
        self.mails.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").field("mails", &self.list().len()).finish_non_exhaustive()
    }
}
