use super::{Notify, OriginalRecipient, Return, Xtext};
use crate::ArgumentError;
use crate::mail::limits::{MAX_ID, MAX_ORIGINAL};
use crate::wire::Writer;

/// The reports that a sender asks for on one mail.
///
/// ```
/// use starttls::mail::dsn::{Notify, Request, Return, Xtext};
///
/// let id = Xtext::new("report-7")?;
/// let request =
///     Request::NOTHING.with_notify(Notify::SUCCESS.and(Notify::FAILURE)).with_returns(Return::Headers);
/// let request = request.with_id(id)?;
/// # Ok::<(), starttls::ArgumentError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Request<'a> {
    pub(in crate::mail) id: Option<Xtext<'a>>,
    pub(in crate::mail) returns: Option<Return>,
    pub(in crate::mail) all: Recipient<'a>,
    pub(in crate::mail) each: &'a [Recipient<'a>],
}

impl<'a> Request<'a> {
    /// No request: failures are reported.
    pub const NOTHING: Self = Self { id: None, returns: None, all: Recipient::NOTHING, each: &[] };

    /// The reports that it asks for on every recipient. `None` if it has no `NOTIFY`.
    #[must_use]
    pub const fn notify(&self) -> Option<Notify> {
        self.all.notify
    }

    /// Asks for these reports on every recipient.
    #[must_use]
    pub const fn with_notify(mut self, notify: Notify) -> Self {
        self.all.notify = Some(notify);
        self
    }

    /// Sets the requests of recipients by index. A recipient without an entry gets those of
    /// [`with_notify`](Self::with_notify).
    #[must_use]
    pub const fn with_each(mut self, recipients: &'a [Recipient<'a>]) -> Self {
        self.each = recipients;
        self
    }

    /// The request for the recipient of this index.
    #[must_use]
    pub fn recipient(&self, index: usize) -> Recipient<'a> {
        self.each.get(index).copied().unwrap_or(self.all)
    }

    /// How much of the message failure reports return. `None` leaves it to the server.
    #[must_use]
    pub const fn returns(&self) -> Option<Return> {
        self.returns
    }

    /// Sets how much of the message failure reports return.
    #[must_use]
    pub const fn with_returns(mut self, what: Return) -> Self {
        self.returns = Some(what);
        self
    }

    /// The id by which the sender recognises the mail in reports.
    #[must_use]
    pub const fn id(&self) -> Option<Xtext<'a>> {
        self.id
    }

    /// Sets the id by which the sender recognises the mail in reports.
    ///
    /// # Errors
    /// [`ArgumentError::TooLong`] if it has more than 100 bytes (RFC 3461 §4.4).
    /// [`ArgumentError::NotAscii`] if it is not ASCII: RFC 6533 extends `ORCPT` and not `ENVID`.
    pub const fn with_id(mut self, id: Xtext<'a>) -> Result<Self, ArgumentError> {
        if !id.as_str().is_ascii() {
            return Err(ArgumentError::NotAscii);
        }
        if id.as_str().len() > MAX_ID {
            return Err(ArgumentError::TooLong);
        }
        self.id = Some(id);
        Ok(self)
    }

    /// Whether an original recipient is not ASCII, which needs a server with SMTPUTF8 (RFC 6533 §3).
    pub(in crate::mail) const fn is_international(&self) -> bool {
        let mut rest = self.each;
        while let [one, others @ ..] = rest {
            if matches!(one.original, Some(original) if !original.address().as_str().is_ascii()) {
                return true;
            }
            rest = others;
        }
        false
    }

    /// Prints the parameters of MAIL.
    pub(in crate::mail) fn put_parameters(&self, out: &mut Writer<'_>) {
        if let Some(what) = self.returns {
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

    /// Prints the parameters of RCPT for one recipient.
    pub(in crate::mail) fn put_recipient_parameters(&self, index: u16, out: &mut Writer<'_>) {
        self.recipient(usize::from(index)).put(out);
    }
}

/// The reports that a sender asks for on one recipient.
///
/// ```
/// use starttls::mail::dsn::{Notify, Recipient, Request};
///
/// // Recipient 0 is reported in no case, the others on failure.
/// let each = [Recipient::NOTHING.with_notify(Notify::NEVER)];
/// let request = Request::NOTHING.with_notify(Notify::FAILURE).with_each(&each);
/// # let _ = request;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Recipient<'a> {
    pub(in crate::mail) notify: Option<Notify>,
    pub(in crate::mail) original: Option<OriginalRecipient<'a>>,
}

impl<'a> Recipient<'a> {
    /// No request: failures are reported.
    pub const NOTHING: Self = Self { notify: None, original: None };

    /// The reports that it asks for. `None` if it has no `NOTIFY`: failures are reported.
    #[must_use]
    pub const fn notify(&self) -> Option<Notify> {
        self.notify
    }

    /// Asks for these reports.
    #[must_use]
    pub const fn with_notify(mut self, notify: Notify) -> Self {
        self.notify = Some(notify);
        self
    }

    /// The recipient's original address.
    #[must_use]
    pub const fn original(&self) -> Option<OriginalRecipient<'a>> {
        self.original
    }

    /// Sets the recipient's original address, which reports then show.
    ///
    /// # Errors
    /// [`ArgumentError::TooLong`] if it has more than 500 bytes (RFC 3461 §4.2).
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
    fn a_request_is_read_as_it_was_made() {
        let address = OriginalRecipient::new("rfc822", Xtext::new("a@b").expect("valid"));
        let original = address.expect("valid");
        let one = Recipient::NOTHING.with_original(original).expect("short");
        let id = Xtext::new("7").expect("valid");
        let request = Request::NOTHING.with_notify(Notify::NEVER).with_returns(Return::Full);
        let each = [one];
        let request = request.with_id(id).expect("short").with_each(&each);
        assert_eq!(
            (request.notify(), request.returns()),
            (Some(Notify::NEVER), Some(Return::Full))
        );
        assert_eq!(request.id(), Some(id));
        let of = [0, 1].map(|index| request.recipient(index));
        assert_eq!(of.map(|one| one.notify()), [None, Some(Notify::NEVER)]);
        assert_eq!(of.map(|one| one.original()), [Some(original), None]);
        let nothing = Request::NOTHING;
        assert_eq!((nothing.notify(), nothing.returns(), nothing.id()), (None, None, None));
    }

    #[test]
    fn limits() {
        let long = [b'a'; MAX_ORIGINAL];
        let text = |length: usize| core::str::from_utf8(&long[..length]).expect("ASCII");
        let id = |length| Request::NOTHING.with_id(Xtext::new(text(length)).expect("valid"));
        assert!(id(MAX_ID).is_ok());
        assert_eq!(id(MAX_ID + 1), Err(ArgumentError::TooLong));
        let id = Xtext::international("\u{fc}").expect("valid");
        assert_eq!(Request::NOTHING.with_id(id), Err(ArgumentError::NotAscii));
        let original = |length| {
            let address = Xtext::new(text(length)).expect("valid");
            let original = OriginalRecipient::new("rfc822", address).expect("valid");
            Recipient::NOTHING.with_original(original)
        };
        assert!(original(MAX_ORIGINAL - 7).is_ok());
        assert_eq!(original(MAX_ORIGINAL - 6), Err(ArgumentError::TooLong));
    }
}
