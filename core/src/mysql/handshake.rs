use super::capability;
use crate::Untrusted;

/// A server's `HandshakeV10` before TLS. **It is not authenticated: an attacker may have written it.**
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Handshake<'a> {
    /// The server's version, for people.
    pub version: Untrusted<'a>,
    /// The id of the connection, for `KILL`.
    pub thread_id: u32,
    /// The server's capabilities, see [`capability`].
    pub capabilities: u32,
    /// MariaDB's additional capabilities.
    pub mariadb_capabilities: u32,
    /// The number of the server's collation.
    pub charset: u8,
    /// The server's status flags.
    pub status: u16,
    /// The authentication plugin that the server proposes.
    pub plugin: Untrusted<'a>,
    scramble: [&'a [u8]; 2],
}

impl<'a> Handshake<'a> {
    /// The challenge for the password proof, usually 20 bytes, without its final zero byte.
    pub fn scramble(&self) -> impl Iterator<Item = u8> + use<'a> {
        let [front, back] = self.scramble;
        front.iter().chain(back).copied()
    }

    /// Parses a packet's payload after the protocol version.
    ///
    /// ```text
    /// string<NUL> version; int<4> thread id; string[8] scramble; int<1> 0; int<2> capabilities;
    /// int<1> charset; int<2> status; int<2> more capabilities; int<1> length of the scramble;
    /// string[6] 0; int<4> capabilities of MariaDB; string[max(13, length - 8)] scramble;
    /// string<NUL> plugin
    /// ```
    pub(super) fn read(payload: &'a [u8]) -> Option<Self> {
        let mut parts = payload.splitn(2, |octet| *octet == 0);
        let (version, rest) = (parts.next()?, parts.next()?);
        let (thread_id, rest) = rest.split_first_chunk()?;
        let (front, rest) = rest.split_at_checked(8)?;
        let (fixed, mut rest) = rest.split_first_chunk::<19>()?;
        let [_, c0, c1, charset, s0, s1, c2, c3, length, .., m0, m1, m2, m3] = *fixed;
        let capabilities = u32::from_le_bytes([c0, c1, c2, c3]);
        let has = |capability| capabilities & capability != 0;
        let mut back = &b""[..];
        if has(capability::SECURE_CONNECTION) {
            (back, rest) = rest.split_at_checked(usize::from(length.saturating_sub(8).max(13)))?;
        }
        let mut plugin = &b""[..];
        if has(capability::PLUGIN_AUTH) {
            // Old servers leave out its final zero byte.
            plugin = rest.split(|octet| *octet == 0).next()?;
        }
        let mariadb = if has(capability::LONG_PASSWORD) { [0; 4] } else { [m0, m1, m2, m3] };
        Some(Self {
            version: Untrusted::new(version),
            thread_id: u32::from_le_bytes(*thread_id),
            capabilities,
            mariadb_capabilities: u32::from_le_bytes(mariadb),
            charset,
            status: u16::from_le_bytes([s0, s1]),
            plugin: Untrusted::new(plugin),
            scramble: [front, back.strip_suffix(b"\0").unwrap_or(back)],
        })
    }
}
