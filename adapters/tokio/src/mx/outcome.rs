use std::fmt;
use std::net::SocketAddr;

use rustls::CertificateError;
use starttls::Error as Rule;
use starttls::mail::session::{Command, Fate};
use starttls::mx::dane::Usage;
use starttls::mx::{Domain, Skip, Undeliverable};

use super::Destination;
use crate::{Error, Receipt};

/// A mail that a host of the domain took.
#[derive(Debug)]
#[non_exhaustive]
pub struct Delivery {
    /// What became of it for each recipient.
    pub receipt: Receipt,
    /// The host.
    pub host: Destination,
    /// The host's address.
    pub address: SocketAddr,
    /// What protected the mail on its way there.
    pub protection: Protection,
    /// What was tried before.
    pub attempts: Vec<Attempt>,
}

/// What protected a mail on its way to a host. Exhaustive: nothing else can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// Nothing.
    Plaintext,
    /// TLS with a host that nobody vouches for.
    Encrypted,
    /// TLS, and an authority vouches for the host. Whether it is a host of the domain's is another question:
    /// an MTA-STS policy or [`Destination::is_secure`] answers it.
    Pkix,
    /// TLS, and a TLSA record of this usage vouches for the host.
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

/// A host that did not take the mail.
#[derive(Debug)]
#[non_exhaustive]
pub struct Attempt {
    /// The host.
    pub host: Destination,
    /// Its address, if it got that far.
    pub address: Option<SocketAddr>,
    /// Why not.
    pub problem: Problem,
}

/// Why a host did not take the mail.
#[derive(Debug)]
#[non_exhaustive]
pub enum Problem {
    /// No mail may go there.
    Skipped(Skip),
    /// It was tried.
    Failed(Error),
}

impl Attempt {
    pub(super) const fn skipped(host: Destination, why: Skip) -> Self {
        Self { host, address: None, problem: Problem::Skipped(why) }
    }

    pub(super) const fn failed(host: Destination, address: SocketAddr, error: Error) -> Self {
        Self { host, address: Some(address), problem: Problem::Failed(error) }
    }

    /// Whether there may be another answer later. What keeps a mail with `REQUIRETLS` from going there is
    /// for good (RFC 8689 §4.2.1).
    fn is_temporary(&self, requires_tls: bool) -> bool {
        match &self.problem {
            Problem::Skipped(why) => !(requires_tls && matches!(why, Skip::Unvouched)),
            Problem::Failed(error) => match (error, error.protocol()) {
                // The mail is not for this host, whenever it comes.
                (_, Some(Rule::Unsupported | Rule::MessageTooLarge | Rule::LineTooLong))
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
            // What the verifier says where no record matches.
            Self::Failed(Error::Tls(rustls::Error::InvalidCertificate(
                CertificateError::ApplicationVerificationFailure,
            ))) => f.pad("TLS: its certificate matches none of its TLSA records"),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

/// Why no host of a domain took a mail.
#[derive(Debug)]
#[non_exhaustive]
pub struct Undelivered {
    /// The domain.
    pub domain: Domain,
    /// Why it has no host to send mail to; `None` if it has.
    pub why: Option<Undeliverable>,
    /// What was tried, in its order.
    pub attempts: Vec<Attempt>,
    requires_tls: bool,
}

impl Undelivered {
    pub(super) const fn new(domain: Domain, requires_tls: bool) -> Self {
        Self { domain, why: None, attempts: Vec::new(), requires_tls }
    }

    pub(super) fn because(self, why: Undeliverable) -> Self {
        Self { why: Some(why), ..self }
    }

    /// Whether it makes sense to try again later; if not, the mail goes back to its sender. A report of
    /// that must be kept from others as the mail was (RFC 8689 §5).
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

    /// What became of the mail: unless it is [`NotSent`](Fate::NotSent) or
    /// [`NotAccepted`](Fate::NotAccepted), it may arrive twice if it is sent again.
    #[must_use]
    pub fn fate(&self) -> Fate {
        match self.attempts.last() {
            Some(Attempt { problem: Problem::Failed(error), .. }) => error.fate(),
            _ => Fate::NotSent,
        }
    }

    /// Whether the last host spoke for all of them.
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

/// Where to go after a failure.
pub(super) enum Next {
    /// To the host's next address.
    Address,
    /// To the next host.
    Host,
    /// Nowhere: the answer is the domain's, or the mistake our caller's.
    Nowhere,
}

pub(super) fn goes_on(error: &Error) -> Next {
    match error {
        Error::Argument { .. } => Next::Nowhere,
        // Who turns away everybody does not speak of this mail.
        Error::Rejected { command: Command::Greeting | Command::Hello | Command::Helo, .. } => {
            Next::Address
        }
        Error::Rejected { answer, .. } if answer.code >= 500 => Next::Nowhere,
        Error::Rejected { .. } => Next::Host,
        error if error.fate() != Fate::NotSent => Next::Nowhere,
        _ => Next::Address,
    }
}
