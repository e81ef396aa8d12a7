use super::capability;
use crate::ArgumentError;
use crate::conceal::conceal;
use crate::settings::settings;
use crate::wire::Writer;

/// The longest [`Text`], in bytes.
const MAX_TEXT: usize = 64;

/// A text in a greeting: at most 64 bytes of printable ASCII.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Text<'a>(&'a str);

impl<'a> Text<'a> {
    /// The default authentication plugin.
    pub const NATIVE_PASSWORD: Text<'static> = Text("mysql_native_password");

    /// Checks a text. In a constant, the check happens at compile time.
    ///
    /// # Errors
    /// [`ArgumentError::TooLong`], [`ArgumentError::NotAscii`], [`ArgumentError::Forbidden`].
    pub const fn new(text: &'a str) -> Result<Self, ArgumentError> {
        let mut rest = text.as_bytes();
        if rest.len() > MAX_TEXT {
            return Err(ArgumentError::TooLong);
        }
        while let [octet, tail @ ..] = rest {
            match octet {
                b' '..=b'~' => rest = tail,
                0..=0x7f => return Err(ArgumentError::Forbidden),
                _ => return Err(ArgumentError::NotAscii),
            }
        }
        Ok(Self(text))
    }

    /// The text.
    #[must_use]
    pub const fn as_str(&self) -> &'a str {
        self.0
    }
}

/// The challenge for the client's password proof: 20 bytes, fresh for each connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Scramble([u8; 20]);

conceal!("Scramble", Scramble);

impl Scramble {
    /// A scramble made of random bytes.
    ///
    /// It maps each byte to ASCII, except zero, which would end the scramble, and `$`, which separates the
    /// parts of a stored password.
    #[must_use]
    pub const fn new(random: [u8; 20]) -> Self {
        let mut octets = random;
        let mut rest: &mut [u8] = &mut octets;
        while let [octet, tail @ ..] = rest {
            *octet &= 0x7f;
            if matches!(octet, 0 | b'$') {
                *octet |= 1;
            }
            rest = tail;
        }
        Self(octets)
    }

    /// The bytes, for the server that checks the proof.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }
}

settings! {
    /// The first packet of a server.
    ///
    /// ```
    /// use starttls::mysql::{Greeting, Scramble, Text};
    ///
    /// let version = Text::new("8.0.36")?;
    /// let random = [7; 20]; // fresh random bytes for each connection
    /// let greeting = Greeting::new(version, 1, Scramble::new(random)).with_charset(33);
    /// assert_eq!(greeting.version().as_str(), "8.0.36");
    /// # Ok::<(), starttls::ArgumentError>(())
    /// ```
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Greeting<'a> {
        /// The server's version. Clients may derive the server's features from it.
        version, with_version: Text<'a>,
        /// The id of the connection.
        thread_id, with_thread_id: u32,
        /// The challenge for the client's password proof.
        scramble, with_scramble: Scramble,
        /// The capabilities of your own server inside TLS, see [`capability`]. The machine adds those that
        /// the greeting needs, and CLIENT_SSL if TLS is available.
        capabilities, with_capabilities: u32,
        /// The number of the server's collation.
        charset, with_charset: u8,
        /// The server's status flags.
        status, with_status: u16,
        /// The authentication plugin.
        plugin, with_plugin: Text<'a>,
    }
}

impl<'a> Greeting<'a> {
    /// The greeting of a server with transactions, `utf8mb4_general_ci` and autocommit.
    #[must_use]
    pub const fn new(version: Text<'a>, thread_id: u32, scramble: Scramble) -> Self {
        Self {
            version,
            thread_id,
            scramble,
            capabilities: capability::LONG_PASSWORD
                | capability::LONG_FLAG
                | capability::CONNECT_WITH_DB
                | capability::TRANSACTIONS
                | capability::PLUGIN_AUTH_LENENC,
            charset: 45,
            status: 2,
            plugin: Text::NATIVE_PASSWORD,
        }
    }

    /// The longest packet, in bytes.
    pub(super) const MAX: usize = 4 + 1 + MAX_TEXT + 1 + 31 + 13 + MAX_TEXT + 1;

    pub(super) fn print(&self, offer: bool, out: &mut Writer<'_>) {
        let Scramble([s0, s1, s2, s3, s4, s5, s6, s7, back @ ..]) = self.scramble;
        let [c0, c1, c2, c3] = (self.capabilities & !capability::SSL
            | if offer { capability::SSL } else { 0 }
            | capability::PROTOCOL_41
            | capability::SECURE_CONNECTION
            | capability::PLUGIN_AUTH)
            .to_le_bytes();
        let [t0, t1] = self.status.to_le_bytes();
        let texts = self.version.0.len().wrapping_add(self.plugin.0.len());
        // The sum is below 256.
        let [length, ..] = texts.wrapping_add(1 + 1 + 31 + 13 + 1).to_le_bytes();
        out.put(&[length, 0, 0, 0, 10]);
        out.put(self.version.0.as_bytes());
        out.push(0);
        out.put(&self.thread_id.to_le_bytes());
        out.put(&[s0, s1, s2, s3, s4, s5, s6, s7, 0, c0, c1, self.charset, t0, t1, c2, c3, 21]);
        out.put(&[0; 10]);
        out.put(&back);
        out.push(0);
        out.put(self.plugin.0.as_bytes());
        out.push(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_cannot_end_itself() {
        let long = core::str::from_utf8(&[b'a'; MAX_TEXT + 1]).expect("ASCII");
        assert_eq!(Text::new(&long[1..]).map(|text| text.as_str().len()), Ok(MAX_TEXT));
        assert!(Text::new("").is_ok());
        for (text, error) in [
            (long, ArgumentError::TooLong),
            ("8.0\0", ArgumentError::Forbidden),
            ("8.0\n", ArgumentError::Forbidden),
            ("\x7f", ArgumentError::Forbidden),
            ("é", ArgumentError::NotAscii),
        ] {
            assert_eq!(Text::new(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn a_scramble_cannot_end_itself() {
        for octet in 0..=u8::MAX {
            let scramble = Scramble::new([octet; 20]);
            let [first, ..] = *scramble.as_bytes();
            assert!(!matches!(first, 0 | b'$' | 0x80..) && first | 1 == octet & 0x7f | 1);
        }
    }
}
