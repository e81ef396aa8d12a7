//! The content of a binary message, in words.

use core::fmt;

use crate::Untrusted;

/// A description of a binary message: its name, its number and the peer's text.
///
/// [`Display`](fmt::Display) shows `NAME (NUMBER): TEXT`. The text is escaped, and left out if the peer
/// sent none.
///
/// ```
/// let busy = starttls::Meaning::new("busy").with_number(51).with_text(b"later\n");
/// assert_eq!(busy.to_string(), r"busy (51): later\n");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Meaning<'i> {
    name: &'static str,
    number: Option<u32>,
    text: Untrusted<'i>,
}

impl<'i> Meaning<'i> {
    /// A description by the message's name in the protocol's specification.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name, number: None, text: Untrusted::new(&[]) }
    }

    /// Adds the number of the message.
    #[must_use]
    pub const fn with_number(self, number: u32) -> Self {
        Self { number: Some(number), ..self }
    }

    /// Adds the peer's text for people.
    #[must_use]
    pub const fn with_text(self, text: &'i [u8]) -> Self {
        Self { text: Untrusted::new(text), ..self }
    }

    /// The message's name in the protocol's specification.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The message's number, if it has one.
    #[must_use]
    pub const fn number(&self) -> Option<u32> {
        self.number
    }

    /// The peer's text for people; empty if it sent none.
    #[must_use]
    pub const fn text(&self) -> Untrusted<'i> {
        self.text
    }
}

impl fmt::Display for Meaning<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        if let Some(number) = self.number {
            write!(f, " ({number})")?;
        }
        if self.text.as_untrusted_bytes().is_empty() {
            Ok(())
        } else {
            write!(f, ": {}", self.text)
        }
    }
}
