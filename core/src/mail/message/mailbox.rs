use super::sink::Sink;
use super::words;
use crate::ArgumentError;
use crate::mail::Address;

/// The longest name in quotes, with them.
const MAX_QUOTED: usize = 64;

/// An address, and the name that people see in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Mailbox<'a> {
    address: Address<'a>,
    name: Option<&'a str>,
}

impl<'a> Mailbox<'a> {
    /// An address alone.
    #[must_use]
    pub const fn new(address: Address<'a>) -> Self {
        Self { address, name: None }
    }

    /// An address with a name, of any characters but controls.
    ///
    /// # Errors
    /// [`ArgumentError::Empty`], [`ArgumentError::TooLong`] above [`MAX_TEXT`](super::MAX_TEXT)
    /// octets, [`ArgumentError::Forbidden`].
    pub const fn named(name: &'a str, address: Address<'a>) -> Result<Self, ArgumentError> {
        if name.is_empty() {
            return Err(ArgumentError::Empty);
        }
        match words::check(name) {
            Ok(()) => Ok(Self { address, name: Some(name) }),
            Err(error) => Err(error),
        }
    }

    /// The address.
    #[must_use]
    pub const fn address(&self) -> Address<'a> {
        self.address
    }

    /// The name, if there is one.
    #[must_use]
    pub const fn name(&self) -> Option<&'a str> {
        self.name
    }

    /// `name-addr = [display-name] angle-addr` (RFC 5322 §3.4), with a blank in front. With brackets
    /// every reader knows a local part in quotes from a name.
    pub(super) fn put(&self, out: &mut Sink<'_>) {
        if let Some(name) = self.name {
            put_name(name, out);
        }
        let address = self.address.as_str();
        // With brackets and a comma; a line with an encoded name ends two characters earlier.
        out.blank(address.len().saturating_add(5));
        out.put(b"<");
        out.put(address.as_bytes());
        out.put(b">");
    }
}

impl<'a> From<Address<'a>> for Mailbox<'a> {
    fn from(address: Address<'a>) -> Self {
        Self::new(address)
    }
}

const fn needs_escape(octet: u8) -> bool {
    matches!(octet, b'"' | b'\\')
}

/// `display-name`, with a blank in front.
fn put_name(name: &str, out: &mut Sink<'_>) {
    let escapes = name.bytes().filter(|octet| needs_escape(*octet)).count();
    let quoted = name.len().saturating_add(escapes).saturating_add(2);
    if quoted > MAX_QUOTED || !words::is_plain(name) {
        return words::put_encoded(name, out);
    }
    out.put(b" \"");
    for octet in name.bytes() {
        out.put(if needs_escape(octet) { b"\\" } else { b"" });
        out.put(&[octet]);
    }
    out.put(b"\"");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mailboxes() {
        let long =
            "a@b.example.org-with-a-domain-of-eighty-octets-that-leaves-no-room-for-a-name.example";
        for (name, address, expected) in [
            (None, "a@b", "To: <a@b>"),
            (None, "\"a b\"@c", "To: <\"a b\"@c>"),
            (Some("Sensor 7, gate"), "a@b", "To: \"Sensor 7, gate\" <a@b>"),
            (Some("a\"b\\"), "a@b", "To: \"a\\\"b\\\\\" <a@b>"),
            (Some("a  b"), "a@b", "To: =?utf-8?q?a__b?= <a@b>"),
            (Some("Jürgen"), "a@b", "To: =?utf-8?q?J=C3=BCrgen?= <a@b>"),
            (Some("a@b (c)"), long, "To: \"a@b (c)\"\r\n <a@b"),
        ] {
            let mut output = [0; 200];
            let mut out = Sink::new(&mut output);
            out.put(b"To:");
            let address = Address::new(address).expect("valid");
            let mailbox = name.map_or(Ok(address.into()), |name| Mailbox::named(name, address));
            mailbox.expect("valid").put(&mut out);
            let printed = out.printed();
            let line = core::str::from_utf8(&output[..printed]).expect("ASCII");
            assert!(line.starts_with(expected), "{line}");
        }
    }
}
