use starttls::ArgumentError;
use starttls::mail::Credentials;

/// The settings that the factory writes into the last page of flash: lines of `key=value`, a NUL, and
/// the certificate of the trusted CA in DER. A board reads them at start, so sending to another server
/// needs no new build.
///
/// | key | value |
/// |---|---|
/// | `server` | `HOST:PORT`; an IPv4 address or a DNS name |
/// | `name` | the name that the server's certificate must have |
/// | `user`, `password` | the login |
/// | `from`, `to` | the addresses |
/// | `time` | seconds since 1970, instead of the clock; optional |
/// | `patience` | seconds to wait for the server each time, instead of the default; optional |
#[derive(Clone, Copy)]
pub struct Settings<'s> {
    /// The server's IPv4 address or name.
    pub host: &'s str,
    /// The server's port.
    pub port: u16,
    /// The name that its certificate must have.
    pub name: &'s str,
    /// The sender's address.
    pub from: &'s str,
    /// The recipient's address.
    pub to: &'s str,
    /// The time to use instead of the clock, in seconds since 1970.
    pub time: Option<u64>,
    /// The time to wait for the server each time, in seconds, instead of the default.
    pub patience: Option<u32>,
    /// The trusted CA, in DER.
    pub ca: &'s [u8],
    user: &'s str,
    password: &'s str,
}

/// A problem with the settings. Exhaustive: a key is missing, malformed or fine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, defmt::Format)]
pub enum SettingsError {
    /// The line is missing, or the certificate after the text.
    Missing(&'static str),
    /// The value does not have the documented form.
    Malformed(&'static str),
}

impl<'s> Settings<'s> {
    /// Reads a page.
    ///
    /// # Errors
    /// The missing or malformed key. Unknown keys are ignored.
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
    /// If the user's name or the password is invalid.
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

/// The DER sequence that begins here, without the bytes after it (X.690 §8.1).
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
    fn the_faulty_key_is_named() {
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
