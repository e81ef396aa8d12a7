use core::fmt;

use super::Skip;
use crate::Error;

/// A failure, by its name in reports to the domain (RFC 8460 §4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ResultType {
    /// The host does not offer STARTTLS.
    StarttlsNotSupported,
    /// The certificate is not for the host's name.
    CertificateHostMismatch,
    /// The certificate has expired.
    CertificateExpired,
    /// No trusted CA issued the certificate.
    CertificateNotTrusted,
    /// Any other failure of TLS.
    ValidationFailure,
    /// There are TLSA records, but none is usable.
    TlsaInvalid,
    /// The DNS answer does not validate.
    DnssecInvalid,
    /// The sender requires DANE, and there are no TLSA records.
    DaneRequired,
    /// The MTA-STS policy is announced, but the fetch failed.
    StsPolicyFetchError,
    /// The MTA-STS policy is invalid.
    StsPolicyInvalid,
    /// The certificate of the policy's host is not valid.
    StsWebpkiInvalid,
}

impl ResultType {
    /// All failures.
    pub const ALL: [Self; 11] = [
        Self::StarttlsNotSupported,
        Self::CertificateHostMismatch,
        Self::CertificateExpired,
        Self::CertificateNotTrusted,
        Self::ValidationFailure,
        Self::TlsaInvalid,
        Self::DnssecInvalid,
        Self::DaneRequired,
        Self::StsPolicyFetchError,
        Self::StsPolicyInvalid,
        Self::StsWebpkiInvalid,
    ];

    /// The name in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StarttlsNotSupported => "starttls-not-supported",
            Self::CertificateHostMismatch => "certificate-host-mismatch",
            Self::CertificateExpired => "certificate-expired",
            Self::CertificateNotTrusted => "certificate-not-trusted",
            Self::ValidationFailure => "validation-failure",
            Self::TlsaInvalid => "tlsa-invalid",
            Self::DnssecInvalid => "dnssec-invalid",
            Self::DaneRequired => "dane-required",
            Self::StsPolicyFetchError => "sts-policy-fetch-error",
            Self::StsPolicyInvalid => "sts-policy-invalid",
            Self::StsWebpkiInvalid => "sts-webpki-invalid",
        }
    }

    /// The result type of a machine's failure on its way to TLS. `None` for failures that do not concern
    /// the domain: the caller's mistakes, and connections that were lost or closed (RFC 8460 §4.3.4).
    #[must_use]
    pub const fn of(error: Error) -> Option<Self> {
        use crate::Kind;
        match (error, error.kind()) {
            (Error::Closing, _) => None,
            (error, _) if error.is_unsupported() => Some(Self::ValidationFailure),
            (_, Kind::Caller | Kind::Lost) => None,
            (_, Kind::NotOffered) => Some(Self::StarttlsNotSupported),
            (_, Kind::Unverified) => Some(Self::CertificateNotTrusted),
            (_, Kind::Refused | Kind::Violation) => Some(Self::ValidationFailure),
        }
    }

    /// The result type of a skipped host. `None` if the host has no address, or if the mail required more
    /// than the domain.
    #[must_use]
    pub const fn of_skip(skip: Skip) -> Option<Self> {
        match skip {
            Skip::LookupFailed => Some(Self::DnssecInvalid),
            Skip::NotListed => Some(Self::ValidationFailure),
            Skip::NoRecords => Some(Self::DaneRequired),
            Skip::NoAddress | Skip::Unvouched => None,
        }
    }
}

impl fmt::Display for ResultType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_and_skips_map_to_result_types() {
        use ResultType::{CertificateNotTrusted, StarttlsNotSupported, ValidationFailure};
        let rows = [
            (Error::NotOffered, Some(StarttlsNotSupported)),
            (Error::Refused, Some(ValidationFailure)),
            (Error::Unverified, Some(CertificateNotTrusted)),
            (Error::PlaintextAfterGoAhead { unread: 1 }, Some(ValidationFailure)),
            (Error::Unsolicited, Some(ValidationFailure)),
            (Error::Syntax, Some(ValidationFailure)),
            (Error::Foreign, Some(ValidationFailure)),
            // For example a server without REQUIRETLS.
            (Error::NoRequireTls, Some(ValidationFailure)),
            (Error::Closing, None),
            (Error::Closed, None),
            (Error::TimedOut, None),
            (Error::OutOfOrder, None),
            (Error::OutputTooSmall { needed: 1 }, None),
        ];
        for (error, expected) in rows {
            assert_eq!(ResultType::of(error), expected, "{error:?}");
        }
        let rows = [
            (Skip::LookupFailed, Some("dnssec-invalid")),
            (Skip::NotListed, Some("validation-failure")),
            (Skip::NoRecords, Some("dane-required")),
            (Skip::NoAddress, None),
            (Skip::Unvouched, None),
        ];
        for (skip, expected) in rows {
            assert_eq!(ResultType::of_skip(skip).map(ResultType::as_str), expected, "{skip:?}");
        }
    }
}
