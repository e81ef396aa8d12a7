use super::Address;
#[cfg(feature = "extensions")]
use super::dsn::Request;
#[cfg(feature = "extensions")]
use super::session::{DSN, REQUIRE_TLS};
use super::session::{EIGHT_BIT_MIME, Extensions, SMTP_UTF8};
use crate::wire::Writer;
use crate::{ArgumentError, Error};

/// Whom a mail is from and for, and what the server has to know of it beforehand. The names in the
/// message itself play no part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Envelope<'a> {
    from: Option<Address<'a>>,
    to: &'a [Address<'a>],
    size: Option<usize>,
    /// The bits of the extensions that such a mail needs.
    needs: u16,
    #[cfg(feature = "extensions")]
    dsn: Request<'a>,
}

impl<'a> Envelope<'a> {
    /// `from` is where failures are reported; `None` is the null path of such reports.
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

    /// The message has about so many octets, CRLFs counted and stuffed dots not: a server that says
    /// how much it takes (RFC 1870) can refuse it before it is sent.
    #[must_use]
    pub const fn with_size(mut self, octets: usize) -> Self {
        self.size = Some(octets);
        self
    }

    /// The message has octets above 127, which a server has to offer to take (RFC 6152).
    #[must_use]
    pub const fn with_eight_bit(mut self) -> Self {
        self.needs |= EIGHT_BIT_MIME;
        self
    }

    /// The message has characters outside ASCII in its header (RFC 6532), which a server has to offer
    /// to take (RFC 6531).
    #[cfg(feature = "extensions")]
    #[must_use]
    pub const fn with_utf8(mut self) -> Self {
        self.needs |= SMTP_UTF8;
        self
    }

    /// Each server on the way has to pass the mail on over TLS to a server that is verified, or not
    /// at all (RFC 8689). It goes over TLS to a verified server only.
    ///
    /// A report, whose sender is the null path, goes to any server, and says so to those that know of it
    /// (RFC 8689 §5).
    #[cfg(feature = "extensions")]
    #[must_use]
    pub const fn with_required_tls(mut self) -> Self {
        self.needs |= REQUIRE_TLS;
        self
    }

    /// Asks for reports on the delivery (RFC 3461).
    #[cfg(feature = "extensions")]
    #[must_use]
    pub const fn with_dsn(mut self, request: Request<'a>) -> Self {
        self.needs |= DSN;
        self.dsn = request;
        self
    }

    /// Where failures are reported.
    #[must_use]
    pub const fn from(&self) -> Option<Address<'a>> {
        self.from
    }

    /// The recipients; results refer to them by index.
    #[must_use]
    pub const fn to(&self) -> &'a [Address<'a>] {
        self.to
    }

    /// Whether there is a recipient of this index.
    pub(super) fn has(&self, index: u16) -> bool {
        usize::from(index) < self.to.len()
    }

    /// Whether only a verified server may be told of it
    /// ([`with_required_tls`](Self::with_required_tls)).
    #[cfg(feature = "extensions")]
    #[must_use]
    pub const fn requires_tls(&self) -> bool {
        self.needs & REQUIRE_TLS != 0 && self.from.is_some()
    }

    /// What a server has to offer.
    #[cfg(feature = "extensions")]
    const fn needs(&self) -> u16 {
        if self.from.is_some() { self.needs } else { self.needs & !REQUIRE_TLS }
    }

    #[cfg(not(feature = "extensions"))]
    const fn needs(&self) -> u16 {
        self.needs
    }

    /// Whether the server takes such a mail at all.
    pub(super) const fn check(&self, offered: Extensions) -> Result<(), Error> {
        if !offered.has(self.needs()) {
            return Err(Error::Unsupported);
        }
        match (self.size, offered.max_size()) {
            (Some(size), Some(limit)) if size > limit => Err(Error::MessageTooLarge),
            _ => Ok(()),
        }
    }

    /// The parameters of MAIL, each with a blank in front, as far as the server offers them.
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

    /// The parameters of RCPT for the recipient of this index.
    #[cfg(feature = "extensions")]
    pub(super) fn put_recipient_parameters(&self, index: u16, out: &mut Writer<'_>) {
        self.dsn.put_recipient_parameters(index, out);
    }
}
