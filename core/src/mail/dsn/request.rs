use super::{Notify, OriginalRecipient, Return, Xtext};
use crate::ArgumentError;
use crate::mail::limits::{MAX_ID, MAX_ORIGINAL};
use crate::wire::Writer;

/// What a sender asks of the reports on one mail.
///
/// ```
/// use starttls::mail::dsn::{Notify, Request, Return, Xtext};
///
/// let id = Xtext::new("report-7")?;
/// let request =
///     Request::NOTHING.notify(Notify::SUCCESS.and(Notify::FAILURE)).bring(Return::Headers);
/// let request = request.with_id(id)?;
/// # Ok::<(), starttls::ArgumentError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Request<'a> {
    id: Option<Xtext<'a>>,
    brings: Option<Return>,
    all: Recipient<'a>,
    each: &'a [Recipient<'a>],
}

impl<'a> Request<'a> {
    /// Nothing is asked for: failures are reported.
    pub const NOTHING: Self = Self { id: None, brings: None, all: Recipient::NOTHING, each: &[] };

    /// For every recipient, these reports.
    #[must_use]
    pub const fn notify(mut self, notify: Notify) -> Self {
        self.all.notify = Some(notify);
        self
    }

    /// For each recipient by its index, what is asked; those without an entry get what
    /// [`notify`](Self::notify) says.
    #[must_use]
    pub const fn with_each(mut self, recipients: &'a [Recipient<'a>]) -> Self {
        self.each = recipients;
        self
    }

    /// Reports of failure bring back this much of the message.
    #[must_use]
    pub const fn bring(mut self, what: Return) -> Self {
        self.brings = Some(what);
        self
    }

    /// Reports carry this id, by which the sender knows the mail again.
    ///
    /// # Errors
    /// [`ArgumentError::TooLong`] if it has more than 100 octets (RFC 3461 §4.4).
    pub const fn with_id(mut self, id: Xtext<'a>) -> Result<Self, ArgumentError> {
        if id.as_str().len() > MAX_ID {
            return Err(ArgumentError::TooLong);
        }
        self.id = Some(id);
        Ok(self)
    }

    /// The parameters of MAIL.
    pub(in crate::mail) fn put_parameters(&self, out: &mut Writer<'_>) {
        if let Some(what) = self.brings {
            out.put(match what {
                Return::Full => b" RET=FULL",
                Return::Headers => b" RET=HDRS",
            });
        }
        if let Some(id) = self.id {
            out.put(b" ENVID=");
            out.put(id.as_str().as_bytes());
        }
    }

    /// The parameters of RCPT for one recipient.
    pub(in crate::mail) fn put_recipient_parameters(&self, index: u16, out: &mut Writer<'_>) {
        self.each.get(usize::from(index)).unwrap_or(&self.all).put(out);
    }
}

/// What a sender asks of the reports on one recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Recipient<'a> {
    notify: Option<Notify>,
    original: Option<OriginalRecipient<'a>>,
}

impl<'a> Recipient<'a> {
    /// Nothing is asked for: failures are reported.
    pub const NOTHING: Self = Self { notify: None, original: None };

    /// These reports.
    #[must_use]
    pub const fn notify(mut self, notify: Notify) -> Self {
        self.notify = Some(notify);
        self
    }

    /// Reports name the recipient as the first sender did.
    ///
    /// # Errors
    /// [`ArgumentError::TooLong`] if it has more than 500 octets (RFC 3461 §4.2).
    pub const fn with_original(
        mut self,
        original: OriginalRecipient<'a>,
    ) -> Result<Self, ArgumentError> {
        let length =
            original.address_type().len().saturating_add(original.address().as_str().len());
        if length >= MAX_ORIGINAL {
            return Err(ArgumentError::TooLong);
        }
        self.original = Some(original);
        Ok(self)
    }

    fn put(&self, out: &mut Writer<'_>) {
        if let Some(notify) = self.notify {
            let mut before: &[u8] = b" NOTIFY=";
            for (wanted, name) in [
                (notify.is_never(), &b"NEVER"[..]),
                (notify.success(), b"SUCCESS"),
                (notify.failure(), b"FAILURE"),
                (notify.delay(), b"DELAY"),
            ] {
                if wanted {
                    out.put(before);
                    out.put(name);
                    before = b",";
                }
            }
        }
        if let Some(original) = &self.original {
            out.put(b" ORCPT=");
            out.put(original.address_type().as_bytes());
            out.push(b';');
            out.put(original.address().as_str().as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits() {
        let long = [b'a'; MAX_ORIGINAL];
        let text = |length: usize| core::str::from_utf8(&long[..length]).expect("ASCII");
        let id = |length| Request::NOTHING.with_id(Xtext::new(text(length)).expect("valid"));
        assert!(id(MAX_ID).is_ok());
        assert_eq!(id(MAX_ID + 1), Err(ArgumentError::TooLong));
        let original = |length| {
            let address = Xtext::new(text(length)).expect("valid");
            let original = OriginalRecipient::new("rfc822", address).expect("valid");
            Recipient::NOTHING.with_original(original)
        };
        assert!(original(MAX_ORIGINAL - 7).is_ok());
        assert_eq!(original(MAX_ORIGINAL - 6), Err(ArgumentError::TooLong));
    }
}
