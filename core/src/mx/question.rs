use core::fmt;

use super::Domain;
use super::dane::Tlsa;
use super::sts::{HOST_LABEL, Id, POLICY_PATH, RECORD_LABEL};

/// What a resolution wants to know. Displayed as a person would ask it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Question<'s> {
    /// The MX records of a domain, to be answered with [`Answer::Mx`].
    Mx(&'s Domain),
    /// The MTA-STS policy that was kept for a domain: [`Answer::Cached`].
    Cached(&'s Domain),
    /// The TXT records at `_mta-sts.` and the domain: [`Answer::Txt`].
    Txt(&'s Domain),
    /// The policy at `https://mta-sts.` and the domain, and [`POLICY_PATH`]: [`Answer::Policy`].
    ///
    /// The certificate has to be valid for that host, the status to be 200, and the media type should be
    /// `text/plain`; no redirect is followed, no HTTP cache is used, a minute and 64 KiB are enough, and
    /// what failed is not tried again within five minutes (RFC 8461 §3.2, §3.3).
    Policy(&'s Domain),
    /// The addresses of a host, of IPv4 and IPv6: [`Answer::Address`].
    Address(&'s Domain),
    /// The TLSA records at `_port._tcp.` and the base domain: [`Answer::Tlsa`]. What that name is an alias
    /// of is followed, and the base domain stays what it is (RFC 7672 §2.2.3).
    Tlsa {
        /// The TCP port that the mail is to be sent to.
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

/// Whether an answer of the DNS was validated (RFC 4035 §4.3). Exhaustive: a bogus or indeterminate
/// one is no answer, but [`Answer::Failed`].
///
/// Of a chain of aliases the least secure link counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Security {
    /// Signed, by a chain to a trust anchor. Also that there are no such records.
    Secure,
    /// In a zone that is not signed.
    Insecure,
}

/// An MX record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[allow(clippy::exhaustive_structs, reason = "the wire format has these fields and no others")]
pub struct Mx<'i> {
    /// The lower it is, the sooner it is tried.
    pub preference: u16,
    /// The name of the host, in ASCII; a dot at its end does not matter.
    pub name: &'i str,
}

/// A policy that was kept, see [`Step::Keep`](super::Step::Keep).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Cached<'i> {
    /// The id of the TXT record by which it was fetched.
    pub id: Id,
    /// When it was fetched, in seconds of Unix time.
    pub fetched: u64,
    /// The policy itself.
    pub text: &'i [u8],
}

impl<'i> Cached<'i> {
    /// A policy, by which record and when it was fetched, in seconds of Unix time.
    #[must_use]
    pub const fn new(id: Id, fetched: u64, text: &'i [u8]) -> Self {
        Self { id, fetched, text }
    }
}

/// What was found out. Times to live are in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Answer<'i> {
    /// There is no answer: an error, a timeout, or a bogus or indeterminate one (RFC 7672 §2.1.1). That
    /// there are no such records is an answer.
    Failed,
    /// The domain does not exist; answers [`Question::Mx`].
    NoDomain,
    /// To [`Question::Mx`], no records where there are none.
    Mx {
        /// Of the records or of their absence.
        security: Security,
        /// What the domain is an alias of.
        alias: Option<&'i str>,
        /// The records, in any order. Those of the same preference are tried in this one: shuffle them
        /// (RFC 5321 §5.1).
        records: &'i [Mx<'i>],
        /// How long it holds.
        ttl: u32,
    },
    /// To [`Question::Cached`].
    Cached {
        /// Seconds of Unix time.
        now: u64,
        /// What was kept, if anything was.
        entry: Option<Cached<'i>>,
    },
    /// To [`Question::Txt`]: the records, the strings of each put together (RFC 8461 §3.1).
    Txt {
        /// None where there are none.
        records: &'i [&'i [u8]],
    },
    /// To [`Question::Policy`]: the body of the answer.
    Policy {
        /// As it came.
        text: &'i [u8],
    },
    /// To [`Question::Address`].
    Address {
        /// Of the first answer: the host's own zone, if it is an alias.
        first: Security,
        /// Of all of it, the addresses included.
        last: Security,
        /// What the host is an alias of, in the end.
        alias: Option<&'i str>,
        /// Whether there are any addresses.
        found: bool,
        /// How long it holds.
        ttl: u32,
    },
    /// To [`Question::Tlsa`].
    Tlsa {
        /// Of the records or of their absence.
        security: Security,
        /// None where there are none.
        records: &'i [Tlsa<'i>],
        /// How long it holds.
        ttl: u32,
    },
}
