use rustls::CertificateError;
use rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, VerifiedPath, anchor_from_trusted_cert};
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::der::asn1::AnyRef;
use x509_cert::ext::pkix::BasicConstraints;

/// An authority that a record vouches for, with what its certificate says besides its name and key
/// (RFC 7672 §3.1.2).
pub(super) struct Authority {
    pub(super) anchor: TrustAnchor<'static>,
    /// How many authorities may stand between it and the server.
    most_between: Option<usize>,
}

impl Authority {
    /// # Errors
    /// It is no authority, or not now.
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
            // The first version of certificates has no extensions.
            Ok(None) => None,
            _ => return Err(CertificateError::InvalidPurpose),
        };
        Ok(Self { anchor, most_between })
    }

    /// The one with this key, under the name by which it would have issued a certificate (RFC 7671 §5.2.3).
    pub(super) fn of_key(key: &[u8], issued: &CertificateDer<'_>) -> Option<Self> {
        let anchor = TrustAnchor {
            subject: EndEntityCert::try_from(issued).ok()?.issuer().to_vec().into(),
            subject_public_key_info: AnyRef::from_der(key).ok()?.value().to_vec().into(),
            name_constraints: None,
        };
        Some(Self { anchor, most_between: None })
    }

    /// Whether it is at the top of a chain, and the chain no longer than it may be (RFC 5280 §4.2.1.9).
    pub(super) fn allows(&self, path: &VerifiedPath<'_>) -> bool {
        let between = path.intermediate_certificates();
        // An authority may have certified a new key of its own.
        let between = between.filter(|certificate| certificate.subject() != certificate.issuer());
        *path.anchor() == self.anchor
            && self.most_between.is_none_or(|most| between.count() <= most)
    }
}
