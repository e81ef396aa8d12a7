use starttls::ArgumentError;
use starttls::mail::Credentials;

/// What the factory writes into the last page of flash: lines of `key=value`, a NUL, and the
/// certificate of the CA that is trusted, in DER. A board boots with them, so that nothing has to be
/// built again to send to another server.
///
/// | key | value |
/// |---|---|
/// | `server` | `HOST:PORT`; an IPv4 address or a name that DNS knows |
/// | `name` | what the server's certificate has to be for |
/// | `user`, `password` | the login |
/// | `from`, `to` | the addresses |
/// | `time` | seconds since 1970, instead of the clock's; optional |
/// | `patience` | seconds to wait for the server each time, not what is reasonable; optional |
#[derive(Clone, Copy)]
pub struct Settings<'s> {
    /// Where the server is: an IPv4 address or a name.
    pub host: &'s str,
    /// Its port.
    pub port: u16,
    /// The name to be found in its certificate.
    pub name: &'s str,
    /// Who sends.
    pub from: &'s str,
    /// Who gets it.
    pub to: &'s str,
    /// The time to go by, in seconds since 1970, instead of the clock's.
    pub time: Option<u64>,
    /// How long to wait for the server each time, in seconds, instead of what is reasonable.
    pub patience: Option<u32>,
    /// The trusted CA, in DER.
    pub ca: &'s [u8],
    user: &'s str,
    password: &'s str,
}

/// What is wrong with the settings. Exhaustive: a key is there and good, or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, defmt::Format)]
pub enum SettingsError {
    /// There is no such line, or nothing behind the text.
    Missing(&'static str),
    /// The value is not of the documented form.
    Malformed(&'static str),
}

impl<'s> Settings<'s> {
    /// Reads a page.
    ///
    /// # Errors
    /// What is missing or malformed. Unknown keys are passed over.
    pub fn parse(page: &'s [u8]) -> Result<Self, SettingsError> {
        let mut parts = page.splitn(2, |octet| *octet == 0);
        let text = core::str::from_utf8(parts.next().unwrap_or_default())
            .map_err(|_| SettingsError::Malformed("text"))?;
        let find = |key: &'static str| {
            text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
        };
        let need = |key| find(key).ok_or(SettingsError::Missing(key));
        let (host, port) =
            need("server")?.rsplit_once(':').ok_or(SettingsError::Malformed("server"))?;
        Ok(Self {
            host,
            port: port.parse().map_err(|_| SettingsError::Malformed("server"))?,
            name: need("name")?,
            from: need("from")?,
            to: need("to")?,
            time: number("time", find("time"))?,
            patience: number("patience", find("patience"))?,
            ca: element(parts.next().unwrap_or_default()).ok_or(SettingsError::Missing("ca"))?,
            user: need("user")?,
            password: need("password")?,
        })
    }

    /// The login.
    ///
    /// # Errors
    /// What is wrong with the user's name or the password.
    pub fn credentials(&self) -> Result<Credentials<'s>, ArgumentError> {
        Credentials::new(self.user, self.password)
    }
}

impl core::fmt::Debug for Settings<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Settings").field("host", &self.host).finish_non_exhaustive()
    }
}

fn number<T: core::str::FromStr>(
    key: &'static str,
    value: Option<&str>,
) -> Result<Option<T>, SettingsError> {
    value.map(str::parse).transpose().map_err(|_| SettingsError::Malformed(key))
}

/// The DER sequence that begins here, without what is behind it (X.690 §8.1).
fn element(octets: &[u8]) -> Option<&[u8]> {
    let (header, length) = match *octets {
        [0x30, 0x82, high, low, ..] => (4, usize::from(u16::from_be_bytes([high, low]))),
        [0x30, 0x81, length, ..] => (3, usize::from(length)),
        _ => return None,
    };
    octets.get(..header + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &[u8] = b"server=10.0.2.100:587\nname=localhost\nuser=u\npassword=p=\nfrom=a@b\n\
        to=c@d\npatience=20\n\0\x30\x81\x02ab\xff\xff";

    #[test]
    fn a_page() {
        let settings = Settings::parse(PAGE).expect("whole");
        assert_eq!((settings.host, settings.port), ("10.0.2.100", 587));
        assert_eq!((settings.time, settings.patience), (None, Some(20)));
        assert_eq!((settings.ca, settings.password), (&b"\x30\x81\x02ab"[..], "p="));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (page, error) in [
            (&b""[..], SettingsError::Missing("server")),
            (b"server=a\n", SettingsError::Malformed("server")),
            (b"server=a:65536\n", SettingsError::Malformed("server")),
            (b"server=a:1\n", SettingsError::Missing("name")),
            (b"\xff\xff", SettingsError::Malformed("text")),
            (
                b"server=a:1\nname=a\nfrom=a\nto=a\npatience=x\n",
                SettingsError::Malformed("patience"),
            ),
            (b"server=a:1\nname=a\nfrom=a\nto=a\n\0", SettingsError::Missing("ca")),
            (b"server=a:1\nname=a\nfrom=a\nto=a\n\0\x30\x82\x02\x00", SettingsError::Missing("ca")),
        ] {
            assert_eq!(Settings::parse(page).err(), Some(error));
        }
    }
}
