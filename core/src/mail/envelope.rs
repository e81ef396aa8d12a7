#[cfg(feature = "alloc")]
mod owned;

#[cfg(feature = "alloc")]
pub use self::owned::{EnvelopeBuf, EnvelopeView};
use super::Address;
#[cfg(feature = "extensions")]
use super::dsn::Request;
#[cfg(feature = "extensions")]
use super::session::{DSN, REQUIRE_TLS};
use super::session::{EIGHT_BIT_MIME, Extensions, SMTP_UTF8};
use crate::wire::Writer;
use crate::{ArgumentError, Error};

/// The sender and the recipients of a mail, and what it requires of the server. The names in the message do
/// not matter here.
///
/// ```
/// use starttls::mail::{Address, Envelope};
///
/// let to = [Address::new("you@example.org")?];
/// let envelope = Envelope::new(Some(Address::new("me@example.org")?), &to)?.with_size(2000);
/// assert_eq!(envelope.to().len(), 1);
/// # Ok::<(), starttls::ArgumentError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Envelope<'a> {
    from: Option<Address<'a>>,
    to: &'a [Address<'a>],
    size: Option<usize>,
    /// The bits of the extensions that the mail needs.
    needs: u16,
    #[cfg(feature = "extensions")]
    dsn: Request<'a>,
}

impl<'a> Envelope<'a> {
    /// An envelope. Failures are reported to `from`; `None` is the null path, which those reports
    /// themselves have.
    ///
    /// A mail with an [international](Address::international) address needs a server that offers
    /// `SMTPUTF8`.
    ///
    /// # Errors
    /// [`ArgumentError::Empty`] without recipients, [`ArgumentError::TooLong`] for more than 65,535.
    pub const fn new(
        from: Option<Address<'a>>,
        to: &'a [Address<'a>],
    ) -> Result<Self, ArgumentError> {
        if to.is_empty() {
            return Err(ArgumentError::Empty);
        }
        if to.len() > u16::MAX as usize {
            return Err(ArgumentError::TooLong);
        }
        let mut international = match from {
            Some(from) => from.is_international(),
            None => false,
        };
        let mut rest = to;
        while let [address, others @ ..] = rest {
            international |= address.is_international();
            rest = others;
        }
        let needs = if international { SMTP_UTF8 } else { 0 };
        Ok(Self {
            from,
            to,
            size: None,
            needs,
            #[cfg(feature = "extensions")]
            dsn: Request::NOTHING,
        })
    }

    /// The same mail for other recipients. The requests of [`dsn`](Self::dsn) stay as they are: those of
    /// recipients by index may have to be set again.
    ///
    /// # Errors
    /// Those of [`new`](Self::new).
    pub fn with_recipients<'b>(&self, to: &'b [Address<'b>]) -> Result<Envelope<'b>, ArgumentError>
    where
        'a: 'b,
    {
        let others = Envelope::new(self.from, to)?;
        Ok(Envelope { to, needs: self.needs | others.needs, ..*self })
    }

    /// Sets the approximate size of the message in bytes, including CRLFs and without added dots. A server
    /// that announces its limit (RFC 1870) can refuse the mail before it is sent.
    #[must_use]
    pub const fn with_size(mut self, octets: usize) -> Self {
        self.size = Some(octets);
        self
    }

    /// Declares bytes above 127 in the message. The server has to offer `8BITMIME` (RFC 6152).
    #[must_use]
    pub const fn with_eight_bit(mut self) -> Self {
        self.needs |= EIGHT_BIT_MIME;
        self
    }

    /// Declares characters outside ASCII in the header (RFC 6532). The server has to offer `SMTPUTF8`
    /// (RFC 6531).
    #[cfg(feature = "extensions")]
    #[must_use]
    pub const fn with_utf8(mut self) -> Self {
        self.needs |= SMTP_UTF8;
        self
    }

    /// Requires TLS to a verified server on every hop (RFC 8689). No server may pass the mail on without
    /// it.
    ///
    /// A delivery report, whose sender is the null path, goes to any server. It carries the requirement
    /// only to servers that know it (RFC 8689 §5).
    #[cfg(feature = "extensions")]
    #[must_use]
    pub const fn with_required_tls(mut self) -> Self {
        self.needs |= REQUIRE_TLS;
        self
    }

    /// Asks for delivery reports (RFC 3461). If an original recipient is not ASCII, the server also has to
    /// offer `SMTPUTF8` (RFC 6533 §3).
    #[cfg(feature = "extensions")]
    #[must_use]
    pub const fn with_dsn(mut self, request: Request<'a>) -> Self {
        self.needs |= DSN | if request.is_international() { SMTP_UTF8 } else { 0 };
        self.dsn = request;
        self
    }

    /// Whether the message has bytes above 127 ([`with_eight_bit`](Self::with_eight_bit)).
    #[must_use]
    pub const fn is_eight_bit(&self) -> bool {
        self.needs & EIGHT_BIT_MIME != 0
    }

    /// Whether the header or an address has characters outside ASCII.
    #[must_use]
    pub const fn is_utf8(&self) -> bool {
        self.needs & SMTP_UTF8 != 0
    }

    /// The delivery reports that it asks for.
    #[cfg(feature = "extensions")]
    #[must_use]
    pub const fn dsn(&self) -> Request<'a> {
        self.dsn
    }

    /// The address to which failures are reported.
    #[must_use]
    pub const fn from(&self) -> Option<Address<'a>> {
        self.from
    }

    /// The recipients. Results refer to them by index.
    #[must_use]
    pub const fn to(&self) -> &'a [Address<'a>] {
        self.to
    }

    /// Whether there is a recipient of this index.
    pub(super) fn has(&self, index: u16) -> bool {
        usize::from(index) < self.to.len()
    }

    /// Whether only a verified server may get the envelope
    /// ([`with_required_tls`](Self::with_required_tls)).
    #[cfg(feature = "extensions")]
    #[must_use]
    pub const fn requires_tls(&self) -> bool {
        self.needs & REQUIRE_TLS != 0 && self.from.is_some()
    }

    /// The bits of the extensions that the server has to offer.
    #[cfg(feature = "extensions")]
    const fn needs(&self) -> u16 {
        if self.from.is_some() { self.needs } else { self.needs & !REQUIRE_TLS }
    }

    #[cfg(not(feature = "extensions"))]
    const fn needs(&self) -> u16 {
        self.needs
    }

    /// Checks that the server can take such a mail.
    pub(super) const fn check(&self, offered: Extensions) -> Result<(), Error> {
        if let Err(missing) = offered.check(self.needs()) {
            return Err(missing);
        }
        match (self.size, offered.max_size()) {
            (Some(size), Some(limit)) if size > limit => Err(Error::MessageTooLarge),
            _ => Ok(()),
        }
    }

    /// Prints the parameters of MAIL that the server offers, each with a blank before it.
    pub(super) fn put_parameters(&self, offered: Extensions, out: &mut Writer<'_>) {
        if let Some(size) = self.size
            && offered.size()
        {
            out.put(b" SIZE=");
            out.put_decimal(size);
        }
        let mut put = |extension, text| {
            if self.needs & extension != 0 {
                out.put(text);
            }
        };
        put(EIGHT_BIT_MIME, &b" BODY=8BITMIME"[..]);
        #[cfg(feature = "extensions")]
        put(SMTP_UTF8, b" SMTPUTF8");
        #[cfg(feature = "extensions")]
        if offered.has(REQUIRE_TLS) {
            put(REQUIRE_TLS, b" REQUIRETLS");
        }
        #[cfg(feature = "extensions")]
        self.dsn.put_parameters(out);
    }

    /// Prints the parameters of RCPT for the recipient of this index.
    #[cfg(feature = "extensions")]
    pub(super) fn put_recipient_parameters(&self, index: u16, out: &mut Writer<'_>) {
        self.dsn.put_recipient_parameters(index, out);
    }
}
