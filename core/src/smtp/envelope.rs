use super::Address;
use super::session::Extensions;
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
    eight_bit: bool,
}

impl<'a> Envelope<'a> {
    /// `from` is where failures are reported; `None` is the null path of such reports.
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
        Ok(Self { from, to, size: None, eight_bit: false })
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
        self.eight_bit = true;
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

    /// Whether the server takes such a mail at all.
    pub(super) const fn check(&self, offered: Extensions) -> Result<(), Error> {
        if self.eight_bit && !offered.eight_bit_mime() {
            return Err(Error::Unsupported);
        }
        match (self.size, offered.max_size()) {
            (Some(size), Some(limit)) if size > limit => Err(Error::MessageTooLarge),
            _ => Ok(()),
        }
    }

    /// `Mail-parameters`, each with a blank in front, as far as the server offers them.
    pub(super) fn put_parameters(&self, offered: Extensions, out: &mut Writer<'_>) {
        if let Some(size) = self.size
            && offered.size()
        {
            out.put(b" SIZE=");
            out.put_decimal(size);
        }
        if self.eight_bit {
            out.put(b" BODY=8BITMIME");
        }
    }
}
