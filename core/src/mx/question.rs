use core::fmt;

use super::Domain;
use super::dane::Tlsa;
use super::sts::{HOST_LABEL, Id, POLICY_PATH, RECORD_LABEL};

/// A question of a resolution to its caller. Its `Display` form is for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Question<'s> {
    /// The MX records of a domain. Answer with [`Answer::Mx`].
    Mx(&'s Domain),
    /// The stored MTA-STS policy of a domain. Answer with [`Answer::Cached`].
    Cached(&'s Domain),
    /// The TXT records at `_mta-sts.` and the domain. Answer with [`Answer::Txt`].
    Txt(&'s Domain),
    /// The policy at `https://mta-sts.` and the domain, and [`POLICY_PATH`]. Answer with
    /// [`Answer::Policy`].
    ///
    /// Follow RFC 8461 §3.2 and §3.3:
    ///
    /// - The certificate has to be valid for that host, and the status has to be 200. The media type should
    ///   be `text/plain`.
    /// - Follow no redirect and use no HTTP cache. A minute and 64 KiB are enough.
    /// - Retry a failed fetch only after five minutes.
    Policy(&'s Domain),
    /// The IPv4 and IPv6 addresses of a host. Answer with [`Answer::Address`].
    Address(&'s Domain),
    /// The TLSA records at `_port._tcp.` and the base domain. Answer with [`Answer::Tlsa`]. Follow aliases
    /// of that name; the base domain stays the same (RFC 7672 §2.2.3).
    Tlsa {
        /// The TCP port for the mail.
        port: u16,
        /// The base domain (RFC 7672 §2.2.3).
        base: &'s Domain,
    },
}

impl fmt::Display for Question<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mx(domain) => write!(f, "MX of {domain}"),
            Self::Cached(domain) => write!(f, "cached policy of {domain}"),
            Self::Txt(domain) => write!(f, "TXT of {RECORD_LABEL}.{domain}"),
            Self::Policy(domain) => write!(f, "https://{HOST_LABEL}.{domain}{POLICY_PATH}"),
            Self::Address(host) => write!(f, "addresses of {host}"),
            Self::Tlsa { port, base } => write!(f, "TLSA of _{port}._tcp.{base}"),
        }
    }
}

/// Whether a DNS answer was validated (RFC 4035 §4.3).
///
/// The enum is exhaustive: a bogus or indeterminate answer is [`Answer::Failed`]. In a chain of aliases the
/// least secure link counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Security {
    /// Signed, by a chain to a trust anchor. This includes the proof that there are no such records.
    Secure,
    /// From an unsigned zone.
    Insecure,
}

/// An MX record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[allow(clippy::exhaustive_structs, reason = "the wire format has these fields and no others")]
pub struct Mx<'i> {
    /// The preference. Hosts with lower values are tried first.
    pub preference: u16,
    /// The name of the host, in ASCII, with or without a final dot.
    pub name: &'i str,
}

/// A stored policy, see [`Step::Keep`](super::Step::Keep).
///
/// ```
/// use starttls::mx::{Answer, Cached, sts::Id};
///
/// let text = b"version: STSv1\nmode: enforce\nmx: mx.example.org\nmax_age: 604800\n";
/// let id = Id::new("20261121T120000").unwrap();
/// let entry = Some(Cached::new(id, 1_795_262_400, text));
/// let answer = Answer::Cached { now: 1_795_262_460, entry };
/// # let _ = answer;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Cached<'i> {
    /// The id of the TXT record that announced it.
    pub id: Id,
    /// The time of its fetch, in seconds of Unix time.
    pub fetched: u64,
    /// The policy's text.
    pub text: &'i [u8],
}

impl<'i> Cached<'i> {
    /// A stored policy with its id and the time of its fetch, in seconds of Unix time.
    #[must_use]
    pub const fn new(id: Id, fetched: u64, text: &'i [u8]) -> Self {
        Self { id, fetched, text }
    }
}

/// An answer to a [`Question`]. Times to live are in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Answer<'i> {
    /// The lookup failed: an error, a timeout, or a bogus or indeterminate answer (RFC 7672 §2.1.1). The
    /// absence of records is no failure.
    Failed,
    /// The domain does not exist. It answers [`Question::Mx`].
    NoDomain,
    /// The answer to [`Question::Mx`].
    Mx {
        /// The security of the records, or of their absence.
        security: Security,
        /// The name that the domain is an alias of.
        alias: Option<&'i str>,
        /// The records, possibly none. Records of the same preference are tried in this order, so shuffle
        /// them (RFC 5321 §5.1).
        records: &'i [Mx<'i>],
        /// The time to live.
        ttl: u32,
    },
    /// The answer to [`Question::Cached`].
    Cached {
        /// The current Unix time, in seconds.
        now: u64,
        /// The stored policy, if there is one.
        entry: Option<Cached<'i>>,
    },
    /// The answer to [`Question::Txt`].
    Txt {
        /// The records, possibly none. The strings of each are concatenated (RFC 8461 §3.1).
        records: &'i [&'i [u8]],
    },
    /// The answer to [`Question::Policy`].
    Policy {
        /// The body of the HTTP response, unchanged.
        text: &'i [u8],
    },
    /// The answer to [`Question::Address`].
    Address {
        /// The security of the first answer: for an alias, that of the host's own zone.
        first: Security,
        /// The security of the whole chain, addresses included.
        last: Security,
        /// The name at the end of the host's chain of aliases.
        alias: Option<&'i str>,
        /// Whether the host has an address.
        found: bool,
        /// The time to live.
        ttl: u32,
    },
    /// The answer to [`Question::Tlsa`].
    Tlsa {
        /// The security of the records, or of their absence.
        security: Security,
        /// The records, possibly none.
        records: &'i [Tlsa<'i>],
        /// The time to live.
        ttl: u32,
    },
}
