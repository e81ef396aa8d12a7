#[cfg(feature = "extensions")]
use alloc::string::String;
use alloc::vec::Vec;

use super::{Address, EIGHT_BIT_MIME, Envelope, SMTP_UTF8};
use crate::ArgumentError;
use crate::mail::AddressBuf;
#[cfg(feature = "extensions")]
use crate::mail::dsn::{Notify, OriginalRecipient, Recipient, Request, Return, Xtext};
#[cfg(feature = "extensions")]
use crate::mail::session::{DSN, REQUIRE_TLS};

/// An [`Envelope`] that owns its addresses, for a queue.
///
/// ```
/// use starttls::mail::{Address, Envelope, EnvelopeBuf};
///
/// let to = [Address::new("you@example.org")?];
/// let envelope = Envelope::new(Some(Address::new("me@example.org")?), &to)?;
/// let queued = EnvelopeBuf::from(&envelope);
/// assert_eq!(queued.view().envelope(), envelope);
/// # Ok::<(), starttls::ArgumentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "Fields", into = "Fields"))]
pub struct EnvelopeBuf(Fields);

/// What an envelope consists of. As data it is unchecked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
struct Fields {
    from: Option<AddressBuf>,
    to: Vec<AddressBuf>,
    #[cfg_attr(feature = "serde", serde(default))]
    size: Option<usize>,
    #[cfg_attr(feature = "serde", serde(default))]
    eight_bit: bool,
    #[cfg_attr(feature = "serde", serde(default))]
    utf8: bool,
    #[cfg(feature = "extensions")]
    #[cfg_attr(feature = "serde", serde(default))]
    required_tls: bool,
    #[cfg(feature = "extensions")]
    #[cfg_attr(feature = "serde", serde(default))]
    dsn: Option<Dsn>,
}

/// What an envelope asks of reports.
#[cfg(feature = "extensions")]
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
struct Dsn {
    id: Option<String>,
    /// Whether failure reports return the whole message, if that is asked for.
    full: Option<bool>,
    all: Reports,
    each: Vec<Reports>,
}

/// What an envelope asks of reports about a recipient.
#[cfg(feature = "extensions")]
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
struct Reports {
    /// On success, failure and delay.
    notify: Option<[bool; 3]>,
    /// The type and the encoded address.
    original: Option<(String, String)>,
}

impl EnvelopeBuf {
    /// The sender and the recipients, from which [`EnvelopeView::envelope`] makes an [`Envelope`].
    #[must_use]
    pub fn view(&self) -> EnvelopeView<'_> {
        EnvelopeView {
            fields: &self.0,
            to: self.0.to.iter().map(AddressBuf::as_address).collect(),
            #[cfg(feature = "extensions")]
            each: self.0.dsn.iter().flat_map(|dsn| &dsn.each).map(Reports::view).collect(),
        }
    }
}

impl EnvelopeBuf {
    /// Whether an address is not ASCII.
    ///
    /// # Errors
    /// Those of [`Envelope::new`].
    fn needs_utf8(&self) -> Result<bool, ArgumentError> {
        let view = self.view();
        let envelope = view.envelope();
        let made = Envelope::new(envelope.from, envelope.to)?;
        #[cfg(feature = "extensions")]
        let made = made.with_dsn(envelope.dsn);
        Ok(made.needs & SMTP_UTF8 != 0)
    }
}

/// The lists that an [`Envelope`] borrows from an [`EnvelopeBuf`].
#[derive(Debug)]
pub struct EnvelopeView<'a> {
    fields: &'a Fields,
    to: Vec<Address<'a>>,
    #[cfg(feature = "extensions")]
    each: Vec<Recipient<'a>>,
}

impl EnvelopeView<'_> {
    /// The envelope.
    #[must_use]
    pub fn envelope(&self) -> Envelope<'_> {
        let fields = self.fields;
        let mut needs = 0;
        for (needed, extension) in [
            (fields.eight_bit, EIGHT_BIT_MIME),
            (fields.utf8, SMTP_UTF8),
            #[cfg(feature = "extensions")]
            (fields.required_tls, REQUIRE_TLS),
            #[cfg(feature = "extensions")]
            (fields.dsn.is_some(), DSN),
        ] {
            needs |= if needed { extension } else { 0 };
        }
        Envelope {
            from: fields.from.as_ref().map(AddressBuf::as_address),
            to: &self.to,
            size: fields.size,
            needs,
            #[cfg(feature = "extensions")]
            dsn: fields.dsn.as_ref().map_or(Request::NOTHING, |dsn| Request {
                id: dsn.id.as_deref().map(Xtext),
                returns: dsn.full.map(|full| if full { Return::Full } else { Return::Headers }),
                all: dsn.all.view(),
                each: &self.each,
            }),
        }
    }
}

impl From<&Envelope<'_>> for EnvelopeBuf {
    fn from(envelope: &Envelope<'_>) -> Self {
        let needs = |extension| envelope.needs & extension != 0;
        Self(Fields {
            from: envelope.from.map(AddressBuf::from),
            to: envelope.to.iter().map(|to| AddressBuf::from(*to)).collect(),
            size: envelope.size,
            eight_bit: needs(EIGHT_BIT_MIME),
            utf8: needs(SMTP_UTF8),
            #[cfg(feature = "extensions")]
            required_tls: needs(REQUIRE_TLS),
            #[cfg(feature = "extensions")]
            dsn: needs(DSN).then(|| Dsn {
                id: envelope.dsn.id.map(|id| id.as_str().into()),
                full: envelope.dsn.returns.map(|returns| returns == Return::Full),
                all: Reports::from(&envelope.dsn.all),
                each: envelope.dsn.each.iter().map(Reports::from).collect(),
            }),
        })
    }
}

#[cfg(feature = "extensions")]
impl From<&Recipient<'_>> for Reports {
    fn from(recipient: &Recipient<'_>) -> Self {
        let original = recipient.original;
        Self {
            notify: recipient.notify.map(|on| [on.success, on.failure, on.delay]),
            original: original.map(|of| (of.address_type().into(), of.address().as_str().into())),
        }
    }
}

#[cfg(feature = "extensions")]
impl Reports {
    fn view(&self) -> Recipient<'_> {
        let notify =
            self.notify.map(|[success, failure, delay]| Notify { success, failure, delay });
        let original = self.original.as_ref();
        let original = original.map(|(address_type, address)| OriginalRecipient {
            address_type,
            address: Xtext(address),
        });
        Recipient { notify, original }
    }

    /// Checks the texts.
    fn check(&self) -> Result<(), ArgumentError> {
        if let Some((address_type, address)) = &self.original {
            let original = OriginalRecipient::new(address_type, Xtext::international(address)?)?;
            Recipient::NOTHING.with_original(original)?;
        }
        Ok(())
    }
}

impl TryFrom<Fields> for EnvelopeBuf {
    type Error = ArgumentError;

    /// Every value goes through the constructors of the borrowed types, so an envelope that was read is like
    /// one that was made.
    fn try_from(fields: Fields) -> Result<Self, ArgumentError> {
        #[cfg(feature = "extensions")]
        if let Some(dsn) = &fields.dsn {
            if let Some(id) = &dsn.id {
                Request::NOTHING.with_id(Xtext::new(id)?)?;
            }
            [&dsn.all].into_iter().chain(&dsn.each).try_for_each(Reports::check)?;
        }
        let mut read = Self(fields);
        // It follows from the addresses.
        read.0.utf8 |= read.needs_utf8()?;
        Ok(read)
    }
}

impl From<EnvelopeBuf> for Fields {
    fn from(envelope: EnvelopeBuf) -> Self {
        envelope.0
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for EnvelopeBuf {
    fn format(&self, f: defmt::Formatter<'_>) {
        self.view().envelope().format(f);
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for EnvelopeView<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        self.envelope().format(f);
    }
}
