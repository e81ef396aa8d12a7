use std::fmt;
use std::net::SocketAddr;

use rustls::CertificateError;
use starttls::Error as Rule;
use starttls::mail::session::{Command, Fate};
use starttls::mx::dane::Usage;
use starttls::mx::{Domain, Skip, Undeliverable};

use super::Destination;
use crate::{Error, Receipt};

/// A mail that a host of the domain accepted.
#[derive(Debug)]
#[non_exhaustive]
pub struct Delivery {
    /// The reply for each recipient.
    pub receipt: Receipt,
    /// The host.
    pub host: Destination,
    /// The host's address.
    pub address: SocketAddr,
    /// The protection of the mail on its way.
    pub protection: Protection,
    /// The failed attempts before.
    pub attempts: Vec<Attempt>,
}

/// The protection of a mail on its way to a host.
///
/// The enum is exhaustive: there is no other one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// No protection.
    Plaintext,
    /// TLS with an unverified host.
    Encrypted,
    /// TLS with a host that a certificate authority verifies.
    ///
    /// Whether the host belongs to the domain is a separate question, which an MTA-STS policy or
    /// [`Destination::is_secure`] answers.
    Pkix,
    /// TLS with a host that a TLSA record of this usage verifies.
    Dane(Usage),
}

impl fmt::Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Plaintext => "in plaintext",
            Self::Encrypted => "over TLS, with an unverified host",
            Self::Pkix => "over TLS, verified by an authority",
            Self::Dane(Usage::EndEntity) => "over TLS, verified by DANE-EE",
            Self::Dane(Usage::TrustAnchor) => "over TLS, verified by DANE-TA",
        })
    }
}

/// A host that did not accept the mail.
#[derive(Debug)]
#[non_exhaustive]
pub struct Attempt {
    /// The host.
    pub host: Destination,
    /// The address, if the attempt got that far.
    pub address: Option<SocketAddr>,
    /// The reason.
    pub problem: Problem,
}

/// Why a host did not accept the mail.
#[derive(Debug)]
#[non_exhaustive]
pub enum Problem {
    /// No mail may be sent to the host now. The value tells why.
    Skipped(Skip),
    /// The attempt failed with this error.
    Failed(Error),
}

impl Attempt {
    pub(super) const fn skipped(host: Destination, why: Skip) -> Self {
        Self { host, address: None, problem: Problem::Skipped(why) }
    }

    pub(super) const fn failed(host: Destination, address: SocketAddr, error: Error) -> Self {
        Self { host, address: Some(address), problem: Problem::Failed(error) }
    }

    /// Whether a retry can succeed. A violation of `REQUIRETLS` is permanent (RFC 8689 §4.2.1).
    fn is_temporary(&self, requires_tls: bool) -> bool {
        match &self.problem {
            Problem::Skipped(why) => !(requires_tls && matches!(why, Skip::Unvouched)),
            Problem::Failed(error) => match (error, error.protocol()) {
                // The host lacks an extension that the mail needs.
                (_, Some(error)) if error.is_unsupported() => false,
                (_, Some(Rule::MessageTooLarge | Rule::LineTooLong | Rule::NulInMessage))
                | (Error::Argument { .. }, _) => false,
                (Error::Rejected { answer, .. }, _) => answer.code < 500,
                (Error::Io { .. } | Error::Unfinished { .. }, _) => true,
                _ => !requires_tls,
            },
        }
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.host.name.fmt(f)?;
        if let Some(address) = self.address {
            write!(f, " [{}]", address.ip())?;
        }
        write!(f, ": {}", self.problem)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Skipped(why) => why.fmt(f),
            // The verifier's error if no record matches.
            Self::Failed(Error::Tls(rustls::Error::InvalidCertificate(
                CertificateError::ApplicationVerificationFailure,
            ))) => f.pad("TLS: its certificate matches none of its TLSA records"),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

/// Why no host of a domain accepted a mail.
#[derive(Debug)]
#[non_exhaustive]
pub struct Undelivered {
    /// The domain.
    pub domain: Domain,
    /// Why the domain has no host for mail. `None` if it has one.
    pub why: Option<Undeliverable>,
    /// The attempts, in order.
    pub attempts: Vec<Attempt>,
    requires_tls: bool,
    /// A further host was not tried because the message can be read only once.
    is_spent: bool,
}

impl Undelivered {
    pub(super) const fn new(domain: Domain, requires_tls: bool) -> Self {
        Self { domain, why: None, attempts: Vec::new(), requires_tls, is_spent: false }
    }

    pub(super) fn spent(self) -> Self {
        Self { is_spent: true, ..self }
    }

    pub(super) fn because(self, why: Undeliverable) -> Self {
        Self { why: Some(why), ..self }
    }

    /// Whether a retry is useful. If not, return the mail to its sender.
    ///
    /// The report to the sender needs the same protection as the mail (RFC 8689 §5).
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match (self.why, self.attempts.last()) {
            (Some(why), _) => why.is_temporary(),
            (None, Some(last)) if self.is_final() => last.is_temporary(self.requires_tls),
            (None, _) => {
                self.attempts.iter().any(|attempt| attempt.is_temporary(self.requires_tls))
            }
        }
    }

    /// Whether the mail was sent. Unless it is [`NotSent`](Fate::NotSent) or
    /// [`NotAccepted`](Fate::NotAccepted), a retry can deliver it twice.
    #[must_use]
    pub fn fate(&self) -> Fate {
        match self.attempts.last() {
            Some(Attempt { problem: Problem::Failed(error), .. }) => error.fate(),
            _ => Fate::NotSent,
        }
    }

    /// Whether the last host's reply is the domain's.
    fn is_final(&self) -> bool {
        match self.attempts.last() {
            Some(Attempt { problem: Problem::Failed(error), .. }) => {
                matches!(goes_on(error), Next::Nowhere)
            }
            _ => false,
        }
    }
}

impl fmt::Display for Undelivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no mail to {}: ", self.domain)?;
        if let Some(why) = self.why {
            return why.fmt(f);
        }
        for (index, attempt) in self.attempts.iter().enumerate() {
            if index != 0 {
                f.write_str("; ")?;
            }
            attempt.fmt(f)?;
        }
        if self.is_spent {
            f.write_str("; no other host was tried, as the message can be read only once")?;
        }
        Ok(())
    }
}

impl std::error::Error for Undelivered {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.attempts.last()?.problem {
            Problem::Failed(error) => Some(error),
            Problem::Skipped(_) => None,
        }
    }
}

/// The next step after a failure.
pub(super) enum Next {
    /// To the host's next address.
    Address,
    /// To the next host.
    Host,
    /// Stop: the reply is the domain's, or the error is the caller's.
    Nowhere,
}

pub(super) fn goes_on(error: &Error) -> Next {
    match error {
        Error::Argument { .. } => Next::Nowhere,
        // A host that refuses every client says nothing about this mail.
        Error::Rejected { command: Command::Greeting | Command::Hello | Command::Helo, .. } => {
            Next::Address
        }
        Error::Rejected { answer, .. } if answer.code >= 500 => Next::Nowhere,
        Error::Rejected { .. } => Next::Host,
        // Even after the message: this host does not have it.
        error if error.fate() == Fate::NotAccepted => Next::Host,
        error if error.fate() != Fate::NotSent => Next::Nowhere,
        _ => Next::Address,
    }
}
