//! Text from a peer that is not authenticated.

use core::fmt::{self, Write as _};

/// Bytes from the peer, which may be shown but not trusted.
///
/// [`Display`](fmt::Display) and [`Debug`](fmt::Debug) escape backslashes and everything but printable
/// ASCII, so that the peer cannot control a terminal or a log (I8). The protocol's frame limit bounds the
/// length. `Display` marks a text that was cut there with `...`.
///
/// ```
/// let text = starttls::Untrusted::new(b"220 mx\x1b[31m");
/// assert_eq!(text.to_string(), r"220 mx\x1b[31m");
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Untrusted<'i> {
    pub(crate) octets: &'i [u8],
    cut: bool,
}

impl<'i> Untrusted<'i> {
    /// Marks bytes as the peer's.
    #[must_use]
    pub const fn new(octets: &'i [u8]) -> Self {
        Self { octets, cut: false }
    }

    /// Marks the bytes as the front of a longer text, if `cut`.
    #[must_use]
    pub const fn with_cut(self, cut: bool) -> Self {
        Self { octets: self.octets, cut }
    }

    /// Whether this is the front of a text that was longer than the machine keeps.
    #[must_use]
    pub const fn is_cut(&self) -> bool {
        self.cut
    }

    /// The bytes as received, for a caller that escapes or checks them itself.
    #[must_use]
    pub const fn as_untrusted_bytes(&self) -> &'i [u8] {
        self.octets
    }
}

impl fmt::Display for Untrusted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for octet in self.octets {
            match octet {
                b'\'' | b'"' => f.write_char(char::from(*octet))?,
                octet => core::ascii::escape_default(*octet).fmt(f)?,
            }
        }
        if self.cut { f.write_str("...") } else { Ok(()) }
    }
}

impl fmt::Debug for Untrusted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Escaped quotes keep the peer's text from ending the field and forging another one.
        write!(f, "\"{}\"", self.octets.escape_ascii())
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Untrusted<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        // The decoder prints `=[u8]:a` as an escaped byte string.
        defmt::write!(f, "{=[u8]:a}", self.octets);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_are_shown_not_sent() {
        let mut shown = heapless::String::<64>::new();
        write!(shown, "{}", Untrusted::new(b"ok\x1b[31m\r\n\xe2\x80\xae\0"))
            .expect("64 bytes are enough");
        assert_eq!(shown, r"ok\x1b[31m\r\n\xe2\x80\xae\x00");
        shown.clear();
        write!(shown, "{}", Untrusted::new(br#"It's "\n""#)).expect("64 bytes are enough");
        assert_eq!(shown, r#"It's "\\n""#);
        shown.clear();
        write!(shown, "{:?}", Untrusted::new(b"a\", b: 1")).expect("64 bytes are enough");
        assert_eq!(shown, r#""a\", b: 1""#);
    }
}
