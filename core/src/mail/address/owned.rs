use alloc::string::String;
use core::fmt;

use super::Address;
use crate::ArgumentError;

/// An [`Address`] that owns its text.
///
/// ```
/// use starttls::mail::{Address, AddressBuf};
///
/// let owned = AddressBuf::new("me@example.org")?;
/// assert_eq!(owned.as_address(), Address::new("me@example.org")?);
/// # Ok::<(), starttls::ArgumentError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "String", into = "String"))]
pub struct AddressBuf(String);

impl AddressBuf {
    /// Checks an address as [`Address::new`] does.
    ///
    /// # Errors
    /// Those of [`Address::new`].
    pub fn new(address: impl Into<String>) -> Result<Self, ArgumentError> {
        let address = address.into();
        Address::new(&address)?;
        Ok(Self(address))
    }

    /// Checks an address as [`Address::international`] does. A value that is read by serde may be
    /// international, too.
    ///
    /// # Errors
    /// Those of [`Address::international`].
    pub fn international(address: impl Into<String>) -> Result<Self, ArgumentError> {
        let address = address.into();
        Address::international(&address)?;
        Ok(Self(address))
    }

    /// The address.
    #[must_use]
    pub fn as_address(&self) -> Address<'_> {
        Address(&self.0)
    }

    /// The text, without angle brackets.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Address<'_>> for AddressBuf {
    fn from(address: Address<'_>) -> Self {
        Self(address.as_str().into())
    }
}

/// As [`AddressBuf::international`].
impl TryFrom<String> for AddressBuf {
    type Error = ArgumentError;

    fn try_from(address: String) -> Result<Self, ArgumentError> {
        Self::international(address)
    }
}

impl From<AddressBuf> for String {
    fn from(address: AddressBuf) -> Self {
        address.0
    }
}

impl fmt::Display for AddressBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for AddressBuf {
    fn format(&self, f: defmt::Formatter<'_>) {
        self.as_address().format(f);
    }
}
