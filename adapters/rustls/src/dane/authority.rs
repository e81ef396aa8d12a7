use rustls::CertificateError;
use rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, VerifiedPath, anchor_from_trusted_cert};
use x509_cert::Certificate;
use x509_cert::certificate::Version;
use x509_cert::der::Decode as _;
use x509_cert::der::asn1::AnyRef;
use x509_cert::ext::pkix::BasicConstraints;

/// A CA that matches a record, with the limits in its certificate (RFC 7672 §3.1.2).
///
/// webpki takes only the name and the key of a trust anchor, so its dates, its CA flag and its path length
/// are checked here.
pub(super) struct Authority {
    pub(super) anchor: TrustAnchor<'static>,
    /// The maximum number of intermediate CAs between this one and the server.
    most_between: Option<usize>,
}

impl Authority {
    /// Checks the dates and the CA flag.
    ///
    /// # Errors
    /// The certificate is malformed, is not valid now, or is no CA's.
    pub(super) fn new(
        certificate: &CertificateDer<'_>,
        now: UnixTime,
    ) -> Result<Self, CertificateError> {
        let bad = CertificateError::BadEncoding;
        let anchor = anchor_from_trusted_cert(certificate).map_err(|_| bad.clone())?.to_owned();
        let certificate = Certificate::from_der(certificate).map_err(|_| bad.clone())?;
        let certificate = certificate.tbs_certificate();
        let validity = certificate.validity();
        if now.as_secs() < validity.not_before.to_unix_duration().as_secs() {
            return Err(CertificateError::NotValidYet);
        }
        if now.as_secs() > validity.not_after.to_unix_duration().as_secs() {
            return Err(CertificateError::Expired);
        }
        let most_between = match certificate.get_extension::<BasicConstraints>() {
            Ok(Some((_, BasicConstraints { ca: true, path_len_constraint }))) => {
                path_len_constraint.map(usize::from)
            }
            // X.509 version 1 has no extensions to deny it.
            Ok(None) if certificate.version() == Version::V1 => None,
            _ => return Err(CertificateError::InvalidPurpose),
        };
        Ok(Self { anchor, most_between })
    }

    /// A CA known only by its key, with the name of the issuer of `issued` (RFC 7671 §5.2.3).
    pub(super) fn of_key(key: &[u8], issued: &CertificateDer<'_>) -> Option<Self> {
        let anchor = TrustAnchor {
            subject: EndEntityCert::try_from(issued).ok()?.issuer().to_vec().into(),
            subject_public_key_info: AnyRef::from_der(key).ok()?.value().to_vec().into(),
            name_constraints: None,
        };
        Some(Self { anchor, most_between: None })
    }

    /// Whether this CA starts the chain, and the chain is no longer than it allows (RFC 5280 §4.2.1.9).
    pub(super) fn allows(&self, path: &VerifiedPath<'_>) -> bool {
        let between = path.intermediate_certificates();
        // Self-issued certificates, for example for a CA's new key, do not count.
        let between = between.filter(|certificate| certificate.subject() != certificate.issuer());
        *path.anchor() == self.anchor
            && self.most_between.is_none_or(|most| between.count() <= most)
    }
}
