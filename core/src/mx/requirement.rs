use core::fmt;

use super::Domain;
use super::dane::Associations;
use super::sts::Mode;

/// A host of the domain and what it takes to send it mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Host<'s, 'i> {
    /// Its name, as the MX record has it, or the domain itself where there is none. To be logged if
    /// [`is_secure`](Self::is_secure) does not hold (RFC 7672 §2.2.1).
    pub name: &'s Domain,
    /// The preference of its MX record.
    pub preference: u16,
    /// What it takes.
    pub requirement: Requirement<'s, 'i>,
    /// The mode of the domain's MTA-STS policy, whether it made the requirement or DANE did.
    pub sts: Option<Mode>,
    /// Whether the DNS vouches for it being a host of the domain.
    pub is_secure: bool,
    /// For how many seconds all of this holds.
    pub ttl: u32,
}

/// What it takes to send mail to a host. Exhaustive: whoever sends has to know all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Requirement<'s, 'i> {
    /// Nothing: TLS if it can be had, plaintext otherwise. An active attacker can choose plaintext.
    Opportunistic,
    /// Nothing, but the domain wants to know where [`Pkix`](Self::Pkix) would have failed (MTA-STS in
    /// testing mode): deliver in any case, and report.
    Testing {
        /// Whether the policy lists the host; if not, that is a failure to report.
        listed: bool,
    },
    /// TLS, with whatever certificate (RFC 7672 §2.2, records that are all unusable).
    Encrypted,
    /// TLS, with a certificate for the [`Host::name`] by an authority that the sender trusts.
    Pkix,
    /// TLS, with a certificate that matches one of these records; the [`base`](Self::Dane::base) goes
    /// into SNI (RFC 7672 §8.1).
    Dane {
        /// Where the records were found: the first of the names.
        base: &'s Domain,
        /// The names, one of which the certificate has to have if the record is of an authority
        /// ([`Usage::TrustAnchor`](super::dane::Usage::TrustAnchor), RFC 7672 §3.2.2).
        names: Names<'s>,
        /// The records.
        records: Associations<'i>,
    },
    /// No mail may go there, now.
    Skip(Skip),
}

/// Why no mail may go to a host. The next host, or a later time, may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Skip {
    /// Its addresses or TLSA records could not be looked up: the answer was bogus, or none came, or it is
    /// an alias of what is no name of a host (RFC 7672 §2.1.2).
    LookupFailed,
    /// It has no address.
    NoAddress,
    /// The domain's MTA-STS policy does not list it (RFC 8461 §4.1), and the DNS does not vouch for it
    /// with both MX and TLSA records.
    NotListed,
    /// DANE is mandatory, and it has no usable records (RFC 7672 §6).
    NoRecords,
    /// The mail must not go by an unverified way, and nothing says that this is a host of the domain
    /// (RFC 8689 §4.2.1).
    Unvouched,
}

impl Skip {
    /// In words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LookupFailed => "its addresses or TLSA records could not be looked up",
            Self::NoAddress => "it has no address",
            Self::NotListed => "the domain's MTA-STS policy does not list it",
            Self::NoRecords => "DANE is demanded, and it has no usable TLSA records",
            Self::Unvouched => "neither DNSSEC nor MTA-STS says that it is a host of the domain",
        }
    }
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Names of which a certificate has to have one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Names<'s>(pub(super) [Option<&'s Domain>; 3]);

impl<'s> Names<'s> {
    /// The names, the most important first, none of them twice.
    pub fn iter(&self) -> impl Iterator<Item = &'s Domain> + use<'s> {
        let [first, second, third] = self.0;
        let second = second.filter(|name| Some(*name) != first);
        let third = third.filter(|name| Some(*name) != first && Some(*name) != second);
        [first, second, third].into_iter().flatten()
    }
}
