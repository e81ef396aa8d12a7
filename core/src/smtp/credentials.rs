use core::fmt;

use base64ct::{Base64, Encoding};

use crate::ArgumentError;
use crate::wire::Writer;

/// The longest user name or password, in octets (RFC 4616 §2).
const MAX_SECRET: usize = 255;

/// A user name and password. They are borrowed, never kept, never shown.
#[derive(Clone, Copy)]
pub struct Credentials<'a> {
    user: &'a str,
    password: &'a str,
}

impl<'a> Credentials<'a> {
    /// Checks them: 1 to 255 octets of UTF-8 each, without NUL (RFC 4616 §2).
    ///
    /// # Errors
    /// What is wrong with the one or the other.
    pub const fn new(user: &'a str, password: &'a str) -> Result<Self, ArgumentError> {
        let pair = [user, password];
        let mut both = pair.as_slice();
        while let [text, others @ ..] = both {
            if text.is_empty() {
                return Err(ArgumentError::Empty);
            }
            if text.len() > MAX_SECRET {
                return Err(ArgumentError::TooLong);
            }
            let mut rest = text.as_bytes();
            while let [octet, tail @ ..] = rest {
                if *octet == 0 {
                    return Err(ArgumentError::Forbidden);
                }
                rest = tail;
            }
            both = others;
        }
        Ok(Self { user, password })
    }

    /// The user name, for SASL LOGIN, in base64.
    pub(super) fn put_user(&self, out: &mut Writer<'_>) {
        put_base64(self.user.bytes(), out);
    }

    /// The password, for SASL LOGIN, in base64.
    pub(super) fn put_password(&self, out: &mut Writer<'_>) {
        put_base64(self.password.bytes(), out);
    }

    /// `message = [authzid] UTF8NUL authcid UTF8NUL passwd` (RFC 4616 §2), in base64.
    pub(super) fn put_plain(&self, out: &mut Writer<'_>) {
        let user = core::iter::once(0).chain(self.user.bytes());
        let password = core::iter::once(0).chain(self.password.bytes());
        put_base64(user.chain(password), out);
    }
}

impl fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(..)")
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Credentials<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Credentials(..)");
    }
}

fn put_base64(mut octets: impl Iterator<Item = u8>, out: &mut Writer<'_>) {
    loop {
        let group = [octets.next(), octets.next(), octets.next()];
        let mut encoded = [0; 4];
        let written = match group {
            [Some(a), Some(b), Some(c)] => Base64::encode(&[a, b, c], &mut encoded),
            [Some(a), Some(b), None] => Base64::encode(&[a, b], &mut encoded),
            [Some(a), None, _] => Base64::encode(&[a], &mut encoded),
            _ => return,
        };
        if let Ok(text) = written {
            out.put(text.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use core::fmt::Write as _;

    use super::*;

    fn written(put: impl Fn(&mut Writer<'_>)) -> heapless::Vec<u8, 64> {
        let mut output = [0; 64];
        let mut writer = Writer::new(&mut output);
        put(&mut writer);
        let n = writer.finish().expect("64 octets are enough");
        heapless::Vec::from_slice(&output[..n]).expect("64 octets are enough")
    }

    #[test]
    fn the_example_of_rfc_4616() {
        let credentials = Credentials::new("tim", "tanstaaftanstaaf").expect("valid");
        assert_eq!(written(|out| credentials.put_plain(out)), b"AHRpbQB0YW5zdGFhZnRhbnN0YWFm");
        assert_eq!(written(|out| credentials.put_user(out)), b"dGlt");
        assert_eq!(written(|out| credentials.put_password(out)), b"dGFuc3RhYWZ0YW5zdGFhZg==");
    }

    #[test]
    fn never_shown_and_never_malformed() {
        let mut shown = heapless::String::<64>::new();
        let credentials = Credentials::new("tim", "secret").expect("valid");
        write!(shown, "{credentials:?}").expect("64 octets are enough");
        assert_eq!(shown, "Credentials(..)");
        assert_eq!(Credentials::new("", "x").err(), Some(ArgumentError::Empty));
        assert_eq!(Credentials::new("a", "x\0y").err(), Some(ArgumentError::Forbidden));
        let long = [b'a'; MAX_SECRET + 1];
        let long = core::str::from_utf8(&long).expect("ASCII");
        assert_eq!(Credentials::new("a", long).err(), Some(ArgumentError::TooLong));
    }
}
