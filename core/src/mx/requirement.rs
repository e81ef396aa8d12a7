use core::fmt;

use super::Domain;
use super::dane::Associations;
use super::sts::Mode;

/// A host of the domain, and what sending mail to it requires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Host<'s, 'i> {
    /// The name in the MX record, or the domain itself if it has no MX records. Log the name if
    /// [`is_secure`](Self::is_secure) is false (RFC 7672 §2.2.1).
    pub name: &'s Domain,
    /// The preference in the MX record.
    pub preference: u16,
    /// The requirement.
    pub requirement: Requirement<'s, 'i>,
    /// The mode of the domain's MTA-STS policy, even if the requirement comes from DANE.
    pub sts: Option<Mode>,
    /// Whether DNSSEC confirms that it is a host of the domain.
    pub is_secure: bool,
    /// How long all of this is valid, in seconds.
    pub ttl: u32,
}

/// What sending mail to a host requires.
///
/// The enum is exhaustive, because a sender has to handle every requirement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Requirement<'s, 'i> {
    /// Nothing: TLS if the host has it, else plaintext. An active attacker can force plaintext.
    Opportunistic,
    /// Nothing, but the domain wants to know where [`Pkix`](Self::Pkix) would have failed (MTA-STS in
    /// testing mode). Deliver in any case, and report.
    Testing {
        /// Whether the policy lists the host. If not, report a failure.
        listed: bool,
    },
    /// TLS with any certificate (RFC 7672 §2.2: none of the records is usable).
    Encrypted,
    /// TLS with a certificate for the [`Host::name`], issued by a CA that the sender trusts.
    Pkix,
    /// TLS with a certificate that matches one of these records. Send the [`base`](Self::Dane::base) as SNI
    /// (RFC 7672 §8.1).
    Dane {
        /// The domain at which the records were found. It is the first of the names.
        base: &'s Domain,
        /// The accepted names. If a record is of a CA, the certificate has to have one of them
        /// ([`Usage::TrustAnchor`](super::dane::Usage::TrustAnchor), RFC 7672 §3.2.2).
        names: Names<'s>,
        /// The records.
        records: Associations<'i>,
    },
    /// Send no mail to the host now.
    Skip(Skip),
}

/// The reason why a host gets no mail. The next host may work, or this one later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Skip {
    /// The lookup of its addresses or TLSA records failed: no answer or a bogus one, or an alias whose
    /// target is no host name (RFC 7672 §2.1.2).
    LookupFailed,
    /// The host has no address.
    NoAddress,
    /// The domain's MTA-STS policy does not list it (RFC 8461 §4.1), and it has not both secure MX and TLSA
    /// records.
    NotListed,
    /// DANE is mandatory, and it has no usable records (RFC 7672 §6).
    NoRecords,
    /// The mail requires a verified path, and nothing confirms that this is a host of the domain (RFC 8689
    /// §4.2.1).
    Unvouched,
}

impl Skip {
    /// The reason in words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LookupFailed => "its addresses or TLSA records could not be looked up",
            Self::NoAddress => "it has no address",
            Self::NotListed => "the domain's MTA-STS policy does not list it",
            Self::NoRecords => "DANE is required, and it has no usable TLSA records",
            Self::Unvouched => {
                "neither DNSSEC nor MTA-STS confirms that it is a host of the domain"
            }
        }
    }
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The names of which a certificate has to have one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Names<'s>(pub(super) [Option<&'s Domain>; 3]);

impl<'s> Names<'s> {
    /// The names in order of preference, without duplicates.
    pub fn iter(&self) -> impl Iterator<Item = &'s Domain> + use<'s> {
        let [first, second, third] = self.0;
        let second = second.filter(|name| Some(*name) != first);
        let third = third.filter(|name| Some(*name) != first && Some(*name) != second);
        [first, second, third].into_iter().flatten()
    }
}
