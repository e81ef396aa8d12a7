//! Text that a peer said before anybody knew who it is.

use core::fmt::{self, Write as _};

/// Octets from the peer that may be shown but not believed.
///
/// [`Display`](fmt::Display) and [`Debug`](fmt::Debug) escape backslashes and everything but printable
/// ASCII, so that no terminal or log can be controlled by it. Its length is bounded by the frame limit
/// of the protocol.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Untrusted<'i>(pub(crate) &'i [u8]);

impl<'i> Untrusted<'i> {
    /// Marks octets that somebody else said.
    #[must_use]
    pub const fn new(octets: &'i [u8]) -> Self {
        Self(octets)
    }

    /// The octets as they came, for a caller that escapes or judges them itself.
    #[must_use]
    pub const fn as_untrusted_bytes(&self) -> &'i [u8] {
        self.0
    }
}

impl fmt::Display for Untrusted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for octet in self.0 {
            match octet {
                b'\'' | b'"' => f.write_char(char::from(*octet))?,
                octet => core::ascii::escape_default(*octet).fmt(f)?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Untrusted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // In quotes, so that what is said cannot end them and look like another field.
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Untrusted<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        // `=[u8]:a` is printed by the decoder as an escaped byte string.
        defmt::write!(f, "{=[u8]:a}", self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_are_shown_not_sent() {
        let mut shown = heapless::String::<64>::new();
        write!(shown, "{}", Untrusted(b"ok\x1b[31m\r\n\xe2\x80\xae\0"))
            .expect("64 octets are enough");
        assert_eq!(shown, r"ok\x1b[31m\r\n\xe2\x80\xae\x00");
        shown.clear();
        write!(shown, "{}", Untrusted(br#"It's "\n""#)).expect("64 octets are enough");
        assert_eq!(shown, r#"It's "\\n""#);
        shown.clear();
        write!(shown, "{:?}", Untrusted(b"a\", b: 1")).expect("64 octets are enough");
        assert_eq!(shown, r#""a\", b: 1""#);
    }
}
