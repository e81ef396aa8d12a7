//! MTA-STS (RFC 8461): a policy about a domain's mail servers, from a TXT record and over HTTPS.

mod record;

use core::fmt;

pub use record::{Flaw, Id, announced, flaw};

use super::Domain;
use super::resolution::REFRESH;

/// The longest policy, in bytes (RFC 8461 §3.3).
pub const MAX_POLICY: usize = 64 * 1024;

/// The longest validity of a policy, in seconds: a year (RFC 8461 §3.2).
pub const MAX_AGE: u32 = 31_557_600;

/// The label before a domain that has its TXT record (RFC 8461 §3.1).
pub const RECORD_LABEL: &str = "_mta-sts";

/// The label before a domain that makes its policy host (RFC 8461 §3.2). The policy is at `https://` this
/// host and [`POLICY_PATH`].
pub const HOST_LABEL: &str = "mta-sts";

/// The path of the policy on its host.
pub const POLICY_PATH: &str = "/.well-known/mta-sts.txt";

/// `(ALPHA / DIGIT) *31(ALPHA / DIGIT / "_" / "-" / ".")`
fn is_name(name: &[u8]) -> bool {
    let inner = |octet: &u8| octet.is_ascii_alphanumeric() || matches!(octet, b'_' | b'-' | b'.');
    name.len() <= 32
        && name.first().is_some_and(u8::is_ascii_alphanumeric)
        && name.iter().all(inner)
}

fn is_blank(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t')
}

fn trim_start(mut text: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = text {
        if !is_blank(*first) {
            break;
        }
        text = rest;
    }
    text
}

fn trim_end(mut text: &[u8]) -> &[u8] {
    while let [rest @ .., last] = text {
        if !is_blank(*last) {
            break;
        }
        text = rest;
    }
    text
}

/// What a policy asks of senders.
///
/// The enum is exhaustive: RFC 8461 §5 defines no others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Mode {
    /// Deliver only to the listed hosts, over verified TLS.
    Enforce,
    /// Deliver in any case, and report what enforcement would have refused.
    Testing,
    /// The domain has no policy any more.
    None,
}

impl Mode {
    /// The name in policies.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Testing => "testing",
            Self::None => "none",
        }
    }
}

/// The reason why a policy is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Invalid {
    /// It has more than [`MAX_POLICY`] bytes.
    TooLong,
    /// A line is not `key: value`, or a value does not fit its key.
    Syntax,
    /// The version is not `STSv1`.
    Version,
    /// `version`, `mode` or `max_age` is missing, or `mx` in a mode that needs it.
    Incomplete,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the policy is longer than 64 KiB",
            Self::Syntax => "a line of the policy violates RFC 8461 §3.2",
            Self::Version => "the policy is not of version STSv1",
            Self::Incomplete => "the policy lacks version, mode, max_age or mx",
        })
    }
}

impl core::error::Error for Invalid {}

/// A policy from its host. It borrows from the text.
///
/// ```
/// use starttls::mx::Domain;
/// use starttls::mx::sts::{Invalid, Mode, Policy};
///
/// let text = b"version: STSv1\nmode: enforce\nmx: *.example.org\nmax_age: 604800\n";
/// let policy = Policy::read(text)?;
/// assert_eq!(policy.mode(), Mode::Enforce);
/// assert!(policy.lists(&Domain::new("mx.example.org").unwrap()));
/// # Ok::<(), Invalid>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Policy<'t> {
    text: &'t [u8],
    mode: Mode,
    max_age: u32,
}

impl<'t> Policy<'t> {
    /// Parses the response body from [`POLICY_PATH`] (RFC 8461 §3.2). Unknown keys and empty lines are
    /// ignored. The first of several equal keys counts, except for `mx`.
    ///
    /// # Errors
    /// The reason why the text is invalid. A sender then acts as if there were no policy, or uses a stored
    /// one.
    pub fn read(text: &'t [u8]) -> Result<Self, Invalid> {
        if text.len() > MAX_POLICY {
            return Err(Invalid::TooLong);
        }
        let (mut version, mut mode, mut max_age, mut has_mx) = (None, None, None, false);
        for line in lines(text) {
            let (key, value) = field(line?).ok_or(Invalid::Syntax)?;
            match key {
                b"version" => version = version.or(Some(value)),
                b"mode" if mode.is_none() => {
                    mode = Some(match value {
                        b"enforce" => Mode::Enforce,
                        b"testing" => Mode::Testing,
                        b"none" => Mode::None,
                        _ => return Err(Invalid::Syntax),
                    });
                }
                b"max_age" if max_age.is_none() => {
                    max_age = Some(seconds(value).ok_or(Invalid::Syntax)?);
                }
                b"mx" => {
                    pattern(value).ok_or(Invalid::Syntax)?;
                    has_mx = true;
                }
                _ => {}
            }
        }
        match (version, mode, max_age) {
            (Some(b"STSv1"), Some(mode), Some(max_age)) if has_mx || mode == Mode::None => {
                Ok(Self { text, mode, max_age })
            }
            (Some(b"STSv1") | None, ..) => Err(Invalid::Incomplete),
            _ => Err(Invalid::Version),
        }
    }

    /// The mode: what the domain demands of senders.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// The validity in seconds from its fetch, at most [`MAX_AGE`].
    #[must_use]
    pub const fn max_age(&self) -> u32 {
        self.max_age
    }

    /// The age of the policy and its remaining validity, in seconds. `fetched` and `now` are Unix times.
    /// `None` if it has expired.
    ///
    /// If a wrong clock put the fetch into the future, the policy is valid and has the age at which it is
    /// fetched again. If it counted as fresh, it would never expire.
    #[must_use]
    pub fn age_and_left(&self, fetched: u64, now: u64) -> Option<(u64, u32)> {
        let Some(age) = now.checked_sub(fetched) else { return Some((REFRESH, self.max_age)) };
        let left = u32::try_from(u64::from(self.max_age).checked_sub(age)?).ok()?;
        (left != 0).then_some((age, left))
    }

    /// The text of the policy, for a cache.
    #[must_use]
    pub const fn as_bytes(&self) -> &'t [u8] {
        self.text
    }

    /// The patterns of hosts: names, whose first label may be `*`.
    pub fn patterns(&self) -> impl Iterator<Item = &'t str> + use<'t> {
        lines(self.text).filter_map(|line| match field(line.ok()?)? {
            (b"mx", value) => core::str::from_utf8(value).ok(),
            _ => None,
        })
    }

    /// Whether a pattern matches `host`. `*` stands for exactly one label (RFC 8461 §4.1).
    #[must_use]
    pub fn lists(&self, host: &Domain) -> bool {
        let host = host.as_str();
        let parent = host.split_once('.').map(|(_, parent)| parent);
        self.patterns().any(|pattern| match pattern.strip_prefix("*.") {
            Some(suffix) => parent.is_some_and(|parent| same(parent, suffix)),
            None => same(host, pattern),
        })
    }
}

fn same(name: &str, pattern: &str) -> bool {
    name.eq_ignore_ascii_case(pattern.strip_suffix('.').unwrap_or(pattern))
}

/// The nonempty lines, without their line ends.
fn lines(text: &[u8]) -> impl Iterator<Item = Result<&[u8], Invalid>> {
    text.split(|octet| *octet == b'\n')
        .map(|line| trim_end(line.strip_suffix(b"\r").unwrap_or(line)))
        .filter(|line| !line.is_empty())
        .map(|line| {
            let bad = line.iter().any(|octet| octet.is_ascii_control() && !is_blank(*octet));
            if bad { Err(Invalid::Syntax) } else { Ok(line) }
        })
}

/// `sts-policy-ext-name ":" *WSP sts-policy-ext-value`
fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|octet| *octet == b':')?;
    let (key, value) = line.split_at_checked(colon)?;
    let value = trim_start(value.get(1..)?);
    (is_name(key) && !value.is_empty() && core::str::from_utf8(value).is_ok())
        .then_some((key, value))
}

/// Parses `1*10(DIGIT)`, limited to a year.
fn seconds(value: &[u8]) -> Option<u32> {
    if value.len() > 10 || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = value
        .iter()
        .fold(0_u64, |number, digit| number.wrapping_mul(10).wrapping_add(u64::from(digit & 0xf)));
    Some(u32::try_from(number).unwrap_or(MAX_AGE).min(MAX_AGE))
}

/// `["*."] Domain`
fn pattern(value: &[u8]) -> Option<Domain> {
    let name = core::str::from_utf8(value).ok()?;
    Domain::new(name.strip_prefix("*.").unwrap_or(name)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\n\
        mx: *.example.net\r\nmax_age: 604800\r\n";

    #[test]
    fn policies() {
        use Invalid::{Incomplete, Syntax, Version};
        type Expected = Result<(Mode, u32, usize), Invalid>;
        let rows: [(&str, Expected); 30] = [
            (WHOLE, Ok((Mode::Enforce, 604_800, 2))),
            ("max_age:0\nmx:a\nmode:testing\nversion:STSv1", Ok((Mode::Testing, 0, 1))),
            ("version: STSv1\nmode: none\nmax_age: 1", Ok((Mode::None, 1, 0))),
            (
                "version:\tSTSv1 \t\nmode: none\n\n \nmax_age: 9999999999\n",
                Ok((Mode::None, MAX_AGE, 0)),
            ),
            (
                "version: STSv1\nversion: STSv2\nmode: none\nmode: bad\nmax_age: 1\nmax_age: x",
                Ok((Mode::None, 1, 0)),
            ),
            ("version: STSv1\nmode: none\nmax_age: 1\nx-y_z.9: \u{fc} ~\n", Ok((Mode::None, 1, 0))),
            ("version: STSv1\nmode: enforce\nmx: a.\nmax_age: 1", Ok((Mode::Enforce, 1, 1))),
            ("", Err(Incomplete)),
            ("mode: none\nmax_age: 1", Err(Incomplete)),
            ("version: STSv1\nmax_age: 1", Err(Incomplete)),
            ("version: STSv1\nmode: none", Err(Incomplete)),
            ("version: STSv1\nmode: enforce\nmax_age: 1", Err(Incomplete)),
            ("version: STSv1\nmode: testing\nmax_age: 1", Err(Incomplete)),
            ("version: STSv2\nmode: none\nmax_age: 1", Err(Version)),
            ("version: stsv1\nmode: none\nmax_age: 1", Err(Version)),
            ("Version: STSv1\nmode: none\nmax_age: 1", Err(Incomplete)),
            ("version: STSv1\nmode: Enforce\nmax_age: 1", Err(Syntax)),
            ("version: STSv1\nmode: none\nmax_age: 12345678901", Err(Syntax)),
            ("version: STSv1\nmode: none\nmax_age: -1", Err(Syntax)),
            ("version: STSv1\nmode: none\nmax_age: 1s", Err(Syntax)),
            ("version: STSv1\nmode: none\nmax_age:\n", Err(Syntax)),
            ("version: STSv1\nmode: enforce\nmax_age: 1\nmx: a b", Err(Syntax)),
            ("version: STSv1\nmode: enforce\nmax_age: 1\nmx: a.*.b", Err(Syntax)),
            ("version: STSv1\nmode: enforce\nmax_age: 1\nmx: *a.b", Err(Syntax)),
            ("version: STSv1\nmode: enforce\nmax_age: 1\nmx: *", Err(Syntax)),
            ("version: STSv1\nmode: none\nmax_age: 1\nno colon", Err(Syntax)),
            ("version: STSv1\nmode: none\nmax_age: 1\n x: y", Err(Syntax)),
            ("version: STSv1\rmode: none\rmax_age: 1", Err(Syntax)),
            ("version: STSv1\nmode: none\nmax_age: 1\nx: a\0", Err(Syntax)),
            ("<html>", Err(Syntax)),
        ];
        for (text, expected) in rows {
            let policy = Policy::read(text.as_bytes());
            let seen =
                policy.map(|policy| (policy.mode(), policy.max_age(), policy.patterns().count()));
            assert_eq!(seen, expected, "{text:?}");
        }
        assert_eq!(Policy::read(b"x: \xff"), Err(Syntax));
    }

    #[test]
    fn a_policy_has_at_most_64_kib() {
        let mut text = [b'\n'; MAX_POLICY + 1];
        text[..WHOLE.len()].copy_from_slice(WHOLE.as_bytes());
        assert!(Policy::read(&text[..MAX_POLICY]).is_ok());
        assert_eq!(Policy::read(&text), Err(Invalid::TooLong));
    }

    #[test]
    fn patterns() {
        let policy = Policy::read(WHOLE.as_bytes()).expect("a policy");
        let rows = [
            ("mail.example.com", true),
            ("MAIL.example.com.", true),
            ("a.example.net", true),
            ("example.net", false),
            ("a.b.example.net", false),
            ("example.com", false),
            ("a.mail.example.com", false),
            ("xexample.net", false),
        ];
        for (host, listed) in rows {
            assert_eq!(policy.lists(&Domain::new(host).expect("a name")), listed, "{host}");
        }
    }
}
