use rustls::{CertificateError, Error};
use starttls::mx::ResultType;

/// The failure of a TLS handshake, for a report. `None` if the connection was only lost.
#[must_use]
pub fn result_type(error: &Error) -> Option<ResultType> {
    Some(match error {
        Error::InvalidCertificate(error) => match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                ResultType::CertificateExpired
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                ResultType::CertificateHostMismatch
            }
            CertificateError::ApplicationVerificationFailure => ResultType::ValidationFailure,
            _ => ResultType::CertificateNotTrusted,
        },
        Error::HandshakeNotComplete => return None,
        _ => ResultType::ValidationFailure,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_result_types() {
        let rows = [
            (CertificateError::Expired, ResultType::CertificateExpired),
            (CertificateError::NotValidForName, ResultType::CertificateHostMismatch),
            (CertificateError::UnknownIssuer, ResultType::CertificateNotTrusted),
            (CertificateError::BadSignature, ResultType::CertificateNotTrusted),
            (CertificateError::NotValidYet, ResultType::CertificateNotTrusted),
            (CertificateError::ApplicationVerificationFailure, ResultType::ValidationFailure),
        ];
        for (error, expected) in rows {
            let shown = format!("{error:?}");
            assert_eq!(result_type(&error.into()), Some(expected), "{shown}");
        }
        let no_version = rustls::PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig;
        assert_eq!(result_type(&no_version.into()), Some(ResultType::ValidationFailure));
    }
}
