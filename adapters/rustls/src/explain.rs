//! TLS errors in plain words.

mod alert;
mod certificate;

use core::fmt::{self, Debug, Display, Formatter, Write as _};

use rustls::{Error, InvalidMessage, PeerIncompatible};

use certificate::certificate;

/// Explains an error of rustls in one sentence.
///
/// rustls's own `Display` shows Rust type names for many errors. Text that the peer chose, such as names, is
/// escaped.
///
/// ```
/// use rustls::{CertificateError, Error};
/// use starttls_rustls::explain;
///
/// let error = Error::InvalidCertificate(CertificateError::Expired);
/// assert_eq!(explain(&error).to_string(), "the certificate has expired, by this machine's clock");
/// ```
#[must_use]
pub const fn explain(error: &Error) -> Explanation<'_> {
    Explanation(error)
}

/// An explained error, from [`explain`].
#[derive(Clone, Copy, Debug)]
pub struct Explanation<'e>(&'e Error);

#[cfg(feature = "defmt")]
impl defmt::Format for Explanation<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{}", defmt::Display2Format(self));
    }
}

impl Display for Explanation<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Error::AlertReceived(description) => alert::explain(*description, f),
            Error::InvalidCertificate(error) => certificate(error, f),
            Error::NoCertificatesPresented => f.write_str("the peer showed no certificate"),
            Error::PeerIncompatible(why) => incompatible(why, f),
            Error::InvalidMessage(
                InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion,
            ) => f.write_str("the peer answered with something that is not TLS"),
            Error::InvalidMessage(why) => {
                write!(f, "the peer sent a malformed TLS message: {}", Words(why))
            }
            Error::InappropriateMessage { got_type, .. } => {
                write!(f, "the peer sent a TLS message out of order: {}", Words(got_type))
            }
            Error::InappropriateHandshakeMessage { got_type, .. } => {
                write!(f, "the peer sent a handshake message out of order: {}", Words(got_type))
            }
            Error::PeerMisbehaved(why) => {
                write!(f, "the peer broke the TLS protocol: {}", Words(why))
            }
            Error::InvalidCertRevocationList(why) => {
                write!(f, "the certificate revocation list cannot be used: {}", Words(why))
            }
            Error::InvalidEncryptedClientHello(why) => {
                write!(f, "the encrypted ClientHello failed: {}", Words(why))
            }
            Error::InconsistentKeys(why) => {
                write!(f, "the private key does not match the certificate: {}", Words(why))
            }
            Error::DecryptError => f.write_str(
                "a message cannot be decrypted: it was changed on the way, or a key is wrong",
            ),
            Error::NoApplicationProtocol => {
                f.write_str("the peer offers no application protocol (ALPN) that is supported here")
            }
            #[cfg(feature = "std")]
            Error::Other(error) => Display::fmt(&error.0, f),
            // These are sentences already.
            other => Display::fmt(other, f),
        }
    }
}

fn incompatible(why: &PeerIncompatible, f: &mut Formatter<'_>) -> fmt::Result {
    match why {
        PeerIncompatible::ServerDoesNotSupportTls12Or13
        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
        | PeerIncompatible::SupportedVersionsExtensionRequired
        | PeerIncompatible::Tls12NotOffered
        | PeerIncompatible::Tls12NotOfferedOrEnabled => f.write_str(
            "the peer supports no accepted TLS version (TLS 1.0 and 1.1 are obsolete: RFC 8996)",
        ),
        PeerIncompatible::NoCipherSuitesInCommon => f.write_str(
            "there is no cipher suite that both sides accept (suites with RSA key exchange are not accepted here)",
        ),
        PeerIncompatible::NoKxGroupsInCommon => {
            f.write_str("there is no key exchange group that both sides accept")
        }
        PeerIncompatible::NoSignatureSchemesInCommon
        | PeerIncompatible::NoCertificateRequestSignatureSchemesInCommon => {
            f.write_str("there is no signature algorithm that both sides accept")
        }
        PeerIncompatible::ExtendedMasterSecretExtensionRequired => f.write_str(
            "the peer's TLS 1.2 lacks the required extension extended_master_secret (RFC 7627)",
        ),
        other => write!(f, "the peer's TLS is not compatible: {}", Words(other)),
    }
}

/// A variant's name as words, without its fields: `TooManyWarningAlertsReceived` becomes "too many warning
/// alerts received".
struct Words<'a>(&'a dyn Debug);

impl Display for Words<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(Splitting { f, previous: None, over: false }, "{:?}", self.0)
    }
}

struct Splitting<'a, 'f> {
    f: &'a mut Formatter<'f>,
    previous: Option<char>,
    over: bool,
}

impl fmt::Write for Splitting<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            self.over |= !character.is_ascii_alphanumeric();
            if self.over {
                break;
            }
            let begins = character.is_ascii_uppercase()
                && self.previous.is_some_and(|previous| !previous.is_ascii_uppercase());
            if begins {
                self.f.write_char(' ')?;
            }
            self.f.write_char(character.to_ascii_lowercase())?;
            self.previous = Some(character);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::{String, ToString};
    use alloc::vec;
    use alloc::vec::Vec;
    use core::time::Duration;

    use rustls::pki_types::{ServerName, UnixTime};
    use rustls::{AlertDescription, CertificateError, PeerMisbehaved};

    use super::*;

    fn said(error: impl Into<Error>) -> String {
        explain(&error.into()).to_string()
    }

    fn at(seconds: u64) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(seconds))
    }

    #[test]
    fn each_error_is_explained() {
        let name = |presented: &[&str]| CertificateError::NotValidForNameContext {
            expected: ServerName::try_from("mx.example").expect("a name"),
            presented: presented.iter().map(ToString::to_string).collect::<Vec<_>>(),
        };
        let (time, not_after, not_before) = (at(1_795_953_600), at(951_782_400), at(4_102_444_800));
        for (error, words) in [
            (
                Error::AlertReceived(AlertDescription::CertificateRequired),
                "the peer sent the TLS alert certificate_required: it demands a client certificate",
            ),
            (
                Error::AlertReceived(AlertDescription::Unknown(200)),
                "the peer sent the TLS alert 200",
            ),
            (
                CertificateError::ExpiredContext { time, not_after }.into(),
                "the certificate expired at 2000-02-29T00:00:00Z; this machine's clock says 2026-11-29T12:00:00Z",
            ),
            (
                CertificateError::NotValidYetContext { time, not_before }.into(),
                "the certificate is not valid before 2100-01-01T00:00:00Z; this machine's clock says 2026-11-29T12:00:00Z",
            ),
            (
                name(&["DnsName(\"a.example\")", "IpAddress(192.0.2.1)", "Unsupported(0x81)"])
                    .into(),
                // rustls includes the requested name only with `std`.
                " but for a.example, 192.0.2.1 and 1 of another kind",
            ),
            (name(&["DnsName(\"\u{1b}[31m\")"]).into(), "but for \\u{1b}[31m"),
            (name(&[]).into(), ": it has no alternative names (subjectAltName)"),
            (
                PeerIncompatible::ServerDoesNotSupportTls12Or13.into(),
                "the peer supports no accepted TLS version",
            ),
            (
                PeerIncompatible::NullCompressionRequired.into(),
                "not compatible: null compression required",
            ),
            (
                PeerMisbehaved::TooManyWarningAlertsReceived.into(),
                "the peer broke the TLS protocol: too many warning alerts received",
            ),
            (
                Error::InvalidMessage(InvalidMessage::MissingData("ServerHelloPayload")),
                "malformed TLS message: missing data",
            ),
            (
                Error::InvalidMessage(InvalidMessage::InvalidContentType),
                "the peer answered with something that is not TLS",
            ),
        ] {
            let said = said(error);
            assert!(said.contains(words), "{said}");
        }
    }

    /// rustls's `Display` shows the `Debug` text of these errors.
    #[test]
    fn no_variant_name_is_shown() {
        use CertificateError as C;
        for error in [
            C::BadEncoding,
            C::Expired,
            C::NotValidYet,
            C::Revoked,
            C::UnhandledCriticalExtension,
            C::UnknownIssuer,
            C::UnknownRevocationStatus,
            C::ExpiredRevocationList,
            C::BadSignature,
            C::UnsupportedSignatureAlgorithmContext {
                signature_algorithm_id: vec![1, 2],
                supported_algorithms: vec![],
            },
            C::NotValidForName,
            C::InvalidPurpose,
            C::InvalidOcspResponse,
            C::ApplicationVerificationFailure,
        ] {
            let (debug, said) = (alloc::format!("{error:?}"), said(error));
            assert!(!said.contains(debug.as_str()), "{said}");
            assert!(said.contains(' '), "{said}");
        }
        for number in 0..=u8::MAX {
            let alert = AlertDescription::from(number);
            let said = said(Error::AlertReceived(alert));
            assert!(!said.contains(&alloc::format!("{alert:?}")), "{said}");
        }
    }

    #[cfg(feature = "std")]
    #[test]
    fn errors_of_webpki_are_explained() {
        for (error, words) in [
            (webpki::Error::CaUsedAsEndEntity, "a CA certificate as its own"),
            (webpki::Error::UnsupportedCertVersion, "X.509 version"),
            (webpki::Error::PathLenConstraintViolated, "path len constraint violated"),
        ] {
            let other = rustls::OtherError(alloc::sync::Arc::new(error));
            let said = said(CertificateError::Other(other));
            assert!(said.contains(words), "{said}");
        }
    }
}
