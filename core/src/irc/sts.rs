use core::time::Duration;

use super::message::{parameter, parse};

/// A network's policy of strict transport security (IRCv3 `sts`).
///
/// In plaintext only [`port`](Self::port) counts: close the connection, connect to that port with TLS, and
/// trust the [`duration`](Self::duration) that the server announces there. Never request the capability by
/// `CAP REQ`.
///
/// ```
/// let policy = starttls::irc::Sts::find(b":irc.example.org CAP * LS :tls sts=port=6697");
/// assert_eq!(policy.and_then(|policy| policy.port), Some(6697));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Sts {
    /// The port for implicit TLS. It counts only in plaintext.
    pub port: Option<u16>,
    /// How long to connect only with TLS; zero ends the policy. It counts only in verified TLS.
    pub duration: Option<Duration>,
    /// Whether clients may include the policy in their releases.
    pub preload: bool,
}

impl Sts {
    /// Finds a policy among the capabilities of a `CAP LS` or `CAP NEW` message.
    ///
    /// Unknown keys are ignored. A policy whose port or duration is not a number does not count.
    #[must_use]
    pub fn find(message: &[u8]) -> Option<Self> {
        let (command, mut parameters) = parse(message);
        let _nick = parameter(&mut parameters);
        let kind = parameter(&mut parameters);
        let lists = kind.eq_ignore_ascii_case(b"LS") || kind.eq_ignore_ascii_case(b"NEW");
        if !command.eq_ignore_ascii_case(b"CAP") || !lists {
            return None;
        }
        loop {
            let list = match parameter(&mut parameters) {
                b"" => return None,
                b"*" => continue,
                list => list,
            };
            let mut capabilities = list.split(|octet| *octet == b' ');
            let value = capabilities.find_map(|capability| capability.strip_prefix(b"sts="));
            if let Some(value) = value {
                return Self::read(value);
            }
        }
    }

    fn read(value: &[u8]) -> Option<Self> {
        let mut policy = Self::default();
        for part in value.split(|octet| *octet == b',') {
            let mut halves = part.splitn(2, |octet| *octet == b'=');
            let (key, value) = (halves.next().unwrap_or_default(), halves.next());
            match (key, value) {
                (b"port", Some(port)) => {
                    let port = u16::try_from(number(port)?).ok().filter(|port| *port != 0)?;
                    policy.port = Some(port);
                }
                (b"duration", Some(seconds)) => {
                    policy.duration = Some(Duration::from_secs(number(seconds)?));
                }
                (b"preload", None) => policy.preload = true,
                _ => {}
            }
        }
        (policy.port.is_some() || policy.duration.is_some()).then_some(policy)
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    let digit = |number: u64, digit: &u8| {
        digit.is_ascii_digit().then_some(())?;
        number.checked_mul(10)?.checked_add(u64::from(digit & 0xf))
    };
    if digits.is_empty() { None } else { digits.iter().try_fold(0, digit) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies() {
        let policy = |port, seconds: Option<u64>, preload| {
            Some(Sts { port, duration: seconds.map(Duration::from_secs), preload })
        };
        for (message, expected) in [
            (":srv CAP * LS :tls sts=port=6697", policy(Some(6697), None, false)),
            ("CAP * LS * :a sts=duration=300,port=1,preload b", policy(Some(1), Some(300), true)),
            ("CAP nick NEW :sts=duration=0", policy(None, Some(0), false)),
            ("CAP * LS sts=port=6697", policy(Some(6697), None, false)),
            ("CAP * LS :sts=port=6697,x=y,preload=no", policy(Some(6697), None, false)),
            ("CAP * LS :sts=port=0", None),
            ("CAP * LS :sts=port=65536", None),
            ("CAP * LS :sts=port=+1", None),
            ("CAP * LS :sts=port=", None),
            ("CAP * LS :sts=port", None),
            ("CAP * LS :sts=duration=99999999999999999999", None),
            ("CAP * LS :sts=", None),
            ("CAP * LS :sts", None),
            ("CAP * LS :xsts=port=6697", None),
            ("CAP * ACK :sts=port=6697", None),
            ("NOTICE * LS :sts=port=6697", None),
            ("CAP", None),
        ] {
            assert_eq!(Sts::find(message.as_bytes()), expected, "{message}");
        }
    }
}
