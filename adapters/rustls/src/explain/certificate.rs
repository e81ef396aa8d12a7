//! Certificate errors in plain words.

use core::fmt::{self, Display, Formatter};
use core::time::Duration;

use der::DateTime;
use rustls::CertificateError;
use rustls::pki_types::UnixTime;

use super::Words;

/// The maximum number of listed names of a certificate.
const NAMES: usize = 10;

pub(super) fn certificate(error: &CertificateError, f: &mut Formatter<'_>) -> fmt::Result {
    use CertificateError as C;
    f.write_str(match error {
        C::ExpiredContext { time, not_after } => {
            let (not_after, time) = (Time(*not_after), Time(*time));
            return write!(
                f,
                "the certificate expired at {not_after}; this machine's clock says {time}"
            );
        }
        C::NotValidYetContext { time, not_before } => {
            let (not_before, time) = (Time(*not_before), Time(*time));
            return write!(
                f,
                "the certificate is not valid before {not_before}; this machine's clock says {time}"
            );
        }
        C::ExpiredRevocationListContext { time, next_update } => {
            let (next_update, time) = (Time(*next_update), Time(*time));
            return write!(
                f,
                "the revocation list expired at {next_update}; this machine's clock says {time}"
            );
        }
        C::NotValidForNameContext { expected, presented } => {
            #[cfg(feature = "std")]
            write!(f, "the certificate is not for \"{}\"", expected.to_str())?;
            // The text of a name needs `std`.
            #[cfg(not(feature = "std"))]
            {
                let _ = expected;
                f.write_str("the certificate is not for the requested name")?;
            }
            return names(presented.iter().map(alloc::string::String::as_str), f);
        }
        C::InvalidPurposeContext { required, .. } => {
            return write!(
                f,
                "the certificate does not allow {required} (extended key usage)"
            );
        }
        #[cfg(feature = "std")]
        C::Other(error) => return other(error, f),
        C::BadEncoding => "the certificate is malformed",
        C::Expired => "the certificate has expired, by this machine's clock",
        C::NotValidYet => "the certificate is not valid yet, by this machine's clock",
        C::Revoked => "the certificate was revoked",
        C::UnhandledCriticalExtension => {
            "the certificate has an unknown critical extension"
        }
        C::UnknownIssuer => "the certificate was issued by an authority that is not trusted here",
        C::UnknownRevocationStatus => "it is not known whether the certificate was revoked",
        C::ExpiredRevocationList => "the revocation list is out of date",
        C::BadSignature => {
            "the signature on the certificate is wrong: another authority with the same name issued it, or it was forged"
        }
        C::UnsupportedSignatureAlgorithmContext { .. }
        | C::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "the certificate is signed by an algorithm that is not accepted here (SHA-1, a short RSA key or an unusual \
             curve)"
        }
        C::NotValidForName => "the certificate is for another name",
        C::InvalidPurpose => "the certificate does not allow this use (extended key usage)",
        C::InvalidOcspResponse => "the OCSP response is not valid",
        C::ApplicationVerificationFailure => "the certificate matches none of the expected ones",
        other => return write!(f, "the certificate cannot be used: {}", Words(other)),
    })
}

#[cfg(feature = "std")]
fn other(error: &rustls::OtherError, f: &mut Formatter<'_>) -> fmt::Result {
    match error.0.downcast_ref::<webpki::Error>() {
        Some(webpki::Error::CaUsedAsEndEntity) => {
            f.write_str("the peer shows a CA certificate as its own, and it is not among the trusted server certificates")
        }
        Some(webpki::Error::UnsupportedCertVersion) => f.write_str(
            "the certificate is of an old X.509 version (1 or 2), which has no names to check; it has to be version 3",
        ),
        Some(webpki::Error::EndEntityUsedAsCa) => {
            f.write_str("the issuer of the certificate is not a certificate authority")
        }
        Some(error) => write!(f, "the certificate cannot be used: {}", Words(error)),
        None => Display::fmt(&error.0, f),
    }
}

/// Lists the names in a certificate. webpki provides them as `Debug` text of its own type.
fn names<'a>(presented: impl Iterator<Item = &'a str>, f: &mut Formatter<'_>) -> fmt::Result {
    let inside = |name: &'a str| {
        let rest = name.strip_suffix(')')?;
        match rest.strip_prefix("IpAddress(") {
            Some(address) => Some(address),
            None => rest.strip_prefix("DnsName(\"")?.strip_suffix('"'),
        }
    };
    let (mut listed, mut more, mut others) = (0_usize, 0_usize, 0_usize);
    for name in presented {
        match inside(name) {
            Some(name) if listed < NAMES => {
                f.write_str(if listed == 0 { " but for " } else { ", " })?;
                Display::fmt(&name.escape_debug(), f)?;
                listed += 1;
            }
            Some(_) => more += 1,
            None => others += 1,
        }
    }
    match (listed, others, more) {
        (0, 0, _) => f.write_str(": it has no alternative names (subjectAltName)"),
        (0, ..) => write!(f, ": it has no names but {others} of another kind"),
        (_, 0, 0) => Ok(()),
        (_, 0, _) => write!(f, " and {more} more"),
        (_, _, 0) => write!(f, " and {others} of another kind"),
        _ => write!(f, ", {more} more and {others} of another kind"),
    }
}

/// A time in the format of RFC 3339.
struct Time(UnixTime);

impl Display for Time {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        match DateTime::from_unix_duration(Duration::from_secs(seconds)) {
            Ok(time) => Display::fmt(&time, f),
            Err(_) => write!(f, "{seconds} seconds after 1970"),
        }
    }
}
